//! The signaling protocol, shared by server, client and guest page: what is said, and what it means for the state of a
//! room. Pure data and decisions; docs/signaling.md tells the whole story.
//!
//! - Envelopes ([`ClientEnvelope`], [`ServerEnvelope`]) carry [`ClientMessage`]s to the server and [`ServerMessage`]s back, as JSON over a WebSocket.
//! - [`RoomState`] is a room as everyone in it sees it. The server changes it by [`RoomDelta`]s, and whoever applies the same
//!   deltas in the same order has the same state.
//! - [`account`] holds what is asked over HTTP: accounts, sign-in, tokens, invites; [`paths`] says where.

#![forbid(unsafe_code)]

pub mod account;
mod call;
mod client_message;
mod contact;
mod envelope;
mod error;
mod ice;
mod id;
mod inbox;
pub mod limits;
mod link;
pub mod paths;
mod room;
mod server_message;
mod text;

pub use call::{CallEnd, CallMedia, CallPeer, CallSignal, CallStage, CallSummary, DescriptionKind};
pub use client_message::{ClientInfo, ClientMessage};
pub use contact::{Contact, ContactStanding, Presence};
pub use envelope::{
    ClientEnvelope, Epoch, MalformedMessage, Position, RequestId, ServerEnvelope, VERSION,
    read_client_message,
};
pub use error::{CloseCode, ErrorCode, Refusal};
pub use ice::IceServer;
pub use id::{
    CallId, ChatId, DeviceId, IdError, InviteId, LinkEnd, MessageId, ParticipantId, RoomId, SessionId, UserId,
};
pub use inbox::{InboxEntry, InboxItem, MessageMark};
pub use link::LinkSaid;
pub use room::{
    Action, ChatMessage, LeaveReason, Link, Participant, ParticipantState, PositionedDelta, Role, RoomDelta,
    RoomInfo, RoomSettings, RoomSettingsChange, RoomSnapshot, RoomState, StateEntry, StateKey, SyncError,
    Track, TrackKind, Tracks, WaitingGuest,
};
pub use server_message::{ServerMessage, Welcome};
pub use text::{
    AccessToken, CandidateLine, ChatText, Handle, IceCredential, IceGeneration, IceUrl, IceUsername,
    InviteToken, Name, Password, RecoveryCode, RefreshToken, ResumeToken, Sdp, TextError,
};
