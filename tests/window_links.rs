//! What comes to a window from outside: calls that ring, also in the system's notifications, links that the system opens, and
//! calls that computers of the same network host.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/guest.rs"]
mod guest;
mod support;

mod needs_display {
    use std::time::Duration;

    use ahoy_measure::stamp::Stamp;
    use ahoy_media_types::FrameSize;
    use ahoy_testkit::lab::{AudioDevice, Notifications};

    use super::guest::{Guest, write_clip};
    use super::support::{Ahoy, Computer, OWN_TILE, computer_of, open_signed_in, server, sign_up};

    /// Long enough for the loud half of ringing.
    const A_WHILE: Duration = Duration::from_millis(3_200);
    /// Ringing is far above it, and dither below.
    const SILENCE: f32 = 0.001;
    const LOUD: f32 = 0.1;

    fn loudness(computer: &Computer, device: AudioDevice) -> f32 {
        computer.sound().loudest(device, A_WHILE).unwrap()
    }

    #[track_caller]
    fn assert_sees(ahoy: &Ahoy<'_>, tile: &str) {
        ahoy.until(&format!("document.querySelector('figure[aria-label={tile:?}] canvas') !== null"));
        let stamps = ahoy.stamps(tile, 12);
        assert!(stamps.windows(2).all(|pair| pair[0].id < pair[1].id), "{stamps:?}");
    }

    #[test]
    fn a_call_rings_where_it_is_wanted_and_is_declined_or_taken_in_the_system_s_notification() {
        let server = server();
        let (at_adas, at_graces) = (computer_of("Ada"), computer_of("Grace"));
        at_graces.sound().plug_in(AudioDevice::Headphones).unwrap();
        let notifications = Notifications::start(&at_graces.desktop).unwrap();
        let (ada, grace) = (open_signed_in(&at_adas), open_signed_in(&at_graces));
        sign_up(&ada, &server, "ada");
        sign_up(&grace, &server, "grace");
        ada.fill("Add a contact", "grace");
        ada.press("Ask");
        grace.press("Agree");
        ada.until_text("grace · online");
        grace.press("Change devices");
        grace.choose("Calls ring at", "Fake Speaker");
        grace.settle();
        grace.screenshot("links-ringer.png");
        grace.press("Back");
        grace.window.look_away().unwrap();

        ada.press("Call Grace with video");
        grace.until_text("calls you, with video");
        notifications.until_shown(1).unwrap();
        let text = notifications.text().unwrap();
        assert!(text.contains("Ada") && text.contains("calls you, with video"), "{text}");
        while loudness(&at_graces, AudioDevice::Speaker) < LOUD {}
        assert!(loudness(&at_graces, AudioDevice::Headphones) < SILENCE, "it rings at the speaker only");
        // Who calls hears that it rings.
        while loudness(&at_adas, AudioDevice::Speaker) < 0.02 {}
        notifications.press("Decline").unwrap();
        ada.until_text("Grace declined the call");
        notifications.until_shown(0).unwrap();
        while loudness(&at_graces, AudioDevice::Speaker) > SILENCE {}

        ada.press("Call again");
        notifications.until_shown(1).unwrap();
        notifications.press("Accept").unwrap();
        grace.until_heading("Ada");
        assert_sees(&grace, "Ada");
        notifications.until_shown(0).unwrap();
        while loudness(&at_graces, AudioDevice::Speaker) > SILENCE {}
        ada.press("Hang up");
        ada.until_text("Your call with Grace is over");

        // A call that is given up takes its notification with it. Taking the last one had brought the window to the front.
        grace.window.look_away().unwrap();
        ada.press("Call again");
        notifications.until_shown(1).unwrap();
        ada.press("Hang up");
        notifications.until_shown(0).unwrap();
    }

