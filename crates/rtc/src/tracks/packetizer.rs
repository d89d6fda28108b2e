//! Encoded frames cut into RTP payloads (RFC 6184 for H.264, RFC 7587 for Opus, RFC 2198 for
//! Opus that is sent more than once).

use std::time::Duration;

use ahoy_media_types::{Codec, EncodedFrame};
use bytes::Bytes;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::packetizer::Payloader;

use super::redundancy::{Block, Repeater};
use crate::interceptors::HEADERS;

/// The longest payload of a packet, in bytes. With the RTP header and its extensions (20), the SRTP tag (16), UDP and
/// IPv6 (48) it stays below the 1280 that every IPv6 path carries, with room for a TURN header.
const MAX_PAYLOAD: usize = 1150;

/// Part of what is sent of pictures that is pictures; the rest are headers.
pub const PAYLOAD_SHARE: f64 = MAX_PAYLOAD as f64 / (MAX_PAYLOAD + HEADERS) as f64;

/// What a frame of so many bytes takes on the wire, with all headers, in bytes.
pub const fn wire_bytes(frame: usize) -> usize {
    frame + frame.div_ceil(MAX_PAYLOAD) * HEADERS
}

/// As what the frames of one stream are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) payload_type: u8,
    /// The payload type of packets that carry those before them as well, if the other side takes such, and how many.
    pub(crate) repeated: Option<(u8, usize)>,
}

/// Numbers and cuts the frames of one stream.
pub(crate) struct Packetizer {
    codec: Codec,
    ssrc: u32,
    sequence: u16,
    h264: H264Payloader,
    repeater: Repeater,
    /// RTP timestamp that follows on the last frame without a pause.
    expected_timestamp: Option<u32>,
}

impl Packetizer {
    pub(crate) fn new(codec: Codec, ssrc: u32, first_sequence: u16) -> Self {
        Self {
            codec,
            ssrc,
            sequence: first_sequence,
            h264: H264Payloader::default(),
            repeater: Repeater::default(),
            expected_timestamp: None,
        }
    }

    /// The packets of a frame; none if it holds nothing to send.
    pub(crate) fn packets(&mut self, frame: &EncodedFrame, format: Format) -> Vec<rtc::rtp::Packet> {
        let (payload_type, payloads) = match self.codec {
            Codec::H264 => {
                let payloads = self.h264.payload(MAX_PAYLOAD, &frame.data).unwrap_or_default();
                (format.payload_type, payloads)
            }
            Codec::Opus if frame.data.is_empty() => (format.payload_type, vec![]),
            Codec::Opus => self.sound(frame, format),
        };
        let after_pause = self.expected_timestamp != Some(frame.rtp_timestamp);
        if !payloads.is_empty() {
            let ticks = ticks(frame.duration, self.codec.clock_rate());
            self.expected_timestamp = Some(frame.rtp_timestamp.wrapping_add(ticks));
        }
        let last = payloads.len().saturating_sub(1);
        let marks = |index: usize| match self.codec {
            Codec::H264 => index == last,
            Codec::Opus => after_pause,
        };
        let numbered = payloads.into_iter().enumerate();
        let packets: Vec<_> = numbered
            .map(|(index, payload)| {
                let sequence = self.sequence.wrapping_add(index as u16);
                self.packet(payload, payload_type, sequence, frame.rtp_timestamp, marks(index))
            })
            .collect();
        self.sequence = self.sequence.wrapping_add(packets.len() as u16);
        packets
    }

    fn sound(&mut self, frame: &EncodedFrame, format: Format) -> (u8, Vec<Bytes>) {
        let Format { payload_type, repeated } = format;
        let block = Block { payload_type, timestamp: frame.rtp_timestamp, payload: frame.data.clone() };
        let (wrapped_type, copies) = repeated.unwrap_or((payload_type, 0));
        match self.repeater.wrap(block, copies, MAX_PAYLOAD) {
            Some(wrapped) => (wrapped_type, vec![wrapped]),
            None => (payload_type, vec![frame.data.clone()]),
        }
    }

