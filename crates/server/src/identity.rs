//! Who is at the other end of a connection.

use std::fmt;
use std::time::SystemTime;

use ahoy_signal::{DeviceId, Handle, Name, Role, RoomId, UserId};

/// How much a user may ask for (see `[limits]` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Came by an invite.
    Guest,
    /// Has an account.
    Normal,
    /// A program that serves many.
    Partner,
}

/// What an invite lets a guest do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestGrant {
    /// The only room that they may enter.
    pub room: RoomId,
    /// What they are there.
    pub role: Role,
}

/// What an access token proves.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// Absent for guests.
    pub handle: Option<Handle>,
    /// What they are called.
    pub name: Name,
    /// How much they may ask for.
    pub class: Class,
    /// Present for guests.
    pub guest: Option<GuestGrant>,
    /// Until when the token proves it, by the server's clock.
    pub expires: SystemTime,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} at {}, {:?})", self.user, self.device, self.class)
    }
}
