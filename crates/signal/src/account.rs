//! What is asked over HTTP, as JSON: accounts, sign-in, devices, invites. docs/signaling.md names the paths.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, InviteId, RoomId, UserId};
use crate::room::Role;
use crate::text::{AccessToken, Handle, InviteToken, Name, Password, RecoveryCode, RefreshToken};

/// Makes an account and signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUp {
    /// What one wants to be found by.
    pub handle: Handle,
    /// What one is called.
    pub name: Name,
    /// What one wants to sign in with.
    pub password: Password,
    /// What this device is called in one's list of devices.
    pub device_name: Name,
    /// The server's word for new people, where it wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_up_code: Option<String>,
}

/// The answer to [`SignUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedUp {
    /// One is signed in.
    #[serde(flatten)]
    pub grant: TokenGrant,
    /// Each gets into the account once, if the password is lost. Shown now and never again.
    pub recovery_codes: Vec<RecoveryCode>,
}

/// Signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who.
    pub handle: Handle,
    /// Proof of it.
    pub password: Password,
    /// What this device is called in one's list of devices.
    pub device_name: Name,
}

/// One is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenGrant {
    /// Opens a connection and proves who one is over HTTP, for some minutes.
    pub access_token: AccessToken,
    /// How long it does, in seconds from now: clocks need not agree.
    pub expires_in_s: u32,
    /// Gets the next tokens, once.
    pub refresh_token: RefreshToken,
    /// Who one is.
    pub user: UserId,
    /// Absent for guests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
    /// What one is called.
    pub name: Name,
    /// Which of one's devices this is.
    pub device: DeviceId,
    /// The room that a guest may enter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
}

/// Gets the next tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// The last one. Used again, it signs the device out: then somebody has a copy.
    pub refresh_token: RefreshToken,
}

/// Gets into an account whose password is lost: sets another, signs all devices out and this one in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recover {
    /// Whose account.
    pub handle: Handle,
    /// One that has not been used.
    pub recovery_code: RecoveryCode,
    /// The new one.
    pub new_password: Password,
    /// What this device is called in one's list of devices.
    pub device_name: Name,
}

/// Changes the password; other devices are signed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePassword {
    /// The one that counts now.
    pub old_password: Password,
    /// The one that is to count.
    pub new_password: Password,
}

/// Confirms with the password what can't be taken back: deleting the account, new recovery codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// The password.
    pub password: Password,
}

/// New recovery codes; the old ones are void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryCodes {
    /// Shown now and never again.
    pub recovery_codes: Vec<RecoveryCode>,
}

/// A device that is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Which.
    pub device: DeviceId,
    /// What it was called when it signed in.
    pub name: Name,
    /// When it did, in milliseconds since 1970.
    pub signed_in_ms: u64,
    /// When it was last heard of, in milliseconds since 1970, to the hour.
    pub last_seen_ms: u64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// All devices that are signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// The one last heard of first.
    pub devices: Vec<Device>,
}

/// Makes an invite link to a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewInvite {
    /// Where to.
    pub room: RoomId,
    /// How long it is good, in seconds; a week at most, a day if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_s: Option<u32>,
    /// How many people can use it; as many as the room holds if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// What it makes of those who use it: `guest`, or `member` whom the waiting room lets pass.
    #[serde(default = "guest")]
    pub role: Role,
}

fn guest() -> Role {
    Role::Guest
}

/// An invite link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Which.
    pub invite: InviteId,
    /// Where to.
    pub room: RoomId,
    /// The link, with the token in its fragment; only told when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The token alone; only told when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<InviteToken>,
    /// Until when it is good, in milliseconds since 1970.
    pub expires_ms: u64,
    /// How many more people can use it.
    pub uses_left: u32,
    /// What it makes of them.
    pub role: Role,
}

/// The invite links of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invites {
    /// Those that are good, the newest first.
    pub invites: Vec<Invite>,
}

/// Signs a guest in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSignIn {
    /// From the link.
    pub invite: InviteToken,
    /// What one is called.
    pub name: Name,
}

/// A security event of one's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What, such as `sign_in` or `refresh_reused`.
    pub event: String,
    /// At which device, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Security events, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// At most a hundred.
    pub events: Vec<AuditEntry>,
}
