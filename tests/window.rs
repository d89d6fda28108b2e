//! The window's views on a computer without devices: what they say, who can use them, and what they keep out.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod needs_display {
    use std::io::Read as _;
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use ahoy_testkit::lab::Preferences;
    use serde_json::{Value, json};

    use super::support::{Ahoy, Computer};

    const TAB: char = '\u{e004}';

    #[test]
    fn the_first_run_asks_and_can_be_skipped() {
        let computer = Computer::bare(Preferences::default());
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");
        let picture = std::fs::read(ahoy.screenshot("first-run-light.png")).unwrap();
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
        ahoy.press("Skip for now");
        ahoy.until_heading("Ahoy!");
        ahoy.screenshot("home-light.png");
    }

    #[test]
    fn what_was_answered_is_not_asked_again() {
        let computer = Computer::bare(Preferences::default());
        let first = computer.open();
        first.until_heading("Welcome aboard");
        first.press("Skip for now");
        first.until_heading("Ahoy!");
        drop(first);
        computer.open().until_heading("Ahoy!");
    }

    #[test]
    fn a_second_start_leaves_it_to_the_first() {
        let computer = Computer::bare(Preferences::default());
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");
        let second = computer.another_start().output().unwrap();
        assert!(second.status.success(), "{second:?}");
        assert_eq!(ahoy.run("return document.visibilityState"), "visible");
    }

    #[test]
    fn a_test_call_runs_says_what_is_missing_and_ends() {
        let computer = Computer::bare(Preferences::default());
        computer.settings(&json!({ "first_run_done": true }));
        let ahoy = computer.open();
        ahoy.press("Test call");
        // There is no camera on this desktop.
        ahoy.until_text("no camera");
        ahoy.screenshot("call-without-devices.png");
        ahoy.press("Hang up");
        ahoy.until("document.querySelector('figure') === null");
        ahoy.screenshot("summary-without-devices.png");
    }

    #[test]
    fn the_window_follows_a_dark_desktop() {
        let computer = Computer::bare(Preferences { dark: true, ..Preferences::default() });
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");
        let body = ahoy.window.find("body").unwrap();
        assert_eq!(body.css("background-color").unwrap(), "rgb(10, 22, 29)");
        ahoy.screenshot("first-run-dark.png");
    }

    #[test]
    fn nobody_is_kept_out_by_what_the_window_shows() {
        for dark in [false, true] {
            let computer = Computer::bare(Preferences { dark, ..Preferences::default() });
            let ahoy = computer.open();
            ahoy.until_heading("Welcome aboard");
            assert_eq!(accessibility_violations(&ahoy), json!([]), "first run, dark: {dark}");
            ahoy.press("Skip for now");
            ahoy.until_control("Test call");
            assert_eq!(accessibility_violations(&ahoy), json!([]), "home, dark: {dark}");
        }
    }

    #[test]
    fn the_keyboard_reaches_what_can_be_pressed_and_shows_where_it_is() {
        let computer = Computer::bare(Preferences::default());
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");
        ahoy.window.press_key(TAB).unwrap();
        assert_eq!(ahoy.window.focused().unwrap().css("outline-style").unwrap(), "solid");
    }

    #[test]
    fn script_that_does_not_belong_to_the_window_gets_nowhere() {
        let computer = Computer::bare(Preferences::default());
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");

        let foreign = ahoy.run(
            "const script = document.createElement('script');
             script.textContent = 'window.injected = true';
             document.body.append(script);
             return window.injected === true",
        );
        assert_eq!(foreign, false, "inline script must not run");

        // Not 127.0.0.1, where its pictures come from (what may be a WebSocket may be HTTP, says CSP level 3).
        let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
        let listener = TcpListener::bind((elsewhere, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let fetched = ahoy.run(&format!(
            "return fetch('http://{address}/', {{ mode: 'no-cors' }}).then(() => 'sent', () => 'refused')"
        ));
        assert_eq!(fetched, "refused");
        assert!(listener.accept().is_err(), "nothing may leave the window");
    }

    #[test]
    fn the_window_never_leaves_its_own_page() {
        let computer = Computer::bare(Preferences::default());
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let ways = [
            format!("location.href = 'http://{address}/?secret'"),
            format!("location.href = 'http://localhost:{}/'", address.port()),
            format!("const a = document.createElement('a'); a.href = 'http://{address}/'; a.click()"),
            format!("window.open('http://{address}/')"),
            "location.href = 'file:///etc/passwd'".to_owned(),
            "location.href = 'data:text/html,<h1>Elsewhere</h1>'".to_owned(),
        ];
        for way in ways {
            // What answers a command also decides where the window goes, in turn.
            ahoy.run(&format!(
                "{way}; return window.__TAURI_INTERNALS__.invoke('settings').then(() => true)"
            ));
            ahoy.until_heading("Welcome aboard");
            assert_eq!(ahoy.run("return location.origin"), "tauri://localhost", "{way}");
            assert_eq!(asked(&listener), "", "{way}");
        }
    }

    /// What has been asked of a listener. The web view may have connected ahead, as long as it says nothing.
    fn asked(listener: &TcpListener) -> String {
        let mut said = String::new();
        while let Ok((mut connection, _)) = listener.accept() {
            connection.set_nonblocking(false).unwrap();
            connection.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            // It ends, or goes on in silence.
            let _ = connection.read_to_string(&mut said);
        }
        said
    }

    #[test]
    fn the_page_has_no_rights_but_its_own_commands() {
        let computer = Computer::bare(Preferences::default());
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");
        let own =
            ahoy.run("return window.__TAURI_INTERNALS__.invoke('app_info').then((info) => info.system)");
        assert_eq!(own, std::env::consts::OS);
        let others = [
            "plugin:app|version",
            "plugin:path|resolve_directory",
            "plugin:webview|create_webview_window",
            "plugin:window|close",
            "plugin:window-state|save_window_state",
            "plugin:event|emit",
            "plugin:resources|close",
            "plugin:fs|read_text_file",
            "plugin:shell|execute",
            "no_such_command",
        ];
        for command in others {
            let answer = ahoy.run(&format!(
                "return window.__TAURI_INTERNALS__.invoke({command:?}, {{}}).then(() => 'done', (e) => String(e))"
            ));
            let refusal = answer.as_str().unwrap();
            let refused = refusal.contains("not allowed") || refusal.contains("not found");
            assert!(refused, "{command}: {refusal}");
        }
    }

    #[test]
    fn the_page_reaches_no_file_of_the_computer() {
        let computer = Computer::bare(Preferences::default());
        let secret = computer.desktop.home().join("secret.txt");
        std::fs::write(&secret, "secret").unwrap();
        let ahoy = computer.open();
        ahoy.until_heading("Welcome aboard");
        let path = secret.display();
        let ways = [
            format!("file://{path}"),
            format!("asset://localhost{path}"),
            format!("asset://localhost/{}", path.to_string().replace('/', "%2F")),
            format!("tauri://localhost/../../../../..{path}"),
            format!("tauri://localhost/%2e%2e/%2e%2e/%2e%2e{path}"),
        ];
        for way in ways {
            let read = ahoy.run(&format!("return fetch({way:?}).then((r) => r.text(), () => 'refused')"));
            assert!(!read.as_str().unwrap().contains("secret"), "{way}: {read}");
        }
    }

    /// What axe-core finds in the painted window: rule and elements.
    fn accessibility_violations(ahoy: &Ahoy) -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("cannot read {path}: {error}; run npm ci in ui/"));
        ahoy.run(&axe);
        ahoy.run(
            "return window.axe.run().then(({ violations }) =>
               violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]))",
        )
    }
}
