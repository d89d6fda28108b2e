//! What the link's thread and its users share.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahoy_media_types::{MediaClock, MediaTime};

use super::tap::{TapReport, WireHeader};
use super::{Carried, Direction};
use crate::link::{Link, LinkConfig, LinkCounters, PacketLog};

/// Live control over a link that runs: change it, cut it, read its log. Clones control the same link.
///
/// Whatever a method changes is in force for every packet that comes after it returned.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: MediaClock,
    state: Mutex<State>,
    waker: Waker,
    stopping: AtomicBool,
    /// Packets that the operating system refused to send.
    pub(super) unsent: AtomicU64,
}

#[derive(Debug)]
struct State {
    forward: Link<Carried>,
    backward: Link<Carried>,
    tap: Option<TapReport>,
    headers: Option<Vec<WireHeader>>,
    punctuality: Punctuality,
}

/// How late packets left a running link, compared with when they were due: the emulation's own error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Punctuality {
    /// Packets counted, in both directions.
    pub packets: u64,
    /// Sum of their lateness.
    pub total: Duration,
    /// The most that one was late.
    pub worst: Duration,
}

impl Punctuality {
    /// Mean lateness; zero before the first packet.
    pub fn mean(&self) -> Duration {
        self.total.checked_div(u32::try_from(self.packets).unwrap_or(u32::MAX)).unwrap_or_default()
    }

    fn count(&mut self, late: Duration) {
        self.packets += 1;
        self.total += late;
        self.worst = self.worst.max(late);
    }
}

impl State {
    fn link(&mut self, direction: Direction) -> &mut Link<Carried> {
        match direction {
            Direction::AToB => &mut self.forward,
            Direction::BToA => &mut self.backward,
        }
    }
}

impl Shared {
    pub(super) fn new(clock: MediaClock, forward: LinkConfig, backward: LinkConfig) -> io::Result<Arc<Self>> {
        let now = clock.now();
        let state = State {
            forward: Link::new(forward, now),
            backward: Link::new(backward, now),
            tap: None,
            headers: None,
            punctuality: Punctuality::default(),
        };
        Ok(Arc::new(Self {
            clock,
            state: Mutex::new(state),
            waker: Waker::new()?,
            stopping: AtomicBool::new(false),
            unsent: AtomicU64::new(0),
        }))
    }

    /// A panic while the lock was held leaves numbers at worst one packet off.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handle(&self, direction: Direction, packet: Carried) {
        let mut state = self.state();
        let now = self.clock.now();
        if let Some(tap) = &mut state.tap {
            tap.record(now, direction, &packet.data);
        }
        if let Some(headers) = state.headers.as_mut().filter(|headers| headers.len() < PacketLog::CAPACITY) {
            headers.push(WireHeader::of(direction, &packet.data));
        }
        let bytes = packet.wire_bytes;
        state.link(direction).handle(packet, bytes, now);
    }

    /// Moves all packets that are due to `out` and tells when the next one is.
    pub(super) fn take_due(&self, out: &mut Vec<(Direction, Carried)>) -> Option<MediaTime> {
        let mut state = self.state();
        let now = self.clock.now();
        for direction in Direction::BOTH {
            while let Some(delivery) = state.link(direction).poll(now) {
                state.punctuality.count(now - delivery.at);
                out.push((direction, delivery.packet));
            }
        }
        state.forward.next_wakeup().into_iter().chain(state.backward.next_wakeup()).min()
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

impl LinkHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The clock that the link's log is written by.
    pub fn clock(&self) -> MediaClock {
        self.shared.clock
    }

    /// Changes what a direction does from now on; its rate schedule begins now.
    pub fn set(&self, direction: Direction, config: LinkConfig) {
        let mut state = self.shared.state();
        let now = self.shared.clock.now();
        state.link(direction).reconfigure(config, now);
        self.shared.waker.wake();
    }

    /// What a direction does at present.
    pub fn config(&self, direction: Direction) -> LinkConfig {
        self.shared.state().link(direction).config().clone()
    }

    /// Lets a direction swallow all packets that come, silently, until [`unblock`](Self::unblock).
    pub fn block(&self, direction: Direction) {
        self.shared.state().link(direction).set_blocked(true);
    }

    /// Ends [`block`](Self::block).
    pub fn unblock(&self, direction: Direction) {
        self.shared.state().link(direction).set_blocked(false);
    }

    /// Sums over all packets of a direction.
    pub fn counters(&self, direction: Direction) -> LinkCounters {
        self.shared.state().link(direction).counters()
    }

    /// A copy of a direction's log.
    pub fn log(&self, direction: Direction) -> PacketLog {
        self.shared.state().link(direction).log().clone()
    }

    /// Takes a direction's log out; the records from now on start a new one.
    pub fn take_log(&self, direction: Direction) -> PacketLog {
        self.shared.state().link(direction).take_log()
    }

    /// Starts to copy packets, before the link does anything to them. A running tap starts over.
    pub fn start_tap(&self) {
        self.shared.state().tap = Some(TapReport::default());
    }

    /// Ends the tap and gives out what it has; nothing if none was started.
    pub fn stop_tap(&self) -> TapReport {
        self.shared.state().tap.take().unwrap_or_default()
    }

    /// What the tap has so far; it goes on.
    pub fn tapped(&self) -> TapReport {
        self.shared.state().tap.clone().unwrap_or_default()
    }

    /// Starts to note how packets begin, in the order of the directions' logs, which start anew. At most
    /// [`PacketLog::CAPACITY`] are noted.
    pub fn start_headers(&self) {
        let mut state = self.shared.state();
        state.headers = Some(Vec::new());
        for direction in Direction::BOTH {
            state.link(direction).take_log();
        }
    }

    /// Ends that and gives out what was noted, with the log of each direction from then on.
    pub fn stop_headers(&self) -> (Vec<WireHeader>, [PacketLog; 2]) {
        let mut state = self.shared.state();
        let headers = state.headers.take().unwrap_or_default();
        (headers, Direction::BOTH.map(|direction| state.link(direction).take_log()))
    }

    /// How well the link kept its own times so far. A busy machine shows here.
    pub fn punctuality(&self) -> Punctuality {
        self.shared.state().punctuality
    }

    /// Packets that came through the link but that the operating system refused to send on.
    pub fn unsent(&self) -> u64 {
        self.shared.unsent.load(Ordering::Relaxed)
    }
}

/// Ends the sleep of the link's thread.
#[derive(Debug)]
pub(super) struct Waker {
    tell: UnixStream,
    told: UnixStream,
}

impl Waker {
    fn new() -> io::Result<Self> {
        let (tell, told) = UnixStream::pair()?;
        tell.set_nonblocking(true)?;
        told.set_nonblocking(true)?;
        Ok(Self { tell, told })
    }

    pub(super) fn wake(&self) {
        // A full pipe means that the thread has been told already.
        let _ = (&self.tell).write(&[1]);
    }

    pub(super) fn clear(&self) {
        let mut bytes = [0; 64];
        while (&self.told).read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
