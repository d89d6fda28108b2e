//! Measures the content of a loopback call on a thread of its own: pictures by their stamps, sound by correlation.
//!
//! The call's threads hand over references to frames and copies of sound blocks and go on; comparing happens here, and
//! this thread's CPU time is reported apart from the call's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use ahoy_measure::seen::Seen;
use ahoy_measure::sound::{DelayEstimator, DelaySample};
use ahoy_measure::spread::{Spread, Summary};
use ahoy_measure::stamp::{self, Stamp};
use ahoy_measure::{picture, process};
use ahoy_media_types::{AudioBlock, BLOCK_SAMPLES, FrameId, I420Buffer, MediaTime};

use super::played_clip::PlayedClip;

/// Samples waiting for the meter: about a second of video and audio together. When it is full the sample is left out
/// and counted; the call is never held up by its own measurement.
const QUEUE: usize = 256;
/// Encoded frames kept until they are seen again at the other end. A frame that is not rendered within this many is
/// taken as lost; at 30 fps this covers 0.8 s of latency and at 720p 33 MB.
const KEPT_FRAMES: usize = 24;
/// SSIM is worked out for every so many frames: it costs ten times what PSNR does and changes as slowly.
const SSIM_EVERY: u64 = 6;

/// Frames whose latency is remembered: sounds are recognised up to two and a half seconds after they were captured.
const KEPT_LATENCIES: usize = 192;
/// Frames captured within this many milliseconds of a sound belong to it: half the time from one chirp to the next.
const SAME_MOMENT_MS: f64 = 250.0;

/// What the call hands to the meter.
pub(super) enum Sample {
    /// A stamped frame that the source gave, whatever becomes of it; of those that are [`looked
    /// at`](ahoy_measure::seen::is_looked_at).
    Captured { id: FrameId, buffer: Arc<I420Buffer> },
    /// A stamped frame that was encoded.
    Encoded { id: FrameId, buffer: Arc<I420Buffer> },
    /// A frame that is shown at this moment.
    Rendered { buffer: Arc<I420Buffer>, at: MediaTime },
    /// Sound as captured.
    Spoken(AudioBlock),
    /// Sound with the time at which it is heard.
    Heard { samples: [f32; BLOCK_SAMPLES], at: MediaTime },
    /// The source has stopped.
    Ended { at: MediaTime },
}

/// Where samples go in. Cloning shares the meter.
#[derive(Clone)]
pub(super) struct MeterInput {
    queue: SyncSender<Sample>,
    skipped: Arc<AtomicU64>,
}

impl MeterInput {
    pub(super) fn give(&self, sample: Sample) {
        match self.queue.try_send(sample) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What the meter found.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) psnr_y: Option<f64>,
    pub(super) ssim: Option<f64>,
    pub(super) compared: u64,
    pub(super) ssim_seen: Option<f64>,
    pub(super) video_latency: Option<Summary>,
    pub(super) audio_delay: Option<Summary>,
    pub(super) audio_confidence: Option<f64>,
    pub(super) av_offset: Option<Summary>,
    pub(super) cpu: Duration,
    pub(super) skipped: u64,
}

/// A running meter.
pub(super) struct Meter {
    input: MeterInput,
    latest_delay: LatestDelay,
    thread: thread::JoinHandle<Findings>,
}

/// The delay of the sound that was recognised last, in milliseconds; the bits of a NaN before the first.
#[derive(Clone)]
struct LatestDelay(Arc<AtomicU64>);

impl Default for LatestDelay {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(f64::NAN.to_bits())))
    }
}

impl LatestDelay {
    fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|delay| !delay.is_nan())
    }

    fn set(&self, delay: f64) {
        self.0.store(delay.to_bits(), Ordering::Relaxed);
    }
}

impl Meter {
    /// Starts the meter's thread. With a `clip`, nothing is captured here: the other end plays it.
    pub(super) fn start(clip: Option<PlayedClip>) -> std::io::Result<Self> {
        let (queue, samples) = sync_channel(QUEUE);
        let latest_delay = LatestDelay::default();
        let work = Work { latest_delay: latest_delay.clone(), clip, ..Work::default() };
        let thread = thread::Builder::new().name("ahoy-meter".into()).spawn(move || work.run(samples))?;
        Ok(Self { input: MeterInput { queue, skipped: Arc::default() }, latest_delay, thread })
    }

    pub(super) fn input(&self) -> MeterInput {
        self.input.clone()
    }

    /// Milliseconds that the sound recognised last took from source to sink.
    pub(super) fn latest_audio_delay(&self) -> Option<f64> {
        self.latest_delay.get()
    }

    /// Ends the meter once every other input is gone, and returns what it found. `ended_at` is when the source stopped. Waits
    /// for what is still to be compared.
    pub(super) fn finish(self, ended_at: MediaTime) -> Findings {
        let skipped = Arc::clone(&self.input.skipped);
        // It fails only where the meter had panicked, which is told below.
        let _ = self.input.queue.send(Sample::Ended { at: ended_at });
        drop(self.input);
        let mut findings = self.thread.join().unwrap_or_else(|_| {
            tracing::error!("the meter had panicked; its figures are missing");
            Findings::default()
        });
        findings.skipped = skipped.load(Ordering::Relaxed);
        findings
    }
}

