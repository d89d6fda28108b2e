//! When packets leave: they wait here for their turn, get their transport-wide number as they go, and what the other side
//! reports of them decides how fast the next ones follow.
//!
//! It is the last thing that a packet meets, so that repeated packets and repair data are paced, numbered and counted too.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_congestion::{Departure, Limits, NetworkEstimate, PacketKind, Sender};
use ahoy_media_types::MediaClock;
use rtc::interceptor::{Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc::rtp::extension::transport_cc_extension::TransportCcExtension;
use rtc::shared::marshal::Marshal;
use tokio::sync::watch;

use super::feedback::{FeedbackReader, HEADERS, extension_of};
use super::{LocalStreams, Outbox, Stage};
use crate::uplink::{CallUplink, Uplink};

/// What the owner of a peer and the way to the network tell each other.
#[derive(Debug)]
pub(crate) struct SendControl {
    estimate: watch::Sender<NetworkEstimate>,
    limits: watch::Sender<Limits>,
    path: watch::Sender<u64>,
    uplink: Uplink,
}

impl SendControl {
    pub(crate) fn new(limits: Limits, uplink: Uplink) -> Self {
        let estimate = Sender::<()>::new(limits).estimate(ahoy_media_types::MediaTime::ZERO);
        Self {
            estimate: watch::Sender::new(estimate),
            limits: watch::Sender::new(limits),
            path: watch::Sender::new(0),
            uplink,
        }
    }

    /// What is known of the path now. Whoever holds on to a borrowed value and borrows another one waits for themselves, if
    /// something new becomes known in between; so this is a copy.
    pub(crate) fn known(&self) -> NetworkEstimate {
        *self.estimate.borrow()
    }

    /// What is known of the path, as it changes.
    pub(crate) fn estimate(&self) -> watch::Receiver<NetworkEstimate> {
        self.estimate.subscribe()
    }

    /// Other limits from now on.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.send_if_modified(|now| std::mem::replace(now, limits) != limits);
    }

    /// Has something else be known of the path.
    #[cfg(test)]
    pub(crate) fn pretend(&self, change: impl FnOnce(&mut NetworkEstimate)) {
        self.estimate.send_modify(change);
    }

    /// Packets take another way.
    pub(crate) fn path_changed(&self) {
        self.path.send_modify(|number| *number += 1);
    }
}

/// A stream that is sent.
#[derive(Clone, Copy, Debug)]
struct Stream {
    kind: PacketKind,
    /// The source of what it repeats or repairs, or its own.
    media: u32,
    extension: u8,
    /// Whether there is a source for what is repeated.
    is_repeated: bool,
    /// The next number of repetitions. They are numbered as they leave, since some of them do twice.
    next: u16,
}

/// See the module's description.
pub(crate) struct CongestionStage {
    clock: MediaClock,
    local: Arc<LocalStreams>,
    sender: Sender<TaggedPacket>,
    reader: FeedbackReader,
    streams: HashMap<u32, Stream>,
    control: Arc<SendControl>,
    limits: watch::Receiver<Limits>,
    path: watch::Receiver<u64>,
    /// While there is something of which the other side reports.
    call: Option<CallUplink>,
}

impl CongestionStage {
    pub(crate) fn new(clock: MediaClock, local: Arc<LocalStreams>, control: Arc<SendControl>) -> Self {
        let limits = control.limits.subscribe();
        let sender = Sender::new(*limits.borrow());
        let path = control.path.subscribe();
        Self {
            clock,
            local,
            sender,
            reader: FeedbackReader::default(),
            streams: HashMap::new(),
            limits,
            path,
            control,
            call: None,
        }
    }

    fn follow_owner(&mut self, now: Instant) {
        let now = self.clock.at(now);
        if self.limits.has_changed().unwrap_or(false) {
            let limits = *self.limits.borrow_and_update();
            self.sender.set_limits(limits, now);
        }
        if self.path.has_changed().unwrap_or(false) {
            self.path.mark_unchanged();
            self.sender.path_changed(now);
        }
    }

    /// Leaves out what waits of a stream where that is needless with the picture that comes now.
    fn supersede(&mut self, media: u32, rtp_timestamp: u32, now: Instant) {
        let Some(stream) = self.local.get(media).filter(|stream| stream.begins_with(rtp_timestamp)) else {
            return;
        };
        let streams = &self.streams;
        self.sender.begin_afresh(|waiting| {
            matches!(&waiting.message.packet, Packet::Rtp(rtp) if stream.is_outdated(rtp.header.timestamp, Duration::ZERO, now)
                && streams.get(&rtp.header.ssrc).is_some_and(|of| of.media == media))
        });
    }

