//! What the server's inbox tells, and calls that are over, taken into the file.

use ahoy_call::Outcome;
use ahoy_signal::{CallMedia, CallPeer, InboxEntry, InboxItem, MessageMark};
use rusqlite::{Transaction, params};

use super::view::PastCall;

type Sql<T> = rusqlite::Result<T>;

/// Remembers what somebody is called.
pub(super) fn know(change: &Transaction<'_>, who: &CallPeer) -> Sql<()> {
    change.execute(
        "INSERT INTO people (user, handle, name) VALUES (?1, ?2, ?3) \
         ON CONFLICT (user) DO UPDATE SET handle = ?2, name = ?3",
        params![who.user.to_string(), who.handle.as_str(), who.name.as_str()],
    )?;
    Ok(())
}

/// Keeps a call. `conflict` says which counts where it is known: `REPLACE` for this one, `IGNORE` for the other.
pub(super) fn keep_call(change: &Transaction<'_>, call: &PastCall, conflict: &str) -> Sql<()> {
    know(change, &call.with)?;
    let outcome = serde_json::to_string(&call.outcome)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    change.execute(
        &format!(
            "INSERT OR {conflict} INTO calls (call, user, outgoing, video, outcome, at_ms, seconds, seen) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        ),
        params![
            call.call.to_string(),
            call.with.user.to_string(),
            call.outgoing,
            call.video,
            outcome,
            call.at_ms,
            call.seconds,
            call.seen
        ],
    )?;
    Ok(())
}

/// Takes in the next entry of the inbox.
pub(super) fn take_in(change: &Transaction<'_>, entry: &InboxEntry) -> Sql<()> {
    let InboxEntry { number, at_ms, item } = entry;
    match item {
        InboxItem::Message { message, with, sent, text } => {
            know(change, with)?;
            change.execute(
                "INSERT INTO messages (message, user, sent, text, at_ms, number, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (message) DO UPDATE SET number = ?6, at_ms = ?5, \
                 state = CASE WHEN state IN ('sending', 'failed') THEN 'sent' ELSE state END",
                params![
                    message.to_string(),
                    with.user.to_string(),
                    sent,
                    text.as_str(),
                    at_ms,
                    number,
                    if *sent { "sent" } else { "received" }
                ],
            )?;
            if !sent {
                change.execute(
                    "UPDATE people SET received = MAX(received, ?2) WHERE user = ?1",
                    params![with.user.to_string(), number],
                )?;
            }
        }
        InboxItem::Marked { with, message, mark, sent: true } => {
            let (state, before) = match mark {
                MessageMark::Delivered => ("delivered", "('sent')"),
                MessageMark::Read => ("read", "('sent', 'delivered')"),
            };
            change.execute(
                &format!(
                    "UPDATE messages SET state = ?1 WHERE user = ?2 AND sent = 1 AND state IN {before} \
                     AND number <= (SELECT number FROM messages WHERE message = ?3)"
                ),
                params![state, with.to_string(), message.to_string()],
            )?;
        }
        // At another device of one's own.
        InboxItem::Marked { with, message, mark: MessageMark::Read, sent: false } => {
            change.execute(
                "UPDATE people SET seen = MAX(seen, m.number), told_seen = MAX(told_seen, m.number), \
                 told_received = MAX(told_received, m.number) FROM messages m \
                 WHERE people.user = ?1 AND m.message = ?2 AND m.number IS NOT NULL",
                params![with.to_string(), message.to_string()],
            )?;
        }
        InboxItem::Marked { mark: MessageMark::Delivered, sent: false, .. } => {}
        InboxItem::MissedCall { call, from, media } => {
            let missed = PastCall {
                call: *call,
                with: from.clone(),
                outgoing: false,
                video: *media == CallMedia::Video,
                outcome: Outcome::Missed,
                at_ms: *at_ms,
                seconds: None,
                seen: false,
            };
            // Where this device has seen it ring it knows more.
            keep_call(change, &missed, "IGNORE")?;
        }
    }
    change.execute("UPDATE inbox SET last = ?1", [number])?;
    Ok(())
}
