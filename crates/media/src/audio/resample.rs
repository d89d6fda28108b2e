//! Conversion between the rate of a device or file and the 48 kHz of everything else.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, Resizable as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};
use std::time::Duration;

use super::AudioError;

/// The slowest rate that is converted: below it there is no speech left.
pub const MIN_RATE: u32 = 4_000;
/// The fastest rate that is converted: no sound card records faster.
pub const MAX_RATE: u32 = 384_000;

/// Taps of the low-pass filter where the rate rises. 64 keeps everything up to 18 kHz at 44.1 kHz, delays by
/// 0.7 ms and costs some 20 µs per 10 ms; 128 would double delay and cost to gain what speech does not have.
const TAPS: u32 = 64;
/// Filter phases that are computed beforehand; between them the result is interpolated.
const PHASES: usize = 256;
/// The most samples converted in one step; longer input is converted in several.
const MAX_CHUNK: usize = 1024;

/// Converts one channel of sound from one rate to another, in pieces of any length.
///
/// No input is held back except for the filter's own delay, [`Self::delay`]. Equal rates are copied without delay.
pub struct Resampler {
    converter: Option<Async<f32>>,
    scratch: Vec<f32>,
    to: u32,
}

impl Resampler {
    /// A converter from `from` to `to` samples per second.
    ///
    /// # Errors
    /// [`AudioError::Rate`] with the first rate that is outside [`MIN_RATE`]..=[`MAX_RATE`].
    pub fn new(from: u32, to: u32) -> Result<Self, AudioError> {
        for rate in [from, to] {
            if !(MIN_RATE..=MAX_RATE).contains(&rate) {
                return Err(AudioError::Rate(rate));
            }
        }
        if from == to {
            return Ok(Self { converter: None, scratch: Vec::new(), to });
        }
        // Where the rate falls, the filter must cut lower and be as much longer to stay as steep.
        let taps = TAPS * from.div_ceil(to).max(1);
        let parameters = SincInterpolationParameters::new(taps as usize, WindowFunction::BlackmanHarris2)
            .oversampling_factor(PHASES)
            .interpolation(SincInterpolationType::Quadratic);
        let ratio = f64::from(to) / f64::from(from);
        // A maximum relative ratio of 1: the ratio is never changed.
        let converter = Async::new_sinc(ratio, 1.0, &parameters, MAX_CHUNK, 1, FixedAsync::Input)
            .map_err(|_| AudioError::Rate(from))?;
        let scratch = vec![0.0; converter.output_frames_max()];
        Ok(Self { converter: Some(converter), scratch, to })
    }

    /// How much later sound comes out than it goes in.
    pub fn delay(&self) -> Duration {
        let frames = self.converter.as_ref().map_or(0, rubato::Resampler::output_delay);
        Duration::from_secs_f64(frames as f64 / f64::from(self.to))
    }

    /// Converts all of `input` and appends the result to `out`.
    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let Some(converter) = &mut self.converter else {
            out.extend_from_slice(input);
            return;
        };
        for chunk in input.chunks(MAX_CHUNK) {
            converter
                .set_chunk_size(chunk.len())
                .expect("chunks are neither empty nor longer than MAX_CHUNK");
            let room = self.scratch.len();
            let from = InterleavedSlice::new(chunk, 1, chunk.len()).expect("one channel of that length");
            let mut to = InterleavedSlice::new_mut(&mut self.scratch, 1, room)
                .expect("one channel as long as the scratch memory");
            let (_, made) = converter
                .process_into_buffer(&from, &mut to, None)
                .expect("the chunk is whole and the scratch memory is the converter's own maximum");
            out.extend_from_slice(&self.scratch[..made]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (0.5 * (TAU * hertz * n as f64 / f64::from(rate)).sin()) as f32).collect()
    }

