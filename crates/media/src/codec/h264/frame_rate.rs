//! How fast frames really come.

use std::time::Duration;

use ahoy_media_types::MediaTime;

/// How much of each new interval goes into the average: a camera that halves its rate in dim light is followed within a
/// second.
const WEIGHT: f64 = 0.1;
/// How far the average must be from the rate in use before that is changed.
const TOLERANCE: f64 = 0.1;
/// Intervals longer than this are pauses, not a frame rate.
const PAUSE: Duration = Duration::from_secs(2);

/// Follows the rate of the frames, because rate control gives each frame its share of the bitrate by it: cameras deliver
/// 15 frames a second in dim light although 30 were agreed on, and would use half of the bitrate.
#[derive(Debug)]
pub(super) struct ObservedRate {
    nominal: f64,
    in_use: f64,
    average_interval: f64,
    last: Option<MediaTime>,
}

impl ObservedRate {
    pub(super) fn new(nominal: f64) -> Self {
        Self { nominal, in_use: nominal, average_interval: 1.0 / nominal, last: None }
    }

    /// The rate that rate control should use.
    pub(super) fn in_use(&self) -> f64 {
        self.in_use
    }

    /// Takes the capture time of the next frame; gives the new rate where it has changed. Never more than nominal.
    pub(super) fn on_frame(&mut self, captured_at: MediaTime) -> Option<f64> {
        let interval = self.last.replace(captured_at).map(|last| captured_at.since(last))?;
        if interval > PAUSE || interval.is_zero() {
            return None;
        }
        self.average_interval += WEIGHT * (interval.as_secs_f64() - self.average_interval);
        let observed = (1.0 / self.average_interval).clamp(1.0_f64.min(self.nominal), self.nominal);
        let off = (observed / self.in_use - 1.0).abs();
        (off > TOLERANCE).then(|| {
            self.in_use = observed;
            observed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(rate: &mut ObservedRate, from_ms: u64, interval_ms: u64, frames: u64) -> Vec<f64> {
        (0..frames).filter_map(|i| rate.on_frame(MediaTime::from_millis(from_ms + i * interval_ms))).collect()
    }

    #[test]
    fn a_steady_camera_changes_nothing() {
        let mut rate = ObservedRate::new(30.0);
        assert_eq!(feed(&mut rate, 0, 33, 300), Vec::<f64>::new());
        assert_eq!(rate.in_use(), 30.0);
    }

    #[test]
    fn a_camera_that_slows_down_in_dim_light_is_followed_within_a_second_or_so() {
        let mut rate = ObservedRate::new(30.0);
        let changes = feed(&mut rate, 0, 67, 30);
        assert!(!changes.is_empty());
        assert!((rate.in_use() - 15.0).abs() < 1.7, "{}", rate.in_use());
        feed(&mut rate, 10_000, 33, 60);
        assert!((rate.in_use() - 30.0).abs() < 3.4, "{}", rate.in_use());
    }

    #[test]
    fn a_pause_is_not_a_slow_camera_and_bursts_do_not_exceed_what_was_agreed_on() {
        let mut rate = ObservedRate::new(30.0);
        feed(&mut rate, 0, 33, 10);
        assert_eq!(rate.on_frame(MediaTime::from_millis(60_000)), None);
        assert_eq!(feed(&mut rate, 60_001, 1, 100), Vec::<f64>::new());
        assert_eq!(rate.in_use(), 30.0);
    }
}
