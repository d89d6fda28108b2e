//! Where media leaves the library: packets go to their track with the time at which they were taken from the socket.
//!
//! The library's own way out is a queue of 256 packets that carries no times and logs each packet it drops, with
//! payload. Sender reports and key-frame requests would not come out at all.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ahoy_media_types::{MediaClock, PayloadType, RtpPacket, SenderReport, SequenceNumber, Ssrc};
use rtc::interceptor::{Attribute, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::sender_report::SenderReport as RtcpSenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use tokio::sync::mpsc;

use super::congestion::SendControl;
use super::{Outbox, Stage};
use crate::tracks::LocalTrackEvent;

/// Packets that wait for the receiver of a track: a second of video at 8 Mb/s. When it is full, the packet that comes
/// is dropped and counted; the jitter buffer behind it treats that as loss.
pub(crate) const REMOTE_QUEUE: usize = 1024;
/// Events that wait for the owner of a local track. When it is full, the event is dropped: a key-frame request is
/// waiting already, and one answers them all.
const LOCAL_EVENTS: usize = 8;

/// Nobody waits longer for a key frame that has left before they are believed that they need another, in milliseconds.
const LONGEST_TRIP_MS: f64 = 2_000.0;

/// What comes out of a remote stream.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    Packet(RtpPacket),
    SenderReport(SenderReport),
}

/// A remote stream whose first packet has come.
pub(crate) struct RemoteStream {
    pub(crate) ssrc: Ssrc,
    pub(crate) mime_type: String,
    pub(crate) events: mpsc::Receiver<StreamEvent>,
    pub(crate) counters: Arc<RemoteCounters>,
}

/// What has come in on a remote stream.
#[derive(Debug, Default)]
pub(crate) struct RemoteCounters {
    pub(crate) packets: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) retransmitted: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) overflowed: AtomicU64,
}

/// The local streams of a peer, by source.
#[derive(Debug, Default)]
pub(crate) struct LocalStreams(Mutex<HashMap<u32, Arc<LocalStream>>>);

impl LocalStreams {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Arc<LocalStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a stream known, and with it the way for its events.
    pub(crate) fn add(&self, ssrc: u32) -> (Arc<LocalStream>, mpsc::Receiver<LocalTrackEvent>) {
        let (events, receiver) = mpsc::channel(LOCAL_EVENTS);
        let stream = Arc::new(LocalStream { state: Mutex::default(), events: Mutex::new(Some(events)) });
        self.lock().insert(ssrc, Arc::clone(&stream));
        (stream, receiver)
    }

    pub(crate) fn get(&self, ssrc: u32) -> Option<Arc<LocalStream>> {
        self.lock().get(&ssrc).cloned()
    }

    /// Forgets all streams and ends their events.
    pub(crate) fn clear(&self) {
        for (_, stream) in self.lock().drain() {
            stream.events().take();
        }
    }
}

/// What the way to the network knows of a local stream.
#[derive(Debug)]
pub(crate) struct LocalStream {
    state: Mutex<LocalState>,
    /// `None` once the connection is closed.
    events: Mutex<Option<mpsc::Sender<LocalTrackEvent>>>,
}

#[derive(Debug, Default)]
struct LocalState {
    capture: Option<(u32, Instant)>,
    /// The newest content that needs none before it.
    fresh_start: Option<FreshStart>,
    fraction_lost: f64,
    round_trip: Option<Duration>,
    keyframe_requests: u64,
    nacks: u64,
}

/// Content that needs none before it.
#[derive(Clone, Copy, Debug)]
struct FreshStart {
    rtp_timestamp: u32,
    /// When it became known, and when the last of it left that has left.
    since: Instant,
}

impl LocalStream {
    fn lock(&self) -> MutexGuard<'_, LocalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes when the content with an RTP timestamp was captured.
    pub(crate) fn captured(&self, rtp_timestamp: u32, at: Instant) {
        self.lock().capture = Some((rtp_timestamp, at));
    }

    /// Notes that content with this RTP timestamp and what follows can be shown without anything before it.
    pub(crate) fn began_afresh(&self, rtp_timestamp: u32, now: Instant) {
        self.lock().fresh_start = Some(FreshStart { rtp_timestamp, since: now });
    }

    /// Notes that a packet of this content leaves.
    pub(crate) fn leaves(&self, rtp_timestamp: u32, now: Instant) {
        if let Some(start) = &mut self.lock().fresh_start
            && start.rtp_timestamp == rtp_timestamp
        {
            start.since = now;
        }
    }

