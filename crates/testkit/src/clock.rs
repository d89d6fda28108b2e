//! Virtual time: pure machines are driven by a [`Scheduler`] instead of the machine's clock, so that a test of ten
//! minutes takes milliseconds and always goes the same way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::Duration;

use ahoy_media_types::MediaTime;

/// A clock that only moves when it is told to, and never backwards.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    now: MediaTime,
}

impl VirtualClock {
    /// A clock at the start of the timeline.
    pub const fn new() -> Self {
        Self { now: MediaTime::ZERO }
    }

    /// The present virtual time.
    pub const fn now(&self) -> MediaTime {
        self.now
    }

    /// Moves forward by `by` and returns the new time.
    pub fn advance(&mut self, by: Duration) -> MediaTime {
        self.now += by;
        self.now
    }

    /// Moves forward to `time`; stays where it is if `time` has passed.
    pub fn advance_to(&mut self, time: MediaTime) {
        self.now = self.now.max(time);
    }
}

/// Names an event in a [`Scheduler`], so that it can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKey(u64);

/// Events in the order of their time; those of the same time in the order in which they were scheduled.
///
/// Taking an event moves the clock to its time.
#[derive(Debug)]
pub struct Scheduler<E> {
    clock: VirtualClock,
    events: BinaryHeap<Reverse<Entry<E>>>,
    cancelled: HashSet<EventKey>,
    next_key: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: MediaTime,
    key: EventKey,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.key.0).cmp(&(other.at, other.key.0))
    }
}

impl<E> Default for Scheduler<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Scheduler<E> {
    /// An empty scheduler at the start of the timeline.
    pub fn new() -> Self {
        Self { clock: VirtualClock::new(), events: BinaryHeap::new(), cancelled: HashSet::new(), next_key: 0 }
    }

    /// The present virtual time: that of the event taken last.
    pub const fn now(&self) -> MediaTime {
        self.clock.now()
    }

    /// Plans `event` for `at`, or for now if `at` has passed.
    pub fn at(&mut self, at: MediaTime, event: E) -> EventKey {
        let key = EventKey(self.next_key);
        self.next_key += 1;
        self.events.push(Reverse(Entry { at: at.max(self.now()), key, event }));
        key
    }

    /// Plans `event` for `delay` from now.
    pub fn after(&mut self, delay: Duration, event: E) -> EventKey {
        self.at(self.now() + delay, event)
    }

    /// Takes an event out of the plan. Does nothing if it has already been taken.
    pub fn cancel(&mut self, key: EventKey) {
        if self.events.iter().any(|Reverse(entry)| entry.key == key) {
            self.cancelled.insert(key);
        }
    }

    /// When the next event is due.
    pub fn next_time(&mut self) -> Option<MediaTime> {
        self.skip_cancelled();
        self.events.peek().map(|Reverse(entry)| entry.at)
    }

    /// Moves to the next event and takes it.
    pub fn pop(&mut self) -> Option<E> {
        self.skip_cancelled();
        let Reverse(entry) = self.events.pop()?;
        self.clock.advance_to(entry.at);
        Some(entry.event)
    }

    /// Moves to the next event at or before `end` and takes it. When there is none, moves to `end`.
    pub fn pop_until(&mut self, end: MediaTime) -> Option<E> {
        if self.next_time().is_some_and(|at| at <= end) {
            self.pop()
        } else {
            self.clock.advance_to(end);
            None
        }
    }

    fn skip_cancelled(&mut self) {
        while let Some(Reverse(entry)) = self.events.peek() {
            if !self.cancelled.remove(&entry.key) {
                break;
            }
            self.events.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    #[test]
    fn events_come_in_order_of_time_and_then_of_planning() {
        let mut plan = Scheduler::new();
        plan.at(ms(20), "late");
        plan.at(ms(10), "first");
        plan.at(ms(10), "second");
        let order: Vec<_> = std::iter::from_fn(|| plan.pop().map(|event| (plan.now(), event))).collect();
        assert_eq!(order, [(ms(10), "first"), (ms(10), "second"), (ms(20), "late")]);
    }

    #[test]
    fn time_moves_to_the_end_of_the_span_when_nothing_is_left_in_it() {
        let mut plan = Scheduler::new();
        plan.after(Duration::from_millis(5), ());
        assert_eq!(plan.pop_until(ms(4)), None);
        assert_eq!(plan.now(), ms(4));
        assert_eq!(plan.pop_until(ms(9)), Some(()));
        assert_eq!(plan.now(), ms(5));
    }

    #[test]
    fn a_cancelled_event_never_comes_and_cancelling_a_past_one_changes_nothing() {
        let mut plan = Scheduler::new();
        let past = plan.at(ms(1), 1);
        assert_eq!(plan.pop(), Some(1));
        plan.cancel(past);
        let doomed = plan.at(ms(2), 2);
        plan.at(ms(3), 3);
        plan.cancel(doomed);
        assert_eq!(plan.next_time(), Some(ms(3)));
        assert_eq!(plan.pop(), Some(3));
        assert_eq!(plan.pop(), None);
    }

    #[test]
    fn an_event_planned_for_the_past_is_due_now() {
        let mut plan = Scheduler::new();
        plan.at(ms(10), ());
        plan.pop();
        plan.at(ms(1), ());
        assert_eq!(plan.next_time(), Some(ms(10)));
    }
}
