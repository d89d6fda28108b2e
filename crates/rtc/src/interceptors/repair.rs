//! FlexFEC (draft-ietf-payload-flexible-fec-scheme-03): repair data sent with new pictures where what is asked for again would
//! come too late, and lost packets made from it.
//!
//! Coding and decoding are the library's. Its own stages send the same amount at all times, take the transport-wide number of a
//! packet, which it has only as it leaves, for part of what is protected, and hide repair packets from the reports on what has
//! arrived. As in libwebrtc the number counts as zero here, on both sides.

use std::collections::HashMap;
use std::sync::Arc;

use ahoy_congestion::{NetworkEstimate, repair_packets};
use bytes::Bytes;
use rtc::interceptor::{
    Attribute, AttributedPacket, FlexFec03Decoder, FlexFec03Encoder, Packet, StreamInfo, TaggedPacket,
};
use tokio::sync::watch;

use super::congestion::SendControl;
use super::feedback::extension_of;
use super::{Outbox, Stage};

/// What the format is known by in session descriptions.
pub(crate) const MIME_TYPE: &str = "video/flexfec-03";
/// Blocks of fewer packets are not worth a repair packet: the next frame is waited for.
const LEAST_PACKETS: usize = 4;
/// At most so many frames are waited for: what is lost of the first is made up for within a tenth of a second.
const MOST_FRAMES: usize = 3;
/// Blocks of more packets than the masks of the format have room for get none; this leaves some of it.
const MOST_PACKETS: usize = 48;

/// A packet as it is protected: what changes on its way is zero.
fn as_protected(packet: &rtc::rtp::Packet, extension: Option<u8>) -> rtc::rtp::Packet {
    let mut packet = packet.clone();
    if let Some(extension) = extension {
        // Only refused for numbers that are none, and those were not agreed on.
        let _ = packet.header.set_extension(extension, Bytes::from_static(&[0, 0]));
    }
    packet
}

/// A stream that is sent with repair data.
struct Protected {
    encoder: FlexFec03Encoder,
    extension: Option<u8>,
    /// Since the last repair packets.
    block: Vec<rtc::rtp::Packet>,
    frames: usize,
}

/// Makes repair packets for what is sent.
pub(crate) struct ProtectStage {
    network: watch::Receiver<NetworkEstimate>,
    streams: HashMap<u32, Protected>,
}

impl ProtectStage {
    pub(crate) fn new(control: &Arc<SendControl>) -> Self {
        Self { network: control.estimate(), streams: HashMap::new() }
    }
}

impl Protected {
    /// Takes in a packet that is sent; gives the repair packets of a block that is complete with it.
    fn sent(&mut self, packet: &rtc::rtp::Packet, network: &NetworkEstimate) -> Vec<rtc::rtp::Packet> {
        if repair_packets(network, MOST_PACKETS) == 0 {
            // Most paths need none, so nothing is kept for it.
            self.block.clear();
            self.frames = 0;
            return Vec::new();
        }
        self.block.push(as_protected(packet, self.extension));
        let ends = packet.header.marker;
        self.frames += usize::from(ends);
        let is_complete = ends && (self.block.len() >= LEAST_PACKETS || self.frames >= MOST_FRAMES);
        if !is_complete && self.block.len() < MOST_PACKETS {
            return Vec::new();
        }
        let block = std::mem::take(&mut self.block);
        self.frames = 0;
        self.encoder.encode(&block, repair_packets(network, block.len()) as u32)
    }
}

impl Stage for ProtectStage {
    fn outbound(&mut self, packet: TaggedPacket, own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtp(rtp) = &packet.message.packet
            && let Some(stream) = self.streams.get_mut(&rtp.header.ssrc)
        {
            let network = *self.network.borrow();
            for repair in stream.sent(rtp, &network) {
                own.forward(TaggedPacket {
                    now: packet.now,
                    transport: packet.transport,
                    message: AttributedPacket::new(Packet::Rtp(repair)),
                });
            }
        }
        Some(packet)
    }

