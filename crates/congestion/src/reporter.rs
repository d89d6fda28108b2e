//! What a receiver reports of the packets that arrive, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::history::PacketStatus;

/// A report comes at least so often while packets arrive, and at most: a path that shrinks is noticed within one of them.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(100));
/// Where much is lost one comes as soon as a packet is missing, but not sooner than this after the one before: what is repeated
/// in vain is to be repeated again before the picture stands still.
const SOONEST: Duration = Duration::from_millis(10);
/// Share of packets missing from which much is lost.
const LOSSY: f64 = 0.05;
/// How much each packet moves that share.
const LOSSY_WEIGHT: f64 = 1.0 / 128.0;
/// Reports take no more than this share of what arrives.
const SHARE: f64 = 0.04;
/// A report with all headers, in bits.
const REPORT_BITS: f64 = 100.0 * 8.0;
/// Each packet is in so many reports, so that a lost one does no harm.
const REPEATED: usize = 3;
/// The most packets in one report: what a sender lets arrive in a second at 10 Mb/s. Of more, only the latest are reported.
const MOST: u16 = 1_000;

/// Takes note of arrivals, by transport-wide sequence number.
#[derive(Debug, Default)]
pub struct Reporter {
    /// By number, counted on across the wraps of its 16 bits.
    arrived: BTreeMap<u64, Duration>,
    highest: Option<u64>,
    /// First numbers of the latest reports, the oldest first.
    reported: [Option<u64>; REPEATED],
    news: bool,
    due: MediaTime,
    /// Bits per second that arrive.
    rate: f64,
    bits: f64,
    last: MediaTime,
    /// Share of packets before which some were missing lately.
    lossy: f64,
}

impl Reporter {
    /// Takes in a packet of `bytes` bytes that arrived at `now`.
    pub fn arrived(&mut self, sequence: u16, bytes: usize, now: MediaTime) {
        let number = match self.highest {
            // Away from zero, so that packets before the first one have numbers too.
            None => u64::from(sequence) + (1 << 16),
            Some(highest) => {
                let ahead = sequence.wrapping_sub(highest as u16) as i16;
                highest.saturating_add_signed(i64::from(ahead))
            }
        };
        if self.highest.is_none() {
            (self.due, self.last) = (now, now);
        }
        let missing = self.highest.map_or(0, |highest| number.saturating_sub(highest + 1));
        self.lossy += (f64::from(u8::from(missing > 0)) - self.lossy) * LOSSY_WEIGHT;
        if missing > 0 && self.lossy >= LOSSY {
            self.due = self.due.min(self.last + SOONEST);
        }
        self.highest = self.highest.max(Some(number));
        self.bits += bytes as f64 * 8.0;
        self.news = true;
        self.arrived.entry(number).or_insert(now.since(MediaTime::ZERO));
        while self.arrived.len() > usize::from(MOST) {
            self.arrived.pop_first();
        }
    }

    /// When [`Self::report`] has something to say; `None` while nothing has arrived since.
    pub fn next_wakeup(&self) -> Option<MediaTime> {
        self.news.then_some(self.due)
    }

