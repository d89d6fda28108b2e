//! Files over QUIC: what is said goes over one stream in both directions, each chunk over a stream of its own, so that one that is
//! lost holds up no other.
//!
//! What the other side may have here is bounded: chunks that nobody takes are not read forever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahoy_rtc::{Bulk, BulkLost, ReadExactError, RecvStream, SendStream, WriteError};
use ahoy_transfer::{CHUNK, CHUNK_HEADER, SAID_LONGEST};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use super::channels::{FromChannels, GREETING, Gone};

/// What was said and nobody has taken yet, here or there. When it is full the other side waits.
const SAYINGS: usize = 64;
/// Chunks that have come and nobody has taken yet. Those after them wait with whoever has read them, see [`HELD_MOST`].
const CHUNKS: usize = 16;
/// Chunks that are being read or wait to be taken, at most: four times as many as an honest side has on its way. Whoever sends more
/// loses the connection. To let them wait instead could have both sides wait for each other.
const HELD_MOST: usize = 512;
/// The longest chunk, as a message.
const CHUNK_LONGEST: usize = CHUNK_HEADER + CHUNK as usize;

/// Something for the other side.
enum Saying {
    Say(Bytes),
    /// That was all: tells when it has arrived.
    End(oneshot::Sender<()>),
}

/// Bytes of chunks on their way, and when to tell that there are fewer.
#[derive(Debug, Default)]
struct Outstanding {
    bytes: AtomicU64,
    below: AtomicU64,
    room: Notify,
}

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct BulkChannels {
    bulk: Bulk,
    sayings: mpsc::Sender<Saying>,
    heard: mpsc::Receiver<FromChannels>,
    chunks: mpsc::Receiver<Bytes>,
    outstanding: Arc<Outstanding>,
    greeted: bool,
    /// They end with this.
    _tasks: JoinSet<()>,
}

impl BulkChannels {
    /// As many chunks as may be on their way over a connection that is long and fast.
    pub(super) const MOST_WAITING: u64 = 8 * 1024 * 1024;

    /// Begins to talk. The other side does so as well.
    pub(super) fn start(bulk: Bulk) -> Self {
        let (sayings, to_say) = mpsc::channel(SAYINGS);
        let (to_heard, heard) = mpsc::channel(SAYINGS);
        let (to_chunks, chunks) = mpsc::channel(CHUNKS);
        let mut tasks = JoinSet::new();
        let talking = talk(bulk.clone(), to_say, to_heard);
        tasks.spawn(async move {
            if let Err(why) = talking.await {
                tracing::debug!(%why, "files over QUIC");
            }
        });
        tasks.spawn(take_chunks(bulk.clone(), to_chunks));
        Self { bulk, sayings, heard, chunks, outstanding: Arc::default(), greeted: false, _tasks: tasks }
    }

    /// The next thing that happens; nothing more once it is gone. It can be given up and begun again at any time.
    pub(super) async fn next(&mut self) -> Option<FromChannels> {
        tokio::select! {
            biased;
            heard = self.heard.recv() => {
                self.greeted = true;
                heard
            }
            () = self.outstanding.room.notified() => Some(FromChannels::Room),
            Some(chunk) = self.chunks.recv(), if self.greeted => Some(FromChannels::Chunk(chunk)),
        }
    }

    /// Whether the other side is known to hear.
    pub(super) fn is_open(&self) -> bool {
        self.greeted
    }

    pub(super) async fn say(&self, text: &str) -> Result<(), Gone> {
        let saying = Saying::Say(Bytes::copy_from_slice(text.as_bytes()));
        self.sayings.send(saying).await.map_err(|_| Gone)
    }

    pub(super) async fn send(&self, chunk: Bytes) -> Result<(), Gone> {
        let length = chunk.len() as u64;
        let mut stream = self.bulk.open().await.map_err(|_| Gone)?;
        self.outstanding.bytes.fetch_add(length, Ordering::SeqCst);
        stream.write_chunk(chunk).await.map_err(|_| Gone)?;
        stream.finish().map_err(|_| Gone)?;
        let outstanding = Arc::clone(&self.outstanding);
        tokio::spawn(async move {
            // Acknowledged, or of no use to anybody any more.
            let _ = stream.stopped().await;
            let before = outstanding.bytes.fetch_sub(length, Ordering::SeqCst);
            let below = outstanding.below.load(Ordering::SeqCst);
            if before > below && before - length <= below {
                outstanding.room.notify_one();
            }
        });
        Ok(())
    }

