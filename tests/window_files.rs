//! Files between two windows on two computers, without a call: dropped, offered, taken, and there.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod needs_display {
    use std::fs;
    use std::path::Path;

    use ahoy_testkit::lab::Notifications;
    use serde_json::{Value, json};

    use super::support::{Ahoy, Computer, computer_of, open_signed_in as open, server, sign_up};

    /// Does not fit into one piece.
    const LONG: usize = 3 << 20;

    /// A folder at somebody's that files are taken to.
    fn inbox(computer: &Computer, name: &str) -> std::path::PathBuf {
        let inbox = computer.desktop.home().join("inbox");
        fs::create_dir_all(&inbox).unwrap();
        computer.settings(&json!({ "name": name, "first_run_done": true, "files_folder": inbox }));
        inbox
    }

    fn become_contacts(ada: &Ahoy<'_>, grace: &Ahoy<'_>) {
        ada.fill("Add a contact", "grace");
        ada.press("Ask");
        grace.until_text("asks to be your contact");
        grace.press("Agree");
        ada.until_text("grace · online");
        grace.until_text("ada · online");
    }

    fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => {
                    found.extend(contents(&entry.path()).into_iter().map(|(n, c)| (format!("{name}/{n}"), c)))
                }
                false => found.push((name, fs::read(entry.path()).unwrap())),
            }
        }
        found.sort();
        found
    }

    #[test]
    fn files_that_are_dropped_on_a_window_are_offered_in_the_other_and_taken_there() {
        let server = server();
        let (at_adas, at_graces) = (computer_of("Ada"), computer_of("Grace"));
        let inbox = inbox(&at_graces, "Grace");
        let (ada, grace) = (open(&at_adas), open(&at_graces));
        sign_up(&ada, &server, "ada");
        sign_up(&grace, &server, "grace");
        become_contacts(&ada, &grace);

        let given = at_adas.desktop.home().join("given");
        let long: Vec<u8> = (0..LONG).map(|n| (n * 31 / 7) as u8).collect();
        fs::create_dir_all(given.join("Summer trip")).unwrap();
        fs::write(given.join("chart.bin"), &long).unwrap();
        fs::write(given.join("Summer trip/plan.txt"), "Tomorrow at ten.").unwrap();
        let (chart, trip) = (given.join("chart.bin"), given.join("Summer trip"));

        let dragged = ada.window.drag_over(&[&chart, &trip]).unwrap();
        ada.until_text("Drop to send");
        ada.screenshot("files-dragged.png");
        dragged.drop_there().unwrap();
        ada.until_text("Send to whom");
        ada.until_text("chart.bin, Summer trip");
        ada.screenshot("files-to-whom.png");
        ada.run("[...document.querySelectorAll('dialog li button')].find((b) => b.textContent.includes('Grace')).click()");
        grace.until_text("Ada wants to send you files");
        grace.press("Show each file: chart.bin, Summer trip");
        grace.until_text("Summer trip.plan.txt");
        grace.screenshot("files-offered.png");
        ada.until_text("Grace has been asked");
        grace.press("Accept");
        for ahoy in [&ada, &grace] {
            ahoy.until_text("Done · 2 files · 3.1 MB");
        }
        grace.screenshot("files-done.png");
        assert!(contents(&inbox) == contents(&given), "another than was sent");

        let dragged = ada.window.drag_over(&[&chart]).unwrap();
        ada.until_text("Drop to send");
        dragged.leave().unwrap();
        ada.until("!document.body.innerText.includes('Drop to send')");
        let said: Value = ada.run("return document.querySelector('dialog') === null");
        assert_eq!(said, json!(true));
    }

    #[test]
    fn an_offer_is_answered_in_the_system_s_notification_and_later_ones_need_no_answer() {
        let server = server();
        let (at_adas, at_graces) = (computer_of("Ada"), computer_of("Grace"));
        let inbox = inbox(&at_graces, "Grace");
        let shown = Notifications::start(&at_graces.desktop).unwrap();
        let (ada, grace) = (open(&at_adas), open(&at_graces));
        sign_up(&ada, &server, "ada");
        sign_up(&grace, &server, "grace");
        become_contacts(&ada, &grace);
        let note = at_adas.desktop.home().join("note.txt");
        fs::write(&note, "hello").unwrap();
        let send = || {
            ada.press("Write to Grace");
            ada.until_heading("Grace");
            let dragged = ada.window.drag_over(&[&note]).unwrap();
            ada.until_text("Drop to send to Grace");
            dragged.drop_there().unwrap();
        };

        grace.window.look_away().unwrap();
        send();
        shown.until_shown(1).unwrap();
        let text = shown.text().unwrap();
        assert!(text.contains("Ada wants to send you files") && text.contains("note.txt (5 byte)"), "{text}");
        shown.press("Accept").unwrap();
        ada.until_text("Done · 1 file");
        assert_eq!(fs::read_to_string(inbox.join("note.txt")).unwrap(), "hello");
        shown.until_shown(0).unwrap();

        ada.press("Put away: note.txt");
        ada.press("Back");
        send();
        grace.until_text("Ada wants to send you files");
        grace.run("document.querySelector('section[aria-labelledby] label input[type=checkbox]').click()");
        grace.press("Accept");
        ada.until_text("Done · 1 file");
        ada.press("Put away: note.txt");
        ada.press("Back");
        send();
        ada.until_text("Done · 1 file");
        // Nothing that was there is written over.
        let names: Vec<_> = contents(&inbox).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(contents(&inbox).iter().all(|(_, content)| content == b"hello"));
    }
}
