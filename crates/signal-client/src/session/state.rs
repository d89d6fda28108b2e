//! Where a session and its connection stand.

use std::time::{Duration, Instant};

use ahoy_signal::{AccessToken, ResumeToken, SessionId};

/// Where the connection stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Waits before it connects.
    Offline { until: Instant },
    /// Waits for an access token that opens a new session.
    Authorizing { until: Instant },
    /// Waits for the connection to open.
    Connecting { until: Instant, opening: Opening },
    /// Has said `hello` or `resume`.
    Opening { until: Instant, opening: Opening },
    /// All is well.
    Online { since: Instant, heartbeat: Heartbeat, token: Token },
    /// Has said `bye`.
    Leaving { until: Instant },
    /// Has tried for long enough.
    GaveUp,
    /// Over.
    Ended,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Opening {
    Hello(AccessToken),
    Resume,
}

/// Whether both sides hear each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Heartbeat {
    pub(super) next_ping: Instant,
    /// Until when something must be heard, while a ping is unanswered.
    pub(super) pong_until: Option<Instant>,
}

/// What becomes of the access token that keeps the session open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    /// A fresh one is due then.
    Due(Instant),
    /// It is being fetched, until then at most.
    Fetching(Instant),
    /// It is being told to the server; the next one is due then.
    Telling { next: Instant },
}

/// What the server knows us by, and how far we are.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) resume_token: ResumeToken,
    pub(super) window: Duration,
    pub(super) heartbeat: Duration,
    /// The last `seq` received, without gaps.
    pub(super) seen: u64,
    /// The last `seq` acknowledged.
    pub(super) acked: u64,
    /// Bytes received since then.
    pub(super) unacked_bytes: usize,
    /// Since when it has no connection.
    pub(super) lost_at: Option<Instant>,
    /// Whether the last connection ended because a message was missing.
    pub(super) gap: bool,
}
