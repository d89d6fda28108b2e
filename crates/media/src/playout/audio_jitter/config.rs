//! What the audio jitter buffer is told, and what it tells.

use std::time::Duration;

use ahoy_media_types::SAMPLE_RATE;

/// Limits of the delay that the buffer chooses by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioJitterConfig {
    /// Least time that sound is held back beyond the fastest packet's journey. It covers the time that threads take to wake.
    pub least_delay: Duration,
    /// Most. Beyond it packets are given up rather than waited for.
    pub most_delay: Duration,
}

impl Default for AudioJitterConfig {
    /// 5 ms: with 20 ms packets sound is heard about 20 ms after its packet came. 300 ms: more makes people talk over each
    /// other (ITU-T G.114 has 400 ms for the whole way from mouth to ear).
    fn default() -> Self {
        Self { least_delay: Duration::from_millis(5), most_delay: Duration::from_millis(300) }
    }
}

/// Counters of an audio jitter buffer, named as in the W3C's webrtc-stats where it has a name for them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AudioJitterStats {
    /// Packets taken in, each counted once.
    pub packets_received: u64,
    /// Packets that never came, or not yet (RFC 3550 section 6.4.1).
    pub packets_lost: i64,
    /// Packets that came too late, twice, or from nowhere.
    pub packets_discarded: u64,
    /// Packets that could not be decoded.
    pub packets_damaged: u64,
    /// Samples given out since the first packet, made up or not: `totalSamplesReceived`.
    pub total_samples: u64,
    /// Samples made up in place of sound that was lost or late: `concealedSamples`.
    pub concealed_samples: u64,
    /// Of those, samples that are silent: `silentConcealedSamples`.
    pub silent_concealed_samples: u64,
    /// How often sound was made up, counting each gap once: `concealmentEvents`.
    pub concealment_events: u64,
    /// Samples of lost packets restored from the packet after them.
    pub restored_samples: u64,
    /// Samples of comfort noise while the sender was silent and sent nothing.
    pub comfort_samples: u64,
    /// `insertedSamplesForDeceleration`.
    pub inserted_for_deceleration: u64,
    /// `removedSamplesForAcceleration`.
    pub removed_for_acceleration: u64,
    /// Time that all decoded samples together spent in the buffer, in seconds: `jitterBufferDelay`.
    pub buffer_delay_seconds: f64,
    /// Number of those samples: `jitterBufferEmittedCount`.
    pub emitted_samples: u64,
    /// How long the newest packet's samples spent in the buffer on average.
    pub current_delay: Duration,
    /// How long sound is meant to be held back beyond the fastest packet's journey.
    pub target_delay: Duration,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter: Duration,
}

impl AudioJitterStats {
    /// Share of the samples that were made up, 0.0 to 1.0.
    pub fn concealed_ratio(&self) -> f64 {
        // Sound counts as made up when it is made, which is up to a packet's length before it is played.
        (self.concealed_samples as f64 / self.total_samples.max(1) as f64).min(1.0)
    }

    /// How long samples spent in the buffer on average, since the beginning.
    pub fn mean_delay(&self) -> Duration {
        Duration::from_secs_f64(self.buffer_delay_seconds / self.emitted_samples.max(1) as f64)
    }

    pub(super) fn on_packet_played(&mut self, waited: Duration, samples: usize) {
        // Its last sample comes out a packet's length after its first.
        let delay = waited + Duration::from_secs_f64(samples as f64 / f64::from(SAMPLE_RATE) / 2.0);
        self.current_delay = delay;
        self.buffer_delay_seconds += delay.as_secs_f64() * samples as f64;
        self.emitted_samples += samples as u64;
    }
}
