//! What a loopback call is asked to do, and what makes it a good one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ahoy_media::audio::{AudioSinkSpec, AudioSourceSpec};
use ahoy_media::capture::{Stamping, VideoFormat, VideoSourceSpec};
use ahoy_media::codec::OpusFrameDuration;
use ahoy_media_types::{Bitrate, FrameRate, FrameSize};
use ahoy_rtc::Uplink;

use crate::picture_socket::PictureSocket;
use crate::settings::SavePower;

/// Everything that can be chosen about a loopback call.
#[derive(Clone, Debug)]
pub struct LoopbackConfig {
    /// How long media flows, counted from when the ends are connected; `None` lets it flow until the call is hung up, and
    /// goes on even when no source is left.
    pub duration: Option<Duration>,
    /// Where pictures come from; `None` makes a call without video.
    pub video: Option<VideoSourceSpec>,
    /// Size and rate asked of the video source.
    pub format: VideoFormat,
    /// Video bitrate.
    pub bitrate: Bitrate,
    /// Whether pictures are smaller and fewer to save power. By default they never are, so that calls which are measured are
    /// alike on all machines.
    pub save_power: SavePower,
    /// Where sound comes from; `None` makes a call without audio.
    pub audio: Option<AudioSourceSpec>,
    /// Where the received sound goes.
    pub speaker: AudioSinkSpec,
    /// Time that one Opus packet covers.
    pub audio_packet: OpusFrameDuration,
    /// Whether pictures carry their number and capture time as cells, which people would see.
    pub stamping: Stamping,
    /// Where the received pictures are shown.
    pub screen: Screen,
    /// Files that what was rendered is written to.
    pub record: Recording,
    /// Whether the call begins as on a path of which nothing is known, instead of at the full rate.
    pub unknown_path: bool,
    /// What else leaves this machine gives way to the call where it has the same one.
    pub uplink: Uplink,
    /// What the report's verdict is measured against.
    pub thresholds: Thresholds,
}

impl Default for LoopbackConfig {
    fn default() -> Self {
        Self {
            duration: Some(Duration::from_secs(10)),
            video: Some(VideoSourceSpec::Pattern),
            format: VideoFormat { size: FrameSize::HD, rate: FrameRate::FPS_30 },
            bitrate: Bitrate::HD_VIDEO,
            save_power: SavePower::Never,
            audio: Some(AudioSourceSpec::Chirps),
            speaker: AudioSinkSpec::Null,
            audio_packet: OpusFrameDuration::default(),
            stamping: Stamping::On,
            screen: Screen::Measured,
            record: Recording::default(),
            unknown_path: false,
            uplink: Uplink::default(),
            thresholds: Thresholds::default(),
        }
    }
}

/// Where the received pictures of a loopback call are shown.
#[derive(Clone, Debug)]
pub enum Screen {
    /// Decoded in this program, compared with what was captured, and recorded if that is asked for.
    Measured,
    /// In the window, together with one's own. They are neither compared nor recorded.
    Window(Arc<PictureSocket>),
}

/// Where a recording of the received side goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Rendered pictures as uncompressed YUV4MPEG2.
    pub video: Option<PathBuf>,
    /// Heard sound as WAV.
    pub audio: Option<PathBuf>,
}

impl Recording {
    /// Reads the one path a user gives: `x.y4m` records pictures, `x.wav` sound, anything else both, as `x.y4m` and
    /// `x.wav`.
    pub fn at(path: PathBuf) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("y4m") => Self { video: Some(path), audio: None },
            Some("wav") => Self { video: None, audio: Some(path) },
            Some(_) | None => {
                let with = |extension: &str| {
                    let mut name = path.clone().into_os_string();
                    name.push(extension);
                    Some(PathBuf::from(name))
                };
                Self { video: with(".y4m"), audio: with(".wav") }
            }
        }
    }
}

/// Limits inside which a call counts as good. The defaults are loose enough for a loaded laptop and tight enough that
/// a person would call the result a good call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Rendered frames per frame sent, at least (0 to 1).
    pub min_delivered_ratio: f64,
    /// Rendered frames per second relative to the rate asked for, or to that with which power is saved, at least (0 to 1).
    pub min_fps_ratio: f64,
    /// Freezes (W3C webrtc-stats definition), at most.
    pub max_freezes: u64,
    /// PSNR of the luma plane in dB, at least.
    pub min_psnr_db: f64,
    /// 95th percentile of the time from capture to rendering in milliseconds, at most.
    pub max_latency_p95_ms: f64,
    /// Concealed share of the heard samples, at most (0 to 1).
    pub max_concealed_ratio: f64,
    /// 95th percentile of |video delay - audio delay| in milliseconds, at most.
    pub max_av_offset_p95_ms: f64,
    /// Time from the start of the call to the first decoded frame in milliseconds, at most.
    pub max_setup_ms: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            min_delivered_ratio: 0.98,
            min_fps_ratio: 0.9,
            max_freezes: 0,
            min_psnr_db: 28.0,
            max_latency_p95_ms: 150.0,
            max_concealed_ratio: 0.02,
            // ITU-R BT.1359-1: offsets up to 125 ms (sound late) and 45 ms (sound early) are not detected by viewers.
            max_av_offset_p95_ms: 125.0,
            max_setup_ms: 3000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_names_the_recordings() {
        let paths = |text: &str| {
            let r = Recording::at(PathBuf::from(text));
            let text = |p: Option<PathBuf>| p.map(|p| p.display().to_string());
            (text(r.video), text(r.audio))
        };
        assert_eq!(paths("a.y4m"), (Some("a.y4m".into()), None));
        assert_eq!(paths("a.wav"), (None, Some("a.wav".into())));
        assert_eq!(paths("d/take.1"), (Some("d/take.1.y4m".into()), Some("d/take.1.wav".into())));
    }
}
