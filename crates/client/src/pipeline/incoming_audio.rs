//! Network to speaker: track → bounded queue → jitter buffer with its decoder, pulled by the sink's thread.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahoy_media::audio::BlockProvider;
use ahoy_media::codec::AudioDecoder;
use ahoy_media::playout::{AudioJitterBuffer, AudioJitterConfig, AudioJitterStats, StreamKind};
use ahoy_media_types::{BLOCK_SAMPLES, MediaClock, MediaTime, RtpPacket};
use ahoy_rtc::{RemoteTrack, RemoteTrackEvent};
use tokio::task::JoinHandle;

use super::LipSync;

/// Packets waiting for the sink's thread, which takes them every 10 ms: five seconds of 20 ms packets. When it is full
/// the sink has stalled; the packet is dropped and counts as lost.
const QUEUE: usize = 256;

/// Counters of an incoming audio pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IncomingAudioStats {
    /// When the first packet was taken from the socket.
    pub first_packet_at: Option<MediaTime>,
    /// When the last one was.
    pub last_packet_at: Option<MediaTime>,
    /// The longest time between two packets.
    pub longest_silence: Duration,
    /// Packets that found the sink stalled.
    pub overflowed: u64,
    /// What the jitter buffer counted.
    pub jitter: AudioJitterStats,
}

impl IncomingAudioStats {
    fn arrived(&mut self, at: MediaTime) {
        self.first_packet_at.get_or_insert(at);
        let silence = self.last_packet_at.map_or(Duration::ZERO, |before| at.since(before));
        self.longest_silence = self.longest_silence.max(silence);
        self.last_packet_at = Some(at);
    }
}

type Shared = Arc<Mutex<IncomingAudioStats>>;

fn lock(stats: &Shared) -> MutexGuard<'_, IncomingAudioStats> {
    stats.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running incoming audio pipeline. The sound comes out of the block provider that [`IncomingAudio::new`] returns,
/// which belongs to an audio sink; dropping the pipeline leaves silence.
pub struct IncomingAudio {
    stats: Shared,
    queue: SyncSender<RtpPacket>,
    sync: LipSync,
    task: Option<JoinHandle<()>>,
}

impl IncomingAudio {
    /// A pipeline that gives silence until a track is attached.
    pub fn new(decoder: Box<dyn AudioDecoder>, clock: MediaClock, sync: LipSync) -> (Self, BlockProvider) {
        let stats = Shared::default();
        let (queue, packets) = sync_channel(QUEUE);
        let jitter = AudioJitterBuffer::new(AudioJitterConfig::default(), decoder);
        let mut stage = PlayoutStage {
            packets,
            jitter,
            clock,
            sync: sync.clone(),
            stats: Arc::clone(&stats),
            started: false,
        };
        (Self { stats, queue, sync, task: None }, Box::new(move |heard_at| stage.next_block(heard_at)))
    }

    /// Plays what comes on `track` from now on, instead of what was played before. Must be called on a tokio runtime.
    pub fn attach(&mut self, track: RemoteTrack) {
        let receiving = receive(track, self.queue.clone(), self.sync.clone(), Arc::clone(&self.stats));
        if let Some(before) = self.task.replace(tokio::spawn(receiving)) {
            before.abort();
        }
    }

    /// Counters so far.
    pub fn stats(&self) -> IncomingAudioStats {
        *lock(&self.stats)
    }
}

impl Drop for IncomingAudio {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn receive(mut track: RemoteTrack, queue: SyncSender<RtpPacket>, sync: LipSync, stats: Shared) {
    while let Some(event) = track.next_event().await {
        match event {
            RemoteTrackEvent::Packet(packet) => {
                lock(&stats).arrived(packet.arrived_at);
                match queue.try_send(packet) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => lock(&stats).overflowed += 1,
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            RemoteTrackEvent::SenderReport(report) => sync.on_sender_report(StreamKind::Audio, &report),
            RemoteTrackEvent::Ended => return,
        }
    }
}

struct PlayoutStage {
    packets: Receiver<RtpPacket>,
    jitter: AudioJitterBuffer,
    clock: MediaClock,
    sync: LipSync,
    stats: Shared,
    started: bool,
}

impl PlayoutStage {
    fn next_block(&mut self, heard_at: MediaTime) -> [f32; BLOCK_SAMPLES] {
        let now = self.clock.now();
        for packet in self.packets.try_iter() {
            self.started = true;
            self.jitter.push(packet, now);
        }
        if !self.started {
            // Silence before the first packet is no gap in the sound.
            return [0.0; BLOCK_SAMPLES];
        }
        let block = self.jitter.pull(now);
        if let Some(rtp_timestamp) = block.rtp_timestamp {
            self.sync.on_audio_played(rtp_timestamp, heard_at);
            if let Some(held_back) = block.held_back {
                self.jitter.hold_back(self.sync.hold_sound(rtp_timestamp, held_back, heard_at));
            }
        } else if !self.sync.has_pictures(heard_at) {
            self.jitter.hold_back(Duration::ZERO);
        }
        lock(&self.stats).jitter = self.jitter.stats();
        block.samples
    }
}
