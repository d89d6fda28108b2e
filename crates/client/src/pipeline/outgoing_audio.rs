//! Microphone to network: 10 ms blocks → Opus on the source's thread → bounded queue → track.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahoy_media::audio::BlockConsumer;
use ahoy_media::codec::AudioEncoder;
use ahoy_media_types::{AudioBlock, EncodedFrame};
use ahoy_rtc::LocalTrack;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Packets waiting for the network: 320 ms of 20 ms packets. When it is full the network task has stalled and the
/// newest packet is dropped; the receiver conceals it.
const QUEUE: usize = 16;

/// A running outgoing audio pipeline; dropping it stops it. Its sound comes in through [`OutgoingAudio::start`]'s
/// block consumer, which belongs to an audio source.
pub struct OutgoingAudio {
    dropped: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl OutgoingAudio {
    /// Starts sending on `track` what the returned consumer is given. Must be called on a tokio runtime.
    pub fn start(mut encoder: Box<dyn AudioEncoder>, track: LocalTrack) -> (Self, BlockConsumer) {
        let dropped = Arc::new(AtomicU64::new(0));
        let (queue_tx, queue_rx) = mpsc::channel(QUEUE);
        let task = tokio::spawn(send_packets(track, queue_rx));
        let counter = Arc::clone(&dropped);
        let consumer = move |block: AudioBlock| match encoder.encode(&block) {
            Ok(Some(packet)) => {
                if let Err(mpsc::error::TrySendError::Full(_)) = queue_tx.try_send(packet) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "sound could not be encoded"),
        };
        (Self { dropped, task }, Box::new(consumer))
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

async fn send_packets(track: LocalTrack, mut queue: mpsc::Receiver<EncodedFrame>) {
    while let Some(packet) = queue.recv().await {
        if let Err(error) = track.send(packet).await {
            tracing::debug!(%error, "an audio packet was not sent");
        }
    }
}