    /// Takes note that a key frame is asked for. Whoever asks within a round trip after one has left can't have it yet; they ask
    /// again if that does not help.
    fn request_keyframe(&self, round_trip: Duration, now: Instant) {
        let mut state = self.lock();
        state.keyframe_requests += 1;
        let under_way =
            state.fresh_start.is_some_and(|start| now.saturating_duration_since(start.since) < round_trip);
        drop(state);
        if !under_way {
            self.notify(LocalTrackEvent::KeyframeRequested);
        }
    }

    /// Whether this is the RTP timestamp of the newest content that needs none before it.
    pub(crate) fn begins_with(&self, rtp_timestamp: u32) -> bool {
        self.lock().fresh_start.is_some_and(|start| start.rtp_timestamp == rtp_timestamp)
    }

    /// Whether content with this RTP timestamp is from before what needs none before it, of which the last has left for so long.
    pub(crate) fn is_outdated(&self, rtp_timestamp: u32, for_long: Duration, now: Instant) -> bool {
        self.lock().fresh_start.is_some_and(|start| {
            rtp_timestamp.wrapping_sub(start.rtp_timestamp).cast_signed() < 0
                && now.saturating_duration_since(start.since) >= for_long
        })
    }

    pub(crate) fn capture(&self) -> Option<(u32, Instant)> {
        self.lock().capture
    }

    /// Notes what the other side reported.
    pub(crate) fn reported(&self, fraction_lost: f64, round_trip: Option<Duration>) {
        let mut state = self.lock();
        state.fraction_lost = fraction_lost;
        state.round_trip = round_trip.or(state.round_trip);
    }

    /// Share of packets lost and round trip, as last reported.
    pub(crate) fn last_report(&self) -> (f64, Option<Duration>) {
        let state = self.lock();
        (state.fraction_lost, state.round_trip)
    }

    /// Key-frame requests and packets asked for again so far.
    pub(crate) fn requests(&self) -> (u64, u64) {
        let state = self.lock();
        (state.keyframe_requests, state.nacks)
    }

    fn events(&self) -> MutexGuard<'_, Option<mpsc::Sender<LocalTrackEvent>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn notify(&self, event: LocalTrackEvent) {
        if let Some(events) = &*self.events() {
            let _ = events.try_send(event);
        }
    }
}

/// Hands inbound media to the tracks and consumes it.
pub(crate) struct TapStage {
    clock: MediaClock,
    local: Arc<LocalStreams>,
    remote: Arc<RemoteStreams>,
    control: Arc<SendControl>,
    repair_sources: HashSet<u32>,
    announce: Box<dyn Fn(RemoteStream) + Send + Sync>,
}

/// The remote streams of a peer, by source. Apart from the tap, which lives as long as anyone holds on to a channel of
/// the connection, so that closing the connection ends its tracks.
#[derive(Default)]
pub(crate) struct RemoteStreams(Mutex<HashMap<u32, Route>>);

impl RemoteStreams {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all streams, which ends their tracks.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }
}

struct Route {
    events: mpsc::Sender<StreamEvent>,
    counters: Arc<RemoteCounters>,
}

impl TapStage {
    /// `announce` is called with each remote stream when its first packet comes; it must not block.
    pub(crate) fn new(
        clock: MediaClock,
        local: Arc<LocalStreams>,
        remote: Arc<RemoteStreams>,
        control: Arc<SendControl>,
        announce: impl Fn(RemoteStream) + Send + Sync + 'static,
    ) -> Self {
        Self { clock, local, remote, control, repair_sources: HashSet::new(), announce: Box::new(announce) }
    }

    fn on_rtp(&self, packet: rtc::rtp::Packet, [repeated, recovered]: [bool; 2], now: Instant) {
        let routes = self.remote.lock();
        let Some(route) = routes.get(&packet.header.ssrc) else { return };
        route.counters.packets.fetch_add(1, Relaxed);
        route.counters.bytes.fetch_add(packet.payload.len() as u64, Relaxed);
        route.counters.retransmitted.fetch_add(u64::from(repeated), Relaxed);
        route.counters.recovered.fetch_add(u64::from(recovered), Relaxed);
        let event = StreamEvent::Packet(RtpPacket {
            ssrc: Ssrc(packet.header.ssrc),
            payload_type: PayloadType(packet.header.payload_type),
            sequence: SequenceNumber(packet.header.sequence_number),
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload: packet.payload,
            arrived_at: self.clock.at(now),
        });
        if let Err(mpsc::error::TrySendError::Full(_)) = route.events.try_send(event) {
            route.counters.overflowed.fetch_add(1, Relaxed);
        }
    }

