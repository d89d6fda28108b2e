//! The playout thread: what arrives is put in order, made ready for the screen and shown when it is due.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahoy_media::codec::VideoDecoder;
use ahoy_media::playout::{AssembledFrame, StreamKind, VideoJitterBuffer, VideoJitterConfig, VideoOut};
use ahoy_media_types::{ColorMatrix, FrameId, MediaClock, MediaTime, VideoFrame};
use ahoy_rtc::NetworkEstimate;
use tokio::sync::{Notify, watch};

use super::screen::{Content, Screen, Takes};
use super::{Arrival, FrameTiming, IncomingVideoStats, LipSync};
use crate::picture_socket::{PageEvent, PictureFormat};

/// Frames waiting for their time: a quarter of a second at 30 fps. When it is full the oldest is shown at once.
const WAITING: usize = 8;
/// How long the playout thread waits when nothing is due.
const IDLE_WAKE: Duration = Duration::from_millis(200);

struct Waiting {
    content: Content,
    timing: FrameTiming,
    show_at: MediaTime,
}

/// The other side, as the playout thread sees it.
pub(super) struct OtherSide {
    pub(super) arrivals: Receiver<Arrival>,
    pub(super) network: watch::Receiver<NetworkEstimate>,
    pub(super) keyframe_wanted: Arc<Notify>,
}

pub(super) struct PlayoutStage {
    other_side: OtherSide,
    jitter: VideoJitterBuffer,
    decoder: Box<dyn VideoDecoder>,
    /// What the screen took last: a change may need a key frame.
    taken: Takes,
    waiting: VecDeque<Waiting>,
    screen: Screen,
    sync: LipSync,
    clock: MediaClock,
    stats: Arc<Mutex<IncomingVideoStats>>,
    next_id: u32,
}

impl PlayoutStage {
    pub(super) fn new(
        other_side: OtherSide,
        decoder: Box<dyn VideoDecoder>,
        screen: Screen,
        sync: LipSync,
        clock: MediaClock,
        stats: Arc<Mutex<IncomingVideoStats>>,
    ) -> Self {
        Self {
            other_side,
            jitter: VideoJitterBuffer::new(VideoJitterConfig::default()),
            decoder,
            taken: screen.takes(),
            waiting: VecDeque::with_capacity(WAITING),
            screen,
            sync,
            clock,
            stats,
            next_id: 0,
        }
    }

    fn stats(&self) -> MutexGuard<'_, IncomingVideoStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn run(mut self) {
        loop {
            let now = self.clock.now();
            match self.other_side.arrivals.recv_timeout(self.wait(now)) {
                Ok(arrival) => {
                    self.on_arrival(arrival);
                    // Whatever else has come meanwhile belongs before the next look at what is complete.
                    while let Ok(arrival) = self.other_side.arrivals.try_recv() {
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
        let due = [self.jitter.next_wakeup(now), self.next_due()];
        due.into_iter().flatten().min().map_or(IDLE_WAKE, |at| at.since(now).min(IDLE_WAKE))
    }

    /// When the screen must have the next frame.
    fn next_due(&self) -> Option<MediaTime> {
        Some(self.waiting.front()?.show_at.saturating_sub(self.screen.lead()))
    }

    fn on_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Packet(packet) => {
                if self.other_side.network.has_changed().unwrap_or(false) {
                    let round_trip = self.other_side.network.borrow_and_update().rtt_ms;
                    self.jitter.set_round_trip(Duration::from_secs_f64(round_trip.max(0.0) / 1e3));
                }
                self.stats().first_packet_at.get_or_insert(packet.arrived_at);
                self.jitter.push(packet, self.clock.now());
            }
            Arrival::SenderReport(report) => self.sync.on_sender_report(StreamKind::Video, &report),
            Arrival::Page(event) => self.on_page(event),
        }
    }

    fn on_page(&mut self, event: PageEvent) {
        match event {
            PageEvent::Shown(picture, at) => {
                let at = self.clock.at(at);
                if let Some(timing) = self.screen.on_shown(picture, at) {
                    self.sync.on_video_shown(timing.rtp_timestamp, at);
                }
            }
            // A stream begins with a key frame, so there is no need of another before it has come.
            PageEvent::Attached(PictureFormat::H264) if self.jitter.stats().frames_assembled == 0 => {}
            // It is asked for until it comes.
            PageEvent::KeyframeWanted | PageEvent::Attached(PictureFormat::H264) => {
                self.jitter.decoder_failed()
            }
            // The decoder here asks for one itself if it needs one.
            PageEvent::Attached(PictureFormat::I420) | PageEvent::Detached => {}
            // Of interest to whoever sends.
            PageEvent::Size(_) => {}
        }
    }

    fn assemble(&mut self) {
        while let Some(out) = self.jitter.poll(self.clock.now()) {
            match out {
                VideoOut::Frame(frame) => self.on_frame(frame),
                VideoOut::NeedKeyframe => self.other_side.keyframe_wanted.notify_one(),
            }
        }
        let jitter = self.jitter.stats();
        let mut stats = self.stats();
        stats.packets_received = jitter.packets_received;
        stats.frames_received = jitter.frames_assembled;
    }

    fn on_frame(&mut self, frame: AssembledFrame) {
        let takes = self.screen.takes();
        let before = std::mem::replace(&mut self.taken, takes);
        match takes {
            Takes::Nothing => {}
            Takes::Encoded => {
                let now = self.clock.now();
                self.stats().frames_decoded += 1;
                let content = Content::Encoded { data: frame.data.clone(), keyframe: frame.keyframe };
                self.queue_frame(content, &frame, now, now);
            }
            Takes::Decoded => {
                if before != Takes::Decoded && !frame.keyframe {
                    // The decoder here has not seen what this frame refers to.
                    self.jitter.decoder_failed();
                    return;
                }
                self.decode(&frame);
            }
        }
    }

    fn decode(&mut self, frame: &AssembledFrame) {
        let decode_started_at = self.clock.now();
        let decoded = self.decoder.decode(&frame.data);
        let decoded_at = self.clock.now();
        match decoded {
            Ok(Some(buffer)) => {
                self.stats().frames_decoded += 1;
                let id = FrameId(self.next_id);
                self.next_id = self.next_id.wrapping_add(1);
                let picture = VideoFrame {
                    buffer: Arc::new(buffer),
                    id,
                    captured_at: frame.first_arrival,
                    color: ColorMatrix::default(),
                };
                self.queue_frame(Content::Decoded(picture), frame, decode_started_at, decoded_at);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "a received picture could not be decoded");
                self.stats().decode_errors += 1;
                self.jitter.decoder_failed();
            }
        }
    }

