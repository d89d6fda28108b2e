//! How much delay the network makes necessary.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;

/// Width of a histogram bin. Finer than a block, so that a clean link is not made to wait a block for nothing.
const BIN: i64 = 2_500;
/// Number of bins: delays up to half a second are told apart.
const BINS: usize = 200;
/// What is left of an observation's weight when the next one comes: with 20 ms packets, half is gone after 5 s.
const FORGET: f64 = 0.997;
/// The fastest packet of this time is what the others are compared with. Long enough to see one that did not queue, short
/// enough to follow a route that has become longer, and clocks that drift (50 ppm are 0.2 ms in it).
const BASE_WINDOW: Duration = Duration::from_secs(4);
/// The window slides in steps of this.
const BASE_STEP: Duration = Duration::from_millis(250);

/// What a [`DelayEstimator`] is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct DelayGoal {
    /// Ticks per second of the RTP clock.
    pub(super) clock_rate: u32,
    /// Share of packets that must be there in time, 0.0 to 1.0.
    pub(super) quantile: f64,
    /// Limits of the answer.
    pub(super) least: Duration,
    pub(super) most: Duration,
}

/// Watches when packets (or whole pictures) arrive and says how long each must be held back after the moment when it would
/// have been there had it been as fast as the fastest.
#[derive(Debug)]
pub(super) struct DelayEstimator {
    goal: DelayGoal,
    /// The least transit time in each step of the window, with the end of the step. Transit is arrival less timestamp, in
    /// microseconds, with an unknown constant.
    steps: VecDeque<(MediaTime, i64)>,
    histogram: Vec<f64>,
    observations: u32,
}

impl DelayEstimator {
    pub(super) fn new(goal: DelayGoal) -> Self {
        Self { goal, steps: VecDeque::new(), histogram: vec![0.0; BINS], observations: 0 }
    }

    /// Takes the arrival of a packet with the RTP timestamp `position` (not wrapping).
    pub(super) fn on_packet(&mut self, position: i64, arrived_at: MediaTime) {
        let transit = self.transit(position, arrived_at);
        match self.steps.back_mut() {
            Some((end, least)) if arrived_at < *end => *least = transit.min(*least),
            _ => self.steps.push_back((arrived_at + BASE_STEP, transit)),
        }
        while self.steps.front().is_some_and(|(end, _)| *end + BASE_WINDOW < arrived_at) {
            self.steps.pop_front();
        }
        self.observe(transit - self.base().unwrap_or(transit));
    }

    /// Takes a delay in microseconds that proved necessary.
    pub(super) fn observe(&mut self, delay: i64) {
        self.observations = self.observations.saturating_add(1);
        let forget = FORGET.min(1.0 - 1.0 / f64::from(self.observations));
        for weight in &mut self.histogram {
            *weight *= forget;
        }
        let bin = usize::try_from(delay / BIN).unwrap_or(0).min(BINS - 1);
        self.histogram[bin] += 1.0 - forget;
    }

    fn transit(&self, position: i64, at: MediaTime) -> i64 {
        at.as_micros() as i64 - self.micros_of(position)
    }

    fn micros_of(&self, position: i64) -> i64 {
        position * 1_000_000 / i64::from(self.goal.clock_rate)
    }

    fn base(&self) -> Option<i64> {
        self.steps.iter().map(|(_, least)| *least).min()
    }

    /// How long after its earliest possible arrival `position` would be played if it were played at `now`, in microseconds. `None` before the first packet.
    pub(super) fn slack(&self, position: i64, now: MediaTime) -> Option<i64> {
        Some(self.transit(position, now) - self.base()?)
    }

    /// When the packet with the timestamp `position` would have arrived had it been as fast as the fastest.
    pub(super) fn earliest(&self, position: i64) -> Option<MediaTime> {
        let micros = self.micros_of(position) + self.base()?;
        Some(MediaTime::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    /// How far the packet's transit is from what was seen lately; a sender that has restarted its clock is far off.
    pub(super) fn distance(&self, position: i64, arrived_at: MediaTime) -> Option<Duration> {
        let off = self.transit(position, arrived_at) - self.base()?;
        Some(Duration::from_micros(off.unsigned_abs()))
    }

    /// Forgets the sender's clock, but not how much the network's delay varies.
    pub(super) fn forget_clock(&mut self) {
        self.steps.clear();
    }

    /// The slack that is needed.
    pub(super) fn target(&self) -> Duration {
        let mut sum = 0.0;
        let total: f64 = self.histogram.iter().sum();
        let bin = self.histogram.iter().position(|weight| {
            sum += weight;
            sum >= self.goal.quantile * total
        });
        // What is in the first bin is as fast as can be.
        let upper = bin.filter(|&bin| bin > 0).map_or(0, |bin| (bin as u64 + 1) * BIN as u64);
        Duration::from_micros(upper).clamp(self.goal.least, self.goal.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimator() -> DelayEstimator {
        let (least, most) = (Duration::from_millis(5), Duration::from_millis(300));
        DelayEstimator::new(DelayGoal { clock_rate: 48_000, quantile: 0.995, least, most })
    }

    fn feed(estimator: &mut DelayEstimator, packets: std::ops::Range<u64>, delay_ms: impl Fn(u64) -> u64) {
        for i in packets {
            estimator.on_packet(i as i64 * 960, MediaTime::from_millis(i * 20 + delay_ms(i)));
        }
    }

    #[test]
    fn a_steady_link_needs_no_delay_however_long_it_is() {
        let mut estimator = estimator();
        feed(&mut estimator, 0..100, |_| 800);
        assert_eq!(estimator.target(), Duration::from_millis(5));
    }

    #[test]
    fn the_target_covers_all_but_the_slowest_packets() {
        let mut estimator = estimator();
        feed(&mut estimator, 0..2000, |i| 50 + i * 7 % 31 + if i % 500 == 0 { 200 } else { 0 });
        let target = estimator.target().as_millis();
        assert!((29..=35).contains(&target), "{target}");
    }

    #[test]
    fn the_target_rises_at_once_and_falls_within_a_minute() {
        let mut estimator = estimator();
        feed(&mut estimator, 0..500, |_| 50);
        feed(&mut estimator, 500..560, |i| if i % 4 == 0 { 130 } else { 50 });
        assert!(estimator.target() >= Duration::from_millis(80));
        feed(&mut estimator, 560..3060, |_| 50);
        assert!(estimator.target() < Duration::from_millis(10));
    }

    #[test]
    fn a_route_that_becomes_longer_is_the_new_normal_after_some_seconds() {
        let mut estimator = estimator();
        feed(&mut estimator, 0..500, |_| 50);
        feed(&mut estimator, 500..800, |_| 150);
        let now = MediaTime::from_millis(800 * 20 + 150);
        assert!(estimator.slack(800 * 960, now).unwrap() < 1000);
        feed(&mut estimator, 800..1000, |_| 60);
        assert!(estimator.slack(1000 * 960, MediaTime::from_millis(1000 * 20 + 60)).unwrap() < 1000);
    }

    #[test]
    fn the_target_stays_within_its_limits() {
        let mut estimator = estimator();
        feed(&mut estimator, 0..300, |i| i * 37 % 3000);
        assert_eq!(estimator.target(), Duration::from_millis(300));
    }
}
