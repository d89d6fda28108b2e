//! The latest changes of a room, for those who come back.

use std::collections::VecDeque;

use ahoy_signal::{PositionedDelta, RoomDelta};

/// Changes that are remembered at most.
pub const REMEMBERED_MOST: usize = 512;
/// The same in bytes, as they are sent.
pub const REMEMBERED_BYTES_MOST: usize = 128 * 1024;

/// The latest changes of a room.
#[derive(Debug, Default)]
pub struct RoomLog {
    entries: VecDeque<(PositionedDelta, usize)>,
    bytes: usize,
    last: u64,
}

impl RoomLog {
    /// Remembers the next change, which was sent in so many bytes.
    pub fn push(&mut self, delta: RoomDelta, bytes: usize) {
        self.last += 1;
        self.bytes += bytes;
        self.entries.push_back((PositionedDelta { offset: self.last, delta }, bytes));
        while self.entries.len() > REMEMBERED_MOST || self.bytes > REMEMBERED_BYTES_MOST {
            let forgotten = self.entries.pop_front();
            self.bytes -= forgotten.map_or(0, |(_, bytes)| bytes);
        }
    }

    /// What came after the change with this number; `None` where some of that is forgotten, or it has not come yet.
    pub fn since(&self, offset: u64) -> Option<Vec<PositionedDelta>> {
        let missed = usize::try_from(self.last.checked_sub(offset)?).ok()?;
        let skipped = self.entries.len().checked_sub(missed)?;
        Some(self.entries.iter().skip(skipped).map(|(delta, _)| delta.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use ahoy_signal::{ParticipantId, StateEntry};
    use proptest::prelude::*;

    use super::*;

    fn delta() -> RoomDelta {
        RoomDelta::State { participant: ParticipantId::from_bits(1), entry: StateEntry::Hand(true) }
    }

    proptest! {
        #[test]
        fn what_is_told_continues_what_was_seen_without_gaps(
            sizes in prop::collection::vec(1_usize..2_000, 0..1_200),
            seen in 0_u64..1_300,
        ) {
            let mut log = RoomLog::default();
            for bytes in &sizes {
                log.push(delta(), *bytes);
            }
            let last = sizes.len() as u64;
            match log.since(seen) {
                Some(missed) => {
                    let offsets: Vec<_> = missed.iter().map(|delta| delta.offset).collect();
                    prop_assert_eq!(offsets, (seen + 1..=last).collect::<Vec<_>>());
                    prop_assert!(missed.len() <= REMEMBERED_MOST);
                }
                None => {
                    let missed = sizes.get(usize::try_from(seen).unwrap()..);
                    let too_many = missed.is_some_and(|missed| {
                        missed.len() > REMEMBERED_MOST || missed.iter().sum::<usize>() > REMEMBERED_BYTES_MOST
                    });
                    prop_assert!(seen > last || too_many);
                }
            }
        }
    }
}
