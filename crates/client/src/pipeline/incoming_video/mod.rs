//! Network to screen: track → jitter buffer → playout clock → screen. The screen is a sink that takes decoded frames, or the
//! window, which takes encoded ones if it can decode them.

mod screen;
mod stage;

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use ahoy_media::codec::VideoDecoder;
use ahoy_media_types::{MediaClock, MediaTime, RtpPacket, SenderReport};
use ahoy_rtc::{RemoteTrack, RemoteTrackEvent};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::screen::Screen;
pub use self::screen::{FrameWatch, TimedFrameSink, VideoOutput};
use self::stage::{OtherSide, PlayoutStage};
use super::LipSync;
use crate::picture_socket::{Area, PageEvent, StreamName};

/// Packets waiting for the playout thread: half a second of 1080p at 8 Mbit/s. When it is full the thread has stalled;
/// the packet is dropped and counts as lost, so that the jitter buffer asks for a key frame.
const QUEUE: usize = 512;

/// When a frame went through the receiving end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTiming {
    /// The frame's RTP timestamp.
    pub rtp_timestamp: u32,
    /// When its last packet was taken from the socket.
    pub last_packet_at: MediaTime,
    /// When the decoder took it, or when it was sent to the window.
    pub decode_started_at: MediaTime,
    /// When the decoder was done; the window tells only when it had drawn the frame.
    pub decoded_at: MediaTime,
    /// When it was handed to the sink to be shown, or when the window had drawn it.
    pub presented_at: MediaTime,
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
    /// The only one that lasts: without it the thread ends, whatever the runtime is busy with. Ending it by way of the task
    /// would never end where the task waits for the very worker that waits here.
    queue: Option<Arc<SyncSender<Arrival>>>,
    stats: Arc<Mutex<IncomingVideoStats>>,
    area: Arc<Mutex<Option<Area>>>,
    task: JoinHandle<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl IncomingVideo {
    /// Starts showing what comes on `track` at `output`. Must be called on a tokio runtime.
    pub fn start(
        track: RemoteTrack,
        decoder: Box<dyn VideoDecoder>,
        output: VideoOutput,
        sync: LipSync,
        clock: MediaClock,
    ) -> std::io::Result<Self> {
        let stats = Arc::new(Mutex::new(IncomingVideoStats::default()));
        let keyframe_wanted = Arc::new(Notify::new());
        let (queue_tx, arrivals) = sync_channel(QUEUE);
        let queue_tx = Arc::new(queue_tx);
        let area = Arc::new(Mutex::new(None));
        let screen = match output {
            VideoOutput::Sink(sink) => Screen::sink(sink),
            VideoOutput::Window(socket, watch) => {
                let page = Arc::downgrade(&queue_tx);
                let drawn_in = Arc::clone(&area);
                let listener = move |event| {
                    // Not by way of the queue: it is said once, and must not be lost.
                    if let PageEvent::Size(area) = event {
                        *drawn_in.lock().unwrap_or_else(PoisonError::into_inner) = Some(area);
                    }
                    if let Some(queue) = page.upgrade() {
                        // With the thread stalled there is nothing to be done for the page either.
                        let _ = queue.try_send(Arrival::Page(event));
                    }
                };
                Screen::window(socket.open(StreamName::Remote, Box::new(listener)), watch)
            }
        };
        let other_side =
            OtherSide { arrivals, network: track.network(), keyframe_wanted: Arc::clone(&keyframe_wanted) };
        let stage = PlayoutStage::new(other_side, decoder, screen, sync, clock, Arc::clone(&stats));
        let thread = thread::Builder::new().name("ahoy-video-out".into()).spawn(move || stage.run())?;
        let task =
            tokio::spawn(receive(track, Arc::downgrade(&queue_tx), keyframe_wanted, Arc::clone(&stats)));
        Ok(Self { queue: Some(queue_tx), stats, area, task, thread: Some(thread) })
    }

    /// Counters so far.
    pub fn stats(&self) -> IncomingVideoStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In which size the window draws the pictures, as it has said last; `None` where it has not, or there is none.
    pub fn area(&self) -> Option<Area> {
        *self.area.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the pipeline and returns its counters.
    pub fn stop(self) -> IncomingVideoStats {
        self.stats()
    }
}

impl Drop for IncomingVideo {
    fn drop(&mut self) {
        self.task.abort();
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the video playout thread had panicked");
        }
    }
}

/// What the network and the window tell the playout thread.
enum Arrival {
    Packet(RtpPacket),
    SenderReport(SenderReport),
    Page(PageEvent),
}

async fn receive(
    mut track: RemoteTrack,
    queue: Weak<SyncSender<Arrival>>,
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
                let Some(queue) = queue.upgrade() else { return };
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
