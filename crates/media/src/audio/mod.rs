//! Sound: sources, sinks, resampling.
//!
//! Every source gives, and every sink takes, blocks of 10 ms of mono sound at 48 kHz on a thread of its own that may
//! wait, lock and allocate. Whatever happens to a device, blocks keep coming and going every 10 ms, so that the call
//! goes on; what happened is told by [`AudioEvent`]s.

mod device;
mod error;
mod pace;
mod resample;
mod sinks;
mod spec;
mod synthetic;
mod wav;

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use ahoy_measure::sound::Chirps;
use ahoy_media_types::{AudioBlock, BLOCK_SAMPLES, MediaClock, MediaTime};

#[cfg(target_os = "linux")]
use device::Line;
pub(crate) use device::ensure_pulse_cookie;
pub use device::{AudioDeviceInfo, AudioDevices, list_audio_devices};
pub use error::AudioError;
pub use resample::{MAX_RATE, MIN_RATE, Resampler};
pub use spec::{AudioSinkSpec, AudioSourceSpec, AudioSpecError, DeviceId};
pub use wav::{WavError, WavReader};

/// Takes each block that a source has made. Called every 10 ms on the source's own thread, which is not a real-time one.
pub type BlockConsumer = Box<dyn FnMut(AudioBlock) + Send>;

/// Gives the next block to a sink, told when its first sample will be heard. Called every 10 ms on the sink's own
/// thread, which is not a real-time one.
pub type BlockProvider = Box<dyn FnMut(MediaTime) -> [f32; BLOCK_SAMPLES] + Send>;

/// What happens to a source or sink while it runs.
#[derive(Debug)]
pub enum AudioEvent {
    /// Sound flows.
    Started {
        /// What the user knows the device or file by.
        device: String,
        /// Time between the sound and its block: for a source from the microphone to the block being handed over, less
        /// the block's own 10 ms; for a sink from the block being asked for to its being heard.
        latency: Duration,
    },
    /// Sound has stopped. Silence takes its place while the device is tried again.
    Lost {
        /// What happened and what to do.
        reason: AudioError,
    },
    /// Sound flows again, perhaps by the system's default device instead of the lost one.
    Recovered,
    /// The speaker had nothing to play in time; how often since the start.
    Underrun(u64),
    /// A file can be read or written no further, which [`AudioEvent::Lost`] has explained. Silence follows.
    Ended,
}

/// A running source of sound. Dropping it releases the device and ends its thread.
#[derive(Debug)]
pub struct AudioCapture {
    _worker: pace::Worker,
}

impl AudioCapture {
    /// Releases the device and waits for the thread to end.
    pub fn stop(self) {}
}

/// A running sink of sound. Dropping it releases the device and ends its thread.
#[derive(Debug)]
pub struct AudioPlayback {
    _worker: pace::Worker,
}

impl AudioPlayback {
    /// Releases the device, completes the file, and waits for the thread to end.
    pub fn stop(self) {}
}

/// Tells the owner what happened. A full or closed queue loses the event: sound must not wait for whoever shows it.
fn announce(events: &SyncSender<AudioEvent>, event: AudioEvent) {
    match &event {
        AudioEvent::Lost { reason } => tracing::warn!("{reason}"),
        AudioEvent::Started { .. } => tracing::info!("sound flows"),
        AudioEvent::Recovered => tracing::info!("sound flows again"),
        AudioEvent::Underrun(_) | AudioEvent::Ended => {}
    }
    if events.try_send(event).is_err() {
        tracing::debug!("nobody took an audio event");
    }
}

/// Starts a source of sound on its own thread. Blocks go to `on_block` every 10 ms until the handle is dropped.
///
/// # Errors
/// [`AudioError`] if there is no such device or file or it can't be opened. Once started, a source does not fail: it
/// reports by `events` and gives silence.
pub fn start_audio_source(
    spec: &AudioSourceSpec,
    clock: MediaClock,
    on_block: BlockConsumer,
    events: SyncSender<AudioEvent>,
) -> Result<AudioCapture, AudioError> {
    let generator: Box<dyn synthetic::Generator> = match spec {
        AudioSourceSpec::Tone => Box::new(synthetic::Tone::default()),
        AudioSourceSpec::File(path) => Box::new(synthetic::WavLoop::open(path)?),
        AudioSourceSpec::Chirps => Box::new(Chirps::new()),
        AudioSourceSpec::Microphone(id) => {
            let worker = device::start_microphone(id.clone(), clock, on_block, events)?;
            return Ok(AudioCapture { _worker: worker });
        }
    };
    let worker = synthetic::start(spec.to_string(), generator, clock, on_block, events)?;
    Ok(AudioCapture { _worker: worker })
}

