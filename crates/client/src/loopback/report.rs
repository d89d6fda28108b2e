//! The report of a loopback call: its fields, units and verdict.

use ahoy_congestion::SAVING_FPS;
use schemars::JsonSchema;
use serde::Serialize;

use super::config::{LoopbackConfig, Thresholds};
use crate::media::{PathReport, SpreadReport, StageReport};
use crate::problem::{Problem, ProblemCode};

/// Version of the JSON form; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What a loopback call was worth.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LoopbackReport {
    /// Version of this form.
    pub schema: u32,
    /// Whether the call was good: it connected, everything asked for took part, and no threshold was missed.
    pub ok: bool,
    /// What went wrong or fell short, in the order noticed; empty for a good call.
    pub problems: Vec<Problem>,
    /// Whether the call was ended before its time.
    pub cancelled: bool,
    /// How long the call lasted, in seconds.
    pub duration_s: f64,
    /// The route the packets took; null if the peers never connected.
    pub path: Option<PathReport>,
    /// How long each phase of call set-up took to be reached.
    pub setup_ms: SetupReport,
    /// The video leg; null in a call without video.
    pub video: Option<VideoReport>,
    /// The audio leg; null in a call without audio.
    pub audio: Option<AudioReport>,
    /// Delay of video minus delay of audio at each rendered frame, absolute, in milliseconds.
    pub av_offset_ms: SpreadReport,
    /// CPU that the whole process used, both ends together, without the metrics: 1.0 is one core.
    pub cpu_cores: f64,
    /// CPU that comparing pictures and correlating sound used, counted apart.
    pub metrics_cpu_cores: f64,
    /// Largest resident memory of the process in MB (10^6 bytes), metrics included.
    pub peak_rss_mb: f64,
    /// Threads of the process at the end of the call.
    pub threads: u64,
    /// Samples that the metrics could not keep up with; figures rest on the others.
    pub metrics_skipped: u64,
}

/// Milliseconds from the start of the call to each phase; null for one that was not reached.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct SetupReport {
    /// The offer is made and handed over.
    pub offer: Option<f64>,
    /// The answer is applied.
    pub answer: Option<f64>,
    /// Both ends know all their own addresses.
    pub gathered: Option<f64>,
    /// Both ends have found a path to each other.
    pub ice: Option<f64>,
    /// Both ends have agreed on keys.
    pub dtls: Option<f64>,
    /// Both ends are connected: ICE and DTLS done.
    pub connected: Option<f64>,
    /// The first media packet has arrived.
    pub first_packet: Option<f64>,
    /// The first video frame is decoded.
    pub first_frame: Option<f64>,
    /// The call is up: the first frame is decoded or, without pictures, the first audio packet has arrived.
    pub total: Option<f64>,
}