    /// Whether content with this RTP timestamp need not be repeated, since the other side goes on at a later picture. Until that
    /// is there the picture stands still, so what can come before it is repeated, unless all of the link is needed for it.
    fn is_needless(&self, media: u32, rtp_timestamp: u32, now: Instant) -> bool {
        let Some(stream) = self.local.get(media) else { return false };
        let trip = match self.sender.is_crowded() {
            true => Duration::ZERO,
            false => self.sender.round_trip(),
        };
        stream.is_outdated(rtp_timestamp, trip, now)
    }

    /// Lets go what may leave now.
    fn release(&mut self, now: Instant, own: &mut Outbox) {
        while let Some(Departure { mut packet, bytes, number, .. }) = self.sender.poll(self.clock.at(now)) {
            if let Some(call) = &self.call {
                call.sends(bytes, now);
            }
            if let Packet::Rtp(rtp) = &mut packet.message.packet
                && let Some(stream) = self.streams.get_mut(&rtp.header.ssrc)
            {
                if let Some(media) = self.local.get(stream.media) {
                    media.leaves(rtp.header.timestamp, now);
                }
                if stream.kind == PacketKind::Retransmission {
                    rtp.header.sequence_number = stream.next;
                    stream.next = stream.next.wrapping_add(1);
                }
                if let Ok(value) = (TransportCcExtension { transport_sequence: number as u16 }).marshal() {
                    // Without its number it is not reported on, and nothing else.
                    let _ = rtp.header.set_extension(stream.extension, value.freeze());
                }
            }
            packet.now = now;
            own.forward(packet);
        }
    }

    fn tell(&self, now: Instant) {
        self.control.estimate.send_replace(self.sender.estimate(self.clock.at(now)));
        if let Some(call) = &self.call {
            call.knows(self.sender.path_of_call(self.clock.at(now)), now);
        }
    }
}

/// Which packet of which stream it is, for what can be repeated.
fn content(media: u32, sequence: u16) -> u64 {
    u64::from(media) << 16 | u64::from(sequence)
}

/// Which packet a retransmission repeats: its payload begins with the original's number (RFC 4588 section 4).
fn repeated(rtp: &rtc::rtp::Packet) -> Option<u16> {
    rtp.payload.first_chunk::<2>().map(|number| u16::from_be_bytes(*number))
}

/// Asks whoever repeats packets for those with this content, as the other side would, but with the stream itself as the one that
/// asks.
fn ask_for(missed: &[u64]) -> Vec<Box<dyn rtc::rtcp::Packet>> {
    let mut streams = BTreeMap::<u32, Vec<u16>>::new();
    for content in missed {
        streams.entry((content >> 16) as u32).or_default().push(*content as u16);
    }
    let asks = streams.into_iter().map(|(ssrc, sequences)| {
        let nacks = nack_pairs_from_sequence_numbers(&sequences);
        Box::new(TransportLayerNack { sender_ssrc: ssrc, media_ssrc: ssrc, nacks }) as Box<_>
    });
    asks.collect()
}

impl Stage for CongestionStage {
    fn inbound(&mut self, mut packet: TaggedPacket, own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtcp(packets) = &mut packet.message.packet {
            let reports = packets.iter().filter_map(|rtcp| rtcp.as_any().downcast_ref::<TransportLayerCc>());
            let (mut heard, mut missed) = (false, Vec::new());
            for report in reports {
                let statuses = self.reader.read(report);
                missed.extend(self.sender.reported(&statuses, self.clock.at(packet.now)).missed);
                heard = true;
            }
            packets.extend(ask_for(&missed));
            if heard {
                self.follow_owner(packet.now);
                self.release(packet.now, own);
                self.tell(packet.now);
            }
        }
        Some(packet)
    }

    fn outbound(&mut self, packet: TaggedPacket, own: &mut Outbox) -> Option<TaggedPacket> {
        let Packet::Rtp(rtp) = &packet.message.packet else { return Some(packet) };
        // What the other side does not report on is not held up.
        let Some(&stream) = self.streams.get(&rtp.header.ssrc) else { return Some(packet) };
        let bytes = rtp.payload.len() + HEADERS;
        let (burst, now) = (rtp.header.timestamp, packet.now);
        match (stream.kind, repeated(rtp)) {
            (PacketKind::Retransmission, _) if self.is_needless(stream.media, burst, now) => {}
            (PacketKind::Retransmission, Some(sequence)) => {
                let content = content(stream.media, sequence);
                let copy = |packet: &TaggedPacket| TaggedPacket {
                    now: packet.now,
                    transport: packet.transport,
                    message: packet.message.clone(),
                };
                self.sender.push_repeated(packet, copy, bytes, content, self.clock.at(now));
            }
            (kind, _) => {
                let can_be_repeated = kind == PacketKind::Video && stream.is_repeated;
                let content = can_be_repeated.then(|| content(stream.media, rtp.header.sequence_number));
                self.supersede(stream.media, burst, now);
                self.sender.push(packet, kind, bytes, burst, content);
            }
        }
        self.follow_owner(now);
        self.release(now, own);
        None
    }

