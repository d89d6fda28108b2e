//! Network to screen: track → jitter buffer → decoder → playout clock → frame sink.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ahoy_media::codec::VideoDecoder;
use ahoy_media::playout::{AssembledFrame, StreamKind, VideoJitterBuffer, VideoJitterConfig, VideoOut};
use ahoy_media_types::{ColorMatrix, FrameId, MediaClock, MediaTime, RtpPacket, SenderReport, VideoFrame};
use ahoy_rtc::{RemoteTrack, RemoteTrackEvent};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::LipSync;

/// Packets waiting for the playout thread: half a second of 1080p at 8 Mbit/s. When it is full the thread has stalled;
/// the packet is dropped and counts as lost, so that the jitter buffer asks for a key frame.
const QUEUE: usize = 512;
/// Decoded frames waiting for their time: a tenth of a second at 30 fps. When it is full the oldest is shown at once.
const WAITING: usize = 3;
/// How long the playout thread waits when nothing is due.
const IDLE_WAKE: Duration = Duration::from_millis(200);

/// When a frame went through the receiving end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTiming {
    /// The frame's RTP timestamp.
    pub rtp_timestamp: u32,
    /// When its last packet was taken from the socket.
    pub last_packet_at: MediaTime,
    /// When the decoder took it.
    pub decode_started_at: MediaTime,
    /// When the decoder was done.
    pub decoded_at: MediaTime,
    /// When it was handed to the sink to be shown.
    pub presented_at: MediaTime,
}

/// Shows frames, and learns how each came here. Runs on the playout thread and must return at once.
pub trait TimedFrameSink: Send {
    /// Shows `frame`.
    fn present(&mut self, frame: &VideoFrame, timing: &FrameTiming);
}

/// Counters of an incoming video pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IncomingVideoStats {
    /// When the first packet was taken from the socket.
    pub first_packet_at: Option<MediaTime>,
    /// Packets received, each counted once.
    pub packets_received: u64,
    /// Frames of which all packets arrived.
    pub frames_received: u64,
    /// Frames that were decoded.
    pub frames_decoded: u64,
    /// Frames that the decoder refused.
    pub decode_errors: u64,
    /// Packets that found the playout thread stalled.
    pub overflowed: u64,
}

/// A running incoming video pipeline; stopping or dropping it ends its thread and task.
pub struct IncomingVideo {
    stats: Arc<Mutex<IncomingVideoStats>>,
    task: JoinHandle<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl IncomingVideo {
    /// Starts rendering what comes on `track` to `sink`. Must be called on a tokio runtime.
    pub fn start(
        track: RemoteTrack,
        decoder: Box<dyn VideoDecoder>,
        sink: Box<dyn TimedFrameSink>,
        sync: LipSync,
        clock: MediaClock,
    ) -> std::io::Result<Self> {
        let stats = Arc::new(Mutex::new(IncomingVideoStats::default()));
        let keyframe_wanted = Arc::new(Notify::new());
        let (queue_tx, queue) = sync_channel(QUEUE);
        let stage = PlayoutStage {
            queue,
            jitter: VideoJitterBuffer::new(VideoJitterConfig::default()),
            decoder,
            waiting: VecDeque::with_capacity(WAITING),
            sink,
            sync,
            clock,
            keyframe_wanted: Arc::clone(&keyframe_wanted),
            stats: Arc::clone(&stats),
            next_id: 0,
        };
        let thread = thread::Builder::new().name("ahoy-video-out".into()).spawn(move || stage.run())?;
        let task = tokio::spawn(receive(track, queue_tx, keyframe_wanted, Arc::clone(&stats)));
        Ok(Self { stats, task, thread: Some(thread) })
    }

    /// Counters so far.
    pub fn stats(&self) -> IncomingVideoStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the pipeline and returns its counters.
    pub fn stop(self) -> IncomingVideoStats {
        self.stats()
    }
}

impl Drop for IncomingVideo {
    fn drop(&mut self) {
        // The task owns the sending half of the queue: with it the thread ends.
        self.task.abort();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the video playout thread had panicked");
        }
    }
}

/// What the network tells the playout thread.
enum Arrival {
    Packet(RtpPacket),
    SenderReport(SenderReport),
}

