//! A test call that the window sees and hears.

use std::sync::Arc;

use ahoy_media::audio::{AudioSinkSpec, AudioSourceSpec, DeviceId};
use ahoy_media::capture::{CameraId, Stamping, VideoFormat, VideoSourceSpec};
use ahoy_media_types::{Bitrate, FrameRate, FrameSize};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::person_call::CallEnding;
use super::{DeskEvent, DeskListener};
use crate::loopback::{
    CallCommand, CallSnapshot, DirectPath, LoopbackConfig, LoopbackReport, Progress, Screen, run_controlled,
};
use crate::picture_socket::PictureSocket;
use crate::problem::{Problem, ProblemCode};
use crate::settings::{PictureSize, Settings};

/// Commands waiting for the call, which takes them at once. When it is full the window waits.
const COMMANDS: usize = 16;

/// What a test call was worth, in a few figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallSummary {
    /// With whom it was, and how it ended; null for a test call.
    pub with: Option<CallEnding>,
    /// How long it lasted.
    pub seconds: f64,
    /// Whether nothing went wrong or fell short.
    pub ok: bool,
    /// What did, in the order noticed.
    pub problems: Vec<Problem>,
    /// From the start to the first picture or, without pictures, the first sound.
    pub setup_ms: Option<f64>,
    /// Pictures shown each second; null without pictures.
    pub fps: Option<f64>,
    /// Times that the picture stood still.
    #[cfg_attr(feature = "bindings", ts(type = "number | null"))]
    pub freezes: Option<u64>,
    /// From capture to visible, the median.
    pub latency_ms: Option<f64>,
    /// In the decoder, the median; where the window decodes, from here until it has drawn.
    pub decode_ms: Option<f64>,
    /// The same, the 95th percentile.
    pub decode_p95_ms: Option<f64>,
    /// From the microphone to the speaker, the median.
    pub audio_delay_ms: Option<f64>,
    /// Payload of the pictures.
    pub bitrate_kbps: Option<f64>,
}

impl From<LoopbackReport> for CallSummary {
    fn from(report: LoopbackReport) -> Self {
        let video = report.video.filter(|video| video.frames_rendered > 0);
        Self {
            with: None,
            seconds: report.duration_s,
            ok: report.ok,
            problems: report.problems,
            setup_ms: report.setup_ms.total,
            fps: video.as_ref().map(|video| video.fps),
            freezes: video.as_ref().map(|video| video.freezes),
            latency_ms: video.as_ref().and_then(|video| video.decoded_latency_ms.p50),
            decode_ms: video.as_ref().and_then(|video| video.stages_ms.decode.p50),
            decode_p95_ms: video.as_ref().and_then(|video| video.stages_ms.decode.p95),
            audio_delay_ms: report.audio.and_then(|audio| audio.delay_ms.p50),
            bitrate_kbps: video.map(|video| video.bitrate_kbps),
        }
    }
}

/// The camera that was chosen.
pub(super) fn camera(settings: &Settings) -> VideoSourceSpec {
    VideoSourceSpec::Camera(settings.camera.as_deref().map(CameraId::new))
}

/// The microphone that was chosen.
pub(super) fn microphone(settings: &Settings) -> AudioSourceSpec {
    AudioSourceSpec::Microphone(settings.microphone.as_deref().and_then(DeviceId::new))
}

/// The speaker that was chosen.
pub(super) fn speaker(settings: &Settings) -> AudioSinkSpec {
    AudioSinkSpec::Speaker(settings.speaker.as_deref().and_then(DeviceId::new))
}

/// Size and rate asked of the camera.
pub(super) fn format(settings: &Settings) -> VideoFormat {
    let size = match settings.picture {
        PictureSize::P360 => FrameSize::new(640, 360),
        PictureSize::P720 => FrameSize::new(1280, 720),
        PictureSize::P1080 => FrameSize::new(1920, 1080),
    };
    VideoFormat { size: size.unwrap_or(FrameSize::HD), rate: FrameRate::FPS_30 }
}

