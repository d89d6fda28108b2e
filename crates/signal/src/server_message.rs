//! What the server says.

use serde::{Deserialize, Serialize};

use crate::call::{CallEnd, CallMedia, CallPeer, CallSignal, CallSummary};
use crate::contact::Contact;
use crate::error::Refusal;
use crate::ice::{IceServer, few};
use crate::id::{CallId, DeviceId, LinkEnd, ParticipantId, SessionId, UserId};
use crate::inbox::InboxEntry;
use crate::link::LinkSaid;
use crate::room::{LeaveReason, PositionedDelta, Role, RoomDelta, RoomInfo, RoomSnapshot, WaitingGuest};
use crate::text::{Handle, Name, ResumeToken};

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Welcome {
    /// The session.
    pub session: SessionId,
    /// Resumes it, once.
    pub resume_token: ResumeToken,
    /// How long it waits to be resumed, in seconds.
    pub resume_window_s: u32,
    /// How often to `ping`, in seconds. After two and a half times that without a message either side gives the connection
    /// up.
    pub heartbeat_s: u32,
    /// When the access token runs out, in seconds from now. `reauth` before that.
    pub token_expires_in_s: u32,
    /// Who one is.
    pub user: UserId,
    /// Which of one's devices this is.
    pub device: DeviceId,
    /// Absent for guests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub handle: Option<Handle>,
    /// What one is called.
    pub name: Name,
    /// The server's name and version.
    pub server: String,
    /// Calls that one has part in.
    pub calls: Vec<CallSummary>,
}

