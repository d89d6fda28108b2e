//! What a client says.

use serde::{Deserialize, Serialize};

use crate::call::{CallMedia, CallSignal};
use crate::envelope::Position;
use crate::id::{CallId, LinkEnd, MessageId, ParticipantId, SessionId, UserId};
use crate::inbox::MessageMark;
use crate::limits;
use crate::link::LinkSaid;
use crate::room::{Role, RoomSettings, RoomSettingsChange, StateEntry};
use crate::text::{AccessToken, ChatText, Handle, Name, ResumeToken};

/// Which program it is, for the server's log and the list of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(try_from = "RawClientInfo")]
pub struct ClientInfo {
    /// Such as `ahoy-cli`.
    pub name: String,
    /// Such as `0.1.0`.
    pub version: String,
}

#[derive(Deserialize)]
struct RawClientInfo {
    name: String,
    version: String,
}

impl TryFrom<RawClientInfo> for ClientInfo {
    type Error = &'static str;

    fn try_from(raw: RawClientInfo) -> Result<Self, Self::Error> {
        let good = |text: &str| {
            (1..=limits::CLIENT_INFO_LONGEST).contains(&text.len())
                && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        };
        match good(&raw.name) && good(&raw.version) {
            true => Ok(Self { name: raw.name, version: raw.version }),
            false => Err("a client's name and version are short and in ASCII"),
        }
    }
}

