//! Where in one signal another is found, by cross-correlation in the frequency domain.

use std::ops::RangeInclusive;
use std::time::Duration;

use ahoy_media_types::SAMPLE_RATE;
use realfft::RealFftPlanner;
use serde::Serialize;

/// A second peak nearer than this belongs to the first: 2.5 ms, above the width of any peak of voice or chirps.
const PEAK_SAMPLES: usize = SAMPLE_RATE as usize / 400;
/// Root mean square below which a signal is taken for silence (-80 dBFS): noise down there resembles anything.
const SILENCE_RMS: f64 = 1e-4;
/// Share of the best match from which on a second one casts doubt on it.
const AMBIGUOUS_SHARE: f64 = 0.9;

/// How well one signal matches another at the lag where it does so best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Match {
    /// How much later the second signal is, in samples at 48 kHz with the fraction; negative where it is earlier.
    pub lag: f64,
    /// Normalised correlation at that lag, -1.0 to 1.0. Negative: the second signal has the opposite polarity.
    pub correlation: f64,
    /// Amplitude of the first signal within the second, relative to its own; always positive.
    pub gain: f64,
    /// Magnitude of the correlation at the best other lag.
    pub runner_up: f64,
}

impl Match {
    /// How much later the second signal is in milliseconds.
    pub fn lag_ms(&self) -> f64 {
        self.lag * 1000.0 / f64::from(SAMPLE_RATE)
    }

    /// Whether another lag fits nearly as well, as in a tone, which fits itself at every period.
    pub fn is_ambiguous(&self) -> bool {
        self.runner_up > AMBIGUOUS_SHARE * self.correlation.abs()
    }
}

/// The lag, at most `max_lag` either way, at which `heard` resembles `original` best, of recordings at 48 kHz.
///
/// At each lag the parts that overlap are compared, at least half of the shorter signal. `None` where a signal is empty
/// or silent.
pub fn correlation(original: &[f32], heard: &[f32], max_lag: Duration) -> Option<Match> {
    let shorter = original.len().min(heard.len());
    let longest = original.len().max(heard.len()) as isize;
    let max_lag =
        isize::try_from(max_lag.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000).unwrap_or(isize::MAX);
    let max_lag = max_lag.min(longest);
    Correlator::new().best_match(original, heard, -max_lag..=max_lag, (shorter / 2).max(1))
}

/// Correlates signals, keeping what the transforms need from one to the next.
pub(super) struct Correlator {
    planner: RealFftPlanner<f32>,
}

impl Correlator {
    pub(super) fn new() -> Self {
        Self { planner: RealFftPlanner::new() }
    }

    /// The lag within `lags`, in samples, at which `b` resembles `a` best where at least `min_overlap` samples of both
    /// (or all there are) overlap. `None` where there is no such lag or only silence at it.
    pub(super) fn best_match(
        &mut self,
        a: &[f32],
        b: &[f32],
        lags: RangeInclusive<isize>,
        min_overlap: usize,
    ) -> Option<Match> {
        let (length_a, length_b) = (a.len() as isize, b.len() as isize);
        // Further lags have no overlap at all.
        let lags = (*lags.start()).max(1 - length_a)..=(*lags.end()).min(length_b - 1);
        if lags.is_empty() {
            return None;
        }
        let products = self.products(a, b, &lags);
        let (energy_a, energy_b) = (RunningEnergy::of(a), RunningEnergy::of(b));
        let normalised: Vec<f64> = lags
            .clone()
            .zip(&products)
            .map(|(lag, &product)| {
                let overlap_a = (-lag).max(0)..(length_b - lag).min(length_a);
                let overlap = (overlap_a.end - overlap_a.start).max(0) as usize;
                if overlap < min_overlap {
                    return 0.0;
                }
                let floor = overlap as f64 * SILENCE_RMS * SILENCE_RMS;
                let a = energy_a.between(overlap_a.start, overlap_a.end);
                let b = energy_b.between(overlap_a.start + lag, overlap_a.end + lag);
                if a < floor || b < floor { 0.0 } else { f64::from(product) / (a * b).sqrt() }
            })
            .collect();
        let best = largest(&normalised, 0..normalised.len())?;
        let before = largest(&normalised, 0..best.saturating_sub(PEAK_SAMPLES));
        let after = largest(&normalised, (best + PEAK_SAMPLES + 1).min(normalised.len())..normalised.len());
        let runner_up =
            [before, after].into_iter().flatten().map(|at| normalised[at].abs()).fold(0.0, f64::max);

        let (offset, correlation) = refine(&normalised, best);
        let lag = lags.start() + best as isize;
        let reference = energy_a.between((-lag).max(0), (length_b - lag).min(length_a));
        let gain = f64::from(products[best]).abs() / reference;
        (correlation != 0.0).then_some(Match { lag: lag as f64 + offset, correlation, gain, runner_up })
    }

    /// The sum of `a[n] * b[n + lag]` over all n, for each of the lags.
    fn products(&mut self, a: &[f32], b: &[f32], lags: &RangeInclusive<isize>) -> Vec<f32> {
        // Transforms are circular. What wraps around must fall on padding for the lags that are asked for; it may spoil
        // the others.
        let behind = b.len() + lags.start().min(&0).unsigned_abs();
        let ahead = a.len() + (*lags.end()).max(0) as usize;
        let length = behind.max(ahead).next_power_of_two();
        let (forward, inverse) =
            (self.planner.plan_fft_forward(length), self.planner.plan_fft_inverse(length));
        let transform = |signal: &[f32]| {
            let (mut time, mut frequency) = (forward.make_input_vec(), forward.make_output_vec());
            time[..signal.len()].copy_from_slice(signal);
            forward.process(&mut time, &mut frequency).expect("both buffers were made for this transform");
            frequency
        };
        let (spectrum_a, mut spectrum) = (transform(a), transform(b));
        for (b, a) in spectrum.iter_mut().zip(&spectrum_a) {
            *b *= a.conj();
        }
        let mut circular = inverse.make_output_vec();
        // The inverse refuses imaginary parts at both ends that rounding may have left there.
        if let [first, .., last] = &mut spectrum[..] {
            (first.im, last.im) = (0.0, 0.0);
        }
        inverse.process(&mut spectrum, &mut circular).expect("both buffers were made for this transform");
        let scale = 1.0 / length as f32;
        lags.clone().map(|lag| circular[lag.rem_euclid(length as isize) as usize] * scale).collect()
    }
}

