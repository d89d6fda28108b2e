//! What a connection has for files: a way for what is said, which keeps its order, and one for chunks, which does not
//! (docs/file-transfer.md). It is QUIC where both sides have that, and data channels otherwise.

use std::time::Duration;

use ahoy_rtc::{Peer, PeerConfig, RtcError};
use ahoy_transfer::CHUNK;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::bulk_channels::BulkChannels;
use super::data_channels::DataChannels;

/// What is said first. Nothing else is said before the other side is known to hear.
pub(super) const GREETING: &str = r#"{"type":"hello"}"#;

/// How long it may take until both sides are known to hear. One may have given up what the other one believes in.
const GREETED_WITHIN: Duration = Duration::from_secs(5);

/// The way for files of one connection.
#[derive(Debug)]
pub struct FileChannels {
    peer: Peer,
    data: DataChannels,
    by: By,
}

/// What it goes by.
#[derive(Debug)]
enum By {
    /// It is not known yet whether there is anything better than data channels.
    Undecided,
    Data,
    Bulk {
        channels: BulkChannels,
        /// Until when it has to be open.
        open_by: Instant,
    },
}

/// What happens on it.
#[derive(Debug)]
pub(super) enum FromChannels {
    /// It can be used.
    Open,
    /// It can't be used any more; another way over the same connection may open.
    Lost,
    /// Something was said.
    Said(Bytes),
    /// A chunk came.
    Chunk(Bytes),
    /// There is room for more chunks.
    Room,
}

/// It is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

impl From<RtcError> for Gone {
    fn from(_: RtcError) -> Self {
        Self
    }
}

impl FileChannels {
    /// Opens it; the other side has to do so as well, which needs no word between the two.
    ///
    /// # Errors
    /// [`RtcError`].
    pub async fn open(peer: &Peer) -> Result<Self, RtcError> {
        let data = DataChannels::open(peer).await?;
        Ok(Self { peer: peer.clone(), data, by: By::Undecided })
    }

    /// The next thing that happens; nothing more once it is gone for good. It can be given up and begun again at any time.
    pub(super) async fn next(&mut self) -> Option<FromChannels> {
        loop {
            match &mut self.by {
                By::Undecided => {
                    self.by = match self.peer.bulk().await {
                        Some(bulk) => By::Bulk {
                            channels: BulkChannels::start(bulk),
                            open_by: Instant::now() + GREETED_WITHIN,
                        },
                        None => By::Data,
                    };
                }
                By::Data => return self.data.next().await,
                By::Bulk { channels, open_by } => {
                    let event = match channels.is_open() {
                        true => channels.next().await,
                        false => timeout_at(*open_by, channels.next()).await.ok().flatten(),
                    };
                    if event.is_some() {
                        return event;
                    }
                    // Where the whole connection is gone the data channels say so.
                    self.by = By::Data;
                    return Some(FromChannels::Lost);
                }
            }
        }
    }

    /// What was to be sent could not be: goes over to what is left, which opens when it can. Whether there is anything.
    pub(super) fn fall_back(&mut self) -> bool {
        let is_bulk = matches!(self.by, By::Bulk { .. });
        if is_bulk {
            self.by = By::Data;
        }
        is_bulk
    }

    pub(super) async fn say(&self, text: &str) -> Result<(), Gone> {
        match &self.by {
            By::Bulk { channels, .. } => channels.say(text).await,
            By::Data | By::Undecided => Ok(self.data.say(text).await?),
        }
    }

    pub(super) async fn send(&self, chunk: Bytes) -> Result<(), Gone> {
        match &self.by {
            By::Bulk { channels, .. } => channels.send(chunk).await,
            By::Data | By::Undecided => Ok(self.data.send(&chunk).await?),
        }
    }

    /// Bytes of chunks that the other side has not acknowledged.
    pub(super) async fn waiting(&self) -> Result<u64, Gone> {
        match &self.by {
            By::Bulk { channels, .. } => Ok(channels.waiting()),
            By::Data | By::Undecided => Ok(self.data.waiting().await?),
        }
    }

    /// As many bytes of chunks may wait: less than what would have [`send`](Self::send) wait, least of all for somebody who is
    /// gone.
    pub(super) fn most_waiting(&self) -> u64 {
        match &self.by {
            By::Bulk { .. } => BulkChannels::MOST_WAITING,
            By::Data | By::Undecided => PeerConfig::DEFAULT_CHANNEL_SEND_BUFFER as u64 - 4 * CHUNK,
        }
    }

    /// Waits until the other side has all that was said.
    pub(super) async fn said_all(&self) {
        match &self.by {
            By::Bulk { channels, .. } => channels.said_all().await,
            By::Data | By::Undecided => self.data.said_all().await,
        }
    }

    /// Says [`FromChannels::Room`] when no more than this waits.
    pub(super) async fn tell_below(&self, bytes: u64) -> Result<(), Gone> {
        match &self.by {
            By::Bulk { channels, .. } => channels.tell_below(bytes),
            By::Data | By::Undecided => {
                self.data.tell_below(u32::try_from(bytes).unwrap_or(u32::MAX)).await?;
            }
        }
        Ok(())
    }
}
