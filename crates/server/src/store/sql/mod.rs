//! The store in a database: a SQLite file, or PostgreSQL by a URL. Both get the same statements.
//!
//! SQLite lets one writer in at a time, so there is one connection that writes and it starts its transactions by taking the
//! lock; reading goes on beside it (WAL). PostgreSQL has one pool for both.

mod accounts;
mod contacts;
mod devices;
mod inbox;
mod invites;
mod personal_data;
mod retention;
mod rooms;
mod tokens;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, Connection, Executor, Row, SqlSafeStr, Transaction};

use super::StoreError;

pub use accounts::{Account, NewAccount};
pub use devices::{DeviceRow, GuestSeat, Rotation};
pub use invites::{InviteRow, Redeemed};
pub use personal_data::{AccountData, ContactData, DeletedAccount, DeviceData, InviteData, RoomData};
pub use retention::{Retention, Swept};
pub use tokens::{AuditRow, TokenUse};

/// How long a statement waits for another process that has locked the SQLite file, such as a backup.
const SQLITE_BUSY_MS: u32 = 5_000;
/// How long a request waits for a connection to the database before it is refused.
const POOL_WAIT: Duration = Duration::from_secs(5);
/// Connections that read SQLite. Reading is short; more would only compete for the same file.
const SQLITE_READERS: u32 = 4;

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file, made on the first start.
    Sqlite {
        /// Where it is.
        path: PathBuf,
    },
    /// A server.
    Postgres {
        /// `postgres://user:password@host/database`.
        url: String,
        /// Connections to it.
        connections: u32,
    },
}

/// Rooms, contacts and accounts in a database.
#[derive(Clone)]
pub struct SqlStore {
    read: AnyPool,
    write: AnyPool,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl std::fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            Kind::Sqlite => "SqlStore(SQLite)",
            Kind::Postgres => "SqlStore(PostgreSQL)",
        })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                Self::Corrupt(error.to_string())
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}

fn migrator() -> Migrator {
    let step = |version, name: &'static str, text: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        step(1, "first", include_str!("../../../migrations/0001_first.sql")),
        step(2, "inbox", include_str!("../../../migrations/0002_inbox.sql")),
    ])
}

impl SqlStore {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it can't be reached, made or changed.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let store = match database {
            Database::Sqlite { path } => Self::open_sqlite(path).await?,
            Database::Postgres { url, connections } => {
                let pool = AnyPoolOptions::new()
                    .max_connections((*connections).max(2))
                    .acquire_timeout(POOL_WAIT)
                    .connect(url)
                    .await?;
                Self { read: pool.clone(), write: pool, kind: Kind::Postgres }
            }
        };
        migrator().run(&store.write).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(store)
    }

    async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        create_private(path)
            .map_err(|error| StoreError::Unavailable(format!("{} can't be made: {error}", path.display())))?;
        let url = format!("sqlite://{}", url_path(path));
        // Full synchronisation, for what the server promised must be there after a power cut: a rotated refresh token
        // that was forgotten would sign a device out.
        let pragmas = format!(
            "PRAGMA busy_timeout = {SQLITE_BUSY_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;"
        );
        let options = |connections| {
            let pragmas = pragmas.clone();
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(POOL_WAIT)
                .idle_timeout(None)
                .max_lifetime(None)
                // On a full disk SQLite takes a transaction back by itself. sqlx does not learn of that and refuses to begin
                // another one on the same connection, for ever.
                .before_acquire(|connection, _| {
                    let usable = !connection.is_in_transaction();
                    Box::pin(async move { Ok(usable) })
                })
                .after_connect(move |connection, _| {
                    let pragmas = sqlx::AssertSqlSafe(pragmas.clone());
                    Box::pin(async move { connection.execute(sqlx::raw_sql(pragmas)).await.map(|_| ()) })
                })
        };
        let write = options(1).connect(&url).await?;
        let read = options(SQLITE_READERS).connect_lazy(&url)?;
        Ok(Self { read, write, kind: Kind::Sqlite })
    }

    /// Starts a transaction that changes something.
    async fn change(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.kind {
            Kind::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await?,
            Kind::Postgres => self.write.begin().await?,
        })
    }

    /// Sees that something can be stored now: that the database answers and its disk is not full.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason.
    pub async fn probe(&self, now_ms: i64) -> Result<(), StoreError> {
        // A row larger than what a page has left, so that a full disk is noticed and not only a broken one.
        const PROBE_BYTES: usize = 16 * 1024;
        let mut change = self.change().await?;
        let filler = "x".repeat(PROBE_BYTES);
        sqlx::query("INSERT INTO used_tokens (jti, expires_ms) VALUES ($1, $2)")
            .bind(format!("probe {filler}"))
            .bind(now_ms)
            .execute(&mut *change)
            .await?;
        sqlx::query("DELETE FROM used_tokens WHERE expires_ms = $1 AND jti LIKE 'probe %'")
            .bind(now_ms)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(())
    }

    /// Closes all connections, so that SQLite folds its log back into the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Makes the file, and the folder it is in, for nobody else to read.
fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private_folder(folder)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

/// Makes a folder that only this user can look into. One that is there is left as it is.
pub(crate) fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A path as a URL has it: what would mean something there is escaped.
fn url_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.chars().fold(String::with_capacity(text.len()), |mut url, c| {
        match c {
            '%' => url.push_str("%25"),
            '?' => url.push_str("%3F"),
            '#' => url.push_str("%23"),
            other => url.push(other),
        }
        url
    })
}

/// Reads a column whose text has rules.
fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| StoreError::Corrupt(format!("column {column}")))
}

/// Reads a column whose values have names, as JSON has them.
fn named<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|_| StoreError::Corrupt(format!("column {column}")))
}

/// The name of a value, as JSON has it.
fn name_of<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        Ok(_) | Err(_) => Err(StoreError::Corrupt("a value that has no name".into())),
    }
}

/// Reads a number that is never negative.
fn count(row: &AnyRow, column: &'static str) -> Result<u64, StoreError> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("column {column}")))
}

/// A time as the database has it.
fn stored(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
