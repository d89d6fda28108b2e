//! Ways to the other side by TCP (RFC 6544), for when no UDP gets through between the two.
//!
//! Each address of this machine listens at a port of its own (a passive candidate, section 4.1). Where the other side listens, a
//! connection is opened when the first check is to be sent there. So each connection belongs to one pair, whose local end is the
//! port that listens, also where the connection left from another one. Datagrams follow each other by their length (RFC 4571
//! section 2).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::wire::{Pair, Wire};

/// Connections at once, also of strangers who have not shown that they know the password yet.
const OPEN_MOST: usize = 16;
/// Datagrams that wait to be written. Those that find it full are lost: media that is late is worth nothing.
const OUTBOX: usize = 128;
/// How long a connection may take: the system's first try, and two more (1 and 2 seconds later).
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Who has not shown to know the password after this long is let go.
const PROVEN_WITHIN: Duration = Duration::from_secs(10);
/// When a connection that failed is tried again, if there is still something to be sent there.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest datagram. Nobody sends longer ones over UDP either.
const LONGEST: usize = 2048;
/// The length before each datagram.
const HEADER: usize = 2;
/// What is read at once.
const READ: usize = 16 * 1024;
/// Events that nobody has taken yet. When it is full, whoever connects waits.
pub(crate) const EVENTS: usize = 16;
/// Ports that are tried until there is one that no socket for datagrams has: a pair is known by its addresses alone.
const PORTS_TRIED: usize = 8;

/// What happens to connections.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// Somebody connects.
    Accepted(Pair, TcpStream),
    /// A connection has ended, or could not be opened.
    Closed(Pair),
}

/// A connection, as others see it. When the last one is dropped it ends.
#[derive(Clone, Debug)]
pub(crate) struct StreamHandle {
    outbox: mpsc::Sender<Bytes>,
}

impl StreamHandle {
    pub(crate) fn send(&self, datagram: &[u8]) {
        if datagram.len() <= LONGEST {
            let _ = self.outbox.try_send(Bytes::copy_from_slice(datagram));
        }
    }
}

/// A port that listens. It ends with the value.
#[derive(Debug)]
struct Door(AbortHandle);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All connections, and the ports that listen.
#[derive(Debug)]
pub(crate) struct Streams {
    wire: Wire,
    doors: BTreeMap<SocketAddr, Door>,
    open: HashMap<Pair, StreamHandle>,
    /// When to try again to connect.
    failed: HashMap<Pair, Instant>,
    events: mpsc::Sender<StreamEvent>,
}

impl Streams {
    pub(crate) fn new(wire: Wire, events: mpsc::Sender<StreamEvent>) -> Self {
        Self { wire, doors: BTreeMap::new(), open: HashMap::new(), failed: HashMap::new(), events }
    }

    /// Listens at an address of this machine, at a port that is not `taken`. Where that is not allowed, there are the others.
    pub(crate) fn listen(&mut self, ip: IpAddr, taken: impl Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
        let bound = (0..PORTS_TRIED).map(|_| bind(ip)).find(|bound| match bound {
            Ok((_, local)) => !taken(*local),
            Err(_) => true,
        });
        match bound? {
            Ok((listener, local)) => {
                let task = tokio::spawn(accept(listener, local, self.events.clone()));
                self.doors.insert(local, Door(task.abort_handle()));
                Some(local)
            }
            Err(error) => {
                debug!(%error, "no connections are taken at an address");
                None
            }
        }
    }

    /// Whether an address is one of a port that listens.
    pub(crate) fn listens_at(&self, local: SocketAddr) -> bool {
        self.doors.contains_key(&local)
    }

