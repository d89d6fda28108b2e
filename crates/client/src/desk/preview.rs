//! Camera and microphone before a call: one's own picture, and whether one can be heard.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ahoy_media::audio::BlockConsumer;
use ahoy_media::capture::Stamping;
use ahoy_media::slot::{LatestSlot, Taken};
use ahoy_media_types::{AudioBlock, MediaClock, VideoFrame};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::{DeskEvent, DeskListener, call};
use crate::media::{Camera, DeviceState, Microphone, SelfView};
use crate::picture_socket::PictureSocket;
use crate::settings::Settings;

/// Blocks of sound in one level: 50 ms, twenty levels a second.
const BLOCKS: u32 = 5;
/// Samples from here on are taken as cut off by the microphone.
const CLIPPED: f32 = 0.99;
/// How often the devices are looked after.
const TICK: Duration = Duration::from_millis(100);
/// How often the picture's thread looks whether it is still needed.
const IDLE_WAKE: Duration = Duration::from_millis(200);

/// How loud the microphone is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct MicrophoneLevel {
    /// Loudest sample of the last 50 ms, 0.0 to 1.0.
    pub level: f32,
    /// Whether it was too loud for the microphone.
    pub clipped: bool,
}

/// The devices of a preview at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PreviewSnapshot {
    /// Where pictures come from.
    pub camera: DeviceState,
    /// Where sound comes from.
    pub microphone: DeviceState,
}

/// A running preview.
pub(super) struct Preview {
    stop: watch::Sender<bool>,
    retry: Arc<Notify>,
    task: JoinHandle<()>,
    frames: LatestSlot<VideoFrame>,
    painter: Option<thread::JoinHandle<()>>,
}

impl Preview {
    pub(super) fn start(
        settings: &Settings,
        socket: &PictureSocket,
        clock: MediaClock,
        listener: DeskListener,
    ) -> Self {
        let frames = LatestSlot::new();
        let mut camera = Camera::new(call::format(settings), Stamping::Off, clock, frames.clone());
        camera.want(Some(call::camera(settings)));
        let mut microphone = Microphone::new(clock, level_meter(Arc::clone(&listener)));
        microphone.want(Some(call::microphone(settings)));
        let (stop, stopped) = watch::channel(false);
        let retry = Arc::new(Notify::new());
        let task = tokio::spawn(look_after(camera, microphone, listener, stopped, Arc::clone(&retry)));
        let (mut view, pictures) = (SelfView::new(socket), frames.clone());
        let painter = thread::Builder::new().name("ahoy-preview".into()).spawn(move || {
            loop {
                match pictures.take_timeout(IDLE_WAKE) {
                    Taken::Value(frame) => view.show(&frame),
                    Taken::TimedOut => {}
                    Taken::Closed => return,
                }
            }
        });
        if let Err(error) = &painter {
            tracing::error!(%error, "there is no thread for the preview");
        }
        Self { stop, retry, task, frames, painter: painter.ok() }
    }

    /// Tries again to open what could not be opened.
    pub(super) fn retry(&self) {
        self.retry.notify_one();
    }

    /// Ends it; returns when the devices are let go.
    pub(super) async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        self.task.abort();
        self.frames.close();
        if let Some(painter) = self.painter.take()
            && painter.join().is_err()
        {
            tracing::error!("the preview's thread had panicked");
        }
    }
}

/// Tells how loud each 50 ms of sound are.
fn level_meter(listener: DeskListener) -> BlockConsumer {
    let (mut level, mut blocks) = (0.0_f32, 0);
    Box::new(move |block: AudioBlock| {
        level = block.samples.iter().fold(level, |level, sample| level.max(sample.abs()));
        blocks += 1;
        if blocks == BLOCKS {
            listener(DeskEvent::Level(MicrophoneLevel { level: level.min(1.0), clipped: level >= CLIPPED }));
            (level, blocks) = (0.0, 0);
        }
    })
}

async fn look_after(
    mut camera: Camera,
    mut microphone: Microphone,
    listener: DeskListener,
    mut stopped: watch::Receiver<bool>,
    retry: Arc<Notify>,
) {
    let mut tick = tokio::time::interval(TICK);
    let mut told = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = retry.notified() => {
                camera.retry();
                microphone.retry();
            }
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
        // What went wrong is in the state of each device.
        let mut problems = Vec::new();
        camera.look(&mut problems).await;
        microphone.look(&mut problems).await;
        let now = PreviewSnapshot { camera: camera.state(), microphone: microphone.state() };
        if told.as_ref() != Some(&now) {
            listener(DeskEvent::Preview(now.clone()));
            told = Some(now);
        }
    }
    let mut problems = Vec::new();
    camera.close(&mut problems).await;
    microphone.close(&mut problems).await;
    listener(DeskEvent::Preview(PreviewSnapshot::default()));
}
