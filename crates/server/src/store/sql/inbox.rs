//! Inboxes.

use ahoy_signal::{InboxEntry, InboxItem, MessageId, MessageMark, UserId, limits};
use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::{SqlStore, count, name_of, stored};
use crate::store::{Delivered, InboxStore, StoreError};

fn entry(row: &AnyRow) -> Result<InboxEntry, StoreError> {
    let item: String = row.try_get("item")?;
    Ok(InboxEntry {
        number: count(row, "number")?,
        at_ms: count(row, "at_ms")?,
        item: serde_json::from_str(&item).map_err(|_| StoreError::Corrupt("column item".into()))?,
    })
}

/// What an item tells of: an owner has one entry for each message and each call, however often it is delivered.
fn subject(item: &InboxItem, number: i64) -> String {
    match item {
        InboxItem::Message { message, .. } => message.to_string(),
        InboxItem::MissedCall { call, .. } => call.to_string(),
        InboxItem::Marked { .. } => format!("mark {number}"),
    }
}

/// Adds an entry and forgets the oldest where there are too many.
async fn append(
    change: &mut Transaction<'static, Any>,
    owner: UserId,
    at_ms: u64,
    item: InboxItem,
) -> Result<InboxEntry, StoreError> {
    let id = owner.to_string();
    let head = sqlx::query(
        "INSERT INTO inbox_heads (owner, last) VALUES ($1, 1) \
         ON CONFLICT (owner) DO UPDATE SET last = inbox_heads.last + 1 RETURNING last",
    )
    .bind(&*id)
    .fetch_one(&mut **change)
    .await?;
    let number: i64 = head.try_get("last")?;
    let text =
        serde_json::to_string(&item).map_err(|_| StoreError::Corrupt("an item without JSON".into()))?;
    sqlx::query("INSERT INTO inbox (owner, number, at_ms, subject, item) VALUES ($1, $2, $3, $4, $5)")
        .bind(&*id)
        .bind(number)
        .bind(stored(at_ms))
        .bind(subject(&item, number))
        .bind(text)
        .execute(&mut **change)
        .await?;
    sqlx::query("DELETE FROM inbox WHERE owner = $1 AND number <= $2")
        .bind(&*id)
        .bind(number - stored(limits::INBOX_MOST))
        .execute(&mut **change)
        .await?;
    Ok(InboxEntry { number: count(&head, "last")?, at_ms, item })
}

async fn about(
    change: &mut Transaction<'static, Any>,
    owner: UserId,
    subject: &str,
) -> Result<Option<InboxEntry>, StoreError> {
    let row = sqlx::query("SELECT number, at_ms, item FROM inbox WHERE owner = $1 AND subject = $2")
        .bind(owner.to_string())
        .bind(subject)
        .fetch_optional(&mut **change)
        .await?;
    row.as_ref().map(entry).transpose()
}

#[async_trait]
impl InboxStore for SqlStore {
    async fn inbox(&self, owner: UserId, after: u64) -> Result<(Vec<InboxEntry>, u64), StoreError> {
        let head = sqlx::query("SELECT last FROM inbox_heads WHERE owner = $1")
            .bind(owner.to_string())
            .fetch_optional(&self.read)
            .await?;
        let last = head.map_or(Ok(0), |row| count(&row, "last"))?;
        let rows = sqlx::query(
            "SELECT number, at_ms, item FROM inbox WHERE owner = $1 AND number > $2 AND number <= $3 \
             ORDER BY number LIMIT $4",
        )
        .bind(owner.to_string())
        .bind(stored(after))
        .bind(stored(last))
        .bind(limits::INBOX_PAGE as i64)
        .fetch_all(&self.read)
        .await?;
        let mut entries = Vec::with_capacity(rows.len());
        let mut bytes = 0;
        for row in &rows {
            bytes += row.try_get::<&str, _>("item")?.len();
            if bytes > limits::INBOX_PAGE_BYTES && !entries.is_empty() {
                break;
            }
            entries.push(entry(row)?);
        }
        Ok((entries, last))
    }

    async fn deliver(
        &self,
        at_ms: u64,
        copies: Vec<(UserId, InboxItem)>,
    ) -> Result<Vec<Delivered>, StoreError> {
        let mut change = self.change().await?;
        let mut delivered = Vec::with_capacity(copies.len());
        for (owner, item) in copies {
            let known = about(&mut change, owner, &subject(&item, 0)).await?;
            let new = known.is_none();
            let entry = match known {
                Some(entry) => entry,
                None => append(&mut change, owner, at_ms, item).await?,
            };
            delivered.push(Delivered { owner, entry, new });
        }
        change.commit().await?;
        Ok(delivered)
    }

    async fn received(&self, reader: UserId, message: MessageId) -> Result<Option<InboxEntry>, StoreError> {
        let row = sqlx::query("SELECT number, at_ms, item FROM inbox WHERE owner = $1 AND subject = $2")
            .bind(reader.to_string())
            .bind(message.to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(entry).transpose()
    }

    async fn advance_mark(
        &self,
        reader: UserId,
        writer: UserId,
        mark: MessageMark,
        number: u64,
        at_ms: u64,
        copies: Vec<(UserId, InboxItem)>,
    ) -> Result<Vec<Delivered>, StoreError> {
        let mut change = self.change().await?;
        let advanced = sqlx::query(
            "INSERT INTO inbox_marks (reader, writer, mark, number) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (reader, writer, mark) DO UPDATE SET number = $4 WHERE inbox_marks.number < $4",
        )
        .bind(reader.to_string())
        .bind(writer.to_string())
        .bind(name_of(&mark)?)
        .bind(stored(number))
        .execute(&mut *change)
        .await?
        .rows_affected();
        let mut delivered = Vec::new();
        if advanced > 0 {
            for (owner, item) in copies {
                let entry = append(&mut change, owner, at_ms, item).await?;
                delivered.push(Delivered { owner, entry, new: true });
            }
        }
        change.commit().await?;
        Ok(delivered)
    }
}
