//! What is known of the path, for those who look at it.

use serde::Serialize;

/// Between which rates, in bits per second on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Never less: sound alone.
    pub min: f64,
    /// Before anything is known.
    pub start: f64,
    /// Never more: all that can be used.
    pub max: f64,
}

/// Why the target is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum Reason {
    /// Nothing is known yet.
    Start,
    /// Frames arrive as they left: the path carries more.
    Headroom,
    /// A little more at a time, or less: there is about as much in the queue as there should be.
    Balance,
    /// A queue has grown: it is let run empty.
    Drain,
    /// Somebody else keeps the queue full, whatever is sent here.
    Compete,
    /// Packets are lost, and it is tried whether fewer are with less.
    Loss,
    /// Nothing is heard from the other side.
    Silence,
}

/// The state of the sending side, for those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NetworkEstimate {
    /// What may be sent, with all headers, in bits per second.
    pub target: f64,
    /// What of it new pictures may take; `None` where so much waits that the next one should not be made.
    pub video: Option<f64>,
    /// What a picture may take that needs none before it: what waits is left out for it.
    pub afresh: f64,
    /// How fast a picture that is larger than others leaves, in bits per second.
    pub burst: f64,
    /// What is sent, in bits per second.
    pub sent: f64,
    /// What arrives at the other side, in bits per second.
    pub acknowledged: f64,
    /// Time that packets wait in queues, in milliseconds.
    pub queue_ms: f64,
    /// Share of packets that are lost, 0 to 1.
    pub loss: f64,
    /// The share of losses that is to be reckoned with, 0 to 1: the most that a queue does not explain, slowly forgotten.
    pub expected_loss: f64,
    /// Round trip, in milliseconds, with the time until the report was sent.
    pub rtt_ms: f64,
    /// The shortest round trip so far, in milliseconds, which is without queues and with next to no time until a report; 0
    /// where there was none.
    pub least_rtt_ms: f64,
    /// Why the target changed last.
    pub reason: Reason,
}
