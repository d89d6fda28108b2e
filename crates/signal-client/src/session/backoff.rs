//! How long to wait before connecting again.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

/// Longest wait before the second attempt: a moment, which a restart of a process takes.
pub const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait of all: nobody looks at a dead window for longer once the network is back.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Exponential back-off with full jitter: each wait is a random part of a bound that doubles, so that thousands of clients
/// of a server that restarted come back spread out.
#[derive(Debug)]
pub(super) struct Backoff {
    attempts: u32,
    luck: Pcg64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { attempts: 0, luck: Pcg64::seed_from_u64(seed) }
    }

    /// The wait before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << self.attempts.min(16));
        self.attempts = self.attempts.saturating_add(1);
        self.part_of(doubled.min(LONGEST_WAIT))
    }

    /// A random part of a time.
    pub(super) fn part_of(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.luck.random::<f64>())
    }

    /// Attempts since the connection was last good.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The connection has proven good.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_spread_below_it() {
        let mut longest = [Duration::ZERO; 12];
        let mut shortest = [LONGEST_WAIT; 12];
        for seed in 0..400 {
            let mut backoff = Backoff::new(seed);
            for place in 0..12 {
                let wait = backoff.next();
                longest[place] = longest[place].max(wait);
                shortest[place] = shortest[place].min(wait);
            }
        }
        for place in 0..12_u32 {
            let bound = FIRST_WAIT.saturating_mul(1 << place).min(LONGEST_WAIT);
            let (shortest, longest) = (shortest[place as usize], longest[place as usize]);
            assert!(longest <= bound && longest > bound.mul_f64(0.97), "{place}: {longest:?} of {bound:?}");
            assert!(shortest < bound.mul_f64(0.03), "{place}: {shortest:?} of {bound:?}");
        }
    }

    #[test]
    fn after_a_good_connection_it_begins_anew() {
        let mut backoff = Backoff::new(7);
        for _ in 0..20 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST_WAIT);
    }

    #[test]
    fn the_same_seed_waits_the_same() {
        let mut one = Backoff::new(5);
        let mut other = Backoff::new(5);
        assert!((0..50).all(|_| one.next() == other.next()));
    }
}
