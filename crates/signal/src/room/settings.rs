//! How a room is set up.

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{RoomId, UserId};
use crate::limits;
use crate::text::Name;

/// How a room is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(default)]
pub struct RoomSettings {
    /// How many people it holds: 2 to [`limits::ROOM_CAPACITY_MOST`].
    #[serde(deserialize_with = "capacity")]
    pub capacity: u16,
    /// Whether guests, and members who are not moderators, wait until someone lets them in.
    pub waiting_room: bool,
    /// Whether nobody new comes in but the host.
    pub locked: bool,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self { capacity: limits::ROOM_CAPACITY_DEFAULT, waiting_room: false, locked: false }
    }
}

fn capacity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let capacity = u16::deserialize(deserializer)?;
    match (2..=limits::ROOM_CAPACITY_MOST).contains(&capacity) {
        true => Ok(capacity),
        false => Err(serde::de::Error::custom("a room holds 2 to 100 people")),
    }
}

fn some_capacity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    capacity(deserializer).map(Some)
}

/// What to change about a room; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS), ts(optional_fields))]
#[serde(default)]
pub struct RoomSettingsChange {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// See [`RoomSettings::capacity`].
    #[serde(deserialize_with = "some_capacity", skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u16>,
    /// See [`RoomSettings::waiting_room`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_room: Option<bool>,
    /// See [`RoomSettings::locked`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

impl RoomSettings {
    /// These with the changes.
    pub fn changed(self, change: &RoomSettingsChange) -> Self {
        Self {
            capacity: change.capacity.unwrap_or(self.capacity),
            waiting_room: change.waiting_room.unwrap_or(self.waiting_room),
            locked: change.locked.unwrap_or(self.locked),
        }
    }
}

/// A room in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct RoomInfo {
    /// Which.
    pub room: RoomId,
    /// What it is called.
    pub name: Name,
    /// Its host.
    pub host: UserId,
    /// How it is set up.
    pub settings: RoomSettings,
    /// How many people are in it now.
    pub people: u16,
}
