//! What was found to be too much lately.

use std::time::Duration;

use ahoy_media_types::MediaTime;

/// So far apart may two limits be that are the same one.
const SAME: f64 = 0.15;
/// How long one is remembered.
const KNOWN: Duration = Duration::from_secs(20);
/// From where to where the target is near it: where a drained queue leaves it, and where it has turned out that more fits.
const NEAR: std::ops::Range<f64> = 0.92..1.05;

/// The rate at which a queue grew, in bits per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundLimit {
    rate: f64,
    at: MediaTime,
    /// Whether it had been found before: the path does not change, or others share it who do not leave.
    again: bool,
}

impl FoundLimit {
    pub(super) fn new(rate: f64, before: Option<Self>, now: MediaTime) -> Self {
        let again =
            before.is_some_and(|before| now - before.at < KNOWN && (rate / before.rate - 1.0).abs() < SAME);
        Self { rate, at: now, again }
    }

    /// Whether so much is about as much as was too much twice. Then nothing is free, even where bursts arrive as they left: they
    /// fit between those of others.
    pub(super) fn is_near(&self, target: f64, now: MediaTime) -> bool {
        self.again && now - self.at < KNOWN && NEAR.contains(&(target / self.rate))
    }
}
