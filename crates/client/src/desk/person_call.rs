//! Calls with people, as the window shows them.

use ahoy_signal::CallMedia;
use serde::Serialize;

use super::CallSummary;
use super::room::CallLink;
use crate::calls::{CallReport, CallSnapshot, Direction, EndedCall, LegStatus, Outcome, StageName};

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CallStage {
    /// The server is asked to let it ring.
    Calling,
    /// It rings there.
    Ringing,
    /// One waits to be let in.
    Waiting,
    /// It is taken, and a way between the two is looked for.
    Connecting,
    /// The two see and hear each other.
    Connected,
    /// The way was lost, and another is looked for.
    Reconnecting,
}

/// The call that one is in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PersonCall {
    /// Who: their id; empty where nobody is there yet.
    pub user: String,
    /// What they are found by.
    pub handle: String,
    /// What they are called.
    pub name: String,
    /// Whether one has called them.
    pub outgoing: bool,
    /// How far it is.
    pub stage: CallStage,
    /// Whether one has put it on hold.
    pub held: bool,
    /// Whether they have.
    pub held_there: bool,
    /// Whether their microphone is off.
    pub muted_there: bool,
    /// Whether they send pictures; null until they have said so.
    pub camera_there: Option<bool>,
    /// Whether their pictures are held back for now, because their connection carries nothing but sound.
    pub paused_there: bool,
    /// What others join it by; null for a call between two contacts.
    pub link: Option<CallLink>,
    /// Whether this computer is the server, and people on the same network find the call.
    pub hosted: bool,
    /// Those who wait to be let in.
    pub lobby: Vec<LobbyGuest>,
}

/// Somebody who waits to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LobbyGuest {
    /// Names them in commands.
    pub participant: String,
    /// What they call themselves.
    pub name: String,
}

/// A call that rings here.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct RingingCall {
    /// Names it in commands.
    pub call: String,
    /// What they are found by.
    pub handle: String,
    /// What they are called.
    pub name: String,
    /// Whether with pictures.
    pub video: bool,
}

/// All calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallsView {
    /// The call that one is in, or makes.
    pub current: Option<PersonCall>,
    /// Calls that ring here, the oldest first.
    pub ringing: Vec<RingingCall>,
}

/// With whom a call was, and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallEnding {
    /// What they are found by.
    pub handle: String,
    /// What they are called.
    pub name: String,
    /// Whether one has called them.
    pub outgoing: bool,
    /// How it ended.
    pub how: Ending,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// One of the two hung up.
    HungUp,
    /// One has given up calling.
    Cancelled,
    /// One has declined it.
    DeclinedHere,
    /// They have declined it.
    Declined,
    /// They are in another call.
    Busy,
    /// They did not answer.
    NoAnswer,
    /// They are not online.
    Offline,
    /// It rang here, and nobody took it.
    Missed,
    /// It was taken, or declined, at another of one's devices.
    Elsewhere,
    /// No way was found between the two.
    NoConnection,
    /// The way was lost and did not come back.
    ConnectionLost,
    /// The server could not be asked in time.
    NoServer,
    /// The server does not allow it.
    Refused,
    /// One was not let in.
    NotAdmitted,
    /// One was made to leave.
    Removed,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::HungUpHere | Outcome::HungUpThere => Self::HungUp,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::DeclinedHere => Self::DeclinedHere,
            Outcome::Declined => Self::Declined,
            Outcome::Busy => Self::Busy,
            Outcome::NoAnswer => Self::NoAnswer,
            Outcome::Offline => Self::Offline,
            Outcome::Missed => Self::Missed,
            Outcome::AnsweredElsewhere | Outcome::DeclinedElsewhere => Self::Elsewhere,
            Outcome::NoConnection => Self::NoConnection,
            Outcome::ConnectionLost => Self::ConnectionLost,
            Outcome::NoServer => Self::NoServer,
            Outcome::Refused { .. } => Self::Refused,
        }
    }
}

impl CallsView {
    pub(super) fn of(snapshot: &CallSnapshot) -> Self {
        let current = snapshot.current.as_ref().map(|current| {
            let leg = current.legs.first();
            let media = leg.and_then(|leg| leg.media);
            PersonCall {
                user: current.peer.user.to_string(),
                handle: current.peer.handle.to_string(),
                name: current.peer.name.to_string(),
                outgoing: current.direction == Direction::Outgoing,
                stage: match (current.stage, leg.map(|leg| leg.status)) {
                    (StageName::Calling, _) => CallStage::Calling,
                    (StageName::Ringing, _) => CallStage::Ringing,
                    (StageName::Answered, Some(LegStatus::Connected)) => CallStage::Connected,
                    (StageName::Answered, Some(LegStatus::Reconnecting)) => CallStage::Reconnecting,
                    (StageName::Accepting, _) | (StageName::Answered, Some(LegStatus::Connecting) | None) => {
                        CallStage::Connecting
                    }
                },
                held: current.held,
                held_there: leg.is_some_and(|leg| leg.held),
                muted_there: media.is_some_and(|media| !media.microphone),
                camera_there: media.map(|media| media.camera),
                paused_there: media.is_some_and(|media| media.paused),
                link: None,
                hosted: false,
                lobby: Vec::new(),
            }
        });
        let ringing = snapshot.incoming.iter().map(|call| RingingCall {
            call: call.call.to_string(),
            handle: call.peer.handle.to_string(),
            name: call.peer.name.to_string(),
            video: call.media == CallMedia::Video,
        });
        Self { current, ringing: ringing.collect() }
    }
}

impl CallEnding {
    /// Of a call by link with nobody yet.
    pub(super) fn of_room(how: Ending) -> Self {
        Self { handle: String::new(), name: String::new(), outgoing: true, how }
    }
}

impl From<EndedCall> for CallEnding {
    fn from(ended: EndedCall) -> Self {
        Self {
            handle: ended.handle.to_string(),
            name: ended.name.to_string(),
            outgoing: ended.direction == Direction::Outgoing,
            how: ended.outcome.into(),
        }
    }
}

/// What a call was worth, in a few figures.
pub(super) fn summary(ended: EndedCall, report: &CallReport) -> CallSummary {
    let received = Some(&report.received).filter(|received| received.frames_shown > 0);
    let setup = &report.setup_ms;
    CallSummary {
        seconds: ended.answered_s.unwrap_or_default(),
        ok: report.ok,
        problems: report.problems.clone(),
        // For whoever called it begins with the answer.
        setup_ms: setup.dtls.zip(setup.answered).map(|(dtls, answered)| (dtls - answered).max(0.0)),
        fps: received.map(|received| received.fps),
        freezes: received.map(|received| received.freezes),
        bitrate_kbps: Some(report.sent.video_kbps).filter(|kbps| *kbps > 0.0),
        with: Some(ended.into()),
        ..CallSummary::default()
    }
}
