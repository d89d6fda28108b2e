//! A test call as the window makes it: pictures go to a page, which decodes them itself, and the call does what it is told.

use std::sync::Arc;
use std::time::Duration;

use crate::page::{Page, SOON, hear, hello, hello_with, say, socket};
use ahoy_client::loopback::{
    CallCommand, CallPhase, CallSnapshot, CallStats, Cause, DeviceStanding, DirectPath, LoopbackConfig,
    LoopbackReport, Progress, Screen, run_controlled,
};
use ahoy_client::picture_socket::PictureSocket;
use ahoy_client::settings::SavePower;
use ahoy_client::{ProblemCode, VideoFormat, VideoSourceSpec};
use ahoy_measure::stamp;
use ahoy_media::codec::{H264Decoder, VideoDecoder as _};
use ahoy_media_types::{Bitrate, FramePool, FrameRate, FrameSize, I420Buffer};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

struct Call {
    commands: mpsc::Sender<CallCommand>,
    snapshot: watch::Receiver<Option<CallSnapshot>>,
    stats: watch::Receiver<Option<CallStats>>,
    report: JoinHandle<LoopbackReport>,
}

impl Call {
    /// With the test pattern, a tone and nobody's devices.
    fn start(socket: &Arc<PictureSocket>) -> Self {
        let format = VideoFormat { size: FrameSize::new(640, 352).unwrap(), rate: FrameRate::FPS_30 };
        let config = LoopbackConfig {
            duration: None,
            format,
            screen: Screen::Window(Arc::clone(socket)),
            ..LoopbackConfig::default()
        };
        let (commands, commands_rx) = mpsc::channel(8);
        let (snapshot_tx, snapshot) = watch::channel(None);
        let (stats_tx, stats) = watch::channel(None);
        let report = tokio::spawn(async move {
            let on_progress = |progress| match progress {
                Progress::Changed(now) => drop(snapshot_tx.send_replace(Some(*now))),
                Progress::Stats(now) => drop(stats_tx.send_replace(Some(*now))),
                Progress::Connecting | Progress::Running { .. } | Progress::Ending => {}
            };
            run_controlled(&config, &mut DirectPath, commands_rx, on_progress).await.unwrap()
        });
        Self { commands, snapshot, stats, report }
    }

    async fn tell(&self, command: CallCommand) {
        self.commands.send(command).await.unwrap();
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&CallSnapshot) -> bool) {
        let seen = self.snapshot.wait_for(|now| now.as_ref().is_some_and(&is_so));
        tokio::time::timeout(SOON, seen).await.unwrap_or_else(|_| panic!("never came: {what}")).unwrap();
    }

    async fn until_stats(&mut self, what: &str, are_so: impl Fn(&CallStats) -> bool) {
        let seen = self.stats.wait_for(|now| now.as_ref().is_some_and(&are_so));
        tokio::time::timeout(SOON, seen).await.unwrap_or_else(|_| panic!("never came: {what}")).unwrap();
    }

    async fn hang_up(self) -> LoopbackReport {
        self.tell(CallCommand::HangUp).await;
        tokio::time::timeout(SOON, self.report).await.expect("it ends").unwrap()
    }
}

