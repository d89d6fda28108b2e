//! Devices that are signed in, each with its family of refresh tokens.

use ahoy_signal::{DeviceId, InviteId, Name, Role, RoomId, UserId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::tokens::{AuditRow, append};
use super::{SqlStore, count, name_of, named, parsed, stored};
use crate::store::StoreError;

/// What a guest may do, and by which invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSeat {
    /// What they are called.
    pub name: Name,
    /// How they came.
    pub invite: InviteId,
    /// Where they may go.
    pub room: RoomId,
    /// What they are there.
    pub role: Role,
}

/// A device that is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Which.
    pub device: DeviceId,
    /// Whose.
    pub user: UserId,
    /// What it is called.
    pub name: Name,
    /// The number of its refresh token that is good.
    pub generation: u32,
    /// The SHA-256 of that token, in hexadecimal digits.
    pub token_hash: String,
    /// Since when it is good.
    pub rotated_ms: u64,
    /// When the device signed in.
    pub signed_in_ms: u64,
    /// When it was last heard of, to the hour.
    pub last_seen_ms: u64,
    /// When it is forgotten unless it is heard of again.
    pub expires_ms: u64,
    /// Present for guests.
    pub guest: Option<GuestSeat>,
}

/// The next refresh token of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Whose.
    pub device: DeviceId,
    /// The generation that it takes the place of, with its token's hash.
    pub from: (u32, String),
    /// The next generation.
    pub to: u32,
    /// The hash of the next one.
    pub token_hash: String,
    /// Now.
    pub now_ms: u64,
    /// When the device is forgotten unless it is heard of again.
    pub expires_ms: u64,
}

pub(super) fn device(row: &AnyRow) -> Result<DeviceRow, StoreError> {
    let room: String = row.try_get("room_id")?;
    let guest = match room.is_empty() {
        true => None,
        false => Some(GuestSeat {
            name: parsed(row, "guest_name")?,
            invite: parsed(row, "invite_id")?,
            room: parsed(row, "room_id")?,
            role: named(row, "role")?,
        }),
    };
    Ok(DeviceRow {
        device: parsed(row, "device_id")?,
        user: parsed(row, "user_id")?,
        name: parsed(row, "name")?,
        generation: u32::try_from(count(row, "generation")?)
            .map_err(|_| StoreError::Corrupt("column generation".into()))?,
        token_hash: row.try_get("token_hash")?,
        rotated_ms: count(row, "rotated_ms")?,
        signed_in_ms: count(row, "signed_in_ms")?,
        last_seen_ms: count(row, "last_seen_ms")?,
        expires_ms: count(row, "expires_ms")?,
        guest,
    })
}

