//! The delay of sound from where it enters a call to where it leaves it, measured while the call runs.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use ahoy_media_types::{AudioBlock, BLOCK_DURATION, BLOCK_SAMPLES, MediaTime, SAMPLE_RATE};
use serde::Serialize;

use super::correlation::Correlator;

/// The longest delay that is recognised. Sound that comes later counts as missed.
pub const MAX_DELAY: Duration = Duration::from_secs(2);
/// How much before its capture a sound is looked for: times of blocks are only known to some milliseconds, so a very
/// short delay may seem negative.
const MAX_LEAD: Duration = Duration::from_millis(20);
/// How far from the last delay the next one is looked for before the whole range is searched: far less work, and delays
/// change slowly.
const NEAR: Duration = Duration::from_millis(100);

/// Blocks quieter than this (-50 dBFS) are the silence between sounds.
const QUIET_RMS: f32 = 0.003;
/// A sound ends when this many blocks are quiet.
const QUIET_BLOCKS: usize = 5;
/// Sounds shorter than this are clicks, which resemble each other.
const MIN_BLOCKS: usize = 3;
/// Longer sounds are cut: more would not make the match surer.
const MAX_BLOCKS: usize = 50;

/// Normalised correlation from which on a match is trusted: between the least that Opus at 12 kbit/s leaves of a chirp
/// (0.74) and the most that different chirps reach (0.35).
const MIN_CONFIDENCE: f64 = 0.5;

/// Captured sounds that wait to be heard. They wait for [`MAX_DELAY`] and are at least [`MIN_BLOCKS`] and
/// [`QUIET_BLOCKS`] apart, so more wait only where nothing is played any more; then the oldest is dropped and counts as
/// missed.
const MAX_WAITING: usize = 32;
/// Played sound that is kept: what the search for the longest sound with the longest delay looks at, and a second more
/// for captured blocks that are handed in late. Older sound is dropped.
const KEPT: Duration = Duration::from_millis(
    (MAX_LEAD.as_millis() + MAX_DELAY.as_millis()) as u64 + 10 * MAX_BLOCKS as u64 + 1000,
);
/// The times of consecutive blocks may differ by this much from their samples' count before they count as interrupted.
const MAX_JUMP_MS: f64 = BLOCK_DURATION.as_millis() as f64;

/// One sound that was captured and heard again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DelaySample {
    /// When the sound was captured.
    pub captured_at: MediaTime,
    /// Time from capture to playout in milliseconds, to about 0.01 ms for a chirp.
    pub delay_ms: f64,
    /// Normalised correlation of the captured and the played sound, 0.5 to 1.0.
    pub confidence: f64,
    /// Amplitude of the played sound relative to the captured one.
    pub gain: f64,
    /// Whether the played sound has the opposite polarity.
    pub inverted: bool,
}

/// Finds captured sounds again in what is played and tells how long they took.
///
/// Made for [`Chirps`](super::Chirps), it works with any sound that does not repeat itself, such as speech; sound that
/// does (a tone) gives no delays rather than wrong ones. Memory is bounded however long the call runs.
///
/// A match costs transforms of some milliseconds, so run it on a thread of its own and not on that of the sound card.
pub struct DelayEstimator {
    collected: Collector,
    /// Sounds that may not have been heard yet, oldest first.
    waiting: VecDeque<Sound>,
    played: Played,
    correlator: Correlator,
    last_delay: Option<Duration>,
    missed: u64,
}

impl Default for DelayEstimator {
    fn default() -> Self {
        Self::new()
    }
}

impl DelayEstimator {
    /// An estimator that has heard nothing.
    pub fn new() -> Self {
        Self {
            collected: Collector::default(),
            waiting: VecDeque::new(),
            played: Played::default(),
            correlator: Correlator::new(),
            last_delay: None,
            missed: 0,
        }
    }

    /// Takes the next block that entered the call.
    pub fn on_captured(&mut self, block: &AudioBlock) {
        if let Some(sound) = self.collected.add(block) {
            self.wait_for(sound);
        }
    }

    /// Takes the next block that left the call, with the time at which its first sample is heard. Blocks may be handed
    /// in before or after the captured ones of the same time, within a second. Returns a delay once everything has
    /// been played in which the oldest captured sound could be.
    pub fn on_played(&mut self, samples: &[f32; BLOCK_SAMPLES], heard_at: MediaTime) -> Option<DelaySample> {
        self.played.add(samples, heard_at);
        let ready =
            |sound: &Sound, end: f64| sound.at.as_millis_f64() + millis(MAX_DELAY) + sound.millis() <= end;
        let sound = match self.waiting.front() {
            Some(sound) if ready(sound, self.played.end_ms()) => self.waiting.pop_front()?,
            Some(_) | None => return None,
        };
        let delay = self.find(&sound);
        self.missed += u64::from(delay.is_none());
        delay
    }

    /// Sounds that were captured but not recognised in what was played within [`MAX_DELAY`]: lost, damaged too much, or
    /// too late. Those captured before the call was connected count too.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The call ended: the delays of those last sounds that were already heard. Sounds that may still have been on their
    /// way are not missed.
    pub fn finish(&mut self) -> Vec<DelaySample> {
        if let Some(sound) = mem::take(&mut self.collected).close() {
            self.wait_for(sound);
        }
        let sounds = mem::take(&mut self.waiting);
        sounds.iter().filter_map(|sound| self.find(sound)).collect()
    }

