//! The datagram pipe to the other side, whichever way leads there.
//!
//! Whoever sends and receives works on the sockets directly, without a task in between: a packet costs one lookup more than
//! with a socket of its own. STUN goes to the [agent](crate::agent), everything else comes out of [`Wire::poll_recv`], if it
//! comes from where the other side has shown to be.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::bulk::{Bulk, Queue, is_quic};
use crate::relay::RelayHandle;
use crate::socket::{Burst, Socket};
use crate::streams::StreamHandle;

/// STUN messages that wait for the agent. When it is full the message is dropped, as if lost: it comes again.
pub(crate) const STUN_QUEUE: usize = 256;
/// Datagrams sent before there is a way: what a DTLS handshake sends before it hears anything, several times over. The oldest
/// go.
const HELD_MOST: usize = 16;
/// Datagrams from relays and connections that wait to be received, as many as a socket's buffer holds of video. New ones are dropped.
const GIVEN_MOST: usize = 512;
/// Packets of a handshake that may come before their sender has proven to be there: its check is still on the way through the
/// agent. The oldest go.
const UNPROVEN_MOST: usize = 8;
/// Bursts of STUN that are taken from the sockets in one go before others have their turn.
const BUDGET: usize = 64;

/// One end of a way, with the local address that the datagrams leave from: a socket's, or a relay's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// A STUN message, and how it came. Without one, media has begun to come this way.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) pair: Pair,
    pub(crate) datagram: Bytes,
}

/// What [`Wire::poll_recv`] received: `buf[..len]` holds datagrams of `stride` bytes each, the last one possibly shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in all.
    pub len: usize,
    /// Bytes of each datagram but the last.
    pub stride: usize,
}

/// How datagrams get to a pair's remote end.
#[derive(Clone, Debug)]
pub(crate) enum Carrier {
    Socket(Arc<Socket>),
    Stream(StreamHandle),
    Relay(RelayHandle),
}

impl Carrier {
    /// Sends now or not at all.
    pub(crate) fn send_now(&self, to: SocketAddr, datagram: &[u8]) {
        match self {
            Self::Socket(socket) => socket.send_now(to, datagram),
            Self::Stream(stream) => stream.send(datagram),
            Self::Relay(relay) => relay.send(to, datagram),
        }
    }
}

#[derive(Debug)]
struct Route {
    pair: Pair,
    carrier: Carrier,
}

/// What is known of where the other side is.
#[derive(Debug)]
struct Known {
    heard: Instant,
    /// When what is not STUN came this way last, and since when it has come without a pause.
    media: Option<(Instant, Instant)>,
}

/// A pause after which media counts as having begun anew: sound comes every 10 to 20 ms, with pauses of its own.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Shared {
    sockets: Vec<Arc<Socket>>,
    /// Relays that are reached over a socket of ours: what comes from there is theirs.
    relays: HashMap<Pair, RelayHandle>,
    route: Option<Route>,
    /// Where the other side has proven to be, by a STUN message with its password.
    known: HashMap<Pair, Known>,
    /// What was sent before there was a way.
    held: VecDeque<Vec<u8>>,
    had_route: bool,
    /// What can be received next: from relays and connections, and what had to wait.
    given: VecDeque<Bytes>,
    unproven: VecDeque<(Pair, Bytes)>,
    /// Where datagrams of the second protocol go, if anybody wants them.
    bulk: Option<Arc<Queue>>,
    waker: Option<Waker>,
    /// Where reading went on last, so that one busy socket does not starve the others.
    next: usize,
    closed: bool,
}

impl Shared {
    /// Keeps a packet of a handshake until its sender has proven to be there. Anything else that comes before that is lost.
    fn wait(&mut self, pair: Pair, datagram: &[u8]) {
        if datagram.first().copied().is_some_and(is_dtls) {
            if self.unproven.len() == UNPROVEN_MOST {
                self.unproven.pop_front();
            }
            self.unproven.push_back((pair, Bytes::copy_from_slice(datagram)));
        }
    }

