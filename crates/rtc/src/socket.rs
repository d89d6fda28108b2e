//! The UDP sockets of a connection: the library's, with these changes.
//!
//! - Their buffers are wider. The library leaves the system's default of about 200 KB, which one burst of a fast data
//!   channel overflows: a 20 MB transfer over loopback lost 200 packets that way.
//! - A packet of the DTLS handshake is the last of its burst. The library takes the keys from it only between bursts, and
//!   media right behind the handshake's last packet, which is the call's first key frame, would be thrown away.
//! - Repeats in the DTLS handshake are dropped, see [`crate::handshake`].
//! - What passes is told to [`Stir`], so that the library's task looks again.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use socket2::SockRef;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Runtime, TokioRuntime, Transmit};

use crate::error::RtcError;
use crate::handshake::Handshake;
use crate::runtime::Stir;

/// Asked of the system for each direction: 160 ms of a 100 Mb/s link. The system gives what its limit allows.
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;

/// A UDP socket that ends a burst at each packet of a DTLS handshake.
#[derive(Debug)]
pub(crate) struct CallSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    pause: AtomicBool,
    stir: Arc<Stir>,
    handshake: Arc<Handshake>,
}

impl CallSocket {
    /// What sockets of the same connection share is `stir` and `handshake`.
    pub(crate) fn wrap(socket: UdpSocket, stir: Arc<Stir>, handshake: Arc<Handshake>) -> io::Result<Self> {
        let options = SockRef::from(&socket);
        // Both are wishes: a smaller buffer costs throughput of file transfers and nothing else.
        let _ = options.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = options.set_send_buffer_size(SOCKET_BUFFER);
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Self { inner, pause: AtomicBool::new(false), stir, handshake })
    }
}

impl AsyncUdpSocket for CallSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let sent = self.inner.poll_send(cx, transmit);
        if let Poll::Ready(Ok(_)) = sent {
            self.stir.passed(transmit.contents);
        }
        sent
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
        let Poll::Ready(Ok(count)) = received else { return received };
        let mut wanted = false;
        for (buffer, meta) in bufs.iter().zip(meta.iter()).take(count) {
            // One buffer may hold several datagrams of the same length.
            for datagram in buffer[..meta.len.min(buffer.len())].chunks(meta.stride.max(1)) {
                self.stir.passed(datagram);
                let handshake = datagram.first().copied().is_some_and(is_handshake);
                wanted |= !handshake || !self.handshake.is_repeat(datagram);
                if handshake {
                    self.pause.store(true, Relaxed);
                }
            }
        }
        if wanted {
            return received;
        }
        self.pause.store(false, Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
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
