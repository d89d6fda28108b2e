//! What happens in a call, in words, and as an exit code.

use ahoy_client::calls::{
    CallReport, CallSnapshot, CurrentCall, Direction, EndedCall, IncomingCall, LegStatus, Outcome as Ending,
    RoomEnd, StageName,
};
use ahoy_signal::CallMedia;
use serde_json::{Value, json};

use crate::Outcome;
use crate::event_lines::leave_words;

/// What is new; `None` where nothing is that people would want to read.
pub(super) fn change(before: &CallSnapshot, now: &CallSnapshot) -> Option<String> {
    let current = now.current.as_ref()?;
    let words = standing(current);
    let same = before.current.as_ref().is_some_and(|before| standing(before) == words);
    (!same).then(|| format!("* {words}"))
}

fn standing(current: &CurrentCall) -> String {
    let name = &current.peer.name;
    let leg = current.legs.first();
    match (current.stage, leg.map(|leg| leg.status)) {
        (StageName::Calling, _) => format!("Calling {name} …"),
        (StageName::Ringing, _) => format!("It rings at {name}'s …"),
        (StageName::Accepting, _) => format!("Taking the call of {name} …"),
        (StageName::Answered, None | Some(LegStatus::Connecting)) => {
            format!("{name} is there; connecting …")
        }
        (StageName::Answered, Some(LegStatus::Reconnecting)) => {
            format!("The connection to {name} is lost; looking for another way …")
        }
        (StageName::Answered, Some(LegStatus::Connected)) => {
            let there = leg.map(|leg| (leg.held, leg.media));
            let state = match (current.held, there) {
                (true, _) => " You have put the call on hold (h goes on).",
                (false, Some((true, _))) => " They have put the call on hold.",
                (false, Some((false, Some(media)))) if !media.microphone => " They are muted.",
                (false, _) => "",
            };
            format!("In a call with {name} (m mute, c camera, h hold, q hang up).{state}")
        }
    }
}

/// Asks whether to take a call.
pub(super) fn asks(call: &IncomingCall) -> String {
    let how = match call.media {
        CallMedia::Audio => "calls you",
        CallMedia::Video => "calls you, with video",
    };
    format!("* {} ({}) {how}. Take it? [Y/n]", call.peer.name, call.peer.handle)
}

/// Who is talked to in a room.
pub(super) fn in_room(talking: usize, connecting: usize) -> String {
    match (talking, connecting) {
        (0, 0) => "* Nobody else is there (q leaves).".to_owned(),
        (0, _) => "* Connecting …".to_owned(),
        (talking, 0) => format!("* You talk with {talking} (m mute, c camera, h hold, q leave)."),
        (talking, _) => format!("* You talk with {talking}; connecting to more …"),
    }
}

/// Why one is not in a room any more: for programs, and for people.
pub(super) fn room_end(end: &RoomEnd) -> (Value, String) {
    match end {
        RoomEnd::Left => ("left".into(), "You have left.".to_owned()),
        RoomEnd::Out(reason) => (json!(reason), leave_words(*reason).to_owned()),
        RoomEnd::Refused(refusal) => (json!(refusal.code), refusal.message.clone()),
    }
}

/// How a call ended.
pub(super) fn over(ended: &EndedCall) -> String {
    let name = &ended.name;
    match ended.outcome {
        Ending::HungUpHere => format!("You have hung up after {}.", duration(ended.answered_s)),
        Ending::HungUpThere => format!("{name} has hung up after {}.", duration(ended.answered_s)),
        Ending::Cancelled => "You have given up calling.".to_owned(),
        Ending::DeclinedHere => "You have declined the call.".to_owned(),
        Ending::Declined => format!("{name} has declined the call."),
        Ending::Busy => format!("{name} is in another call."),
        Ending::NoAnswer => format!("{name} does not answer. They will see that you have called."),
        Ending::Offline => format!("{name} is not online."),
        Ending::Missed => format!("You have missed a call of {name}."),
        Ending::AnsweredElsewhere => "You have taken the call at another device.".to_owned(),
        Ending::DeclinedElsewhere => "You have declined the call at another device.".to_owned(),
        Ending::NoConnection => {
            format!("There is no way to {name}'s device: one of the two networks lets no call through.")
        }
        Ending::ConnectionLost => {
            format!(
                "The connection to {name} was lost after {}, and did not come back.",
                duration(ended.answered_s)
            )
        }
        Ending::NoServer => "The server could not be reached in time: try again.".to_owned(),
        Ending::Refused { .. } => match ended.direction {
            Direction::Outgoing => format!("The server does not let you call {name}."),
            Direction::Incoming => "The server does not let you take this call here.".to_owned(),
        },
    }
}

pub(in crate::commands) fn duration(seconds: Option<f64>) -> String {
    let seconds = seconds.unwrap_or_default().round() as u64;
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {} s", seconds % 60),
    }
}

/// Whether a call was none of this process: it rang here, and was not taken.
pub(super) fn only_rang(ended: &EndedCall) -> bool {
    ended.direction == Direction::Incoming
        && matches!(
            ended.outcome,
            Ending::Missed | Ending::AnsweredElsewhere | Ending::DeclinedElsewhere | Ending::DeclinedHere
        )
}

/// What the process says to whoever started it.
pub(super) fn outcome(ended: &EndedCall, report: Option<&CallReport>) -> Outcome {
    match ended.outcome {
        Ending::HungUpHere | Ending::HungUpThere
            if report.is_some_and(|report| report.setup_ms.dtls.is_some()) =>
        {
            Outcome::Good
        }
        Ending::Cancelled => Outcome::Interrupted,
        Ending::NoServer => Outcome::Impossible,
        Ending::HungUpHere
        | Ending::HungUpThere
        | Ending::DeclinedHere
        | Ending::Declined
        | Ending::Busy
        | Ending::NoAnswer
        | Ending::Offline
        | Ending::Missed
        | Ending::AnsweredElsewhere
        | Ending::DeclinedElsewhere
        | Ending::NoConnection
        | Ending::ConnectionLost
        | Ending::Refused { .. } => Outcome::NotGood,
    }
}
