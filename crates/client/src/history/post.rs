//! The task that exchanges history and inbox: one request after the other, so that messages keep their order.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ahoy_signal::{ErrorCode, InboxEntry, InboxItem, Refusal};
use tokio::sync::{mpsc, oneshot};

use super::store::{Applied, Unsent, Untold};
use super::{History, HistoryError};
use crate::signaling::{Signaling, SignalingError};

/// How long it waits where the server does not say when to come back.
const COME_BACK: Duration = Duration::from_secs(5);

/// What there is to do.
#[derive(Debug)]
pub(super) enum Wake {
    /// Something was written or seen, or there is a connection.
    Look,
    /// Somebody wants to know when all is exchanged.
    Exchange(oneshot::Sender<bool>),
    /// The server has told this.
    Entry(Box<InboxEntry>),
}

/// Why the exchange stops for now.
enum Stop {
    /// The next connection takes it up again.
    Disconnected,
    /// The server wants to be left alone for so long.
    Later(Duration),
}

/// The task.
pub(super) struct Post {
    history: History,
    signaling: Signaling,
}

type Exchange<T = ()> = Result<T, Stop>;

impl Post {
    pub(super) fn new(history: History, signaling: Signaling) -> Self {
        Self { history, signaling }
    }

    pub(super) async fn run(self, mut wakes: mpsc::Receiver<Wake>) {
        while let Some(wake) = wakes.recv().await {
            let mut asked = None;
            match wake {
                Wake::Look => {}
                Wake::Exchange(done) => {
                    self.fell_behind();
                    asked = Some(done);
                }
                Wake::Entry(entry) => self.on_entry(&entry).await,
            }
            let done = loop {
                match self.exchange().await {
                    Ok(()) => break true,
                    Err(Stop::Disconnected) => break false,
                    Err(Stop::Later(wait)) => tokio::time::sleep(wait).await,
                }
            };
            // Whoever asked may be gone.
            let _ = asked.map(|asked| asked.send(done));
        }
    }

    async fn on_entry(&self, entry: &InboxEntry) {
        let taken = entry.clone();
        match self.history.with(move |store| store.apply(&taken)).await {
            // Also where another program was faster: whoever looks at this one is to see it.
            Ok(Applied::Done) => self.is_new(entry),
            Ok(Applied::Gap) => self.fell_behind(),
            Err(error) => {
                self.fell_behind();
                complain(&error);
            }
        }
    }

    fn is_new(&self, entry: &InboxEntry) {
        match entry.item {
            InboxItem::Message { .. } | InboxItem::Marked { .. } => self.history.messages_changed(),
            InboxItem::MissedCall { .. } => self.history.calls_changed(),
        }
    }

    /// Brings both sides up to date, as far as that goes now.
    async fn exchange(&self) -> Exchange {
        self.catch_up().await?;
        while let Some(unsent) = self.store(|store| store.next_unsent()).await? {
            self.send(unsent).await?;
        }
        for untold in self.store(|store| store.untold()).await? {
            self.tell(untold).await?;
        }
        Ok(())
    }

    fn fell_behind(&self) {
        self.history.behind.store(true, Ordering::Release);
    }

    /// Asks for what may have been missed.
    async fn catch_up(&self) -> Exchange {
        while self.history.behind.swap(false, Ordering::AcqRel) {
            if let Err(stop) = self.fetch().await {
                self.fell_behind();
                return Err(stop);
            }
        }
        Ok(())
    }

    async fn fetch(&self) -> Exchange {
        loop {
            let after = self.store(|store| store.last()).await?;
            let (entries, newest) = self.signaling.inbox(after).await.map_err(stop)?;
            let last = entries.last().map_or(newest, |entry| entry.number);
            let taken = entries.clone();
            self.store(move |store| store.catch_up(after, &taken, newest)).await?;
            entries.iter().for_each(|entry| self.is_new(entry));
            if last >= newest {
                return Ok(());
            }
        }
    }

    async fn send(&self, unsent: Unsent) -> Exchange {
        let Unsent { message, to, text } = unsent;
        match self.signaling.message(message, to, text).await {
            Ok(entry) => {
                let sent = entry.clone();
                self.store(move |store| store.sent(message, &sent)).await?;
                self.on_entry(&entry).await;
            }
            Err(error) => match for_good(&error) {
                Some(refusal) => {
                    tracing::info!(code = ?refusal.code, "the server does not take a message");
                    self.store(move |store| store.failed(message)).await?;
                }
                None => return Err(stop(error)),
            },
        }
        self.history.messages_changed();
        self.catch_up().await
    }

    async fn tell(&self, untold: Untold) -> Exchange {
        match self.signaling.mark_message(untold.message, untold.mark).await {
            Ok(()) => {}
            // Whatever it has against it, it will not want it later either.
            Err(error) if for_good(&error).is_some() => {}
            Err(error) => return Err(stop(error)),
        }
        self.store(move |store| store.was_told(untold)).await
    }

    /// Reads or changes the file. Where that does not go nothing else goes on either, until there is another reason to try.
    async fn store<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut super::store::Store) -> Result<T, HistoryError> + Send + 'static,
    ) -> Exchange<T> {
        self.history.with(act).await.map_err(|error| {
            complain(&error);
            Stop::Disconnected
        })
    }
}

fn complain(error: &HistoryError) {
    tracing::error!(%error, "the history was not kept");
}

/// A refusal that asking again does not change.
fn for_good(error: &SignalingError) -> Option<&Refusal> {
    use ErrorCode::{Internal, RateLimited, ShuttingDown, Unavailable};
    error
        .refusal()
        .filter(|refusal| !matches!(refusal.code, RateLimited | Unavailable | ShuttingDown | Internal))
}

fn stop(error: SignalingError) -> Stop {
    match error.refusal() {
        Some(refusal) => Stop::Later(refusal.retry_after_ms.map_or(COME_BACK, Duration::from_millis)),
        None => Stop::Disconnected,
    }
}
