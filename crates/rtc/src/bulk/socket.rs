//! The way of media as QUIC's socket. QUIC knows one address that stands for the other side, whichever way leads there. What
//! leaves gives way to calls.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use ahoy_ice::Bulk as Datagrams;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::sleep_until;

use super::control::Shared;
use crate::uplink::{HEADERS, SHORT};

/// Of the network that nobody has (RFC 5737).
pub(super) const THERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 443);
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 443);

/// The longest that is sent while calls are on, about.
const DATAGRAM: usize = 1250;

#[derive(Debug)]
pub(super) struct Socket {
    datagrams: Datagrams,
    control: Arc<Shared>,
    /// Whether what is to leave next has to wait for calls.
    held_back: AtomicBool,
}

impl Socket {
    pub(super) fn new(datagrams: Datagrams, control: Arc<Shared>) -> Self {
        Self { datagrams, control, held_back: AtomicBool::new(false) }
    }

    /// Waits until what is to leave next may.
    async fn room(&self) {
        if self.held_back.swap(false, Ordering::Relaxed) {
            while let Some(at) = self.control.may_leave(Instant::now()) {
                sleep_until(at.into()).await;
            }
        }
        self.datagrams.writable().await;
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (now, len) = (Instant::now(), transmit.contents.len());
        // Short ones wait only behind a longer one that does already: quinn keeps them there.
        if len > SHORT && self.control.may_leave(now).is_some() {
            self.held_back.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.datagrams.try_send(transmit.contents, transmit.segment_size)?;
        let count = transmit.segment_size.map_or(1, |each| len.div_ceil(each.max(1)));
        self.control.leaves(len + count * HEADERS, now);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let most = bufs.len().min(meta.len());
        let mut count = 0;
        ready!(self.datagrams.poll_recv(cx, |datagram| {
            // Longer ones are none of QUIC's: what they lack has them dropped.
            let len = datagram.len().min(bufs[count].len());
            bufs[count][..len].copy_from_slice(&datagram[..len]);
            meta[count] = RecvMeta { addr: THERE, len, stride: len, ecn: None, dst_ip: None };
            count += 1;
            count < most
        }));
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(HERE)
    }

    fn max_transmit_segments(&self) -> usize {
        self.datagrams.most_sent_at_once().min((self.control.most_at_once() / DATAGRAM).max(1))
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Waits for room at the system, and until no call is held up.
struct Poller {
    socket: Arc<Socket>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").finish_non_exhaustive()
    }
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Arc::clone(&self.socket);
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(async move { socket.room().await }));
        ready!(waiting.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(Ok(()))
    }
}
