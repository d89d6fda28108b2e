//! The loopback call: Ahoy calling itself through two real PeerConnections.
//!
//! The caller captures and sends; the callee, in the same process, receives and renders. Everything between the two is
//! what a call between two people uses: codecs, UDP sockets, ICE, DTLS-SRTP, jitter buffers, playout. Because both ends
//! share a clock, what arrives can be compared with what left: see [`LoopbackReport`].

mod audio_leg;
mod config;
mod ledger;
mod losses;
mod meter;
mod recording;
mod report;
mod session;
mod video_leg;

use std::path::PathBuf;
use std::time::Duration;

use ahoy_measure::process;
use ahoy_media_types::{MediaClock, MediaTime};
use tokio::sync::watch;

pub use config::{LoopbackConfig, Recording, Thresholds};
pub use report::{
    AudioReport, LoopbackReport, PathReport, Problem, SCHEMA_VERSION, SetupReport, SpreadReport, StageReport,
    VideoReport,
};
pub use session::{DirectPath, Side, SignalPath};

pub use ahoy_rtc::Signal;

use session::Session;

/// How long the two ends may take to connect. Loopback needs a tenth of a second; ICE gives up after half a minute.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long frames that are on their way when the source stops may take to arrive.
const DRAIN: Duration = Duration::from_millis(500);
/// How often progress is told and ends are looked for.
const TICK: Duration = Duration::from_millis(100);

/// How far a loopback call is.
#[derive(Clone, Copy, Debug)]
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
    Recording(#[from] ahoy_media::playout::SinkError),
    /// A recording of sound can't be written.
    #[error("{} can't be written ({cause}): check that the folder exists and that you may write to it", path.display())]
    SoundRecording {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: hound::Error,
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
    mut on_progress: impl FnMut(Progress),
) -> Result<LoopbackReport, LoopbackError> {
    if config.video.is_none() && config.audio.is_none() {
        return Err(LoopbackError::NothingToSend);
    }
    let clock = MediaClock::start();
    let cpu_before = process::cpu_time().unwrap_or_default();
    on_progress(Progress::Connecting);
    let mut session = Session::start(config, clock).await?;
    let (mut cancelled, mut cancellable) = (false, true);
    let mut ends_at = MediaTime::ZERO + CONNECT_TIMEOUT;
    let mut connected_at = None;
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            event = session.next_event() => {
                session.on_event(event, path).await?;
                if connected_at.is_none() && let Some(at) = session.connected_at() {
                    connected_at = Some(at);
                    ends_at = at + config.duration;
                }
            }
            _ = tick.tick() => {
                session.look_after().await?;
                let now = clock.now();
                if now >= ends_at {
                    break;
                }
                on_progress(match connected_at {
                    Some(at) => Progress::Running { elapsed: now.since(at), frames: session.rendered_frames() },
                    None => Progress::Connecting,
                });
            }
            changed = cancel.changed(), if cancellable => {
                // The other half being gone means that nobody can cancel any more, which is no reason to end.
                cancellable = changed.is_ok();
                if cancellable && *cancel.borrow() {
                    cancelled = true;
                    break;
                }
            }
        }
    }
    on_progress(Progress::Ending);
    let mut report = session.finish(cpu_before).await?;
    report.cancelled = cancelled;
    report.judge(config);
    Ok(report)
}
