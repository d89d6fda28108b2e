//! The loopback call: Ahoy calling itself through two real PeerConnections.
//!
//! The caller captures and sends; the callee, in the same process, receives and renders. Everything between the two is
//! what a call between two people uses: codecs, UDP sockets, ICE, DTLS-SRTP, jitter buffers, playout. Because both ends
//! share a clock, what arrives can be compared with what left: see [`LoopbackReport`].
//!
//! [`run_one`] makes one of the two ends alone, for a bench in which the other is another program's.

mod audio_leg;
mod config;
mod end;
mod live;
mod meter;
mod played_clip;
mod report;
mod session;
mod video_leg;

use std::path::PathBuf;
use std::time::Duration;

use ahoy_measure::process;
use ahoy_media_types::{Bitrate, MediaClock, MediaTime};
use tokio::sync::{mpsc, watch};

pub use ahoy_congestion::{Cause, Reason};
pub use config::{LoopbackConfig, Recording, Screen, Thresholds};
pub use end::OtherEnd;
pub use live::{CallPhase, CallSnapshot};
pub use report::{AudioReport, LoopbackReport, SCHEMA_VERSION, SetupReport, VideoReport};
pub use session::{DirectPath, Side, SignalPath};

pub use crate::media::{
    AddressKind, AddressStats, AudioStats, CallStats, DeviceStanding, DeviceState, NetworkStats, PathReport,
    RecordingError, SendingStats, SentPicture, SpreadReport, StageReport, StageStats, VideoStats, WayStats,
    WaysStats,
};
pub use crate::problem::{Problem, ProblemCode};

pub use ahoy_rtc::Signal;

use ahoy_media::audio::{AudioSinkSpec, AudioSourceSpec};
use ahoy_media::capture::{VideoFormat, VideoSourceSpec};
use ahoy_media::y4m::Y4mError;

use crate::media::Rates;
use crate::settings::SavePower;
use end::Ends;
use session::Session;

/// How long the two ends may take to connect. Loopback needs a tenth of a second; ICE gives up after half a minute.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long frames that are on their way when the source stops may take to arrive.
const DRAIN: Duration = Duration::from_millis(500);
/// How often progress is told and ends are looked for.
const TICK: Duration = Duration::from_millis(100);

/// Figures are told every so many ticks: twice a second.
const STATS_TICKS: u32 = 5;
/// Commands waiting for the call, which takes them at once. When it is full whoever commands waits.
const COMMANDS: usize = 16;

/// How far a loopback call is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Devices are being opened and the two ends connected.
    Connecting,
    /// Media flows.
    Running {
        /// Since the ends connected.
        elapsed: Duration,
        /// Frames rendered so far.
        frames: u64,
    },
    /// The source has stopped; what is on its way is waited for.
    Ending,
    /// Something about the call has changed: this is how it is now.
    Changed(Box<CallSnapshot>),
    /// The figures of the last half second.
    Stats(Box<CallStats>),
}

