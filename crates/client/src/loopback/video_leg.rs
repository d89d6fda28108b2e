//! The video leg of a loopback call: source, outgoing pipeline, incoming pipeline, and what watches them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahoy_measure::seen::is_looked_at;
use ahoy_media::capture::{VideoFormat, VideoSourceSpec};
use ahoy_media::codec::{H264Decoder, H264Encoder, VideoEncoderConfig};
use ahoy_media::scale::Scaler;
use ahoy_media::slot::LatestSlot;
use ahoy_media_types::{Bitrate, FramePool, FrameSize, I420Buffer, MediaClock, MediaTime, VideoFrame};
use ahoy_rtc::{LocalTrack, LocalTrackStats, PeerStats, RemoteTrack};

use super::LoopbackError;
use super::config::{LoopbackConfig, Screen};
use super::meter::{Findings, MeterInput, Sample};
use super::report::VideoReport;
use crate::media::{
    Camera, Counters, DeviceState, Glance, Ledger, PictureRecording, SelfView, SendingStats, Totals, round,
};
use crate::pipeline::{
    EncodeTiming, FrameTiming, IncomingVideo, IncomingVideoStats, LipSync, OutgoingVideo, OutgoingVideoStats,
    TimedFrameSink, VideoOutput, VideoTap,
};
use crate::problem::Problem;
use crate::settings::SavePower;

/// How often the end of the drain is looked for: half a frame at 30 fps.
const DRAIN_TICK: Duration = Duration::from_millis(15);

/// The video leg while the call lasts.
pub(super) struct VideoLeg {
    clock: MediaClock,
    ledger: Ledger,
    camera: Camera,
    has_shown: bool,
    /// `None` where the other end sends.
    track: Option<LocalTrack>,
    outgoing: OutgoingVideo,
    recording: Option<PictureRecording>,
    captured: CapturedSize,
    remote: Remote,
}

/// The receiving half.
enum Remote {
    /// The other end has received nothing yet.
    Awaited { meter: MeterInput, sync: LipSync, screen: Screen },
    /// Pictures are rendered.
    Here(IncomingVideo),
}

impl VideoLeg {
    /// Makes the encoder and begins to open the source, which may take a camera a second. Without a track it is another
    /// program that sends, and the source is its.
    pub(super) fn start(
        source: &VideoSourceSpec,
        config: &LoopbackConfig,
        clock: MediaClock,
        track: Option<LocalTrack>,
        meter: MeterInput,
        sync: LipSync,
    ) -> Result<Self, LoopbackError> {
        let ledger = Ledger::default();
        let frames = LatestSlot::new();
        let mut camera = Camera::new(config.format, config.stamping, clock, frames.clone());
        let VideoFormat { size, rate } = config.format;
        let settings = VideoEncoderConfig { size, rate, bitrate: config.bitrate };
        let watch = match &config.screen {
            Screen::Measured => Watch::Meter(meter.clone()),
            Screen::Window(socket) => Watch::Window(Box::new(SelfView::new(socket))),
        };
        let captured = CapturedSize::default();
        if track.is_none() {
            *captured.lock() = Some(size);
        }
        let tap = SourceTap { ledger: ledger.clone(), captured: captured.clone(), watch };
        let encoder = Box::new(H264Encoder::new(settings)?);
        let tap = Some(Box::new(tap) as Box<dyn VideoTap>);
        let outgoing = OutgoingVideo::start(frames, encoder, settings, config.save_power, tap, clock)?;
        if let Some(track) = &track {
            camera.want(Some(source.clone()));
            outgoing.attach(track.clone());
        }
        let recording = match &config.record.video {
            Some(path) => Some(PictureRecording::create(path, rate)?),
            None => None,
        };
        Ok(Self {
            clock,
            ledger,
            camera,
            has_shown: false,
            track,
            outgoing,
            recording,
            captured,
            remote: Remote::Awaited { meter, sync, screen: config.screen.clone() },
        })
    }

    /// Starts to render what the other end receives.
    pub(super) fn attach(&mut self, track: RemoteTrack) -> Result<(), LoopbackError> {
        if let Remote::Awaited { meter, sync, screen } = &self.remote {
            let ledger = self.ledger.clone();
            let output = match screen {
                Screen::Measured => VideoOutput::Sink(Box::new(ScreenTap {
                    ledger,
                    meter: meter.clone(),
                    recording: self.recording.clone(),
                    captured: self.captured.clone(),
                    scaler: Scaler::new(),
                    pool: FramePool::new(),
                })),
                Screen::Window(socket) => {
                    VideoOutput::Window(Arc::clone(socket), Box::new(move |timing| ledger.rendered(timing)))
                }
            };
            let decoder = Box::new(H264Decoder::new(FramePool::new())?);
            let incoming = IncomingVideo::start(track, decoder, output, sync.clone(), self.clock)?;
            self.remote = Remote::Here(incoming);
        }
        Ok(())
    }