    fn queue_frame(
        &mut self,
        content: Content,
        frame: &AssembledFrame,
        decode_started_at: MediaTime,
        decoded_at: MediaTime,
    ) {
        let timing = FrameTiming {
            rtp_timestamp: frame.rtp_timestamp,
            last_packet_at: frame.last_arrival,
            decode_started_at,
            decoded_at,
            presented_at: decoded_at,
        };
        let show_at = self.sync.on_video_frame(frame.rtp_timestamp, frame.last_arrival);
        if self.waiting.len() == WAITING {
            self.show_oldest();
        }
        self.waiting.push_back(Waiting { content, timing, show_at });
    }

    fn show_due(&mut self) {
        while self.next_due().is_some_and(|due| due <= self.clock.now()) {
            self.show_oldest();
        }
    }

    fn show_oldest(&mut self) {
        if let Some(Waiting { content, timing, .. }) = self.waiting.pop_front() {
            let shown = self.screen.show(&content, timing, self.clock.now());
            if let Some(at) = shown {
                self.sync.on_video_shown(timing.rtp_timestamp, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use ahoy_congestion::Sender;
    use ahoy_media::codec::H264Decoder;
    use ahoy_media_types::FramePool;
    use ahoy_rtc::PeerConfig;

    use super::super::TimedFrameSink;
    use super::*;

    struct Nowhere;

    impl TimedFrameSink for Nowhere {
        fn present(&mut self, _frame: &VideoFrame, _timing: &FrameTiming) {}
    }

    #[tokio::test]
    async fn a_key_frame_that_the_windows_page_wants_is_asked_for_until_it_comes() {
        let (page, arrivals) = channel();
        let known = Sender::<()>::new(PeerConfig::DEFAULT_LIMITS).estimate(MediaTime::ZERO);
        let (_network, network) = watch::channel(known);
        let keyframe_wanted = Arc::new(Notify::new());
        let other_side = OtherSide { arrivals, network, keyframe_wanted: Arc::clone(&keyframe_wanted) };
        let decoder = Box::new(H264Decoder::new(FramePool::new()).unwrap());
        let (sync, clock) = (LipSync::default(), MediaClock::start());
        let screen = Screen::sink(Box::new(Nowhere));
        let stage = PlayoutStage::new(other_side, decoder, screen, sync, clock, Arc::default());
        let thread = std::thread::spawn(move || stage.run());

        page.send(Arrival::Page(PageEvent::KeyframeWanted)).unwrap();
        // The first request, or its answer, is lost.
        for _ in 0..3 {
            tokio::time::timeout(Duration::from_secs(10), keyframe_wanted.notified()).await.unwrap();
        }
        drop(page);
        thread.join().unwrap();
    }
}