    fn timeout(&mut self, now: Instant, own: &mut Outbox) {
        self.follow_owner(now);
        self.release(now, own);
        self.tell(now);
    }

    fn wakeup(&self) -> Option<Instant> {
        self.sender.next_wakeup().map(|at| self.clock.instant(at))
    }

    fn bind_local(&mut self, stream: &StreamInfo) {
        let Some(extension) = extension_of(stream) else {
            // Nothing will be heard of the path, so nothing is learned of it.
            let most = self.limits.borrow().max;
            self.control.estimate.send_modify(|estimate| {
                (estimate.target, estimate.video) = (most, Some(most));
            });
            return;
        };
        self.call.get_or_insert_with(|| self.control.uplink.begin_call());
        let kind = match stream.mime_type.starts_with("audio/") {
            true => PacketKind::Audio,
            false => PacketKind::Video,
        };
        let sources = [
            (Some(stream.ssrc), kind),
            (stream.ssrc_rtx, PacketKind::Retransmission),
            (stream.ssrc_fec, PacketKind::Repair),
        ];
        for (ssrc, kind) in sources {
            if let Some(ssrc) = ssrc {
                // In the lower half, as RFC 3711 section 3.3.1 has it; never anew, as no number may be used twice.
                let next = rand::random::<u16>() >> 1;
                let (media, is_repeated) = (stream.ssrc, stream.ssrc_rtx.is_some());
                self.streams.entry(ssrc).or_insert(Stream { kind, media, extension, is_repeated, next });
            }
        }
    }

