//! How fast packets arrive.

use std::collections::VecDeque;
use std::time::Duration;

/// Arrivals remembered.
const WINDOW: Duration = Duration::from_millis(1_000);
/// The most arrivals remembered: 50 Mb/s in packets of 1200 bytes.
const MOST: usize = 8_192;

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: f64,
    bits: f64,
    /// Whether it had waited in a queue, so that the time since the one before is what the bottleneck took for it.
    queued: bool,
}

/// Arrivals by the other side's clock.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    arrivals: VecDeque<Arrival>,
}

impl Delivery {
    pub(crate) fn arrived(&mut self, at: Duration, bytes: usize, queued: bool) {
        let at = at.as_secs_f64();
        // Overtaken packets count where they should have been.
        let at = self.arrivals.back().map_or(at, |last| last.at.max(at));
        self.arrivals.push_back(Arrival { at, bits: bytes as f64 * 8.0, queued });
        while self.arrivals.len() > MOST
            || self.arrivals.front().is_some_and(|first| at - first.at > WINDOW.as_secs_f64())
        {
            self.arrivals.pop_front();
        }
    }

    /// Bits per second over the last `window`; `None` while it is not full.
    pub(crate) fn rate(&self, window: f64) -> Option<f64> {
        let last = self.arrivals.back()?.at;
        let first = self.arrivals.front()?.at;
        if last - first < window * 0.9 {
            return None;
        }
        let bits: f64 =
            self.arrivals.iter().rev().take_while(|arrival| last - arrival.at < window).map(|a| a.bits).sum();
        Some(bits / window)
    }

    /// What the bottleneck let through while there was a queue during the last `window`: bits per second, and for how many
    /// seconds there was one.
    pub(crate) fn busy(&self, window: f64) -> Option<(f64, f64)> {
        let last = self.arrivals.back()?.at;
        let (mut bits, mut time) = (0.0, 0.0);
        let mut later: Option<Arrival> = None;
        for arrival in self.arrivals.iter().rev() {
            if let Some(later) = later
                && later.queued
            {
                bits += later.bits;
                time += later.at - arrival.at;
            }
            if last - arrival.at >= window {
                break;
            }
            later = Some(*arrival);
        }
        (time > 0.0).then_some((bits / time, time))
    }
}
