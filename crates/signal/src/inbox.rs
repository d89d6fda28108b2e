//! What somebody is told whether or not they are there: messages of their contacts, how far their own have come, calls that
//! they missed.
//!
//! A user has one inbox, whose entries are numbered: a device that knows entry 7 asks for what came after 7, and whatever it
//! missed is there. Everything that a user's devices have to know of each other (messages sent from another one, what was read
//! there) is an entry too.

use serde::{Deserialize, Serialize};

use crate::call::{CallMedia, CallPeer};
use crate::id::{CallId, MessageId, UserId};
use crate::text::ChatText;

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum MessageMark {
    /// One of the receiver's devices has it.
    Delivered,
    /// The receiver has seen it.
    Read,
}

/// One thing that a user is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct InboxEntry {
    /// Its place: each is one more than the last. The first ones may be gone, those of a long time ago are forgotten.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub number: u64,
    /// When the server had it, in milliseconds since 1970 by the server's clock.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub at_ms: u64,
    /// What it is.
    pub item: InboxItem,
}

/// What a user is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum InboxItem {
    /// A message, of a contact or to one.
    Message {
        /// Which.
        message: MessageId,
        /// The contact.
        with: CallPeer,
        /// Whether the user has sent it.
        sent: bool,
        /// What it says.
        text: ChatText,
    },
    /// All messages of a conversation up to one, in one direction, have come this far.
    Marked {
        /// The contact.
        with: UserId,
        /// Up to which.
        message: MessageId,
        /// How far.
        mark: MessageMark,
        /// Whether they are the user's own, which the contact has; otherwise the contact's, which the user has.
        sent: bool,
    },
    /// Somebody has called in vain.
    MissedCall {
        /// Which call.
        call: CallId,
        /// Who.
        from: CallPeer,
        /// With pictures or without.
        media: CallMedia,
    },
}
