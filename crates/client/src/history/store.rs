//! The history in a SQLite file, one for each account. Several programs of one person may use it at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ahoy_call::{CallRecord, Direction, Outcome};
use ahoy_signal::{CallMedia, CallPeer, ChatText, InboxEntry, MessageId, MessageMark, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use rusqlite_migration::{M, Migrations};

use super::intake::{keep_call, know, take_in};
use super::view::{Conversation, Message, MessageState, PastCall};

/// How the file came to be as it is: each step is applied once, in order, and never changed.
const STEPS: &[M<'_>] = &[M::up(include_str!("../../migrations/history_0001.sql"))];
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);
/// How long one program waits for another that is writing.
const BUSY: Duration = Duration::from_secs(5);

/// Why the history can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file can't be made, read or written.
    #[error(
        "the history in {} can't be used ({cause}): check that you may read and write there, and that the disk has room",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        cause: String,
    },
    /// It was written by a later version.
    #[error("the history in {} is of a later version of Ahoy: update this one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
}

/// A message that the server does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsent {
    pub(super) message: MessageId,
    pub(super) to: UserId,
    pub(super) text: ChatText,
}

/// How far the messages of somebody have come, which the server does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Untold {
    pub(super) writer: UserId,
    pub(super) message: MessageId,
    pub(super) number: u64,
    pub(super) mark: MessageMark,
}

/// What came of an entry of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It is in the history now, or was already.
    Done,
    /// Others are missing before it.
    Gap,
}

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
}

type Sql<T> = rusqlite::Result<T>;

/// Reads a column whose text has rules.
fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> Sql<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column)?;
    let text: String = row.get(index)?;
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn peer(row: &Row<'_>) -> Sql<CallPeer> {
    Ok(CallPeer { user: parsed(row, "user")?, handle: parsed(row, "handle")?, name: parsed(row, "name")? })
}

fn message(row: &Row<'_>) -> Sql<Message> {
    let state: String = row.get("state")?;
    Ok(Message {
        message: parsed(row, "message")?,
        text: row.get("text")?,
        at_ms: row.get("at_ms")?,
        state: match (row.get("sent")?, state.as_str()) {
            (false, _) => MessageState::Received,
            (true, "sent") => MessageState::Sent,
            (true, "delivered") => MessageState::Delivered,
            (true, "read") => MessageState::Read,
            (true, "failed") => MessageState::Failed,
            (true, _) => MessageState::Sending,
        },
    })
}

impl Store {
    /// Opens the file, or makes it, for nobody else to read.
    pub(super) fn open(path: &Path) -> Result<Self, HistoryError> {
        let unusable = |cause: String| HistoryError::Unusable { path: path.to_owned(), cause };
        make_private(path).map_err(|error| unusable(error.to_string()))?;
        let open = || -> Sql<Connection> {
            let connection = Connection::open(path)?;
            connection.busy_timeout(BUSY)?;
            // Messages are at the server as well: the last ones may be asked for again after a power cut.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "secure_delete", true)?;
            Ok(connection)
        };
        let mut connection = open().map_err(|error| unusable(error.to_string()))?;
        MIGRATIONS.to_latest(&mut connection).map_err(|error| match error {
            rusqlite_migration::Error::MigrationDefinition(
                rusqlite_migration::MigrationDefinitionError::DatabaseTooFarAhead,
            ) => HistoryError::Newer { path: path.to_owned() },
            other => unusable(other.to_string()),
        })?;
        Ok(Self { connection, path: path.to_owned() })
    }

    fn told<T>(&self, outcome: Sql<T>) -> Result<T, HistoryError> {
        outcome.map_err(|error| HistoryError::Unusable { path: self.path.clone(), cause: error.to_string() })
    }

