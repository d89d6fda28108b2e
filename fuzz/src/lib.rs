//! What the targets share: a stream of packets written as plain bytes, so that seeds can be made from real calls and a
//! crash can be read.

use ahoy_media_types::{MediaTime, PayloadType, RtpPacket, SequenceNumber, Ssrc};
use bytes::Bytes;

/// The parts of an input, one after another.
pub struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// All of `data`.
    pub fn of(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// A single byte; `None` at the end.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Two bytes, the low one first.
    pub fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    /// A word and as many bytes as it says, or what there is.
    pub fn chunk(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.word()?).min(self.rest.len());
        let (chunk, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(chunk)
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// The payload type of packets of sound that carry those before them as well.
pub const REPEATED: PayloadType = PayloadType(63);

/// A packet and when it comes.
pub struct Arrival {
    /// The packet.
    pub packet: RtpPacket,
    /// When it is handed over.
    pub now: MediaTime,
    /// How many times what waits is to be asked for afterwards, 0 to 15.
    pub polls: u8,
}

/// Packets as an attacker, or a broken network, may send them. Each is: control (bit 0 marker, bit 1 another sender, bit 2
/// a jump in time, bit 3 a packet that carries others as well, bits 4 to 7 polls), step of the sequence number (signed), step of the timestamp in units of 30 (word),
/// milliseconds since the one before, payload (chunk).
pub fn packets(data: &[u8]) -> impl Iterator<Item = Arrival> {
    let mut parts = Parts::of(data);
    let (mut sequence, mut timestamp, mut now) = (0u16, 0u32, MediaTime::from_millis(1000));
    std::iter::from_fn(move || {
        let control = parts.byte()?;
        sequence = sequence.wrapping_add_signed(i16::from(parts.byte()? as i8));
        let step = u32::from(parts.word()?) * 30;
        timestamp = timestamp.wrapping_add(if control & 4 == 0 { step } else { step << 12 });
        now += std::time::Duration::from_millis(u64::from(parts.byte()?));
        let packet = RtpPacket {
            ssrc: Ssrc(u32::from(control >> 1 & 1)),
            payload_type: if control & 8 == 0 { PayloadType(96) } else { REPEATED },
            sequence: SequenceNumber(sequence),
            timestamp,
            marker: control & 1 == 1,
            payload: Bytes::copy_from_slice(parts.chunk()?),
            arrived_at: now,
        };
        Some(Arrival { packet, now, polls: control >> 4 })
    })
}
