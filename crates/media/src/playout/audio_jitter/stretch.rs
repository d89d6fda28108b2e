//! Making sound shorter or longer without changing its pitch (WSOLA: one period is faded into the next).

use ahoy_media_types::SAMPLE_RATE;

/// Shortest period looked for: 400 Hz.
const SHORTEST: usize = SAMPLE_RATE as usize / 400;
/// Longest period looked for: 66 Hz.
const LONGEST: usize = SAMPLE_RATE as usize / 66;
/// Sound is compared with itself at a quarter of the sample rate, and then in full around what was found.
const DECIMATION: usize = 4;
/// Samples compared.
const WINDOW: usize = SAMPLE_RATE as usize / 100;
/// Mean square below which nobody hears a splice: -66 dB.
const INAUDIBLE: f32 = 2.5e-7;

/// Cuts one period of at most `most` samples out at the beginning of `sound`, if it is followed by one that resembles it by
/// at least `likeness` (1.0 is equal). Gives the number of samples removed, 0 where none fits.
pub(super) fn shorten(sound: &mut Vec<f32>, most: usize, likeness: f32) -> usize {
    let Some(period) = period(sound, most, likeness) else { return 0 };
    for i in 0..period {
        sound[i + period] = fade(sound[i], sound[i + period], i, period);
    }
    sound.drain(..period);
    period
}

/// Plays one period of at most `most` samples at the beginning of `sound` twice. As [`shorten`] otherwise.
pub(super) fn lengthen(sound: &mut Vec<f32>, most: usize, likeness: f32) -> usize {
    let Some(period) = period(sound, most, likeness) else { return 0 };
    let again: Vec<f32> = (0..period).map(|i| fade(sound[i + period], sound[i], i, period)).collect();
    sound.splice(period..period, again);
    period
}

/// From `from` to `to` while `step` goes from 0 to `steps`.
fn fade(from: f32, to: f32, step: usize, steps: usize) -> f32 {
    let weight = step as f32 / steps as f32;
    from * (1.0 - weight) + to * weight
}

/// The distance at which `sound` resembles its beginning most.
fn period(sound: &[f32], most: usize, likeness: f32) -> Option<usize> {
    let longest = LONGEST.min(most).min(sound.len() / 2);
    if longest < SHORTEST {
        return None;
    }
    let window = WINDOW.min(sound.len() - longest);
    if is_silent(&sound[..longest + window]) {
        return Some(longest);
    }
    let coarse: Vec<f32> = sound[..longest + window]
        .chunks_exact(DECIMATION)
        .map(|samples| samples.iter().sum::<f32>() / DECIMATION as f32)
        .collect();
    let lags = SHORTEST / DECIMATION..=longest / DECIMATION;
    let (rough, _) = best(&coarse, lags, window / DECIMATION)?;
    let around = rough * DECIMATION;
    let lags = SHORTEST.max(around.saturating_sub(DECIMATION))..=longest.min(around + DECIMATION);
    best(sound, lags, window).filter(|(_, found)| *found >= likeness).map(|(period, _)| period)
}

/// The lag with the highest normalised correlation of `window` samples, as far as they go.
fn best(sound: &[f32], lags: std::ops::RangeInclusive<usize>, window: usize) -> Option<(usize, f32)> {
    lags.filter_map(|lag| {
        let length = window.min(sound.len().checked_sub(lag)?);
        let (a, b) = (&sound[..length], &sound[lag..lag + length]);
        let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        let energy = (a.iter().map(|s| s * s).sum::<f32>() * b.iter().map(|s| s * s).sum::<f32>()).sqrt();
        Some((lag, if energy > 0.0 { product / energy } else { 0.0 }))
    })
    .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Whether nobody would hear anything.
pub(super) fn is_silent(samples: &[f32]) -> bool {
    mean_square(samples) < INAUDIBLE
}

fn mean_square(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    fn tone(hertz: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|i| 0.3 * (i as f32 * hertz * TAU / SAMPLE_RATE as f32).sin()).collect()
    }

    fn steepest(sound: &[f32]) -> f32 {
        sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
    }

    fn crossings(sound: &[f32]) -> usize {
        sound.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count()
    }

    #[test]
    fn a_tone_is_cut_by_whole_periods_without_a_click() {
        for hertz in [90.0, 150.0, 233.0, 390.0] {
            let original = tone(hertz, 1920);
            let mut sound = original.clone();
            let removed = shorten(&mut sound, 720, 0.9);
            assert!(removed > 0 && sound.len() == original.len() - removed, "{hertz} Hz");
            let periods = removed as f32 * hertz / SAMPLE_RATE as f32;
            assert!((periods - periods.round()).abs() < 0.03, "{hertz} Hz: {periods} periods");
            assert!(steepest(&sound) < steepest(&original) * 1.05, "{hertz} Hz");
        }
    }

    #[test]
    fn a_tone_is_lengthened_by_whole_periods_and_keeps_its_pitch() {
        for hertz in [90.0, 150.0, 233.0, 390.0] {
            let original = tone(hertz, 1920);
            let mut sound = original.clone();
            let added = lengthen(&mut sound, 720, 0.9);
            assert!(added > 0 && sound.len() == original.len() + added, "{hertz} Hz");
            assert!(steepest(&sound) < steepest(&original) * 1.05, "{hertz} Hz");
            let rate = |s: &[f32]| crossings(s) as f32 / s.len() as f32 * SAMPLE_RATE as f32;
            assert!((rate(&sound) - rate(&original)).abs() < 40.0, "{hertz} Hz");
        }
    }

    #[test]
    fn what_does_not_repeat_is_left_alone_unless_it_must_be() {
        let mut state = 1u32;
        let noise: Vec<f32> = (0..1920)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect();
        assert_eq!(shorten(&mut noise.clone(), 720, 0.9), 0);
        assert_eq!(lengthen(&mut noise.clone(), 720, 0.9), 0);
        assert!(shorten(&mut noise.clone(), 720, -1.0) > 0);
    }

    #[test]
    fn silence_can_be_cut_at_will_within_the_limit() {
        let mut silence = vec![0.0; 1920];
        assert_eq!(shorten(&mut silence, 333, 0.9), 333);
        assert_eq!(lengthen(&mut silence, 500, 0.9), 500);
    }

    #[test]
    fn too_little_sound_or_too_small_a_limit_changes_nothing() {
        let mut sound = tone(150.0, 200);
        assert_eq!(shorten(&mut sound, 720, -1.0), 0);
        let mut sound = tone(150.0, 1920);
        assert_eq!(lengthen(&mut sound, SHORTEST - 1, -1.0), 0);
        assert_eq!(shorten(&mut Vec::new(), 720, -1.0), 0);
    }
}