    fn packet(
        &self,
        payload: Bytes,
        payload_type: u8,
        sequence_number: u16,
        timestamp: u32,
        marker: bool,
    ) -> rtc::rtp::Packet {
        let header = rtc::rtp::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number,
            timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        rtc::rtp::Packet { header, payload }
    }
}

fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_secs_f64() * f64::from(clock_rate)).round() as u32
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::MediaTime;

    use super::*;

    fn plain(payload_type: u8) -> Format {
        Format { payload_type, repeated: None }
    }

    fn frame(codec: Codec, rtp_timestamp: u32, data: Vec<u8>) -> EncodedFrame {
        let duration = Duration::from_millis(20);
        let data = data.into();
        EncodedFrame { codec, data, rtp_timestamp, duration, keyframe: true, time: MediaTime::ZERO }
    }

    #[test]
    fn a_picture_keeps_its_own_timestamp_and_only_its_last_packet_is_marked() {
        let mut packetizer = Packetizer::new(Codec::H264, 9, 65_535);
        let mut picture = vec![0, 0, 0, 1, 0x65];
        picture.extend(vec![0xAB; 3 * MAX_PAYLOAD]);
        let packets = packetizer.packets(&frame(Codec::H264, 12_345, picture), plain(108));
        assert_eq!(packets.len(), 4);
        for (index, packet) in packets.iter().enumerate() {
            assert_eq!(packet.header.timestamp, 12_345);
            assert_eq!(packet.header.sequence_number, 65_535u16.wrapping_add(index as u16));
            assert_eq!(packet.header.marker, index == 3);
            assert_eq!((packet.header.payload_type, packet.header.ssrc), (108, 9));
            assert!(packet.payload.len() <= MAX_PAYLOAD);
        }
    }

    #[test]
    fn parameter_sets_travel_with_the_key_frame_they_belong_to() {
        let mut packetizer = Packetizer::new(Codec::H264, 9, 0);
        let data = [&[0, 0, 0, 1, 0x67, 1, 2][..], &[0, 0, 0, 1, 0x68, 3], &[0, 0, 0, 1, 0x65, 4]].concat();
        let packets = packetizer.packets(&frame(Codec::H264, 0, data), plain(102));
        let types: Vec<_> = packets.iter().map(|p| p.payload[0] & 31).collect();
        assert_eq!(types, [24, 5], "one aggregate of SPS and PPS, then the slice");
    }

    #[test]
    fn sound_is_marked_where_it_starts_again_after_a_pause() {
        let mut packetizer = Packetizer::new(Codec::Opus, 9, 0);
        let mut marked = |timestamp| {
            packetizer.packets(&frame(Codec::Opus, timestamp, vec![1; 40]), plain(111))[0].header.marker
        };
        assert_eq!([0, 960, 1920, 48_000, 48_960].map(&mut marked), [true, false, false, true, false]);
    }

    #[test]
    fn sound_is_repeated_in_packets_of_their_own_type_and_numbered_as_ever() {
        let mut packetizer = Packetizer::new(Codec::Opus, 9, 7);
        let format = Format { payload_type: 111, repeated: Some((63, 2)) };
        let headers = [0, 960, 1920].map(|timestamp| {
            let packets = packetizer.packets(&frame(Codec::Opus, timestamp, vec![1; 40]), format);
            let header = &packets[0].header;
            (header.payload_type, header.sequence_number, header.timestamp, packets[0].payload.len())
        });
        assert_eq!(headers, [(111, 7, 0, 40), (63, 8, 960, 85), (63, 9, 1920, 129)]);
    }

    #[test]
    fn a_frame_without_media_makes_no_packets() {
        for codec in [Codec::H264, Codec::Opus] {
            assert!(Packetizer::new(codec, 9, 0).packets(&frame(codec, 0, vec![]), plain(102)).is_empty());
        }
    }
}
