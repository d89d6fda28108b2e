//! Accounts, their passwords and their recovery codes.

use ahoy_signal::{DeviceId, Handle, Name, UserId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::devices::{DeviceRow, insert, remove_others};
use super::tokens::{AuditRow, append};
use super::{SqlStore, count, name_of, named, parsed, stored};
use crate::identity::Class;
use crate::store::StoreError;

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose.
    pub user: UserId,
    /// What they are found by.
    pub handle: Handle,
    /// What they are called.
    pub name: Name,
    /// Their password's argon2id hash, in PHC's string format.
    pub password_hash: String,
    /// How much they may ask for.
    pub class: Class,
    /// Since when.
    pub created_ms: u64,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({}, {:?})", self.user, self.class)
    }
}

/// A new account with what it begins with.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// The device that made it.
    pub device: DeviceRow,
    /// SHA-256 of its recovery codes, in hexadecimal digits.
    pub code_hashes: Vec<String>,
}

fn account(row: &AnyRow) -> Result<Account, StoreError> {
    Ok(Account {
        user: parsed(row, "user_id")?,
        handle: parsed(row, "handle")?,
        name: parsed(row, "name")?,
        password_hash: row.try_get("password_hash")?,
        class: named(row, "class")?,
        created_ms: count(row, "created_ms")?,
    })
}

async fn put_codes(
    connection: &mut AnyConnection,
    user: UserId,
    code_hashes: &[String],
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1")
        .bind(user.to_string())
        .execute(&mut *connection)
        .await?;
    for hash in code_hashes {
        sqlx::query("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)")
            .bind(user.to_string())
            .bind(&**hash)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl SqlStore {
    /// Makes an account. False where its handle belongs to someone.
    pub async fn create_account(&self, new: &NewAccount, audit: &AuditRow) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let made = sqlx::query(
            "INSERT INTO accounts (user_id, handle, name, password_hash, class, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (handle) DO NOTHING",
        )
        .bind(new.account.user.to_string())
        .bind(new.account.handle.as_str())
        .bind(new.account.name.as_str())
        .bind(&*new.account.password_hash)
        .bind(name_of(&new.account.class)?)
        .bind(stored(new.account.created_ms))
        .execute(&mut *change)
        .await?
        .rows_affected()
            == 1;
        if made {
            insert(&mut change, &new.device).await?;
            put_codes(&mut change, new.account.user, &new.code_hashes).await?;
            append(&mut change, audit).await?;
        }
        change.commit().await?;
        Ok(made)
    }

    /// How many accounts there are.
    pub async fn count_accounts(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS accounts FROM accounts").fetch_one(&self.read).await?;
        count(&row, "accounts")
    }

    /// The account that a handle belongs to.
    pub async fn account_by_handle(&self, handle: &Handle) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(
            "SELECT user_id, handle, name, password_hash, class, created_ms FROM accounts WHERE handle = $1",
        )
        .bind(handle.as_str())
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(account).transpose()
    }

    /// A user's account.
    pub async fn account(&self, user: UserId) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(
            "SELECT user_id, handle, name, password_hash, class, created_ms FROM accounts WHERE user_id = $1",
        )
        .bind(user.to_string())
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(account).transpose()
    }

    /// Changes a class. False where there is no such account.
    pub async fn set_class(&self, handle: &Handle, class: Class) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let done = sqlx::query("UPDATE accounts SET class = $1 WHERE handle = $2")
            .bind(name_of(&class)?)
            .bind(handle.as_str())
            .execute(&mut *change)
            .await?
            .rows_affected()
            == 1;
        change.commit().await?;
        Ok(done)
    }

    /// Puts a password in the place of one whose hash the caller has checked, and signs all other devices out. `None`
    /// where that one does not count any more; otherwise who was signed out.
    pub async fn change_password(
        &self,
        checked: &Account,
        password_hash: &str,
        kept: DeviceId,
        audit: &AuditRow,
    ) -> Result<Option<Vec<DeviceId>>, StoreError> {
        let mut change = self.change().await?;
        let done =
            sqlx::query("UPDATE accounts SET password_hash = $1 WHERE user_id = $2 AND password_hash = $3")
                .bind(password_hash)
                .bind(checked.user.to_string())
                .bind(&*checked.password_hash)
                .execute(&mut *change)
                .await?
                .rows_affected()
                == 1;
        if !done {
            return Ok(None);
        }
        let gone = remove_others(&mut change, checked.user, Some(kept)).await?;
        append(&mut change, audit).await?;
        change.commit().await?;
        Ok(Some(gone))
    }

    /// Stores the same password's hash with other costs. Does nothing where the password has changed meanwhile.
    pub async fn rehash(&self, checked: &Account, password_hash: &str) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        sqlx::query("UPDATE accounts SET password_hash = $1 WHERE user_id = $2 AND password_hash = $3")
            .bind(password_hash)
            .bind(checked.user.to_string())
            .bind(&*checked.password_hash)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(())
    }

    /// Whether a recovery code would be good.
    pub async fn has_code(&self, user: UserId, code_hash: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT code_hash FROM recovery_codes WHERE user_id = $1 AND code_hash = $2")
            .bind(user.to_string())
            .bind(code_hash)
            .fetch_optional(&self.read)
            .await?;
        Ok(row.is_some())
    }

    /// Uses a recovery code up: sets the password, signs all devices out and this one in. `None` where the code is not
    /// good; otherwise who was signed out.
    pub async fn recover(
        &self,
        code_hash: &str,
        password_hash: &str,
        device: &DeviceRow,
        audit: &AuditRow,
    ) -> Result<Option<Vec<DeviceId>>, StoreError> {
        let mut change = self.change().await?;
        let good = sqlx::query("DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2")
            .bind(device.user.to_string())
            .bind(code_hash)
            .execute(&mut *change)
            .await?
            .rows_affected()
            == 1;
        if !good {
            return Ok(None);
        }
        sqlx::query("UPDATE accounts SET password_hash = $1 WHERE user_id = $2")
            .bind(password_hash)
            .bind(device.user.to_string())
            .execute(&mut *change)
            .await?;
        let gone = remove_others(&mut change, device.user, None).await?;
        insert(&mut change, device).await?;
        append(&mut change, audit).await?;
        change.commit().await?;
        Ok(Some(gone))
    }

    /// Puts new recovery codes in the place of all old ones.
    pub async fn put_recovery_codes(
        &self,
        user: UserId,
        code_hashes: &[String],
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        put_codes(&mut change, user, code_hashes).await?;
        append(&mut change, audit).await?;
        change.commit().await?;
        Ok(())
    }
}
