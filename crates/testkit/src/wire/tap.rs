//! Copies of what went over the wire.

use ahoy_media_types::MediaTime;

use super::Direction;

/// Packets that a tap keeps: the first few seconds of a call. Later ones are counted, not kept.
pub const TAP_CAPACITY: usize = 8192;

/// One packet as it came from its sender, whatever the link did to it afterwards.
#[derive(Clone, Debug)]
pub struct TappedPacket {
    /// When it came.
    pub at: MediaTime,
    /// Which way it went.
    pub direction: Direction,
    /// The UDP payload; between namespaces the whole IP packet.
    pub data: Box<[u8]>,
}

/// What a tap has seen so far.
#[derive(Clone, Debug, Default)]
pub struct TapReport {
    /// The first packets, at most [`TAP_CAPACITY`].
    pub packets: Vec<TappedPacket>,
    /// How many more came after those.
    pub missed: u64,
}

impl TapReport {
    pub(super) fn record(&mut self, at: MediaTime, direction: Direction, data: &[u8]) {
        if self.packets.len() < TAP_CAPACITY {
            self.packets.push(TappedPacket { at, direction, data: data.into() });
        } else {
            self.missed += 1;
        }
    }
}

/// The beginning of a packet as it came from its sender: enough to tell what it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireHeader {
    /// Which way it went.
    pub direction: Direction,
    /// The first bytes of the UDP payload, or between namespaces of the IP packet, filled up with zeros: as much as RTP's fixed
    /// header (RFC 3550 section 5.1).
    pub start: [u8; 12],
}

impl WireHeader {
    pub(super) fn of(direction: Direction, data: &[u8]) -> Self {
        let mut start = [0; 12];
        let length = data.len().min(start.len());
        start[..length].copy_from_slice(&data[..length]);
        Self { direction, start }
    }

    /// RTP's payload type, synchronization source, and whether the packet is padded; `None` where it is no RTP.
    pub fn rtp(&self) -> Option<(u8, u32, bool)> {
        let [flags, kind, .., a, b, c, d] = self.start;
        let rtp = WireKind::of(&self.start) == WireKind::Rtp;
        rtp.then(|| (kind & 0x7F, u32::from_be_bytes([a, b, c, d]), flags & 0x20 != 0))
    }

    /// Whether it is an IPv4 packet of TCP (RFC 791 section 3.1), as there are between namespaces.
    pub fn is_tcp(&self) -> bool {
        self.start[0] >> 4 == 4 && self.start[9] == 6
    }
}

/// What a UDP payload of a WebRTC session is, told by its first bytes (RFC 7983 section 7, RFC 5761 section 4).
///
/// Encrypted and plain RTP look alike here: the header stays readable, so only the payload tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireKind {
    /// STUN: connectivity checks, TURN requests.
    Stun,
    /// DTLS: handshake and DataChannels.
    Dtls,
    /// TURN channel data.
    TurnChannel,
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// None of these.
    Unknown,
}

impl WireKind {
    /// Looks at the first bytes of a UDP payload.
    pub fn of(payload: &[u8]) -> WireKind {
        match payload {
            [0..=3, ..] => WireKind::Stun,
            [20..=63, ..] => WireKind::Dtls,
            [64..=79, ..] => WireKind::TurnChannel,
            [128..=191, 192..=223, ..] => WireKind::Rtcp,
            [128..=191, _, ..] => WireKind::Rtp,
            _ => WireKind::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart_by_their_first_bytes() {
        let cases: [(&[u8], WireKind); 8] = [
            (&[0, 1, 0, 8], WireKind::Stun),
            (&[22, 254, 253], WireKind::Dtls),
            (&[0x40, 0], WireKind::TurnChannel),
            (&[0x80, 111], WireKind::Rtp),
            (&[0x90, 0x80 | 102], WireKind::Rtp),
            (&[0x80, 200], WireKind::Rtcp),
            (&[0x81, 206], WireKind::Rtcp),
            (&[], WireKind::Unknown),
        ];
        for (payload, kind) in cases {
            assert_eq!(WireKind::of(payload), kind, "{payload:?}");
        }
    }

    #[test]
    fn the_start_of_a_packet_tells_stream_and_padding() {
        let packet = [0xA0, 0x80 | 102, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3];
        let header = WireHeader::of(Direction::AToB, &packet);
        assert_eq!(header.rtp(), Some((102, 258, true)));
        assert_eq!(WireHeader::of(Direction::AToB, &[0, 1]).rtp(), None);
    }

    #[test]
    fn tcp_between_namespaces_is_known() {
        let ip = |protocol| [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protocol, 0, 0, 198, 18, 0, 1];
        let is_tcp = |data: &[u8]| WireHeader::of(Direction::AToB, data).is_tcp();
        assert!(is_tcp(&ip(6)) && !is_tcp(&ip(17)) && !is_tcp(&[0x80, 111, 0, 1]));
    }

    #[test]
    fn a_full_tap_counts_what_it_misses() {
        let mut tap = TapReport::default();
        for _ in 0..TAP_CAPACITY + 3 {
            tap.record(MediaTime::ZERO, Direction::AToB, &[1]);
        }
        assert_eq!((tap.packets.len(), tap.missed), (TAP_CAPACITY, 3));
    }
}
