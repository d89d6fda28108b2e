//! A room, as everyone in it sees it.

mod people;
mod settings;
mod state;

use serde::{Deserialize, Serialize};

pub use self::people::{Action, LeaveReason, Link, Participant, Role, WaitingGuest};
pub use self::settings::{RoomInfo, RoomSettings, RoomSettingsChange};
pub use self::state::{ParticipantState, RoomSnapshot, RoomState, SyncError};
use crate::id::{ChatId, ParticipantId, UserId};
use crate::limits;
use crate::text::{ChatText, Name};

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// A voice.
    Microphone,
    /// A face.
    Camera,
    /// A screen.
    Screen,
    /// The sound of a screen.
    ScreenAudio,
}

/// A track that a participant sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Track {
    /// The `mid` of its media section (RFC 5888).
    pub mid: String,
    /// What it carries.
    pub kind: TrackKind,
    /// Width in pixels of what is sent at most; 0 for sound.
    pub width: u16,
    /// Height in pixels of what is sent at most; 0 for sound.
    pub height: u16,
}

/// What a participant says about themselves, one thing at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(tag = "key", content = "value", rename_all = "snake_case")]
pub enum StateEntry {
    /// The microphone is off.
    Muted(bool),
    /// The camera is off.
    CameraOff(bool),
    /// A hand is up.
    Hand(bool),
    /// A screen is shown.
    Screen(bool),
    /// The tracks that are sent.
    Tracks(Tracks),
}

/// At most [`limits::TRACKS_MOST`] tracks with short names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(try_from = "Vec<Track>")]
pub struct Tracks(Vec<Track>);

impl TryFrom<Vec<Track>> for Tracks {
    type Error = &'static str;

    fn try_from(tracks: Vec<Track>) -> Result<Self, Self::Error> {
        let short = tracks.iter().all(|track| (1..=limits::TRACK_ID_LONGEST).contains(&track.mid.len()));
        let plain = tracks.iter().all(|track| track.mid.bytes().all(|byte| byte.is_ascii_graphic()));
        match short && plain && tracks.len() <= limits::TRACKS_MOST {
            true => Ok(Self(tracks)),
            false => Err("too many tracks, or names that are too long"),
        }
    }
}

impl Tracks {
    /// The tracks.
    pub fn as_slice(&self) -> &[Track] {
        &self.0
    }
}

/// Which of the things a participant says about themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// See [`StateEntry::Muted`].
    Muted,
    /// See [`StateEntry::CameraOff`].
    CameraOff,
    /// See [`StateEntry::Hand`].
    Hand,
    /// See [`StateEntry::Screen`].
    Screen,
    /// See [`StateEntry::Tracks`].
    Tracks,
}

impl StateEntry {
    /// Which it is.
    pub const fn key(&self) -> StateKey {
        match self {
            StateEntry::Muted(_) => StateKey::Muted,
            StateEntry::CameraOff(_) => StateKey::CameraOff,
            StateEntry::Hand(_) => StateKey::Hand,
            StateEntry::Screen(_) => StateKey::Screen,
            StateEntry::Tracks(_) => StateKey::Tracks,
        }
    }
}

/// A line of chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ChatMessage {
    /// Which.
    pub id: ChatId,
    /// Whose.
    pub user: UserId,
    /// What they were called then.
    pub name: Name,
    /// When the server had it, in milliseconds since 1970 by its clock.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub at_ms: u64,
    /// What was said.
    pub text: ChatText,
}

/// A change of a room. Applying one twice is the same as once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RoomDelta {
    /// Somebody came, went, or changed: these are in the room now, all of them, in the order they came.
    Roster {
        /// Everybody.
        participants: Vec<Participant>,
    },
    /// A participant says something about themselves.
    State {
        /// Who.
        participant: ParticipantId,
        /// What.
        entry: StateEntry,
    },
    /// Somebody said something.
    Chat {
        /// What.
        message: ChatMessage,
    },
    /// The room is called and set up like this now.
    Settings {
        /// What it is called.
        name: Name,
        /// How it is set up.
        settings: RoomSettings,
    },
}

/// A change with its number in the room's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PositionedDelta {
    /// Its number.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub offset: u64,
    /// The change.
    pub delta: RoomDelta,
}
