//! Session descriptions and candidates into the machine that decides what to do with them.
#![no_main]

use ahoy_media_types::MediaTime;
use ahoy_rtc::negotiation::{Action, Input, Negotiation};
use ahoy_rtc::{FirstOffer, Politeness, Signal};
use libfuzzer_sys::fuzz_target;

/// What the machine may ask for in answer to one message: more would be a loop.
const MOST_ACTIONS: usize = 1000;

// Lines of JSON, as they come over the signaling connection.
fuzz_target!(|data: &[u8]| {
    let roles = [
        (Politeness::Polite, FirstOffer::Either),
        (Politeness::Polite, FirstOffer::Theirs),
        (Politeness::Impolite, FirstOffer::Either),
    ];
    for (politeness, first_offer) in roles {
        let mut machine = Negotiation::new(politeness, first_offer);
        let mut now = MediaTime::ZERO;
        machine.handle(Input::Changed, now);
        for line in data.split(|byte| *byte == b'\n') {
            now += std::time::Duration::from_millis(7);
            match serde_json::from_slice::<Signal>(line) {
                Ok(signal) => {
                    let _ = format!("{signal:?}");
                    machine.handle(Input::Remote(signal), now);
                }
                Err(_) => machine.handle(Input::Timeout, now),
            }
            let mut actions = 0;
            while let Some(action) = machine.poll() {
                actions += 1;
                assert!(actions < MOST_ACTIONS, "it never comes to rest");
                match action {
                    Action::Offer { .. } => machine.handle(Input::Offered { sdp: OURS.to_owned() }, now),
                    Action::Answer { .. } => machine.handle(Input::Answered { sdp: OURS.to_owned() }, now),
                    Action::Accept { sdp } => machine.handle(Input::Accepted { sdp }, now),
                    Action::Rollback | Action::AddCandidate(_) | Action::Send(_) | Action::Settled => {}
                }
            }
        }
    }
});

const OURS: &str = "v=0\r\na=ice-ufrag:ours\r\na=mid:0\r\na=setup:active\r\n";
