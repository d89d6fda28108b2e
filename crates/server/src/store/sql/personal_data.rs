//! Everything that is stored of one account: to hand it out, and to delete it.

use ahoy_signal::account::AuditEntry;
use ahoy_signal::{
    ContactStanding, DeviceId, Handle, InboxEntry, InviteId, Name, Role, RoomId, RoomSettings, UserId,
};
use serde::Serialize;

use super::invites::invite;
use super::{SqlStore, count, parsed};
use crate::identity::Class;
use crate::store::{ContactStore, InboxStore, RoomStore, StoreError};

/// Security events that an export holds at most: more than a year of a busy account.
const AUDIT_MOST: u32 = 100_000;

/// Everything that is stored of one account, but hashes of secrets. Its JSON form is what people get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountData {
    /// Who.
    pub user: UserId,
    /// What they are found by.
    pub handle: Handle,
    /// What they are called.
    pub name: Name,
    /// How much they may ask for.
    pub class: Class,
    /// Since when they have the account, in milliseconds since 1970.
    pub created_ms: u64,
    /// How many recovery codes are unused. The codes themselves are not stored.
    pub recovery_codes_left: u64,
    /// Where they are signed in.
    pub devices: Vec<DeviceData>,
    /// Whom they know.
    pub contacts: Vec<ContactData>,
    /// Their rooms.
    pub rooms: Vec<RoomData>,
    /// Others' rooms in which they keep order.
    pub moderates: Vec<RoomId>,
    /// Invites that they made.
    pub invites: Vec<InviteData>,
    /// What lies in their inbox, in order.
    pub inbox: Vec<InboxEntry>,
    /// Security events, the newest first.
    pub audit: Vec<AuditEntry>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceData {
    /// Which.
    pub device: DeviceId,
    /// What it is called.
    pub name: Name,
    /// When it signed in, in milliseconds since 1970.
    pub signed_in_ms: u64,
    /// When it was last heard of, in milliseconds since 1970, to the hour.
    pub last_seen_ms: u64,
    /// When it is forgotten unless it is heard of again, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContactData {
    /// Who.
    pub user: UserId,
    /// What they are found by.
    pub handle: Handle,
    /// How the account's owner stands to them.
    pub standing: ContactStanding,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomData {
    /// Which.
    pub room: RoomId,
    /// What it is called.
    pub name: Name,
    /// How it is set up.
    pub settings: RoomSettings,
    /// Who keeps order.
    pub moderators: Vec<UserId>,
}

/// An invite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InviteData {
    /// Which.
    pub invite: InviteId,
    /// Where to.
    pub room: RoomId,
    /// What it makes of guests.
    pub role: Role,
    /// How many more people can use it.
    pub uses_left: u32,
    /// Since when, in milliseconds since 1970.
    pub created_ms: u64,
    /// Until when, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// What a deleted account leaves to be ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedAccount {
    /// Devices that are signed out: its own, and those of guests who had come to its rooms or by its invites.
    pub devices: Vec<DeviceId>,
    /// Rooms that are gone.
    pub rooms: Vec<RoomId>,
}

