//! What the video jitter buffer is told, and what it tells.

use std::time::Duration;

/// How patient the buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoJitterConfig {
    /// Round trip, until another one is told.
    pub round_trip: Duration,
    /// Least time between two requests for a key frame.
    pub keyframe_interval: Duration,
}

impl Default for VideoJitterConfig {
    /// 100 ms are a continent. 300 ms between requests is what a key frame takes to be made and sent at low bitrates.
    fn default() -> Self {
        Self { round_trip: Duration::from_millis(100), keyframe_interval: Duration::from_millis(300) }
    }
}

impl VideoJitterConfig {
    /// How long to wait for a packet that is missing, from when the loss was noticed.
    ///
    /// Where a tenth is lost, so is a tenth of what is sent again, and a key frame for each of those costs more than to wait
    /// for the third attempt and its queue. Beyond a second nobody asks for the packet any more, and a picture that has stood
    /// still for 150 ms has frozen for all to see.
    pub(super) fn patience(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(150);
        const MOST: Duration = Duration::from_secs(1);
        const OVERHEAD: Duration = Duration::from_millis(100);
        (self.round_trip.min(MOST) * 4 + OVERHEAD).clamp(LEAST, MOST)
    }
}

/// Counters of a video jitter buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoJitterStats {
    /// Packets taken in, each counted once.
    pub packets_received: u64,
    /// Packets that never came, or not yet (RFC 3550 section 6.4.1).
    pub packets_lost: i64,
    /// Of those received: came after a later one, by reordering or retransmission.
    pub packets_recovered: u64,
    /// Copies of packets that were held already.
    pub packets_duplicate: u64,
    /// Packets that came too late to be of use, or from nowhere.
    pub packets_discarded: u64,
    /// Pictures given out.
    pub frames_assembled: u64,
    /// Pictures of which something came, but which could not be given out.
    pub frames_dropped: u64,
    /// How often a key frame was asked for.
    pub keyframes_requested: u64,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter: Duration,
}
