//! Rates, averaged over some time.

use ahoy_media_types::MediaTime;

/// What has passed of late, weighed the less the longer ago it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AverageRate {
    /// Time constant, in seconds.
    over: f64,
    bits: f64,
    at: MediaTime,
}

impl AverageRate {
    /// Nothing has passed; what does is averaged over so many seconds.
    pub(crate) const fn over(seconds: f64) -> Self {
        Self { over: seconds, bits: 0.0, at: MediaTime::ZERO }
    }

    fn decay(&self, now: MediaTime) -> f64 {
        self.bits * (-(now - self.at).as_secs_f64() / self.over).exp()
    }

    pub(crate) fn add(&mut self, bytes: usize, now: MediaTime) {
        *self = Self { bits: self.decay(now) + bytes as f64 * 8.0, at: now, ..*self };
    }

    /// In bits per second.
    pub(crate) fn bps(&self, now: MediaTime) -> f64 {
        self.decay(now) / self.over
    }
}