    fn wait_for(&mut self, sound: Sound) {
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
            self.missed += 1;
        }
        self.waiting.push_back(sound);
    }

    fn find(&mut self, sound: &Sound) -> Option<DelaySample> {
        let near = self.last_delay.map(|last| {
            let last = last.as_secs_f64() * 1000.0;
            (last - millis(NEAR), last + millis(NEAR))
        });
        let anywhere = Some((-millis(MAX_LEAD), millis(MAX_DELAY)));
        let found =
            [near, anywhere].into_iter().flatten().find_map(|range| self.find_within(sound, range))?;
        self.last_delay = Some(Duration::from_secs_f64(found.delay_ms.max(0.0) / 1000.0));
        Some(found)
    }

    /// Looks for the sound with a delay within the range in milliseconds.
    fn find_within(&mut self, sound: &Sound, (least, most): (f64, f64)) -> Option<DelaySample> {
        let at = sound.at.as_millis_f64();
        let start = self.played.index_at(at + least);
        let end = self.played.index_at(at + most + sound.millis());
        let signal = self.played.copy(start, end);
        let last_lag = signal.len().checked_sub(sound.samples.len())? as isize;
        let found = self.correlator.best_match(&sound.samples, &signal, 0..=last_lag, sound.samples.len())?;
        let confidence = found.correlation.abs();
        if confidence < MIN_CONFIDENCE || found.is_ambiguous() {
            return None;
        }
        Some(DelaySample {
            captured_at: sound.at,
            delay_ms: self.played.time_ms(start as f64 + found.lag) - at,
            confidence,
            gain: found.gain,
            inverted: found.correlation < 0.0,
        })
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

const SAMPLES_PER_MS: f64 = SAMPLE_RATE as f64 / 1000.0;

/// A stretch of captured sound without silence at either end.
struct Sound {
    at: MediaTime,
    samples: Vec<f32>,
}

impl Sound {
    fn millis(&self) -> f64 {
        self.samples.len() as f64 / SAMPLES_PER_MS
    }
}

/// Cuts captured blocks into sounds.
#[derive(Default)]
struct Collector {
    sound: Option<Sound>,
    /// Quiet blocks at the end of the sound.
    quiet: usize,
}

impl Collector {
    /// Takes a block in and returns the sound that it ended.
    fn add(&mut self, block: &AudioBlock) -> Option<Sound> {
        let quiet = block.rms() < QUIET_RMS;
        let interrupted = self.sound.as_ref().is_some_and(|sound| {
            let expected = sound.at.as_millis_f64() + sound.millis();
            (block.captured_at.as_millis_f64() - expected).abs() > MAX_JUMP_MS
        });
        let ended = if interrupted { self.close() } else { None };
        match &mut self.sound {
            None if quiet => {}
            None => {
                self.sound = Some(Sound { at: block.captured_at, samples: block.samples.to_vec() });
                self.quiet = 0;
            }
            Some(sound) => {
                sound.samples.extend_from_slice(&block.samples);
                self.quiet = if quiet { self.quiet + 1 } else { 0 };
                if self.quiet == QUIET_BLOCKS || sound.samples.len() == MAX_BLOCKS * BLOCK_SAMPLES {
                    return self.close();
                }
            }
        }
        ended
    }

    /// Ends the sound; `None` if there is none that is long enough.
    fn close(&mut self) -> Option<Sound> {
        let mut sound = self.sound.take()?;
        sound.samples.truncate(sound.samples.len() - mem::take(&mut self.quiet) * BLOCK_SAMPLES);
        (sound.samples.len() >= MIN_BLOCKS * BLOCK_SAMPLES).then_some(sound)
    }
}

/// The last of what was played. Samples are numbered from the first that was ever played.
#[derive(Default)]
struct Played {
    samples: VecDeque<f32>,
    /// The number of the first sample that is kept.
    first: usize,
    /// Number and time of the first sample of each block that is kept.
    blocks: VecDeque<(usize, f64)>,
}

impl Played {
    fn add(&mut self, samples: &[f32; BLOCK_SAMPLES], heard_at: MediaTime) {
        const KEPT_BLOCKS: usize = (KEPT.as_millis() / BLOCK_DURATION.as_millis()) as usize;
        if self.blocks.len() == KEPT_BLOCKS {
            self.blocks.pop_front();
            self.samples.drain(..BLOCK_SAMPLES);
            self.first += BLOCK_SAMPLES;
        }
        // A time that goes back would break the search by time.
        let at = heard_at.as_millis_f64().max(self.blocks.back().map_or(0.0, |&(_, at)| at));
        self.blocks.push_back((self.first + self.samples.len(), at));
        self.samples.extend(samples);
    }

    /// When the last sample that was added ends.
    fn end_ms(&self) -> f64 {
        self.blocks.back().map_or(0.0, |&(_, at)| at + millis(BLOCK_DURATION))
    }

    /// The number of the sample that is heard at a time, or of the nearest that is kept.
    fn index_at(&self, time_ms: f64) -> usize {
        let after = self.blocks.partition_point(|&(_, at)| at <= time_ms);
        let Some(&(index, at)) = after.checked_sub(1).and_then(|block| self.blocks.get(block)) else {
            return self.first;
        };
        index + (((time_ms - at) * SAMPLES_PER_MS) as usize).min(BLOCK_SAMPLES)
    }

    /// When a sample (with a fraction) is heard.
    fn time_ms(&self, index: f64) -> f64 {
        let after = self.blocks.partition_point(|&(first, _)| first as f64 <= index);
        let (first, at) = self.blocks.get(after.saturating_sub(1)).copied().unwrap_or_default();
        at + (index - first as f64) / SAMPLES_PER_MS
    }

    fn copy(&self, start: usize, end: usize) -> Vec<f32> {
        self.samples.range(start - self.first..end.max(start) - self.first).copied().collect()
    }
}

#[cfg(test)]
mod tests;
