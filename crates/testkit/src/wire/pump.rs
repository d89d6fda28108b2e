//! The thread that carries real packets through a link.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::handle::Shared;
use super::{Carried, Direction};

/// Packets read from one descriptor before those that are due are sent: keeps a burst from delaying them.
const READS_IN_A_ROW: usize = 32;
/// Larger than any IP packet.
const BUFFER_BYTES: usize = 65_536;

/// The lowest real-time priority: ahead of ordinary programs. The thread needs little time, but at once.
#[cfg(target_os = "linux")]
const PRIORITY: i32 = 1;

/// Where a link's packets come from and go to.
pub(super) trait Wire: Send + 'static {
    /// Takes over descriptors that have come or gone.
    fn refresh(&mut self) {}

    /// The descriptors that packets come from.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;

    /// Reads a packet from the descriptor at `index` of [`descriptors`](Self::descriptors) into `buffer`.
    fn receive(&mut self, index: usize, buffer: &mut [u8]) -> Received;

    /// Sends a packet that came through the link.
    fn transmit(&mut self, direction: Direction, packet: &Carried) -> io::Result<()>;
}

pub(super) enum Received {
    Packet(Direction, Carried),
    /// Something that the link does not carry.
    Ignored,
    /// Nothing is left to read.
    Empty,
}

/// Starts the thread. It ends when [`Shared::stop`] is called.
pub(super) fn start(name: &str, shared: Arc<Shared>, wire: impl Wire) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared, wire))
}

fn run(shared: &Shared, mut wire: impl Wire) {
    be_punctual();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut due = Vec::new();
    while !shared.is_stopping() {
        let next = shared.take_due(&mut due);
        for (direction, packet) in due.drain(..) {
            if let Err(error) = wire.transmit(direction, &packet) {
                shared.unsent.fetch_add(1, Ordering::Relaxed);
                tracing::trace!(%error, ?direction, "a packet could not be sent on");
            }
        }
        wire.refresh();
        let sleep = next.map(|next| next.since(shared.clock.now()));
        for index in wait(shared, &wire, sleep) {
            for _ in 0..READS_IN_A_ROW {
                match wire.receive(index, &mut buffer) {
                    Received::Packet(direction, packet) => shared.handle(direction, packet),
                    Received::Ignored => {}
                    Received::Empty => break,
                }
            }
        }
    }
}

/// Asks the kernel to wake this thread on time, also on a busy machine: the delays are what is measured.
#[cfg(target_os = "linux")]
fn be_punctual() {
    // The kernel rounds sleeps of ordinary threads up by 50 µs to save power.
    let slack = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    // Real-time scheduling needs privileges that a developer's shell may not have.
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the call reads the structure, which lives until it returns; 0 means the calling thread.
    let refused = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &parameters) } != 0;
    let priority = if refused { Err(io::Error::last_os_error()) } else { Ok(()) };
    if let Err(error) = slack.map_err(io::Error::from).and(priority) {
        tracing::debug!(%error, "the link may be late where other programs keep the machine busy");
    }
}

#[cfg(not(target_os = "linux"))]
fn be_punctual() {}

/// Sleeps until a packet comes, the time is over or the thread is woken; returns the descriptors that have something.
fn wait(shared: &Shared, wire: &impl Wire, sleep: Option<Duration>) -> Vec<usize> {
    let waker = PollFd::from_borrowed_fd(shared.waker().descriptor(), PollFlags::IN);
    let descriptors = wire.descriptors().into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let mut polled: Vec<PollFd<'_>> = std::iter::once(waker).chain(descriptors).collect();
    let timeout = sleep.and_then(|sleep| Timespec::try_from(sleep).ok());
    match poll(&mut polled, timeout.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Vec::new(),
        Ok(_) => {}
        Err(error) => {
            // Only a lack of kernel memory is left as a cause: try again, but not in a busy loop.
            tracing::warn!(%error, "waiting for packets failed");
            thread::sleep(Duration::from_millis(1));
            return Vec::new();
        }
    }
    if !polled[0].revents().is_empty() {
        shared.waker().clear();
    }
    (1..polled.len()).filter(|&index| !polled[index].revents().is_empty()).map(|index| index - 1).collect()
}
