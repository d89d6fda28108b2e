//! What a call was worth, as this side saw it.

use std::time::Duration;

use ahoy_call::{CallRecord, Direction, Outcome};
use ahoy_measure::process;
use ahoy_media_types::MediaTime;
use ahoy_rtc::{LocalTrackStats, Path, PeerStats, Phase};
use ahoy_signal::{CallId, Handle, Name};
use schemars::JsonSchema;
use serde::Serialize;

use super::media::Media;
use crate::media::{PathReport, SpreadReport, round};
use crate::problem::Problem;

/// Version of the JSON form; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What a call was worth, as this side saw it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CallReport {
    /// Version of this form.
    pub schema: u32,
    /// Whether both sides were connected, and nothing went wrong on this one.
    pub ok: bool,
    /// What went wrong, in the order noticed.
    pub problems: Vec<Problem>,
    /// From when the call was made or taken here to its end, in seconds.
    pub duration_s: f64,
    /// The route the packets took last; null if the two never connected.
    pub path: Option<PathReport>,
    /// How long each phase took to be reached, from when the call was made or taken here.
    pub setup_ms: CallSetup,
    /// What was sent.
    pub sent: SentReport,
    /// What came.
    pub received: ReceivedReport,
    /// CPU that the whole process used: 1.0 is one core.
    pub cpu_cores: f64,
    /// Largest resident memory of the process in MB (10^6 bytes).
    pub peak_rss_mb: f64,
}

/// Milliseconds from when the call was made or taken here to each phase; null for one that was not reached. A caller's
/// include the ringing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct CallSetup {
    /// It was answered.
    pub answered: Option<f64>,
    /// All own addresses are known.
    pub gathered: Option<f64>,
    /// A path to the other side is found.
    pub ice: Option<f64>,
    /// Keys are agreed on: media can flow.
    pub dtls: Option<f64>,
    /// The first packet has come.
    pub first_packet: Option<f64>,
    /// The first picture is decoded, or was given to the window's decoder.
    pub first_frame: Option<f64>,
}

/// What was sent.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct SentReport {
    /// Where pictures came from, by name; empty if the camera was never on.
    pub camera: String,
    /// Where sound came from, by name.
    pub microphone: String,
    /// Frames that the camera gave.
    pub frames_captured: u64,
    /// Frames handed to the network.
    pub frames: u64,
    /// Key frames encoded.
    pub key_frames: u64,
    /// Key frames that the other side asked for.
    pub key_frame_requests: u64,
    /// Packets of pictures, without retransmissions.
    pub video_packets: u64,
    /// Bits of pictures per second while the call was connected, in kbit/s.
    pub video_kbps: f64,
    /// Packets of sound.
    pub audio_packets: u64,
    /// Bits of sound per second while the call was connected, in kbit/s.
    pub audio_kbps: f64,
}

/// What came.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ReceivedReport {
    /// Where the sound went, by name.
    pub speaker: String,
    /// Frames of which all packets came.
    pub frames: u64,
    /// Frames that were shown.
    pub frames_shown: u64,
    /// Frames that carried their number, as test pictures do.
    pub frames_numbered: u64,
    /// Of those, how many came after one with a higher number.
    pub frames_out_of_order: u64,
    /// Frames per second, from the first to the last.
    pub fps: f64,
    /// Interruptions as W3C webrtc-stats `freezeCount` counts them.
    pub freezes: u64,
    /// Their total length in milliseconds (`totalFreezesDuration`).
    pub freeze_ms: f64,
    /// Packets of pictures, each counted once.
    pub video_packets: u64,
    /// From the last packet's arrival to shown, in milliseconds.
    pub arrived_to_shown_ms: SpreadReport,
    /// Packets of sound.
    pub audio_packets: u64,
    /// The longest time without a packet of sound, in milliseconds, between the first and the last.
    pub longest_silence_ms: f64,
    /// Concealed samples per heard sample (webrtc-stats `concealedSamples` over `totalSamplesReceived`).
    pub concealed_ratio: f64,
    /// Mean delay that the jitter buffer of the sound held, in milliseconds.
    pub jitter_buffer_ms: f64,
}

impl CallReport {
    /// The JSON Schema (2020-12) of the report.
    pub fn json_schema() -> String {
        let schema = schemars::schema_for!(CallReport);
        serde_json::to_string_pretty(&schema).expect("a schema is plain JSON") + "\n"
    }
}

/// A call that is over, for the history.
#[derive(Clone, Debug, Serialize)]
pub struct EndedCall {
    /// Which.
    pub call: CallId,
    /// With whom.
    pub handle: Handle,
    /// What they are called.
    pub name: Name,
    /// Who called.
    pub direction: Direction,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// For how long it rang, or was tried, in seconds.
    pub rang_s: f64,
    /// For how long both were in it, in seconds; null where it was not answered.
    pub answered_s: Option<f64>,
    /// All of it, for the history.
    #[serde(skip)]
    pub record: CallRecord,
}

