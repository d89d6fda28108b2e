//! The call that one is in, or makes.

use std::collections::BTreeMap;
use std::time::Instant;

use ahoy_signal::{CallId, CallMedia, CallPeer};

use crate::events::{Outcome, PeerId};
use crate::leg::Leg;
use crate::snapshot::{CallRecord, CurrentCall, Direction, LegSnapshot, StageName};

/// How far the current call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The server is asked to let it ring.
    Calling { until: Instant },
    /// It rings there.
    Ringing { until: Instant },
    /// The server is asked to connect it here.
    Accepting { until: Instant },
    /// Both are in it.
    Answered { at: Instant },
}

impl Stage {
    /// When it is over by itself.
    pub(crate) fn until(self) -> Option<Instant> {
        match self {
            Stage::Calling { until } | Stage::Ringing { until } | Stage::Accepting { until } => Some(until),
            Stage::Answered { .. } => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) call: CallId,
    pub(crate) peer: CallPeer,
    pub(crate) direction: Direction,
    pub(crate) media: CallMedia,
    pub(crate) began: Instant,
    pub(crate) stage: Stage,
    pub(crate) legs: BTreeMap<PeerId, Leg>,
    pub(crate) held: bool,
    /// Whether the server knows of the call. One that has restarted does not.
    pub(crate) server_knows: bool,
    pub(crate) recall: Option<Recall>,
}

/// A server that has forgotten the call is asked for it once more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recall {
    /// As long as this, the other side may be without a session itself.
    pub(crate) until: Instant,
    /// When to ask again.
    pub(crate) at: Option<Instant>,
}

impl Current {
    pub(crate) fn snapshot(&self, now: Instant) -> CurrentCall {
        let stage = match self.stage {
            Stage::Calling { .. } => StageName::Calling,
            Stage::Ringing { .. } => StageName::Ringing,
            Stage::Accepting { .. } => StageName::Accepting,
            Stage::Answered { .. } => StageName::Answered,
        };
        let legs = self.legs.iter().map(|(peer, leg)| LegSnapshot::of(*peer, leg));
        CurrentCall {
            call: self.call,
            peer: self.peer.clone(),
            direction: self.direction,
            media: self.media,
            stage,
            answered_for: self.answered_at().map(|at| now.saturating_duration_since(at)),
            held: self.held,
            legs: legs.collect(),
        }
    }

    /// When both were in it.
    fn answered_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Answered { at } => Some(at),
            Stage::Calling { .. } | Stage::Ringing { .. } | Stage::Accepting { .. } => None,
        }
    }

    /// What is left of it.
    pub(crate) fn into_record(self, outcome: Outcome, now: Instant) -> CallRecord {
        let answered = self.answered_at();
        CallRecord {
            call: self.call,
            peer: self.peer,
            direction: self.direction,
            media: self.media,
            outcome,
            rang_for: answered.unwrap_or(now).saturating_duration_since(self.began),
            answered_for: answered.map(|at| now.saturating_duration_since(at)),
        }
    }
}