macro_rules! server_messages {
    ($($(#[$doc:meta])* $tag:literal $name:ident $(($inner:ty))? $({ $($(#[$field_attr:meta])* $field:ident: $type:ty,)* })?)*) => {
        /// A message from the server to a client.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
        #[serde(tag = "type")]
        pub enum ServerMessage {
            $($(#[$doc])* #[serde(rename = $tag)] $name $(($inner))? $({ $($(#[$field_attr])* $field: $type,)* })?,)*
        }

        impl ServerMessage {
            /// The `type` of each.
            pub const TYPES: &[&str] = &[$($tag,)*];

            /// The `type` of this one.
            pub const fn kind(&self) -> &'static str {
                match self { $(server_messages!(@pattern $name $(($inner))? $({ $($field)* })?) => $tag,)* }
            }
        }
    };
    (@pattern $name:ident ($inner:ty)) => { Self::$name(_) };
    (@pattern $name:ident { $($field:ident)* }) => { Self::$name { .. } };
}

server_messages! {
    /// A session is open.
    "welcome" Welcome(Welcome)
    /// A session goes on. What was missed of it follows.
    "resumed" Resumed {
        /// Resumes it the next time, once.
        resume_token: ResumeToken,
        /// When the access token runs out, in seconds from now.
        token_expires_in_s: u32,
        /// The highest request number that the server has: what has a higher one must be sent again.
        #[cfg_attr(feature = "bindings", ts(type = "number"))]
        last_request: u64,
    }
    /// Done. Where it changed a room, `pos` says where in its history.
    "done" Done {}
    /// Not done.
    "error" Error(Refusal)
    /// The answer to `ping`.
    "pong" Pong {}
    /// The server is stopping: it closes the connection, and this long after that one connects again.
    "reconnect" Reconnect {
        /// Random for each, so that not all come at once.
        #[cfg_attr(feature = "bindings", ts(type = "number"))]
        after_ms: u64,
    }

    /// Servers that help to reach others, with credentials of one's own.
    "ice_servers" IceServers {
        /// At most [`limits::ICE_SERVERS_MOST`](crate::limits::ICE_SERVERS_MOST); none where this server knows of none.
        #[serde(deserialize_with = "few")]
        servers: Vec<IceServer>,
        /// For how long the credentials allow to begin something, in seconds; what has begun goes on.
        expires_in_s: u32,
    }

    /// All contacts.
    "contacts" Contacts {
        /// In the order of their names.
        contacts: Vec<Contact>,
    }
    /// A contact is new or is like this now.
    "contact" Contact {
        /// The contact.
        contact: Contact,
    }
    /// A contact is none any more.
    "contact_gone" ContactGone {
        /// Who.
        user: UserId,
    }

    /// What is new in one's inbox.
    "inbox" Inbox {
        /// In order. There is more as long as the last one's number is below `last`.
        entries: Vec<InboxEntry>,
        /// The number of the newest entry; 0 where there has been none.
        #[cfg_attr(feature = "bindings", ts(type = "number"))]
        last: u64,
    }
    /// One's inbox has a new entry. Where its number is not the next, `inbox` tells what is missing.
    "inbox_entry" InboxEntry {
        /// The entry.
        entry: InboxEntry,
    }

    /// One's rooms: those whose host one is, and those one is in.
    "rooms" Rooms {
        /// In the order of their names.
        rooms: Vec<RoomInfo>,
    }
    /// A room that was made.
    "room" Room {
        /// The room.
        room: RoomInfo,
    }
    /// One is in the room, and has now seen all up to `pos`.
    "joined" Joined {
        /// Who one is there.
        participant: ParticipantId,
        /// What one may do there.
        role: Role,
        /// Whether `missed` continues what one said one had seen.
        recovered: bool,
        /// What one has missed, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "bindings", ts(optional, as = "Option<Vec<PositionedDelta>>"))]
        missed: Vec<PositionedDelta>,
        /// The whole room, where it was not recovered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "bindings", ts(optional))]
        snapshot: Option<Box<RoomSnapshot>>,
    }
    /// Someone has to let one in; `joined` or `left` follows.
    "waiting" Waiting {
        /// Who one would be there.
        participant: ParticipantId,
    }
    /// One is no longer in the room, or no longer waiting for it.
    "left" Left {
        /// Why.
        reason: LeaveReason,
    }
    /// The room has changed; `pos` numbers the change.
    "delta" Delta {
        /// How.
        delta: RoomDelta,
    }
    /// The whole room at `pos`, where changes could not be delivered one by one.
    "snapshot" Snapshot {
        /// The room.
        snapshot: Box<RoomSnapshot>,
    }
    /// What the state of the room at `pos` amounts to: whoever finds another hash asks for `sync`.
    "checkpoint" Checkpoint {
        /// See `RoomState::hash`.
        hash: String,
    }
    /// Who waits for the room, for those who may let them in.
    "lobby" Lobby {
        /// All of them, in the order they came.
        waiting: Vec<WaitingGuest>,
    }
    /// A moderator asks one to mute oneself.
    "mute_requested" MuteRequested {
        /// Who.
        by: ParticipantId,
    }
    /// Someone in the room tells one something about the connection between the two.
    "room_signal" RoomSignal {
        /// Who.
        from: ParticipantId,
        /// Which connection.
        connection: u32,
        /// What.
        signal: CallSignal,
    }

    /// It rings.
    "call_ringing" CallRinging {
        /// Which.
        call: CallId,
        /// At how many devices.
        devices: u32,
        /// For how long at most, in seconds.
        timeout_s: u32,
    }
    /// Someone calls.
    "call_incoming" CallIncoming {
        /// Which.
        call: CallId,
        /// Who.
        from: CallPeer,
        /// With pictures or without.
        media: CallMedia,
        /// For how long at most it rings, in seconds.
        timeout_s: u32,
    }
    /// The call is answered: both sides are told, and signals go both ways from now on.
    "call_answered" CallAnswered {
        /// Which.
        call: CallId,
        /// With whom.
        peer: CallPeer,
        /// Whether this side offers first, and is the impolite one when offers cross (W3C WebRTC section 10.7).
        offers: bool,
    }
    /// The other side says something.
    "call_signal" CallSignal {
        /// Which.
        call: CallId,
        /// What.
        signal: CallSignal,
    }
    /// The call is over, for this device.
    "call_ended" CallEnded {
        /// Which.
        call: CallId,
        /// Why.
        reason: CallEnd,
    }

    /// A contact's program says something about a connection beside calls.
    "link" Link {
        /// Whose.
        from: CallPeer,
        /// Its end.
        end: LinkEnd,
        /// The end that it is for; all of one's programs, without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "bindings", ts(optional))]
        at: Option<LinkEnd>,
        /// What.
        said: LinkSaid,
    }
}
