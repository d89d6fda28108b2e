//! Sounds that the program itself makes: pure functions of the time.

use std::f32::consts::TAU;

use ahoy_media_types::SAMPLE_RATE;

/// A sound, asked sample by sample from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sound {
    /// Finds out whether anything can be heard: two tones, like a doorbell.
    Test,
    /// Somebody calls. Goes on for ever.
    Ring,
    /// Somebody calls while one talks with somebody else. Goes on for ever.
    Knock,
    /// It rings there. Goes on for ever.
    Ringback,
}

/// One stroke, of something that rings out.
struct Stroke {
    /// When it begins, in seconds from the beginning of the sound.
    at: f32,
    /// Its pitch.
    hertz: f32,
    /// Loudness of its beginning, of 1.0.
    loudness: f32,
}

const fn stroke(at: f32, hertz: f32, loudness: f32) -> Stroke {
    Stroke { at, hertz, loudness }
}

/// E and A, a fourth up and back: over speakers of any size both can be heard.
const TEST: [Stroke; 2] = [stroke(0.0, 659.3, 0.2), stroke(0.7, 493.9, 0.2)];
/// A pentatonic figure that rises, and its answer.
const RING: [Stroke; 7] = [
    stroke(0.0, 659.3, 0.22),
    stroke(0.16, 830.6, 0.22),
    stroke(0.32, 987.8, 0.22),
    stroke(0.48, 1318.5, 0.24),
    stroke(0.80, 987.8, 0.2),
    stroke(0.96, 1108.7, 0.2),
    stroke(1.12, 830.6, 0.18),
];
const RING_EVERY_S: f32 = 3.0;
/// Quiet, for it is in the ears of somebody who talks.
const KNOCK: [Stroke; 2] = [stroke(0.0, 830.6, 0.07), stroke(0.22, 830.6, 0.05)];
const KNOCK_EVERY_S: f32 = 4.0;
/// How fast a stroke fades, in seconds to a third.
const FADE_S: f32 = 0.25;
/// Begins without a click.
const ATTACK_S: f32 = 0.004;
/// Two tones together, for one second in four, as telephones do it in most places.
const RINGBACK_HERTZ: [f32; 2] = [440.0, 480.0];
const RINGBACK_S: f32 = 1.0;
const RINGBACK_EVERY_S: f32 = 4.0;
const RINGBACK_LOUDNESS: f32 = 0.05;
/// The ends of a steady tone, so that they don't click.
const EDGE_S: f32 = 0.03;

impl Sound {
    /// For how long it lasts, in seconds; `None` for one that goes on.
    pub(super) const fn lasts_s(self) -> Option<f32> {
        match self {
            Self::Test => Some(1.4),
            Self::Ring | Self::Knock | Self::Ringback => None,
        }
    }

    /// One sample, by its number from the beginning.
    pub(super) fn sample(self, number: u64) -> f32 {
        let within = |every_s: f32| {
            let every = (every_s * SAMPLE_RATE as f32) as u64;
            (number % every) as f32 / SAMPLE_RATE as f32
        };
        match self {
            Self::Test => match number as f32 / SAMPLE_RATE as f32 {
                seconds if seconds < 1.4 => strokes(&TEST, seconds),
                _ => 0.0,
            },
            Self::Ring => strokes(&RING, within(RING_EVERY_S)),
            Self::Knock => strokes(&KNOCK, within(KNOCK_EVERY_S)),
            Self::Ringback => {
                let seconds = within(RINGBACK_EVERY_S);
                let edge = (seconds / EDGE_S).min((RINGBACK_S - seconds) / EDGE_S).clamp(0.0, 1.0);
                let tones: f32 = RINGBACK_HERTZ.iter().map(|hertz| (TAU * hertz * seconds).sin()).sum();
                RINGBACK_LOUDNESS * edge * tones
            }
        }
    }
}

fn strokes(all: &[Stroke], seconds: f32) -> f32 {
    let sounding = all.iter().filter(|stroke| seconds >= stroke.at);
    sounding
        .map(|Stroke { at, hertz, loudness }| {
            let since = seconds - at;
            let attack = (since / ATTACK_S).min(1.0);
            // The second partial of a bar, which fades faster, makes it sound struck.
            let tone = (TAU * hertz * since).sin()
                + 0.25 * (-since / (FADE_S / 4.0)).exp() * (TAU * 4.0 * hertz * since).sin();
            loudness * attack * (-since / FADE_S).exp() * tone
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(sound: Sound, range: std::ops::Range<u64>) -> Vec<f32> {
        let rate = u64::from(SAMPLE_RATE);
        (range.start * rate..range.end * rate).map(|number| sound.sample(number)).collect()
    }

    fn peak(samples: &[f32]) -> f32 {
        samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn no_sound_is_ever_too_loud_or_begins_with_a_click() {
        for sound in [Sound::Test, Sound::Ring, Sound::Knock, Sound::Ringback] {
            let samples = seconds(sound, 0..5);
            assert!((0.05..0.7).contains(&peak(&samples)), "{sound:?}: {}", peak(&samples));
            let step = samples.windows(2).fold(0.0_f32, |most, pair| most.max((pair[1] - pair[0]).abs()));
            assert!(step < 0.2, "{sound:?}: {step}");
        }
    }

    #[test]
    fn the_test_has_an_end() {
        assert!(seconds(Sound::Test, 2..4).iter().all(|sample| *sample == 0.0));
    }

    #[test]
    fn ringing_comes_back_and_leaves_room_between() {
        for (sound, every) in [(Sound::Ring, 3), (Sound::Knock, 4), (Sound::Ringback, 4)] {
            assert_eq!(seconds(sound, 0..1), seconds(sound, every..every + 1), "{sound:?}");
            let (first, last) = (rms(&seconds(sound, 0..1)), rms(&seconds(sound, every - 1..every)));
            assert!(first > 10.0 * last, "{sound:?}: {first} {last}");
        }
    }

    #[test]
    fn a_knock_is_much_quieter_than_ringing() {
        assert!(rms(&seconds(Sound::Knock, 0..1)) * 2.5 < rms(&seconds(Sound::Ring, 0..1)));
    }
}