    fn on_rtcp(&self, packet: &dyn rtc::rtcp::Packet, now: Instant) {
        let any = packet.as_any();
        if let Some(pli) = any.downcast_ref::<PictureLossIndication>() {
            let known = self.control.known();
            let round_trip = (known.least_rtt_ms + known.queue_ms).clamp(0.0, LONGEST_TRIP_MS);
            self.request_keyframe(pli.media_ssrc, Duration::from_secs_f64(round_trip / 1e3), now);
        } else if let Some(fir) = any.downcast_ref::<FullIntraRequest>() {
            // Somebody is there who may have had none at all.
            fir.fir.iter().for_each(|entry| self.request_keyframe(entry.ssrc, Duration::ZERO, now));
        } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
            // Those in which a stream asks for its own packets were made here, from reports.
            if nack.sender_ssrc != nack.media_ssrc
                && let Some(stream) = self.local.get(nack.media_ssrc)
            {
                let packets = nack.nacks.iter().map(|pair| 1 + u64::from(pair.lost_packets.count_ones()));
                stream.lock().nacks += packets.sum::<u64>();
            }
        } else if let Some(report) = any.downcast_ref::<RtcpSenderReport>()
            && let Some(route) = self.remote.lock().get(&report.ssrc)
        {
            // Lost when the queue is full; the next one comes within a second.
            let _ = route.events.try_send(StreamEvent::SenderReport(SenderReport {
                ssrc: Ssrc(report.ssrc),
                ntp: report.ntp_time,
                rtp_timestamp: report.rtp_time,
                arrived_at: self.clock.at(now),
            }));
        }
    }

    fn request_keyframe(&self, ssrc: u32, round_trip: Duration, now: Instant) {
        if let Some(stream) = self.local.get(ssrc) {
            stream.request_keyframe(round_trip, now);
        }
    }
}

impl Stage for TapStage {
    fn inbound(&mut self, packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        let repaired = [Attribute::Retransmission, Attribute::RecoveredByFec]
            .map(|attribute| packet.message.has(&attribute));
        match packet.message.packet {
            Packet::Rtp(rtp) => {
                self.on_rtp(rtp, repaired, packet.now);
                None
            }
            Packet::Rtcp(ref packets) => {
                packets.iter().for_each(|rtcp| self.on_rtcp(rtcp.as_ref(), packet.now));
                // The chain behind reads what is attached to it and ends it.
                Some(packet)
            }
            _ => Some(packet),
        }
    }

    fn bind_remote(&mut self, stream: &StreamInfo) {
        self.repair_sources.extend(stream.ssrc_rtx.into_iter().chain(stream.ssrc_fec));
        if self.repair_sources.contains(&stream.ssrc) || self.remote.lock().contains_key(&stream.ssrc) {
            return;
        }
        let (events, receiver) = mpsc::channel(REMOTE_QUEUE);
        let counters = Arc::new(RemoteCounters::default());
        self.remote.lock().insert(stream.ssrc, Route { events, counters: Arc::clone(&counters) });
        (self.announce)(RemoteStream {
            ssrc: Ssrc(stream.ssrc),
            mime_type: stream.mime_type.clone(),
            events: receiver,
            counters,
        });
    }

    fn unbind_remote(&mut self, stream: &StreamInfo) {
        self.remote.lock().remove(&stream.ssrc);
        self.repair_sources.remove(&stream.ssrc);
    }
}

#[cfg(test)]
mod tests {
    use rtc::rtcp::transport_feedbacks::transport_layer_nack::nack_pairs_from_sequence_numbers;

    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    #[test]
    fn a_key_frame_is_not_asked_for_by_those_who_can_not_have_the_last_one_yet() {
        let streams = LocalStreams::default();
        let (stream, mut events) = streams.add(7);
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut is_wanted = |ms| {
            stream.request_keyframe(ROUND_TRIP, after(ms));
            events.try_recv().is_ok()
        };
        assert!(is_wanted(0), "there was none yet");
        stream.began_afresh(3_000, after(10));
        assert!(!is_wanted(100), "it has not left yet, as far as is known");
        stream.leaves(3_000, after(150));
        stream.leaves(6_000, after(200));
        assert!(!is_wanted(240));
        assert!(is_wanted(250));
        assert_eq!(stream.requests().0, 4, "all are counted");
    }

    #[test]
    fn what_the_other_side_asks_for_again_is_counted_and_not_what_was_asked_for_on_this_side() {
        let streams = Arc::new(LocalStreams::default());
        let (stream, _events) = streams.add(7);
        let control = Arc::new(SendControl::new(crate::PeerConfig::DEFAULT_LIMITS, crate::Uplink::default()));
        let tap = TapStage::new(MediaClock::start(), streams, Arc::default(), control, |_| {});
        for (sender_ssrc, counted) in [(7, 0), (9, 3)] {
            let nacks = nack_pairs_from_sequence_numbers(&[1, 2, 500]);
            tap.on_rtcp(&TransportLayerNack { sender_ssrc, media_ssrc: 7, nacks }, Instant::now());
            assert_eq!(stream.requests().1, counted);
        }
    }
}
