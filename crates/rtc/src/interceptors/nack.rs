//! Asking again for packets that did not arrive (RFC 4585 section 6.2.1).
//!
//! The library's generator looks for gaps ten times a second and repeats every request each time. This one asks as soon
//! as a gap shows, repeats no sooner than an answer can have come, and gives up on packets that would come too late. Where much
//! is lost it says everything twice: requests are small, and one that is lost costs a whole round trip.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use rtc::interceptor::{Attribute, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};

use super::{Outbox, Stage};

/// Requests for one packet. Ten reach back a second at 100 ms round trip, and bound what a hostile path can cost.
const MAX_REQUESTS: u8 = 10;
/// A packet missing for longer is given up: its frame is either skipped by then or a key frame is on its way.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);
/// A jump ahead by more packets than this is a new start and not a loss that could be repaired.
const MAX_GAP: u64 = 512;
/// Packets watched for at once, the latest: twice the longest repairable loss. More are a sender that skips numbers on
/// purpose, each skip of which would cost a hundred times what it costs the sender.
const MAX_MISSING: usize = 1024;
/// Round trip assumed before one was measured: short, because a needless repetition costs one packet and a late one
/// a freeze.
const INITIAL_ROUND_TRIP: Duration = Duration::from_millis(60);
/// After so many answers in a row of which nobody knows which request they are to, the round trip is believed to be longer by
/// this factor: otherwise one that is far too short would never be measured, since each answer would come after a second request.
const UNCLEAR: (u32, f64) = (3, 1.5);
/// Requests are never repeated faster than this, whatever was measured.
const MIN_REPEAT: Duration = Duration::from_millis(10);
/// Share of packets lost from which requests are made twice.
const LOSSY: f64 = 0.02;
/// How much each packet moves that share.
const LOSSY_WEIGHT: f64 = 1.0 / 128.0;
/// Time between the two of a pair: a run of losses is over by then mostly, and whoever repeats knows that both mean the same.
const BETWEEN: Duration = Duration::from_millis(10);
/// How far round trips are apart before that was measured.
const INITIAL_DEVIATION: Duration = Duration::from_millis(5);
/// The longest that a gap is watched for packets which come out of order before it counts as a loss.
const MAX_REORDER_WAIT: Duration = Duration::from_millis(20);

/// Watches the sequence numbers of the streams bound to it and requests what is missing.
pub(crate) struct NackStage {
    own_ssrc: u32,
    streams: HashMap<u32, LossDetector>,
    repair_sources: HashSet<u32>,
}

impl NackStage {
    /// `own_ssrc` names this side in the requests.
    pub(crate) fn new(own_ssrc: u32) -> Self {
        Self { own_ssrc, streams: HashMap::new(), repair_sources: HashSet::new() }
    }

    fn request_due(&mut self, now: Instant, own: &mut Outbox) {
        for (&media_ssrc, detector) in &mut self.streams {
            let due = detector.take_due(now);
            if !due.is_empty() {
                let nacks = nack_pairs_from_sequence_numbers(&due);
                own.send(now, Box::new(TransportLayerNack { sender_ssrc: self.own_ssrc, media_ssrc, nacks }));
            }
        }
    }
}

impl Stage for NackStage {
    fn inbound(&mut self, packet: TaggedPacket, own: &mut Outbox) -> Option<TaggedPacket> {
        if let Packet::Rtp(rtp) = &packet.message.packet
            && let Some(detector) = self.streams.get_mut(&rtp.header.ssrc)
        {
            let repeated = packet.message.has(&Attribute::Retransmission);
            detector.arrived(rtp.header.sequence_number, repeated, packet.now);
            self.request_due(packet.now, own);
        }
        Some(packet)
    }

    fn timeout(&mut self, now: Instant, own: &mut Outbox) {
        self.request_due(now, own);
    }

    fn wakeup(&self) -> Option<Instant> {
        self.streams.values().filter_map(LossDetector::next_due).min()
    }

    fn bind_remote(&mut self, stream: &StreamInfo) {
        self.repair_sources.extend(stream.ssrc_rtx.into_iter().chain(stream.ssrc_fec));
        let wanted = stream.rtcp_feedback.iter().any(|f| f.typ == "nack" && f.parameter.is_empty());
        if wanted && !self.repair_sources.contains(&stream.ssrc) {
            self.streams.entry(stream.ssrc).or_default();
        }
    }

