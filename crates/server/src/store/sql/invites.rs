//! Invites, and the guests who came by them.

use ahoy_signal::{DeviceId, InviteId, Role, RoomId, UserId};
use sqlx::any::AnyRow;

use super::devices::{DeviceRow, insert};
use super::tokens::{AuditRow, append};
use super::{SqlStore, count, name_of, named, parsed, stored};
use crate::store::StoreError;

/// An invite that has not been revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteRow {
    /// Which.
    pub invite: InviteId,
    /// Where to.
    pub room: RoomId,
    /// Who made it.
    pub creator: UserId,
    /// What it makes of guests.
    pub role: Role,
    /// How many more people can use it.
    pub uses_left: u32,
    /// Since when.
    pub created_ms: u64,
    /// Until when.
    pub expires_ms: u64,
}

/// Whether an invite let a guest in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// It did.
    Yes,
    /// It has expired, was used up or revoked.
    No,
}

pub(super) fn invite(row: &AnyRow) -> Result<InviteRow, StoreError> {
    Ok(InviteRow {
        invite: parsed(row, "invite_id")?,
        room: parsed(row, "room_id")?,
        creator: parsed(row, "creator")?,
        role: named(row, "role")?,
        uses_left: u32::try_from(count(row, "uses_left")?)
            .map_err(|_| StoreError::Corrupt("column uses_left".into()))?,
        created_ms: count(row, "created_ms")?,
        expires_ms: count(row, "expires_ms")?,
    })
}

impl SqlStore {
    /// Stores an invite. False where the room has `most` already.
    pub async fn add_invite(&self, row: &InviteRow, most: u32, audit: &AuditRow) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let present = sqlx::query("SELECT COUNT(*) AS invites FROM invites WHERE room_id = $1")
            .bind(row.room.to_string())
            .fetch_one(&mut *change)
            .await?;
        if count(&present, "invites")? >= u64::from(most) {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO invites (invite_id, room_id, creator, role, uses_left, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(row.invite.to_string())
        .bind(row.room.to_string())
        .bind(row.creator.to_string())
        .bind(name_of(&row.role)?)
        .bind(i64::from(row.uses_left))
        .bind(stored(row.created_ms))
        .bind(stored(row.expires_ms))
        .execute(&mut *change)
        .await?;
        append(&mut change, audit).await?;
        change.commit().await?;
        Ok(true)
    }

    /// An invite, if there is one.
    pub async fn invite(&self, id: InviteId) -> Result<Option<InviteRow>, StoreError> {
        let row = sqlx::query(
            "SELECT invite_id, room_id, creator, role, uses_left, created_ms, expires_ms FROM invites \
             WHERE invite_id = $1",
        )
        .bind(id.to_string())
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(invite).transpose()
    }

    /// The invites to a room that are good, the newest first.
    pub async fn invites_to(&self, room: RoomId, now_ms: u64) -> Result<Vec<InviteRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT invite_id, room_id, creator, role, uses_left, created_ms, expires_ms FROM invites \
             WHERE room_id = $1 AND expires_ms > $2 AND uses_left > 0 ORDER BY created_ms DESC, invite_id",
        )
        .bind(room.to_string())
        .bind(stored(now_ms))
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(invite).collect()
    }

    /// Uses an invite once, for a guest's device.
    pub async fn redeem(&self, id: InviteId, guest: &DeviceRow) -> Result<Redeemed, StoreError> {
        let mut change = self.change().await?;
        let good = sqlx::query(
            "UPDATE invites SET uses_left = uses_left - 1 \
             WHERE invite_id = $1 AND uses_left > 0 AND expires_ms > $2",
        )
        .bind(id.to_string())
        .bind(stored(guest.signed_in_ms))
        .execute(&mut *change)
        .await?
        .rows_affected()
            == 1;
        if !good {
            return Ok(Redeemed::No);
        }
        insert(&mut change, guest).await?;
        change.commit().await?;
        Ok(Redeemed::Yes)
    }

    /// Revokes an invite and signs out the guests who came by it: `None` where there is no such invite.
    pub async fn revoke_invite(
        &self,
        id: InviteId,
        audit: &AuditRow,
    ) -> Result<Option<Vec<DeviceId>>, StoreError> {
        let mut change = self.change().await?;
        let done = sqlx::query("DELETE FROM invites WHERE invite_id = $1")
            .bind(id.to_string())
            .execute(&mut *change)
            .await?
            .rows_affected()
            == 1;
        if !done {
            return Ok(None);
        }
        let guests = sqlx::query("SELECT device_id FROM devices WHERE invite_id = $1")
            .bind(id.to_string())
            .fetch_all(&mut *change)
            .await?;
        sqlx::query("DELETE FROM devices WHERE invite_id = $1")
            .bind(id.to_string())
            .execute(&mut *change)
            .await?;
        append(&mut change, audit).await?;
        change.commit().await?;
        guests.iter().map(|row| parsed(row, "device_id")).collect::<Result<_, _>>().map(Some)
    }
}
