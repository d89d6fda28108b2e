//! Live figures of a call, made of counters.

use std::time::Duration;

use ahoy_measure::process;
use ahoy_media::playout::AudioJitterStats;
use ahoy_media_types::MediaTime;
use ahoy_rtc::LocalTrackStats;
use serde::Serialize;

use super::sending::SendingStats;
use super::ways::WaysStats;
use crate::pipeline::{IncomingVideoStats, OutgoingVideoStats};

/// Figures of the last moments, for people to look at: see the report for what a call was worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallStats {
    /// Milliseconds since the ends connected.
    pub at_ms: f64,
    /// Pictures.
    pub video: VideoStats,
    /// Sound.
    pub audio: AudioStats,
    /// The way between the two ends.
    pub network: NetworkStats,
    /// What may be sent, and what is; null before there is a connection.
    pub sending: Option<SendingStats>,
    /// The ways there are between them.
    pub ways: WaysStats,
    /// Milliseconds from stage to stage, the median since the figures before; null where nothing came through.
    pub stages_ms: StageStats,
    /// CPU of this process: 100 is one core.
    pub cpu_percent: f64,
    /// Resident memory of this process in MB (10^6 bytes).
    pub memory_mb: f64,
}

/// Pictures per second at each stage, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct VideoStats {
    /// From the camera.
    pub fps_captured: f64,
    /// Through the encoder.
    pub fps_encoded: f64,
    /// Into the network.
    pub fps_sent: f64,
    /// Out of it, whole.
    pub fps_received: f64,
    /// Through the decoder, or to the window's.
    pub fps_decoded: f64,
    /// Visible.
    pub fps_shown: f64,
    /// Payload sent.
    pub bitrate_kbps: f64,
    /// Asked of the camera.
    pub width: u32,
    /// Asked of the camera.
    pub height: u32,
    /// From capture to visible, the median since the figures before.
    pub latency_ms: Option<f64>,
    /// Freezes so far, as webrtc-stats counts them.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub freezes: u64,
    /// How long they lasted together.
    pub freeze_ms: f64,
}

/// Sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct AudioStats {
    /// Payload sent.
    pub bitrate_kbps: f64,
    /// From the microphone to the speaker, of the sound recognised last.
    pub delay_ms: Option<f64>,
    /// Share of the last sound that was made up because packets were missing.
    pub concealed_percent: f64,
    /// Loudest sample from the microphone since the figures before, 0.0 to 1.0.
    pub level_in: f32,
    /// Loudest sample to the speaker.
    pub level_out: f32,
}

/// The way between the two ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct NetworkStats {
    /// Packets lost of those sent, as the receiver reports.
    pub loss_percent: f64,
    /// Jitter of the sound's packets (RFC 3550 section 6.4.1).
    pub jitter_ms: f64,
    /// There and back.
    pub round_trip_ms: Option<f64>,
}

/// Milliseconds from stage to stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct StageStats {
    /// From capture to the encoder.
    pub capture_to_encode: Option<f64>,
    /// In the encoder.
    pub encode: Option<f64>,
    /// From the encoder to the last packet's arrival.
    pub network: Option<f64>,
    /// In the jitter buffer.
    pub jitter_buffer: Option<f64>,
    /// In the decoder; of the window, until it has drawn.
    pub decode: Option<f64>,
    /// Waiting to be shown.
    pub show: Option<f64>,
}

/// Counters at one moment.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    pub(crate) captured: u64,
    pub(crate) shown: u64,
    pub(crate) encoded: OutgoingVideoStats,
    pub(crate) received: IncomingVideoStats,
    pub(crate) video: Option<LocalTrackStats>,
    pub(crate) audio: Option<LocalTrackStats>,
    pub(crate) sound: AudioJitterStats,
    pub(crate) sending: Option<SendingStats>,
}

/// Makes rates of counters.
pub(crate) struct Rates {
    at: MediaTime,
    cpu: Duration,
    before: Counters,
}

impl Rates {
    pub(crate) fn new(now: MediaTime) -> Self {
        Self { at: now, cpu: process::cpu_time().unwrap_or_default(), before: Counters::default() }
    }

    /// The figures since the last time. What does not come from counters is left as it is by default.
    pub(crate) fn next(&mut self, now: MediaTime, counters: Counters) -> CallStats {
        let cpu = process::cpu_time().unwrap_or_default();
        let seconds = now.since(self.at).as_secs_f64().max(0.001);
        let before = std::mem::replace(&mut self.before, counters);
        let (now_c, rate) =
            (&self.before, |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds);
        let sent = |stats: &Option<LocalTrackStats>| {
            stats.as_ref().map_or((0, 0), |s| (s.frames_sent, s.payload_bytes_sent))
        };
        let ((frames, video_bytes), (frames_before, video_bytes_before)) =
            (sent(&now_c.video), sent(&before.video));
        let ((_, audio_bytes), (_, audio_bytes_before)) = (sent(&now_c.audio), sent(&before.audio));
        let kbps = |now: u64, before: u64| rate(now, before) * 8.0 / 1000.0;
        let samples = now_c.sound.total_samples.saturating_sub(before.sound.total_samples);
        let concealed = now_c.sound.concealed_samples.saturating_sub(before.sound.concealed_samples);
        let tracks = [&now_c.video, &now_c.audio];
        let losses = tracks.into_iter().flatten().map(|track| track.fraction_lost);
        let round_trip = tracks.into_iter().flatten().find_map(|track| track.round_trip);
        let cpu_used = cpu.saturating_sub(self.cpu).as_secs_f64();
        let stats = CallStats {
            at_ms: 0.0,
            video: VideoStats {
                fps_captured: rate(now_c.captured, before.captured),
                fps_encoded: rate(now_c.encoded.encoded, before.encoded.encoded),
                fps_sent: rate(frames, frames_before),
                fps_received: rate(now_c.received.frames_received, before.received.frames_received),
                fps_decoded: rate(now_c.received.frames_decoded, before.received.frames_decoded),
                fps_shown: rate(now_c.shown, before.shown),
                bitrate_kbps: kbps(video_bytes, video_bytes_before),
                ..VideoStats::default()
            },
            audio: AudioStats {
                bitrate_kbps: kbps(audio_bytes, audio_bytes_before),
                concealed_percent: concealed as f64 * 100.0 / samples.max(1) as f64,
                ..AudioStats::default()
            },
            network: NetworkStats {
                loss_percent: losses.fold(0.0, f64::max) * 100.0,
                jitter_ms: now_c.sound.jitter.as_secs_f64() * 1e3,
                round_trip_ms: round_trip.map(|time| time.as_secs_f64() * 1e3),
            },
            sending: now_c.sending.clone(),
            ways: WaysStats::default(),
            stages_ms: StageStats::default(),
            cpu_percent: cpu_used / seconds * 100.0,
            memory_mb: process::usage().map_or(0.0, |usage| usage.rss_bytes as f64 / 1e6),
        };
        (self.at, self.cpu) = (now, cpu);
        stats
    }
}
