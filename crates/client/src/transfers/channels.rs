//! What a connection has for files: a way for what is said, which keeps its order, and one for chunks, which does not
//! (docs/file-transfer.md). It is QUIC where both sides have that, and data channels otherwise.

use ahoy_rtc::{Peer, PeerConfig, RtcError};
use ahoy_transfer::CHUNK;
use bytes::Bytes;

use super::bulk_channels::BulkChannels;
use super::data_channels::DataChannels;

/// What is said first. Nothing else is said before the other side is known to hear.
pub(super) const GREETING: &str = r#"{"type":"hello"}"#;

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
    Bulk(BulkChannels),
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
                        Some(bulk) => By::Bulk(BulkChannels::start(bulk)),
                        None => By::Data,
                    };
                }
                By::Data => return self.data.next().await,
                By::Bulk(bulk) => {
                    if let Some(event) = bulk.next().await {
                        return Some(event);
                    }
                    // Where the whole connection is gone the data channels say so.
                    self.by = By::Data;
                    return Some(FromChannels::Lost);
                }
            }
        }
    }

    pub(super) async fn say(&self, text: &str) -> Result<(), Gone> {
        match &self.by {
            By::Bulk(bulk) => bulk.say(text).await,
            By::Data | By::Undecided => Ok(self.data.say(text).await?),
        }
    }

    pub(super) async fn send(&self, chunk: Bytes) -> Result<(), Gone> {
        match &self.by {
            By::Bulk(bulk) => bulk.send(chunk).await,
            By::Data | By::Undecided => Ok(self.data.send(&chunk).await?),
        }
    }

    /// Bytes of chunks that the other side has not acknowledged.
    pub(super) async fn waiting(&self) -> Result<u64, Gone> {
        match &self.by {
            By::Bulk(bulk) => Ok(bulk.waiting()),
            By::Data | By::Undecided => Ok(self.data.waiting().await?),
        }
    }

    /// As many bytes of chunks may wait: less than what would have [`send`](Self::send) wait, least of all for somebody who is
    /// gone.
    pub(super) fn most_waiting(&self) -> u64 {
        match &self.by {
            By::Bulk(_) => BulkChannels::MOST_WAITING,
            By::Data | By::Undecided => PeerConfig::DEFAULT_CHANNEL_SEND_BUFFER as u64 - 4 * CHUNK,
        }
    }

    /// Waits until the other side has all that was said.
    pub(super) async fn said_all(&self) {
        match &self.by {
            By::Bulk(bulk) => bulk.said_all().await,
            By::Data | By::Undecided => self.data.said_all().await,
        }
    }

    /// Says [`FromChannels::Room`] when no more than this waits.
    pub(super) async fn tell_below(&self, bytes: u64) -> Result<(), Gone> {
        match &self.by {
            By::Bulk(bulk) => bulk.tell_below(bytes),
            By::Data | By::Undecided => {
                self.data.tell_below(u32::try_from(bytes).unwrap_or(u32::MAX)).await?;
            }
        }
        Ok(())
    }
}
