//! How fast bytes may go: a bucket that fills at a steady rate and holds a second's worth.

use std::time::{Duration, Instant};

/// How far ahead of its rate traffic may be at once: a key frame is sent as fast as the network takes it.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket, kept as the time at which it will be full again: no rounding adds up (ITU-T I.371, the virtual scheduling
/// algorithm).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    nanos_per_kib: u64,
    full_at: Option<Instant>,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(bytes_per_s: u64) -> Self {
        Self { nanos_per_kib: 1_024_000_000_000 / bytes_per_s.max(1), full_at: None }
    }

    /// Whether so many bytes may go now; if so, they are taken.
    pub(crate) fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let cost = Duration::from_nanos((bytes as u64).saturating_mul(self.nanos_per_kib) / 1_024);
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + cost;
        let fits = full_at.saturating_duration_since(now) <= BURST;
        if fits {
            self.full_at = Some(full_at);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_seconds_worth_goes_at_once_and_then_it_goes_at_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10_000);
        assert!(bucket.take(9_000, now) && bucket.take(900, now));
        assert!(!bucket.take(200, now), "it is empty");
        assert!(!bucket.take(1_000, now + Duration::from_millis(50)));
        assert!(bucket.take(900, now + Duration::from_millis(100)));
    }

    #[test]
    fn what_was_refused_costs_nothing() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1_000);
        assert!(!bucket.take(5_000, now));
        assert!(bucket.take(900, now));
    }

    proptest! {
        #[test]
        fn no_more_goes_than_the_rate_and_one_burst(
            rate in 1_000_u64..10_000_000,
            sizes in prop::collection::vec((1_usize..1_500, 0_u64..20), 1..200),
        ) {
            let begun = Instant::now();
            let mut now = begun;
            let mut bucket = Bucket::new(rate);
            let mut passed = 0_u64;
            for (size, wait_ms) in sizes {
                now += Duration::from_millis(wait_ms);
                if bucket.take(size, now) {
                    passed += size as u64;
                }
            }
            let seconds = (now - begun).as_secs_f64() + BURST.as_secs_f64();
            // A thousandth for rounding down the price of a KiB.
            prop_assert!(passed as f64 <= rate as f64 * seconds * 1.01 + 1.0, "{passed} of {}", rate as f64 * seconds);
        }
    }
}
