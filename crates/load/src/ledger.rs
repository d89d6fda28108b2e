//! What was sent, who was to get it, and who got it when: latencies from the intended time, and every loss.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies are kept to the microsecond with two digits or better, and cut off at this.
const LONGEST: Duration = Duration::from_secs(120);

/// Latencies of any number of events.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// Percentiles in milliseconds. All are 0 of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    /// The half is quicker.
    pub(crate) p50: f64,
    /// 90 % are quicker.
    pub(crate) p90: f64,
    /// 99 % are quicker.
    pub(crate) p99: f64,
    /// 99.9 % are quicker.
    pub(crate) p999: f64,
    /// The slowest.
    pub(crate) max: f64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        // Fails only for bounds that make no sense.
        let histogram = Histogram::new_with_bounds(1, LONGEST.as_micros() as u64, 3);
        Self(histogram.expect("the bounds make sense"))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_micros() as u64);
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let ms = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        Percentiles {
            p50: ms(0.5),
            p90: ms(0.9),
            p99: ms(0.99),
            p999: ms(0.999),
            max: self.0.max() as f64 / 1e3,
        }
    }
}

/// Which members of a room, by their number in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members(u64);

impl Members {
    /// The most that a room can have here.
    pub(crate) const MOST: usize = 64;

    /// These without one of them.
    pub(crate) fn without(self, member: usize) -> Self {
        Self(self.0 & !(1 << member))
    }

    fn has(self, member: usize) -> bool {
        self.0 & 1 << member != 0
    }

    /// These and one more.
    pub(crate) fn with(self, member: usize) -> Self {
        Self(self.0 | 1 << member)
    }

    fn minus(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    fn count(self) -> u64 {
        u64::from(self.0.count_ones())
    }
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    intended: Instant,
    expected: Members,
    seen: Members,
    answered: bool,
}

/// All requests of one measurement.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The marker of the first.
    first: u64,
    sent: Vec<Sent>,
    /// What was intended before is not in the percentiles.
    measured_from: Instant,
    answers: Latencies,
    deliveries: Latencies,
    answered: u64,
    delivered: u64,
    /// Deliveries that are still to come.
    owed: u64,
    doubled: u64,
    refused: BTreeMap<String, u64>,
}

/// What became of the requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Account {
    /// Requests sent.
    pub(crate) requests: u64,
    /// Requests answered, refusals included.
    pub(crate) answered: u64,
    /// Requests refused, by error code.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Deliveries to other members that were to come: those of refused requests are not expected.
    pub(crate) expected: u64,
    /// Those that came.
    pub(crate) delivered: u64,
    /// Those that did not.
    pub(crate) lost: u64,
    /// Deliveries that came again.
    pub(crate) doubled: u64,
    /// From the intended time to the answer.
    pub(crate) answer_ms: Percentiles,
    /// From the intended time to each other member.
    pub(crate) delivery_ms: Percentiles,
}

impl Ledger {
    /// An empty one. Markers go on from `first`; what is intended before `measured_from` only warms up.
    pub(crate) fn new(first: u64, measured_from: Instant) -> Self {
        Self {
            first,
            sent: Vec::new(),
            measured_from,
            answers: Latencies::new(),
            deliveries: Latencies::new(),
            answered: 0,
            delivered: 0,
            owed: 0,
            doubled: 0,
            refused: BTreeMap::new(),
        }
    }

    /// A request is sent that is to be delivered to `expected`. Returns its marker.
    pub(crate) fn send(&mut self, intended: Instant, expected: Members) -> u64 {
        let marker = self.next_marker();
        self.owed += expected.count();
        self.sent.push(Sent { intended, expected, seen: Members::default(), answered: false });
        marker
    }

    /// The marker of the next request.
    pub(crate) fn next_marker(&self) -> u64 {
        self.first + self.sent.len() as u64
    }

    fn get(&mut self, marker: u64) -> Option<&mut Sent> {
        self.sent.get_mut(usize::try_from(marker.checked_sub(self.first)?).ok()?)
    }

    /// A request was answered; with which error code, if it was refused.
    pub(crate) fn answer(&mut self, marker: u64, refused: Option<&str>, now: Instant) {
        let measured_from = self.measured_from;
        let Some(sent) = self.get(marker) else { return };
        if sent.answered {
            self.doubled += 1;
            return;
        }
        sent.answered = true;
        let intended = sent.intended;
        let open = sent.expected.minus(sent.seen).count();
        if refused.is_some() {
            sent.expected = sent.seen;
        }
        self.answered += 1;
        if let Some(code) = refused {
            self.owed -= open;
            *self.refused.entry(code.to_owned()).or_default() += 1;
        }
        if intended >= measured_from {
            self.answers.record(now.saturating_duration_since(intended));
        }
    }

