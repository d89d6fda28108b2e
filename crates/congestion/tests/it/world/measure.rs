//! What a run was worth.

use super::{Call, World};

/// Figures of one stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Media that arrived, as a share of what the bottleneck could carry.
    pub(crate) utilisation: f64,
    /// Waiting time at the bottleneck, in milliseconds.
    pub(crate) queue_p95: f64,
}

impl World {
    /// Media of one call from `from` to `to`, in bits per second.
    pub(crate) fn rate(&self, call: usize, from: f64, to: f64) -> f64 {
        let received = self.call(call).received.iter().filter(|(at, _)| (from..to).contains(at));
        received.map(|(_, bytes)| *bytes as f64 * 8.0).sum::<f64>() / (to - from)
    }

    /// What was sent again and arrived.
    pub(crate) fn repeated_rate(&self, call: usize, from: f64, to: f64) -> f64 {
        let repeated = self.call(call).repeated.iter().filter(|(at, _)| (from..to).contains(at));
        repeated.map(|(_, bytes)| *bytes as f64 * 8.0).sum::<f64>() / (to - from)
    }

    /// Figures of all calls together from `from` to `to`, of a bottleneck of `capacity` bits per second.
    pub(crate) fn measure(&self, calls: &[usize], capacity: f64, from: f64, to: f64) -> Measured {
        let rate: f64 = calls.iter().map(|call| self.rate(*call, from, to)).sum();
        let mut waits = self.waits(from, to);
        waits.sort_by(f64::total_cmp);
        Measured { utilisation: rate / capacity, queue_p95: percentile(&waits, 0.95) }
    }
}

impl Call {
    /// How long nineteen of twenty packets of sound take at most that arrive from `from` to `to`, in milliseconds.
    pub(crate) fn sound_p95(&self, from: f64, to: f64) -> f64 {
        let within = self.sound.iter().zip(&self.sound_took).filter(|(at, _)| (from..to).contains(*at));
        let mut took: Vec<f64> = within.map(|(_, took)| *took).collect();
        // 60 ms of sound in a packet at least.
        assert!(took.len() as f64 > (to - from) * 15.0, "sound is missing: {} packets", took.len());
        took.sort_by(f64::total_cmp);
        percentile(&took, 0.95)
    }

    /// The longest time without any of it from `from` to `to`, in seconds: a picture that is lost for good is never made up for
    /// here, so that later ones are never seen.
    pub(crate) fn longest_silence(&self, from: f64, to: f64) -> f64 {
        let heard = self.received.iter().map(|(at, _)| *at).filter(|at| (from..to).contains(at));
        longest_gap(from, heard, to)
    }

    /// The longest time without a new picture from `from` to `to`, in seconds.
    pub(crate) fn longest_standstill(&self, from: f64, to: f64) -> f64 {
        let shown = self.shown.iter().copied().filter(|at| (from..to).contains(at));
        longest_gap(from, shown, to)
    }
}

fn longest_gap(from: f64, times: impl Iterator<Item = f64>, to: f64) -> f64 {
    let mut last = from;
    times.chain([to]).fold(0.0, |longest: f64, at| longest.max(at - std::mem::replace(&mut last, at)))
}

/// Of values in ascending order.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    match sorted.len() {
        0 => 0.0,
        len => sorted[((len - 1) as f64 * share) as usize],
    }
}

/// Jain's index of fairness: 1 where all have the same.
pub(crate) fn jain(rates: &[f64]) -> f64 {
    let sum: f64 = rates.iter().sum();
    sum * sum / (rates.len() as f64 * rates.iter().map(|rate| rate * rate).sum::<f64>())
}
