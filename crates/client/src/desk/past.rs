//! What was written and who called, as the window shows it.

use ahoy_signal::{CallPeer, ChatText, MessageId, UserId};
use serde::Serialize;
use tokio::sync::watch;

use super::people::People;
use super::{DeskError, DeskEvent, DeskListener, Ending};
use crate::history::{Conversation, History, Message, PastCall, Revision};

/// Messages that the window asks for at once.
const MESSAGES_PAGE: u32 = 50;
/// Calls that the window shows.
const CALLS_SHOWN: u32 = 100;

/// A call that is over, as the window shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct RecentCall {
    /// Which.
    pub call: String,
    /// With whom.
    pub with: CallPeer,
    /// Whether one has called them.
    pub outgoing: bool,
    /// Whether it was asked for with pictures.
    pub video: bool,
    /// How it ended.
    pub how: Ending,
    /// When it began to ring, in milliseconds since 1970.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub at_ms: u64,
    /// For how long both were in it, in seconds; null where nobody answered.
    pub seconds: Option<f64>,
    /// Whether one knows of it.
    pub seen: bool,
}

impl From<PastCall> for RecentCall {
    fn from(call: PastCall) -> Self {
        let PastCall { call, with, outgoing, video, outcome, at_ms, seconds, seen } = call;
        Self { call: call.to_string(), with, outgoing, video, how: outcome.into(), at_ms, seconds, seen }
    }
}

/// Tells the window whenever something is new in the history, until its last user is gone.
pub(super) async fn tell_news(mut news: watch::Receiver<Revision>, listener: DeskListener) {
    let mut told = *news.borrow_and_update();
    while news.changed().await.is_ok() {
        let now = *news.borrow_and_update();
        if now.messages != told.messages {
            listener(DeskEvent::MessagesChanged);
        }
        if now.calls != told.calls {
            listener(DeskEvent::RecentCallsChanged);
        }
        told = now;
    }
}

fn user(text: &str) -> Result<UserId, DeskError> {
    text.parse().map_err(|_| DeskError::NoSuchPerson)
}

impl People {
    async fn history(&self) -> Result<History, DeskError> {
        self.kept_history().await.ok_or(DeskError::NoHistory)
    }

    /// Everybody one has written with, the latest first.
    pub(super) async fn conversations(&self) -> Result<Vec<Conversation>, DeskError> {
        let mut conversations = self.history().await?.conversations().await?;
        conversations.extend(self.room_conversation());
        Ok(conversations)
    }

    /// The newest messages with somebody, oldest first; before one of them, if that is given.
    pub(super) async fn messages(&self, with: &str, before: Option<&str>) -> Result<Vec<Message>, DeskError> {
        if let Some(lines) = self.room_lines(user(with)?) {
            return Ok(if before.is_none() { lines } else { Vec::new() });
        }
        let before = before.map(message).transpose()?;
        Ok(self.history().await?.messages(user(with)?, before, MESSAGES_PAGE).await?)
    }

    pub(super) async fn write_message(&self, with: &str, text: &str) -> Result<(), DeskError> {
        let (with, text) = (user(with)?, ChatText::new(text)?);
        if self.say_in_room(with, &text).await? {
            return Ok(());
        }
        let history = self.history().await?;
        let to = match self.known_peer(with) {
            Some(peer) => peer,
            // No contact any more: the server will say so, and the message stays to be seen.
            None => {
                let conversations = history.conversations().await?;
                let known: Option<CallPeer> = conversations
                    .into_iter()
                    .map(|conversation| conversation.with)
                    .find(|peer| peer.user == with);
                known.ok_or(DeskError::NoSuchPerson)?
            }
        };
        history.write(to, text).await?;
        Ok(())
    }

    pub(super) async fn send_again(&self, id: &str) -> Result<(), DeskError> {
        Ok(self.history().await?.again(message(id)?).await?)
    }

    pub(super) async fn messages_seen(&self, with: &str) -> Result<(), DeskError> {
        let with = user(with)?;
        if self.room_seen(with) {
            return Ok(());
        }
        Ok(self.history().await?.seen(with).await?)
    }

    /// The latest calls, the newest first.
    pub(super) async fn recent_calls(&self) -> Result<Vec<RecentCall>, DeskError> {
        let calls = self.history().await?.calls(CALLS_SHOWN).await?;
        Ok(calls.into_iter().map(RecentCall::from).collect())
    }

    pub(super) async fn recent_calls_seen(&self) -> Result<(), DeskError> {
        Ok(self.history().await?.calls_seen().await?)
    }
}

fn message(text: &str) -> Result<MessageId, DeskError> {
    text.parse().map_err(|_| DeskError::NoSuchMessage)
}
