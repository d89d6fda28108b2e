//! Access tokens that were used, and the audit log.

use ahoy_signal::{DeviceId, UserId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{SqlStore, count, parsed, stored};
use crate::store::StoreError;

/// Devices are noted as seen by the hour: knowing more of people is nobody's business, and costs a write.
const SEEN_MS: i64 = 3_600_000;

/// What became of an access token that was to open a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// It had not been used, and is now.
    First,
    /// It had been used.
    Again,
    /// Its device is signed out.
    DeviceGone,
}

/// A security event. The log is only ever appended to, until its time is over or its account is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Random: keeps rows apart.
    pub entry: String,
    /// When.
    pub at_ms: u64,
    /// Whose account.
    pub user: UserId,
    /// What.
    pub event: String,
    /// At which device, where it was one.
    pub device: Option<DeviceId>,
    /// From which address, where one asked for it.
    pub address: Option<String>,
}

pub(super) async fn append(connection: &mut AnyConnection, row: &AuditRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (entry_id, at_ms, user_id, event, device_id, address) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&*row.entry)
    .bind(stored(row.at_ms))
    .bind(row.user.to_string())
    .bind(&*row.event)
    .bind(row.device.map(|device| device.to_string()).unwrap_or_default())
    .bind(row.address.clone().unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}

fn audit_row(row: &AnyRow) -> Result<AuditRow, StoreError> {
    let device: String = row.try_get("device_id")?;
    let address: String = row.try_get("address")?;
    Ok(AuditRow {
        entry: row.try_get("entry_id")?,
        at_ms: count(row, "at_ms")?,
        user: parsed(row, "user_id")?,
        event: row.try_get("event")?,
        device: if device.is_empty() { None } else { Some(parsed(row, "device_id")?) },
        address: Some(address).filter(|address| !address.is_empty()),
    })
}

impl SqlStore {
    /// Uses up an access token, for a device that is signed in and is seen by it.
    pub async fn use_token(
        &self,
        jti: &str,
        expires_ms: u64,
        device: DeviceId,
        now_ms: u64,
    ) -> Result<TokenUse, StoreError> {
        // Most of those who repeat a token are stopped without a write.
        if sqlx::query("SELECT jti FROM used_tokens WHERE jti = $1")
            .bind(jti)
            .fetch_optional(&self.read)
            .await?
            .is_some()
        {
            return Ok(TokenUse::Again);
        }
        let mut change = self.change().await?;
        let seen = sqlx::query("SELECT last_seen_ms FROM devices WHERE device_id = $1 AND expires_ms > $2")
            .bind(device.to_string())
            .bind(stored(now_ms))
            .fetch_optional(&mut *change)
            .await?;
        let Some(seen) = seen else { return Ok(TokenUse::DeviceGone) };
        let first = sqlx::query(
            "INSERT INTO used_tokens (jti, expires_ms) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING",
        )
        .bind(jti)
        .bind(stored(expires_ms))
        .execute(&mut *change)
        .await?
        .rows_affected()
            == 1;
        let hour = stored(now_ms) / SEEN_MS * SEEN_MS;
        if seen.try_get::<i64, _>("last_seen_ms")? < hour {
            sqlx::query("UPDATE devices SET last_seen_ms = $1 WHERE device_id = $2")
                .bind(hour)
                .bind(device.to_string())
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        Ok(if first { TokenUse::First } else { TokenUse::Again })
    }

    /// Notes a security event that changed nothing else.
    pub async fn append_audit(&self, row: &AuditRow) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        append(&mut change, row).await?;
        change.commit().await?;
        Ok(())
    }

    /// The newest security events of an account.
    pub async fn audit_of(&self, user: UserId, most: u32) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT entry_id, at_ms, user_id, event, device_id, address FROM audit WHERE user_id = $1 \
             ORDER BY at_ms DESC, entry_id LIMIT $2",
        )
        .bind(user.to_string())
        .bind(i64::from(most))
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(audit_row).collect()
    }
}