    pub(super) fn rendered_frames(&self) -> u64 {
        self.ledger.rendered_frames()
    }

    /// Takes note of what happened to the source since the last time.
    pub(super) async fn look_after(&mut self, problems: &mut Vec<Problem>) {
        if !self.has_shown && self.rendered_frames() > 0 {
            self.has_shown = true;
            tracing::info!("the first picture is shown");
        }
        self.camera.look(problems).await;
    }

    /// Has pictures come from another source, or none.
    pub(super) fn want(&mut self, source: Option<VideoSourceSpec>) {
        self.ledger.paused();
        self.camera.want(source);
    }

    /// Has pictures come in another size or at another rate. The source is opened anew; encoder and receiver follow the
    /// pictures.
    pub(super) fn want_picture(&mut self, format: VideoFormat, bitrate: Bitrate) {
        self.outgoing.set_most(bitrate);
        self.ledger.paused();
        self.camera.want_format(format);
    }

    /// Saves power by this choice from now on.
    pub(super) fn save_power(&self, choice: SavePower) {
        self.outgoing.set_save_power(choice);
    }

    /// Tries again to open what could not be opened.
    pub(super) fn retry(&mut self) {
        self.camera.retry();
    }

    /// How the source is.
    pub(super) fn device(&self) -> DeviceState {
        self.camera.state()
    }

    /// Adds what this leg counts.
    pub(super) fn count(&self, counters: &mut Counters) {
        counters.captured = self.camera.captured();
        counters.shown = self.rendered_frames();
        counters.encoded = self.outgoing.stats();
        counters.received = match &self.remote {
            Remote::Awaited { .. } => IncomingVideoStats::default(),
            Remote::Here(incoming) => incoming.stats(),
        };
        counters.video = self.track.as_ref().map(LocalTrack::stats);
        counters.sending =
            self.track.as_ref().map(|track| SendingStats::new(&track.known(), self.outgoing.decision()));
    }

    /// What happened to pictures since the last look.
    pub(super) fn glance(&self) -> Glance {
        self.ledger.look()
    }

    pub(super) fn size(&self) -> FrameSize {
        self.camera.format().size
    }

    /// Whether nothing can come from this leg.
    pub(super) fn has_no_source(&self) -> bool {
        self.camera.has_failed()
    }

    pub(super) async fn stop_source(&mut self, problems: &mut Vec<Problem>) {
        self.camera.close(problems).await;
    }

    /// Waits until every frame that was sent is rendered, at most for `limit`.
    pub(super) async fn drain(&mut self, limit: Duration) {
        let Some(track) = &self.track else { return };
        let ends_at = self.clock.now() + limit;
        while self.clock.now() < ends_at {
            let encoded = self.outgoing.stats().encoded;
            let sent = track.stats();
            if sent.frames_sent + sent.frames_discarded >= encoded
                && self.rendered_frames() >= sent.frames_sent
            {
                return;
            }
            tokio::time::sleep(DRAIN_TICK).await;
        }
    }

    /// Ends both pipelines and adds up.
    pub(super) fn finish(self, problems: &mut Vec<Problem>) -> VideoLegEnd {
        let encoded = self.outgoing.stats();
        drop(self.outgoing);
        let received = match self.remote {
            Remote::Awaited { .. } => IncomingVideoStats::default(),
            Remote::Here(incoming) => incoming.stop(),
        };
        if let Some(recording) = self.recording {
            recording.finish(problems);
        }
        VideoLegEnd {
            source: self.camera.name().to_owned(),
            size: self.camera.format().size,
            captured: self.camera.captured(),
            encoded,
            sent: self.track.as_ref().map(LocalTrack::stats),
            received,
            totals: self.ledger.take(),
        }
    }
}

/// What the leg leaves behind.
pub(super) struct VideoLegEnd {
    source: String,
    size: FrameSize,
    captured: u64,
    encoded: OutgoingVideoStats,
    sent: Option<LocalTrackStats>,
    received: IncomingVideoStats,
    totals: Totals,
}

impl VideoLegEnd {
    /// Whether any picture came from the source.
    pub(super) fn has_pictures(&self) -> bool {
        self.captured > 0
    }

    pub(super) fn first_packet(&self) -> Option<MediaTime> {
        self.received.first_packet_at
    }

    pub(super) fn first_decoded(&self) -> Option<MediaTime> {
        self.totals.first_decoded
    }