/// Why there was no call at all. Whatever a call can go on without is a [`Problem`] in the report instead.
#[derive(Debug, thiserror::Error)]
pub enum LoopbackError {
    /// Neither video nor audio was asked for.
    #[error("there is nothing to send: choose a video or an audio source")]
    NothingToSend,
    /// None of the sources could be opened.
    #[error("there is nothing left to send:\n  • {}", .0.join("\n  • "))]
    NothingLeft(Vec<String>),
    /// A recording can't be written.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The clip that the other program plays can't be read here.
    #[error("{}: {reason}", path.display())]
    PlayedClip {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Y4mError,
    },
    /// A PeerConnection could not be made.
    #[error(transparent)]
    Rtc(#[from] ahoy_rtc::RtcError),
    /// A codec could not be made.
    #[error(transparent)]
    Codec(#[from] ahoy_media::codec::CodecError),
    /// A thread could not be started.
    #[error("the system gives no more threads: close some programs and try again")]
    Thread(#[from] std::io::Error),
}

/// What can be asked of a call while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallCommand {
    /// Hold one's own sound back, or let it go again.
    Mute(bool),
    /// Send pictures from there, or none: that closes the camera.
    Video(Option<VideoSourceSpec>),
    /// Send pictures of that size and rate, at that bitrate.
    Picture(VideoFormat, Bitrate),
    /// Save power by this choice.
    SavePower(SavePower),
    /// Send sound from there.
    Microphone(AudioSourceSpec),
    /// Play the received sound there.
    Speaker(AudioSinkSpec),
    /// Try again to open what could not be opened.
    Retry,
    /// End the call.
    HangUp,
}

/// Makes a loopback call as `config` says and reports on it. Setting `cancel` to true ends it early.
pub async fn run(
    config: &LoopbackConfig,
    cancel: watch::Receiver<bool>,
    on_progress: impl FnMut(Progress),
) -> Result<LoopbackReport, LoopbackError> {
    run_over(config, &mut DirectPath, cancel, on_progress).await
}

/// Like [`run`], with a hand on the signaling between the two ends: tests and benches put a link emulator between them
/// by rewriting candidates.
pub async fn run_over(
    config: &LoopbackConfig,
    path: &mut (dyn SignalPath + Send),
    mut cancel: watch::Receiver<bool>,
    on_progress: impl FnMut(Progress),
) -> Result<LoopbackReport, LoopbackError> {
    let (commands_tx, commands) = mpsc::channel(COMMANDS);
    let waiting = tokio::spawn(async move {
        // The other half being gone means that nobody can cancel any more, which is no reason to end.
        if cancel.wait_for(|cancelled| *cancelled).await.is_ok() {
            let _ = commands_tx.send(CallCommand::HangUp).await;
        }
    });
    let report = run_controlled(config, path, commands, on_progress).await;
    waiting.abort();
    report
}

/// Like [`run_over`], for somebody who looks on and has wishes.
pub async fn run_controlled(
    config: &LoopbackConfig,
    path: &mut (dyn SignalPath + Send),
    commands: mpsc::Receiver<CallCommand>,
    on_progress: impl FnMut(Progress),
) -> Result<LoopbackReport, LoopbackError> {
    let mut report = make(config, Ends::Both, path, commands, on_progress).await?;
    report.judge(config);
    Ok(report)
}

/// Makes one end of a call whose other end is another program's: the caller sends, the callee receives. What happens at the
/// other end is not in the report, which therefore says nothing about whether the call was good.
///
/// For a callee, `config`'s sources are what the other end sends. Pictures that come from a clip are compared with it if they
/// carry their places in it, from 0 on, as stamps.
pub async fn run_one(
    config: &LoopbackConfig,
    side: Side,
    other: OtherEnd,
    path: &mut (dyn SignalPath + Send),
    on_progress: impl FnMut(Progress),
) -> Result<LoopbackReport, LoopbackError> {
    let (_nobody, commands) = mpsc::channel(COMMANDS);
    make(config, Ends::One(side, other), path, commands, on_progress).await
}

async fn make(
    config: &LoopbackConfig,
    ends: Ends,
    path: &mut (dyn SignalPath + Send),
    mut commands: mpsc::Receiver<CallCommand>,
    mut on_progress: impl FnMut(Progress),
) -> Result<LoopbackReport, LoopbackError> {
    if config.video.is_none() && config.audio.is_none() {
        return Err(LoopbackError::NothingToSend);
    }
    let clock = MediaClock::start();
    let cpu_before = process::cpu_time().unwrap_or_default();
    on_progress(Progress::Connecting);
    let mut session = Session::start(config, ends, clock).await?;
    let mut rates = Rates::new(clock.now());
    let mut told: Option<CallSnapshot> = None;
    let (mut cancelled, mut commanded) = (false, true);
    let mut ends_at = Some(MediaTime::ZERO + CONNECT_TIMEOUT);
    let mut connected_at = None;
    let mut tick = tokio::time::interval(TICK);
    let mut ticks = 0_u32;
    loop {
        tokio::select! {
            event = session.next_event() => {
                session.on_event(event, path).await?;
                if connected_at.is_none() && let Some(at) = session.connected_at() {
                    connected_at = Some(at);
                    ends_at = config.duration.map(|duration| at + duration);
                }
            }
            _ = tick.tick() => {
                match session.look_after().await {
                    Err(LoopbackError::NothingLeft(_)) if config.duration.is_none() => {}
                    looked => looked?,
                }
                let now = clock.now();
                if ends_at.is_some_and(|end| now >= end) {
                    break;
                }
                on_progress(match connected_at {
                    Some(at) => Progress::Running { elapsed: now.since(at), frames: session.rendered_frames() },
                    None => Progress::Connecting,
                });
                ticks += 1;
                if ticks.is_multiple_of(STATS_TICKS) {
                    on_progress(Progress::Stats(Box::new(session.stats(&mut rates))));
                }
            }
            command = commands.recv(), if commanded => match command {
                Some(CallCommand::HangUp) => {
                    cancelled = true;
                    break;
                }
                Some(command) => session.obey(command),
                None => commanded = false,
            }
        }
        let phase = if connected_at.is_some() { CallPhase::Running } else { CallPhase::Connecting };
        let snapshot = session.snapshot(phase);
        if told.as_ref() != Some(&snapshot) {
            on_progress(Progress::Changed(Box::new(snapshot.clone())));
            told = Some(snapshot);
        }
    }
    on_progress(Progress::Ending);
    on_progress(Progress::Changed(Box::new(session.snapshot(CallPhase::Ending))));
    let mut report = session.finish(cpu_before).await?;
    report.cancelled = cancelled;
    Ok(report)
}