async fn receive(
    mut track: RemoteTrack,
    queue: SyncSender<Arrival>,
    keyframe_wanted: Arc<Notify>,
    stats: Arc<Mutex<IncomingVideoStats>>,
) {
    loop {
        tokio::select! {
            event = track.next_event() => {
                let arrival = match event {
                    Some(RemoteTrackEvent::Packet(packet)) => Arrival::Packet(packet),
                    Some(RemoteTrackEvent::SenderReport(report)) => Arrival::SenderReport(report),
                    Some(RemoteTrackEvent::Ended) | None => return,
                };
                match queue.try_send(arrival) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => stats.lock().unwrap_or_else(PoisonError::into_inner).overflowed += 1,
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            () = keyframe_wanted.notified() => {
                if let Err(error) = track.request_keyframe().await {
                    tracing::debug!(%error, "a key frame could not be asked for");
                }
            }
        }
    }
}

struct Waiting {
    frame: VideoFrame,
    timing: FrameTiming,
    show_at: MediaTime,
}

struct PlayoutStage {
    queue: Receiver<Arrival>,
    jitter: VideoJitterBuffer,
    decoder: Box<dyn VideoDecoder>,
    waiting: VecDeque<Waiting>,
    sink: Box<dyn TimedFrameSink>,
    sync: LipSync,
    clock: MediaClock,
    keyframe_wanted: Arc<Notify>,
    stats: Arc<Mutex<IncomingVideoStats>>,
    next_id: u32,
}

impl PlayoutStage {
    fn run(mut self) {
        loop {
            let now = self.clock.now();
            match self.queue.recv_timeout(self.wait(now)) {
                Ok(arrival) => {
                    self.on_arrival(arrival);
                    // Whatever else has come meanwhile belongs before the next look at what is complete.
                    while let Ok(arrival) = self.queue.try_recv() {
                        self.on_arrival(arrival);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.assemble();
            self.show_due();
        }
    }

    /// How long nothing is to be done unless something arrives.
    fn wait(&self, now: MediaTime) -> Duration {
        let due = [self.jitter.next_wakeup(now), self.waiting.front().map(|w| w.show_at)];
        due.into_iter().flatten().min().map_or(IDLE_WAKE, |at| at.since(now).min(IDLE_WAKE))
    }

    fn on_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Packet(packet) => {
                self.stats
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .first_packet_at
                    .get_or_insert(packet.arrived_at);
                self.jitter.push(packet, self.clock.now());
            }
            Arrival::SenderReport(report) => self.sync.on_sender_report(StreamKind::Video, &report),
        }
    }

    fn assemble(&mut self) {
        while let Some(out) = self.jitter.poll(self.clock.now()) {
            match out {
                VideoOut::Frame(frame) => self.decode(&frame),
                VideoOut::NeedKeyframe => self.keyframe_wanted.notify_one(),
            }
        }
        let jitter = self.jitter.stats();
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.packets_received = jitter.packets_received;
        stats.frames_received = jitter.frames_assembled;
    }
}

impl PlayoutStage {
    fn decode(&mut self, frame: &AssembledFrame) {
        let decode_started_at = self.clock.now();
        let decoded = self.decoder.decode(&frame.data);
        let decoded_at = self.clock.now();
        match decoded {
            Ok(Some(buffer)) => {
                self.stats.lock().unwrap_or_else(PoisonError::into_inner).frames_decoded += 1;
                let timing = FrameTiming {
                    rtp_timestamp: frame.rtp_timestamp,
                    last_packet_at: frame.last_arrival,
                    decode_started_at,
                    decoded_at,
                    presented_at: decoded_at,
                };
                let show_at = self.sync.on_video_frame(frame.rtp_timestamp, frame.last_arrival);
                let id = FrameId(self.next_id);
                self.next_id = self.next_id.wrapping_add(1);
                let picture = VideoFrame {
                    buffer: Arc::new(buffer),
                    id,
                    captured_at: frame.first_arrival,
                    color: ColorMatrix::default(),
                };
                if self.waiting.len() == WAITING {
                    self.show_oldest();
                }
                self.waiting.push_back(Waiting { frame: picture, timing, show_at });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a received picture could not be decoded");
                self.stats.lock().unwrap_or_else(PoisonError::into_inner).decode_errors += 1;
                self.jitter.decoder_failed();
            }
        }
    }

    fn show_due(&mut self) {
        while self.waiting.front().is_some_and(|waiting| waiting.show_at <= self.clock.now()) {
            self.show_oldest();
        }
    }

    fn show_oldest(&mut self) {
        if let Some(Waiting { frame, mut timing, .. }) = self.waiting.pop_front() {
            timing.presented_at = self.clock.now();
            self.sync.on_video_shown(timing.rtp_timestamp, timing.presented_at);
            self.sink.present(&frame, &timing);
        }
    }
}
