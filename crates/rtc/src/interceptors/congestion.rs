//! When packets leave: they wait here for their turn, get their transport-wide number as they go, and what the other side
//! reports of them decides how fast the next ones follow.
//!
//! It is the last thing that a packet meets, so that repeated packets and repair data are paced, numbered and counted too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use ahoy_congestion::{Departure, Limits, NetworkEstimate, PacketKind, Sender};
use ahoy_media_types::MediaClock;
use rtc::interceptor::{Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtp::extension::transport_cc_extension::TransportCcExtension;
use rtc::shared::marshal::Marshal;
use tokio::sync::watch;

use super::feedback::{FeedbackReader, HEADERS, extension_of};
use super::{LocalStreams, Outbox, Stage};

/// What the owner of a peer and the way to the network tell each other.
#[derive(Debug)]
pub(crate) struct SendControl {
    estimate: watch::Sender<NetworkEstimate>,
    limits: watch::Sender<Limits>,
    path: watch::Sender<u64>,
}

impl SendControl {
    pub(crate) fn new(limits: Limits) -> Self {
        let estimate = Sender::<()>::new(limits).estimate(ahoy_media_types::MediaTime::ZERO);
        Self {
            estimate: watch::Sender::new(estimate),
            limits: watch::Sender::new(limits),
            path: watch::Sender::new(0),
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
    fn supersede(&mut self, media: u32, rtp_timestamp: u32) {
        let Some(stream) = self.local.get(media).filter(|stream| stream.begins_with(rtp_timestamp)) else {
            return;
        };
        let streams = &self.streams;
        self.sender.begin_afresh(|waiting| {
            matches!(&waiting.message.packet, Packet::Rtp(rtp) if stream.is_outdated(rtp.header.timestamp)
                && streams.get(&rtp.header.ssrc).is_some_and(|of| of.media == media))
        });
    }

    /// Lets go what may leave now.
    fn release(&mut self, now: Instant, own: &mut Outbox) {
        while let Some(Departure { mut packet, number, .. }) = self.sender.poll(self.clock.at(now)) {
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
    }
}

/// Which packet a retransmission repeats: its payload begins with the original's number (RFC 4588 section 4).
fn repeated(rtp: &rtc::rtp::Packet) -> Option<u64> {
    let number = rtp.payload.first_chunk::<2>()?;
    Some(u64::from(rtp.header.ssrc) << 16 | u64::from(u16::from_be_bytes(*number)))
}

impl Stage for CongestionStage {
    fn inbound(&mut self, packet: TaggedPacket, own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            let reports = packets.iter().filter_map(|rtcp| rtcp.as_any().downcast_ref::<TransportLayerCc>());
            let mut heard = false;
            for report in reports {
                let statuses = self.reader.read(report);
                self.sender.reported(&statuses, self.clock.at(packet.now));
                heard = true;
            }
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
        let Some(stream) = self.streams.get(&rtp.header.ssrc) else { return Some(packet) };
        let bytes = rtp.payload.len() + HEADERS;
        let (burst, now) = (rtp.header.timestamp, packet.now);
        match (stream.kind, repeated(rtp)) {
            // The other side goes on at the key frame that is there by then, and all of the link is needed for that.
            (PacketKind::Retransmission, _)
                if self.local.get(stream.media).is_some_and(|media| media.is_outdated(burst)) => {}
            (PacketKind::Retransmission, Some(which)) => {
                let copy = |packet: &TaggedPacket| TaggedPacket {
                    now: packet.now,
                    transport: packet.transport,
                    message: packet.message.clone(),
                };
                self.sender.push_repeated(packet, copy, bytes, which, self.clock.at(now));
            }
            (kind, _) => {
                self.supersede(stream.media, burst);
                self.sender.push(packet, kind, bytes, burst);
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
                self.streams.entry(ssrc).or_insert(Stream { kind, media: stream.ssrc, extension, next });
            }
        }
    }

    fn unbind_local(&mut self, stream: &StreamInfo) {
        for ssrc in [Some(stream.ssrc), stream.ssrc_rtx, stream.ssrc_fec].into_iter().flatten() {
            self.streams.remove(&ssrc);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rtc::interceptor::{AttributedPacket, RTPHeaderExtension};
    use rtc::shared::TransportContext;

    use super::super::TRANSPORT_CC_URI;
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
        let control = Arc::new(SendControl::new(LIMITS));
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
            rtp.header.ssrc = MEDIA;
            rtp.payload = vec![0; 1_000].into();
        }
        packet
    }

    fn stage(local: &Arc<LocalStreams>) -> CongestionStage {
        let control = Arc::new(SendControl::new(LIMITS));
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
    fn nothing_is_repeated_that_a_key_frame_has_made_needless() {
        let local = Arc::new(LocalStreams::default());
        let (stream, _events) = local.add(MEDIA);
        let mut stage = stage(&local);
        let mut now = Instant::now();
        let mut leaves = |number: u16, timestamp: u32| {
            now += Duration::from_millis(100);
            let mut own = Outbox::default();
            assert!(stage.outbound(repetition(number, timestamp, now), &mut own).is_none());
            own.into_network().len()
        };
        assert_eq!(leaves(1, u32::MAX - 3_000), 1, "there was no key frame yet");
        stream.began_afresh(2_999, Instant::now());
        assert_eq!(leaves(2, u32::MAX - 3_000), 0);
        assert_eq!(leaves(3, 2_999), 1, "the key frame itself");
        assert_eq!(leaves(4, 6_000), 1);
    }
}
