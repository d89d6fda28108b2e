//! `ahoy-cli watch`.

use std::time::Duration;

use ahoy_client::signaling::SignalingEvent;
use anyhow::Result;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{cancelled_by_ctrl_c, connect, json_line, print_line};
use crate::Outcome;
use crate::args::WatchArgs;
use crate::event_lines::{self, Teller, contact_words};

pub(crate) async fn run(args: WatchArgs) -> Result<Outcome> {
    let json = args.session.json;
    let end = args.seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let (_, signed_in) = connect::signed_in(&args.session).await?;
    let (signaling, mut events) = connect::online(&signed_in, connect::LONG_PATIENCE).await?;
    // What comes is kept, so that whoever wrote it learns that it has arrived.
    let history = connect::followed_history(&args.session, &signed_in, &signaling).await?;
    let contacts = signaling.contacts().await?;
    let mut teller = Teller::default();
    teller.knows(&contacts);
    for contact in &contacts {
        if json {
            json_line(&json!({"type": "contact", "contact": contact}))?;
        } else {
            print_line(&format!("  {}", contact_words(contact)))?;
        }
    }
    if !json {
        print_line("* Watching (Ctrl-C ends it).")?;
    }
    let mut cancel = cancelled_by_ctrl_c();
    let outcome = loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event else { break Outcome::Impossible };
                if let Some(history) = &history {
                    connect::to_history(history, &event);
                }
                if json { json_line(&event_lines::json(&event))? } else { print_line(&teller.words(&event))? }
                if let SignalingEvent::GaveUp(_) | SignalingEvent::Ended(_) = event {
                    break Outcome::Impossible;
                }
            }
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break Outcome::Good,
            _ = cancel.changed() => break Outcome::Interrupted,
        }
    };
    connect::end(&signaling, events).await;
    Ok(outcome)
}