    pub(super) fn waiting(&self) -> u64 {
        self.outstanding.bytes.load(Ordering::SeqCst)
    }

    pub(super) fn tell_below(&self, bytes: u64) {
        self.outstanding.below.store(bytes, Ordering::SeqCst);
    }

    pub(super) async fn said_all(&self) {
        let (arrived, told) = oneshot::channel();
        if self.sayings.send(Saying::End(arrived)).await.is_ok() {
            let _ = told.await;
        }
    }
}

impl Drop for BulkChannels {
    /// What is on its way is of no use any more, and would be in the way of what goes instead.
    fn drop(&mut self) {
        self.bulk.close();
    }
}

/// Why nothing more is said.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error(transparent)]
    Lost(#[from] BulkLost),
    #[error("{0}")]
    Write(#[from] WriteError),
    #[error("{0}")]
    Read(#[from] ReadExactError),
    #[error("the other side says more at once than fits into a message")]
    TooLong,
    #[error("the other side does not greet first")]
    Rude,
}

/// Says and hears, until one of the two is over. Each side greets the other first.
async fn talk(
    bulk: Bulk,
    to_say: mpsc::Receiver<Saying>,
    heard: mpsc::Sender<FromChannels>,
) -> Result<(), Silence> {
    let (mut sending, receiving) =
        if bulk.is_client() { bulk.open_pair().await? } else { bulk.accept_pair().await? };
    write(&mut sending, GREETING.as_bytes()).await?;
    tokio::select! {
        said = say(sending, to_say) => said,
        listened = listen(receiving, heard) => listened,
    }
}

/// Messages follow each other, each after its length as four bytes in network order.
async fn write(stream: &mut SendStream, message: &[u8]) -> Result<(), WriteError> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(message).await
}

async fn say(mut stream: SendStream, mut to_say: mpsc::Receiver<Saying>) -> Result<(), Silence> {
    while let Some(saying) = to_say.recv().await {
        match saying {
            Saying::Say(message) => write(&mut stream, &message).await?,
            Saying::End(arrived) => {
                if stream.finish().is_ok() {
                    let _ = stream.stopped().await;
                }
                let _ = arrived.send(());
                // Whoever has ended may still listen.
                std::future::pending::<()>().await;
            }
        }
    }
    Ok(())
}

async fn listen(mut stream: RecvStream, heard: mpsc::Sender<FromChannels>) -> Result<(), Silence> {
    let mut greeted = false;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > SAID_LONGEST {
            return Err(Silence::TooLong);
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await?;
        let event = match (message == GREETING.as_bytes(), greeted) {
            (true, false) => FromChannels::Open,
            (false, true) => FromChannels::Said(message.into()),
            (true, true) => continue,
            (false, false) => return Err(Silence::Rude),
        };
        greeted = true;
        if heard.send(event).await.is_err() {
            return Ok(());
        }
    }
}

/// Takes chunks as they are whole, in whichever order that is.
async fn take_chunks(bulk: Bulk, chunks: mpsc::Sender<Bytes>) {
    let mut reading = JoinSet::new();
    loop {
        tokio::select! {
            stream = bulk.accept() => match stream {
                // An honest side waits for what it has sent.
                Ok(_) if reading.len() >= HELD_MOST => return bulk.close(),
                Ok(stream) => _ = reading.spawn(take_chunk(stream, bulk.clone(), chunks.clone())),
                Err(_) => return,
            },
            Some(_) = reading.join_next() => {}
        }
    }
}

/// Takes one. It is read into one piece of memory, so that what holds it does not depend on how it was cut.
async fn take_chunk(mut stream: RecvStream, bulk: Bulk, chunks: mpsc::Sender<Bytes>) {
    let mut chunk = vec![0; CHUNK_LONGEST];
    let mut length = 0;
    loop {
        match stream.read(&mut chunk[length..]).await {
            Ok(Some(read)) => length += read,
            Ok(None) => break,
            // The sender has thought better of it.
            Err(_) => return,
        }
        if length == CHUNK_LONGEST {
            match stream.read(&mut [0]).await {
                Ok(None) => break,
                Ok(Some(_)) => return bulk.close(),
                Err(_) => return,
            }
        }
    }
    chunk.truncate(length);
    let _ = chunks.send(chunk.into()).await;
}
