//! The runtime that the library runs on: tokio, with two changes to UDP sockets.
//!
//! - Their buffers are wider. The library leaves the system's default of about 200 KB, which one burst of a fast data
//!   channel overflows: a 20 MB transfer over loopback lost 200 packets that way.
//! - A packet of the DTLS handshake is the last of its burst. The library takes the keys from it only between bursts, and
//!   media right behind the handshake's last packet, which is the call's first key frame, would be thrown away.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime,
    TokioRuntime, Transmit,
};

use crate::error::RtcError;

/// Asked of the system for each direction: 160 ms of a 100 Mb/s link. The system gives what its limit allows.
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;

/// The library's tokio runtime, except for what it makes of a UDP socket.
#[derive(Debug)]
pub(crate) struct WideSockets(pub(crate) TokioRuntime);

impl Runtime for WideSockets {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        self.0.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let options = SockRef::from(&socket);
        // Both are wishes: a smaller buffer costs throughput of file transfers and nothing else.
        let _ = options.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = options.set_send_buffer_size(SOCKET_BUFFER);
        let inner = self.0.wrap_udp_socket(socket)?;
        Ok(Arc::new(CallSocket { inner, pause: AtomicBool::new(false) }))
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.0.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        self.0.connect_tcp(remote)
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        self.0.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.0.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.0.block_on(future);
    }

    fn name(&self) -> &'static str {
        "tokio"
    }
}

/// A UDP socket that ends a burst at each packet of a DTLS handshake.
#[derive(Debug)]
struct CallSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    pause: AtomicBool,
}

impl AsyncUdpSocket for CallSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.pause.swap(false, Relaxed) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let received = self.inner.poll_recv(cx, bufs, meta);
        if let Poll::Ready(Ok(1..)) = received
            && bufs.first().and_then(|b| b.first()).is_some_and(|&first| is_handshake(first))
        {
            self.pause.store(true, Relaxed);
        }
        received
    }

    fn max_gso_segments(&self) -> usize {
        self.inner.max_gso_segments()
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}

/// Whether a datagram that begins with `first` is part of a DTLS handshake: change-cipher-spec or handshake
/// (RFC 5246 section 6.2.1), which no other protocol on the socket begins with (RFC 7983 section 7).
const fn is_handshake(first: u8) -> bool {
    matches!(first, 20 | 22)
}

/// Why none of `addresses` could be bound, if that is so: the library only logs it.
pub(crate) fn bind_failure(addresses: &[SocketAddr]) -> Option<RtcError> {
    let mut cause = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match UdpSocket::bind(address) {
            Ok(_) => return None,
            Err(error) => cause = error,
        }
    }
    Some(RtcError::NoUdpPort { tried: addresses.to_vec(), cause })
}
