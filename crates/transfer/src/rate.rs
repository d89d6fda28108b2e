//! How fast bytes move, and how long the rest will take.

use std::collections::VecDeque;
use std::time::Duration;

use crate::{Moment, TransferView};

/// What was moved in this time is what counts: shorter, and the figures jump about; longer, and they lag behind.
const SPAN: Duration = Duration::from_secs(5);
/// How far apart bytes are counted.
const STEP: Duration = Duration::from_millis(250);
/// For how long a rate has to be known before it tells how long the rest takes.
const SURE: Duration = Duration::from_secs(2);

/// The rate of one transfer.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    /// When how much had been moved.
    counts: VecDeque<(Moment, u64)>,
    /// How much has been moved.
    moved: u64,
}

impl Rate {
    /// So many bytes have been moved in all. Call it whenever there are more, and when nothing moves.
    pub fn moved(&mut self, bytes: u64, now: Moment) {
        // Less than before: some of it was thrown away, and comes once more.
        if bytes < self.moved {
            self.counts.clear();
        }
        self.moved = bytes;
        if self.counts.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP) {
            self.counts.push_back((now, bytes));
        }
        while self.counts.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= SPAN) {
            self.counts.pop_front();
        }
    }

    /// Says in a view how fast it is, and how long the rest will take.
    pub fn fill_in(&mut self, view: &mut TransferView, now: Moment) {
        if !view.is_moving() {
            return self.stopped();
        }
        self.moved(view.moved, now);
        view.speed = self.per_second(now).map(|speed| speed as u64);
        let left = self.time_left(view.bytes.saturating_sub(view.moved), now);
        view.left_s = left.map(|left| left.as_secs_f64().ceil() as u64);
    }

    /// It was stopped, and what was before says nothing about what comes.
    pub fn stopped(&mut self) {
        self.counts.clear();
    }

    /// In bytes per second; nothing where nothing is known yet.
    pub fn per_second(&self, now: Moment) -> Option<f64> {
        let (since, from) = self.counts.front()?;
        let passed = now.saturating_sub(*since);
        (passed >= STEP).then(|| (self.moved - from) as f64 / passed.as_secs_f64())
    }

    /// How long so many more bytes will take; nothing where that is anybody's guess.
    pub fn time_left(&self, bytes: u64, now: Moment) -> Option<Duration> {
        let (since, _) = self.counts.front()?;
        let rate = self.per_second(now).filter(|rate| *rate >= 1.0 && now.saturating_sub(*since) >= SURE)?;
        Duration::try_from_secs_f64(bytes as f64 / rate).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_steady_stream_has_its_rate_and_ends_when_it_was_said() {
        let start = Moment::ZERO;
        let mut rate = Rate::default();
        for tenth in 0..100_u32 {
            rate.moved(u64::from(tenth) * 100_000, start + SECOND * tenth / 10);
        }
        let now = start + SECOND * 99 / 10;
        let known = rate.per_second(now).unwrap();
        assert!((0.97e6..1.03e6).contains(&known), "{known}");
        let left = rate.time_left(60_000_000, now).unwrap();
        assert!((58.0..62.0).contains(&left.as_secs_f64()), "{left:?}");
        assert!(rate.counts.len() < 30, "{}", rate.counts.len());
    }

    #[test]
    fn nothing_is_said_before_anything_is_known() {
        let start = Moment::ZERO;
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(start), None);
        rate.moved(0, start);
        rate.moved(5_000_000, start + SECOND / 2);
        assert!(rate.per_second(start + SECOND / 2).is_some());
        assert_eq!(rate.time_left(1, start + SECOND / 2), None, "half a second says little");
    }

    #[test]
    fn what_comes_to_a_standstill_slows_down_and_is_forgotten_when_it_was_stopped() {
        let start = Moment::ZERO;
        let mut rate = Rate::default();
        for second in 0..10_u32 {
            rate.moved(u64::from(second) * 1_000_000, start + SECOND * second);
        }
        for second in 10..20_u32 {
            rate.moved(9_000_000, start + SECOND * second);
        }
        assert_eq!(rate.per_second(start + SECOND * 19), Some(0.0));
        assert_eq!(rate.time_left(1, start + SECOND * 19), None);
        rate.stopped();
        assert_eq!(rate.per_second(start + SECOND * 19), None);
    }
}
