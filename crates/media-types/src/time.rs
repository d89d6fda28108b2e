//! Time on the media path.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A point on the monotonic media timeline, in microseconds since its [`MediaClock`] was started.
///
/// Decision code takes one of these as `now` and never reads a clock itself, so tests can run it on virtual time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MediaTime(u64);

impl MediaTime {
    /// The start of the timeline.
    pub const ZERO: MediaTime = MediaTime(0);

    /// A time `micros` microseconds after the start of the timeline.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A time `millis` milliseconds after the start of the timeline.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    /// Microseconds since the start of the timeline.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the start of the timeline, with the fraction.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// Seconds since the start of the timeline, with the fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Time passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: MediaTime) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds from `other` to `self`, negative if `other` is later.
    pub fn millis_after(self, other: MediaTime) -> f64 {
        (self.0 as i64).wrapping_sub(other.0 as i64) as f64 / 1e3
    }

    /// This time moved back, stopping at the start of the timeline.
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(duration_micros(by)))
    }
}

fn duration_micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

impl Add<Duration> for MediaTime {
    type Output = MediaTime;
    fn add(self, rhs: Duration) -> MediaTime {
        MediaTime(self.0.saturating_add(duration_micros(rhs)))
    }
}

impl AddAssign<Duration> for MediaTime {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<MediaTime> for MediaTime {
    type Output = Duration;
    fn sub(self, rhs: MediaTime) -> Duration {
        self.since(rhs)
    }
}

impl fmt::Display for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.as_secs_f64())
    }
}

/// The monotonic clock behind a media timeline. One is started for each call and copied to all its parts.
#[derive(Clone, Copy, Debug)]
pub struct MediaClock {
    epoch: Instant,
}

impl MediaClock {
    /// Starts a timeline at the present moment.
    pub fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// The present time on this timeline.
    pub fn now(&self) -> MediaTime {
        self.at(Instant::now())
    }

    /// The time on this timeline of `instant`; the start of the timeline for instants before it.
    pub fn at(&self, instant: Instant) -> MediaTime {
        MediaTime(duration_micros(instant.saturating_duration_since(self.epoch)))
    }

    /// The instant of `time`, for the system calls that wait for one.
    pub fn instant(&self, time: MediaTime) -> Instant {
        self.epoch + Duration::from_micros(time.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_times_never_go_below_zero() {
        let (early, late) = (MediaTime::from_millis(5), MediaTime::from_millis(8));
        assert_eq!(late - early, Duration::from_millis(3));
        assert_eq!(early - late, Duration::ZERO);
        assert_eq!(early.millis_after(late), -3.0);
        assert_eq!(early.saturating_sub(Duration::from_secs(1)), MediaTime::ZERO);
    }

    #[test]
    fn a_clock_maps_instants_there_and_back() {
        let clock = MediaClock::start();
        let time = MediaTime::from_millis(1234);
        assert_eq!(clock.at(clock.instant(time)), time);
        assert_eq!(clock.at(clock.epoch - Duration::from_millis(1)), MediaTime::ZERO);
    }
}
