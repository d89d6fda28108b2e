//! Retransmissions turned back into the packets that they repeat (RFC 4588 section 4).
//!
//! The library does this too, but only behind the interceptors: its loss detection never saw a repaired packet and
//! asked for it again and again.

use std::collections::HashMap;

use rtc::interceptor::{Attribute, Packet, StreamInfo, TaggedPacket};

use super::{Outbox, Stage};

/// Length of the original sequence number in front of a retransmitted payload.
const ORIGINAL_SEQUENCE_LENGTH: usize = 2;

/// Unwraps retransmissions of the streams that are bound to it and marks them as such.
#[derive(Default)]
pub(crate) struct RtxStage {
    /// By the source of the retransmissions: the source and payload type of the stream that they repair.
    repairs: HashMap<u32, (u32, u8)>,
}

impl Stage for RtxStage {
    fn inbound(&mut self, mut packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtp(rtp) = &mut packet.message.packet
            && let Some(&(ssrc, payload_type)) = self.repairs.get(&rtp.header.ssrc)
            // Padding sent to probe for bandwidth comes on the same source and repeats nothing.
            && rtp.payload.len() > ORIGINAL_SEQUENCE_LENGTH
        {
            rtp.header.sequence_number = u16::from_be_bytes([rtp.payload[0], rtp.payload[1]]);
            rtp.header.ssrc = ssrc;
            rtp.header.payload_type = payload_type;
            rtp.header.padding = false;
            rtp.payload = rtp.payload.slice(ORIGINAL_SEQUENCE_LENGTH..);
            packet.message.add(Attribute::Retransmission);
        }
        Some(packet)
    }

    fn bind_remote(&mut self, stream: &StreamInfo) {
        if let Some(rtx) = stream.ssrc_rtx {
            self.repairs.insert(rtx, (stream.ssrc, stream.payload_type));
        }
    }

    fn unbind_remote(&mut self, stream: &StreamInfo) {
        if let Some(rtx) = stream.ssrc_rtx {
            self.repairs.remove(&rtx);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rtc::interceptor::AttributedPacket;
    use rtc::shared::TransportContext;

    use super::*;

    fn packet(ssrc: u32, sequence_number: u16, payload: &'static [u8]) -> TaggedPacket {
        let header =
            rtc::rtp::Header { version: 2, ssrc, sequence_number, payload_type: 103, ..Default::default() };
        TaggedPacket {
            now: Instant::now(),
            transport: TransportContext::default(),
            message: AttributedPacket::new(Packet::Rtp(rtc::rtp::Packet { header, payload: payload.into() })),
        }
    }

    fn stage() -> RtxStage {
        let mut stage = RtxStage::default();
        stage.bind_remote(&StreamInfo {
            ssrc: 1,
            ssrc_rtx: Some(2),
            payload_type: 102,
            payload_type_rtx: Some(103),
            ..Default::default()
        });
        stage
    }

    #[test]
    fn a_retransmission_becomes_the_packet_that_it_repeats() {
        let out = stage().inbound(packet(2, 77, &[0x12, 0x34, 0xAA, 0xBB]), &mut Outbox::default()).unwrap();
        assert!(out.message.has(&Attribute::Retransmission));
        let Packet::Rtp(rtp) = out.message.packet else { panic!("RTP went in") };
        assert_eq!((rtp.header.ssrc, rtp.header.payload_type, rtp.header.sequence_number), (1, 102, 0x1234));
        assert_eq!(&rtp.payload[..], [0xAA, 0xBB]);
    }

    #[test]
    fn other_packets_and_probing_padding_are_left_alone() {
        for untouched in
            [packet(1, 5, &[1, 2, 3]), packet(2, 6, &[]), packet(2, 6, &[0, 1]), packet(9, 7, &[1, 2, 3])]
        {
            let before = untouched.message.packet.clone();
            let after = stage().inbound(untouched, &mut Outbox::default()).unwrap();
            assert_eq!(after.message.packet, before);
            assert!(!after.message.has(&Attribute::Retransmission));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_payload_on_any_source_is_survived(
            ssrc in 0u32..4, sequence: u16, payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
        ) {
            let length = payload.len();
            let mut tagged = packet(ssrc, sequence, &[]);
            let Packet::Rtp(rtp) = &mut tagged.message.packet else { panic!("RTP went in") };
            rtp.payload = payload.into();
            let out = stage().inbound(tagged, &mut Outbox::default()).unwrap();
            let Packet::Rtp(rtp) = out.message.packet else { panic!("RTP comes out") };
            proptest::prop_assert!(rtp.payload.len() <= length);
        }
    }
}
