//! Microphone to network: 10 ms blocks → Opus on the source's thread → bounded queue → track, if there is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahoy_congestion::{SoundEncoding, sound_encoding};
use ahoy_media::audio::BlockConsumer;
use ahoy_media::codec::AudioEncoder;
use ahoy_media_types::{AudioBlock, Bitrate, EncodedFrame};
use ahoy_rtc::LocalTrack;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Packets waiting for the network: 320 ms of 20 ms packets. When it is full the network task has stalled and the
/// newest packet is dropped; the receiver conceals it.
const QUEUE: usize = 16;

/// Blocks of 10 ms between two looks at the network.
const LOOK_EVERY: u32 = 50;

/// A running outgoing audio pipeline; dropping it stops it. Its sound comes in through [`OutgoingAudio::start`]'s
/// block consumer, which belongs to an audio source.
pub struct OutgoingAudio {
    dropped: Arc<AtomicU64>,
    track: watch::Sender<Option<LocalTrack>>,
    task: JoinHandle<()>,
}

impl OutgoingAudio {
    /// Starts encoding what the returned consumer is given. Until a track is attached it goes nowhere. Must be called on a
    /// tokio runtime.
    pub fn start(mut encoder: Box<dyn AudioEncoder>) -> (Self, BlockConsumer) {
        let dropped = Arc::new(AtomicU64::new(0));
        let (queue_tx, queue_rx) = mpsc::channel(QUEUE);
        let (track, current) = watch::channel(None);
        let task = tokio::spawn(send_packets(current.clone(), queue_rx));
        let counter = Arc::clone(&dropped);
        let mut path = Path { track: current.clone(), blocks: 0, told: None };
        let consumer = move |block: AudioBlock| {
            path.follow(&mut *encoder);
            match encoder.encode(&block) {
                Ok(Some(packet)) => {
                    if let Err(mpsc::error::TrySendError::Full(_)) = queue_tx.try_send(packet) {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "sound could not be encoded"),
            }
        };
        (Self { dropped, track, task }, Box::new(consumer))
    }

    /// Sends on `track` from now on, instead of the one before.
    pub fn attach(&self, track: LocalTrack) {
        self.track.send_replace(Some(track));
    }

    /// Packets that found the queue to the network full; what went out is in [`LocalTrack::stats`].
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for OutgoingAudio {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells the encoder what the path does to its packets.
struct Path {
    track: watch::Receiver<Option<LocalTrack>>,
    blocks: u32,
    told: Option<SoundEncoding>,
}

impl Path {
    fn follow(&mut self, encoder: &mut dyn AudioEncoder) {
        self.blocks += 1;
        if !self.blocks.is_multiple_of(LOOK_EVERY) {
            return;
        }
        let path = |track: &LocalTrack| (track.known(), track.copies());
        let Some((network, copies)) = self.track.borrow().as_ref().map(path) else { return };
        encoder.set_silence_sent(copies);
        let wanted = sound_encoding(network.target, network.expected_loss, copies, self.told);
        if self.told.replace(wanted) == Some(wanted) {
            return;
        }
        encoder.set_packet_duration(wanted.long_packet);
        let told = Bitrate::from_bps(wanted.bitrate).map(|bitrate| {
            encoder.set_bitrate(bitrate).and_then(|()| encoder.set_expected_loss(wanted.loss))
        });
        if let Ok(Err(error)) = told {
            tracing::warn!(%error, "the sound's encoder did not follow the network");
        }
    }
}

async fn send_packets(track: watch::Receiver<Option<LocalTrack>>, mut queue: mpsc::Receiver<EncodedFrame>) {
    while let Some(packet) = queue.recv().await {
        let current = track.borrow().clone();
        if let Some(track) = current
            && let Err(error) = track.send(packet).await
        {
            tracing::debug!(%error, "an audio packet was not sent");
        }
    }
}
