//! Rooms.

use std::collections::BTreeSet;

use ahoy_signal::{RoomId, RoomSettings, UserId};
use async_trait::async_trait;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{SqlStore, count, parsed, stored};
use crate::clock::unix_ms;
use crate::store::{RoomStore, StoreError, StoredRoom};

fn room(row: &AnyRow) -> Result<StoredRoom, StoreError> {
    let capacity =
        u16::try_from(count(row, "capacity")?).map_err(|_| StoreError::Corrupt("column capacity".into()))?;
    Ok(StoredRoom {
        room: parsed(row, "room_id")?,
        host: parsed(row, "host")?,
        name: parsed(row, "name")?,
        settings: RoomSettings {
            capacity,
            waiting_room: row.try_get::<i64, _>("waiting_room")? != 0,
            locked: row.try_get::<i64, _>("locked")? != 0,
        },
        moderators: BTreeSet::new(),
    })
}

#[async_trait]
impl RoomStore for SqlStore {
    async fn room(&self, room_id: RoomId) -> Result<Option<StoredRoom>, StoreError> {
        let row = sqlx::query(
            "SELECT room_id, host, name, capacity, waiting_room, locked FROM rooms WHERE room_id = $1",
        )
        .bind(room_id.to_string())
        .fetch_optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut found = room(&row)?;
        let moderators = sqlx::query("SELECT user_id FROM room_moderators WHERE room_id = $1")
            .bind(room_id.to_string())
            .fetch_all(&self.read)
            .await?;
        found.moderators = moderators.iter().map(|row| parsed(row, "user_id")).collect::<Result<_, _>>()?;
        Ok(Some(found))
    }

    async fn rooms_of(&self, host: UserId) -> Result<Vec<StoredRoom>, StoreError> {
        let rows = sqlx::query(
            "SELECT room_id, host, name, capacity, waiting_room, locked FROM rooms WHERE host = $1 \
             ORDER BY name, room_id",
        )
        .bind(host.to_string())
        .fetch_all(&self.read)
        .await?;
        let mut rooms = rows.iter().map(room).collect::<Result<Vec<_>, _>>()?;
        let moderators = sqlx::query(
            "SELECT m.room_id, m.user_id FROM room_moderators m JOIN rooms r ON r.room_id = m.room_id \
             WHERE r.host = $1",
        )
        .bind(host.to_string())
        .fetch_all(&self.read)
        .await?;
        for row in &moderators {
            let of: RoomId = parsed(row, "room_id")?;
            let moderator = parsed(row, "user_id")?;
            if let Some(room) = rooms.iter_mut().find(|room| room.room == of) {
                room.moderators.insert(moderator);
            }
        }
        Ok(rooms)
    }

    async fn put_room(&self, room: &StoredRoom) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        sqlx::query(
            "INSERT INTO rooms (room_id, host, name, capacity, waiting_room, locked, used_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (room_id) DO UPDATE SET host = $2, name = $3, \
             capacity = $4, waiting_room = $5, locked = $6, used_ms = $7",
        )
        .bind(room.room.to_string())
        .bind(room.host.to_string())
        .bind(room.name.as_str())
        .bind(i64::from(room.settings.capacity))
        .bind(i64::from(room.settings.waiting_room))
        .bind(i64::from(room.settings.locked))
        .bind(stored(unix_ms()))
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM room_moderators WHERE room_id = $1")
            .bind(room.room.to_string())
            .execute(&mut *change)
            .await?;
        for moderator in &room.moderators {
            sqlx::query("INSERT INTO room_moderators (room_id, user_id) VALUES ($1, $2)")
                .bind(room.room.to_string())
                .bind(moderator.to_string())
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        Ok(())
    }

    async fn delete_room(&self, room: RoomId) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        for statement in [
            "DELETE FROM rooms WHERE room_id = $1",
            "DELETE FROM room_moderators WHERE room_id = $1",
            "DELETE FROM invites WHERE room_id = $1",
            "DELETE FROM devices WHERE room_id = $1",
        ] {
            sqlx::query(statement).bind(room.to_string()).execute(&mut *change).await?;
        }
        change.commit().await?;
        Ok(())
    }
}