    /// Changes something, wholly or not at all.
    fn change<T>(&mut self, act: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T, HistoryError> {
        let run = || {
            let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = act(&change)?;
            change.commit()?;
            Ok(outcome)
        };
        let outcome = run();
        self.told(outcome)
    }

    /// The number of the last entry of the inbox that is in here.
    pub(super) fn last(&self) -> Result<u64, HistoryError> {
        self.told(self.connection.query_row("SELECT last FROM inbox", [], |row| row.get(0)))
    }

    /// Takes in an entry that the server told by itself.
    pub(super) fn apply(&mut self, entry: &InboxEntry) -> Result<Applied, HistoryError> {
        match self.last()? {
            last if entry.number <= last => Ok(Applied::Done),
            last if entry.number > last + 1 => Ok(Applied::Gap),
            _ => self.change(|change| take_in(change, entry)).map(|()| Applied::Done),
        }
    }

    /// Takes in what the server answers when it is asked for what came after entry `after`. Where numbers are missing the
    /// server has forgotten them. A server whose newest is before that has lost entries, and begins to count anew.
    pub(super) fn catch_up(
        &mut self,
        after: u64,
        entries: &[InboxEntry],
        newest: u64,
    ) -> Result<(), HistoryError> {
        self.change(|change| {
            if newest < after {
                change.execute("UPDATE inbox SET last = ?1 WHERE last = ?2", params![newest, after])?;
            }
            let last: u64 = change.query_row("SELECT last FROM inbox", [], |row| row.get(0))?;
            // Another program may have been faster.
            entries.iter().filter(|entry| entry.number > last).try_for_each(|entry| take_in(change, entry))
        })
    }

    /// Keeps a message that is to be sent.
    pub(super) fn write(
        &mut self,
        to: &CallPeer,
        message: MessageId,
        text: &ChatText,
        now_ms: u64,
    ) -> Result<(), HistoryError> {
        self.change(|change| {
            know(change, to)?;
            change.execute(
                "INSERT INTO messages (message, user, sent, text, at_ms, state) VALUES (?1, ?2, 1, ?3, ?4, 'sending')",
                params![message.to_string(), to.user.to_string(), text.as_str(), now_ms],
            )?;
            Ok(())
        })
    }

    /// The next message to send.
    pub(super) fn next_unsent(&self) -> Result<Option<Unsent>, HistoryError> {
        let found = self.connection.query_row(
            "SELECT message, user, text FROM messages WHERE state = 'sending' ORDER BY place LIMIT 1",
            [],
            |row| {
                Ok(Unsent {
                    message: parsed(row, "message")?,
                    to: parsed(row, "user")?,
                    text: parsed(row, "text")?,
                })
            },
        );
        self.told(found.optional())
    }

    /// The server has a message.
    pub(super) fn sent(&mut self, message: MessageId, entry: &InboxEntry) -> Result<(), HistoryError> {
        self.change(|change| {
            change.execute(
                "UPDATE messages SET state = 'sent', number = ?2, at_ms = ?3 WHERE message = ?1 AND state = 'sending'",
                params![message.to_string(), entry.number, entry.at_ms],
            )?;
            Ok(())
        })
    }

    /// How far a message is.
    pub(super) fn state(&self, id: MessageId) -> Result<Option<MessageState>, HistoryError> {
        let found = self.connection.query_row(
            "SELECT message, sent, text, at_ms, state FROM messages WHERE message = ?1",
            [id.to_string()],
            message,
        );
        Ok(self.told(found.optional())?.map(|message| message.state))
    }

    /// The server does not take a message.
    pub(super) fn failed(&mut self, message: MessageId) -> Result<(), HistoryError> {
        self.change(|change| {
            change.execute(
                "UPDATE messages SET state = 'failed' WHERE message = ?1 AND state = 'sending'",
                [message.to_string()],
            )?;
            Ok(())
        })
    }

    /// What was refused is tried again. Whether there was such a message.
    pub(super) fn again(&mut self, message: MessageId) -> Result<bool, HistoryError> {
        self.change(|change| {
            let changed = change.execute(
                "UPDATE messages SET state = 'sending' WHERE message = ?1 AND state = 'failed'",
                [message.to_string()],
            )?;
            Ok(changed > 0)
        })
    }

    /// One has seen everything that somebody has written so far. Whether that is news.
    pub(super) fn seen(&mut self, writer: UserId) -> Result<bool, HistoryError> {
        self.change(|change| {
            let changed = change.execute(
                "UPDATE people SET seen = received WHERE user = ?1 AND seen < received",
                [writer.to_string()],
            )?;
            Ok(changed > 0)
        })
    }

    /// How far messages have come, which the server does not know.
    pub(super) fn untold(&self) -> Result<Vec<Untold>, HistoryError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT p.user, m.message, m.number, p.seen >= m.number AS seen FROM people p JOIN messages m \
                 ON m.user = p.user AND m.sent = 0 AND (m.number = p.seen AND p.told_seen < p.seen \
                 OR m.number = p.received AND p.told_received < p.received) ORDER BY m.number",
            )?;
            let found = statement.query_map([], |row| {
                Ok(Untold {
                    writer: parsed(row, "user")?,
                    message: parsed(row, "message")?,
                    number: row.get("number")?,
                    mark: if row.get("seen")? { MessageMark::Read } else { MessageMark::Delivered },
                })
            })?;
            found.collect()
        };
        self.told(read())
    }

    /// The server knows that, or does not want to.
    pub(super) fn was_told(&mut self, told: Untold) -> Result<(), HistoryError> {
        let statement = match told.mark {
            MessageMark::Delivered => {
                "UPDATE people SET told_received = MAX(told_received, ?2) WHERE user = ?1"
            }
            // What was read has been received.
            MessageMark::Read => {
                "UPDATE people SET told_seen = MAX(told_seen, ?2), told_received = MAX(told_received, ?2) WHERE user = ?1"
            }
        };
        self.change(|change| {
            change.execute(statement, params![told.writer.to_string(), told.number])?;
            Ok(())
        })
    }

    /// Keeps a call that is over.
    pub(super) fn call(&mut self, record: &CallRecord, now_ms: u64) -> Result<(), HistoryError> {
        let lasted = record.rang_for + record.answered_for.unwrap_or_default();
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        let call = PastCall {
            call: record.call,
            with: record.peer.clone(),
            outgoing: record.direction == Direction::Outgoing,
            video: record.media == CallMedia::Video,
            outcome: record.outcome,
            at_ms: now_ms.saturating_sub(lasted_ms),
            seconds: record.answered_for.map(|time| time.as_secs_f64()),
            seen: record.outcome != Outcome::Missed,
        };
        self.change(|change| keep_call(change, &call, "REPLACE"))
    }

    /// One has looked at the missed calls. Whether there were new ones.
    pub(super) fn calls_seen(&mut self) -> Result<bool, HistoryError> {
        self.change(|change| Ok(change.execute("UPDATE calls SET seen = 1 WHERE seen = 0", [])? > 0))
    }

    /// Everybody one has written with, the latest first.
    pub(super) fn conversations(&self) -> Result<Vec<Conversation>, HistoryError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT p.user, p.handle, p.name, m.message, m.sent, m.text, m.at_ms, m.state, \
                 (SELECT COUNT(*) FROM messages u WHERE u.user = p.user AND u.sent = 0 AND u.number > p.seen) AS unread \
                 FROM people p JOIN messages m ON m.place = (SELECT l.place FROM messages l WHERE l.user = p.user \
                 ORDER BY l.number IS NULL DESC, l.number DESC, l.place DESC LIMIT 1) ORDER BY m.at_ms DESC, p.user",
            )?;
            let found = statement.query_map([], |row| {
                Ok(Conversation { with: peer(row)?, last: message(row)?, unread: row.get("unread")? })
            })?;
            found.collect()
        };
        self.told(read())
    }

    /// The newest messages with somebody, oldest first: `most` of them, before `before` if that is given.
    pub(super) fn messages(
        &self,
        with: UserId,
        before: Option<MessageId>,
        most: u32,
    ) -> Result<Vec<Message>, HistoryError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                // What the server does not have yet comes after all that it has.
                "SELECT message, sent, text, at_ms, state FROM messages WHERE user = ?1 AND (?2 IS NULL OR \
                 (COALESCE(number, 9223372036854775807), place) < (SELECT COALESCE(number, 9223372036854775807), place \
                 FROM messages WHERE message = ?2)) \
                 ORDER BY COALESCE(number, 9223372036854775807) DESC, place DESC LIMIT ?3",
            )?;
            let before = before.map(|message| message.to_string());
            let found = statement.query_map(params![with.to_string(), before, most], message)?;
            let mut messages = found.collect::<Sql<Vec<_>>>()?;
            messages.reverse();
            Ok(messages)
        };
        self.told(read())
    }

    /// The latest calls, the newest first.
    pub(super) fn calls(&self, most: u32) -> Result<Vec<PastCall>, HistoryError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT c.call, c.outgoing, c.video, c.outcome, c.at_ms, c.seconds, c.seen, p.user, p.handle, p.name \
                 FROM calls c JOIN people p ON p.user = c.user ORDER BY c.at_ms DESC, c.call LIMIT ?1",
            )?;
            let found = statement.query_map([most], |row| {
                let outcome: String = row.get("outcome")?;
                Ok(PastCall {
                    call: parsed(row, "call")?,
                    with: peer(row)?,
                    outgoing: row.get("outgoing")?,
                    video: row.get("video")?,
                    outcome: serde_json::from_str(&outcome).map_err(|error| {
                        let text = rusqlite::types::Type::Text;
                        rusqlite::Error::FromSqlConversionFailure(3, text, Box::new(error))
                    })?,
                    at_ms: row.get("at_ms")?,
                    seconds: row.get("seconds")?,
                    seen: row.get("seen")?,
                })
            })?;
            found.collect()
        };
        self.told(read())
    }
}

/// Makes the file, and the folder it is in, for nobody else to read.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
