//! What happens in a session, typed for window and command line.

use std::time::Duration;

use ahoy_signal::{CallEnd, CallId, CallMedia, CallPeer, Contact, InboxEntry, RoomId, ServerMessage, UserId};
use ahoy_signal_client::ClientEvent;
use ahoy_signal_client::session::{EndReason, Trouble};

pub use ahoy_signal_client::room::RoomEvent;

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalingEvent {
    /// There is a connection.
    Online {
        /// Whether the session goes on as if nothing had happened; otherwise it is a new one.
        resumed: bool,
    },
    /// There is none, and another attempt follows. Calls between two people go on without.
    Offline {
        /// What went wrong.
        trouble: Trouble,
        /// Attempts since the last good connection.
        attempt: u32,
        /// How long until the next one.
        wait: Duration,
    },
    /// Nothing is tried any more until somebody asks for it.
    GaveUp(Trouble),
    /// The session is over. Nothing follows.
    Ended(EndReason),
    /// Something happened in a room that was joined.
    Room {
        /// Which.
        room: RoomId,
        /// What.
        event: RoomEvent,
    },
    /// A contact is new or is like this now.
    Contact(Contact),
    /// Somebody is no contact any more.
    ContactGone(UserId),
    /// One's inbox has a new entry.
    Inbox(Box<InboxEntry>),
    /// Somebody calls.
    CallIncoming {
        /// Which call.
        call: CallId,
        /// Who.
        from: CallPeer,
        /// With pictures or without.
        media: CallMedia,
    },
    /// A call was answered.
    CallAnswered {
        /// Which.
        call: CallId,
        /// With whom.
        peer: CallPeer,
    },
    /// A call is over for this device.
    CallEnded {
        /// Which.
        call: CallId,
        /// Why.
        reason: CallEnd,
    },
}

/// What an event of the session means; `None` for what only a call itself needs.
pub(crate) fn told(event: ClientEvent) -> Option<SignalingEvent> {
    Some(match event {
        ClientEvent::Began(_) => SignalingEvent::Online { resumed: false },
        ClientEvent::Resumed => SignalingEvent::Online { resumed: true },
        ClientEvent::Waiting { trouble, attempt, wait } => SignalingEvent::Offline { trouble, attempt, wait },
        ClientEvent::GaveUp(trouble) => SignalingEvent::GaveUp(trouble),
        ClientEvent::Ended(reason) => SignalingEvent::Ended(reason),
        // For the connections between participants.
        ClientEvent::Room(_, RoomEvent::Signal { .. }) => return None,
        ClientEvent::Room(room, event) => SignalingEvent::Room { room, event },
        // For whoever has posted something.
        ClientEvent::Answered(..) => return None,
        ClientEvent::News(message) => return news(*message),
    })
}

fn news(message: ServerMessage) -> Option<SignalingEvent> {
    match message {
        ServerMessage::Contact { contact } => Some(SignalingEvent::Contact(contact)),
        ServerMessage::ContactGone { user } => Some(SignalingEvent::ContactGone(user)),
        ServerMessage::InboxEntry { entry } => Some(SignalingEvent::Inbox(Box::new(entry))),
        ServerMessage::CallIncoming { call, from, media, .. } => {
            Some(SignalingEvent::CallIncoming { call, from, media })
        }
        ServerMessage::CallAnswered { call, peer, .. } => Some(SignalingEvent::CallAnswered { call, peer }),
        ServerMessage::CallEnded { call, reason } => Some(SignalingEvent::CallEnded { call, reason }),
        // Of a call that this device is not in, or answers, which are not told as news.
        ServerMessage::CallSignal { .. }
        | ServerMessage::Link { .. }
        | ServerMessage::CallRinging { .. }
        | ServerMessage::Welcome(_)
        | ServerMessage::Resumed { .. }
        | ServerMessage::Done {}
        | ServerMessage::Error(_)
        | ServerMessage::Pong {}
        | ServerMessage::Reconnect { .. }
        | ServerMessage::IceServers { .. }
        | ServerMessage::Contacts { .. }
        | ServerMessage::Inbox { .. }
        | ServerMessage::Rooms { .. }
        | ServerMessage::Room { .. }
        | ServerMessage::Joined { .. }
        | ServerMessage::Waiting { .. }
        | ServerMessage::Left { .. }
        | ServerMessage::Delta { .. }
        | ServerMessage::Snapshot { .. }
        | ServerMessage::Checkpoint { .. }
        | ServerMessage::Lobby { .. }
        | ServerMessage::MuteRequested { .. }
        | ServerMessage::RoomSignal { .. } => None,
    }
}
