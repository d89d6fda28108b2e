//! Mistakes of a client, which it may make now and then but not all the time.

use std::time::{Duration, Instant};

/// The span in which mistakes are counted.
const STRIKES_SPAN: Duration = Duration::from_secs(10);

/// Counts what should not happen, in spans of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strikes {
    begun: Instant,
    count: u32,
}

impl Strikes {
    /// Nothing so far.
    pub(super) fn none(now: Instant) -> Self {
        Self { begun: now, count: 0 }
    }

    /// One more; returns how many there were in this span.
    pub(super) fn strike(&mut self, now: Instant) -> u32 {
        if now.saturating_duration_since(self.begun) > STRIKES_SPAN {
            *self = Self::none(now);
        }
        self.count += 1;
        self.count
    }
}
