//! Lists of contacts, and finding people.

use ahoy_signal::{ContactStanding, Handle, Name, UserId};
use async_trait::async_trait;
use sqlx::any::AnyRow;

use super::{SqlStore, name_of, named, parsed};
use crate::store::{ContactStore, StoreError, StoredContact};

fn contact(row: &AnyRow) -> Result<StoredContact, StoreError> {
    Ok(StoredContact {
        user: parsed(row, "other")?,
        handle: parsed(row, "handle")?,
        name: parsed(row, "name")?,
        standing: named(row, "standing")?,
    })
}

#[async_trait]
impl ContactStore for SqlStore {
    async fn contacts(&self, owner: UserId) -> Result<Vec<StoredContact>, StoreError> {
        let rows = sqlx::query(
            "SELECT c.other, c.standing, a.handle, a.name FROM contacts c \
             JOIN accounts a ON a.user_id = c.other WHERE c.owner = $1 ORDER BY a.name, a.handle",
        )
        .bind(owner.to_string())
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(contact).collect()
    }

    async fn standing(&self, owner: UserId, other: UserId) -> Result<Option<ContactStanding>, StoreError> {
        let row = sqlx::query("SELECT standing FROM contacts WHERE owner = $1 AND other = $2")
            .bind(owner.to_string())
            .bind(other.to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(|row| named(row, "standing")).transpose()
    }

    async fn put_contacts(
        &self,
        entries: &[(UserId, UserId, Option<ContactStanding>)],
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        for (owner, other, standing) in entries {
            match standing {
                Some(standing) => {
                    sqlx::query(
                        "INSERT INTO contacts (owner, other, standing) VALUES ($1, $2, $3) \
                         ON CONFLICT (owner, other) DO UPDATE SET standing = $3",
                    )
                    .bind(owner.to_string())
                    .bind(other.to_string())
                    .bind(name_of(standing)?)
                    .execute(&mut *change)
                    .await?
                }
                None => {
                    sqlx::query("DELETE FROM contacts WHERE owner = $1 AND other = $2")
                        .bind(owner.to_string())
                        .bind(other.to_string())
                        .execute(&mut *change)
                        .await?
                }
            };
        }
        change.commit().await?;
        Ok(())
    }

    async fn find_handle(&self, handle: &Handle) -> Result<Option<(UserId, Name)>, StoreError> {
        let row = sqlx::query("SELECT user_id, name FROM accounts WHERE handle = $1")
            .bind(handle.as_str())
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| Ok((parsed(&row, "user_id")?, parsed(&row, "name")?))).transpose()
    }

    async fn find_user(&self, user: UserId) -> Result<Option<(Handle, Name)>, StoreError> {
        let row = sqlx::query("SELECT handle, name FROM accounts WHERE user_id = $1")
            .bind(user.to_string())
            .fetch_optional(&self.read)
            .await?;
        row.map(|row| Ok((parsed(&row, "handle")?, parsed(&row, "name")?))).transpose()
    }
}
