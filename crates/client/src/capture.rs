//! Saving raw pictures and sound to files, exactly as they would go into a call.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ahoy_media::audio::{AudioCapture, AudioEvent, AudioSourceSpec, start_audio_source};
use ahoy_media::capture::{CaptureEvent, Stamping, VideoCapture, VideoFormat, VideoSourceSpec, start_video};
use ahoy_media::playout::{FrameSink as _, SinkError, Y4mSink};
use ahoy_media::slot::{LatestSlot, Taken};
use ahoy_media_types::{AudioBlock, MediaClock, SAMPLE_RATE, VideoFrame};
use serde::Serialize;
use tokio::sync::watch;

use crate::sentence::sentence;

/// Happenings of a source that wait to be looked at when the capture ends; a source has a handful.
const EVENTS: usize = 64;
/// How often the end of the capture is looked for while no frame comes.
const WAKE: Duration = Duration::from_millis(50);

/// What to capture, and where to.
#[derive(Clone, Debug)]
pub struct CaptureConfig {
    /// Where pictures come from, if any are wanted.
    pub video: Option<VideoSourceSpec>,
    /// Size and rate asked of the source.
    pub format: VideoFormat,
    /// File for the pictures.
    pub video_out: PathBuf,
    /// Where sound comes from, if any is wanted.
    pub audio: Option<AudioSourceSpec>,
    /// File for the sound.
    pub audio_out: PathBuf,
    /// How long to capture.
    pub duration: Duration,
}

/// What was captured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaptureReport {
    /// Whether everything asked for was captured without interruption.
    pub ok: bool,
    /// Pictures; null if none were asked for or the source could not be opened.
    pub video: Option<CapturedVideo>,
    /// Sound; null if none was asked for or the source could not be opened.
    pub audio: Option<CapturedAudio>,
    /// What went wrong, as sentences.
    pub problems: Vec<String>,
}

/// Captured pictures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CapturedVideo {
    /// The device's name.
    pub device: String,
    /// What the device itself delivered, such as `1280x720 at 30 fps`.
    pub native: String,
    /// Frames written.
    pub frames: u64,
    /// Frames whose picture differs from the one before.
    pub changed: u64,
    /// Frames per second between the first and the last.
    pub fps: f64,
    /// The file.
    pub file: PathBuf,
}

/// Captured sound.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CapturedAudio {
    /// The device's name.
    pub device: String,
    /// Seconds of sound written.
    pub seconds: f64,
    /// Root mean square of all samples in dB relative to full scale; null for digital silence.
    pub level_dbfs: Option<f64>,
    /// The file.
    pub file: PathBuf,
}

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Neither video nor audio was asked for.
    #[error("there is nothing to capture: choose a video or an audio source")]
    Nothing,
    /// The file for pictures can't be written.
    #[error(transparent)]
    Video(#[from] SinkError),
    /// The file for sound can't be written.
    #[error("{} can't be written ({cause}): check that the folder exists and that you may write to it", path.display())]
    Audio {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: hound::Error,
    },
}

/// Captures as `config` says until its time is over or `cancel` becomes true. A source that can't be opened is a problem
/// in the report; the other one goes on.
pub fn capture(config: &CaptureConfig, cancel: &watch::Receiver<bool>) -> Result<CaptureReport, RecordError> {
    if config.video.is_none() && config.audio.is_none() {
        return Err(RecordError::Nothing);
    }
    let clock = MediaClock::start();
    let mut report = CaptureReport::default();
    let sound = match &config.audio {
        Some(spec) => Sound::start(spec, config, clock, &mut report.problems)?,
        None => None,
    };
    let pictures = match &config.video {
        Some(spec) => Pictures::start(spec, config, clock, &mut report.problems)?,
        None => None,
    };
    if pictures.is_some() || sound.is_some() {
        let ends_at = clock.now() + config.duration;
        let mut pictures = pictures;
        while clock.now() < ends_at && !*cancel.borrow() {
            match &mut pictures {
                Some(pictures) => pictures.take_one(),
                None => std::thread::park_timeout(WAKE),
            }
        }
        report.video = pictures.map(|p| p.finish(&mut report.problems)).transpose()?;
        report.audio = sound.map(|s| s.finish(config, &mut report.problems)).transpose()?;
    }
    report.problems.iter_mut().for_each(|problem| *problem = sentence(problem));
    report.ok = report.problems.is_empty();
    Ok(report)
}

struct Pictures {
    frames: LatestSlot<VideoFrame>,
    events: Receiver<CaptureEvent>,
    capture: VideoCapture,
    sink: Y4mSink,
    found: CapturedVideo,
    first: Option<VideoFrame>,
    last: Option<VideoFrame>,
}

impl Pictures {
    fn start(
        spec: &VideoSourceSpec,
        config: &CaptureConfig,
        clock: MediaClock,
        problems: &mut Vec<String>,
    ) -> Result<Option<Self>, RecordError> {
        let frames = LatestSlot::new();
        let (events_tx, events) = sync_channel(EVENTS);
        match start_video(spec, config.format, Stamping::Off, clock, frames.clone(), events_tx) {
            Ok(capture) => {
                let sink = Y4mSink::create(&config.video_out, config.format.rate)?;
                let found = CapturedVideo { file: config.video_out.clone(), ..CapturedVideo::default() };
                Ok(Some(Self { frames, events, capture, sink, found, first: None, last: None }))
            }
            Err(error) => {
                problems.push(error.to_string());
                Ok(None)
            }
        }
    }