    fn unbind_local(&mut self, stream: &StreamInfo) {
        for ssrc in [Some(stream.ssrc), stream.ssrc_rtx, stream.ssrc_fec].into_iter().flatten() {
            self.streams.remove(&ssrc);
        }
        if self.streams.is_empty() {
            self.call = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use rtc::interceptor::{AttributedPacket, RTPHeaderExtension};
    use rtc::shared::TransportContext;

    use super::super::TRANSPORT_CC_URI;
    use super::super::feedback::to_rtcp;
    use super::*;

    const LIMITS: Limits = Limits { min: 60_000.0, start: 1_000_000.0, max: 5_000_000.0 };
    const MEDIA: u32 = 7;
    const REPEATS: u32 = 8;

    /// A packet that repeats the one with this number, of the picture with this timestamp.
    fn repetition(number: u16, timestamp: u32, now: Instant) -> TaggedPacket {
        let header = rtc::rtp::Header { ssrc: REPEATS, timestamp, ..Default::default() };
        let payload = [&number.to_be_bytes()[..], &[0; 98]].concat().into();
        let rtp = rtc::rtp::Packet { header, payload };
        let message = AttributedPacket::new(Packet::Rtp(rtp));
        TaggedPacket { now, transport: TransportContext::default(), message }
    }

    #[test]
    fn what_is_known_can_be_looked_at_several_times_at_once_while_it_changes() {
        let control = Arc::new(SendControl::new(LIMITS, Uplink::default()));
        let changing = Arc::clone(&control);
        let changes = std::thread::spawn(move || {
            (1..20_000)
                .for_each(|more| changing.pretend(|known| known.target = LIMITS.start + f64::from(more)));
        });
        while !changes.is_finished() {
            let both = (control.known().target, control.known().target);
            assert!(both.0 <= both.1);
        }
        changes.join().unwrap();
    }

    fn picture(number: u16, timestamp: u32, now: Instant) -> TaggedPacket {
        let mut packet = repetition(number, timestamp, now);
        if let Packet::Rtp(rtp) = &mut packet.message.packet {
            (rtp.header.ssrc, rtp.header.sequence_number) = (MEDIA, number);
            rtp.payload = vec![0; 1_000].into();
        }
        packet
    }

    fn stage(local: &Arc<LocalStreams>) -> CongestionStage {
        let control = Arc::new(SendControl::new(LIMITS, Uplink::default()));
        let mut stage = CongestionStage::new(MediaClock::start(), Arc::clone(local), control);
        stage.bind_local(&StreamInfo {
            ssrc: MEDIA,
            ssrc_rtx: Some(REPEATS),
            mime_type: "video/H264".to_owned(),
            rtp_header_extensions: vec![RTPHeaderExtension { uri: TRANSPORT_CC_URI.to_owned(), id: 3 }],
            ..Default::default()
        });
        stage
    }

    #[test]
    fn pictures_that_wait_for_long_are_left_out_for_one_that_needs_none_of_them() {
        let local = Arc::new(LocalStreams::default());
        let (stream, _events) = local.add(MEDIA);
        let mut stage = stage(&local);
        let start = Instant::now();
        let mut own = Outbox::default();
        for (packets, first, at) in [(20, 3_000, start), (200, 9_000, start + Duration::from_secs(1))] {
            let mut push = |packets: u16, timestamp: u32| {
                (0..packets)
                    .for_each(|number| drop(stage.outbound(picture(number, timestamp, at), &mut own)));
            };
            push(packets, first);
            stream.began_afresh(first + 3_000, at);
            push(2, first + 3_000);
            (0..200).for_each(|ms| stage.timeout(at + Duration::from_millis(ms), &mut own));
        }
        let mut left = [0; 4];
        for packet in own.into_network() {
            let Packet::Rtp(rtp) = packet.message.packet else { continue };
            left[rtp.header.timestamp as usize / 3_000 - 1] += 1;
        }
        assert_eq!((left[0], left[1], left[3]), (20, 2, 2), "what leaves soon is not worth a hole");
        assert!(left[2] < 10, "{left:?}");
    }

    #[test]
    fn what_comes_before_a_key_frame_is_repeated_until_that_is_there_unless_the_link_is_full() {
        let local = Arc::new(LocalStreams::default());
        let (stream, _events) = local.add(MEDIA);
        let mut stage = stage(&local);
        let start = Instant::now();
        let mut leaves = |number: u16, timestamp: u32, ms: u64| {
            let now = start + Duration::from_millis(ms);
            let mut own = Outbox::default();
            assert!(stage.outbound(repetition(number, timestamp, now), &mut own).is_none());
            own.into_network().len()
        };
        assert_eq!(leaves(1, u32::MAX - 3_000, 100), 1, "there was no key frame yet");
        stream.began_afresh(2_999, start + Duration::from_millis(200));
        assert_eq!(leaves(2, u32::MAX - 3_000, 299), 1, "100 ms of round trip are assumed at first");
        assert_eq!(leaves(3, u32::MAX - 3_000, 301), 0);
        assert_eq!(leaves(4, 2_999, 401), 1, "the key frame itself");
        assert_eq!(leaves(5, 6_000, 501), 1);

        stream.began_afresh(9_000, start + Duration::from_millis(600));
        let now = start + Duration::from_millis(601);
        let mut own = Outbox::default();
        (0..200).for_each(|number| drop(stage.outbound(picture(number, 9_000, now), &mut own)));
        assert!(stage.outbound(repetition(6, 6_000, now), &mut own).is_none());
        (602..3_000).for_each(|ms| stage.timeout(start + Duration::from_millis(ms), &mut own));
        let repeated = own
            .into_network()
            .into_iter()
            .filter(|left| matches!(&left.message.packet, Packet::Rtp(rtp) if rtp.header.ssrc == REPEATS));
        assert_eq!(repeated.count(), 0, "all of the link is for the key frame");
    }

    #[test]
    fn what_a_report_has_as_missing_is_asked_for_although_no_request_has_come() {
        let local = Arc::new(LocalStreams::default());
        let mut stage = stage(&local);
        let start = Instant::now();
        let mut statuses = Vec::new();
        for number in 0..10_u16 {
            let now = start + Duration::from_millis(10 * u64::from(number));
            let mut own = Outbox::default();
            drop(stage.outbound(picture(700 + number, u32::from(number) * 900, now), &mut own));
            assert_eq!(own.into_network().len(), 1);
            let arrived = Duration::from_millis(50 + 10 * u64::from(number));
            let arrived = (number != 4).then_some(arrived);
            statuses.push(ahoy_congestion::PacketStatus { sequence: number, arrived });
        }
        let mut asked_for = |count| {
            let report = to_rtcp(&statuses, [1, MEDIA], count).unwrap();
            let message = AttributedPacket::new(Packet::Rtcp(vec![Box::new(report)]));
            let now = start + Duration::from_millis(150);
            let packet = TaggedPacket { now, transport: TransportContext::default(), message };
            let passed = stage.inbound(packet, &mut Outbox::default()).unwrap();
            let Packet::Rtcp(packets) = passed.message.packet else { unreachable!() };
            let nacks = packets.iter().filter_map(|rtcp| rtcp.as_any().downcast_ref::<TransportLayerNack>());
            nacks.cloned().collect::<Vec<_>>()
        };
        let nacks = nack_pairs_from_sequence_numbers(&[704]);
        let expected = TransportLayerNack { sender_ssrc: MEDIA, media_ssrc: MEDIA, nacks };
        assert_eq!(asked_for(0), [expected]);
        assert_eq!(asked_for(1), [], "once");
    }
}
