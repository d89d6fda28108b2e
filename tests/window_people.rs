//! Two windows on two computers: their people sign up at a real server, become contacts, call each other, and see and hear
//! each other until one hangs up.

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
    use ahoy_testkit::lab::AudioDevice;
    use serde_json::json;

    use super::guest::{Guest, write_clip};
    use super::support::{Ahoy, Computer, OWN_TILE, computer_of, open_signed_in as open, server, sign_up};

    /// Long enough for two chirps.
    const A_WHILE: Duration = Duration::from_secs(1);
    /// Chirps are far above it, and dither below.
    const SILENCE: f32 = 0.001;
    const SPEECH: f32 = 0.1;

    #[track_caller]
    fn assert_moving(stamps: &[Stamp]) {
        let forward = |pair: &[Stamp]| pair[0].id < pair[1].id && pair[0].at < pair[1].at;
        assert!(stamps.windows(2).all(forward), "{stamps:?}");
    }

    /// Pictures come into a tile, each after the one before.
    #[track_caller]
    fn assert_sees(ahoy: &Ahoy<'_>, tile: &str) {
        ahoy.until(&format!("document.querySelector('figure[aria-label={tile:?}] canvas') !== null"));
        assert_moving(&ahoy.stamps(tile, 12));
    }

    #[test]
    fn two_people_sign_up_call_see_and_hear_each_other_and_hang_up() {
        let server = server();
        let (at_adas, at_graces) = (computer_of("Ada"), computer_of("Grace"));
        let (ada, grace) = (open(&at_adas), open(&at_graces));
        sign_up(&ada, &server, "ada");
        sign_up(&grace, &server, "grace");
        ada.fill("Add a contact", "grace");
        ada.press("Ask");
        grace.until_text("asks to be your contact");
        grace.screenshot("people-asking.png");
        grace.press("Agree");
        ada.until_text("grace · online");

        ada.press("Call Grace with video");
        ada.until_heading("Grace");
        grace.until_text("calls you, with video");
        grace.screenshot("people-ringing.png");
        grace.press("Accept");
        grace.until_heading("Ada");
        for (ahoy, other) in [(&ada, "Grace"), (&grace, "Ada")] {
            for tile in [OWN_TILE, other] {
                assert_sees(ahoy, tile);
            }
        }
        ada.settle();
        ada.screenshot("people-call.png");

        let _voices = [at_adas.speak(), at_graces.speak()];
        let heard = |computer: &Computer| computer.sound().loudest(AudioDevice::Speaker, A_WHILE).unwrap();
        for computer in [&at_adas, &at_graces] {
            while heard(computer) < SPEECH {}
        }
        ada.press("Turn microphone off");
        grace.until_text("Microphone is off");
        while heard(&at_graces) > SILENCE {}
        assert!(heard(&at_adas) > SPEECH, "Grace is still heard");

        ada.press("Messages");
        ada.fill("Message", "Can you hear me?");
        ada.press("Send");
        grace.press("Messages of Ada: 1 new");
        grace.until_text("Can you hear me");
        ada.until_text("· Read");
        grace.screenshot("people-messages.png");
        ada.press("Messages");

        ada.press("Put on hold");
        grace.until_text("Ada has put the call on hold");
        ada.press("Go on");
        assert_sees(&grace, "Ada");
        grace.press("Hang up");
        ada.until_text("Your call with Grace is over");
        grace.until_text("Your call with Ada is over");
        ada.screenshot("people-summary.png");
        ada.press("Done");
        ada.until_text("grace · online");
        ada.until_text("Recent calls[^]*Outgoing:[^]*Grace");
        ada.press("Write to Grace");
        ada.until_heading("Grace");
        ada.until_text("Can you hear me");
        ada.screenshot("people-chat.png");
    }

    #[test]
    fn what_was_written_to_somebody_who_was_away_is_there_when_they_come() {
        let server = server();
        let (at_adas, at_graces) = (computer_of("Ada"), computer_of("Grace"));
        let ada = open(&at_adas);
        sign_up(&ada, &server, "ada");
        {
            let grace = open(&at_graces);
            sign_up(&grace, &server, "grace");
            ada.fill("Add a contact", "grace");
            ada.press("Ask");
            grace.press("Agree");
            ada.until_text("grace · online");
        }
        ada.until_text("grace · offline");
        ada.press("Write to Grace");
        ada.fill("Message", "Call me when you are back");
        ada.press("Send");
        ada.until_text("· Sent");
        ada.press("Back");
        ada.press("Call Grace");
        ada.until_text("Grace is not online");
        ada.press("Done");
        ada.press("Write to Grace");
        let grace = open(&at_graces);
        grace.until_text("You missed a call of Ada");
        ada.until_text("· Delivered");
        grace.press("Messages of Ada: 1 new");
        grace.until_text("Call me when you are back");
        ada.until_text("· Read");
    }

    #[test]
    fn the_connection_is_checked_and_found_good() {
        let server = server();
        let at_adas = computer_of("Ada");
        let ada = open(&at_adas);
        sign_up(&ada, &server, "ada");
        ada.press("Settings");
        ada.run("document.querySelector('#tab-connection').click()");
        ada.press("Check now");
        ada.until_text("Plain sailing");
        ada.press("Check again");
        ada.press("Stop");
        ada.until_text("Ahoy looks at everything a call needs");
    }

    #[test]
    fn a_call_that_is_declined_or_missed_is_told_to_both() {
        let server = server();
        let (at_adas, at_graces) = (computer_of("Ada"), computer_of("Grace"));
        let (ada, grace) = (open(&at_adas), open(&at_graces));
        sign_up(&ada, &server, "ada");
        sign_up(&grace, &server, "grace");
        ada.fill("Add a contact", "grace");
        ada.press("Ask");
        grace.press("Agree");
        ada.until_text("grace · online");
        ada.press("Call Grace");
        grace.until_text("calls you");
        grace.press("Decline");
        ada.until_text("Grace declined the call");
        ada.press("Call again");
        grace.until_text("calls you, with video");
        ada.press("Hang up");
        ada.until_text("You gave up calling Grace");
        grace.until_text("You missed a call of Ada");
    }

    #[test]
    fn somebody_without_the_program_comes_by_a_link_from_the_window() {
        let server = server();
        let at_adas = computer_of("Ada");
        let ada = open(&at_adas);
        sign_up(&ada, &server, "ada");
        ada.press("Invite by link");
        ada.until_heading("Call by link");
        let link = ada.run("return document.querySelector('input[readonly]').value");
        ada.screenshot("people-invite.png");
        let clip = at_adas.desktop.home().join("clip.y4m");
        write_clip(&clip, FrameSize::new(320, 180).unwrap());
        let mut guest = Guest::start(&["--clip", clip.to_str().unwrap()]);
        guest.joins(link.as_str().unwrap(), "Charles");
        ada.until_heading("Charles");
        assert_sees(&ada, OWN_TILE);
        let theirs = ada.stamps("Charles", 12);
        assert!(theirs.windows(2).filter(|pair| pair[0].id < pair[1].id).count() > 8, "{theirs:?}");
        let stamps = guest.stamps("Ada", 12);
        assert!(stamps.len() > 8, "{stamps:?}");
        let _voice = at_adas.speak();
        guest.hears_something();
        guest.press("Messages");
        guest.does("fill", json!(["Message", "Land ahoy!"]));
        guest.press("Send");
        ada.press("Messages of Charles: 1 new");
        ada.until_text("Land ahoy");
        ada.fill("Message", "Where?");
        ada.press("Send");
        guest.until("Where\\?");
        ada.screenshot("people-guest.png");
        ada.press("Hang up");
        ada.until_text("Your call with Charles is over");
        guest.until("Nobody else is there yet|The call is over");
        guest.joins(link.as_str().unwrap(), "Charles");
        guest.until("This invitation is not good any more");
    }
}