    fn unbind_remote(&mut self, stream: &StreamInfo) {
        self.streams.remove(&stream.ssrc);
        self.repair_sources.remove(&stream.ssrc);
    }
}

/// One missing packet.
#[derive(Debug)]
struct Missing {
    noticed: Instant,
    /// When it is to be asked for next.
    due: Instant,
    requested: Option<Instant>,
    /// Pairs count as one.
    requests: u8,
    /// Whether the second of a pair is still to be made.
    again: bool,
}

/// Which packets of one stream are missing, and when to ask for each.
#[derive(Debug)]
struct LossDetector {
    /// Highest sequence number so far, counted on across its wraps.
    highest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    round_trip: Duration,
    /// By how much round trips differ from the average on average.
    deviation: Duration,
    reorder_wait: Duration,
    /// Answers in a row of which it is not known which request they are to.
    unclear: u32,
    /// Share of packets that were missing lately.
    lossy: f64,
}

impl Default for LossDetector {
    fn default() -> Self {
        Self {
            highest: None,
            missing: BTreeMap::new(),
            round_trip: INITIAL_ROUND_TRIP,
            deviation: INITIAL_DEVIATION,
            reorder_wait: Duration::ZERO,
            unclear: 0,
            lossy: 0.0,
        }
    }
}

impl LossDetector {
    fn arrived(&mut self, sequence: u16, repeated: bool, now: Instant) {
        let Some(highest) = self.highest else {
            // Away from zero, so that packets before the first one have numbers too.
            self.highest = Some(u64::from(sequence) + (1 << 16));
            return;
        };
        let ahead = sequence.wrapping_sub(highest as u16) as i16;
        let number = highest.saturating_add_signed(i64::from(ahead));
        if number <= highest {
            if let Some(missing) = self.missing.remove(&number) {
                self.learn(&missing, repeated, now);
            } else if highest - number > MAX_GAP && !repeated {
                // Far back and not waited for: the sender started over.
                self.missing.clear();
                self.highest = Some(number);
            }
            return;
        }
        if number - highest > MAX_GAP {
            self.missing.clear();
        } else {
            let due = now + self.reorder_wait;
            for lost in highest + 1..number {
                let missing = Missing { noticed: now, due, requested: None, requests: 0, again: false };
                self.missing.insert(lost, missing);
                self.lossy += (1.0 - self.lossy) * LOSSY_WEIGHT;
            }
            while self.missing.len() > MAX_MISSING {
                self.missing.pop_first();
            }
        }
        self.lossy -= self.lossy * LOSSY_WEIGHT;
        self.highest = Some(number);
    }

    fn learn(&mut self, missing: &Missing, repeated: bool, now: Instant) {
        match missing.requested {
            // Karn: only an unrepeated request tells which one was answered.
            Some(at) if repeated && missing.requests == 1 => {
                let round_trip = now.saturating_duration_since(at);
                self.deviation = (self.deviation * 7 + round_trip.abs_diff(self.round_trip)) / 8;
                self.round_trip = (self.round_trip * 7 + round_trip) / 8;
                self.reorder_wait = self.reorder_wait * 7 / 8;
                self.unclear = 0;
            }
            Some(_) if repeated => {
                self.unclear += 1;
                if self.unclear >= UNCLEAR.0 {
                    self.unclear = 0;
                    self.round_trip = self.round_trip.mul_f64(UNCLEAR.1).min(GIVE_UP_AFTER);
                }
            }
            _ if !repeated => {
                let late = now.saturating_duration_since(missing.noticed);
                self.reorder_wait = self.reorder_wait.max(late.min(MAX_REORDER_WAIT));
            }
            _ => {}
        }
    }