    #[test]
    fn a_link_that_the_system_opens_leads_into_the_call_in_the_window_that_is_there() {
        let server = server();
        let (at_adas, at_guests) = (computer_of("Ada"), computer_of("Guest"));
        let (ada, guest) = (open_signed_in(&at_adas), open_signed_in(&at_guests));
        sign_up(&ada, &server, "ada");
        ada.press("Invite by link");
        ada.until_heading("Call by link");
        let link = ada.run("return document.querySelector('input[aria-label=\"Invite link\"]').value");
        let link = link.as_str().unwrap();
        let status = at_guests.another_start().arg(format!("ahoy:{link}")).status().unwrap();
        assert!(status.success(), "the second start hands the link over");
        guest.until_text("You are invited to a call");
        guest.until_text(&format!("The link leads to {}", server.url().replace('/', "\\/")));
        guest.settle();
        guest.screenshot("links-invited.png");
        guest.press("Join with video");
        guest.until_heading("Ada");
        ada.until_heading("Guest");
        for (ahoy, other) in [(&ada, "Guest"), (&guest, "Ada")] {
            for tile in [OWN_TILE, other] {
                assert_sees(ahoy, tile);
            }
        }
        ada.press("Hang up");
        guest.until_text("Your call with Ada is over");
        guest.press("Done");
        guest.fill("Invite link", link);
        guest.press("Join…");
        guest.press("Join with sound only");
        guest.until_text("This invitation is not good any more");
    }

    #[test]
    fn a_link_that_starts_the_program_is_what_its_first_window_asks_about() {
        let guests = computer_of("Guest");
        let room = ahoy_signal::RoomId::from_bits(5);
        let guest = guests.open_by_link(&format!("ahoy:https://call.example.org/join/{room}#eyJhbGciOi.J"));
        guest.until_text("You are invited to a call");
        guest.until_text("The link leads to https:\\/\\/call.example.org");
    }

    #[test]
    fn whoever_gets_the_link_of_a_call_on_this_computer_joins_it_in_a_browser_after_its_warning() {
        let at_adas = computer_of("Ada");
        let ada = open_signed_in(&at_adas);
        ada.press("Host on this computer");
        ada.until_heading("Call by link");
        let link = ada.run("return document.querySelector('input[aria-label=\"Invite link\"]').value");
        let clip = at_adas.desktop.home().join("clip.y4m");
        write_clip(&clip, FrameSize::new(320, 180).unwrap());
        let mut guest = Guest::start(&["--go-on", "--clip", clip.to_str().unwrap()]);
        guest.joins(link.as_str().unwrap(), "Charles");
        ada.until_heading("Charles");
        let moving = |stamps: &[Stamp]| stamps.windows(2).filter(|pair| pair[0].id < pair[1].id).count() > 8;
        ada.until("document.querySelector('figure[aria-label=\"Charles\"] canvas') !== null");
        let theirs = ada.stamps("Charles", 12);
        assert!(moving(&theirs), "{theirs:?}");
        let own = guest.stamps("Ada", 12);
        assert!(moving(&own), "{own:?}");
        let _voice = at_adas.speak();
        guest.hears_something();
        ada.press("Hang up");
        guest.until("Nobody else is there yet|The call is over");
    }

    #[test]
    fn without_any_server_a_call_on_this_computer_is_found_on_the_network_and_its_host_lets_people_in() {
        let (at_adas, at_graces) = (computer_of("Ada"), computer_of("Grace"));
        let (ada, grace) = (open_signed_in(&at_adas), open_signed_in(&at_graces));
        grace.until_text("Nobody on your network hosts a call right now");
        ada.press("Host on this computer");
        ada.until_heading("Call by link");
        ada.until_text("A browser warns once");
        ada.settle();
        ada.screenshot("links-hosted.png");
        grace.press("Join Ada");
        grace.press("Join with video");
        grace.until_text("Waiting to be let in");
        ada.until_text("Grace wants to come in");
        ada.settle();
        ada.screenshot("links-lobby.png");
        grace.screenshot("links-waiting.png");
        ada.press("Let Grace in");
        ada.until_heading("Grace");
        grace.until_heading("Ada");
        assert_sees(&ada, "Grace");
        assert_sees(&grace, "Ada");
        ada.press("Hang up");
        grace.until_text("Your call with Ada is over");
        grace.press("Done");
        grace.until_text("Nobody on your network hosts a call right now");
    }
}
