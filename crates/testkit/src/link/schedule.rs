//! The bottleneck's rate over time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Amount of transmission in bits times 10^6, so that a rate in bit/s times microseconds is exact.
pub(super) type Work = u128;

pub(super) const fn work_of(bytes: usize) -> Work {
    bytes as Work * 8 * 1_000_000
}

/// A stretch of time with one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateStep {
    /// How long the rate holds.
    #[serde(with = "super::config::millis", rename = "lasts_ms")]
    pub lasts: Duration,
    /// Bits per second; `None` means no limit and 0 an outage, in which the queue waits.
    #[serde(default)]
    pub bps: Option<u64>,
}

/// What comes after the last step of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterSchedule {
    /// The last rate stays.
    #[default]
    Hold,
    /// The schedule starts over.
    Repeat,
}

/// The rate of a link over time, constant within each step. It starts when the link does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSchedule {
    /// The steps in order. Without any, the rate has no limit.
    pub steps: Vec<RateStep>,
    /// What comes after the last step.
    #[serde(default)]
    pub after: AfterSchedule,
}

impl RateSchedule {
    /// No limit at all times.
    pub const UNLIMITED: RateSchedule = RateSchedule { steps: Vec::new(), after: AfterSchedule::Hold };

    /// One rate in bits per second at all times.
    pub fn constant(bps: u64) -> Self {
        Self::holding([(Duration::from_secs(1), Some(bps))])
    }

    /// The given rates (bits per second, `None` for no limit), each for its duration; the last one stays.
    pub fn holding(steps: impl IntoIterator<Item = (Duration, Option<u64>)>) -> Self {
        let steps = steps.into_iter().map(|(lasts, bps)| RateStep { lasts, bps }).collect();
        Self { steps, after: AfterSchedule::Hold }
    }

    /// The given rates (bits per second, `None` for no limit), each for its duration, over and over.
    pub fn repeating(steps: impl IntoIterator<Item = (Duration, Option<u64>)>) -> Self {
        Self { after: AfterSchedule::Repeat, ..Self::holding(steps) }
    }

    /// The rate at a time since the start, in bits per second; `None` for no limit.
    pub fn rate_at(&self, since_start: Duration) -> Option<u64> {
        let timeline = Timeline::new(self);
        timeline.segment(since_start.as_micros() as u64).bps
    }

    /// Bits that pass between two times since the start, of senders that offer no more than `most_bps` bits per second: where
    /// the link carries more, or has no limit, that is what counts.
    pub fn carries(&self, from: Duration, to: Duration, most_bps: u64) -> f64 {
        let timeline = Timeline::new(self);
        let (mut at, to) = (from.as_micros() as u64, to.as_micros() as u64);
        let mut sum: Work = 0;
        while at < to {
            let segment = timeline.segment(at);
            let end = segment.end.map_or(to, |end| end.min(to));
            sum += Work::from(segment.bps.map_or(most_bps, |bps| bps.min(most_bps))) * Work::from(end - at);
            at = end;
        }
        sum as f64 / 1e6
    }
}

/// A schedule made ready for looking up times.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// Where each step ends, in microseconds since the start.
    ends: Vec<u64>,
    rates: Vec<Option<u64>>,
    repeats: bool,
}

pub(super) struct Segment {
    pub(super) bps: Option<u64>,
    /// When the rate changes, in microseconds since the start; `None` if it never does.
    pub(super) end: Option<u64>,
    index: usize,
}

/// The end of a transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finish {
    /// In microseconds since the start, rounded up.
    pub(super) at: u64,
    /// What rounding up left over: the next packet's head start.
    pub(super) spare: Work,
}

impl Timeline {
    pub(super) fn new(schedule: &RateSchedule) -> Self {
        let ends = schedule
            .steps
            .iter()
            .scan(0u64, |end, step| {
                *end = end.saturating_add(step.lasts.as_micros() as u64);
                Some(*end)
            })
            .collect();
        let rates = schedule.steps.iter().map(|step| step.bps).collect();
        Self { ends, rates, repeats: schedule.after == AfterSchedule::Repeat }
    }

    pub(super) fn segment(&self, at: u64) -> Segment {
        let Some(&total) = self.ends.last() else {
            return Segment { bps: None, end: None, index: 0 };
        };
        let last = self.ends.len() - 1;
        let (base, within) = match self.repeats {
            true => (at - at % total, at % total),
            false => (0, at),
        };
        let index = self.ends.partition_point(|end| *end <= within).min(last);
        let end = (self.repeats || index < last).then(|| base + self.ends[index]);
        Segment { bps: self.rates[index], end, index }
    }