impl From<CallRecord> for EndedCall {
    fn from(record: CallRecord) -> Self {
        Self {
            call: record.call,
            handle: record.peer.handle.clone(),
            name: record.peer.name.clone(),
            direction: record.direction,
            outcome: record.outcome,
            rang_s: round(record.rang_for.as_secs_f64()),
            answered_s: record.answered_for.map(|time| round(time.as_secs_f64())),
            record,
        }
    }
}

/// What went out on a track, if there was one.
#[derive(Default)]
struct Sent {
    frames: u64,
    packets: u64,
    bytes: u64,
    keyframe_requests: u64,
}

impl Sent {
    fn of(stats: &LocalTrackStats) -> Self {
        Self {
            frames: stats.frames_sent,
            packets: stats.packets_sent,
            bytes: stats.payload_bytes_sent,
            keyframe_requests: stats.keyframe_requests,
        }
    }
}

/// When what was reached, while the call lasts.
#[derive(Debug, Default)]
pub(super) struct Milestones {
    setup: CallSetup,
    connected_at: Option<MediaTime>,
    pub(super) path: Option<Path>,
    pub(super) stats: PeerStats,
    cpu_before: Duration,
}

impl Milestones {
    pub(super) fn begin() -> Self {
        Self { cpu_before: process::cpu_time().unwrap_or_default(), ..Self::default() }
    }

    pub(super) fn answered(&mut self, at: MediaTime) {
        self.setup.answered.get_or_insert(round(at.as_millis_f64()));
    }

    pub(super) fn phase(&mut self, phase: Phase, at: MediaTime) {
        let reached = match phase {
            Phase::Gathered => &mut self.setup.gathered,
            Phase::IceConnected => &mut self.setup.ice,
            Phase::DtlsConnected => {
                self.connected_at.get_or_insert(at);
                &mut self.setup.dtls
            }
        };
        reached.get_or_insert(round(at.as_millis_f64()));
    }

    /// When media could flow for the first time.
    pub(super) fn connected_at(&self) -> Option<MediaTime> {
        self.connected_at
    }

    /// Adds up a call whose devices are closed. Waits for threads.
    pub(super) fn report(self, media: Media) -> CallReport {
        let ended_at = media.clock.now();
        let lasted = ended_at.as_secs_f64().max(0.001);
        let connected = self.connected_at.map_or(0.0, |at| ended_at.since(at).as_secs_f64()).max(0.001);
        let kbps = |bytes: u64| round(bytes as f64 * 8.0 / 1000.0 / connected);
        let since_start = |at: MediaTime| round(at.as_millis_f64());
        let counters = media.count();
        let totals = media.shown.take();
        let [camera, microphone, speaker] = media.names();
        let (numbered, out_of_order) = media.stamped.counts();
        let video = counters.video.as_ref().map(Sent::of).unwrap_or_default();
        let audio = counters.audio.as_ref().map(Sent::of).unwrap_or_default();
        let first_packet = media.first_packets().into_iter().flatten().min().map(since_start);
        let (first_frame, fps) = (totals.first_decoded.map(since_start), round(totals.fps()));
        let (shown, arrived_to_shown) = (totals.rendered, totals.arrived_to_shown());
        let freezes = totals.freezes.finish(ended_at);
        let sound = counters.sound;
        let longest_silence = media.longest_silence();
        let problems = media.finish();
        let cpu = process::cpu_time().unwrap_or_default().saturating_sub(self.cpu_before);
        let peak = process::usage().map_or(0, |usage| usage.peak_rss_bytes);
        CallReport {
            schema: SCHEMA_VERSION,
            ok: problems.is_empty() && self.connected_at.is_some(),
            problems,
            duration_s: round(ended_at.as_secs_f64()),
            path: self.path.as_ref().map(|path| PathReport::new(path, &self.stats)),
            setup_ms: CallSetup { first_packet, first_frame, ..self.setup },
            sent: SentReport {
                camera,
                microphone,
                frames_captured: counters.captured,
                frames: video.frames,
                key_frames: counters.encoded.key_frames,
                key_frame_requests: video.keyframe_requests,
                video_packets: video.packets,
                video_kbps: kbps(video.bytes),
                audio_packets: audio.packets,
                audio_kbps: kbps(audio.bytes),
            },
            received: ReceivedReport {
                speaker,
                frames: counters.received.frames_received,
                frames_shown: shown,
                frames_numbered: numbered,
                frames_out_of_order: out_of_order,
                fps,
                freezes: u64::from(freezes.count),
                freeze_ms: round(freezes.total.as_secs_f64() * 1e3),
                video_packets: counters.received.packets_received,
                arrived_to_shown_ms: arrived_to_shown,
                audio_packets: sound.packets_received,
                longest_silence_ms: round(longest_silence.as_secs_f64() * 1e3),
                concealed_ratio: round(sound.concealed_ratio()),
                jitter_buffer_ms: round(sound.mean_delay().as_secs_f64() * 1e3),
            },
            cpu_cores: round(cpu.as_secs_f64() / lasted),
            peak_rss_mb: round(peak as f64 / 1e6),
        }
    }
}
