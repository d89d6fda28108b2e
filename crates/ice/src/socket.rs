//! A UDP socket of one local address, read and written in bursts where the system can (`quinn-udp`).

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::task::{Context, Poll, ready};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::SockRef;
use tokio::io::Interest;

/// Asked of the system for each direction: 160 ms of a 100 Mb/s link. The system gives what its limit allows; its default of
/// about 200 KB overflows in one burst of a fast data channel.
const BUFFER: usize = 2 * 1024 * 1024;

/// One of them.
#[derive(Debug)]
pub(crate) struct Socket {
    local: SocketAddr,
    socket: tokio::net::UdpSocket,
    state: UdpSocketState,
}

/// What was received: `buf[..len]` holds datagrams of `stride` bytes each, the last one possibly shorter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) from: SocketAddr,
    pub(crate) len: usize,
    pub(crate) stride: usize,
}

impl Socket {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let options = SockRef::from(&socket);
        // Both are wishes: a smaller buffer costs throughput of file transfers and nothing else.
        let _ = options.set_recv_buffer_size(BUFFER);
        let _ = options.set_send_buffer_size(BUFFER);
        let state = UdpSocketState::new((&socket).into())?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        Ok(Self { local, socket: tokio::net::UdpSocket::from_std(socket)?, state })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Datagrams that the system sends in one call.
    pub(crate) fn most_sent_at_once(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Datagrams that the system may hand over in one buffer.
    pub(crate) fn most_received_at_once(&self) -> usize {
        self.state.gro_segments()
    }

    /// Sends now or not at all: a datagram that the system has no room for is lost, as it could be anywhere on its way.
    pub(crate) fn send_now(&self, to: SocketAddr, datagram: &[u8]) {
        let transmit = transmit(to, datagram, None);
        let _ =
            self.socket.try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit));
    }

    /// Sends datagrams of `segment` bytes each, or one, now. Errors of the way are none of the socket's, as below.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`].
    pub(crate) fn try_send(
        &self,
        to: SocketAddr,
        datagrams: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()> {
        let transmit = transmit(to, datagrams, segment);
        let sent =
            self.socket.try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit));
        match (sent, segment) {
            (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // A device that does not take several at once, which is known from now on.
            (Err(_), Some(segment)) => {
                datagrams.chunks(segment.max(1)).for_each(|datagram| self.send_now(to, datagram));
                Ok(())
            }
            (Ok(()) | Err(_), _) => Ok(()),
        }
    }

    /// Waits until the system may have room. Any number may wait.
    pub(crate) async fn writable(&self) {
        // A socket that fails is taken away by the agent.
        let _ = self.socket.writable().await;
    }

    /// Sends datagrams of `segment` bytes each, or one. Errors of the way to one address, such as "unreachable", are not
    /// errors of the socket: the datagram counts as sent, and lost.
    pub(crate) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        to: SocketAddr,
        datagrams: &[u8],
        segment: Option<usize>,
    ) -> Poll<()> {
        let transmit = transmit(to, datagrams, segment);
        loop {
            if ready!(self.socket.poll_send_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            let sent = self
                .socket
                .try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    pub(crate) fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Burst>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let mut meta = [RecvMeta::default()];
            let mut bufs = [IoSliceMut::new(buf)];
            let received = self
                .socket
                .try_io(Interest::READABLE, || self.state.recv((&self.socket).into(), &mut bufs, &mut meta));
            match received {
                Ok(_) => {
                    let [RecvMeta { addr, len, stride, .. }] = meta;
                    return Poll::Ready(Ok(Burst { from: addr, len, stride: stride.max(1) }));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // What an earlier datagram met with ("connection refused") says nothing of the next one.
                Err(error) if is_of_the_way(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

fn transmit(destination: SocketAddr, contents: &[u8], segment_size: Option<usize>) -> Transmit<'_> {
    Transmit { destination, ecn: None, contents, segment_size, src_ip: None }
}

fn is_of_the_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
