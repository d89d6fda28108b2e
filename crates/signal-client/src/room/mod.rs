//! A room, kept like everybody's who is in it.

mod changes;
mod replica;

use ahoy_signal::{
    CallSignal, ChatMessage, ClientMessage, LeaveReason, Name, Participant, ParticipantId, Refusal, Role,
    RoomSettings, RoomSnapshot, StateEntry, WaitingGuest,
};

pub use self::replica::{PUT_OFF_MOST, RoomReplica};
use crate::session::Tag;

/// Tells the answers to a replica's questions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u64);

/// What a replica wants.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomOutput {
    /// Ask this about the room, and hand the answer to [`RoomReplica::answered`].
    Follow(Turn, ClientMessage),
    /// Ask this about the room; nobody waits for the answer.
    Say(ClientMessage),
    /// Ask this about the room again, for whoever asked it first: see [`RoomReplica::put_off`].
    Again(Tag, ClientMessage),
    /// Tell this.
    Event(RoomEvent),
}

/// What happens in a room. Whatever is lost on the way, each line of chat is told once.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomEvent {
    /// Someone has to let one in.
    Waiting,
    /// One is in the room.
    Entered {
        /// Who one is there.
        participant: ParticipantId,
        /// What one may do there.
        role: Role,
        /// Whether one was in it before, and only the connection was lost: what has changed since follows as events.
        again: bool,
        /// The room as it is.
        room: Box<RoomSnapshot>,
    },
    /// Somebody came.
    Came(Participant),
    /// Somebody went.
    Went(Participant),
    /// Somebody has another role or name, or their connection was lost or found.
    Changed(Participant),
    /// Somebody says something about themselves.
    State {
        /// Who.
        participant: Participant,
        /// What.
        entry: StateEntry,
    },
    /// Somebody said something.
    Chat(ChatMessage),
    /// The room is called and set up like this now.
    Settings {
        /// What it is called.
        name: Name,
        /// How it is set up.
        settings: RoomSettings,
    },
    /// These wait for the room; told to those who may let them in.
    Lobby(Vec<WaitingGuest>),
    /// A moderator asks one to mute oneself.
    MuteRequested {
        /// Who.
        by: ParticipantId,
    },
    /// Somebody says something about the connection between them and this client.
    Signal {
        /// Who.
        from: ParticipantId,
        /// Which connection.
        connection: u32,
        /// What.
        signal: Box<CallSignal>,
    },
    /// One is not in the room any more.
    Left(LeaveReason),
    /// One can't enter the room.
    Refused(Refusal),
}