/// The bitrate at which a picture of that size looks good.
pub(super) fn bitrate(size: PictureSize) -> Bitrate {
    let kbps = match size {
        PictureSize::P360 => 700,
        PictureSize::P720 => 1_500,
        PictureSize::P1080 => 3_000,
    };
    Bitrate::from_kbps(kbps).unwrap_or(Bitrate::HD_VIDEO)
}

/// A running test call.
pub(super) struct TestCall {
    commands: mpsc::Sender<CallCommand>,
    task: JoinHandle<CallSummary>,
    camera_on: bool,
}

impl TestCall {
    /// Starts it, which is told at once. Whatever happens, [`DeskEvent::Ended`] is told at its end.
    pub(super) fn start(
        settings: Settings,
        socket: &Arc<PictureSocket>,
        stamping: Stamping,
        listener: DeskListener,
    ) -> Self {
        let config = LoopbackConfig {
            duration: None,
            video: Some(camera(&settings)),
            format: format(&settings),
            bitrate: bitrate(settings.picture),
            save_power: settings.save_power,
            audio: Some(microphone(&settings)),
            speaker: speaker(&settings),
            stamping,
            screen: Screen::Window(Arc::clone(socket)),
            ..LoopbackConfig::default()
        };
        listener(DeskEvent::Call(CallSnapshot::beginning()));
        let (commands, commands_rx) = mpsc::channel(COMMANDS);
        let task = tokio::spawn(async move {
            let told = Arc::clone(&listener);
            let on_progress = move |progress| match progress {
                Progress::Changed(snapshot) => told(DeskEvent::Call(*snapshot)),
                Progress::Stats(stats) => told(DeskEvent::Stats(*stats)),
                Progress::Connecting | Progress::Running { .. } | Progress::Ending => {}
            };
            let summary = match run_controlled(&config, &mut DirectPath, commands_rx, on_progress).await {
                Ok(report) => report.into(),
                Err(error) => {
                    tracing::warn!(%error, "there was no test call");
                    let problem = Problem::new(ProblemCode::CallFailed, error.to_string());
                    CallSummary { problems: vec![problem], ..CallSummary::default() }
                }
            };
            listener(DeskEvent::Ended(summary.clone()));
            summary
        });
        Self { commands, task, camera_on: true }
    }

    pub(super) fn is_running(&self) -> bool {
        !self.task.is_finished()
    }

    pub(super) async fn tell(&mut self, command: CallCommand) {
        if let CallCommand::Video(source) = &command {
            self.camera_on = source.is_some();
        }
        // A call that has just ended by itself has said so.
        let _ = self.commands.send(command).await;
    }

    /// Goes over to the devices, the picture size and the way to save power that were chosen anew.
    pub(super) async fn follow(&mut self, before: &Settings, now: &Settings) {
        if before.picture != now.picture {
            self.tell(CallCommand::Picture(format(now), bitrate(now.picture))).await;
        }
        if before.save_power != now.save_power {
            self.tell(CallCommand::SavePower(now.save_power)).await;
        }
        if before.camera != now.camera && self.camera_on {
            self.tell(CallCommand::Video(Some(camera(now)))).await;
        }
        if before.microphone != now.microphone {
            self.tell(CallCommand::Microphone(microphone(now))).await;
        }
        if before.speaker != now.speaker {
            self.tell(CallCommand::Speaker(speaker(now))).await;
        }
    }

    /// Ends it, if it has not ended by itself; returns what it was worth when all devices are let go.
    pub(super) async fn hang_up(mut self) -> Option<CallSummary> {
        self.tell(CallCommand::HangUp).await;
        let ended = self.task.await;
        ended.inspect_err(|error| tracing::error!(%error, "the test call had panicked")).ok()
    }
}
