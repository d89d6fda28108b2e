//! What was written and who called: a history in a file, kept in step with the server's inbox.
//!
//! [`History`] reads and writes the file; the task of [`History::follow`] takes in what the server tells, sends what was
//! written, in order, and tells how far others' messages have come. Whatever is interrupted goes on with the next connection.

mod intake;
mod post;
mod store;
mod view;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ahoy_call::CallRecord;
use ahoy_signal::{CallPeer, ChatText, InboxEntry, MessageId, UserId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use self::post::{Post, Wake};
pub use self::store::HistoryError;
use self::store::Store;
pub use self::view::{Conversation, Message, MessageState, PastCall};
use crate::signaling::Signaling;

/// Things to do that wait. Entries of the inbox beyond that are asked for again.
const WAKES: usize = 256;

/// Counts what was new, so that whoever looks can tell whether to look again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Messages have come or are further.
    pub messages: u64,
    /// Calls are new or were looked at.
    pub calls: u64,
}

/// The history of one account.
#[derive(Clone)]
pub struct History {
    store: Arc<Mutex<Store>>,
    revision: watch::Sender<Revision>,
    wake: Option<mpsc::Sender<Wake>>,
    /// Whether entries of the inbox may have been missed.
    behind: Arc<AtomicBool>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("History")
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl History {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`HistoryError`], as with everything here.
    pub async fn open(path: PathBuf) -> Result<Self, HistoryError> {
        let store = in_background(move || Store::open(&path)).await?;
        Ok(Self {
            store: Arc::new(Mutex::new(store)),
            revision: watch::Sender::default(),
            wake: None,
            behind: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Begins to exchange what is new with the server, until the last clone of what is returned is dropped. Must be called on
    /// a tokio runtime.
    pub fn follow(mut self, signaling: Signaling) -> Self {
        let (wake, wakes) = mpsc::channel(WAKES);
        tokio::spawn(Post::new(self.clone(), signaling).run(wakes));
        self.wake = Some(wake);
        self
    }

    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let store = Arc::clone(&self.store);
        in_background(move || act(&mut store.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Tells when something is new.
    pub fn news(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    fn messages_changed(&self) {
        self.revision.send_modify(|revision| revision.messages += 1);
    }

    fn calls_changed(&self) {
        self.revision.send_modify(|revision| revision.calls += 1);
    }

    fn wake(&self, wake: Wake) {
        if let Some(sender) = &self.wake
            && let Err(TrySendError::Full(Wake::Entry(_))) = sender.try_send(wake)
        {
            // The task has much to do and will look at this before it is done. Anything else it finds in the file.
            self.behind.store(true, Ordering::Release);
        }
    }

    /// There is a connection: what was missed is asked for, and what waits is sent.
    pub fn online(&self) {
        self.behind.store(true, Ordering::Release);
        self.wake(Wake::Look);
    }

    /// Exchanges all that is new on either side, now. Whether that was done; otherwise the connection was lost meanwhile.
    pub async fn exchange(&self) -> bool {
        let (done, outcome) = oneshot::channel();
        match &self.wake {
            Some(wake) => wake.send(Wake::Exchange(done)).await.is_ok() && outcome.await.unwrap_or(false),
            None => false,
        }
    }

    /// The server has told an entry of the inbox.
    pub fn told(&self, entry: InboxEntry) {
        self.wake(Wake::Entry(Box::new(entry)));
    }

    /// Writes to a contact: it is sent as soon as there is a connection.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn write(&self, to: CallPeer, text: ChatText) -> Result<MessageId, HistoryError> {
        let message = MessageId::from_bits(rand::random());
        self.with(move |store| store.write(&to, message, &text, now_ms())).await?;
        self.messages_changed();
        self.wake(Wake::Look);
        Ok(message)
    }

    /// How far a message is.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn state(&self, message: MessageId) -> Result<Option<MessageState>, HistoryError> {
        self.with(move |store| store.state(message)).await
    }

    /// Tries again to send what the server did not take.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn again(&self, message: MessageId) -> Result<(), HistoryError> {
        if self.with(move |store| store.again(message)).await? {
            self.messages_changed();
            self.wake(Wake::Look);
        }
        Ok(())
    }

    /// One has seen all that somebody has written.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn seen(&self, writer: UserId) -> Result<(), HistoryError> {
        if self.with(move |store| store.seen(writer)).await? {
            self.messages_changed();
            self.wake(Wake::Look);
        }
        Ok(())
    }

    /// Keeps a call that is over.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn call(&self, record: CallRecord) -> Result<(), HistoryError> {
        self.with(move |store| store.call(&record, now_ms())).await?;
        self.calls_changed();
        Ok(())
    }

    /// One has looked at the missed calls.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn calls_seen(&self) -> Result<(), HistoryError> {
        if self.with(Store::calls_seen).await? {
            self.calls_changed();
        }
        Ok(())
    }

    /// Everybody one has written with, the latest first.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn conversations(&self) -> Result<Vec<Conversation>, HistoryError> {
        self.with(|store| store.conversations()).await
    }

    /// The newest messages with somebody, oldest first: `most` of them, before `before` if that is given.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn messages(
        &self,
        with: UserId,
        before: Option<MessageId>,
        most: u32,
    ) -> Result<Vec<Message>, HistoryError> {
        self.with(move |store| store.messages(with, before, most)).await
    }

    /// The latest calls, the newest first.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn calls(&self, most: u32) -> Result<Vec<PastCall>, HistoryError> {
        self.with(move |store| store.calls(most)).await
    }
}

/// Does what may wait for a disk beside everything else.
async fn in_background<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    match tokio::task::spawn_blocking(act).await {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
