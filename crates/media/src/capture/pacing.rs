//! When a synthetic source or a file makes its next picture.

use ahoy_media_types::{FrameRate, MediaTime};

/// Gives out the numbered deadlines of a steady frame rate. Deadlines are absolute, so being late once moves no later
/// frame; deadlines that passed unused are skipped, so a source that was held up doesn't send a burst afterwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    rate: FrameRate,
    start: MediaTime,
    next: u64,
    skipped: u64,
}

/// What a source should do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Deliver the picture of this deadline.
    Due(u64),
    /// Nothing is due before this time.
    Wait(MediaTime),
}

impl Pacer {
    /// Deadline 0 is at `start`.
    pub(crate) fn new(rate: FrameRate, start: MediaTime) -> Self {
        Self { rate, start, next: 0, skipped: 0 }
    }

    /// Asks what to do; each deadline is given out at most once.
    pub(crate) fn poll(&mut self, now: MediaTime) -> Pace {
        let due = self.deadline(self.next);
        if now < due {
            return Pace::Wait(due);
        }
        let latest = self.latest(now).max(self.next);
        self.skipped += latest - self.next;
        self.next = latest + 1;
        Pace::Due(latest)
    }

    /// The deadline that comes next, for a source that prepares its picture ahead.
    pub(crate) fn upcoming(&self) -> u64 {
        self.next
    }

    /// How many deadlines passed without a picture.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    fn deadline(&self, number: u64) -> MediaTime {
        self.start + self.rate.time_of(number)
    }

    /// The last deadline at or before `now`.
    fn latest(&self, now: MediaTime) -> u64 {
        let (numerator, denominator) = self.rate.as_fraction();
        let number = now.since(self.start).as_nanos() * u128::from(numerator)
            / (u128::from(denominator) * 1_000_000_000);
        let number = u64::try_from(number).unwrap_or(u64::MAX - 1);
        // Deadlines are cut to whole microseconds, so the next one can have come up to a microsecond early.
        if self.deadline(number + 1) <= now { number + 1 } else { number }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_stay_on_their_grid_however_late_each_is_met() {
        let rate = FrameRate::new(30_000, 1001).unwrap();
        let start = MediaTime::from_millis(250);
        let mut pacer = Pacer::new(rate, start);
        let mut now = start;
        for number in 0..10_000_u64 {
            assert_eq!(pacer.poll(now), Pace::Due(number));
            let Pace::Wait(until) = pacer.poll(now) else { panic!("frame {} is due twice", number + 1) };
            assert_eq!(until, start + rate.time_of(number + 1));
            now = until + Duration::from_micros(number % 7 * 4_000);
        }
        assert_eq!(pacer.skipped(), 0);
    }

    #[test]
    fn a_source_that_was_held_up_skips_and_counts_instead_of_catching_up() {
        let mut pacer = Pacer::new(FrameRate::FPS_30, MediaTime::ZERO);
        assert_eq!(pacer.poll(MediaTime::ZERO), Pace::Due(0));
        assert_eq!(pacer.poll(MediaTime::from_millis(110)), Pace::Due(3));
        assert_eq!(pacer.skipped(), 2);
        assert_eq!(pacer.poll(MediaTime::from_millis(110)), Pace::Wait(MediaTime::from_micros(133_333)));
        assert_eq!(pacer.upcoming(), 4);
    }

    #[test]
    fn nothing_is_due_before_the_start_nor_a_microsecond_early() {
        let mut pacer = Pacer::new(FrameRate::FPS_30, MediaTime::from_millis(5));
        assert_eq!(pacer.poll(MediaTime::ZERO), Pace::Wait(MediaTime::from_millis(5)));
        assert_eq!(pacer.poll(MediaTime::from_millis(5)), Pace::Due(0));
        let second = MediaTime::from_micros(5_000 + 33_333);
        assert_eq!(pacer.poll(MediaTime::from_micros(5_000 + 33_332)), Pace::Wait(second));
        assert_eq!(pacer.poll(second), Pace::Due(1));
    }

    #[test]
    fn a_clock_that_jumps_ahead_by_years_does_no_harm() {
        let mut pacer = Pacer::new(FrameRate::from_fps(120).unwrap(), MediaTime::ZERO);
        assert!(
            matches!(pacer.poll(MediaTime::from_micros(u64::MAX / 4)), Pace::Due(number) if number > 1_000_000)
        );
    }
}
