//! What became of each packet.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use ahoy_media_types::MediaTime;

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketFate {
    /// It waits for its transmission to end.
    Queued,
    /// It went through.
    Delivered {
        /// How long it waited before its transmission began.
        queued: Duration,
        /// When its last bit left the bottleneck.
        sent: MediaTime,
        /// When it came out at the far end.
        at: MediaTime,
        /// Whether it was held back for others to overtake it.
        held_back: bool,
        /// Whether it came out twice.
        duplicated: bool,
    },
    /// The queue was full.
    QueueDropped,
    /// The loss process took it.
    Lost,
    /// The link was blocked.
    Blocked,
}

/// One packet that was handed to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRecord {
    /// Position in the order of arrival at the link, from 0.
    pub number: u64,
    /// When it was handed to the link.
    pub arrived: MediaTime,
    /// Size in bytes, as given to the link.
    pub bytes: usize,
    /// What became of it.
    pub fate: PacketFate,
}

impl PacketRecord {
    /// Time from arrival at the link to delivery at the far end.
    pub fn one_way_delay(&self) -> Option<Duration> {
        match self.fate {
            PacketFate::Delivered { at, .. } => Some(at - self.arrived),
            PacketFate::Queued | PacketFate::QueueDropped | PacketFate::Lost | PacketFate::Blocked => None,
        }
    }
}

/// The latest packets of a link, oldest first.
#[derive(Clone, Debug)]
pub struct PacketLog {
    records: VecDeque<PacketRecord>,
    first: u64,
}

impl PacketLog {
    /// Records kept, about 90 MB: 15 minutes at 1000 packets a second. Beyond it the oldest is forgotten.
    pub const CAPACITY: usize = 1_000_000;

    pub(super) fn new() -> Self {
        Self::starting_at(0)
    }

    pub(super) fn starting_at(number: u64) -> Self {
        Self { records: VecDeque::new(), first: number }
    }

    pub(super) fn open(&mut self, arrived: MediaTime, bytes: usize) -> u64 {
        if self.records.len() == Self::CAPACITY {
            self.records.pop_front();
            self.first += 1;
        }
        let number = self.first + self.records.len() as u64;
        self.records.push_back(PacketRecord { number, arrived, bytes, fate: PacketFate::Queued });
        number
    }

    pub(super) fn close(&mut self, number: u64, fate: PacketFate) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(record) = index.and_then(|index| self.records.get_mut(index)) {
            record.fate = fate;
        }
    }

    /// The records, oldest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &PacketRecord> + ExactSizeIterator {
        self.records.iter()
    }

    /// Number of packets before the first record: forgotten because the log was full, or taken out before.
    pub fn forgotten(&self) -> u64 {
        self.first
    }

    /// Writes a header line and one line for each record. Times are in microseconds on the media timeline.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "number,arrived_us,bytes,fate,queued_us,sent_us,delivered_us,held_back,duplicated")?;
        for PacketRecord { number, arrived, bytes, fate } in &self.records {
            write!(out, "{number},{},{bytes},", arrived.as_micros())?;
            match fate {
                PacketFate::Queued => writeln!(out, "queued,,,,,")?,
                PacketFate::QueueDropped => writeln!(out, "queue_dropped,,,,,")?,
                PacketFate::Lost => writeln!(out, "lost,,,,,")?,
                PacketFate::Blocked => writeln!(out, "blocked,,,,,")?,
                PacketFate::Delivered { queued, sent, at, held_back, duplicated } => writeln!(
                    out,
                    "delivered,{},{},{},{held_back},{duplicated}",
                    queued.as_micros(),
                    sent.as_micros(),
                    at.as_micros()
                )?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_forgets_the_oldest_packets_first() {
        let mut log = PacketLog::new();
        for _ in 0..PacketLog::CAPACITY + 2 {
            log.open(MediaTime::ZERO, 1);
        }
        log.close(0, PacketFate::Lost);
        log.close(2, PacketFate::Blocked);
        assert_eq!((log.records().len(), log.forgotten()), (PacketLog::CAPACITY, 2));
        let first = log.records().next().unwrap();
        assert_eq!((first.number, first.fate), (2, PacketFate::Blocked));
    }

    #[test]
    fn every_line_of_the_csv_has_the_header_s_columns() {
        let mut log = PacketLog::new();
        let delivered = PacketFate::Delivered {
            queued: Duration::from_micros(5),
            sent: MediaTime::from_micros(30),
            at: MediaTime::from_micros(40),
            held_back: false,
            duplicated: true,
        };
        let fates =
            [PacketFate::Queued, PacketFate::QueueDropped, PacketFate::Lost, PacketFate::Blocked, delivered];
        for fate in fates {
            let number = log.open(MediaTime::from_micros(7), 1200);
            log.close(number, fate);
        }
        let mut csv = Vec::new();
        log.write_csv(&mut csv).unwrap();
        let csv = String::from_utf8(csv).unwrap();
        assert!(csv.lines().all(|line| line.matches(',').count() == 8), "{csv}");
        assert_eq!(csv.lines().last(), Some("4,7,1200,delivered,5,30,40,false,true"));
    }
}