    /// The ports at which an address listens, which is no more.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(IpAddr) -> bool) -> Vec<SocketAddr> {
        let gone: Vec<_> = self.doors.keys().copied().filter(|local| is_gone(local.ip())).collect();
        for local in &gone {
            self.doors.remove(local);
            self.open.retain(|pair, _| pair.local != *local);
            self.failed.retain(|pair, _| pair.local != *local);
        }
        gone
    }

    pub(crate) fn handle(&self, pair: Pair) -> Option<StreamHandle> {
        self.open.get(&pair).cloned()
    }

    /// Sends to the other end of a pair; where there is no connection, one is opened.
    pub(crate) fn send(&mut self, pair: Pair, datagram: &[u8], now: Instant) {
        if let Some(stream) = self.open.get(&pair) {
            return stream.send(datagram);
        }
        if self.open.len() == OPEN_MOST || self.failed.get(&pair).is_some_and(|again| now < *again) {
            return;
        }
        self.keep(pair, connect(pair)).send(datagram);
    }

    pub(crate) fn on_event(&mut self, event: StreamEvent, now: Instant) {
        match event {
            StreamEvent::Accepted(pair, stream) => {
                let is_known = self.open.contains_key(&pair);
                if !is_known && self.open.len() < OPEN_MOST && self.listens_at(pair.local) {
                    self.keep(pair, async { Ok(stream) });
                }
            }
            StreamEvent::Closed(pair) => {
                self.open.remove(&pair);
                self.failed.retain(|_, again| now < *again);
                self.failed.insert(pair, now + AGAIN);
            }
        }
    }

    fn keep(
        &mut self,
        pair: Pair,
        opening: impl Future<Output = io::Result<TcpStream>> + Send + 'static,
    ) -> StreamHandle {
        let (outbox, to_write) = mpsc::channel(OUTBOX);
        let (wire, events) = (self.wire.clone(), self.events.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, opening).await {
                let ended = carry(&wire, pair, stream, to_write).await;
                debug!(?ended, "a connection to the other side ended");
            }
            // Nobody may be there to hear it.
            let _ = events.send(StreamEvent::Closed(pair)).await;
        });
        let handle = StreamHandle { outbox };
        self.open.insert(pair, handle.clone());
        handle
    }
}

fn bind(ip: IpAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = std::net::TcpListener::bind((ip, 0))?;
    listener.set_nonblocking(true)?;
    let local = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, local))
}

async fn accept(listener: TcpListener, local: SocketAddr, events: mpsc::Sender<StreamEvent>) {
    /// After the system had no more of something.
    const PAUSE: Duration = Duration::from_millis(200);
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if events.send(StreamEvent::Accepted(Pair { local, remote }, stream)).await.is_err() {
                    return;
                }
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// From the address of the port that listens, and any port.
async fn connect(pair: Pair) -> io::Result<TcpStream> {
    let socket = if pair.local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(pair.local.ip(), 0))?;
    socket.connect(pair.remote).await
}

/// Reads and writes until one of the two ends.
async fn carry(
    wire: &Wire,
    pair: Pair,
    stream: TcpStream,
    to_write: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let stranger = async {
        sleep(PROVEN_WITHIN).await;
        if wire.heard(pair).is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        read = read(wire, pair, reader) => read,
        written = write(writer, to_write) => written,
        () = stranger => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

async fn read(wire: &Wire, pair: Pair, mut reader: OwnedReadHalf) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        while let Some(datagram) = next_datagram(&mut buffer)? {
            wire.came(pair, datagram);
        }
        if reader.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut to_write: mpsc::Receiver<Bytes>) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ);
    while let Some(datagram) = to_write.recv().await {
        frame(&datagram, &mut buffer);
        while buffer.len() < READ
            && let Ok(datagram) = to_write.try_recv()
        {
            frame(&datagram, &mut buffer);
        }
        writer.write_all_buf(&mut buffer).await?;
    }
    Ok(())
}

fn frame(datagram: &[u8], buffer: &mut BytesMut) {
    buffer.put_u16(datagram.len() as u16);
    buffer.put_slice(datagram);
}

/// Takes the next whole datagram out of what has been read.
pub(crate) fn next_datagram(read: &mut BytesMut) -> io::Result<Option<Bytes>> {
    loop {
        let Some(header) = read.get(..HEADER) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([header[0], header[1]]));
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if read.len() < HEADER + length {
            return Ok(None);
        }
        read.advance(HEADER);
        // Empty ones mean nothing.
        if length > 0 {
            return Ok(Some(read.split_to(length).freeze()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_as_they_were_put_in() {
        let sent: [&[u8]; 3] = [b"one", &[7; LONGEST], b"three"];
        let mut stream = BytesMut::new();
        sent.iter().for_each(|datagram| frame(datagram, &mut stream));
        stream.put_slice(&[0, 0]);
        frame(b"after an empty one", &mut stream);
        let (mut read, mut found) = (BytesMut::new(), Vec::new());
        for byte in stream {
            read.put_u8(byte);
            found.extend(next_datagram(&mut read).unwrap());
        }
        assert_eq!(found[..3], sent);
        assert_eq!(found[3], b"after an empty one"[..]);
        assert!(read.is_empty());
    }

    #[test]
    fn a_length_that_nobody_needs_ends_the_connection() {
        let mut read = BytesMut::from(&[0x08, 0x01, 0][..]);
        assert_eq!(next_datagram(&mut read).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
