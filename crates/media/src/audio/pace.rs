//! Keeping time without a device: deadlines every 10 ms, and threads that stop at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ahoy_media_types::{BLOCK_DURATION, MediaTime};

use super::AudioError;

/// After a longer gap (the machine slept) the missed blocks are given up: nobody wants to hear them in a burst.
const MAX_LAG: Duration = Duration::from_millis(500);

/// What a [`Pacer`] says to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A block is due; it was, or is, due at this time.
    Due(MediaTime),
    /// Nothing is due for this long.
    Wait(Duration),
}

/// Deadlines 10 ms apart that do not drift, however late they are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    next: MediaTime,
}

impl Pacer {
    /// The first deadline is `first`.
    pub(crate) fn starting_at(first: MediaTime) -> Self {
        Self { next: first }
    }

    /// Says what to do at `now`. Each [`Pace::Due`] is given once.
    pub(crate) fn poll(&mut self, now: MediaTime) -> Pace {
        if now < self.next {
            return Pace::Wait(self.next - now);
        }
        if now - self.next > MAX_LAG {
            self.next = now;
        }
        let due = self.next;
        self.next += BLOCK_DURATION;
        Pace::Due(due)
    }
}

/// Asks a [`Worker`]'s thread to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether the thread is to end. It looks at this each time it wakes.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A named thread that sleeps by parking, so that stopping it is immediate. Dropping it stops and joins it.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn spawn(name: &str, run: impl FnOnce(Stop) + Send + 'static) -> Result<Self, AudioError> {
        let stop = Stop::default();
        let theirs = stop.clone();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(theirs))
            .map_err(AudioError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The handle may be dropped by the very callback that the thread runs; it then ends when that returns.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("an audio thread ended by a panic");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_stay_on_their_grid_when_they_are_met_late() {
        let mut pacer = Pacer::starting_at(MediaTime::from_millis(100));
        assert_eq!(pacer.poll(MediaTime::from_micros(99_400)), Pace::Wait(Duration::from_micros(600)));
        assert_eq!(pacer.poll(MediaTime::from_millis(127)), Pace::Due(MediaTime::from_millis(100)));
        assert_eq!(pacer.poll(MediaTime::from_millis(127)), Pace::Due(MediaTime::from_millis(110)));
        assert_eq!(pacer.poll(MediaTime::from_millis(127)), Pace::Due(MediaTime::from_millis(120)));
        assert_eq!(pacer.poll(MediaTime::from_millis(127)), Pace::Wait(Duration::from_millis(3)));
    }

    #[test]
    fn blocks_missed_in_a_long_sleep_are_given_up() {
        let mut pacer = Pacer::starting_at(MediaTime::ZERO);
        assert_eq!(pacer.poll(MediaTime::from_millis(60_000)), Pace::Due(MediaTime::from_millis(60_000)));
        assert_eq!(pacer.poll(MediaTime::from_millis(60_000)), Pace::Wait(BLOCK_DURATION));
    }

    #[test]
    fn a_sleeping_worker_stops_when_it_is_dropped() {
        let worker = Worker::spawn("ahoy-test", |stop| {
            while !stop.requested() {
                thread::park_timeout(Duration::from_secs(3600));
            }
        })
        .unwrap();
        drop(worker);
    }
}
