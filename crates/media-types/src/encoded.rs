//! Compressed media and the packets that carry it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::MediaTime;

/// The codecs that Ahoy sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264 constrained baseline, packetization mode 1 (RFC 6184).
    H264,
    /// Opus (RFC 7587).
    Opus,
}

impl Codec {
    /// Ticks per second of the codec's RTP timestamps.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Codec::H264 => 90_000,
            Codec::Opus => 48_000,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H.264",
            Codec::Opus => "Opus",
        })
    }
}

/// One compressed picture (an H.264 access unit in Annex B form) or one Opus packet.
#[derive(Clone, Debug)]
pub struct EncodedFrame {
    /// The codec of `data`.
    pub codec: Codec,
    /// The compressed bytes.
    pub data: Bytes,
    /// Position in the stream in units of the codec's clock (RFC 3550 section 5.1), wrapping.
    pub rtp_timestamp: u32,
    /// Time that the frame covers.
    pub duration: Duration,
    /// Whether decoding can start here. Always true for Opus.
    pub keyframe: bool,
    /// Sender: when the content was captured. Receiver: when the last packet of the frame arrived.
    pub time: MediaTime,
}

/// An RTP synchronization source (RFC 3550 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ssrc(pub u32);

/// An RTP payload type, 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PayloadType(pub u8);

/// An RTP sequence number, which wraps at 2^16 (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SequenceNumber(pub u16);

impl SequenceNumber {
    /// How far `self` is after `other` on the shorter way round; negative when it is before.
    pub const fn distance(self, other: SequenceNumber) -> i16 {
        self.0.wrapping_sub(other.0) as i16
    }

    /// The number after this one.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One received RTP packet with header extensions, padding and retransmission wrapping already removed.
#[derive(Clone, Debug)]
pub struct RtpPacket {
    /// The source it belongs to.
    pub ssrc: Ssrc,
    /// The negotiated format of `payload`.
    pub payload_type: PayloadType,
    /// Order in which it was sent.
    pub sequence: SequenceNumber,
    /// Sampling time in units of the codec's clock.
    pub timestamp: u32,
    /// Last packet of a picture (video), or start of a talk spurt (audio).
    pub marker: bool,
    /// The payload as defined by the codec's RTP payload format.
    pub payload: Bytes,
    /// When it was taken from the socket.
    pub arrived_at: MediaTime,
}

/// The pairing of wall-clock and media time from an RTCP sender report (RFC 3550 section 6.4.1): what lip sync needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// The source that the report is about.
    pub ssrc: Ssrc,
    /// Sender's wall clock in 1/2^32 seconds since 1900 (NTP format).
    pub ntp: u64,
    /// RTP timestamp of the same instant.
    pub rtp_timestamp: u32,
    /// When the report was taken from the socket.
    pub arrived_at: MediaTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_compare_across_the_wrap() {
        assert_eq!(SequenceNumber(2).distance(SequenceNumber(65_534)), 4);
        assert_eq!(SequenceNumber(65_534).distance(SequenceNumber(2)), -4);
        assert_eq!(SequenceNumber(65_535).next(), SequenceNumber(0));
    }
}