    /// A member got it. What a member says to itself is no delivery.
    pub(crate) fn deliver(&mut self, marker: u64, member: usize, now: Instant) {
        let measured_from = self.measured_from;
        let Some(sent) = self.get(marker) else { return };
        if !sent.expected.has(member) {
            return;
        }
        if sent.seen.has(member) {
            self.doubled += 1;
            return;
        }
        sent.seen = sent.seen.with(member);
        let intended = sent.intended;
        self.delivered += 1;
        self.owed -= 1;
        if intended >= measured_from {
            self.deliveries.record(now.saturating_duration_since(intended));
        }
    }

    /// Deliveries so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether nothing is under way any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.answered == self.sent.len() as u64 && self.owed == 0
    }

    /// What became of them up to now.
    pub(crate) fn account(&self) -> Account {
        Account {
            requests: self.sent.len() as u64,
            answered: self.answered,
            refused: self.refused.clone(),
            expected: self.delivered + self.owed,
            delivered: self.delivered,
            lost: self.owed,
            doubled: self.doubled,
            answer_ms: self.answers.percentiles(),
            delivery_ms: self.deliveries.percentiles(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(count: usize) -> Members {
        (0..count).fold(Members::default(), Members::with)
    }

    fn ms(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn latency_counts_from_the_intended_time_however_late_it_was_sent() {
        let start = Instant::now();
        let mut ledger = Ledger::new(0, start);
        let marker = ledger.send(ms(start, 10), first(2).without(0));
        ledger.answer(marker, None, ms(start, 50));
        ledger.deliver(marker, 1, ms(start, 70));
        let account = ledger.account();
        assert!((39.9..40.1).contains(&account.answer_ms.max), "{account:?}");
        assert!((59.9..60.1).contains(&account.delivery_ms.max), "{account:?}");
        assert!(ledger.is_settled());
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut latencies = Latencies::new();
        (1..=1_000).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        let found = latencies.percentiles();
        for (found, expected) in
            [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0), (found.p999, 999.0)]
        {
            assert!((expected * 0.998..expected * 1.002).contains(&found), "{found} instead of {expected}");
        }
        latencies.record(Duration::from_secs(1_000));
        assert!((119_000.0..121_000.0).contains(&latencies.percentiles().max), "too long is not thrown away");
    }

    #[test]
    fn a_delivery_that_does_not_come_is_lost_though_another_came_twice() {
        let start = Instant::now();
        let mut ledger = Ledger::new(100, start);
        let marker = ledger.send(start, first(4).without(2));
        assert_eq!(marker, 100);
        ledger.answer(marker, None, start);
        for member in [0, 0, 1, 2] {
            ledger.deliver(marker, member, start);
        }
        let account = ledger.account();
        assert_eq!((account.expected, account.delivered, account.lost, account.doubled), (3, 2, 1, 1));
        assert!(!ledger.is_settled());
        ledger.deliver(marker, 3, start);
        assert!(ledger.is_settled());
    }

    #[test]
    fn nothing_is_expected_of_a_refused_request_and_refusals_are_counted_by_code() {
        let start = Instant::now();
        let mut ledger = Ledger::new(0, start);
        let marker = ledger.send(start, first(10).without(0));
        ledger.answer(marker, Some("rate_limited"), start);
        let account = ledger.account();
        assert_eq!((account.expected, account.lost, account.answered), (0, 0, 1));
        assert_eq!(account.refused.get("rate_limited"), Some(&1));
    }

    #[test]
    fn an_unanswered_request_is_not_settled() {
        let start = Instant::now();
        let mut ledger = Ledger::new(0, start);
        let marker = ledger.send(start, first(2).without(0));
        ledger.deliver(marker, 1, start);
        assert!(!ledger.is_settled());
    }

    #[test]
    fn what_warms_up_is_counted_but_not_in_the_percentiles() {
        let start = Instant::now();
        let mut ledger = Ledger::new(0, ms(start, 100));
        let early = ledger.send(start, first(2).without(0));
        let late = ledger.send(ms(start, 100), first(2).without(0));
        ledger.deliver(early, 1, ms(start, 90));
        ledger.deliver(late, 1, ms(start, 101));
        let account = ledger.account();
        assert_eq!(account.delivered, 2);
        assert!(account.delivery_ms.max < 1.1, "{account:?}");
    }

    #[test]
    fn markers_of_other_measurements_are_ignored() {
        let start = Instant::now();
        let mut ledger = Ledger::new(50, start);
        ledger.send(start, first(2).without(0));
        for marker in [0, 49, 51, u64::MAX] {
            ledger.deliver(marker, 1, start);
            ledger.answer(marker, None, start);
        }
        let account = ledger.account();
        assert_eq!((account.answered, account.delivered), (0, 0));
    }

    #[test]
    fn the_largest_room_has_all_its_members() {
        assert_eq!(first(Members::MOST).count(), 64);
        assert_eq!(first(10).count(), 10);
        assert_eq!(first(10).without(3).count(), 9);
    }
}
