//! Rooms: one machine each decides, one task each carries it out.

pub mod actor;
pub mod directory;
pub mod log;
pub mod machine;
mod people;
mod requests;

use ahoy_signal::{
    CallSignal, ChatText, ClientMessage, ParticipantId, Position, Role, RoomSettingsChange, StateEntry,
};

/// What is asked of a room.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomRequest {
    /// See [`ClientMessage::Join`].
    Join(Option<Position>),
    /// See [`ClientMessage::Leave`].
    Leave,
    /// See [`ClientMessage::Sync`].
    Sync(Option<Position>),
    /// See [`ClientMessage::Admit`].
    Admit(ParticipantId),
    /// See [`ClientMessage::Remove`].
    Remove(ParticipantId),
    /// See [`ClientMessage::SetRole`].
    SetRole(ParticipantId, Role),
    /// See [`ClientMessage::SetState`].
    SetState(StateEntry),
    /// See [`ClientMessage::Mute`].
    Mute(ParticipantId),
    /// See [`ClientMessage::RoomSignal`].
    Signal(ParticipantId, u32, Box<CallSignal>),
    /// See [`ClientMessage::Chat`].
    Chat(ChatText),
    /// See [`ClientMessage::RoomChange`].
    Change(RoomSettingsChange),
    /// See [`ClientMessage::RoomDelete`].
    Delete,
}

impl RoomRequest {
    /// What a message asks of a room.
    ///
    /// # Errors
    /// The message, where it asks nothing of a room that there is.
    pub fn read(message: ClientMessage) -> Result<Self, Box<ClientMessage>> {
        Ok(match message {
            ClientMessage::Join { since } => Self::Join(since),
            ClientMessage::Leave {} => Self::Leave,
            ClientMessage::Sync { since } => Self::Sync(since),
            ClientMessage::Admit { participant } => Self::Admit(participant),
            ClientMessage::Remove { participant } => Self::Remove(participant),
            ClientMessage::SetRole { participant, role } => Self::SetRole(participant, role),
            ClientMessage::SetState { entry } => Self::SetState(entry),
            ClientMessage::Mute { participant } => Self::Mute(participant),
            ClientMessage::RoomSignal { to, connection, signal } => {
                Self::Signal(to, connection, Box::new(signal))
            }
            ClientMessage::Chat { text } => Self::Chat(text),
            ClientMessage::RoomChange { change } => Self::Change(change),
            ClientMessage::RoomDelete {} => Self::Delete,
            other @ (ClientMessage::Hello { .. }
            | ClientMessage::Resume { .. }
            | ClientMessage::Reauth { .. }
            | ClientMessage::Ping {}
            | ClientMessage::Bye {}
            | ClientMessage::IceServers {}
            | ClientMessage::Contacts {}
            | ClientMessage::ContactAdd { .. }
            | ClientMessage::ContactRemove { .. }
            | ClientMessage::ContactBlock { .. }
            | ClientMessage::Inbox { .. }
            | ClientMessage::Message { .. }
            | ClientMessage::MessageMark { .. }
            | ClientMessage::Rooms {}
            | ClientMessage::RoomCreate { .. }
            | ClientMessage::Call { .. }
            | ClientMessage::CallAccept { .. }
            | ClientMessage::CallDecline { .. }
            | ClientMessage::CallHangUp { .. }
            | ClientMessage::CallSignal { .. }
            | ClientMessage::Link { .. }) => return Err(Box::new(other)),
        })
    }
}
