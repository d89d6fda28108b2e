//! What leaves this machine by the same way: calls, and what gives way to them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ahoy_congestion::{Background, CallPath};
use ahoy_media_types::MediaClock;

/// Bytes of a datagram that does not wait: it says what has come.
pub(crate) const SHORT: usize = 200;
/// Bytes that count for each datagram besides its own: headers of UDP and IP.
pub(crate) const HEADERS: usize = 28;

/// The way out of this machine. Peers that have the same one give way to each other's calls with what is not urgent
/// ([`Bulk`](crate::Bulk)); see [`Background`] for how. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Uplink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: MediaClock,
    background: Mutex<Background>,
    /// Without calls nobody has to ask.
    in_calls: AtomicBool,
    next_call: AtomicU64,
}

impl Default for Uplink {
    /// One that nobody else uses.
    fn default() -> Self {
        Self(Arc::new(Inner {
            clock: MediaClock::start(),
            background: Mutex::default(),
            in_calls: AtomicBool::new(false),
            next_call: AtomicU64::new(0),
        }))
    }
}

impl Uplink {
    fn lock(&self) -> MutexGuard<'_, Background> {
        self.0.background.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are no calls.
    pub(crate) fn is_free(&self) -> bool {
        !self.0.in_calls.load(Ordering::Relaxed)
    }

    /// Whether something may leave that can wait: when, where it is not yet.
    pub(crate) fn may_leave(&self, now: Instant) -> Option<Instant> {
        if self.is_free() {
            return None;
        }
        let at = self.lock().may_leave(self.0.clock.at(now))?;
        Some(self.0.clock.instant(at))
    }

    /// It leaves.
    pub(crate) fn leaves(&self, bytes: usize, now: Instant) {
        if !self.is_free() {
            self.lock().leaves(bytes, self.0.clock.at(now));
        }
    }

    /// It has arrived.
    pub(crate) fn delivered(&self, bytes: usize, now: Instant) {
        if !self.is_free() {
            self.lock().delivered(bytes, self.0.clock.at(now));
        }
    }

    /// It was lost.
    pub(crate) fn lost(&self, bytes: usize, now: Instant) {
        if !self.is_free() {
            self.lock().lost(bytes, self.0.clock.at(now));
        }
    }

    /// Bytes that may leave one after the other.
    pub(crate) fn most_at_once(&self) -> usize {
        if self.is_free() { usize::MAX } else { self.lock().most_at_once() }
    }

    /// A call begins. It is over when what is returned is dropped.
    pub(crate) fn begin_call(&self) -> CallUplink {
        CallUplink { id: self.0.next_call.fetch_add(1, Ordering::Relaxed), uplink: self.clone() }
    }
}

/// One call's part in it.
#[derive(Debug)]
pub(crate) struct CallUplink {
    id: u64,
    uplink: Uplink,
}

impl CallUplink {
    /// Something of the call leaves.
    pub(crate) fn sends(&self, bytes: usize, now: Instant) {
        self.uplink.lock().call_sends(bytes, self.uplink.0.clock.at(now));
    }

    /// What is known of its way now.
    pub(crate) fn knows(&self, path: CallPath, now: Instant) {
        let mut background = self.uplink.lock();
        background.call_knows(self.id, path, self.uplink.0.clock.at(now));
        self.uplink.0.in_calls.store(true, Ordering::Relaxed);
    }
}

impl Drop for CallUplink {
    fn drop(&mut self) {
        let mut background = self.uplink.lock();
        background.call_ends(self.id);
        self.uplink.0.in_calls.store(background.is_in_calls(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What leaves at once, of packets of 1,250 bytes.
    fn at_once(uplink: &Uplink, now: Instant) -> usize {
        let packets = (0..1_000).take_while(|_| {
            let may = uplink.may_leave(now).is_none();
            if may {
                uplink.leaves(1_250, now);
            }
            may
        });
        packets.count()
    }

    #[test]
    fn what_may_wait_does_while_there_are_calls_and_not_longer() {
        let (uplink, now) = (Uplink::default(), Instant::now());
        assert_eq!(at_once(&uplink, now), 1_000);
        let calls = [uplink.begin_call(), uplink.begin_call()];
        let path = CallPath { wanted: 1e6, target: 1e6, sent: 1e6, acknowledged: 1e6, ..CallPath::default() };
        for call in &calls {
            call.knows(path, now);
        }
        let few = at_once(&uplink, now);
        assert!(few < 5, "{few}");
        let [first, second] = calls;
        drop(first);
        assert!(at_once(&uplink, now) < 5);
        drop(second);
        assert_eq!(at_once(&uplink, now), 1_000);
        assert_eq!(uplink.most_at_once(), usize::MAX);
    }
}
