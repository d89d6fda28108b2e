//! Smooth times for samples from the jittery times of callbacks.

use ahoy_media_types::MediaTime;

/// The share of each new deviation that corrects the time, once the first callbacks have been averaged: a deviation is
/// forgotten in about a second of 10 ms callbacks.
const PHASE_GAIN: f64 = 0.02;
/// The share of each new deviation that corrects the rate, as critical damping wants it (F. Adriaensen, "Using a DLL to
/// filter time", 2005: for a phase gain of sqrt(2)·w the rate's is w²).
const RATE_GAIN: f64 = PHASE_GAIN * PHASE_GAIN / 2.0;
/// A deviation beyond this is no jitter: samples were lost, or the device was switched. The clock then starts anew.
const JUMP_MICROS: f64 = 60_000.0;
/// The largest deviation of a sound card's crystal from its nominal rate that is believed.
const MAX_SKEW: f64 = 0.002;

/// Maps a stream's sample positions to the media timeline: a delay-locked loop that follows the device's true rate.
#[derive(Debug)]
pub(super) struct SampleClock {
    nominal: f64,
    micros_per_frame: f64,
    /// A position and its smoothed time.
    anchor: Option<(u64, f64)>,
    observed: u32,
}

impl SampleClock {
    /// A clock for a stream of nominally `rate` frames per second.
    pub(super) fn new(rate: u32) -> Self {
        let nominal = 1e6 / f64::from(rate);
        Self { nominal, micros_per_frame: nominal, anchor: None, observed: 0 }
    }

    /// Takes note that the sample at `position` belongs to time `at`. Positions must not fall.
    pub(super) fn observe(&mut self, position: u64, at: MediaTime) {
        let at = at.as_micros() as f64;
        let Some((known, time)) = self.anchor else {
            self.anchor = Some((position, at));
            self.observed = 1;
            return;
        };
        let frames = position.saturating_sub(known) as f64;
        let expected = time + frames * self.micros_per_frame;
        let off = at - expected;
        if off.abs() > JUMP_MICROS {
            self.anchor = Some((position, at));
            self.observed = 1;
            self.micros_per_frame = self.nominal;
            return;
        }
        self.observed = self.observed.saturating_add(1);
        let gain = (1.0 / f64::from(self.observed)).max(PHASE_GAIN);
        self.anchor = Some((position, expected + gain * off));
        if gain == PHASE_GAIN && frames > 0.0 {
            let (least, most) = (self.nominal * (1.0 - MAX_SKEW), self.nominal * (1.0 + MAX_SKEW));
            self.micros_per_frame = (self.micros_per_frame + RATE_GAIN * off / frames).clamp(least, most);
        }
    }

    /// The time of a sample; `position` may be fractional and lie before or after those observed. `None` before the first
    /// observation.
    pub(super) fn time_of(&self, position: f64) -> Option<MediaTime> {
        let (known, time) = self.anchor?;
        let micros = time + (position - known as f64) * self.micros_per_frame;
        Some(MediaTime::from_micros(micros.max(0.0) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: f64 = 5_000_000.0;

    /// Feeds `callbacks` of 480 frames from a device running at `rate`, each `late(n)` µs late; returns the clock and the
    /// worst deviation of what it says about the second half.
    fn run(rate: f64, callbacks: u64, late: impl Fn(u64) -> f64) -> (SampleClock, f64) {
        let mut clock = SampleClock::new(48_000);
        let mut worst: f64 = 0.0;
        for n in 0..callbacks {
            let truth = START + (n * 480) as f64 * 1e6 / rate;
            clock.observe(n * 480, MediaTime::from_micros((truth + late(n)) as u64));
            if n > callbacks / 2 {
                let said = clock.time_of((n * 480) as f64).unwrap().as_micros() as f64;
                worst = worst.max((said - truth).abs());
            }
        }
        (clock, worst)
    }

    #[test]
    fn jitter_of_callbacks_is_smoothed_away() {
        let late = |n: u64| (n * 7919 % 13) as f64 * 300.0;
        let (_, worst) = run(48_000.0, 2000, late);
        // The mean lateness of 1.8 ms can't be told from latency; the 3.6 ms of jitter must be gone.
        assert!((1_500.0..2_100.0).contains(&worst), "{worst} µs");
    }

    #[test]
    fn the_true_rate_of_the_device_is_followed() {
        for rate in [48_000.0 * 1.0003, 48_000.0 * 0.9997] {
            let (clock, worst) = run(rate, 6000, |_| 0.0);
            assert!(worst < 20.0, "{worst} µs at {rate}");
            assert!((clock.micros_per_frame * rate / 1e6 - 1.0).abs() < 2e-6);
        }
    }

    #[test]
    fn a_gap_is_taken_over_at_once() {
        let (mut clock, _) = run(48_000.0, 300, |_| 0.0);
        clock.observe(300 * 480, MediaTime::from_micros(START as u64 + 3_000_000 + 500_000));
        let next = clock.time_of(300.0 * 480.0 + 480.0).unwrap().as_micros();
        assert!(next.abs_diff(START as u64 + 3_510_000) <= 1, "{next}");
    }

    #[test]
    fn a_clock_without_observations_knows_no_time() {
        assert_eq!(SampleClock::new(44_100).time_of(0.0), None);
    }

    proptest! {
        #[test]
        fn times_never_run_backwards_by_more_than_the_jitter(late in proptest::collection::vec(0u32..20_000, 2..300)) {
            let mut clock = SampleClock::new(48_000);
            let mut last = 0;
            for (n, late) in late.iter().enumerate() {
                let position = n as u64 * 480;
                clock.observe(position, MediaTime::from_micros(1_000_000 + n as u64 * 10_000 + u64::from(*late)));
                let time = clock.time_of(position as f64).unwrap().as_micros();
                prop_assert!(time + 10_000 >= last, "{time} after {last}");
                last = time;
            }
        }
    }
}