    /// `ended_at` is when the source stopped; `seconds` how long the call lasted; `stats` are the caller's.
    pub(super) fn report(
        self,
        findings: &Findings,
        ended_at: MediaTime,
        seconds: f64,
        stats: &PeerStats,
    ) -> VideoReport {
        let Self { source, size, captured, encoded, sent, received, totals } = self;
        let of_sent = |count: fn(&LocalTrackStats) -> u64| -> u64 { sent.as_ref().map_or(0, count) };
        let retransmitted = sent
            .as_ref()
            .and_then(|sent| stats.outbound.iter().find(|s| s.ssrc == sent.ssrc))
            .map_or(0, |s| s.packets_retransmitted);
        let packets_sent = of_sent(|sent| sent.packets_sent);
        let payload = of_sent(|sent| sent.payload_bytes_sent);
        let (fps, stages, rendered) = (totals.fps(), totals.stages(), totals.rendered);
        let decoded_latency = totals.decoded_latency.summary();
        let freezes = totals.freezes.finish(ended_at);
        VideoReport {
            source,
            width: size.width(),
            height: size.height(),
            frames_captured: captured,
            frames_encoded: encoded.encoded,
            frames_skipped: encoded.skipped,
            frames_sent: of_sent(|sent| sent.frames_sent),
            frames_received: received.frames_received,
            frames_decoded: received.frames_decoded,
            frames_rendered: rendered,
            fps: round(fps),
            saved_power: encoded.saving > 0,
            freezes: u64::from(freezes.count),
            freeze_ms: round(freezes.total.as_secs_f64() * 1e3),
            psnr_y_db: findings.psnr_y.map(round),
            ssim: findings.ssim.map(round_fine),
            ssim_seen: findings.ssim_seen.map(round_fine),
            frames_compared: findings.compared,
            bitrate_kbps: round(payload as f64 * 8.0 / 1000.0 / seconds.max(0.001)),
            latency_ms: findings.video_latency.into(),
            decoded_latency_ms: decoded_latency.into(),
            key_frames: encoded.key_frames,
            key_frame_requests: of_sent(|sent| sent.keyframe_requests),
            packets_sent,
            packets_received: received.packets_received,
            packets_lost: packets_sent.saturating_sub(received.packets_received),
            packets_retransmitted: retransmitted,
            stages_ms: stages,
        }
    }
}

/// SSIM near 1 differs in the fourth digit.
fn round_fine(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}

/// Watches frames on their way into the encoder and out of it.
struct SourceTap {
    ledger: Ledger,
    captured: CapturedSize,
    watch: Watch,
}

/// The size in which pictures are captured.
#[derive(Clone, Default)]
struct CapturedSize(Arc<Mutex<Option<FrameSize>>>);

impl CapturedSize {
    fn lock(&self) -> MutexGuard<'_, Option<FrameSize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who looks at one's own pictures.
enum Watch {
    Meter(MeterInput),
    Window(Box<SelfView>),
}

impl VideoTap for SourceTap {
    fn on_captured(&mut self, frame: &VideoFrame) {
        match &mut self.watch {
            Watch::Window(view) => view.show(frame),
            Watch::Meter(meter) if is_looked_at(u64::from(frame.id.0)) => {
                meter.give(Sample::Captured { id: frame.id, buffer: Arc::clone(&frame.buffer) });
            }
            Watch::Meter(_) => {}
        }
    }

    fn on_encoded(&mut self, frame: &VideoFrame, timing: EncodeTiming) {
        self.ledger.encoded(timing);
        *self.captured.lock() = Some(frame.size());
        if let Watch::Meter(meter) = &self.watch {
            meter.give(Sample::Encoded { id: frame.id, buffer: Arc::clone(&frame.buffer) });
        }
    }
}

/// Watches frames as they are shown, and records them.
struct ScreenTap {
    ledger: Ledger,
    meter: MeterInput,
    recording: Option<PictureRecording>,
    /// Pictures are shown in the size in which they were captured, whatever they were sent in, and so they are compared.
    captured: CapturedSize,
    scaler: Scaler,
    pool: FramePool,
}

impl ScreenTap {
    fn as_shown(&mut self, frame: &VideoFrame) -> Arc<I420Buffer> {
        let Some(size) = self.captured.lock().filter(|size| *size != frame.size()) else {
            return Arc::clone(&frame.buffer);
        };
        let mut shown = self.pool.take(size);
        self.scaler.fit(&frame.buffer, &mut shown);
        Arc::new(shown)
    }
}

impl TimedFrameSink for ScreenTap {
    fn present(&mut self, frame: &VideoFrame, timing: &FrameTiming) {
        self.ledger.rendered(timing);
        let buffer = self.as_shown(frame);
        self.meter.give(Sample::Rendered { buffer, at: timing.presented_at });
        if let Some(recording) = &self.recording {
            recording.add(frame, timing.presented_at);
        }
    }
}
