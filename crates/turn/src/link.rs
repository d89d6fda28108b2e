//! How a client's messages come and go: as datagrams of a socket that all clients share, or on a stream of its own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::door::REQUEST_LONGEST;
use crate::frame::{Frames, Kind, pad};

/// Longest datagram that is relayed, in bytes, and longest message about one: more than any network carries in one piece (jumbo
/// frames have 9,000).
pub(crate) const DATAGRAM_LONGEST: usize = 9_216;
/// Longest message from a client in bytes: such a datagram and what is around it.
const MESSAGE_LONGEST: usize = DATAGRAM_LONGEST + 128;
/// Bytes that are read from a stream at once.
const READ_AT_ONCE: usize = 16 * 1024;
/// How long a client may take nothing of what it is sent before its stream is closed. What is relayed meanwhile is lost, as it
/// would be on a slow network.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// How long a stream may be there without an allocation: two round trips, on a bad network.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to a client.
pub(crate) trait Link: Send {
    /// How long a client is waited for that has no allocation; without this, one that has none is over.
    const PATIENCE: Option<Duration>;

    /// The next message; nothing once the client is gone. Nothing is lost when this is dropped. Without an allocation only
    /// requests are understood.
    fn next(&mut self, has_allocation: bool) -> impl Future<Output = Option<Vec<u8>>> + Send;

    /// Sends a message.
    fn send(&mut self, message: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

/// A client behind a shared socket.
#[derive(Debug)]
pub(crate) struct DatagramLink {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) client: SocketAddr,
    pub(crate) queue: mpsc::Receiver<Vec<u8>>,
}

impl Link for DatagramLink {
    const PATIENCE: Option<Duration> = None;

    async fn next(&mut self, _: bool) -> Option<Vec<u8>> {
        self.queue.recv().await
    }

    async fn send(&mut self, message: Vec<u8>) -> io::Result<()> {
        // One that can't be sent is lost like any other datagram.
        if let Err(error) = self.socket.send_to(&message, self.client).await {
            tracing::trace!(%error, "a datagram can't be sent");
        }
        Ok(())
    }
}

/// A client with a connection of its own.
#[derive(Debug)]
pub(crate) struct StreamLink<S> {
    stream: S,
    frames: Frames,
    buffer: Vec<u8>,
}

impl<S> StreamLink<S> {
    /// A connection that is ready for messages.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default(), buffer: Vec::with_capacity(READ_AT_ONCE) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link for StreamLink<S> {
    const PATIENCE: Option<Duration> = Some(PATIENCE);

    async fn next(&mut self, has_allocation: bool) -> Option<Vec<u8>> {
        let longest = if has_allocation { MESSAGE_LONGEST } else { REQUEST_LONGEST };
        loop {
            match self.frames.next(longest) {
                Ok(Some(message)) => return Some(message),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "a stream is closed");
                    return None;
                }
            }
            self.buffer.clear();
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => self.frames.push(&self.buffer),
            }
        }
    }

    async fn send(&mut self, mut message: Vec<u8>) -> io::Result<()> {
        if message.first().is_some_and(|first| Kind::of(*first) == Some(Kind::Channel)) {
            pad(&mut message);
        }
        let write = async {
            self.stream.write_all(&message).await?;
            self.stream.flush().await
        };
        timeout(STUCK_AFTER, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
