//! Whoever fails to sign in waits before the next try, longer each time: per account and per address.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Keys remembered at once. Beyond that the ones that failed longest ago are forgotten: an attacker with that many
/// addresses or handles is held by the limit on password checks instead.
const REMEMBERED: usize = 50_000;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Failures that cost nothing: people mistype.
    pub free: u32,
    /// The first wait; each following one is twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// After how long without a failure all is forgotten.
    pub memory: Duration,
}

impl Rule {
    /// Per account: never long, since whoever else fails must not lock its owner out.
    pub const ACCOUNT: Self = Self {
        free: 5,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(30),
        memory: Duration::from_secs(3600),
    };
    /// Per address: many people may share one.
    pub const ADDRESS: Self = Self {
        free: 20,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(300),
        memory: Duration::from_secs(3600),
    };
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    last: Instant,
}

/// Who failed how often. A try counts as failed from its beginning, so that many at once count as many.
#[derive(Debug)]
pub struct Backoff<K> {
    rule: Rule,
    records: HashMap<K, Record>,
}

impl<K: Hash + Eq + Clone> Backoff<K> {
    /// Nobody has failed.
    pub fn new(rule: Rule) -> Self {
        Self { rule, records: HashMap::new() }
    }

    /// Begins a try.
    ///
    /// # Errors
    /// How long to wait before the next one; this one does not count.
    pub fn attempt(&mut self, key: &K, now: Instant) -> Result<(), Duration> {
        if let Some(record) = self.records.get_mut(key) {
            if now.saturating_duration_since(record.last) >= self.rule.memory {
                record.failures = 0;
            }
            let over = record.failures.checked_sub(self.rule.free);
            let wait =
                over.map(|over| self.rule.first.saturating_mul(1 << over.min(20)).min(self.rule.longest));
            let waited = now.saturating_duration_since(record.last);
            if let Some(left) = wait.and_then(|wait| wait.checked_sub(waited)).filter(|left| !left.is_zero())
            {
                return Err(left);
            }
            *record = Record { failures: record.failures.saturating_add(1), last: now };
            return Ok(());
        }
        if self.records.len() >= REMEMBERED {
            self.forget(now);
        }
        self.records.insert(key.clone(), Record { failures: 1, last: now });
        Ok(())
    }

    /// The try was good: all failures before it are forgotten.
    pub fn succeeded(&mut self, key: &K) {
        self.records.remove(key);
    }

    /// The try was good, or never took place: only it is forgotten.
    pub fn not_failed(&mut self, key: &K) {
        if let Some(record) = self.records.get_mut(key) {
            record.failures = record.failures.saturating_sub(1);
            if record.failures == 0 {
                self.records.remove(key);
            }
        }
    }

    /// Makes room: what is over, or else the half that failed longest ago.
    fn forget(&mut self, now: Instant) {
        let memory = self.rule.memory;
        self.records.retain(|_, record| now.saturating_duration_since(record.last) < memory);
        if self.records.len() >= REMEMBERED {
            let mut times: Vec<_> = self.records.values().map(|record| record.last).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.records.retain(|_, record| record.last > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32) -> (Backoff<u8>, Instant) {
        let now = Instant::now();
        let mut backoff = Backoff::new(Rule::ACCOUNT);
        for _ in 0..failures {
            backoff.attempt(&1, now).unwrap();
        }
        (backoff, now)
    }

    #[test]
    fn a_few_failures_cost_nothing_and_then_each_wait_is_twice_the_last() {
        let (mut backoff, mut now) = after(5);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(backoff.attempt(&1, now), Err(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(backoff.attempt(&1, now), Ok(()));
        }
        assert_eq!(backoff.attempt(&2, now), Ok(()), "others don't wait");
    }

    #[test]
    fn a_success_ends_the_waiting() {
        let (mut backoff, now) = after(5);
        backoff.succeeded(&1);
        assert_eq!(backoff.attempt(&1, now), Ok(()));
    }

    #[test]
    fn a_success_from_a_shared_address_forgives_only_itself() {
        let (mut backoff, now) = after(5);
        backoff.not_failed(&1);
        assert_eq!(backoff.attempt(&1, now), Ok(()));
        assert!(backoff.attempt(&1, now).is_err());
    }

    #[test]
    fn failures_are_forgotten_after_an_hour() {
        let (mut backoff, now) = after(5);
        assert_eq!(backoff.attempt(&1, now + Rule::ACCOUNT.memory), Ok(()));
        assert_eq!(backoff.attempt(&1, now + Rule::ACCOUNT.memory), Ok(()));
    }

    #[test]
    fn any_number_of_addresses_takes_bounded_memory() {
        let now = Instant::now();
        let mut backoff = Backoff::new(Rule::ADDRESS);
        for address in 0..3 * REMEMBERED as u64 {
            backoff.attempt(&address, now + Duration::from_nanos(address)).unwrap();
            assert!(backoff.records.len() <= REMEMBERED);
        }
    }
}
