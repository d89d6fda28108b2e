//! Sound that is sent more than once (RFC 2198): a packet carries those before it as well, so that what is lost comes with the
//! next ones, without being asked for.

use std::collections::VecDeque;

use ahoy_media_types::{PayloadType, RtpPacket, SequenceNumber};
use bytes::{BufMut, Bytes, BytesMut};

/// What the format is known by in session descriptions.
pub(crate) const MIME_TYPE: &str = "audio/red";

/// Length of the header of a block that is repeated, and of that of the new one, in bytes.
const HEADER: usize = 4;
const LAST_HEADER: usize = 1;
/// Set in the first byte of each header but the last.
const MORE: u8 = 0x80;
/// How far back a block can lie, in ticks of the clock: 14 bits.
const MOST_TICKS: u32 = 0x3FFF;
/// How long a block that is repeated can be, in bytes: 10 bits.
const MOST_BYTES: usize = 0x3FF;
/// Packets back to which it is known which have come. What is older comes too late.
const WINDOW: u16 = 64;
/// A number so much lower is that of a sender that has started over (RFC 3550 appendix A.1 has 100 for that, and waits for the
/// next).
const RESTART: u16 = 3_000;

/// The sound of one packet.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) payload_type: u8,
    pub(super) timestamp: u32,
    pub(super) payload: Bytes,
}

/// What was sent last of one stream.
#[derive(Debug, Default)]
pub(super) struct Repeater {
    sent: VecDeque<Block>,
}

impl Repeater {
    /// The payload that carries `new` together with those sent before it, up to `copies` of them, within `most` bytes. `None`
    /// where there is nothing to repeat.
    pub(super) fn wrap(&mut self, new: Block, copies: usize, most: usize) -> Option<Bytes> {
        let mut length = LAST_HEADER + new.payload.len();
        // The other side counts back from the new one, so none may be left out in between.
        let repeated = self.sent.iter().rev().take(copies).take_while(|block| {
            length += HEADER + block.payload.len();
            new.timestamp.wrapping_sub(block.timestamp) <= MOST_TICKS
                && block.payload.len() <= MOST_BYTES
                && length <= most
        });
        let repeated: Vec<&Block> = repeated.collect();
        let wrapped = (!repeated.is_empty()).then(|| join(&repeated, &new));
        self.sent.push_back(new);
        while self.sent.len() > ahoy_congestion::MOST_COPIES {
            self.sent.pop_front();
        }
        wrapped
    }
}

/// The payload that carries `new` and, the newest first, what is repeated.
fn join(repeated: &[&Block], new: &Block) -> Bytes {
    let mut joined = BytesMut::new();
    for block in repeated.iter().rev() {
        let back = new.timestamp.wrapping_sub(block.timestamp);
        joined.put_u8(MORE | block.payload_type);
        joined.put_uint(u64::from(back) << 10 | block.payload.len() as u64, 3);
    }
    joined.put_u8(new.payload_type);
    for block in repeated.iter().rev().copied().chain([new]) {
        joined.extend_from_slice(&block.payload);
    }
    joined.freeze()
}

/// The packets that a payload stands for, the new one last; `None` where it is none of this format.
fn split(packet: &RtpPacket) -> Option<Vec<RtpPacket>> {
    let mut rest = packet.payload.clone();
    let mut headers = Vec::new();
    let last_type = loop {
        match *rest.first()? {
            last if last & MORE == 0 => {
                rest = rest.slice(LAST_HEADER..);
                break last;
            }
            first => {
                let [_, high, middle, low] = *rest.first_chunk::<HEADER>()?;
                let fields = u32::from_be_bytes([0, high, middle, low]);
                headers.push((first & !MORE, fields >> 10, fields as usize & MOST_BYTES));
                rest = rest.slice(HEADER..);
            }
        }
    };
    let mut packets = Vec::with_capacity(headers.len() + 1);
    for (index, (payload_type, back, length)) in headers.iter().enumerate() {
        if rest.len() < *length {
            return None;
        }
        let number = packet.sequence.0.wrapping_sub((headers.len() - index) as u16);
        packets.push(RtpPacket {
            payload_type: PayloadType(*payload_type),
            sequence: SequenceNumber(number),
            timestamp: packet.timestamp.wrapping_sub(*back),
            marker: false,
            payload: rest.split_to(*length),
            ..*packet
        });
    }
    packets.push(RtpPacket { payload_type: PayloadType(last_type), payload: rest, ..*packet });
    Some(packets)
}

