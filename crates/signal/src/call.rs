//! Setting up a call between two users.

use serde::{Deserialize, Serialize};

use crate::id::{CallId, UserId};
use crate::text::{CandidateLine, Handle, IceGeneration, Name, Sdp};

/// What a caller would like to send and see. Either can change in the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CallMedia {
    /// Voice.
    Audio,
    /// Voice and picture.
    Video,
}

/// The other one of a call or a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallPeer {
    /// Who it is.
    pub user: UserId,
    /// What they are found by.
    pub handle: Handle,
    /// What they are called.
    pub name: Name,
}

/// Which half of an offer/answer exchange (RFC 3264) a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum DescriptionKind {
    /// Proposes a session.
    Offer,
    /// Accepts the proposal.
    Answer,
}

/// What two peers tell each other before and beside the media, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CallSignal {
    /// A session description.
    Description {
        /// Offer or answer.
        kind: DescriptionKind,
        /// Numbers the sender's descriptions in this call: 1, 2, 3 …; one with a number that is not higher than the last is
        /// stale.
        #[cfg_attr(feature = "bindings", ts(type = "number"))]
        revision: u32,
        /// The ICE generation that it begins or goes on with.
        generation: IceGeneration,
        /// The description.
        sdp: Sdp,
    },
    /// One network address at which the sender may be reached (RFC 8838).
    Candidate {
        /// The candidate.
        candidate: CandidateLine,
        /// The media section that it belongs to, by its identification tag (RFC 5888).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "bindings", ts(optional))]
        sdp_mid: Option<Box<str>>,
        /// The media section that it belongs to, by its position.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "bindings", ts(optional))]
        sdp_mline_index: Option<u16>,
        /// The ICE generation that it belongs to: those of another than the current one are stale.
        generation: IceGeneration,
    },
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CallStage {
    /// Rings at the other's devices.
    Calling,
    /// Rings here.
    Incoming,
    /// Both are in it.
    Answered,
}

/// A call as one of the two sees it: told in `welcome`, for those whose news were lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallSummary {
    /// Which.
    pub call: CallId,
    /// With whom.
    pub peer: CallPeer,
    /// Voice or picture.
    pub media: CallMedia,
    /// How far it is.
    pub stage: CallStage,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// One of the two hung up.
    HungUp,
    /// The caller gave up before it was answered. Whoever was called has missed it.
    Cancelled,
    /// Whoever was called does not want it.
    Declined,
    /// Whoever was called is in another call.
    Busy,
    /// It rang for as long as it may. Whoever was called has missed it.
    TimedOut,
    /// Another device of the same user took it.
    AnsweredElsewhere,
    /// Another device of the same user declined it.
    DeclinedElsewhere,
    /// The other's session is gone for good. Media may still flow.
    PeerGone,
    /// Both called at once: the other one's call is the call, and this device is in it.
    Merged,
}