    /// Gives a datagram to whoever receives.
    fn give(&mut self, datagram: Bytes) {
        if self.given.len() < GIVEN_MOST {
            self.given.push_back(datagram);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }
}

/// The pipe. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Wire {
    shared: Arc<Mutex<Shared>>,
    stun: mpsc::Sender<Arrival>,
    at_once: (usize, usize),
}

impl Wire {
    pub(crate) fn new(sockets: Vec<Arc<Socket>>) -> (Self, mpsc::Receiver<Arrival>) {
        let (stun, arrivals) = mpsc::channel(STUN_QUEUE);
        let most =
            |count: fn(&Socket) -> usize| sockets.iter().map(|socket| count(socket)).min().unwrap_or(1);
        let at_once = (most(Socket::most_sent_at_once), most(Socket::most_received_at_once));
        let shared = Arc::new(Mutex::new(Shared { sockets, ..Shared::default() }));
        (Self { shared, stun, at_once }, arrivals)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address of this machine that is in use; `None` once closed.
    pub fn any_local(&self) -> Option<SocketAddr> {
        self.lock().sockets.first().map(|socket| socket.local())
    }

    /// Datagrams that [`Self::poll_send`] takes at once.
    pub fn most_sent_at_once(&self) -> usize {
        self.at_once.0
    }

    /// Datagrams that [`Self::poll_recv`] may give at once. A buffer for it holds as many.
    pub fn most_received_at_once(&self) -> usize {
        self.at_once.1
    }

    /// Sends datagrams of `segment` bytes each, or one, to the other side. Before the first way is found they wait for
    /// it; what a way does not take is lost.
    pub fn poll_send(&self, cx: &mut Context<'_>, datagrams: &[u8], segment: Option<usize>) -> Poll<()> {
        let mut shared = self.lock();
        match &shared.route {
            Some(Route { pair, carrier: Carrier::Socket(socket) }) => {
                socket.poll_send(cx, pair.remote, datagrams, segment)
            }
            Some(Route { pair, carrier }) => {
                for datagram in datagrams.chunks(segment.unwrap_or(datagrams.len()).max(1)) {
                    carrier.send_now(pair.remote, datagram);
                }
                Poll::Ready(())
            }
            None if shared.had_route || shared.closed => Poll::Ready(()),
            None => {
                for datagram in datagrams.chunks(segment.unwrap_or(datagrams.len()).max(1)) {
                    if shared.held.len() == HELD_MOST {
                        shared.held.pop_front();
                    }
                    shared.held.push_back(datagram.to_vec());
                }
                Poll::Ready(())
            }
        }
    }

    /// Sends datagrams of `segment` bytes each, or one, beside whoever uses [`poll_send`](Self::poll_send). Without a way they are
    /// lost.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where the system has no room: see [`writable`](Self::writable).
    pub fn try_send(&self, datagrams: &[u8], segment: Option<usize>) -> io::Result<()> {
        // The system may take a while, in which media must be able to go.
        let Some((remote, carrier)) = self.route() else { return Ok(()) };
        match carrier {
            Carrier::Socket(socket) => socket.try_send(remote, datagrams, segment),
            carrier @ (Carrier::Stream(_) | Carrier::Relay(_)) => {
                let each = segment.unwrap_or(datagrams.len()).max(1);
                datagrams.chunks(each).for_each(|datagram| carrier.send_now(remote, datagram));
                Ok(())
            }
        }
    }

    /// Waits until the system may have room.
    pub async fn writable(&self) {
        if let Some((_, Carrier::Socket(socket))) = self.route() {
            socket.writable().await;
        }
    }

    /// The next datagrams from the other side; pending for good once the pipe is closed.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Received> {
        let mut shared = self.lock();
        if let Some(datagram) = shared.given.pop_front() {
            let len = datagram.len().min(buf.len());
            buf[..len].copy_from_slice(&datagram[..len]);
            return Poll::Ready(Received { len, stride: len.max(1) });
        }
        match &shared.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => shared.waker = Some(cx.waker().clone()),
        }
        let count = shared.sockets.len();
        let mut budget = BUDGET;
        for step in 0..count {
            let index = (shared.next + step) % count;
            let socket = Arc::clone(&shared.sockets[index]);
            // A socket that fails is one whose interface is gone: the agent takes it away.
            while let Poll::Ready(Ok(burst)) = socket.poll_recv(cx, buf) {
                let received = self.sort(&mut shared, socket.local(), burst, buf);
                if received.len > 0 {
                    shared.next = index;
                    return Poll::Ready(received);
                }
                budget -= 1;
                if budget == 0 {
                    shared.next = index + 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        Poll::Pending
    }

    /// Datagrams of a second protocol beside media, from now on; without this they are dropped.
    pub fn bulk(&self) -> Bulk {
        let queue = Arc::clone(self.lock().bulk.get_or_insert_default());
        Bulk::new(self.clone(), queue)
    }

    /// Drops datagrams of that protocol from now on.
    pub(crate) fn end_bulk(&self) {
        self.lock().bulk = None;
    }

    /// Where datagrams go at the moment, and how.
    pub(crate) fn route(&self) -> Option<(SocketAddr, Carrier)> {
        let shared = self.lock();
        shared.route.as_ref().map(|route| (route.pair.remote, route.carrier.clone()))
    }

    /// Has whoever receives look again, for something that this does not know of.
    pub fn wake_receiver(&self) {
        if let Some(waker) = self.lock().waker.take() {
            waker.wake();
        }
    }

    /// Takes out of a burst what is not for whoever receives, and closes the gaps.
    fn sort(&self, shared: &mut Shared, local: SocketAddr, burst: Burst, buf: &mut [u8]) -> Received {
        let Burst { from, len, stride } = burst;
        let pair = Pair { local, remote: from };
        let len = len.min(buf.len());
        if let Some(relay) = shared.relays.get(&pair) {
            for datagram in buf[..len].chunks(stride) {
                relay.arrived(Bytes::copy_from_slice(datagram));
            }
            return Received { len: 0, stride: 1 };
        }
        let now = Instant::now();
        let known = match shared.known.get_mut(&pair) {
            Some(known) => {
                known.heard = now;
                true
            }
            None => false,
        };
        let mut media = false;
        let mut bulk = Vec::new();
        let mut kept = 0;
        let mut at = 0;
        while at < len {
            let end = (at + stride).min(len);
            if is_stun(buf[at]) {
                let datagram = Bytes::copy_from_slice(&buf[at..end]);
                let _ = self.stun.try_send(Arrival { pair, datagram });
            } else if known && is_quic(buf[at]) {
                bulk.push(Bytes::copy_from_slice(&buf[at..end]));
            } else if known {
                media = true;
                buf.copy_within(at..end, kept);
                kept += end - at;
            } else {
                shared.wait(pair, &buf[at..end]);
            }
            at = end;
        }
        if media {
            self.media_came(shared, pair, now);
        }
        if !bulk.is_empty() {
            self.bulk_came(shared, pair, now, bulk);
        }
        Received { len: kept, stride }
    }

    /// Datagrams of the second protocol came this way, which shows as well as media that the other side is there.
    fn bulk_came(
        &self,
        shared: &mut Shared,
        pair: Pair,
        now: Instant,
        datagrams: impl IntoIterator<Item = Bytes>,
    ) {
        self.media_came(shared, pair, now);
        if let Some(queue) = &shared.bulk {
            queue.extend(datagrams.into_iter());
        }
    }

    /// Notes that media came this way. Where it did not before, the agent is told: the other side may have moved.
    fn media_came(&self, shared: &mut Shared, pair: Pair, now: Instant) {
        let Some(known) = shared.known.get_mut(&pair) else { return };
        match &mut known.media {
            Some((last, _)) if now.saturating_duration_since(*last) < PAUSE => *last = now,
            media => {
                *media = Some((now, now));
                let _ = self.stun.try_send(Arrival { pair, datagram: Bytes::new() });
            }
        }
    }

    /// When media came this way last, and since when it has come without a pause.
    pub(crate) fn media(&self, pair: Pair) -> Option<(Instant, Instant)> {
        self.lock().known.get(&pair).and_then(|known| known.media)
    }

    /// A datagram came out of a relay, or over a connection.
    pub(crate) fn came(&self, pair: Pair, datagram: Bytes) {
        if datagram.first().copied().is_some_and(is_stun) {
            self.stun(pair, datagram);
            return;
        }
        let mut shared = self.lock();
        let now = Instant::now();
        match shared.known.get_mut(&pair) {
            Some(known) => known.heard = now,
            None => return shared.wait(pair, &datagram),
        }
        if datagram.first().copied().is_some_and(is_quic) {
            self.bulk_came(&mut shared, pair, now, [datagram]);
            return;
        }
        self.media_came(&mut shared, pair, now);
        shared.give(datagram);
    }

    /// A STUN message for the agent.
    pub(crate) fn stun(&self, pair: Pair, datagram: Bytes) {
        let _ = self.stun.try_send(Arrival { pair, datagram });
    }

    /// The other side has shown that it is there.
    pub(crate) fn recognise(&self, pair: Pair, now: Instant) {
        let mut shared = self.lock();
        if let Some(known) = shared.known.get_mut(&pair) {
            known.heard = now;
            return;
        }
        shared.known.insert(pair, Known { heard: now, media: None });
        let (of_pair, others) =
            std::mem::take(&mut shared.unproven).into_iter().partition(|(of, _)| *of == pair);
        shared.unproven = others;
        let of_pair: VecDeque<(Pair, Bytes)> = of_pair;
        for (_, datagram) in of_pair {
            shared.give(datagram);
        }
    }

    /// When something came this way last.
    pub(crate) fn heard(&self, pair: Pair) -> Option<Instant> {
        self.lock().known.get(&pair).map(|known| known.heard)
    }

    /// From now on datagrams go this way.
    pub(crate) fn set_route(&self, pair: Pair, carrier: Carrier) {
        let mut shared = self.lock();
        for datagram in std::mem::take(&mut shared.held) {
            carrier.send_now(pair.remote, &datagram);
        }
        shared.route = Some(Route { pair, carrier });
        shared.had_route = true;
    }

    /// Datagrams have no way any more. They are lost: what they said is old when there is one again.
    pub(crate) fn drop_route(&self) {
        self.lock().route = None;
    }

    pub(crate) fn add_socket(&self, socket: Arc<Socket>) {
        let mut shared = self.lock();
        shared.sockets.push(socket);
        // Whoever receives has to poll the new one once.
        if let Some(waker) = shared.waker.take() {
            waker.wake();
        }
    }

    /// Forgets a local address: its socket, and what is known of who is reached from there.
    pub(crate) fn remove_local(&self, local: SocketAddr) {
        let mut shared = self.lock();
        shared.sockets.retain(|socket| socket.local() != local);
        shared.known.retain(|pair, _| pair.local != local);
        shared.relays.retain(|pair, _| pair.local != local);
    }

    pub(crate) fn add_relay(&self, pair: Pair, relay: RelayHandle) {
        self.lock().relays.insert(pair, relay);
    }

    /// Lets go of all relays: what comes from their servers is nobody's.
    pub(crate) fn forget_relays(&self) {
        self.lock().relays.clear();
    }

    pub(crate) fn remove_relay(&self, pair: Pair) {
        self.lock().relays.remove(&pair);
    }

    /// Gives everything back. What is sent from now on goes nowhere.
    pub(crate) fn close(&self) {
        let mut shared = self.lock();
        let waker = shared.waker.take();
        *shared = Shared { closed: true, ..Shared::default() };
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Whether a datagram that begins with `first` is DTLS (RFC 7983 section 7).
const fn is_dtls(first: u8) -> bool {
    matches!(first, 20..=63)
}

/// Whether a datagram that begins with `first` is STUN (RFC 7983 section 7).
pub(crate) const fn is_stun(first: u8) -> bool {
    first < 4
}