    fn take_one(&mut self) {
        let Taken::Value(frame) = self.frames.take_timeout(WAKE) else { return };
        self.sink.present(&frame, frame.captured_at);
        self.found.frames += 1;
        let changed = self.last.as_ref().is_none_or(|last| last.buffer.packed() != frame.buffer.packed());
        self.found.changed += u64::from(changed);
        self.first.get_or_insert_with(|| frame.clone());
        self.last = Some(frame);
    }

    fn finish(mut self, problems: &mut Vec<String>) -> Result<CapturedVideo, RecordError> {
        self.capture.stop();
        for event in self.events.try_iter() {
            match event {
                CaptureEvent::Started { size, rate, device } => {
                    self.found.device = device;
                    self.found.native = format!("{size} at {rate}");
                }
                CaptureEvent::Warning(reason) | CaptureEvent::Lost { reason } => {
                    problems.push(reason.to_string())
                }
                CaptureEvent::Recovered => problems.push("The camera came back.".to_owned()),
                CaptureEvent::Ended => problems.push("The source ended before its time.".to_owned()),
            }
        }
        if let (Some(first), Some(last)) = (&self.first, &self.last) {
            let seconds = last.captured_at.since(first.captured_at).as_secs_f64();
            self.found.fps = if seconds > 0.0 { (self.found.frames - 1) as f64 / seconds } else { 0.0 };
        } else {
            problems.push("No picture came within the time.".to_owned());
        }
        self.sink.finish()?;
        Ok(self.found)
    }
}

type WavFile = hound::WavWriter<BufWriter<File>>;

/// What the source's thread writes: the file and the sum of squares of what went into it.
struct Written {
    file: Option<WavFile>,
    samples: u64,
    squares: f64,
    failure: Option<hound::Error>,
}

impl Written {
    fn add(&mut self, block: &AudioBlock) {
        let Some(file) = &mut self.file else { return };
        for &sample in &block.samples {
            self.samples += 1;
            self.squares += f64::from(sample) * f64::from(sample);
            let level = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16;
            if let Err(error) = file.write_sample(level) {
                self.failure = Some(error);
                self.file = None;
                return;
            }
        }
    }
}

struct Sound {
    events: Receiver<AudioEvent>,
    capture: AudioCapture,
    written: Arc<Mutex<Written>>,
}

impl Sound {
    fn start(
        spec: &AudioSourceSpec,
        config: &CaptureConfig,
        clock: MediaClock,
        problems: &mut Vec<String>,
    ) -> Result<Option<Self>, RecordError> {
        let (events_tx, events) = sync_channel(EVENTS);
        let written = Arc::new(Mutex::new(Written { file: None, samples: 0, squares: 0.0, failure: None }));
        let writing = Arc::clone(&written);
        let on_block = Box::new(move |block: AudioBlock| {
            writing.lock().unwrap_or_else(PoisonError::into_inner).add(&block)
        });
        match start_audio_source(spec, clock, on_block, events_tx) {
            Ok(capture) => {
                // Only now, so that an earlier recording is not lost to a microphone that can't be opened.
                let file = create_wav(&config.audio_out)?;
                written.lock().unwrap_or_else(PoisonError::into_inner).file = Some(file);
                Ok(Some(Self { events, capture, written }))
            }
            Err(error) => {
                problems.push(error.to_string());
                Ok(None)
            }
        }
    }

    fn finish(
        self,
        config: &CaptureConfig,
        problems: &mut Vec<String>,
    ) -> Result<CapturedAudio, RecordError> {
        self.capture.stop();
        let mut found = CapturedAudio { file: config.audio_out.clone(), ..CapturedAudio::default() };
        for event in self.events.try_iter() {
            match event {
                AudioEvent::Started { device, .. } => found.device = device,
                AudioEvent::Lost { reason } => problems.push(reason.to_string()),
                AudioEvent::Recovered => problems.push("The microphone came back.".to_owned()),
                AudioEvent::Ended => problems.push("The source ended before its time.".to_owned()),
                AudioEvent::Underrun(_) => {}
            }
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = written.file.take().map_or(Ok(()), WavFile::finalize);
        if let Some(cause) = written.failure.take().or(finished.err()) {
            return Err(RecordError::Audio { path: config.audio_out.clone(), cause });
        }
        found.seconds = written.samples as f64 / f64::from(SAMPLE_RATE);
        let power = written.squares / written.samples.max(1) as f64;
        found.level_dbfs = (power > 0.0).then(|| 10.0 * power.log10());
        Ok(found)
    }
}

fn create_wav(path: &Path) -> Result<WavFile, RecordError> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    hound::WavWriter::create(path, spec).map_err(|cause| RecordError::Audio { path: path.to_owned(), cause })
}
