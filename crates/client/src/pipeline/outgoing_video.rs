//! Camera to network: newest frame → encoder thread → bounded queue → track, if there is one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ahoy_congestion::{Decision, Viewer};
use ahoy_media::codec::{VideoEncoder, VideoEncoderConfig};
use ahoy_media::slot::{LatestSlot, Taken};
use ahoy_media_types::{Bitrate, EncodedFrame, MediaClock, MediaTime, VideoFrame};
use ahoy_rtc::{LocalTrack, LocalTrackEvent};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::quality::{Quality, limits};
use super::saving::Saving;
use crate::settings::SavePower;

/// Encoded frames waiting for the network: a quarter of a second at 30 fps. When it is full the network task has
/// stalled; the frame is dropped and the next one is a key frame, because the frames after a dropped one can't be
/// decoded.
const QUEUE: usize = 8;
/// Commands waiting for the encoder, which takes them at each frame. When it is full the command is dropped: a newer
/// one of its kind follows (bitrates come several times a second, key frames are asked for again), and what is said once
/// comes seldom.
const COMMANDS: usize = 16;
/// How often the encoder thread looks for commands while no frame comes.
const IDLE_WAKE: Duration = Duration::from_millis(100);

/// Sees each frame, on the encoder thread: one's own picture is shown, and the test call measures by it.
pub trait VideoTap: Send {
    /// `frame` comes from the camera.
    fn on_captured(&mut self, frame: &VideoFrame);

    /// `frame` was encoded. Not called for frames that rate control left out.
    fn on_encoded(&mut self, frame: &VideoFrame, timing: EncodeTiming);
}

/// When a frame went through the encoder.
#[derive(Clone, Copy, Debug)]
pub struct EncodeTiming {
    /// The frame's RTP timestamp.
    pub rtp_timestamp: u32,
    /// When it was captured.
    pub captured_at: MediaTime,
    /// When the encoder took it.
    pub started_at: MediaTime,
    /// When the encoder was done.
    pub ended_at: MediaTime,
}

/// Counters of an outgoing video pipeline; what went out is in [`LocalTrack::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutgoingVideoStats {
    /// Frames turned into pictures.
    pub encoded: u64,
    /// Frames left out by rate control.
    pub skipped: u64,
    /// Frames left out because the network carries no more, or nobody looks.
    pub held_back: u64,
    /// Frames that came while power was saved.
    pub saving: u64,
    /// Encoded frames that found the queue to the network full.
    pub dropped: u64,
    /// Key frames encoded.
    pub key_frames: u64,
    /// Frames that the encoder refused.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    encoded: AtomicU64,
    skipped: AtomicU64,
    held_back: AtomicU64,
    saving: AtomicU64,
    dropped: AtomicU64,
    key_frames: AtomicU64,
    failed: AtomicU64,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

enum Command {
    ForceKeyframe,
    /// Look at the path of the track that is sent on.
    Attached(LocalTrack),
    SetMost(Bitrate),
    SetViewer(Viewer),
    SetSaving(Saving),
}

/// A running outgoing video pipeline; dropping it stops it.
pub struct OutgoingVideo {
    frames: LatestSlot<VideoFrame>,
    commands: SyncSender<Command>,
    counters: Arc<Counters>,
    decision: watch::Receiver<Option<Decision>>,
    encoder: Option<thread::JoinHandle<()>>,
    most: Mutex<Bitrate>,
    track: watch::Sender<Option<LocalTrack>>,
    tasks: [JoinHandle<()>; 2],
}

impl OutgoingVideo {
    /// Starts looking at what comes into `frames`. It is encoded once a track is attached, no larger and at no more than
    /// `config`, which is what `encoder` was started with, and smaller where power is to be saved. Must be called on a tokio
    /// runtime.
    pub fn start(
        frames: LatestSlot<VideoFrame>,
        encoder: Box<dyn VideoEncoder>,
        config: VideoEncoderConfig,
        save_power: SavePower,
        tap: Option<Box<dyn VideoTap>>,
        clock: MediaClock,
    ) -> std::io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let (command_tx, command_rx) = sync_channel(COMMANDS);
        let (queue_tx, queue_rx) = mpsc::channel(QUEUE);
        let (track, current) = watch::channel(None);
        let quality = Quality::new(config.bitrate, config.rate, Saving::by(save_power));
        let decision = quality.decision();
        let stage = EncoderStage {
            quality,
            frames: frames.clone(),
            track: current.clone(),
            encoder,
            commands: command_rx,
            queue: queue_tx,
            counters: Arc::clone(&counters),
            tap,
            clock,
        };
        let thread = thread::Builder::new().name("ahoy-encoder".into()).spawn(move || stage.run())?;
        let tasks = [
            tokio::spawn(send_frames(current.clone(), queue_rx)),
            tokio::spawn(answer_feedback(current, command_tx.clone())),
        ];
        let most = Mutex::new(config.bitrate);
        let encoder = Some(thread);
        Ok(Self { frames, commands: command_tx, counters, decision, encoder, most, track, tasks })
    }

    /// Sends on `track` from now on, instead of the one before. The next frame is a key frame.
    pub fn attach(&self, track: LocalTrack) {
        track.set_limits(limits(*self.most.lock().unwrap_or_else(PoisonError::into_inner)));
        send_command(&self.commands, Command::Attached(track.clone()));
        self.track.send_replace(Some(track));
    }

    /// Takes no more than this from the next frame on, whatever the network carries.
    pub fn set_most(&self, most: Bitrate) {
        *self.most.lock().unwrap_or_else(PoisonError::into_inner) = most;
        if let Some(track) = &*self.track.borrow() {
            track.set_limits(limits(most));
        }
        send_command(&self.commands, Command::SetMost(most));
    }

    /// The other side of the track does this with the pictures. Another track has another one, of whom nothing is known.
    pub fn set_viewer(&self, viewer: Viewer) {
        send_command(&self.commands, Command::SetViewer(viewer));
    }

    /// Saves power by this choice from the next frame on. Must be called on a tokio runtime.
    pub fn set_save_power(&self, choice: SavePower) {
        send_command(&self.commands, Command::SetSaving(Saving::by(choice)));
    }

    /// How pictures are made at present; `None` before the first.
    pub fn decision(&self) -> Option<Decision> {
        *self.decision.borrow()
    }

    /// Counters so far.
    pub fn stats(&self) -> OutgoingVideoStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let c = &*self.counters;
        OutgoingVideoStats {
            encoded: read(&c.encoded),
            skipped: read(&c.skipped),
            held_back: read(&c.held_back),
            saving: read(&c.saving),
            dropped: read(&c.dropped),
            key_frames: read(&c.key_frames),
            failed: read(&c.failed),
        }
    }
}