    /// The packets to ask for now, in order.
    fn take_due(&mut self, now: Instant) -> Vec<u16> {
        self.missing.retain(|_, m| {
            now.saturating_duration_since(m.noticed) < GIVE_UP_AFTER
                && (m.requests < MAX_REQUESTS || m.due > now)
        });
        let repeat = self.repeat_after();
        let pairs = self.lossy >= LOSSY && repeat > 4 * BETWEEN;
        let due = self.missing.iter_mut().filter(|(_, m)| m.due <= now);
        due.map(|(&number, m)| {
            if std::mem::take(&mut m.again) {
                m.due = (m.due + repeat.saturating_sub(BETWEEN)).max(now);
            } else {
                m.requested = Some(now);
                m.requests += 1;
                m.again = pairs;
                m.due = now + if pairs { BETWEEN } else { repeat };
            }
            number as u16
        })
        .collect()
    }

    /// How long an answer can take.
    fn repeat_after(&self) -> Duration {
        (self.round_trip + 3 * self.deviation).max(MIN_REPEAT)
    }

    fn next_due(&self) -> Option<Instant> {
        self.missing.values().map(|m| m.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_gap_is_requested_at_once_and_not_again_before_an_answer_can_have_come() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        detector.arrived(65_534, false, t);
        detector.arrived(1, false, t + ms(1));
        assert_eq!(detector.take_due(t + ms(1)), [65_535, 0]);
        assert!(detector.take_due(t + ms(20)).is_empty());
        assert_eq!(detector.next_due(), Some(t + ms(1) + INITIAL_ROUND_TRIP + 3 * INITIAL_DEVIATION));
        assert_eq!(detector.take_due(t + ms(80)), [65_535, 0]);
    }

    #[test]
    fn a_repaired_packet_is_not_requested_again_and_teaches_the_round_trip() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        let mut now = t;
        for base in (0..400u16).step_by(2) {
            detector.arrived(base, false, now);
            assert_eq!(detector.take_due(now).len(), usize::from(base > 0));
            now += ms(10);
            if base > 0 {
                detector.arrived(base - 1, true, now);
            }
        }
        assert!(detector.missing.is_empty());
        assert!(detector.round_trip < ms(12), "{:?}", detector.round_trip);
    }