    fn bind_local(&mut self, stream: &StreamInfo) {
        if let (Some(ssrc), Some(payload_type)) = (stream.ssrc_fec, stream.payload_type_fec) {
            let encoder = FlexFec03Encoder::new(payload_type, ssrc).with_base_sequence_number(rand::random());
            let extension = extension_of(stream);
            let protected = Protected { encoder, extension, block: Vec::new(), frames: 0 };
            self.streams.insert(stream.ssrc, protected);
        }
    }

    fn unbind_local(&mut self, stream: &StreamInfo) {
        self.streams.remove(&stream.ssrc);
    }
}

/// Makes lost packets from what has arrived. Repair packets go on, so that their arrival is reported.
#[derive(Default)]
pub(crate) struct RecoverStage {
    /// By the source of the pictures.
    decoders: HashMap<u32, FlexFec03Decoder>,
    /// By the source of the repair data: that of the pictures.
    repairs: HashMap<u32, u32>,
    extension: Option<u8>,
}

impl Stage for RecoverStage {
    fn inbound(&mut self, packet: TaggedPacket, own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtp(rtp) = &packet.message.packet {
            let repairs = self.repairs.get(&rtp.header.ssrc).copied();
            if let Some(decoder) = self.decoders.get_mut(&repairs.unwrap_or(rtp.header.ssrc)) {
                let taken = match repairs {
                    Some(_) => rtp.clone(),
                    None => as_protected(rtp, self.extension),
                };
                for recovered in decoder.decode(taken) {
                    let mut message = AttributedPacket::new(Packet::Rtp(recovered));
                    message.add(Attribute::RecoveredByFec);
                    own.deliver(TaggedPacket { now: packet.now, transport: packet.transport, message });
                }
            }
        }
        Some(packet)
    }

    fn bind_remote(&mut self, stream: &StreamInfo) {
        self.extension = extension_of(stream).or(self.extension);
        if let (Some(repair), Some(_)) = (stream.ssrc_fec, stream.payload_type_fec) {
            self.decoders.insert(stream.ssrc, FlexFec03Decoder::new(repair, stream.ssrc));
            self.repairs.insert(repair, stream.ssrc);
        }
    }

