//! The machine as it is shown: everything a window or a command line needs, and nothing of how it is decided.

use std::time::Duration;

use ahoy_signal::{CallId, CallMedia, CallPeer};
use serde::Serialize;

use crate::control::MediaState;
use crate::events::{Outcome, PeerId};
use crate::leg::{Leg, Link};

/// Who called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This user.
    Outgoing,
    /// The other one.
    Incoming,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// The server is asked to let it ring.
    Calling,
    /// It rings at the other's devices.
    Ringing,
    /// It is being taken here.
    Accepting,
    /// Both are in it.
    Answered,
}

/// How the connection to another participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LegStatus {
    /// A path is being looked for, for the first time.
    Connecting,
    /// Media flow.
    Connected,
    /// There was a path, and another is being looked for.
    Reconnecting,
}

/// Another participant of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegSnapshot {
    /// Who.
    pub peer: PeerId,
    /// The connection.
    pub status: LegStatus,
    /// Whether they have put the call on hold.
    pub held: bool,
    /// What they send, if they have said so.
    pub media: Option<MediaState>,
}

impl LegSnapshot {
    pub(crate) fn of(peer: PeerId, leg: &Leg) -> Self {
        let status = match leg.link {
            Link::Connecting { .. } => LegStatus::Connecting,
            Link::Connected => LegStatus::Connected,
            Link::Lost { .. } => LegStatus::Reconnecting,
        };
        Self { peer, status, held: leg.held_there, media: leg.media_there }
    }
}

/// The call that one is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CurrentCall {
    /// Which.
    pub call: CallId,
    /// With whom.
    pub peer: CallPeer,
    /// Who called.
    pub direction: Direction,
    /// With pictures or without.
    pub media: CallMedia,
    /// How far it is.
    pub stage: StageName,
    /// For how long both have been in it.
    pub answered_for: Option<Duration>,
    /// Whether this side has put it on hold.
    pub held: bool,
    /// The other participants.
    pub legs: Vec<LegSnapshot>,
}

/// A call that rings here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IncomingCall {
    /// Which.
    pub call: CallId,
    /// Who calls.
    pub peer: CallPeer,
    /// With pictures or without.
    pub media: CallMedia,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallSnapshot {
    /// The call that one is in, or makes.
    pub current: Option<CurrentCall>,
    /// Calls that ring here, the oldest first.
    pub incoming: Vec<IncomingCall>,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallRecord {
    /// Which.
    pub call: CallId,
    /// With whom.
    pub peer: CallPeer,
    /// Who called.
    pub direction: Direction,
    /// With pictures or without.
    pub media: CallMedia,
    /// How it ended.
    pub outcome: Outcome,
    /// For how long it rang, or was tried.
    pub rang_for: Duration,
    /// For how long both were in it; `None` where it was not answered.
    pub answered_for: Option<Duration>,
}
