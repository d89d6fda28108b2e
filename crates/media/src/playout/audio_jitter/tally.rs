//! How many packets did not come.

/// Counts the packets that did not come (RFC 3550 section 6.4.1).
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// First and newest sequence of the present count, and how many of them came.
    range: Option<(i64, i64, i64)>,
    lost_before: i64,
}

impl Tally {
    /// Whether the packet is the newest.
    pub(super) fn on_packet(&mut self, sequence: i64) -> bool {
        let (first, newest, came) = self.range.unwrap_or((sequence, sequence, 0));
        self.range = Some((first.min(sequence), newest.max(sequence), came + 1));
        sequence >= newest
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.range.map(|(_, newest, _)| newest)
    }

    pub(super) fn lost(&self) -> i64 {
        self.lost_before + self.range.map_or(0, |(first, newest, came)| newest - first + 1 - came)
    }

    pub(super) fn start_over(&mut self) {
        *self = Self { range: None, lost_before: self.lost() };
    }
}
