//! `ahoy-cli call`, `ahoy-cli answer` and `ahoy-cli hang-up`.

mod in_room;
mod remote;
mod talk;
mod words;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ahoy_client::calls::{CallReport, Calls, CallsEvent, CallsOptions, MediaOptions, Policy};
use ahoy_client::loopback::Recording;
use ahoy_client::signaling::SignalingEvent;
use ahoy_client::{Stamping, VideoFormat, VideoSourceSpec};
use ahoy_signal::{CallMedia, CallPeer, Contact, Handle, RoomId};
use anyhow::Result;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use self::talk::Talk;
pub(super) use self::words::duration;
use super::{connect, json_line, print_line};
use crate::Outcome;
use crate::args::{AnswerArgs, CallArgs, Choice, HangUpArgs, TalkArgs};

/// How long the good-bye to the server may take.
const END_WITHIN: Duration = Duration::from_secs(4);

pub(crate) async fn call(args: CallArgs) -> Result<Outcome> {
    let Some(whom) = &args.whom else {
        std::io::stdout().write_all(CallReport::json_schema().as_bytes())?;
        return Ok(Outcome::Good);
    };
    let (options, media) = options(args.talk.clone());
    let (signed_in, room) = match whom.contains("://") || whom.parse::<RoomId>().is_ok() {
        true => {
            let name = connect::room_name(whom, &args.session)?;
            let (signed_in, room) =
                connect::comes_to(name, args.name.clone(), args.ca_file.clone(), &args.session).await?;
            (signed_in, room)
        }
        false => (connect::signed_in(&args.session).await?.1, None),
    };
    let (signaling, events) = connect::online(&signed_in, connect::LONG_PATIENCE).await?;
    let signaling = Arc::new(signaling);
    let contact = match room {
        Some(_) => None,
        None => Some(signaling.find_contact(&whom.parse::<Handle>()?).await?),
    };
    let (calls, mut events) = Calls::start(&signaling, events, options);
    let history = connect::followed_history(&args.session, &signed_in, &signaling).await?;
    let mut talk = Talk::start(&args.talk, args.session.json, history);
    if let Some(room) = room {
        talk.enters(&signaling, room);
        calls.enter(room, media).await?;
    }
    if let Some(contact) = contact {
        calls.call(peer(&contact), media).await?;
    }
    let outcome = loop {
        if let Some(outcome) = talk.next(&calls, &mut events).await? {
            break outcome;
        }
    };
    signaling.end().await;
    finish(calls, events).await;
    Ok(outcome)
}

pub(crate) async fn answer(args: AnswerArgs) -> Result<Outcome> {
    let (options, media) = options(args.talk.clone());
    let (_, signed_in) = connect::signed_in(&args.session).await?;
    let (signaling, events) = connect::online(&signed_in, connect::LONG_PATIENCE).await?;
    let history = connect::followed_history(&args.session, &signed_in, &signaling).await?;
    let (calls, mut events) = Calls::start(&signaling, events, options);
    let mut talk = Talk::start(&args.talk, args.session.json, history);
    talk.answers(args.auto, args.from.clone(), media);
    talk.waits()?;
    let mut give_up = args.wait.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let outcome = loop {
        let outcome = tokio::select! {
            outcome = talk.next(&calls, &mut events) => outcome?,
            () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() && talk.is_idle() => {
                Some(Outcome::NotGood)
            }
        };
        match outcome {
            // A server that is gone, or Ctrl-C, ends the waiting as well.
            Some(outcome @ (Outcome::Impossible | Outcome::Interrupted)) => break outcome,
            Some(_) if args.keep && talk.had_call() => {
                give_up = args.wait.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
                talk.waits()?;
            }
            Some(outcome) => break outcome,
            None => {}
        }
    };
    signaling.end().await;
    finish(calls, events).await;
    Ok(outcome)
}

pub(crate) async fn hang_up(args: HangUpArgs) -> Result<Outcome> {
    let ended = remote::hang_up_all().await?;
    for with in &ended {
        if args.json {
            json_line(&json!({"type": "hung_up", "with": with}))?;
        } else {
            print_line(&format!("Hung up the call with {with}."))?;
        }
    }
    if ended.is_empty() {
        anyhow::bail!("there is no call to hang up");
    }
    Ok(Outcome::Good)
}

/// Lets the server know, and everything go.
async fn finish(calls: Calls, mut events: mpsc::Receiver<CallsEvent>) {
    drop(calls);
    // A server that does not say good-bye finds out by itself.
    let _ = timeout(END_WITHIN, async {
        while let Some(event) = events.recv().await {
            if matches!(event, CallsEvent::Signaling(SignalingEvent::Ended(_))) {
                break;
            }
        }
    })
    .await;
}

fn peer(contact: &Contact) -> CallPeer {
    CallPeer { user: contact.user, handle: contact.handle.clone(), name: contact.name.clone() }
}

fn options(args: TalkArgs) -> (CallsOptions, CallMedia) {
    let media = match &args.video {
        Choice::None => CallMedia::Audio,
        Choice::Some(_) => CallMedia::Video,
    };
    let camera = args.video.into_option().unwrap_or(VideoSourceSpec::Camera(None));
    // Test pictures carry their number, so that whoever receives them can tell that they are all there; people do not.
    let stamping = match &camera {
        VideoSourceSpec::Camera(_) => Stamping::Off,
        VideoSourceSpec::Pattern | VideoSourceSpec::File(_) | VideoSourceSpec::Blank => Stamping::On,
    };
    let options = MediaOptions {
        camera,
        format: VideoFormat { size: args.picture.size, rate: args.picture.fps },
        bitrate: args.bitrate,
        save_power: args.save_power.into(),
        microphone: args.audio.into_option(),
        speaker: args.speaker,
        stamping,
        record: args.record.map(Recording::at).unwrap_or_default(),
        ..MediaOptions::default()
    };
    let bind = args.bind.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
    let policy = if args.relay_only { Policy::RelayOnly } else { Policy::All };
    (CallsOptions { media: options, bind, policy, transfers: None }, media)
}