impl SqlStore {
    /// Everything that is stored of an account.
    pub async fn export(&self, user: UserId) -> Result<Option<AccountData>, StoreError> {
        let Some(account) = self.account(user).await? else { return Ok(None) };
        let id = user.to_string();
        let codes = sqlx::query("SELECT COUNT(*) AS codes FROM recovery_codes WHERE user_id = $1")
            .bind(&*id)
            .fetch_one(&self.read)
            .await?;
        let moderates =
            sqlx::query("SELECT room_id FROM room_moderators WHERE user_id = $1 ORDER BY room_id")
                .bind(&*id)
                .fetch_all(&self.read)
                .await?;
        let invites = sqlx::query(
            "SELECT invite_id, room_id, creator, role, uses_left, created_ms, expires_ms FROM invites \
             WHERE creator = $1 ORDER BY created_ms DESC, invite_id",
        )
        .bind(&*id)
        .fetch_all(&self.read)
        .await?;
        let invites = invites.iter().map(invite).collect::<Result<Vec<_>, _>>()?;
        let mut inbox: Vec<InboxEntry> = Vec::new();
        loop {
            let (more, _) = self.inbox(user, inbox.last().map_or(0, |entry| entry.number)).await?;
            if more.is_empty() {
                break;
            }
            inbox.extend(more);
        }
        Ok(Some(AccountData {
            user,
            handle: account.handle,
            name: account.name,
            class: account.class,
            created_ms: account.created_ms,
            recovery_codes_left: count(&codes, "codes")?,
            devices: self
                .devices_of(user)
                .await?
                .into_iter()
                .map(|row| DeviceData {
                    device: row.device,
                    name: row.name,
                    signed_in_ms: row.signed_in_ms,
                    last_seen_ms: row.last_seen_ms,
                    expires_ms: row.expires_ms,
                })
                .collect(),
            contacts: self
                .contacts(user)
                .await?
                .into_iter()
                .map(|row| ContactData { user: row.user, handle: row.handle, standing: row.standing })
                .collect(),
            rooms: self
                .rooms_of(user)
                .await?
                .into_iter()
                .map(|row| RoomData {
                    room: row.room,
                    name: row.name,
                    settings: row.settings,
                    moderators: row.moderators.into_iter().collect(),
                })
                .collect(),
            moderates: moderates.iter().map(|row| parsed(row, "room_id")).collect::<Result<_, _>>()?,
            invites: invites
                .into_iter()
                .map(|row| InviteData {
                    invite: row.invite,
                    room: row.room,
                    role: row.role,
                    uses_left: row.uses_left,
                    created_ms: row.created_ms,
                    expires_ms: row.expires_ms,
                })
                .collect(),
            inbox,
            audit: self
                .audit_of(user, AUDIT_MOST)
                .await?
                .into_iter()
                .map(|row| AuditEntry {
                    at_ms: row.at_ms,
                    event: row.event,
                    device: row.device,
                    address: row.address,
                })
                .collect(),
        }))
    }

    /// Deletes an account and all that belongs to it: devices, codes, both sides of its contacts, its rooms with their
    /// moderators, invites and guests, its place as a moderator elsewhere, its inbox, its
    /// security events. What it wrote to others is theirs, until it is forgotten with everything else of that age.
    pub async fn delete_account(&self, user: UserId) -> Result<DeletedAccount, StoreError> {
        let id = user.to_string();
        let mut change = self.change().await?;
        let devices = sqlx::query(
            "SELECT device_id FROM devices WHERE user_id = $1 OR invite_id IN \
             (SELECT invite_id FROM invites WHERE creator = $1) OR room_id IN (SELECT room_id FROM rooms WHERE host = $1)",
        )
        .bind(&*id)
        .fetch_all(&mut *change)
        .await?;
        let rooms = sqlx::query("SELECT room_id FROM rooms WHERE host = $1")
            .bind(&*id)
            .fetch_all(&mut *change)
            .await?;
        for statement in [
            "DELETE FROM devices WHERE user_id = $1",
            "DELETE FROM devices WHERE invite_id IN (SELECT invite_id FROM invites WHERE creator = $1)",
            "DELETE FROM devices WHERE room_id IN (SELECT room_id FROM rooms WHERE host = $1)",
            "DELETE FROM invites WHERE creator = $1",
            "DELETE FROM invites WHERE room_id IN (SELECT room_id FROM rooms WHERE host = $1)",
            "DELETE FROM room_moderators WHERE user_id = $1",
            "DELETE FROM room_moderators WHERE room_id IN (SELECT room_id FROM rooms WHERE host = $1)",
            "DELETE FROM rooms WHERE host = $1",
            "DELETE FROM contacts WHERE owner = $1 OR other = $1",
            "DELETE FROM inbox WHERE owner = $1",
            "DELETE FROM inbox_heads WHERE owner = $1",
            "DELETE FROM inbox_marks WHERE reader = $1 OR writer = $1",
            "DELETE FROM recovery_codes WHERE user_id = $1",
            "DELETE FROM audit WHERE user_id = $1",
            "DELETE FROM accounts WHERE user_id = $1",
        ] {
            sqlx::query(statement).bind(&*id).execute(&mut *change).await?;
        }
        change.commit().await?;
        let deleted = DeletedAccount {
            devices: devices.iter().map(|row| parsed(row, "device_id")).collect::<Result<_, _>>()?,
            rooms: rooms.iter().map(|row| parsed(row, "room_id")).collect::<Result<_, _>>()?,
        };
        Ok(deleted)
    }
}