/// Draws as the window does until it is told to stop; returns the numbers in the pictures it has drawn.
fn draw(mut page: Page, plain: bool, stop: watch::Receiver<bool>) -> JoinHandle<Vec<u32>> {
    tokio::spawn(async move {
        let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
        let mut seen = Vec::new();
        say(&mut page, r#"{"type": "credit", "pictures": 3}"#).await;
        while !*stop.borrow() {
            let Ok(message) = hear(&mut page).await else { break };
            let side = |at: usize| u64::from(u16::from_le_bytes([message[at], message[at + 1]]));
            let picture = match plain {
                true => {
                    I420Buffer::from_packed(FrameSize::new(side(2), side(4)).unwrap(), message[24..].to_vec())
                }
                false => decoder.decode(&message[24..]).unwrap(),
            };
            seen.extend(picture.and_then(|picture| stamp::read(&picture)).map(|stamp| stamp.id.0));
            let number = u32::from_le_bytes([message[8], message[9], message[10], message[11]]);
            say(&mut page, &format!(r#"{{"type": "shown", "picture": {number}}}"#)).await;
            say(&mut page, r#"{"type": "credit", "pictures": 1}"#).await;
        }
        seen
    })
}

/// A page may come before the call has anything to show.
async fn attach(socket: &PictureSocket, call: &mut Call, stream: &str, format: &str) -> Page {
    call.until("the call runs", |now| now.phase == CallPhase::Running).await;
    call.until_stats("pictures arrive", |now| now.video.fps_received > 0.0).await;
    match format {
        "h264" => hello(&socket.access(), stream).await,
        format => hello_with(&socket.access(), stream, format).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_pictures_are_drawn_by_the_page_and_its_word_is_what_counts() {
    let socket = Arc::new(socket().await);
    let mut call = Call::start(&socket);
    let (stop_tx, stop) = watch::channel(false);
    let others = draw(attach(&socket, &mut call, "remote", "h264").await, false, stop.clone());
    let own = draw(attach(&socket, &mut call, "local", "i420").await, true, stop);
    call.until_stats("the page draws", |now| now.video.fps_shown > 20.0).await;
    call.until_stats("with a latency", |now| now.video.latency_ms.is_some_and(|ms| ms > 0.0)).await;
    call.until_stats("and all stages", |now| {
        now.stages_ms.decode.is_some() && now.stages_ms.network.is_some()
    })
    .await;
    stop_tx.send_replace(true);
    let (others, own) = (others.await.unwrap(), own.await.unwrap());
    for (name, ids) in [("others", others), ("own", own)] {
        assert!(ids.len() > 10, "{name}: {ids:?}");
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{name} go on: {ids:?}");
    }
    let report = call.hang_up().await;
    let video = report.video.unwrap();
    assert!(video.frames_rendered > 10 && video.decoded_latency_ms.count > 10, "{video:#?}");
    assert!(
        report.problems.iter().all(|problem| problem.code != ProblemCode::ConnectionLost),
        "{:#?}",
        report.problems
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_pictures_are_decoded_here_for_a_page_that_cannot() {
    let socket = Arc::new(socket().await);
    let mut call = Call::start(&socket);
    let (stop_tx, stop) = watch::channel(false);
    let drawn = draw(attach(&socket, &mut call, "remote", "i420").await, true, stop);
    call.until_stats("the page draws", |now| now.video.fps_shown > 20.0).await;
    stop_tx.send_replace(true);
    let ids = drawn.await.unwrap();
    assert!(ids.len() > 10 && ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_pictures_have_another_size_as_soon_as_it_is_asked_for() {
    let socket = Arc::new(socket().await);
    let mut call = Call::start(&socket);
    let mut page = attach(&socket, &mut call, "remote", "h264").await;
    say(&mut page, r#"{"type": "credit", "pictures": 3}"#).await;
    let smaller = FrameSize::new(320, 176).unwrap();
    let format = VideoFormat { size: smaller, rate: FrameRate::FPS_30 };
    let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
    let follows = async {
        let mut asked = false;
        loop {
            let message = hear(&mut page).await.expect("the call goes on");
            let size = decoder.decode(&message[24..]).unwrap().map(|picture| picture.size());
            if size == Some(smaller) {
                return asked;
            }
            if size.is_some() && !asked {
                call.tell(CallCommand::Picture(format, Bitrate::from_kbps(300).unwrap())).await;
                asked = true;
            }
            say(&mut page, r#"{"type": "credit", "pictures": 1}"#).await;
        }
    };
    let asked = tokio::time::timeout(SOON, follows).await.expect("the pictures become smaller");
    assert!(asked, "they were larger before");
    call.until_stats("the figures follow", |now| (now.video.width, now.video.height) == (320, 176)).await;
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_pictures_are_fewer_from_when_power_is_to_be_saved_until_it_is_not() {
    let socket = Arc::new(socket().await);
    let mut call = Call::start(&socket);
    let limit = |now: &CallStats| now.sending.as_ref().and_then(|sending| sending.limited_by);
    call.until_stats("pictures are made", |now| limit(now).is_some_and(|cause| cause != Cause::Saving)).await;
    call.tell(CallCommand::SavePower(SavePower::Always)).await;
    call.until_stats("power is saved", |now| limit(now) == Some(Cause::Saving)).await;
    let most = |now: &CallStats| now.sending.as_ref()?.picture.as_ref().map(|picture| picture.fps);
    call.until_stats("with fewer pictures", |now| most(now).is_some_and(|fps| fps <= 20.0)).await;
    call.tell(CallCommand::SavePower(SavePower::Never)).await;
    call.until_stats("it is not", |now| limit(now).is_some_and(|cause| cause != Cause::Saving)).await;
    call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_calls_are_muted_and_their_camera_switched_as_told() {
    let socket = Arc::new(socket().await);
    let mut call = Call::start(&socket);
    call.until_stats("sound is heard", |now| now.audio.level_out > 0.1).await;
    call.tell(CallCommand::Mute(true)).await;
    call.until("it is muted", |now| now.muted).await;
    call.until_stats("silence is heard", |now| now.audio.level_out < 0.001).await;
    call.until_stats("the microphone goes on", |now| now.audio.level_in > 0.1).await;
    call.tell(CallCommand::Mute(false)).await;
    call.until_stats("sound is heard again", |now| now.audio.level_out > 0.1).await;

    call.tell(CallCommand::Video(None)).await;
    call.until("the camera is off", |now| now.camera.standing == DeviceStanding::Off).await;
    call.until_stats("nothing is captured", |now| now.video.fps_captured == 0.0).await;
    call.tell(CallCommand::Video(Some("camera:/dev/video99".parse().unwrap()))).await;
    call.until("there is no such camera", |now| now.camera.standing == DeviceStanding::Failed).await;
    call.until("and it says so", |now| {
        now.camera.trouble.as_ref().is_some_and(|problem| problem.message.contains("video99"))
    })
    .await;
    call.tell(CallCommand::Video(Some(VideoSourceSpec::Pattern))).await;
    call.until("another is on", |now| now.camera.standing == DeviceStanding::On).await;
    call.until_stats("and captures", |now| now.video.fps_captured > 20.0).await;
    let report = call.hang_up().await;
    assert!(report.cancelled && report.duration_s > Duration::from_secs(1).as_secs_f64());
}