    fn unbind_remote(&mut self, stream: &StreamInfo) {
        self.decoders.remove(&stream.ssrc);
        self.repairs.retain(|_, source| *source != stream.ssrc);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ahoy_congestion::Limits;
    use rtc::interceptor::RTPHeaderExtension;
    use rtc::rtp::extension::transport_cc_extension::TransportCcExtension;
    use rtc::shared::TransportContext;
    use rtc::shared::marshal::Marshal;

    use super::super::TRANSPORT_CC_URI;
    use super::*;

    const MEDIA: u32 = 1;
    const REPAIR: u32 = 3;
    const EXTENSION: u8 = 4;

    fn stream() -> StreamInfo {
        StreamInfo {
            ssrc: MEDIA,
            ssrc_fec: Some(REPAIR),
            payload_type: 102,
            payload_type_fec: Some(104),
            rtp_header_extensions: vec![RTPHeaderExtension {
                uri: TRANSPORT_CC_URI.to_owned(),
                id: u16::from(EXTENSION),
            }],
            ..Default::default()
        }
    }

    fn tagged(rtp: rtc::rtp::Packet) -> TaggedPacket {
        TaggedPacket {
            now: Instant::now(),
            transport: TransportContext::default(),
            message: AttributedPacket::new(Packet::Rtp(rtp)),
        }
    }

    fn packet(number: u16, marker: bool) -> rtc::rtp::Packet {
        let header = rtc::rtp::Header {
            version: 2,
            ssrc: MEDIA,
            sequence_number: number,
            timestamp: u32::from(number / 6) * 3_000,
            payload_type: 102,
            marker,
            ..Default::default()
        };
        rtc::rtp::Packet { header, payload: vec![number as u8; 100 + usize::from(number)].into() }
    }

    fn rtp(packet: &TaggedPacket) -> &rtc::rtp::Packet {
        match &packet.message.packet {
            Packet::Rtp(rtp) => rtp,
            _ => panic!("only RTP goes through here"),
        }
    }

    /// All that leaves for frames of six packets each, with their numbers, on a path with a long round trip that loses a
    /// twentieth.
    fn sent(frames: u16) -> Vec<TaggedPacket> {
        let limits = Limits { min: 1e5, start: 1e6, max: 1e7 };
        let control = Arc::new(SendControl::new(limits, crate::Uplink::default()));
        let mut stage = ProtectStage::new(&control);
        control.pretend(|estimate| (estimate.rtt_ms, estimate.loss) = (300.0, 0.05));
        stage.bind_local(&stream());
        let mut left = Vec::new();
        for number in 0..frames * 6 {
            let mut own = Outbox::default();
            left.extend(stage.outbound(tagged(packet(number, number % 6 == 5)), &mut own));
            left.extend(own.into_network());
        }
        for (number, packet) in left.iter_mut().enumerate() {
            let Packet::Rtp(rtp) = &mut packet.message.packet else { continue };
            let value = TransportCcExtension { transport_sequence: 500 + number as u16 }.marshal().unwrap();
            rtp.header.set_extension(EXTENSION, value.freeze()).unwrap();
        }
        left
    }

    fn receiver() -> RecoverStage {
        let mut stage = RecoverStage::default();
        stage.bind_remote(&stream());
        stage
    }

    #[test]
    fn what_is_lost_is_made_from_what_arrives_whatever_the_numbers_on_the_way() {
        let left = sent(3);
        assert!(left.iter().any(|packet| rtp(packet).header.ssrc == REPAIR));
        let mut stage = receiver();
        let mut arrived = Vec::new();
        for packet in left {
            // One of each frame.
            if rtp(&packet).header.ssrc == MEDIA && rtp(&packet).header.sequence_number % 6 == 2 {
                continue;
            }
            let mut own = Outbox::default();
            stage.inbound(packet, &mut own);
            arrived.extend(own.into_application());
        }
        assert!(arrived.iter().all(|packet| packet.message.has(&Attribute::RecoveredByFec)));
        let recovered: Vec<_> = arrived.iter().map(|packet| rtp(packet).clone()).collect();
        let expected = [2, 8, 14].map(|number| as_protected(&packet(number, false), Some(EXTENSION)));
        assert_eq!(recovered.len(), 3);
        for (recovered, expected) in recovered.iter().zip(&expected) {
            assert_eq!(recovered.payload, expected.payload);
            assert_eq!(recovered.header.timestamp, expected.header.timestamp);
            assert_eq!(recovered.header.sequence_number, expected.header.sequence_number);
        }
    }

    #[test]
    fn small_frames_are_protected_together() {
        let control =
            Arc::new(SendControl::new(Limits { min: 1e5, start: 1e6, max: 1e7 }, crate::Uplink::default()));
        let mut stage = ProtectStage::new(&control);
        control.pretend(|estimate| (estimate.rtt_ms, estimate.loss) = (300.0, 0.02));
        stage.bind_local(&stream());
        let mut repairs = Vec::new();
        for number in 0..6 {
            let mut own = Outbox::default();
            stage.outbound(tagged(packet(number, true)), &mut own);
            repairs.push(own.into_network().len());
        }
        assert_eq!(repairs, [0, 0, 1, 0, 0, 1]);
    }

    #[test]
    fn a_stream_without_repair_data_passes_untouched() {
        let plain = StreamInfo { ssrc_fec: None, ..stream() };
        let mut stage = RecoverStage::default();
        stage.bind_remote(&plain);
        let mut own = Outbox::default();
        let out = stage.inbound(tagged(packet(7, true)), &mut own).unwrap();
        assert_eq!(rtp(&out), &packet(7, true));
        assert!(own.into_application().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_repair_data_is_survived_and_makes_no_more_than_it_can(
            payloads in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), 1..20),
        ) {
            let mut stage = receiver();
            for (number, payload) in payloads.into_iter().enumerate() {
                let mut repair = packet(number as u16, false);
                (repair.header.ssrc, repair.payload) = (REPAIR, payload.into());
                let mut own = Outbox::default();
                stage.inbound(tagged(repair), &mut own);
                stage.inbound(tagged(packet(number as u16 * 2, true)), &mut own);
                proptest::prop_assert!(own.into_application().len() <= 20);
            }
        }
    }
}