#[derive(Default)]
struct Work {
    encoded: VecDeque<(FrameId, Arc<I420Buffer>)>,
    mse: Mean,
    ssim: Mean,
    clip: Option<PlayedClip>,
    seen: Seen<Arc<I420Buffer>, Arc<I420Buffer>>,
    ssim_seen: Mean,
    latency: Spread,
    /// Capture times and latencies of the frames rendered last, for the lip sync of sounds captured with them.
    recent: VecDeque<(MediaTime, f64)>,
    delays: DelayEstimator,
    latest_delay: LatestDelay,
    audio_delay: Spread,
    confidence: Mean,
    av_offset: Spread,
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Work {
    fn run(mut self, samples: Receiver<Sample>) -> Findings {
        for sample in samples {
            match sample {
                Sample::Captured { id, buffer } => self.on_captured(u64::from(id.0), buffer),
                Sample::Encoded { id, buffer } => self.on_encoded(id, buffer),
                Sample::Rendered { buffer, at } => self.on_rendered(buffer, at),
                Sample::Spoken(block) => self.delays.on_captured(&block),
                Sample::Heard { samples, at } => {
                    if let Some(delay) = self.delays.on_played(&samples, at) {
                        self.on_delay(&delay);
                    }
                }
                Sample::Ended { at } => {
                    let captured = self.clip.as_mut().map(|clip| clip.captured_until(at));
                    self.on_all_captured(captured.unwrap_or_default());
                }
            }
        }
        for (original, shown) in std::mem::take(&mut self.seen).finish() {
            self.on_seen(&original, &shown);
        }
        for delay in self.delays.finish() {
            self.on_delay(&delay);
        }
        Findings {
            psnr_y: self.mse.get().map(picture::psnr_of_mse),
            ssim: self.ssim.get(),
            compared: self.mse.count,
            ssim_seen: self.ssim_seen.get(),
            video_latency: self.latency.summary(),
            audio_delay: self.audio_delay.summary(),
            audio_confidence: self.confidence.get(),
            av_offset: self.av_offset.summary(),
            cpu: process::thread_cpu_time().unwrap_or_default(),
            skipped: 0,
        }
    }

    fn on_captured(&mut self, number: u64, buffer: Arc<I420Buffer>) {
        if let Some((original, shown)) = self.seen.captured(number, buffer) {
            self.on_seen(&original, &shown);
        }
    }

    fn on_all_captured(&mut self, captured: Vec<(u64, Arc<I420Buffer>)>) {
        for (number, buffer) in captured {
            self.on_captured(number, buffer);
        }
    }

    fn on_encoded(&mut self, id: FrameId, buffer: Arc<I420Buffer>) {
        if self.encoded.len() == KEPT_FRAMES {
            self.encoded.pop_front();
        }
        self.encoded.push_back((id, buffer));
    }

    fn on_rendered(&mut self, buffer: Arc<I420Buffer>, at: MediaTime) {
        let Some(stamp) = stamp::read(&buffer) else { return };
        match &mut self.clip {
            None => {
                self.on_sent(stamp, &buffer, at);
                self.on_shown(u64::from(stamp.id.0), buffer);
            }
            // Nobody here knows when it was captured.
            Some(clip) => {
                let Some(number) = clip.number(stamp.id, at) else { return };
                let captured = clip.captured(number);
                self.on_all_captured(captured);
                self.on_shown(number, buffer);
            }
        }
    }

    fn on_shown(&mut self, number: u64, buffer: Arc<I420Buffer>) {
        for (original, shown) in self.seen.shown(number, buffer) {
            self.on_seen(&original, &shown);
        }
    }

    fn on_seen(&mut self, original: &I420Buffer, shown: &I420Buffer) {
        if let Some(ssim) = picture::ssim_y(original, shown) {
            self.ssim_seen.add(ssim);
        }
    }

    /// A frame that was captured and sent here is shown.
    fn on_sent(&mut self, stamp: Stamp, buffer: &I420Buffer, at: MediaTime) {
        let latency = at.millis_after(stamp.at);
        self.latency.record(latency);
        if self.recent.len() == KEPT_LATENCIES {
            self.recent.pop_front();
        }
        self.recent.push_back((stamp.at, latency));
        // Frames are shown in the order of their ids; older ones that are still here were lost.
        while let Some((id, original)) = self.encoded.pop_front() {
            if id == stamp.id {
                self.compare(&original, buffer);
                break;
            }
            if id > stamp.id {
                self.encoded.push_front((id, original));
                break;
            }
        }
    }

    fn compare(&mut self, original: &I420Buffer, shown: &I420Buffer) {
        if let Some(mse) = picture::mse_y(original, shown) {
            self.mse.add(mse);
        }
        if self.mse.count.is_multiple_of(SSIM_EVERY)
            && let Some(ssim) = picture::ssim_y(original, shown)
        {
            self.ssim.add(ssim);
        }
    }

    /// Compares the sound's delay with those of the frames that were captured about when it was.
    fn on_delay(&mut self, delay: &DelaySample) {
        self.audio_delay.record(delay.delay_ms);
        self.latest_delay.set(delay.delay_ms);
        self.confidence.add(delay.confidence);
        for (captured_at, latency) in &self.recent {
            if captured_at.millis_after(delay.captured_at).abs() <= SAME_MOMENT_MS {
                self.av_offset.record((latency - delay.delay_ms).abs());
            }
        }
    }
}
