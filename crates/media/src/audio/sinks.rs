//! Sinks that need no device: nothing, and a `.wav` file. They take blocks at the pace of a speaker.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use ahoy_media_types::{BLOCK_SAMPLES, MediaClock, SAMPLE_RATE};

use super::pace::{Pace, Pacer, Worker};
use super::{AudioError, AudioEvent, BlockProvider, announce};

/// How often the header of a recording is brought up to date: after a crash no more than this is lost.
const FLUSH_BLOCKS: u32 = 100;
/// The most samples a recording takes: 2^32 bytes less room for the header, the limit of the format.
const MAX_SAMPLES: u32 = u32::MAX / 2 - 1_000;

/// A 16-bit mono recording at 48 kHz whose header is valid whenever the program dies.
pub(crate) struct Recording {
    path: PathBuf,
    writer: hound::WavWriter<BufWriter<File>>,
    blocks_since_flush: u32,
}

impl Recording {
    /// Creates or replaces the file.
    pub(crate) fn create(path: &Path) -> Result<Self, AudioError> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let writer = hound::WavWriter::create(path, spec).map_err(|e| record_error(path, e))?;
        let mut recording = Self { path: path.to_owned(), writer, blocks_since_flush: 0 };
        recording.flush()?;
        Ok(recording)
    }

    /// Appends 10 ms of sound; what is outside -1.0 to 1.0 is clipped.
    pub(crate) fn write(&mut self, samples: &[f32; BLOCK_SAMPLES]) -> Result<(), AudioError> {
        if self.writer.len() > MAX_SAMPLES {
            return Err(AudioError::RecordingFull { path: self.path.clone() });
        }
        for sample in samples {
            let value = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
            self.writer.write_sample(value).map_err(|e| record_error(&self.path, e))?;
        }
        self.blocks_since_flush += 1;
        if self.blocks_since_flush == FLUSH_BLOCKS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AudioError> {
        self.blocks_since_flush = 0;
        self.writer.flush().map_err(|e| record_error(&self.path, e))
    }

    /// Completes the file.
    pub(crate) fn finish(self) -> Result<(), AudioError> {
        self.writer.finalize().map_err(|e| record_error(&self.path, e))
    }
}

fn record_error(path: &Path, error: hound::Error) -> AudioError {
    let problem = match error {
        hound::Error::IoError(e) => e,
        other => std::io::Error::other(other),
    };
    AudioError::Record { path: path.to_owned(), problem }
}

/// Starts a thread that takes a block from `provider` every 10 ms and records it if there is a recording.
pub(crate) fn start(
    name: String,
    mut recording: Option<Recording>,
    clock: MediaClock,
    mut provider: BlockProvider,
    events: SyncSender<AudioEvent>,
) -> Result<Worker, AudioError> {
    Worker::spawn("ahoy-sound-out", move |stop| {
        announce(&events, AudioEvent::Started { device: name, latency: Duration::ZERO });
        let mut pacer = Pacer::starting_at(clock.now());
        while !stop.requested() {
            let samples = match pacer.poll(clock.now()) {
                Pace::Wait(time) => {
                    thread::park_timeout(time);
                    continue;
                }
                Pace::Due(due) => provider(due),
            };
            // With a full disk the recording ends and the call goes on.
            if let Some(Err(reason)) = recording.as_mut().map(|r| r.write(&samples)) {
                recording = None;
                announce(&events, AudioEvent::Lost { reason });
                announce(&events, AudioEvent::Ended);
            }
        }
        if let Some(Err(reason)) = recording.map(Recording::finish) {
            announce(&events, AudioEvent::Lost { reason });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_readable_at_any_moment_and_exact_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.wav");
        let mut recording = Recording::create(&path).unwrap();
        assert_eq!(hound::WavReader::open(&path).unwrap().len(), 0, "valid from the start");
        let mut block = [0.25; BLOCK_SAMPLES];
        block[1] = 2.0;
        for _ in 0..FLUSH_BLOCKS + 5 {
            recording.write(&block).unwrap();
        }
        let so_far = hound::WavReader::open(&path).unwrap().len();
        assert_eq!(so_far, FLUSH_BLOCKS * BLOCK_SAMPLES as u32, "what a crash would leave");
        recording.finish().unwrap();
        let mut wav = hound::WavReader::open(&path).unwrap();
        assert_eq!(
            (wav.spec().sample_rate, wav.spec().channels, wav.spec().bits_per_sample),
            (48_000, 1, 16)
        );
        let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 105 * BLOCK_SAMPLES);
        assert_eq!(samples[..2], [8192, 32_767]);
    }

    #[test]
    fn a_recording_that_cannot_be_created_says_where() {
        let error = Recording::create(Path::new("/nonexistent/r.wav")).err().unwrap().to_string();
        assert!(error.contains("/nonexistent/r.wav") && error.contains("folder that exists"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told() {
        let error = Recording::create(Path::new("/dev/full")).err().unwrap().to_string();
        assert!(error.contains("No space") && error.contains("free space"), "{error}");
    }
}
