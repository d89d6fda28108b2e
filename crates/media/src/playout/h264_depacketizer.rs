//! RTP payloads to H.264 access units (RFC 6184, packetization modes 0 and 1).

use bytes::Bytes;

use crate::codec::MAX_ACCESS_UNIT;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// NAL unit types that matter here (ITU-T H.264 table 7-1, RFC 6184 table 3).
mod nal_type {
    pub(super) const IDR: u8 = 5;
    pub(super) const SPS: u8 = 7;
    pub(super) const DELIMITER: u8 = 9;
    pub(super) const LAST_SINGLE: u8 = 23;
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
}

/// Why a packet does not fit where it came. The whole access unit is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DepacketizeError {
    /// The packet ends inside one of its fields.
    #[error("a video packet is cut short")]
    Truncated,
    /// The sender marked the data as damaged (the forbidden bit of the NAL unit header).
    #[error("a video packet is marked as damaged")]
    Forbidden,
    /// The packet uses a format that was not negotiated: interleaving, or a packet inside a packet.
    #[error("a video packet is of a type (NAL unit type {0}) that was not agreed on")]
    NotNegotiated(u8),
    /// A fragment came whose beginning did not.
    #[error("a piece of a video packet came without its beginning")]
    NoStart,
    /// Something else came before the last fragment.
    #[error("a piece of a video packet is missing")]
    NoEnd,
    /// The access unit grows beyond what any picture needs.
    #[error("a compressed picture is larger than {max} bytes", max = MAX_ACCESS_UNIT)]
    TooLarge,
    /// Nothing that can be decoded was in the packets.
    #[error("a compressed picture is empty")]
    Empty,
}

/// One compressed picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// NAL units in Annex B form, each after a four-byte start code.
    pub data: Bytes,
    /// Whether there is an IDR slice in it, so that decoding can start here.
    pub keyframe: bool,
}

/// Puts the payloads of one access unit together. They must come complete and in order: see
/// [`VideoJitterBuffer`](super::VideoJitterBuffer).
#[derive(Debug, Default)]
pub struct H264Depacketizer {
    unit: Vec<u8>,
    keyframe: bool,
    /// NAL unit type of the fragmented NAL unit that is being put together.
    fragment: Option<u8>,
}

impl H264Depacketizer {
    /// A depacketizer between two access units.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next payload. Types that are undefined are ignored, as RFC 6184 section 5.4 asks.
    ///
    /// # Errors
    /// [`DepacketizeError`]; the access unit is lost and [`Self::reset`] must be called.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), DepacketizeError> {
        // Padding to probe the network with.
        let Some((&header, rest)) = payload.split_first() else { return Ok(()) };
        if header & 0x80 != 0 {
            return Err(DepacketizeError::Forbidden);
        }
        let kind = header & 0x1f;
        if self.fragment.is_some() && kind != nal_type::FU_A {
            return Err(DepacketizeError::NoEnd);
        }
        match kind {
            1..=nal_type::LAST_SINGLE => self.nal(payload),
            nal_type::STAP_A => self.aggregate(rest),
            nal_type::FU_A => self.fragment(header, rest),
            0 | 30 | 31 => Ok(()),
            other => Err(DepacketizeError::NotNegotiated(other)),
        }
    }

    /// Ends the access unit and makes ready for the next.
    ///
    /// # Errors
    /// [`DepacketizeError::NoEnd`] or [`DepacketizeError::Empty`].
    pub fn finish(&mut self) -> Result<AccessUnit, DepacketizeError> {
        let (data, keyframe) = (std::mem::take(&mut self.unit), self.keyframe);
        let open = self.fragment.is_some();
        self.reset();
        if open {
            return Err(DepacketizeError::NoEnd);
        }
        if data.is_empty() {
            return Err(DepacketizeError::Empty);
        }
        Ok(AccessUnit { data: Bytes::from(data), keyframe })
    }

    /// Forgets an unfinished access unit.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), DepacketizeError> {
        if self.unit.len() + bytes > MAX_ACCESS_UNIT { Err(DepacketizeError::TooLarge) } else { Ok(()) }
    }

    fn nal(&mut self, nal: &[u8]) -> Result<(), DepacketizeError> {
        self.reserve(START_CODE.len() + nal.len())?;
        self.unit.extend_from_slice(&START_CODE);
        self.unit.extend_from_slice(nal);
        self.keyframe |= nal[0] & 0x1f == nal_type::IDR;
        Ok(())
    }

    /// RFC 6184 section 5.7.1: size and NAL unit, again and again.
    fn aggregate(&mut self, mut rest: &[u8]) -> Result<(), DepacketizeError> {
        if rest.is_empty() {
            return Err(DepacketizeError::Truncated);
        }
        while !rest.is_empty() {
            let (nal, after) = split_sized(rest).ok_or(DepacketizeError::Truncated)?;
            match nal[0] & 0x1f {
                _ if nal[0] & 0x80 != 0 => return Err(DepacketizeError::Forbidden),
                1..=nal_type::LAST_SINGLE => self.nal(nal)?,
                0 | 30 | 31 => {}
                nested => return Err(DepacketizeError::NotNegotiated(nested)),
            }
            rest = after;
        }
        Ok(())
    }

    /// RFC 6184 section 5.8.
    fn fragment(&mut self, indicator: u8, rest: &[u8]) -> Result<(), DepacketizeError> {
        let (&header, data) = rest.split_first().ok_or(DepacketizeError::Truncated)?;
        let (start, end, kind) = (header & 0x80 != 0, header & 0x40 != 0, header & 0x1f);
        if !(1..=nal_type::LAST_SINGLE).contains(&kind) {
            return Err(DepacketizeError::NotNegotiated(kind));
        }
        match (start, self.fragment) {
            (true, Some(_)) => return Err(DepacketizeError::NoEnd),
            (true, None) => {
                self.nal(&[indicator & 0xe0 | kind])?;
                self.fragment = Some(kind);
            }
            (false, Some(open)) if open == kind => {}
            (false, Some(_)) => return Err(DepacketizeError::NoEnd),
            (false, None) => return Err(DepacketizeError::NoStart),
        }
        self.reserve(data.len())?;
        self.unit.extend_from_slice(data);
        if end {
            self.fragment = None;
        }
        Ok(())
    }
}