pub(super) async fn insert(connection: &mut AnyConnection, row: &DeviceRow) -> Result<(), StoreError> {
    let seat = row.guest.as_ref();
    let role = seat.map(|seat| name_of(&seat.role)).transpose()?;
    sqlx::query(
        "INSERT INTO devices (device_id, user_id, name, generation, token_hash, rotated_ms, signed_in_ms, \
         last_seen_ms, expires_ms, guest_name, invite_id, room_id, role) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(row.device.to_string())
    .bind(row.user.to_string())
    .bind(row.name.as_str())
    .bind(i64::from(row.generation))
    .bind(&*row.token_hash)
    .bind(stored(row.rotated_ms))
    .bind(stored(row.signed_in_ms))
    .bind(stored(row.last_seen_ms))
    .bind(stored(row.expires_ms))
    .bind(seat.map(|seat| seat.name.to_string()).unwrap_or_default())
    .bind(seat.map(|seat| seat.invite.to_string()).unwrap_or_default())
    .bind(seat.map(|seat| seat.room.to_string()).unwrap_or_default())
    .bind(role.unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}

/// Signs out all devices of a user but one.
pub(super) async fn remove_others(
    connection: &mut AnyConnection,
    user: UserId,
    kept: Option<DeviceId>,
) -> Result<Vec<DeviceId>, StoreError> {
    let kept = kept.map(|device| device.to_string()).unwrap_or_default();
    let rows = sqlx::query("SELECT device_id FROM devices WHERE user_id = $1 AND device_id <> $2")
        .bind(user.to_string())
        .bind(&*kept)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM devices WHERE user_id = $1 AND device_id <> $2")
        .bind(user.to_string())
        .bind(&*kept)
        .execute(&mut *connection)
        .await?;
    rows.iter().map(|row| parsed(row, "device_id")).collect()
}

const COLUMNS_BY_ID: &str = "SELECT device_id, user_id, name, generation, token_hash, rotated_ms, \
     signed_in_ms, last_seen_ms, expires_ms, guest_name, invite_id, room_id, role FROM devices \
     WHERE device_id = $1";
const COLUMNS_BY_USER: &str = "SELECT device_id, user_id, name, generation, token_hash, rotated_ms, \
     signed_in_ms, last_seen_ms, expires_ms, guest_name, invite_id, room_id, role FROM devices \
     WHERE user_id = $1 ORDER BY last_seen_ms DESC, signed_in_ms DESC, device_id";

impl SqlStore {
    /// Signs a device in. Where a user has `most` already, those that were not heard of for the longest time are signed
    /// out for it, and told.
    pub async fn add_device(
        &self,
        row: &DeviceRow,
        most: u32,
        audit: &AuditRow,
    ) -> Result<Vec<DeviceId>, StoreError> {
        let mut change = self.change().await?;
        let present = sqlx::query(COLUMNS_BY_USER).bind(row.user.to_string()).fetch_all(&mut *change).await?;
        let mut forgotten = Vec::new();
        for old in present.iter().skip(most.saturating_sub(1) as usize) {
            let old: DeviceId = parsed(old, "device_id")?;
            sqlx::query("DELETE FROM devices WHERE device_id = $1")
                .bind(old.to_string())
                .execute(&mut *change)
                .await?;
            forgotten.push(old);
        }
        insert(&mut change, row).await?;
        append(&mut change, audit).await?;
        change.commit().await?;
        Ok(forgotten)
    }

    /// A device, if it is signed in.
    pub async fn device(&self, id: DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        let row = sqlx::query(COLUMNS_BY_ID).bind(id.to_string()).fetch_optional(&self.read).await?;
        row.as_ref().map(device).transpose()
    }

    /// A user's devices, the one last heard of first.
    pub async fn devices_of(&self, user: UserId) -> Result<Vec<DeviceRow>, StoreError> {
        let rows = sqlx::query(COLUMNS_BY_USER).bind(user.to_string()).fetch_all(&self.read).await?;
        rows.iter().map(device).collect()
    }

    /// Puts the next refresh token in the place of the last one. False where that is not the last one any more.
    pub async fn rotate(&self, rotation: &Rotation) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let done = sqlx::query(
            "UPDATE devices SET generation = $1, token_hash = $2, rotated_ms = $3, last_seen_ms = $4, \
             expires_ms = $5 WHERE device_id = $6 AND generation = $7 AND token_hash = $8",
        )
        .bind(i64::from(rotation.to))
        .bind(&*rotation.token_hash)
        .bind(stored(rotation.now_ms))
        .bind(stored(rotation.now_ms / 3_600_000 * 3_600_000))
        .bind(stored(rotation.expires_ms))
        .bind(rotation.device.to_string())
        .bind(i64::from(rotation.from.0))
        .bind(&*rotation.from.1)
        .execute(&mut *change)
        .await?
        .rows_affected()
            == 1;
        change.commit().await?;
        Ok(done)
    }

    /// Signs a device of a user out. False where it was not signed in.
    pub async fn remove_device(
        &self,
        user: UserId,
        device: DeviceId,
        audit: &AuditRow,
    ) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let done = sqlx::query("DELETE FROM devices WHERE device_id = $1 AND user_id = $2")
            .bind(device.to_string())
            .bind(user.to_string())
            .execute(&mut *change)
            .await?
            .rows_affected()
            == 1;
        if done {
            append(&mut change, audit).await?;
        }
        change.commit().await?;
        Ok(done)
    }
}
