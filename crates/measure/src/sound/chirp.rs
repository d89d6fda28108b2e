//! A test signal of short chirps, no two of which are alike.

use std::f32::consts::TAU;
use std::time::Duration;

use ahoy_media_types::SAMPLE_RATE;

/// Length of one chirp.
pub const CHIRP_DURATION: Duration = Duration::from_millis(80);
/// Time from the start of one chirp to the start of the next.
pub const CHIRP_PERIOD: Duration = Duration::from_millis(500);

const CHIRP_SAMPLES: usize = samples(CHIRP_DURATION);
const PERIOD_SAMPLES: usize = samples(CHIRP_PERIOD);

/// The band in Hz whose waveform Opus keeps: of a chirp up to 6 kHz, Opus at 16 kbit/s leaves a correlation of 0.6, of one
/// up to 3.5 kHz it leaves 0.85.
const BAND: (f32, f32) = (500.0, 3500.0);
/// Pieces that the sweep through the band is cut into. Each chirp plays them in an order of its own. With this many, two
/// different chirps correlate by less than 0.35, also behind the codec; with half as many they reach 0.45.
const PIECES: usize = 16;
const PIECE_SAMPLES: usize = CHIRP_SAMPLES / PIECES;
/// Samples over which a chirp fades in and out, so that it does not click.
const FADE_SAMPLES: usize = samples(Duration::from_millis(4));
/// Half of full scale: loud, with room for a codec's overshoot.
const AMPLITUDE: f32 = 0.5;

const fn samples(duration: Duration) -> usize {
    (duration.as_millis() * SAMPLE_RATE as u128 / 1000) as usize
}

/// An endless signal with a chirp every [`CHIRP_PERIOD`], the first at its start, and silence between them.
///
/// A chirp is a linear sweep through the band of 500 to 3500 Hz that is cut into 16 pieces, played in an order and with
/// directions that depend on the chirp's number. All chirps have the same sharp autocorrelation, but none is taken for
/// another: a delay of more than a period is seen as what it is.
#[derive(Clone, Debug)]
pub struct Chirps {
    number: u32,
    /// Samples since the start of the present chirp.
    position: usize,
    shape: [f32; CHIRP_SAMPLES],
}

impl Default for Chirps {
    fn default() -> Self {
        Self::new()
    }
}

impl Chirps {
    /// The signal from its start.
    pub fn new() -> Self {
        Self { number: 0, position: 0, shape: shape(0) }
    }

    /// Writes the next `out.len()` samples of the signal (48 kHz, -0.5 to 0.5). Does not allocate.
    pub fn fill(&mut self, out: &mut [f32]) {
        for sample in out {
            if self.position == PERIOD_SAMPLES {
                self.position = 0;
                self.number = self.number.wrapping_add(1);
                self.shape = shape(self.number);
            }
            *sample = self.shape.get(self.position).copied().unwrap_or(0.0);
            self.position += 1;
        }
    }
}

/// The samples of chirp `number`.
fn shape(number: u32) -> [f32; CHIRP_SAMPLES] {
    let mut random = Scramble(u64::from(number) << 32);
    let mut order: [usize; PIECES] = std::array::from_fn(|piece| piece);
    for last in (1..PIECES).rev() {
        order.swap(last, (random.next() % (last as u64 + 1)) as usize);
    }
    let piece_band = (BAND.1 - BAND.0) / PIECES as f32;
    let mut out = [0.0; CHIRP_SAMPLES];
    let mut cycles = 0.0f32;
    for (piece, samples) in order.into_iter().zip(out.chunks_exact_mut(PIECE_SAMPLES)) {
        let (low, falling) = (BAND.0 + piece as f32 * piece_band, random.next() % 2 == 1);
        for (index, sample) in samples.iter_mut().enumerate() {
            let way = index as f32 / PIECE_SAMPLES as f32;
            let frequency = low + piece_band * if falling { 1.0 - way } else { way };
            // The phase runs on from piece to piece: a step in it would click.
            cycles = (cycles + frequency / SAMPLE_RATE as f32).fract();
            *sample = AMPLITUDE * (TAU * cycles).sin();
        }
    }
    for index in 0..FADE_SAMPLES {
        let fade = 0.5 - 0.5 * (TAU / 2.0 * index as f32 / FADE_SAMPLES as f32).cos();
        out[index] *= fade;
        out[CHIRP_SAMPLES - 1 - index] *= fade;
    }
    out
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): both ends must agree on the chirps for all time, which a random
/// number library does not promise.
struct Scramble(u64);

impl Scramble {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::super::correlation::Correlator;
    use super::*;

    #[test]
    fn the_signal_is_a_chirp_every_period_and_silence_between() {
        let mut signal = vec![0.0; 3 * PERIOD_SAMPLES];
        // In pieces that do not divide the period, as callers may.
        let mut chirps = Chirps::new();
        signal.chunks_mut(701).for_each(|piece| chirps.fill(piece));
        for (number, period) in signal.chunks_exact(PERIOD_SAMPLES).enumerate() {
            assert_eq!(period[..CHIRP_SAMPLES], shape(number as u32));
            assert!(period[CHIRP_SAMPLES..].iter().all(|&sample| sample == 0.0));
        }
    }

    #[test]
    fn a_chirp_is_loud_but_not_clipped_and_does_not_click() {
        for number in 0..20 {
            let shape = shape(number);
            let peak = shape.iter().fold(0.0f32, |peak, sample| peak.max(sample.abs()));
            assert!((0.45..=0.5).contains(&peak), "chirp {number}: {peak}");
            // The steepest that a tone at the top of the band gets from one sample to the next.
            let limit = AMPLITUDE * TAU * BAND.1 / SAMPLE_RATE as f32;
            assert!(shape.windows(2).all(|pair| (pair[1] - pair[0]).abs() <= limit), "chirp {number}");
            assert!(shape[0].abs() < 0.01 && shape[CHIRP_SAMPLES - 1].abs() < 0.01);
        }
    }

    #[test]
    fn no_chirp_is_taken_for_another() {
        let mut correlator = Correlator::new();
        let silence = [0.0; CHIRP_SAMPLES];
        // Ten seconds of chirps, each against the twenty (ten seconds) that follow it.
        for first in 0..20 {
            let template = shape(first);
            for second in first..=first + 20 {
                let signal = [&silence[..], &shape(second), &silence].concat();
                let lags = 0..=(signal.len() - template.len()) as isize;
                let found = correlator.best_match(&template, &signal, lags, template.len()).unwrap();
                if first == second {
                    assert!(found.correlation > 0.999 && found.runner_up < 0.4, "chirp {first}: {found:?}");
                } else {
                    assert!(found.correlation.abs() < 0.35, "chirps {first} and {second}: {found:?}");
                }
            }
        }
    }
}
