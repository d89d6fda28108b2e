//! What every receiver of RTP keeps: extended sequence numbers, loss, jitter (RFC 3550).

use std::time::Duration;

use ahoy_media_types::{MediaTime, RtpPacket, SequenceNumber, Ssrc};

/// A sequence number further than this from the newest one is not reordering: the sender has started afresh, or the
/// packet is not genuine. RFC 3550 appendix A.1 takes 3000.
const MAX_JUMP: i64 = 3000;

/// Packets in a row from a source given up before, after which it is taken up again.
const RETURN_AFTER: u32 = 10;

/// What a packet's SSRC says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The source that is being received.
    Same,
    /// Another one, which takes its place.
    New,
    /// The one before, of which packets may still be under way. Drop it.
    Straggler,
}

/// Follows a stream from one SSRC to another: to a new one at once, back to a former one only after several packets.
#[derive(Debug, Default)]
pub(super) struct SourceFilter {
    current: Option<Ssrc>,
    /// The source before, and how many packets it has sent since the current one's last.
    former: Option<(Ssrc, u32)>,
}

impl SourceFilter {
    pub(super) fn admit(&mut self, ssrc: Ssrc) -> Origin {
        if self.current == Some(ssrc) {
            if let Some((_, count)) = &mut self.former {
                *count = 0;
            }
            return Origin::Same;
        }
        if let Some((former, count)) = &mut self.former
            && *former == ssrc
        {
            *count += 1;
            if *count < RETURN_AFTER {
                return Origin::Straggler;
            }
        }
        self.former = self.current.replace(ssrc).map(|former| (former, 0));
        Origin::New
    }
}

/// What a packet's sequence number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The packet belongs here, counted from the start without wrapping.
    At(i64),
    /// The sender has started afresh; this is the second packet in a row from there (RFC 3550 appendix A.1).
    Restarted(i64),
    /// Far from everything known. Drop it.
    Stray,
}

/// Follows the sequence numbers of one source.
#[derive(Debug, Default)]
pub(super) struct Sequencer {
    newest: Option<i64>,
    /// The number that would confirm a restart.
    restart_at: Option<SequenceNumber>,
}

impl Sequencer {
    /// Places a packet and moves the newest position on.
    pub(super) fn place(&mut self, number: SequenceNumber) -> Place {
        let Some(newest) = self.newest else {
            // Room below for packets that overtook each other at the start.
            let first = (1 << 16) + i64::from(number.0);
            self.newest = Some(first);
            return Place::At(first);
        };
        let distance = i64::from(number.distance(SequenceNumber(newest as u16)));
        if distance.abs() <= MAX_JUMP {
            self.restart_at = None;
            self.newest = Some(newest.max(newest + distance));
            return Place::At(newest + distance);
        }
        if self.restart_at.replace(number.next()) == Some(number) {
            self.restart_at = None;
            let restarted = newest + (1 << 16) + distance;
            self.newest = Some(restarted);
            return Place::Restarted(restarted);
        }
        Place::Stray
    }
}

/// Makes positions that do not wrap out of RTP timestamps.
#[derive(Debug, Default)]
pub(super) struct TimestampUnwrapper {
    /// The newest timestamp with its position.
    newest: Option<(u32, i64)>,
}

impl TimestampUnwrapper {
    pub(super) fn unwrap(&mut self, timestamp: u32) -> i64 {
        let position = self.peek(timestamp);
        if self.newest.is_none_or(|(_, newest)| position > newest) {
            self.newest = Some((timestamp, position));
        }
        position
    }

    /// As [`Self::unwrap`], without taking the timestamp for the newest.
    pub(super) fn peek(&self, timestamp: u32) -> i64 {
        match self.newest {
            None => i64::from(timestamp),
            Some((newest, position)) => position + i64::from(timestamp.wrapping_sub(newest) as i32),
        }
    }
}

/// Interarrival jitter as RFC 3550 section 6.4.1 and appendix A.8 define it.
#[derive(Debug)]
pub(super) struct InterarrivalJitter {
    clock_rate: u32,
    last: Option<(MediaTime, u32)>,
    ticks: f64,
}

impl InterarrivalJitter {
    pub(super) fn new(clock_rate: u32) -> Self {
        Self { clock_rate, last: None, ticks: 0.0 }
    }

    /// Takes a packet that came in order.
    pub(super) fn on_packet(&mut self, packet: &RtpPacket) {
        if let Some((at, timestamp)) = self.last.replace((packet.arrived_at, packet.timestamp)) {
            let arrival = packet.arrived_at.millis_after(at) / 1e3 * f64::from(self.clock_rate);
            let sent = f64::from(packet.timestamp.wrapping_sub(timestamp) as i32);
            self.ticks += ((arrival - sent).abs() - self.ticks) / 16.0;
        }
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_secs_f64(self.ticks / f64::from(self.clock_rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unwrapped_both_ways() {
        let mut sequencer = Sequencer::default();
        let placed: Vec<Place> =
            [65_534, 65_535, 1, 0, 65_533].map(|n| sequencer.place(SequenceNumber(n))).to_vec();
        let base = (1 << 16) + 65_534;
        assert_eq!(placed, [base, base + 1, base + 3, base + 2, base - 1].map(Place::At));
    }

    #[test]
    fn timestamps_are_unwrapped_both_ways() {
        let mut unwrapper = TimestampUnwrapper::default();
        let base = i64::from(u32::MAX) - 10;
        let positions = [u32::MAX - 10, 20, u32::MAX, 30].map(|timestamp| unwrapper.unwrap(timestamp));
        assert_eq!(positions, [base, base + 31, base + 10, base + 41]);
        assert_eq!(unwrapper.peek(u32::MAX - 11), base - 1);
    }

    #[test]
    fn a_jump_is_believed_only_when_the_next_number_follows() {
        let mut sequencer = Sequencer::default();
        sequencer.place(SequenceNumber(100));
        assert_eq!(sequencer.place(SequenceNumber(30_000)), Place::Stray);
        assert!(matches!(sequencer.place(SequenceNumber(101)), Place::At(_)));
        assert_eq!(sequencer.place(SequenceNumber(30_001)), Place::Stray);
        let Place::Restarted(position) = sequencer.place(SequenceNumber(30_002)) else {
            panic!("two in a row are a restart")
        };
        assert_eq!(position as u16, 30_002);
        assert_eq!(sequencer.place(SequenceNumber(30_003)), Place::At(position + 1));
    }

    #[test]
    fn positions_never_repeat_after_a_restart_backwards() {
        let mut sequencer = Sequencer::default();
        let Place::At(before) = sequencer.place(SequenceNumber(40_000)) else { panic!() };
        sequencer.place(SequenceNumber(20_000));
        let Place::Restarted(after) = sequencer.place(SequenceNumber(20_001)) else { panic!() };
        assert!(after > before);
    }
}