/// Starts a sink of sound on its own thread. Blocks are taken from `provider` every 10 ms until the handle is dropped.
///
/// # Errors
/// [`AudioError`] if there is no such device or it can't be opened, or the file can't be created. Once started, a sink
/// does not fail: it reports by `events` and goes on taking blocks.
pub fn start_audio_sink(
    spec: &AudioSinkSpec,
    clock: MediaClock,
    provider: BlockProvider,
    events: SyncSender<AudioEvent>,
) -> Result<AudioPlayback, AudioError> {
    let recording = match spec {
        AudioSinkSpec::Null => None,
        AudioSinkSpec::File(path) => Some(sinks::Recording::create(path)?),
        AudioSinkSpec::Speaker(id) => {
            let worker = device::start_speaker(Line::Call, id.clone(), clock, provider, events)?;
            return Ok(AudioPlayback { _worker: worker });
        }
    };
    let worker = sinks::start(spec.to_string(), recording, clock, provider, events)?;
    Ok(AudioPlayback { _worker: worker })
}

/// Starts to play something at a speaker, the system's default one without an id, that is heard beside a call: ringing and the
/// like, one at a time. As [`start_audio_sink`] otherwise.
///
/// # Errors
/// [`AudioError`] if there is no such device or it can't be opened.
pub fn start_chime(
    id: Option<DeviceId>,
    clock: MediaClock,
    provider: BlockProvider,
    events: SyncSender<AudioEvent>,
) -> Result<AudioPlayback, AudioError> {
    let worker = device::start_speaker(Line::Chime, id, clock, provider, events)?;
    Ok(AudioPlayback { _worker: worker })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ahoy_media_types::BLOCK_DURATION;
    use std::sync::mpsc;

    #[test]
    fn a_synthetic_source_gives_a_block_for_every_ten_milliseconds() {
        let (blocks, taken) = mpsc::channel();
        let (events, happened) = mpsc::sync_channel(8);
        let clock = MediaClock::start();
        let consumer = Box::new(move |block: AudioBlock| {
            let _ = blocks.send((block.captured_at, block.rms(), clock.now()));
        });
        let capture = start_audio_source(&AudioSourceSpec::Tone, clock, consumer, events).unwrap();
        let first: Vec<_> = taken.iter().take(6).collect();
        capture.stop();
        assert!(taken.iter().count() < 1000, "the thread has ended and closed the channel");
        for pair in first.windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, BLOCK_DURATION);
        }
        assert!(first.iter().all(|(at, rms, now)| *rms > 0.05 && *now >= *at + BLOCK_DURATION));
        let event = happened.try_recv().unwrap();
        assert!(matches!(&event, AudioEvent::Started { device, .. } if device == "tone"), "{event:?}");
    }

    #[test]
    fn a_recording_holds_what_the_provider_gave() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.wav");
        let (asked, times) = mpsc::channel();
        let (events, _happened) = mpsc::sync_channel(8);
        let mut next = 0.0;
        let provider = Box::new(move |heard_at: MediaTime| {
            let _ = asked.send(heard_at);
            next += 0.01;
            [next; BLOCK_SAMPLES]
        });
        let sink = AudioSinkSpec::File(path.clone());
        let playback = start_audio_sink(&sink, MediaClock::start(), provider, events).unwrap();
        let first: Vec<_> = times.iter().take(5).collect();
        playback.stop();
        assert!(first.windows(2).all(|pair| pair[1] - pair[0] == BLOCK_DURATION));
        let mut wav = hound::WavReader::open(&path).unwrap();
        let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), (5 + times.iter().count()) * BLOCK_SAMPLES);
        assert_eq!(samples[4 * BLOCK_SAMPLES], (0.05 * 32_767.0f32).round() as i16);
    }
}