/// The index of the value of largest magnitude in a range, if that has any.
fn largest(values: &[f64], range: std::ops::Range<usize>) -> Option<usize> {
    range.max_by(|&a, &b| values[a].abs().total_cmp(&values[b].abs()))
}

/// The top of the parabola through the peak and its neighbours: its offset from the peak in samples, and its value.
fn refine(values: &[f64], peak: usize) -> (f64, f64) {
    let top = values[peak];
    let (Some(&left), Some(&right)) =
        (peak.checked_sub(1).and_then(|at| values.get(at)), values.get(peak + 1))
    else {
        return (0.0, top);
    };
    let bend = left - 2.0 * top + right;
    if bend == 0.0 {
        return (0.0, top);
    }
    let offset = (0.5 * (left - right) / bend).clamp(-0.5, 0.5);
    (offset, (top - 0.25 * (left - right) * offset).clamp(-1.0, 1.0))
}

/// Energies of any part of a signal from one pass over it.
struct RunningEnergy(Vec<f64>);

impl RunningEnergy {
    fn of(signal: &[f32]) -> Self {
        let mut sum = 0.0;
        let sums = signal.iter().map(|&sample| {
            sum += f64::from(sample) * f64::from(sample);
            sum
        });
        Self(std::iter::once(0.0).chain(sums).collect())
    }

    fn between(&self, start: isize, end: isize) -> f64 {
        self.0[end as usize] - self.0[start as usize]
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    fn noise(samples: usize, seed: u64) -> Vec<f32> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        (0..samples).map(|_| random.random_range(-0.5..0.5)).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_delayed_quieter_inverted_copy_is_recognised() {
        let original = noise(20_000, 1);
        let heard: Vec<f32> =
            std::iter::repeat_n(0.0, 1234).chain(original.iter().map(|sample| -0.25 * sample)).collect();
        let found = correlation(&original, &heard, SECOND).unwrap();
        assert!((found.lag - 1234.0).abs() < 0.01 && (found.lag_ms() - 25.708).abs() < 0.001, "{found:?}");
        assert!(found.correlation < -0.999 && (found.gain - 0.25).abs() < 1e-3, "{found:?}");
        assert!(!found.is_ambiguous(), "{found:?}");
    }

    #[test]
    fn a_signal_that_comes_early_has_a_negative_lag() {
        let original = noise(20_000, 2);
        let found = correlation(&original, &original[777..], SECOND).unwrap();
        assert!((found.lag + 777.0).abs() < 0.01 && found.correlation > 0.999, "{found:?}");
    }

    #[test]
    fn the_fast_correlation_is_the_sum_of_products() {
        let (a, b) = (noise(50, 3), noise(70, 4));
        let lags = -30..=60;
        let fast = Correlator::new().products(&a, &b, &lags);
        for (lag, fast) in lags.zip(fast) {
            let slow: f32 = (0..50)
                .filter_map(|n: isize| Some(a[n as usize] * b.get(usize::try_from(n + lag).ok()?)?))
                .sum();
            assert!((fast - slow).abs() < 1e-4, "lag {lag}: {fast} instead of {slow}");
        }
    }

    #[test]
    fn unrelated_signals_do_not_correlate() {
        let found = correlation(&noise(48_000, 5), &noise(48_000, 6), SECOND / 4).unwrap();
        assert!(found.correlation.abs() < 0.05, "{found:?}");
    }

    #[test]
    fn equal_parts_of_noise_lower_the_correlation_to_the_share_of_the_signal() {
        let original = noise(48_000, 7);
        let heard: Vec<f32> =
            original.iter().zip(noise(48_000, 8)).map(|(signal, noise)| signal + noise).collect();
        let found = correlation(&original, &heard, SECOND / 10).unwrap();
        assert!((found.correlation - 0.5f64.sqrt()).abs() < 0.02 && found.lag.abs() < 0.1, "{found:?}");
    }

    #[test]
    fn a_tone_is_ambiguous() {
        let tone: Vec<f32> = (0..48_000).map(|n| (n as f32 * 0.0576).sin()).collect();
        assert!(correlation(&tone, &tone, SECOND / 10).unwrap().is_ambiguous());
    }

    #[test]
    fn lags_with_little_overlap_are_not_compared() {
        // The last sample of one equals the first of the other: a perfect match of one sample.
        let (mut a, mut b) = (noise(1000, 9), noise(1000, 10));
        (a[999], b[0]) = (0.5, 0.5);
        assert!(correlation(&a, &b, SECOND).unwrap().correlation.abs() < 0.3);
    }

    #[test]
    fn silence_and_nothing_match_nothing() {
        assert_eq!(correlation(&[], &[0.5; 10], SECOND), None);
        assert_eq!(correlation(&[0.5; 10], &[], SECOND), None);
        assert_eq!(correlation(&noise(1000, 11), &[0.0; 1000], SECOND), None);
    }
}
