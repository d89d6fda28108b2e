//! What comes out of the buffer.

use std::time::Duration;

use ahoy_media_types::BLOCK_SAMPLES;

/// Where a block of sound comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayedKind {
    /// Nothing has been received yet.
    Nothing,
    /// From packets.
    Received,
    /// Made up, all or in part, because packets were late or lost, or the sender silent.
    MadeUp,
}

/// 10 ms of sound to play.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayedBlock {
    /// Samples from -1.0 to 1.0, 48 kHz mono.
    pub samples: [f32; BLOCK_SAMPLES],
    /// The sender's timestamp of the first sample, for lip sync; `None` where it is not all from packets. Made-up sound has
    /// no such time: silence that the sender does not send can go on for minutes without the timestamps moving.
    pub rtp_timestamp: Option<u32>,
    /// Where it comes from.
    pub kind: PlayedKind,
    /// How long it was held back beyond the journey of the fastest packet, where it is all from packets.
    pub held_back: Option<Duration>,
}
