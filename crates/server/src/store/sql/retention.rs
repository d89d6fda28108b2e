//! Forgets what is over. docs/server.md states the times in one table.

use super::{SqlStore, stored};
use crate::store::StoreError;

/// What is older than these times, in milliseconds since 1970, is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Tokens, devices and invites that expired before.
    pub now_ms: u64,
    /// Security events before.
    pub audit_ms: u64,
    /// Rooms that were last used before.
    pub rooms_ms: u64,
    /// Entries of inboxes before.
    pub inbox_ms: u64,
}

/// How much was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows of any kind.
    pub rows: u64,
}

impl SqlStore {
    /// Forgets what is over.
    pub async fn sweep(&self, retention: &Retention) -> Result<Swept, StoreError> {
        let steps: [(&'static str, u64); 8] = [
            ("DELETE FROM used_tokens WHERE expires_ms < $1", retention.now_ms),
            ("DELETE FROM devices WHERE expires_ms < $1", retention.now_ms),
            ("DELETE FROM invites WHERE expires_ms < $1", retention.now_ms),
            ("DELETE FROM audit WHERE at_ms < $1", retention.audit_ms),
            (
                "DELETE FROM room_moderators WHERE room_id IN (SELECT room_id FROM rooms WHERE used_ms < $1)",
                retention.rooms_ms,
            ),
            (
                "DELETE FROM invites WHERE room_id IN (SELECT room_id FROM rooms WHERE used_ms < $1)",
                retention.rooms_ms,
            ),
            ("DELETE FROM rooms WHERE used_ms < $1", retention.rooms_ms),
            ("DELETE FROM inbox WHERE at_ms < $1", retention.inbox_ms),
        ];
        let mut change = self.change().await?;
        let mut swept = Swept::default();
        for (statement, before) in steps {
            let done = sqlx::query(statement).bind(stored(before)).execute(&mut *change).await?;
            swept.rows += done.rows_affected();
        }
        change.commit().await?;
        Ok(swept)
    }
}
