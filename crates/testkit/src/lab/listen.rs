//! Listening to a device of the sound server with the time of each sample, so that two places can be compared.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use ahoy_measure::sound::{Chirps, DelayEstimator, DelaySample};
use ahoy_media_types::{AudioBlock, BLOCK_DURATION, BLOCK_SAMPLES, MediaClock, MediaTime, SAMPLE_RATE};

use super::pulse::UTILS_PACKAGE;
use super::{AudioDevice, LabError, PulseLab, start_error};

/// Bytes read at once: 20 ms of sound.
const CHUNK: usize = 1920;

/// Sound that was heard, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct HeardSound {
    /// Samples from -1.0 to 1.0, 48 kHz mono.
    pub samples: Vec<f32>,
    /// When the first of them was heard. Each listener is late by the same few milliseconds, which cancel out where two
    /// are compared.
    pub starts_at: MediaTime,
}

/// A listener at work. Dropping it stops it.
#[derive(Debug)]
pub struct Listening {
    recorder: Child,
    reader: Option<thread::JoinHandle<HeardSound>>,
}

impl PulseLab {
    /// Listens to what a device hears (the microphone) or plays (the speaker) until told to stop. Times are by `clock`.
    /// It has begun when this returns.
    pub fn listen(&self, device: AudioDevice, clock: MediaClock) -> Result<Listening, LabError> {
        let mut command = self.client("parec");
        command
            .arg(format!("--device={}", device.heard_at()))
            .args(["--raw", "--format=s16le", "--channels=1", "--latency-msec=5"])
            .arg(format!("--rate={SAMPLE_RATE}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut recorder = command.spawn().map_err(|error| start_error(&command, UTILS_PACKAGE, error))?;
        let silent = |mut recorder: Child| {
            let _ = recorder.kill();
            let _ = recorder.wait();
            LabError::Failed {
                tool: "parec".into(),
                status: "no sound".into(),
                output: format!("nothing could be heard at {}: is it plugged in?", device.description()),
            }
        };
        let Some(mut sound) = recorder.stdout.take() else { return Err(silent(recorder)) };
        let mut first = [0; 2];
        if sound.read_exact(&mut first).is_err() {
            return Err(silent(recorder));
        }
        let reader = thread::spawn(move || read(first, sound, clock));
        Ok(Listening { recorder, reader: Some(reader) })
    }
}

impl Listening {
    /// Stops, and returns what was heard.
    pub fn stop(mut self) -> HeardSound {
        let _ = self.recorder.kill();
        let reader = self.reader.take().expect("it is taken only here");
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
    }
}

/// Reads to the end. Of all chunks the one that was under way for the least time tells best when the first sample was.
fn read(first: [u8; 2], mut sound: ChildStdout, clock: MediaClock) -> HeardSound {
    let mut bytes = first.to_vec();
    let mut earliest = clock.now();
    let mut chunk = [0; CHUNK];
    while let Ok(count @ 1..) = sound.read(&mut chunk) {
        let now = clock.now();
        bytes.extend_from_slice(&chunk[..count]);
        let length = Duration::from_secs_f64((bytes.len() / 2) as f64 / f64::from(SAMPLE_RATE));
        let start = MediaTime::from_micros(now.as_micros().saturating_sub(length.as_micros() as u64));
        earliest = earliest.min(start);
    }
    let samples =
        bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0);
    HeardSound { samples: samples.collect(), starts_at: earliest }
}

impl HeardSound {
    /// The delays after which the sounds in this are heard in `later`, such as of speech from a microphone at a speaker.
    /// Sounds that are not recognised there are left out.
    pub fn delays_at(&self, later: &HeardSound) -> Vec<DelaySample> {
        let mut estimator = DelayEstimator::new();
        let mut delays = Vec::new();
        let mut captured = self.blocks().peekable();
        for played in later.blocks() {
            while let Some(block) = captured.next_if(|block| block.captured_at <= played.captured_at) {
                estimator.on_captured(&block);
            }
            delays.extend(estimator.on_played(&played.samples, played.captured_at));
        }
        delays.extend(estimator.finish());
        delays
    }

    fn blocks(&self) -> impl Iterator<Item = AudioBlock> {
        self.samples.as_chunks::<BLOCK_SAMPLES>().0.iter().zip(0..).map(|(samples, n)| AudioBlock {
            samples: *samples,
            captured_at: self.starts_at + BLOCK_DURATION * n,
        })
    }
}

/// Writes a file of sounds that can all be told apart (see [`Chirps`]): 48 kHz, mono.
pub fn write_chirps(wav: &Path, length: Duration) -> Result<(), LabError> {
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(wav, format)?;
    let mut chirps = Chirps::new();
    let mut samples = vec![0.0; (length.as_secs_f64() * f64::from(SAMPLE_RATE)) as usize];
    chirps.fill(&mut samples);
    for sample in samples {
        file.write_sample((sample * f32::from(i16::MAX)) as i16)?;
    }
    Ok(file.finalize()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_between_two_places_is_found_with_the_times_they_began_at() {
        let mut chirps = Chirps::new();
        let mut samples = vec![0.0; 6 * SAMPLE_RATE as usize];
        chirps.fill(&mut samples);
        let mouth = HeardSound { samples: samples.clone(), starts_at: MediaTime::from_millis(100) };
        // Listening at the ear began 30 ms earlier, and there everything is heard 50 ms later.
        let mut later = vec![0.0; 80 * SAMPLE_RATE as usize / 1000];
        later.extend(samples.iter().map(|sample| sample * 0.5));
        let ear = HeardSound { samples: later, starts_at: MediaTime::from_millis(70) };
        let delays = mouth.delays_at(&ear);
        assert!(delays.len() >= 6, "{delays:?}");
        assert!(delays.iter().all(|delay| (delay.delay_ms - 50.0).abs() < 0.1), "{delays:?}");
    }
}
