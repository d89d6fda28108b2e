//! A call that rings here.

use std::time::Instant;

use ahoy_signal::{CallId, CallMedia, CallPeer};

use crate::events::Outcome;
use crate::snapshot::{CallRecord, Direction, IncomingCall};

#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) call: CallId,
    pub(crate) peer: CallPeer,
    pub(crate) media: CallMedia,
    pub(crate) began: Instant,
    pub(crate) until: Instant,
    /// Sooner, where the server has forgotten it.
    pub(crate) forgotten: Option<Instant>,
}

impl Incoming {
    /// When it rings no longer.
    pub(crate) fn deadline(&self) -> Instant {
        self.forgotten.map_or(self.until, |forgotten| forgotten.min(self.until))
    }

    pub(crate) fn snapshot(&self) -> IncomingCall {
        IncomingCall { call: self.call, peer: self.peer.clone(), media: self.media }
    }

    /// What is left of it, where it was not taken here.
    pub(crate) fn into_record(self, outcome: Outcome, now: Instant) -> CallRecord {
        CallRecord {
            call: self.call,
            peer: self.peer,
            direction: Direction::Incoming,
            media: self.media,
            outcome,
            rang_for: now.saturating_duration_since(self.began),
            answered_for: None,
        }
    }
}