/// The video leg.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VideoReport {
    /// The source that was used, by name.
    pub source: String,
    /// Width of the sent pictures in pixels.
    pub width: u32,
    /// Height of the sent pictures in pixels.
    pub height: u32,
    /// Frames that the source gave.
    pub frames_captured: u64,
    /// Frames that the encoder turned into pictures.
    pub frames_encoded: u64,
    /// Frames that the encoder's rate control left out.
    pub frames_skipped: u64,
    /// Frames handed to the network.
    pub frames_sent: u64,
    /// Frames of which all packets arrived.
    pub frames_received: u64,
    /// Frames that were decoded.
    pub frames_decoded: u64,
    /// Frames that were shown.
    pub frames_rendered: u64,
    /// Rendered frames per second, from the first to the last.
    pub fps: f64,
    /// Whether power was saved at any time, for which there are fewer frames. For the verdict only.
    #[serde(skip)]
    pub saved_power: bool,
    /// Interruptions as W3C webrtc-stats `freezeCount` counts them.
    pub freezes: u64,
    /// Their total length in milliseconds (`totalFreezesDuration`).
    pub freeze_ms: f64,
    /// PSNR of rendered against captured luma in dB (of the mean squared error over all frames, as FFmpeg averages; at most
    /// 100), frame stamps left out.
    pub psnr_y_db: Option<f64>,
    /// SSIM of rendered against captured luma (mean, 1 is equal), frame stamps left out.
    pub ssim: Option<f64>,
    /// SSIM of what was on the screen against captured luma, over every seventh frame that the source gave: a frame that was
    /// not shown, whatever the reason, is compared with the one that stood still instead. From the first shown frame on.
    pub ssim_seen: Option<f64>,
    /// Frames that the picture quality rests on.
    pub frames_compared: u64,
    /// Bits of video payload sent per second, in kbit/s.
    pub bitrate_kbps: f64,
    /// Capture to rendering as read from the pixels, in milliseconds.
    pub latency_ms: SpreadReport,
    /// Capture to decoded, in milliseconds.
    pub decoded_latency_ms: SpreadReport,
    /// Key frames sent.
    pub key_frames: u64,
    /// Key frames that the receiver asked for.
    pub key_frame_requests: u64,
    /// RTP packets sent, without retransmissions.
    pub packets_sent: u64,
    /// RTP packets received, each counted once.
    pub packets_received: u64,
    /// Packets that never came, not even by retransmission.
    pub packets_lost: u64,
    /// Packets sent again on request.
    pub packets_retransmitted: u64,
    /// Time in each stage.
    pub stages_ms: StageReport,
}

/// The audio leg.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AudioReport {
    /// The source that was used, by name.
    pub source: String,
    /// Where the sound went.
    pub sink: String,
    /// Capture to heard, by correlating the two, in milliseconds.
    pub delay_ms: SpreadReport,
    /// Mean similarity of heard and captured sound at that delay, 0 to 1.
    pub correlation: Option<f64>,
    /// Concealed samples per heard sample (webrtc-stats `concealedSamples` over `totalSamplesReceived`).
    pub concealed_ratio: f64,
    /// Interruptions that had to be concealed.
    pub concealment_events: u64,
    /// Bits of audio payload sent per second, in kbit/s.
    pub bitrate_kbps: f64,
    /// Opus packets sent.
    pub packets_sent: u64,
    /// Opus packets that found the queue to the network full.
    pub packets_dropped: u64,
    /// Opus packets received.
    pub packets_received: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Mean delay that the jitter buffer held, in milliseconds.
    pub jitter_buffer_ms: f64,
    /// Times the speaker ran dry.
    pub underruns: u64,
}

impl LoopbackReport {
    /// The JSON Schema (2020-12) of the report.
    pub fn json_schema() -> String {
        let schema = schemars::schema_for!(LoopbackReport);
        serde_json::to_string_pretty(&schema).expect("a schema is plain JSON") + "\n"
    }

    /// Adds a problem for each threshold that was missed, and decides whether the call was good.
    pub(super) fn judge(&mut self, config: &LoopbackConfig) {
        let mut found = Vec::new();
        if self.setup_ms.connected.is_none() {
            // Nothing else can have gone well, and none of it is the cause.
            if !self.cancelled {
                self.problems.push(Problem::new(ProblemCode::NotConnected, NOT_CONNECTED));
            }
            self.ok = false;
            return;
        }
        self.judge_setup(&config.thresholds, &mut found);
        // What could not even be opened has been told.
        let is_told = |explains: fn(ProblemCode) -> bool| self.problems.iter().any(|p| explains(p.code));
        if let Some(video) = &self.video
            && !(video.frames_captured == 0 && is_told(ProblemCode::explains_no_pictures))
        {
            judge_video(video, config, &mut found);
        }
        if let Some(audio) = &self.audio
            && !(audio.packets_sent == 0 && is_told(ProblemCode::explains_no_sound))
        {
            judge_audio(audio, &config.thresholds, &mut found);
        }
        if let Some(p95) = self.av_offset_ms.p95.filter(|v| *v > config.thresholds.max_av_offset_p95_ms) {
            found.push(Problem::new(
                ProblemCode::LipSync,
                format!(
                    "Sound and picture were up to {p95:.0} ms apart; {:.0} ms is allowed.",
                    config.thresholds.max_av_offset_p95_ms
                ),
            ));
        }
        self.problems.append(&mut found);
        self.ok = self.problems.is_empty();
    }