/// Gives out each packet of a stream once, whether it has come by itself or with a later one.
#[derive(Debug)]
pub struct Unwrapper {
    /// The payload type of packets that carry several.
    wrapped: PayloadType,
    /// The newest number, and which of those before it have come: the lowest bit stands for the newest.
    seen: Option<(u16, u64)>,
}

/// What has come of one packet.
#[derive(Clone, Debug, Default)]
pub struct Unwrapped {
    /// In the order of their numbers.
    pub packets: Vec<RtpPacket>,
    /// How many of them had been lost.
    pub recovered: usize,
}

impl Unwrapper {
    /// For a stream in which packets of the type `wrapped` carry several.
    pub fn new(wrapped: PayloadType) -> Self {
        Self { wrapped, seen: None }
    }

    /// Takes in a packet as it has come. One that can't be read gives nothing.
    pub fn push(&mut self, packet: RtpPacket) -> Unwrapped {
        if self.wrapped != packet.payload_type {
            let is_new = self.came(packet.sequence.0);
            return Unwrapped { packets: is_new.then_some(packet).into_iter().collect(), recovered: 0 };
        }
        let Some(mut packets) = split(&packet) else { return Unwrapped::default() };
        let new = packets.pop();
        // Before the others, so that it is known which of them are too old.
        let is_new = self.came(packet.sequence.0);
        packets.retain(|copy| !copy.payload.is_empty() && self.is_missing(copy.sequence.0));
        for copy in &packets {
            self.came(copy.sequence.0);
        }
        let recovered = packets.len();
        packets.extend(new.filter(|_| is_new));
        Unwrapped { packets, recovered }
    }

    /// A packet with this number is here; whether that is news.
    fn came(&mut self, number: u16) -> bool {
        let is_new = self.is_missing(number);
        self.seen = Some(match self.seen {
            // Of what was sent before nothing is awaited.
            None => (number, u64::MAX),
            Some((newest, before)) => match (number.wrapping_sub(newest), newest.wrapping_sub(number)) {
                (_, back) if back < WINDOW => (newest, before | 1 << back),
                (_, back) if back < RESTART => (newest, before),
                (ahead, _) if ahead <= 0x7FFF => {
                    (number, before.checked_shl(u32::from(ahead)).unwrap_or(0) | 1)
                }
                // The sender has started over.
                _ => (number, u64::MAX),
            },
        });
        is_new
    }

    fn is_missing(&self, number: u16) -> bool {
        self.seen.is_none_or(|(newest, before)| match newest.wrapping_sub(number) {
            back if back < WINDOW => before & 1 << back == 0,
            back => back >= RESTART,
        })
    }
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::{MediaTime, Ssrc};
    use proptest::prelude::*;

    use super::*;

    const OPUS: u8 = 111;
    const WRAPPED: PayloadType = PayloadType(63);

    fn packet(number: u16, payload_type: u8, payload: Bytes) -> RtpPacket {
        RtpPacket {
            ssrc: Ssrc(1),
            payload_type: PayloadType(payload_type),
            sequence: SequenceNumber(number),
            timestamp: u32::from(number) * 960,
            marker: false,
            payload,
            arrived_at: MediaTime::ZERO,
        }
    }

    fn sound(number: u16) -> Bytes {
        vec![number as u8; 40 + usize::from(number % 30)].into()
    }

    fn block(number: u16) -> Block {
        Block { payload_type: OPUS, timestamp: u32::from(number) * 960, payload: sound(number) }
    }

    /// Packets as they leave, each with up to two before it.
    fn sent(numbers: impl IntoIterator<Item = u16>) -> Vec<RtpPacket> {
        let mut repeater = Repeater::default();
        let leave = |number| match repeater.wrap(block(number), 2, 1_150) {
            Some(wrapped) => packet(number, WRAPPED.0, wrapped),
            None => packet(number, OPUS, sound(number)),
        };
        numbers.into_iter().map(leave).collect()
    }

