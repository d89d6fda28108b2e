//! What the history looks like from outside.

use ahoy_call::Outcome;
use ahoy_signal::{CallId, CallPeer, MessageId};
use serde::Serialize;

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Somebody has written it to oneself.
    Received,
    /// The server does not have it yet.
    Sending,
    /// The server has it.
    Sent,
    /// It has reached one of their devices.
    Delivered,
    /// They have seen it.
    Read,
    /// The server does not take it: they are no contact any more.
    Failed,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Message {
    /// Which.
    pub message: MessageId,
    /// What it says.
    pub text: String,
    /// When it was written, in milliseconds since 1970: by the server's clock, where the server has it.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub at_ms: u64,
    /// How far it is, and so who wrote it.
    pub state: MessageState,
}

/// Somebody one has written with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Conversation {
    /// Who.
    pub with: CallPeer,
    /// The newest message.
    pub last: Message,
    /// How many of their messages one has not seen.
    pub unread: u32,
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PastCall {
    /// Which.
    pub call: CallId,
    /// With whom.
    pub with: CallPeer,
    /// Whether one has called them.
    pub outgoing: bool,
    /// Whether it was asked for with pictures.
    pub video: bool,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// When it began to ring, in milliseconds since 1970.
    pub at_ms: u64,
    /// For how long both were in it, in seconds; `None` where nobody answered.
    pub seconds: Option<f64>,
    /// Whether one knows of it: a missed call is new until it was looked at.
    pub seen: bool,
}
