//! Who is at the other end of a connection.

use std::fmt;
use std::time::SystemTime;

use ahoy_signal::{AccessToken, DeviceId, Handle, Name, Refusal, Role, RoomId, UserId};
use async_trait::async_trait;

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

/// Reads access tokens. `auth::Authenticator` does it; the realtime part knows this much of it.
#[async_trait]
pub trait TokenCheck: Send + Sync {
    /// Checks a token that is to open a connection, and uses it up: it opens no other one. What was used is remembered
    /// until the token expires, also over a restart.
    ///
    /// # Errors
    /// `unauthenticated`, `token_expired`, `token_used`, `signed_out`, or `unavailable` where that can't be remembered.
    async fn open(&self, token: &AccessToken) -> Result<Identity, Refusal>;

    /// Checks a fresh token on a connection that is open. The caller compares user and device with those it knows.
    ///
    /// # Errors
    /// `unauthenticated`, `token_expired` or `signed_out`.
    fn renew(&self, token: &AccessToken) -> Result<Identity, Refusal>;
}

/// Ends sessions whose right to be there ended. The realtime part does it; accounts know this much of it. Neither waits.
pub trait Sessions: Send + Sync {
    /// Ends all sessions of a device (`CloseCode::SignedOut`).
    fn sign_out_device(&self, device: DeviceId);

    /// Ends all sessions of a user (`CloseCode::SignedOut`).
    fn sign_out_user(&self, user: UserId);
}