    /// What is to be reported at `now`, in the order of the numbers without gaps; nothing where it is too early.
    pub fn report(&mut self, now: MediaTime) -> Option<Vec<PacketStatus>> {
        let highest = self.highest.filter(|_| self.news && now >= self.due)?;
        self.news = false;
        let passed = (now - self.last).as_secs_f64();
        if passed > 0.0 {
            self.rate += (self.bits / passed - self.rate) * (passed / 0.3).min(1.0);
            (self.bits, self.last) = (0.0, now);
        }
        let wanted = Duration::try_from_secs_f64(REPORT_BITS / (self.rate.max(1.0) * SHARE));
        self.due = now + wanted.unwrap_or(INTERVAL.1).clamp(INTERVAL.0, INTERVAL.1);
        let oldest = self.reported[0].or(self.arrived.keys().next().copied()).unwrap_or(highest);
        let first = oldest.max((highest + 1).saturating_sub(u64::from(MOST))).min(highest);
        let statuses = (first..=highest)
            .map(|number| PacketStatus {
                sequence: number as u16,
                arrived: self.arrived.get(&number).copied(),
            })
            .collect();
        self.reported.rotate_left(1);
        self.reported[REPEATED - 1] = Some(highest + 1);
        if let Some(keep_from) = self.reported[0] {
            self.arrived = self.arrived.split_off(&keep_from);
        }
        Some(statuses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> MediaTime {
        MediaTime::from_millis(n)
    }

    fn told(statuses: &[PacketStatus]) -> Vec<(u16, bool)> {
        statuses.iter().map(|status| (status.sequence, status.arrived.is_some())).collect()
    }

    #[test]
    fn each_packet_is_in_several_reports_and_gaps_are_told() {
        let mut reporter = Reporter::default();
        reporter.arrived(65_535, 1_000, ms(1));
        assert_eq!(told(&reporter.report(ms(1)).unwrap()), [(65_535, true)]);
        reporter.arrived(1, 1_000, ms(3));
        assert!(reporter.report(ms(10)).is_none(), "too early");
        let report = reporter.report(ms(101)).unwrap();
        assert_eq!(told(&report), [(65_535, true), (0, false), (1, true)]);
        assert_eq!(report[2].arrived, Some(Duration::from_millis(3)));
        reporter.arrived(0, 1_000, ms(102));
        assert_eq!(told(&reporter.report(ms(202)).unwrap()), [(65_535, true), (0, true), (1, true)]);
        reporter.arrived(2, 1_000, ms(203));
        assert_eq!(told(&reporter.report(ms(303)).unwrap()), [(0, true), (1, true), (2, true)]);
        assert_eq!(reporter.next_wakeup(), None);
    }

    #[test]
    fn reports_take_a_small_part_of_what_arrives() {
        for (kbps, most) in [(50_u64, 10.5), (300, 17.0), (3_000, 41.0)] {
            let mut reporter = Reporter::default();
            let (mut reports, mut number) = (0, 0_u16);
            for at in 0..10_000_u64 {
                if at * kbps / 8_000 != (at + 1) * kbps / 8_000 {
                    reporter.arrived(number, 1_000, ms(at));
                    number = number.wrapping_add(1);
                }
                reports += u32::from(reporter.report(ms(at)).is_some());
            }
            assert!(f64::from(reports) / 10.0 <= most, "{kbps}: {reports}");
        }
    }

    #[test]
    fn a_sender_that_jumps_costs_a_bounded_report() {
        let mut reporter = Reporter::default();
        for (step, sequence) in [0, 30_000, 60_000, 20_000].into_iter().enumerate() {
            reporter.arrived(sequence, 100, ms(step as u64 * 200));
            assert!(reporter.report(ms(step as u64 * 200)).unwrap().len() <= usize::from(MOST));
        }
    }

    #[test]
    fn where_much_is_lost_what_is_missing_is_told_at_once_but_not_all_the_time() {
        // After how long a report comes, when one packet in so many was missing until then and another one is now.
        let report_after = |one_in: u64| {
            let (mut reporter, mut now) = (Reporter::default(), 0);
            let mut arrives = |number: u64, now: u64| {
                reporter.arrived(number as u16, 1_000, ms(now));
                reporter.report(ms(now)).is_some()
            };
            for number in (0..1_000).filter(|number| number % one_in != 1) {
                now += 5;
                arrives(number, now);
            }
            // A report, after which the next is due in 25 ms.
            let mut number = 1_000;
            while !arrives(number, now) {
                (number, now) = (number + 1, now + 5);
            }
            let missing_at = now + 4;
            (missing_at..).find(|at| arrives(number + 2, *at)).unwrap() - now
        };
        assert_eq!([report_after(10), report_after(50)], [10, 25]);
    }
}