    fn judge_setup(&self, limits: &Thresholds, found: &mut Vec<Problem>) {
        match self.setup_ms.total {
            Some(total) if total > limits.max_setup_ms => found.push(Problem::new(
                ProblemCode::SlowSetup,
                format!("The call took {total:.0} ms to come up; {:.0} ms is allowed.", limits.max_setup_ms),
            )),
            Some(_) => {}
            None => {
                found.push(Problem::new(ProblemCode::NoMedia, "The ends connected, but no media arrived."))
            }
        }
    }
}

/// Said when there was a report but no call.
const NOT_CONNECTED: &str = "The two ends never connected to each other: check that a firewall does not keep this computer \
                             from talking to itself, and that its loopback interface is up (ip link set lo up)";

fn judge_video(video: &VideoReport, config: &LoopbackConfig, found: &mut Vec<Problem>) {
    let limits = &config.thresholds;
    if video.frames_captured == 0 {
        found.push(Problem::new(ProblemCode::NoPictures, format!("No picture came from {}.", video.source)));
        return;
    }
    let delivered = video.frames_rendered as f64 / video.frames_sent.max(1) as f64;
    if delivered < limits.min_delivered_ratio {
        found.push(Problem::new(
            ProblemCode::FramesLost,
            format!(
                "{} of {} frames were shown ({:.1} %); at least {:.1} % is expected.",
                video.frames_rendered,
                video.frames_sent,
                delivered * 100.0,
                limits.min_delivered_ratio * 100.0
            ),
        ));
    }
    let rate = config.format.rate.as_f64();
    let wanted = limits.min_fps_ratio * if video.saved_power { rate.min(SAVING_FPS) } else { rate };
    if video.fps < wanted {
        found.push(Problem::new(
            ProblemCode::LowFrameRate,
            format!("{:.1} frames per second were shown; at least {wanted:.1} is expected.", video.fps),
        ));
    }
    if video.freezes > limits.max_freezes {
        found.push(Problem::new(
            ProblemCode::Freezes,
            format!(
                "The picture froze {} times, {:.0} ms in all; {} is allowed.",
                video.freezes, video.freeze_ms, limits.max_freezes
            ),
        ));
    }
    if let Some(psnr) = video.psnr_y_db.filter(|v| *v < limits.min_psnr_db) {
        found.push(Problem::new(
            ProblemCode::PoorPicture,
            format!("The picture's PSNR is {psnr:.1} dB; at least {:.1} dB is expected.", limits.min_psnr_db),
        ));
    }
    if let Some(p95) = video.latency_ms.p95.filter(|v| *v > limits.max_latency_p95_ms) {
        found.push(Problem::new(
            ProblemCode::HighLatency,
            format!(
                "Pictures took up to {p95:.0} ms from camera to screen; {:.0} ms is allowed.",
                limits.max_latency_p95_ms
            ),
        ));
    }
}

fn judge_audio(audio: &AudioReport, limits: &Thresholds, found: &mut Vec<Problem>) {
    if audio.packets_sent == 0 {
        found.push(Problem::new(ProblemCode::NoSound, format!("No sound came from {}.", audio.source)));
    }
    if audio.concealed_ratio > limits.max_concealed_ratio {
        found.push(Problem::new(
            ProblemCode::SoundGaps,
            format!(
                "{:.2} % of the sound had to be made up for missing packets; {:.2} % is allowed.",
                audio.concealed_ratio * 100.0,
                limits.max_concealed_ratio * 100.0
            ),
        ));
    }
}