/// Whether `payload` begins the access unit of a key frame: a sequence parameter set comes first in it, alone or at the
/// head of an aggregation packet, perhaps after a delimiter.
pub(super) fn starts_keyframe(payload: &[u8]) -> bool {
    let Some((&header, mut rest)) = payload.split_first() else { return false };
    match header & 0x1f {
        nal_type::SPS => true,
        nal_type::STAP_A => {
            while let Some((nal, after)) = split_sized(rest) {
                match nal[0] & 0x1f {
                    nal_type::SPS => return true,
                    nal_type::DELIMITER => rest = after,
                    _ => return false,
                }
            }
            false
        }
        _ => false,
    }
}

/// A non-empty NAL unit after its 16-bit size, and what follows.
fn split_sized(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = data.split_first_chunk::<2>()?;
    let size = usize::from(u16::from_be_bytes(*size));
    (size > 0).then(|| rest.split_at_checked(size)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assemble(payloads: &[&[u8]]) -> Result<AccessUnit, DepacketizeError> {
        let mut depacketizer = H264Depacketizer::new();
        for payload in payloads {
            depacketizer.push(payload)?;
        }
        depacketizer.finish()
    }

    /// Payloads, and the Annex B stream that they make, and whether it is a key frame.
    type Case = (&'static [&'static [u8]], &'static [u8], bool);

    #[test]
    fn each_packet_type_becomes_annex_b() {
        let cases: &[Case] = &[
            (&[&[0x41, 1, 2]], &[0, 0, 0, 1, 0x41, 1, 2], false),
            (&[&[0x65, 9]], &[0, 0, 0, 1, 0x65, 9], true),
            (
                &[&[0x67, 1], &[0x68, 2], &[0x65, 3]],
                &[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 3],
                true,
            ),
            (&[&[0x78, 0, 2, 0x67, 1, 0, 1, 0x68]], &[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68], false),
            (&[&[0x7c, 0x85, 1], &[0x7c, 0x05, 2], &[0x7c, 0x45, 3]], &[0, 0, 0, 1, 0x65, 1, 2, 3], true),
            (&[&[0x5c, 0x81, 1], &[0x5c, 0x41]], &[0, 0, 0, 1, 0x41, 1], false),
            // One fragment that is start and end at once must not be sent, but is understood.
            (&[&[0x5c, 0xc1, 7]], &[0, 0, 0, 1, 0x41, 7], false),
            // Padding and undefined types are passed over.
            (&[&[], &[0x41, 1], &[0x60, 1], &[0x7e], &[0x5f, 5]], &[0, 0, 0, 1, 0x41, 1], false),
            (&[&[0x78, 0, 1, 0x60, 0, 2, 0x41, 1]], &[0, 0, 0, 1, 0x41, 1], false),
        ];
        for (payloads, expected, keyframe) in cases {
            let unit = assemble(payloads).unwrap_or_else(|error| panic!("{payloads:02x?}: {error}"));
            assert_eq!((unit.data.as_ref(), unit.keyframe), (*expected, *keyframe), "{payloads:02x?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use DepacketizeError::*;
        let cases: &[(&[&[u8]], DepacketizeError)] = &[
            (&[], Empty),
            (&[&[], &[]], Empty),
            (&[&[0x60]], Empty),
            (&[&[0xc1, 1]], Forbidden),
            (&[&[0x78]], Truncated),
            (&[&[0x78, 0]], Truncated),
            (&[&[0x78, 0, 3, 0x67, 1]], Truncated),
            (&[&[0x78, 0, 0, 0, 1, 0x41]], Truncated),
            (&[&[0x78, 0, 1, 0x41, 9]], Truncated),
            (&[&[0x78, 0, 2, 0x78, 1]], NotNegotiated(24)),
            (&[&[0x78, 0, 2, 0x7c, 1]], NotNegotiated(28)),
            (&[&[0x78, 0, 1, 0xe7]], Forbidden),
            (&[&[0x79, 0, 0]], NotNegotiated(25)),
            (&[&[0x7a, 0, 0]], NotNegotiated(26)),
            (&[&[0x7b, 0, 0]], NotNegotiated(27)),
            (&[&[0x7d, 0x85, 0, 0, 1]], NotNegotiated(29)),
            (&[&[0x7c]], Truncated),
            (&[&[0x7c, 0x80, 1]], NotNegotiated(0)),
            (&[&[0x7c, 0x98, 1]], NotNegotiated(24)),
            (&[&[0x7c, 0x05, 1]], NoStart),
            (&[&[0x7c, 0x45, 1]], NoStart),
            (&[&[0x7c, 0x85, 1]], NoEnd),
            (&[&[0x7c, 0x85, 1], &[0x7c, 0x85, 1]], NoEnd),
            (&[&[0x7c, 0x85, 1], &[0x7c, 0x41, 1]], NoEnd),
            (&[&[0x7c, 0x85, 1], &[0x41, 1]], NoEnd),
        ];
        for (payloads, expected) in cases {
            assert_eq!(assemble(payloads), Err(*expected), "{payloads:02x?}");
        }
    }

    #[test]
    fn an_access_unit_can_not_grow_without_bound() {
        let mut depacketizer = H264Depacketizer::new();
        let mut payload = vec![0u8; 60_000];
        payload[..2].copy_from_slice(&[0x5c, 0x81]);
        depacketizer.push(&payload).unwrap();
        payload[1] = 0x01;
        let refused = (0..1000).find_map(|_| depacketizer.push(&payload).err());
        assert_eq!(refused, Some(DepacketizeError::TooLarge));
        depacketizer.reset();
        assert_eq!(depacketizer.push(&[0x41, 1]), Ok(()));
    }

    #[test]
    fn the_beginning_of_a_key_frame_is_recognised() {
        for payload in [&[0x67, 1][..], &[0x78, 0, 1, 0x67], &[0x78, 0, 1, 0x09, 0, 2, 0x67, 1]] {
            assert!(starts_keyframe(payload), "{payload:02x?}");
        }
        for payload in [
            &[][..],
            &[0x41, 1],
            &[0x78],
            &[0x78, 0, 9, 0x67],
            &[0x78, 0, 1, 0x68, 0, 1, 0x67],
            &[0x7c, 0x85],
        ] {
            assert!(!starts_keyframe(payload), "{payload:02x?}");
        }
    }

    /// A packetizer to test against: STAP-A for small NAL units in a row, FU-A for large ones.
    fn packetize(nals: &[Vec<u8>], mtu: usize) -> Vec<Vec<u8>> {
        let mut out: Vec<Vec<u8>> = Vec::new();
        for nal in nals {
            if nal.len() > mtu {
                let pieces: Vec<&[u8]> = nal[1..].chunks(mtu).collect();
                for (i, piece) in pieces.iter().enumerate() {
                    let flags = (u8::from(i == 0) << 7) | (u8::from(i + 1 == pieces.len()) << 6);
                    let mut payload = vec![nal[0] & 0xe0 | 28, flags | nal[0] & 0x1f];
                    payload.extend_from_slice(piece);
                    out.push(payload);
                }
            } else if nal.len() % 2 == 0 {
                let mut payload = vec![0x78];
                for _ in 0..2 {
                    payload.extend((nal.len() as u16).to_be_bytes());
                    payload.extend(nal);
                }
                out.push(payload);
            } else {
                out.push(nal.clone());
            }
        }
        out
    }

    proptest! {
        #[test]
        fn whatever_was_packetized_comes_back(
            nals in prop::collection::vec((1u8..24, prop::collection::vec(any::<u8>(), 0..200)), 1..8),
            mtu in 20usize..100,
        ) {
            let nals: Vec<Vec<u8>> =
                nals.into_iter().map(|(kind, mut data)| { data.insert(0, 0x60 | kind); data }).collect();
            let mut expected = Vec::new();
            for nal in &nals {
                for _ in 0..if nal.len() <= mtu && nal.len() % 2 == 0 { 2 } else { 1 } {
                    expected.extend(START_CODE);
                    expected.extend(nal);
                }
            }
            let payloads = packetize(&nals, mtu);
            let unit = assemble(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(unit.data.as_ref(), &expected[..]);
            prop_assert_eq!(unit.keyframe, nals.iter().any(|nal| nal[0] & 0x1f == 5));
        }

        #[test]
        fn no_sequence_of_payloads_upsets_it(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut depacketizer = H264Depacketizer::new();
            let total: usize = payloads.iter().map(|p| p.len() + START_CODE.len() * p.len().max(1)).sum();
            for payload in &payloads {
                let _ = starts_keyframe(payload);
                if depacketizer.push(payload).is_err() {
                    depacketizer.reset();
                }
            }
            if let Ok(unit) = depacketizer.finish() {
                prop_assert!(unit.data.len() <= total);
                prop_assert_eq!(&unit.data[..4], &START_CODE);
            }
        }
    }
}