    /// The rate that turns the queue's length in time into bytes: the present one, in an outage the one before it.
    pub(super) fn queue_rate(&self, at: u64) -> Option<u64> {
        let Segment { bps, index, .. } = self.segment(at);
        if bps != Some(0) {
            return bps;
        }
        let before = (0..index).rev();
        let wrapped = (index..self.rates.len()).rev().filter(|_| self.repeats);
        before.chain(wrapped).map(|i| self.rates[i]).find(|bps| *bps != Some(0)).unwrap_or(Some(0))
    }

    /// When `work` that starts at `from` is through; `None` if never.
    pub(super) fn finish(&self, from: u64, mut work: Work) -> Option<Finish> {
        let mut at = from;
        loop {
            let segment = self.segment(at);
            let Some(bps) = segment.bps else { return Some(Finish { at, spare: 0 }) };
            let needed = work.checked_div(Work::from(bps)).map(|_| work.div_ceil(Work::from(bps)));
            match (needed, segment.end) {
                (None, None) => return None,
                (None, Some(end)) => at = end,
                (Some(needed), Some(end)) if Work::from(end - at) < needed => {
                    work -= Work::from(end - at) * Work::from(bps);
                    at = end;
                }
                (Some(needed), _) => {
                    let spare = needed * Work::from(bps) - work;
                    return Some(Finish { at: at + needed as u64, spare });
                }
            }
        }
    }

    /// The work that fits between two times; `None` if there is no limit in some part of it.
    pub(super) fn capacity(&self, from: u64, to: u64) -> Option<Work> {
        let (mut at, mut sum) = (from, 0);
        while at < to {
            let segment = self.segment(at);
            let end = segment.end.map_or(to, |end| end.min(to));
            sum += Work::from(segment.bps?) * Work::from(end - at);
            at = end;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bytes_between(schedule: &RateSchedule, from: u64, to: u64) -> Option<u128> {
        Timeline::new(schedule).capacity(from, to).map(|work| work / 8_000_000)
    }

    #[test]
    fn a_schedule_holds_its_last_rate_or_starts_over() {
        let steps = [(SECOND, Some(8_000)), (SECOND, None), (SECOND, Some(16_000))];
        let hold = RateSchedule::holding(steps);
        assert_eq!(hold.rate_at(Duration::ZERO), Some(8_000));
        assert_eq!(hold.rate_at(SECOND), None);
        assert_eq!(hold.rate_at(SECOND * 100), Some(16_000));
        let repeat = RateSchedule::repeating(steps);
        assert_eq!(repeat.rate_at(SECOND * 3), Some(8_000));
        assert_eq!(repeat.rate_at(SECOND * 31), None);
    }

    #[test]
    fn transmission_runs_across_changes_of_the_rate() {
        let timeline =
            Timeline::new(&RateSchedule::repeating([(SECOND, Some(8_000)), (SECOND, Some(16_000))]));
        // 500 bytes in the last half second of the slow step, 1000 in the first half of the fast one.
        let finish = timeline.finish(500_000, work_of(1500)).unwrap();
        assert_eq!(finish, Finish { at: 1_500_000, spare: 0 });
    }

    #[test]
    fn an_outage_makes_transmission_wait_and_an_endless_one_ends_it() {
        let steps = [(SECOND, Some(8_000)), (SECOND, Some(0))];
        let passing = Timeline::new(&RateSchedule::repeating(steps));
        assert_eq!(passing.finish(999_000, work_of(2)).unwrap().at, 2_001_000);
        assert_eq!(passing.queue_rate(1_500_000), Some(8_000));
        let endless = Timeline::new(&RateSchedule::holding(steps));
        assert_eq!(endless.finish(999_000, work_of(2)), None);
    }

    #[test]
    fn capacity_adds_up_the_steps() {
        let schedule = RateSchedule::repeating([(SECOND, Some(8_000)), (SECOND, Some(16_000))]);
        assert_eq!(bytes_between(&schedule, 0, 10_000_000), Some(15_000));
        assert_eq!(bytes_between(&schedule, 500_000, 1_500_000), Some(1_500));
        assert_eq!(bytes_between(&RateSchedule::UNLIMITED, 0, 1), None);
    }

    #[test]
    fn what_nobody_sends_is_not_carried() {
        let schedule = RateSchedule::holding([(SECOND, Some(8_000)), (SECOND, Some(0)), (SECOND, None)]);
        assert_eq!(schedule.carries(Duration::ZERO, SECOND * 4, 6_000), 18_000.0);
        assert_eq!(schedule.carries(SECOND / 2, SECOND, 100_000), 4_000.0);
        assert_eq!(schedule.carries(SECOND, SECOND * 2, 100_000), 0.0);
    }

    #[test]
    fn what_rounding_up_leaves_is_handed_on() {
        // 3 bit/s: one byte takes 2.666… s; the finish rounds up to the microsecond.
        let timeline = Timeline::new(&RateSchedule::constant(3));
        let Finish { at, spare } = timeline.finish(0, work_of(1)).unwrap();
        assert_eq!(Work::from(at) * 3 - work_of(1), spare);
        assert!(spare < 3);
    }
}