impl Drop for OutgoingVideo {
    fn drop(&mut self) {
        self.frames.close();
        for task in &self.tasks {
            task.abort();
        }
        if let Some(thread) = self.encoder.take()
            && thread.join().is_err()
        {
            tracing::error!("the encoder thread had panicked");
        }
    }
}

fn send_command(commands: &SyncSender<Command>, command: Command) {
    match commands.try_send(command) {
        Ok(()) | Err(TrySendError::Disconnected(_)) => {}
        Err(TrySendError::Full(_)) => tracing::debug!("the encoder takes no commands; one was dropped"),
    }
}

struct EncoderStage {
    frames: LatestSlot<VideoFrame>,
    track: watch::Receiver<Option<LocalTrack>>,
    encoder: Box<dyn VideoEncoder>,
    quality: Quality,
    commands: Receiver<Command>,
    queue: mpsc::Sender<EncodedFrame>,
    counters: Arc<Counters>,
    tap: Option<Box<dyn VideoTap>>,
    clock: MediaClock,
}

impl EncoderStage {
    fn run(mut self) {
        loop {
            let taken = self.frames.take_timeout(IDLE_WAKE);
            self.obey();
            match taken {
                Taken::Value(frame) => self.on_frame(frame),
                Taken::TimedOut => {}
                Taken::Closed => return,
            }
        }
    }

    fn obey(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::ForceKeyframe) => self.quality.want_key_frame(),
                Ok(Command::Attached(track)) => self.quality.look_at(track.network()),
                Ok(Command::SetMost(most)) => self.quality.set_most(most),
                Ok(Command::SetViewer(viewer)) => self.quality.set_viewer(viewer),
                Ok(Command::SetSaving(saving)) => self.quality.set_saving(saving),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn on_frame(&mut self, frame: VideoFrame) {
        if let Some(tap) = &mut self.tap {
            tap.on_captured(&frame);
        }
        if self.track.borrow().is_none() {
            return;
        }
        add(&self.counters.saving, u64::from(self.quality.is_saving()));
        let started_at = self.clock.now();
        let Some(prepared) = self.quality.prepare(&frame, &mut *self.encoder) else {
            return add(&self.counters.held_back, 1);
        };
        let result = self.encoder.encode(&prepared);
        let made = result.as_ref().ok().and_then(Option::as_ref);
        self.quality.encoded(&prepared, made, self.clock.now() - started_at);
        match result {
            Ok(Some(encoded)) => {
                let timing = EncodeTiming {
                    rtp_timestamp: encoded.rtp_timestamp,
                    captured_at: frame.captured_at,
                    started_at,
                    ended_at: self.clock.now(),
                };
                if let Some(tap) = &mut self.tap {
                    tap.on_encoded(&frame, timing);
                }
                self.on_encoded(encoded);
            }
            Ok(None) => add(&self.counters.skipped, 1),
            Err(error) => {
                if self.counters.failed.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::error!(%error, "a frame could not be encoded");
                }
            }
        }
    }

    fn on_encoded(&mut self, encoded: EncodedFrame) {
        add(&self.counters.encoded, 1);
        add(&self.counters.key_frames, u64::from(encoded.keyframe));
        match self.queue.try_send(encoded) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                add(&self.counters.dropped, 1);
                self.quality.want_key_frame();
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}

async fn send_frames(track: watch::Receiver<Option<LocalTrack>>, mut queue: mpsc::Receiver<EncodedFrame>) {
    while let Some(frame) = queue.recv().await {
        let current = track.borrow().clone();
        if let Some(track) = current
            && let Err(error) = track.send(frame).await
        {
            tracing::debug!(%error, "a video frame was not sent");
        }
    }
}

async fn answer_feedback(mut track: watch::Receiver<Option<LocalTrack>>, commands: SyncSender<Command>) {
    loop {
        let current = track.borrow_and_update().clone();
        let feedback = async {
            match &current {
                Some(track) => track.next_event().await,
                None => None,
            }
        };
        tokio::select! {
            event = feedback, if current.is_some() => match event {
                Some(LocalTrackEvent::KeyframeRequested) => send_command(&commands, Command::ForceKeyframe),
                // Its connection is closed; there may be another track.
                None => if track.changed().await.is_err() { return },
            },
            changed = track.changed() => if changed.is_err() { return },
        }
    }
}