macro_rules! client_messages {
    ($($(#[$doc:meta])* $tag:literal $name:ident { $($(#[$field_attr:meta])* $field:ident: $type:ty,)* })*) => {
        /// A message from a client to the server. All but `ping` are answered.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
        #[serde(tag = "type")]
        pub enum ClientMessage {
            $($(#[$doc])* #[serde(rename = $tag)] $name { $($(#[$field_attr])* $field: $type,)* },)*
        }

        impl ClientMessage {
            /// The `type` of each.
            pub const TYPES: &[&str] = &[$($tag,)*];

            /// The `type` of this one.
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$name { .. } => $tag,)* }
            }
        }
    };
}

client_messages! {
    /// Opens a new session. Answered by `welcome`.
    "hello" Hello {
        /// Who one is. A token opens one connection.
        token: AccessToken,
        /// Which program it is.
        client: ClientInfo,
    }
    /// Takes up a session that lost its connection. Answered by `resumed`, then by everything that was missed.
    "resume" Resume {
        /// Which.
        session: SessionId,
        /// The token of the last `welcome` or `resumed`, which is used up by this.
        resume_token: ResumeToken,
        /// The last `seq` received.
        #[cfg_attr(feature = "bindings", ts(type = "number"))]
        seq: u64,
    }
    /// Prolongs the session before its access token runs out. Answered by `done`.
    "reauth" Reauth {
        /// A fresh one.
        token: AccessToken,
    }
    /// Says that one is there. Answered by `pong`; not a request, so it has no number.
    "ping" Ping {}
    /// Ends the session: leaves its rooms, hangs up its calls. The server closes the connection.
    "bye" Bye {}

    /// Asks for servers that help to reach others. Answered by `ice_servers`.
    "ice_servers" IceServers {}

    /// Asks for all contacts. Answered by `contacts`.
    "contacts" Contacts {}
    /// Asks someone to become a contact, or agrees where they have asked. Answered by `contact`.
    "contact_add" ContactAdd {
        /// Whom.
        handle: Handle,
    }
    /// Ends a contact, declines who has asked, or lifts a block. Answered by `done`.
    "contact_remove" ContactRemove {
        /// Whom.
        user: UserId,
    }
    /// Wants to hear no more of someone, who is not told. Answered by `contact`.
    "contact_block" ContactBlock {
        /// Whom.
        user: UserId,
    }

    /// Asks for what is new in one's inbox. Answered by `inbox`.
    "inbox" Inbox {
        /// The number of the last entry that one knows; 0 for none.
        #[cfg_attr(feature = "bindings", ts(type = "number"))]
        after: u64,
    }
    /// Writes to a contact, who need not be there. Answered by `inbox_entry`, which one's other devices are told as well.
    "message" Message {
        /// The message, new.
        message: MessageId,
        /// Whom to.
        to: UserId,
        /// What.
        text: ChatText,
    }
    /// Tells a contact how far their messages have come, up to one. Answered by `done`.
    "message_mark" MessageMark {
        /// Up to which.
        message: MessageId,
        /// How far.
        mark: MessageMark,
    }

    /// Asks for one's rooms. Answered by `rooms`.
    "rooms" Rooms {}
    /// Makes a room whose host one is. Answered by `room`.
    "room_create" RoomCreate {
        /// What it is called.
        name: Name,
        /// How it is; what is left out has its default.
        #[serde(default)]
        settings: RoomSettings,
    }
    /// Changes a room. In `room`. Answered by `done`.
    "room_change" RoomChange {
        /// What to change.
        change: RoomSettingsChange,
    }
    /// Deletes a room; who is in it leaves. In `room`. Answered by `done`.
    "room_delete" RoomDelete {}

    /// Enters a room. In `room`. Answered by `joined` or, where someone has to let one in, by `waiting`.
    "join" Join {
        /// What one has seen of it before: what came since is then told instead of everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "bindings", ts(optional))]
        since: Option<Position>,
    }
    /// Leaves a room, or no longer waits for it. In `room`. Answered by `done`.
    "leave" Leave {}
    /// Asks for what one has missed of a room that one is in. In `room`. Answered by `joined`.
    "sync" Sync {
        /// What one has seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "bindings", ts(optional))]
        since: Option<Position>,
    }
    /// Lets someone in who is waiting. In `room`. Answered by `done`.
    "admit" Admit {
        /// Whom.
        participant: ParticipantId,
    }
    /// Turns someone away who is waiting, or removes someone, who can't come back. In `room`. Answered by `done`.
    "remove" Remove {
        /// Whom.
        participant: ParticipantId,
    }
    /// Gives someone another role. In `room`. Answered by `done`.
    "set_role" SetRole {
        /// Whom.
        participant: ParticipantId,
        /// Which.
        role: Role,
    }
    /// Tells others something about oneself. In `room`. Answered by `done`.
    "set_state" SetState {
        /// What.
        entry: StateEntry,
    }
    /// Asks someone's program to mute itself, as moderators may. In `room`. Answered by `done`.
    "mute" Mute {
        /// Whom.
        participant: ParticipantId,
    }
    /// Tells someone something about the connection between the two. In `room`. Answered by `done`.
    "room_signal" RoomSignal {
        /// Whom.
        to: ParticipantId,
        /// Which connection: whoever offers numbers them, from 1. What belongs to one before the last is stale.
        connection: u32,
        /// What.
        signal: CallSignal,
    }
    /// Says something to everybody. In `room`. Answered by `done`, with its place in the room's history.
    "chat" Chat {
        /// What.
        text: ChatText,
    }

    /// Calls someone. Answered by `call_ringing`, or by `call_answered` where they were calling at the same time.
    "call" Call {
        /// The call, new.
        call: CallId,
        /// Whom.
        to: UserId,
        /// With pictures or without.
        media: CallMedia,
    }
    /// Takes a call that rings here. Answered by `done`.
    "call_accept" CallAccept {
        /// Which.
        call: CallId,
    }
    /// Declines a call that rings here, at all of one's devices. Answered by `done`.
    "call_decline" CallDecline {
        /// Which.
        call: CallId,
        /// Whether that is because of another call.
        busy: bool,
    }
    /// Ends a call, or gives up calling. Answered by `done`.
    "call_hang_up" CallHangUp {
        /// Which.
        call: CallId,
    }
    /// Tells the other side something. What a caller says before the call is answered waits for that. Answered by `done`.
    "call_signal" CallSignal {
        /// Which.
        call: CallId,
        /// What.
        signal: CallSignal,
    }

    /// Says something to a contact's programs about a connection beside calls. Answered by `done`.
    "link" Link {
        /// Whom.
        to: UserId,
        /// One's own end.
        end: LinkEnd,
        /// Theirs; all that there may be, without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "bindings", ts(optional))]
        at: Option<LinkEnd>,
        /// What.
        said: LinkSaid,
    }
}