    /// Amplitude and phase lag (in seconds) of `hertz` in `signal`, and the ratio of all the rest to it in dB.
    fn fit(signal: &[f32], rate: u32, hertz: f64) -> (f64, f64, f64) {
        let angle = |n: usize| TAU * hertz * n as f64 / f64::from(rate);
        let whole = (signal.len() as f64 * hertz / f64::from(rate)).floor() * f64::from(rate) / hertz;
        let signal = &signal[..whole as usize];
        let sum = |f: fn(f64) -> f64| {
            signal.iter().enumerate().map(|(n, s)| f64::from(*s) * f(angle(n))).sum::<f64>() * 2.0
                / signal.len() as f64
        };
        let (s, c) = (sum(f64::sin), sum(f64::cos));
        let rest: f64 = signal
            .iter()
            .enumerate()
            .map(|(n, v)| (f64::from(*v) - s * angle(n).sin() - c * angle(n).cos()).powi(2))
            .sum();
        let amplitude = s.hypot(c);
        let lag = (-c).atan2(s).rem_euclid(TAU) / (TAU * hertz);
        (amplitude, lag, 10.0 * (rest / signal.len() as f64 / (amplitude * amplitude / 2.0)).log10())
    }

    fn convert(from: u32, to: u32, input: &[f32], piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        input.chunks(piece).for_each(|piece| resampler.process(piece, &mut out));
        out
    }

    #[test]
    fn a_tone_survives_any_pair_of_rates() {
        for (from, to) in
            [(44_100, 48_000), (48_000, 44_100), (8_000, 48_000), (192_000, 48_000), (16_000, 48_000)]
        {
            let out = convert(from, to, &tone(from, 1000.0, from as usize), 441);
            let expected = to as usize;
            assert!(out.len().abs_diff(expected) <= 256, "{from} to {to}: {} samples", out.len());
            let (amplitude, _, noise) = fit(&out[out.len() / 4..out.len() / 4 * 3], to, 1000.0);
            assert!((amplitude - 0.5).abs() < 0.002, "{from} to {to}: amplitude {amplitude}");
            assert!(noise < -70.0, "{from} to {to}: noise at {noise} dB");
        }
    }

    #[test]
    fn sound_comes_out_as_late_as_the_delay_says() {
        for (from, to) in [(44_100, 48_000), (96_000, 48_000)] {
            let resampler = Resampler::new(from, to).unwrap();
            let out = convert(from, to, &tone(from, 200.0, from as usize), 480);
            let (_, lag, _) = fit(&out[to as usize / 4..], to, 200.0);
            let off = lag - resampler.delay().as_secs_f64();
            assert!(
                off.abs() < 2.0 / f64::from(to),
                "{from} to {to}: lag {lag}, said {:?}",
                resampler.delay()
            );
            assert!(lag < 0.001);
        }
    }

    #[test]
    fn the_length_of_the_pieces_makes_no_difference() {
        let input = tone(44_100, 440.0, 5000);
        let whole = convert(44_100, 48_000, &input, 5000);
        for piece in [1, 7, 441, 1024, 1025] {
            let pieces = convert(44_100, 48_000, &input, piece);
            let worst = whole.iter().zip(&pieces).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(
                worst < 1e-4 && whole.len().abs_diff(pieces.len()) <= 1,
                "pieces of {piece}: off by {worst}"
            );
        }
    }

    #[test]
    fn frequencies_that_the_slower_rate_cannot_hold_are_taken_out() {
        let out = convert(48_000, 16_000, &tone(48_000, 11_000.0, 48_000), 480);
        let loudest = out[1000..15_000].iter().fold(0.0, |m: f32, s| m.max(s.abs()));
        assert!(loudest < 0.5e-3, "an alias of amplitude {loudest}");
    }

    #[test]
    fn equal_rates_are_copied() {
        let input = tone(48_000, 440.0, 100);
        assert_eq!(convert(48_000, 48_000, &input, 33), input);
        assert_eq!(Resampler::new(48_000, 48_000).unwrap().delay(), Duration::ZERO);
    }

    #[test]
    fn impossible_rates_are_refused() {
        for (from, to) in [(0, 48_000), (48_000, 0), (1, 48_000), (u32::MAX, 48_000)] {
            assert!(matches!(Resampler::new(from, to), Err(AudioError::Rate(_))), "{from} to {to}");
        }
    }
}
