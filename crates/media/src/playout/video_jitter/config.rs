//! What the video jitter buffer is told, and what it tells.

use std::time::Duration;

/// How patient the buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoJitterConfig {
    /// Longest wait for a retransmission, from when the loss was noticed. Kept between 20 ms and 1 s: below that no
    /// retransmission comes in time, above it a key frame is there sooner.
    pub max_wait: Duration,
    /// Measured round-trip time, if known: no more than two attempts' worth is waited for then.
    pub round_trip: Option<Duration>,
    /// Least time between two requests for a key frame.
    pub keyframe_interval: Duration,
}

impl Default for VideoJitterConfig {
    /// 500 ms covers three attempts at the round trips of one continent, and two across an ocean: where a tenth is lost, a
    /// hundredth of the repetitions is lost too, and a key frame for each of those costs more than waiting. 300 ms between
    /// requests is what a key frame takes to be made and sent at low bitrates.
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            round_trip: None,
            keyframe_interval: Duration::from_millis(300),
        }
    }
}

impl VideoJitterConfig {
    /// How long to wait for a packet that is missing.
    ///
    /// Two round trips make room for a retransmission that is lost in its turn; 40 ms on top for the receiver's own delay
    /// before it reports the loss and for the queue on the way.
    pub(super) fn patience(&self) -> Duration {
        const LEAST: Duration = Duration::from_millis(20);
        const MOST: Duration = Duration::from_secs(1);
        const OVERHEAD: Duration = Duration::from_millis(40);
        let max = self.max_wait.clamp(LEAST, MOST);
        self.round_trip.map_or(max, |round_trip| (round_trip.min(MOST) * 2 + OVERHEAD).min(max))
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