    #[test]
    fn each_packet_is_given_out_once_and_two_lost_in_a_row_come_with_the_next() {
        let mut unwrapper = Unwrapper::new(WRAPPED);
        let arrived = sent(10..30).into_iter().filter(|packet| ![14, 20, 21].contains(&packet.sequence.0));
        let (mut out, mut recovered) = (Vec::new(), 0);
        for packet in arrived {
            let unwrapped = unwrapper.push(packet);
            recovered += unwrapped.recovered;
            out.extend(unwrapped.packets);
        }
        assert_eq!(out.len(), 20);
        for (number, packet) in (10..30).zip(&out) {
            assert_eq!((packet.sequence.0, packet.payload_type.0), (number, OPUS));
            assert_eq!((packet.timestamp, &packet.payload), (u32::from(number) * 960, &sound(number)));
        }
        assert_eq!(recovered, 3);
    }

    #[test]
    fn the_bytes_are_those_of_the_rfc() {
        let mut repeater = Repeater::default();
        let block = |timestamp, payload: &'static [u8]| Block {
            payload_type: OPUS,
            timestamp,
            payload: payload.into(),
        };
        assert_eq!(repeater.wrap(block(u32::MAX - 959, &[1, 2, 3]), 1, 1_150), None);
        let wrapped = repeater.wrap(block(0, &[4, 5]), 1, 1_150).unwrap();
        // F and type; 14 bits of 960 and 10 bits of 3; the type alone; the repeated and the new sound.
        assert_eq!(wrapped[..], [0xEF, 0x0F, 0x00, 0x03, 0x6F, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_came_before_the_first_packet_or_out_of_order_is_not_given_out_twice() {
        let packets = sent(0..6);
        let mut unwrapper = Unwrapper::new(WRAPPED);
        let numbers = [2, 3, 5, 4].map(|index: usize| {
            let packets = unwrapper.push(packets[index].clone()).packets;
            packets.iter().map(|packet| packet.sequence.0).collect::<Vec<_>>()
        });
        assert_eq!(numbers[..3], [vec![2], vec![3], vec![4, 5]]);
        assert_eq!(numbers[3], [0_u16; 0], "it has come with the one after it");
    }

    #[test]
    fn what_does_not_fit_is_not_repeated() {
        let mut repeater = Repeater::default();
        assert!(repeater.wrap(block(1), 2, 1_150).is_none(), "nothing was sent before");
        assert!(repeater.wrap(block(2), 0, 1_150).is_none(), "none is wanted");
        assert!(repeater.wrap(block(3), 2, 60).is_none(), "there is no room");
        assert!(repeater.wrap(block(40), 2, 1_150).is_none(), "it is too long ago");
        let one = repeater.wrap(block(41), 2, 1_150).unwrap();
        assert_eq!(split(&packet(41, WRAPPED.0, one)).unwrap().len(), 2);
    }

    #[test]
    fn a_sender_that_starts_over_is_followed() {
        let mut unwrapper = Unwrapper::new(WRAPPED);
        sent(40_000..40_010).into_iter().for_each(|packet| drop(unwrapper.push(packet)));
        let again = sent(20_005..20_010).into_iter().filter(|packet| packet.sequence.0 != 20_007);
        let recovered: usize = again.map(|packet| unwrapper.push(packet).recovered).sum();
        assert_eq!(recovered, 1);
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_survived_and_makes_no_more_sound_than_came(
            packets in prop::collection::vec((any::<u16>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 1..40),
        ) {
            let mut unwrapper = Unwrapper::new(WRAPPED);
            for (number, wrapped, payload) in packets {
                let length = payload.len();
                let unwrapped = unwrapper.push(packet(number, if wrapped { WRAPPED.0 } else { OPUS }, payload.into()));
                prop_assert!(unwrapped.packets.iter().map(|packet| packet.payload.len()).sum::<usize>() <= length);
                prop_assert!(unwrapped.packets.len() <= usize::from(WINDOW));
            }
        }
    }
}
