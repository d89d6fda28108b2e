//! Sources that need no device: a tone, chirps and files. Their blocks come at the pace of a microphone.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use ahoy_measure::sound::Chirps;
use ahoy_media_types::{AudioBlock, BLOCK_DURATION, BLOCK_SAMPLES, MediaClock, SAMPLE_RATE};

use super::pace::{Pace, Pacer, Worker};
use super::resample::Resampler;
use super::wav::WavReader;
use super::{AudioError, AudioEvent, BlockConsumer, announce};

/// Frequency of the tone: in the middle of what speech codecs keep.
const TONE_HERTZ: u32 = 1_000;
/// Amplitude of the tone: a sine of -20 dBFS (AES17: a sine that just fits is 0 dBFS), the level of loud speech.
const TONE_AMPLITUDE: f32 = 0.1;

/// Something that makes sound without end.
pub(crate) trait Generator: Send {
    /// Fills the next 10 ms. After an error it is not called again.
    fn fill(&mut self, samples: &mut [f32; BLOCK_SAMPLES]) -> Result<(), AudioError>;
}

/// A steady sine of 1 kHz at -20 dBFS.
#[derive(Debug, Default)]
pub(crate) struct Tone {
    phase: u32,
}

impl Generator for Tone {
    fn fill(&mut self, samples: &mut [f32; BLOCK_SAMPLES]) -> Result<(), AudioError> {
        for sample in samples {
            let turn = self.phase as f32 / SAMPLE_RATE as f32;
            *sample = TONE_AMPLITUDE * (std::f32::consts::TAU * turn).sin();
            self.phase = (self.phase + TONE_HERTZ) % SAMPLE_RATE;
        }
        Ok(())
    }
}

impl Generator for Chirps {
    fn fill(&mut self, samples: &mut [f32; BLOCK_SAMPLES]) -> Result<(), AudioError> {
        Chirps::fill(self, samples);
        Ok(())
    }
}

/// A `.wav` file that is played over and over.
pub(crate) struct WavLoop {
    path: PathBuf,
    reader: WavReader<BufReader<File>>,
    resampler: Resampler,
    read: Vec<f32>,
    ready: Vec<f32>,
}

impl WavLoop {
    pub(crate) fn open(path: &Path) -> Result<Self, AudioError> {
        let reader =
            WavReader::open(path).map_err(|problem| AudioError::Play { path: path.to_owned(), problem })?;
        let resampler = Resampler::new(reader.rate(), SAMPLE_RATE)?;
        Ok(Self { path: path.to_owned(), reader, resampler, read: Vec::new(), ready: Vec::new() })
    }
}

impl Generator for WavLoop {
    fn fill(&mut self, samples: &mut [f32; BLOCK_SAMPLES]) -> Result<(), AudioError> {
        while self.ready.len() < BLOCK_SAMPLES {
            self.read.clear();
            self.reader
                .read_looped(&mut self.read)
                .map_err(|e| AudioError::Play { path: self.path.clone(), problem: e.into() })?;
            self.resampler.process(&self.read, &mut self.ready);
        }
        samples.copy_from_slice(&self.ready[..BLOCK_SAMPLES]);
        self.ready.drain(..BLOCK_SAMPLES);
        Ok(())
    }
}

/// Starts a thread that hands the generator's sound to `on_block`, each block 10 ms after the time of its first sample,
/// which is when a microphone would have it complete.
pub(crate) fn start(
    name: String,
    mut generator: Box<dyn Generator>,
    clock: MediaClock,
    mut on_block: BlockConsumer,
    events: SyncSender<AudioEvent>,
) -> Result<Worker, AudioError> {
    Worker::spawn("ahoy-sound-gen", move |stop| {
        announce(&events, AudioEvent::Started { device: name, latency: Duration::ZERO });
        let mut ended = false;
        let mut pacer = Pacer::starting_at(clock.now() + BLOCK_DURATION);
        while !stop.requested() {
            let due = match pacer.poll(clock.now()) {
                Pace::Wait(time) => {
                    thread::park_timeout(time);
                    continue;
                }
                Pace::Due(due) => due,
            };
            let mut block = AudioBlock::silence(due.saturating_sub(BLOCK_DURATION));
            // A file that can't be read any further is followed by silence, so that the call goes on.
            if !ended && let Err(reason) = generator.fill(&mut block.samples) {
                ended = true;
                block.samples.fill(0.0);
                announce(&events, AudioEvent::Lost { reason });
                announce(&events, AudioEvent::Ended);
            }
            on_block(block);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_is_a_thousand_hertz_at_minus_twenty_decibels() {
        let mut tone = Tone::default();
        let mut block = AudioBlock::silence(ahoy_media_types::MediaTime::ZERO);
        for _ in 0..3 {
            tone.fill(&mut block.samples).unwrap();
            let decibels = 20.0 * (block.rms() * 2f32.sqrt()).log10();
            assert!((decibels + 20.0).abs() < 0.01, "{decibels} dBFS");
            assert!(block.samples[0].abs() < 1e-6, "the phase goes on where it was");
            let rises = block.samples.windows(2).filter(|w| w[0] <= 0.0 && w[1] > 0.0).count();
            assert_eq!(rises, 10);
        }
    }

    #[test]
    fn a_file_that_shrinks_while_it_plays_ends_with_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        (0..96_000).for_each(|_| writer.write_sample(1000i16).unwrap());
        writer.finalize().unwrap();
        let mut file = WavLoop::open(&path).unwrap();
        let mut samples = [0.0; BLOCK_SAMPLES];
        file.fill(&mut samples).unwrap();
        assert!((samples[479] - 1000.0 / 32768.0).abs() < 1e-6);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(60_000).unwrap();
        let error = (0..200).find_map(|_| file.fill(&mut samples).err()).unwrap().to_string();
        assert!(error.contains("short.wav") && error.contains("can't be played"), "{error}");
    }
}
