//! What was sent, and what the other side says of it.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::pacer::PacketKind;

/// Packets remembered: eight seconds at 1000 packets a second, and fewer than the 32,768 within which their 16-bit numbers
/// are told apart.
const REMEMBERED: usize = 8_192;
/// A packet that nothing was heard of for so long counts neither as lost nor as arrived: what got lost may have been the
/// report.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3);

/// A packet that has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SentPacket {
    /// When.
    pub at: MediaTime,
    /// Its length on the wire, with all headers.
    pub bytes: usize,
    /// What it was for.
    pub kind: PacketKind,
    /// Which frame it belongs to, or another packet that left together with others.
    pub burst: u32,
    /// What is in it, which another one may repeat; `None` of what can't be.
    pub content: Option<u64>,
}

/// The other side's report on one packet (draft-holmer-rmcat-transport-wide-cc-extensions-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketStatus {
    /// The transport-wide sequence number.
    pub sequence: u16,
    /// When it arrived, by the other side's clock, whatever that counts from; `None` where it did not.
    pub arrived: Option<Duration>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacketResult {
    /// The packet.
    pub sent: SentPacket,
    /// Counts packets in the order in which they left.
    pub number: u64,
    /// When it arrived, by the other side's clock; `None` if it is lost.
    pub arrived: Option<Duration>,
}

/// What a report says that was not known before, in the order in which the packets left.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// What became of packets.
    pub(crate) results: Vec<PacketResult>,
    /// Packets that are missing although some have come that left later. They may only have been overtaken.
    pub(crate) missing: Vec<SentPacket>,
}

#[derive(Debug)]
struct Entry {
    sent: SentPacket,
    /// Bytes of all packets up to this one.
    bytes: u64,
    resolved: bool,
    /// Reported as missing. It may have been overtaken, so it is not taken for lost before a later report.
    missing: bool,
    /// Whether that was told.
    told: bool,
}

/// Packets that have left and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first: u64,
    /// Bytes of all packets that have left.
    bytes: u64,
    /// The same as of the last packet that is known to have arrived.
    bytes_arrived: u64,
}

impl History {
    /// Takes in a packet as it leaves; returns the number that it is to carry (its lower 16 bits on the wire).
    pub(crate) fn sent(&mut self, packet: SentPacket) -> u64 {
        while self.entries.len() >= REMEMBERED
            || self.entries.front().is_some_and(|first| {
                first.resolved && self.entries.len() > 1 || packet.at - first.sent.at > FORGOTTEN_AFTER
            })
        {
            self.forget_first();
        }
        self.bytes += packet.bytes as u64;
        self.entries.push_back(Entry {
            sent: packet,
            bytes: self.bytes,
            resolved: false,
            missing: false,
            told: false,
        });
        self.first + self.entries.len() as u64 - 1
    }

    /// Takes in a report.
    pub(crate) fn reported(&mut self, statuses: &[PacketStatus]) -> News {
        let mut news = News::default();
        for status in statuses {
            let Some(index) = self.index_of(status.sequence) else { continue };
            let (first, entry) = (self.first, &mut self.entries[index]);
            if entry.resolved {
                continue;
            }
            // What is said to be missing may only have been overtaken: see below.
            entry.missing |= status.arrived.is_none();
            if status.arrived.is_some() {
                entry.resolved = true;
                self.bytes_arrived = self.bytes_arrived.max(entry.bytes);
                news.results.push(PacketResult {
                    sent: entry.sent,
                    number: first + index as u64,
                    arrived: status.arrived,
                });
            }
        }
        if let Some(latest) = news.results.iter().max_by_key(|result| result.number).copied() {
            self.look_at_missing(&latest, &mut news);
        }
        news.results.sort_by_key(|result| result.number);
        news
    }

    /// Bytes that have left after the last packet that is known to have arrived.
    pub(crate) fn in_flight(&self) -> usize {
        (self.bytes - self.bytes_arrived) as usize
    }