    #[test]
    fn where_much_is_lost_each_request_is_made_twice() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        detector.lossy = 0.1;
        detector.arrived(1, false, t);
        detector.arrived(3, false, t);
        let times: Vec<usize> =
            (0..200).filter(|n| !detector.take_due(t + ms(*n as u64)).is_empty()).collect();
        assert_eq!(times, [0, 10, 75, 85, 150, 160]);
        // Either of a pair can have been answered, and the time from the first is not too short.
        detector.arrived(5, false, t + ms(300));
        assert_eq!(detector.take_due(t + ms(300)), [2, 4]);
        detector.arrived(4, true, t + ms(390));
        assert!(detector.round_trip > INITIAL_ROUND_TRIP);
    }

    #[test]
    fn losses_are_noticed_and_forgotten() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        (0..500_u16).filter(|n| n % 10 != 3).for_each(|n| detector.arrived(n, false, t));
        assert!((0.07..0.13).contains(&detector.lossy), "{}", detector.lossy);
        (500..1_200).for_each(|n| detector.arrived(n, false, t));
        assert!(detector.lossy < LOSSY, "{}", detector.lossy);
    }

    #[test]
    fn a_round_trip_that_is_much_longer_than_was_thought_is_measured_all_the_same() {
        for (round_trip, lossy) in [(110, 0.0), (110, 0.1), (400, 0.0), (400, 0.1)] {
            let (mut detector, t) = (LossDetector::default(), Instant::now());
            let (mut answers, mut needless) = (Vec::new(), 0);
            for n in 0..30_000_u64 {
                detector.lossy = lossy;
                let now = t + ms(n);
                answers.retain(|(at, number)| {
                    let here = *at <= n;
                    if here {
                        detector.arrived(*number, true, now);
                    }
                    !here
                });
                if n % 10 == 0 && n % 100 != 50 {
                    detector.arrived((n / 10) as u16, false, now);
                }
                for number in detector.take_due(now) {
                    match answers.iter().any(|(_, other)| *other == number) {
                        true if n > 15_000 => needless += 1,
                        true => {}
                        false => answers.push((n + round_trip, number)),
                    }
                }
            }
            let known = detector.round_trip.as_millis() as u64;
            assert!((round_trip - 5..round_trip + 15).contains(&known), "{known} ms for {round_trip}");
            // Each request is made twice where much is lost.
            let expected = if lossy > 0.0 { 150 } else { 0 };
            assert!((expected - 2..expected + 3).contains(&needless), "{needless}");
        }
    }

    #[test]
    fn the_steadier_the_round_trip_the_sooner_a_request_is_repeated() {
        let after = |late: fn(u64) -> u64| {
            let (mut detector, mut now) = (LossDetector::default(), Instant::now());
            for n in 0..200_u16 {
                detector.arrived(n * 100, false, now);
                detector.arrived(n * 100 + 2, false, now);
                detector.take_due(now);
                detector.arrived(n * 100 + 1, true, now + ms(100 + late(u64::from(n))));
                now += ms(1_000);
            }
            detector.repeat_after()
        };
        assert!((ms(100)..ms(103)).contains(&after(|_| 0)));
        assert!((ms(135)..ms(170)).contains(&after(|n| n % 2 * 30)));
    }

    #[test]
    fn requests_for_one_packet_are_bounded_in_number_and_time() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        detector.arrived(10, false, t);
        detector.arrived(12, false, t);
        detector.round_trip = ms(1);
        let asked: usize = (0..3000).map(|n| detector.take_due(t + ms(n)).len()).sum();
        assert_eq!(asked, usize::from(MAX_REQUESTS));
        assert_eq!(detector.next_due(), None);
    }

    #[test]
    fn packets_that_come_out_of_order_make_later_gaps_wait() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        detector.arrived(1, false, t);
        detector.arrived(3, false, t);
        detector.take_due(t);
        detector.arrived(2, false, t + ms(4));
        detector.arrived(5, false, t + ms(10));
        assert!(detector.take_due(t + ms(13)).is_empty());
        assert_eq!(detector.take_due(t + ms(14)), [4]);
    }

    #[test]
    fn a_restarted_stream_is_not_taken_for_a_loss() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        for restart in [100, 20_000, 50, 51] {
            detector.arrived(restart, false, t);
            assert!(detector.take_due(t).is_empty());
        }
        detector.arrived(53, false, t);
        assert_eq!(detector.take_due(t), [52]);
    }

    #[test]
    fn a_repetition_that_comes_late_once_more_is_no_restart() {
        let (mut detector, t) = (LossDetector::default(), Instant::now());
        detector.arrived(100, false, t);
        detector.arrived(1_000, false, t);
        detector.arrived(1_002, false, t);
        detector.arrived(101, true, t);
        assert_eq!(detector.take_due(t), [1_001]);
    }

    #[test]
    fn retransmissions_and_streams_without_nack_are_not_watched() {
        let feedback =
            |typ: &str| rtc::interceptor::RTCPFeedback { typ: typ.into(), parameter: String::new() };
        let mut stage = NackStage::new(1);
        let nack = vec![feedback("nack")];
        stage.bind_remote(&StreamInfo {
            ssrc: 5,
            ssrc_rtx: Some(6),
            rtcp_feedback: nack.clone(),
            ..Default::default()
        });
        stage.bind_remote(&StreamInfo { ssrc: 6, rtcp_feedback: nack, ..Default::default() });
        stage.bind_remote(&StreamInfo {
            ssrc: 7,
            rtcp_feedback: vec![feedback("transport-cc")],
            ..Default::default()
        });
        assert_eq!(stage.streams.keys().collect::<Vec<_>>(), [&5]);
    }

    proptest::proptest! {
        /// Whatever numbers come in whatever order, what is remembered stays bounded and is given up in the end.
        #[test]
        fn any_sequence_is_survived_within_bounds(
            packets in proptest::collection::vec((proptest::prelude::any::<u16>(), proptest::prelude::any::<bool>(), 0u64..50), 0..300),
        ) {
            let (mut detector, mut now) = (LossDetector::default(), Instant::now());
            for (sequence, repeated, wait) in packets {
                now += ms(wait);
                detector.arrived(sequence, repeated, now);
                proptest::prop_assert!(detector.take_due(now).len() <= detector.missing.len());
                proptest::prop_assert!(detector.missing.len() <= MAX_MISSING);
            }
            detector.take_due(now + GIVE_UP_AFTER);
            proptest::prop_assert!(detector.missing.is_empty());
        }
    }
}
