//! The hand-over between a source and whoever works on its newest value.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A mailbox for one value in which the latest wins: a camera frame that nobody took yet is replaced by the next one
/// instead of queueing behind it, because a late picture is worth less than none. Cloning shares the mailbox.
pub struct LatestSlot<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    value: Option<T>,
    overwritten: u64,
    closed: bool,
}

/// What [`LatestSlot::take_timeout`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// The latest value, which is now out of the slot.
    Value(T),
    /// Nothing was put in during the time given.
    TimedOut,
    /// The slot is empty and closed: nothing will come any more.
    Closed,
}

impl<T> LatestSlot<T> {
    /// An empty, open slot.
    pub fn new() -> Self {
        let state = Mutex::new(State { value: None, overwritten: 0, closed: false });
        Self { shared: Arc::new(Shared { state, changed: Condvar::new() }) }
    }

    /// Puts `value` in, dropping the one before it if nobody took that; returns whether it did. A closed slot drops
    /// `value` itself.
    pub fn put(&self, value: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let unread = state.value.replace(value);
        state.overwritten += u64::from(unread.is_some());
        drop(state);
        self.shared.changed.notify_one();
        unread.is_some()
    }

    /// Takes the latest value out, waiting for one for at most `timeout`. A value that was put in before the slot was
    /// closed can still be taken.
    pub fn take_timeout(&self, timeout: Duration) -> Taken<T> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        loop {
            if let Some(value) = state.value.take() {
                return Taken::Value(value);
            }
            if state.closed {
                return Taken::Closed;
            }
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => Duration::MAX,
            };
            if left.is_zero() {
                return Taken::TimedOut;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
    }

    /// Ends the slot: takers that wait wake up, and later values are dropped.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.changed.notify_all();
    }

    /// How many values were replaced before anybody took them.
    pub fn overwritten(&self) -> u64 {
        self.lock().overwritten
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for LatestSlot<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Default for LatestSlot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for LatestSlot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("LatestSlot")
            .field("full", &state.value.is_some())
            .field("overwritten", &state.overwritten)
            .field("closed", &state.closed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn the_latest_value_wins_and_the_loss_is_counted() {
        let slot = LatestSlot::new();
        assert!(!slot.put(1));
        assert!(slot.put(2));
        assert!(slot.put(3));
        assert_eq!(slot.take_timeout(LONG), Taken::Value(3));
        assert_eq!(slot.overwritten(), 2);
        assert_eq!(slot.take_timeout(Duration::ZERO), Taken::TimedOut);
    }

    #[test]
    fn a_waiting_taker_is_woken_by_a_value_of_another_thread() {
        let slot = LatestSlot::new();
        let taker = thread::spawn({
            let slot = slot.clone();
            move || slot.take_timeout(LONG)
        });
        slot.put("frame");
        assert_eq!(taker.join().unwrap(), Taken::Value("frame"));
    }

    #[test]
    fn closing_wakes_a_waiting_taker() {
        let slot = LatestSlot::<u8>::new();
        let taker = thread::spawn({
            let slot = slot.clone();
            move || slot.take_timeout(Duration::MAX)
        });
        slot.close();
        assert_eq!(taker.join().unwrap(), Taken::Closed);
    }

    #[test]
    fn a_closed_slot_gives_its_last_value_and_takes_no_more() {
        let slot = LatestSlot::new();
        slot.put(7);
        slot.close();
        assert!(!slot.put(8));
        assert_eq!(slot.take_timeout(LONG), Taken::Value(7));
        assert_eq!(slot.take_timeout(LONG), Taken::Closed);
        assert_eq!(slot.overwritten(), 0);
    }

    #[test]
    fn replaced_values_are_dropped_at_once() {
        let slot = LatestSlot::new();
        let first = Arc::new(());
        slot.put(Arc::clone(&first));
        slot.put(Arc::new(()));
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