    /// Bytes of all packets that have left.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.bytes
    }

    /// Nothing is expected any more of what has left.
    pub(crate) fn forget(&mut self) {
        self.first += self.entries.len() as u64;
        self.entries.clear();
        self.bytes_arrived = self.bytes;
    }

    /// What was said to be missing, and has been overtaken by several that left later, is lost: as in TCP, by three (RFC 9002
    /// section 6.1.1).
    fn look_at_missing(&mut self, latest: &PacketResult, news: &mut News) {
        const REORDERED: usize = 3;
        /// What left so much later seldom comes sooner.
        const OVERTAKEN: Duration = Duration::from_millis(5);
        let before = usize::try_from(latest.number.saturating_sub(self.first)).unwrap_or(0);
        for (index, entry) in self.entries.iter_mut().take(before).enumerate() {
            if !entry.missing || entry.resolved {
                continue;
            }
            let lost = before - index >= REORDERED;
            if (lost || latest.sent.at - entry.sent.at >= OVERTAKEN)
                && !std::mem::replace(&mut entry.told, true)
            {
                news.missing.push(entry.sent);
            }
            if lost {
                entry.resolved = true;
                let number = self.first + index as u64;
                news.results.push(PacketResult { sent: entry.sent, number, arrived: None });
            }
        }
    }

    fn index_of(&self, sequence: u16) -> Option<usize> {
        let index = usize::from(sequence.wrapping_sub(self.first as u16));
        (index < self.entries.len()).then_some(index)
    }

    fn forget_first(&mut self) {
        if self.entries.pop_front().is_some() {
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(at_ms: u64) -> SentPacket {
        SentPacket {
            at: MediaTime::from_millis(at_ms),
            bytes: 1_000,
            kind: PacketKind::Video,
            burst: 0,
            content: None,
        }
    }

    fn arrived(sequence: u16, at_ms: u64) -> PacketStatus {
        PacketStatus { sequence, arrived: Some(Duration::from_millis(at_ms)) }
    }

    fn missing(sequence: u16) -> PacketStatus {
        PacketStatus { sequence, arrived: None }
    }

    /// One each millisecond.
    fn send_all(history: &mut History, packets: u64) {
        for at in 0..packets {
            history.sent(sent(at));
        }
    }

    fn numbers(news: &News) -> Vec<(u64, bool)> {
        news.results.iter().map(|result| (result.number, result.arrived.is_some())).collect()
    }

    #[test]
    fn each_packet_is_news_once_however_often_it_is_reported() {
        let mut history = History::default();
        send_all(&mut history, 3);
        assert_eq!(history.in_flight(), 3_000);
        assert_eq!(numbers(&history.reported(&[arrived(0, 5), arrived(1, 6)])), [(0, true), (1, true)]);
        assert_eq!(numbers(&history.reported(&[arrived(1, 6), arrived(2, 7)])), [(2, true)]);
        assert_eq!(history.in_flight(), 0);
    }

    #[test]
    fn a_packet_that_was_overtaken_is_not_lost() {
        let mut history = History::default();
        send_all(&mut history, 6);
        assert_eq!(
            numbers(&history.reported(&[arrived(0, 5), missing(1), arrived(2, 7)])),
            [(0, true), (2, true)]
        );
        assert_eq!(numbers(&history.reported(&[arrived(1, 8)])), [(1, true)]);
    }

    #[test]
    fn what_three_later_packets_have_overtaken_is_lost() {
        let mut history = History::default();
        send_all(&mut history, 6);
        let news = history.reported(&[missing(0), arrived(1, 5), arrived(2, 6), arrived(3, 7)]);
        assert_eq!(numbers(&news), [(0, false), (1, true), (2, true), (3, true)]);
        assert_eq!(news.missing, [sent(0)]);
    }

    #[test]
    fn what_something_has_overtaken_that_left_a_while_later_is_told_once_and_can_still_come() {
        let mut history = History::default();
        for at in [0, 4, 5, 20] {
            history.sent(sent(at));
        }
        let told = |news: News| (numbers(&news), news.missing);
        assert_eq!(told(history.reported(&[missing(0), arrived(1, 50)])), (vec![(1, true)], vec![]));
        assert_eq!(told(history.reported(&[missing(0), arrived(2, 51)])), (vec![(2, true)], vec![sent(0)]));
        assert_eq!(told(history.reported(&[missing(0)])), (vec![], vec![]));
        assert_eq!(told(history.reported(&[arrived(0, 60)])), (vec![(0, true)], vec![]));
    }

    #[test]
    fn a_lost_report_makes_no_losses() {
        let mut history = History::default();
        send_all(&mut history, 20);
        // Nothing is said of the first ten.
        let statuses: Vec<_> = (10..20).map(|n| arrived(n, u64::from(n))).collect();
        assert_eq!(history.reported(&statuses).results.len(), 10);
        assert_eq!(history.in_flight(), 0);
        history.sent(sent(4_000));
        assert_eq!((history.in_flight(), history.entries.len()), (1_000, 1), "they are forgotten at last");
    }

    #[test]
    fn numbers_go_on_where_sixteen_bits_end() {
        let mut history = History::default();
        for n in 0..200_000_u64 {
            let number = history.sent(sent(n));
            assert_eq!(number, n);
            assert_eq!(numbers(&history.reported(&[arrived(number as u16, n)])), [(n, true)]);
        }
        assert!(history.entries.len() <= 2);
    }

    #[test]
    fn reports_on_packets_that_never_left_are_ignored() {
        let mut history = History::default();
        history.sent(sent(0));
        assert!(history.reported(&[arrived(7, 5), arrived(65_535, 6)]).results.is_empty());
    }
}
