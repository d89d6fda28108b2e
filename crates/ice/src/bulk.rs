//! Datagrams of a second protocol beside media, its keys and STUN: QUIC's, which are known by their first byte (RFC 9443
//! section 2), for what is large and may wait.
//!
//! They come from the same sockets and go the same way as the rest. Whoever reads the [`Wire`] sorts them out, so that they never
//! wake whoever waits for media; they wait in a queue of their own.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::wire::{Carrier, Wire};

/// Datagrams that wait to be received: as many as 100 ms of a gigabit. New ones are dropped, as on any way that is too fast.
const WAITING_MOST: usize = 8192;
/// The longest of them: no way that is used has room for more.
const LONGEST: usize = 1500;

/// Whether a datagram that begins with `first` is QUIC's: the bit that RFC 9000 section 17 fixes is set, which tells it from STUN,
/// DTLS and RTP.
pub(crate) const fn is_quic(first: u8) -> bool {
    matches!(first, 64..=127 | 192..=255)
}

#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    datagrams: VecDeque<Bytes>,
    waker: Option<Waker>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Datagrams have come.
    pub(crate) fn extend(&self, datagrams: impl Iterator<Item = Bytes>) {
        let mut waiting = self.lock();
        let room = WAITING_MOST.saturating_sub(waiting.datagrams.len());
        waiting.datagrams.extend(datagrams.filter(|datagram| datagram.len() <= LONGEST).take(room));
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }
}

/// The way to the other side for that protocol. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Bulk {
    wire: Wire,
    queue: Arc<Queue>,
}

impl Bulk {
    pub(crate) fn new(wire: Wire, queue: Arc<Queue>) -> Self {
        Self { wire, queue }
    }

    /// Nobody takes what comes any more.
    pub fn end(&self) {
        self.wire.end_bulk();
        self.queue.lock().datagrams.clear();
    }

    /// Datagrams that [`try_send`](Self::try_send) takes at once, on the way that there is.
    pub fn most_sent_at_once(&self) -> usize {
        match self.wire.route() {
            Some((_, Carrier::Socket(socket))) => socket.most_sent_at_once(),
            Some((_, Carrier::Stream(_) | Carrier::Relay(_))) | None => 1,
        }
    }

    /// Sends datagrams of `segment` bytes each, or one. Without a way they are lost.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where the system has no room: see [`writable`](Self::writable).
    pub fn try_send(&self, datagrams: &[u8], segment: Option<usize>) -> io::Result<()> {
        self.wire.try_send(datagrams, segment)
    }

    /// Waits until the system may have room.
    pub async fn writable(&self) {
        self.wire.writable().await;
    }

    /// The next datagrams, at most as many as `take` returns `true` for; it is given each.
    pub fn poll_recv(&self, cx: &mut Context<'_>, mut take: impl FnMut(&[u8]) -> bool) -> Poll<()> {
        let mut waiting = self.queue.lock();
        if waiting.datagrams.is_empty() {
            waiting.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while let Some(datagram) = waiting.datagrams.pop_front() {
            if !take(&datagram) {
                break;
            }
        }
        Poll::Ready(())
    }
}
