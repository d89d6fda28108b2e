use std::time::Duration;

use ahoy_media_types::{PayloadType, SequenceNumber, Ssrc};
use proptest::prelude::*;

use super::*;

const SSRC: Ssrc = Ssrc(1);

/// Cuts made-up pictures into packets as a sender does.
struct Sender {
    ssrc: Ssrc,
    sequence: u16,
    timestamp: u32,
}

impl Sender {
    fn new() -> Self {
        Self { ssrc: SSRC, sequence: 100, timestamp: 90_000 }
    }

    fn packet(&mut self, payload: &[u8], marker: bool) -> RtpPacket {
        self.sequence = self.sequence.wrapping_add(1);
        RtpPacket {
            ssrc: self.ssrc,
            payload_type: PayloadType(102),
            sequence: SequenceNumber(self.sequence),
            timestamp: self.timestamp,
            marker,
            payload: Bytes::copy_from_slice(payload),
            arrived_at: MediaTime::ZERO,
        }
    }

    fn frame(&mut self, slice: u8, parameter_sets: bool, fragments: usize) -> Vec<RtpPacket> {
        self.timestamp = self.timestamp.wrapping_add(3000);
        let mut packets = Vec::new();
        if parameter_sets {
            packets.push(self.packet(&[0x78, 0, 2, 0x67, 1, 0, 1, 0x68], false));
        }
        for i in 0..fragments {
            let (start, end) = (i == 0, i + 1 == fragments);
            let header = u8::from(start) << 7 | u8::from(end) << 6 | slice & 0x1f;
            packets.push(self.packet(&[0x7c, header, i as u8], end));
        }
        packets
    }

    fn key(&mut self) -> Vec<RtpPacket> {
        self.frame(0x65, true, 3)
    }

    fn delta(&mut self) -> Vec<RtpPacket> {
        self.frame(0x41, false, 3)
    }
}

/// A buffer and what came out of it.
struct Bench {
    buffer: VideoJitterBuffer,
    frames: Vec<AssembledFrame>,
    requests: Vec<u64>,
}

impl Bench {
    fn new() -> Self {
        Self::with(VideoJitterConfig::default())
    }

    fn with(config: VideoJitterConfig) -> Self {
        Self { buffer: VideoJitterBuffer::new(config), frames: Vec::new(), requests: Vec::new() }
    }

    fn push(&mut self, packet: &RtpPacket, at_ms: u64) {
        let now = MediaTime::from_millis(at_ms);
        self.buffer.push(RtpPacket { arrived_at: now, ..packet.clone() }, now);
        self.drain(at_ms);
    }

    fn push_all(&mut self, packets: &[RtpPacket], at_ms: u64) {
        for packet in packets {
            self.push(packet, at_ms);
        }
    }

    fn drain(&mut self, at_ms: u64) {
        while let Some(out) = self.buffer.poll(MediaTime::from_millis(at_ms)) {
            match out {
                VideoOut::Frame(frame) => self.frames.push(frame),
                VideoOut::NeedKeyframe => self.requests.push(at_ms),
            }
        }
    }

    /// Goes from wake-up to wake-up as the real thread does.
    fn run(&mut self, from_ms: u64, to_ms: u64) {
        let end = MediaTime::from_millis(to_ms);
        let mut now = MediaTime::from_millis(from_ms);
        while let Some(at) = self.buffer.next_wakeup(now).filter(|at| *at <= end) {
            now = at.max(now);
            let before = (self.frames.len(), self.requests.len());
            self.drain(now.as_micros() / 1000);
            let stats = self.buffer.stats();
            if before == (self.frames.len(), self.requests.len()) && self.buffer.next_wakeup(now) == Some(at)
            {
                panic!("woken at {now} for nothing: {stats:?}");
            }
        }
    }

    fn timestamps(&self) -> Vec<u32> {
        self.frames.iter().map(|f| f.rtp_timestamp).collect()
    }
}

#[test]
fn a_picture_comes_out_with_its_last_packet() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    let key = sender.key();
    bench.push_all(&key[..3], 10);
    assert!(bench.frames.is_empty());
    bench.push(&key[3], 14);
    let frame = &bench.frames[0];
    assert!(frame.keyframe);
    assert_eq!(frame.data.as_ref(), [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 0, 1, 2]);
    assert_eq!(
        (frame.first_arrival, frame.last_arrival),
        (MediaTime::from_millis(10), MediaTime::from_millis(14))
    );
    bench.push_all(&sender.delta(), 40);
    assert_eq!(bench.timestamps(), [93_000, 96_000]);
    assert!(!bench.frames[1].keyframe);
    assert!(bench.requests.is_empty());
    assert_eq!(bench.buffer.next_wakeup(MediaTime::from_millis(40)), None);
}

#[test]
fn a_picture_without_marker_ends_where_the_next_begins() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    let mut key = sender.key();
    key[3].marker = false;
    bench.push_all(&key, 0);
    assert!(bench.frames.is_empty());
    bench.push(&sender.delta()[0], 33);
    assert_eq!(bench.timestamps(), [93_000]);
}

#[test]
fn packets_that_overtook_each_other_are_put_into_order() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    let mut packets = [sender.key(), sender.delta(), sender.delta()].concat();
    packets.swap(0, 2);
    packets.swap(3, 5);
    packets.swap(6, 9);
    bench.push_all(&packets, 0);
    assert_eq!(bench.timestamps(), [93_000, 96_000, 99_000]);
    assert_eq!(bench.buffer.stats().packets_lost, 0);
    assert!(bench.buffer.stats().packets_recovered >= 3);
}

#[test]
fn a_retransmission_in_time_costs_nothing_but_the_wait() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    let hurt = sender.delta();
    bench.push(&hurt[0], 33);
    bench.push(&hurt[2], 33);
    bench.push_all(&sender.delta(), 66);
    bench.push_all(&sender.delta(), 100);
    assert_eq!(bench.frames.len(), 1, "later pictures refer to the one that is not complete");
    bench.push(&hurt[1], 120);
    assert_eq!(bench.timestamps(), [93_000, 96_000, 99_000, 102_000]);
    bench.run(120, 2000);
    assert!(bench.requests.is_empty());
    let stats = bench.buffer.stats();
    assert_eq!((stats.packets_lost, stats.packets_recovered, stats.frames_dropped), (0, 1, 0));
}

#[test]
fn without_a_retransmission_a_key_frame_is_asked_for_until_it_comes() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    let hurt = sender.delta();
    bench.push_all(&hurt[..1], 33);
    bench.push_all(&hurt[2..], 33);
    bench.push_all(&sender.delta(), 66);
    bench.run(66, 1_200);
    assert_eq!(bench.requests, [533, 833, 1_133]);
    assert_eq!(bench.frames.len(), 1);
    bench.push_all(&sender.delta(), 1_201);
    bench.push_all(&sender.key(), 1_250);
    bench.push_all(&sender.delta(), 1_283);
    bench.run(1_283, 3_300);
    assert_eq!(bench.timestamps(), [93_000, 105_000, 108_000]);
    assert_eq!(bench.requests.len(), 3);
    let stats = bench.buffer.stats();
    assert_eq!((stats.packets_lost, stats.frames_dropped, stats.keyframes_requested), (1, 3, 3));
}

#[test]
fn a_packet_that_comes_after_it_was_given_up_is_not_used() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    let hurt = sender.delta();
    bench.push(&hurt[0], 33);
    bench.push(&hurt[2], 33);
    bench.run(33, 600);
    bench.push(&hurt[1], 610);
    assert_eq!(bench.frames.len(), 1);
    assert_eq!(bench.buffer.stats().packets_discarded, 1);
}

#[test]
fn a_key_frame_behind_a_gap_ends_the_wait() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    bench.push(&sender.delta()[0], 33);
    let key = sender.key();
    bench.push_all(&key[..3], 40);
    assert_eq!(bench.frames.len(), 1);
    bench.push(&key[3], 41);
    assert_eq!(bench.timestamps(), [93_000, 99_000]);
    assert!(bench.requests.is_empty(), "no need to ask for what is there");
}

#[test]
fn joining_in_the_middle_asks_for_a_key_frame_and_shows_nothing_before_it() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.delta()[1..], 0);
    bench.push_all(&sender.delta(), 33);
    assert_eq!(bench.requests, [0]);
    assert!(bench.frames.is_empty());
    bench.push_all(&sender.key(), 66);
    assert_eq!(bench.frames.len(), 1);
}

#[test]
fn a_key_frame_that_is_coming_in_is_not_asked_for_again() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.delta(), 0);
    assert_eq!(bench.requests, [0]);
    let key = sender.frame(0x65, true, 40);
    for (i, packet) in key.iter().enumerate() {
        bench.run(20 * i as u64, 20 * i as u64 + 20);
        bench.push(packet, 20 * i as u64 + 20);
    }
    assert_eq!(bench.requests, [0], "800 ms of arriving key frame");
    assert_eq!(bench.frames.len(), 1);
}

#[test]
fn after_the_decoder_failed_only_a_key_frame_comes_out() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    bench.buffer.decoder_failed();
    bench.drain(5);
    bench.push_all(&sender.delta(), 33);
    bench.push_all(&sender.key(), 66);
    assert_eq!(bench.timestamps(), [93_000, 99_000]);
    assert_eq!(bench.requests, [5]);
}

#[test]
fn numbers_that_wrap_change_nothing() {
    let mut sender = Sender { ssrc: SSRC, sequence: 65_530, timestamp: u32::MAX - 7000 };
    let mut bench = Bench::new();
    bench.push_all(&sender.key(), 0);
    for i in 1..10 {
        bench.push_all(&sender.delta(), i * 33);
    }
    assert_eq!(bench.frames.len(), 10);
    assert_eq!(bench.buffer.stats().packets_lost, 0);
}

#[test]
fn copies_are_ignored() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    for frame in [sender.key(), sender.delta(), sender.delta()] {
        for packet in &frame {
            bench.push(packet, 0);
            bench.push(packet, 0);
        }
    }
    assert_eq!(bench.frames.len(), 3);
    let stats = bench.buffer.stats();
    assert_eq!((stats.packets_received, stats.packets_lost), (10, 0));
    assert_eq!(stats.packets_duplicate + stats.packets_discarded, 10);
}

#[test]
fn padding_between_and_inside_pictures_is_passed_over() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    let padding = sender.packet(&[], false);
    bench.push(&padding, 1);
    bench.push_all(&sender.delta(), 33);
    assert_eq!(bench.frames.len(), 2);
    assert_eq!(bench.buffer.stats().packets_lost, 0);
}

#[test]
fn a_new_source_is_followed_at_once_and_stragglers_of_the_old_one_are_not() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    let stragglers = sender.delta();
    let mut other = Sender { ssrc: Ssrc(2), sequence: 9, timestamp: 5 };
    bench.push_all(&other.key(), 33);
    bench.push_all(&stragglers, 40);
    bench.push_all(&other.delta(), 66);
    assert_eq!(bench.timestamps(), [93_000, 3005, 6005]);
    assert!(bench.requests.is_empty());

    for i in 0..4 {
        bench.push_all(&sender.delta(), 100 + i);
    }
    bench.push_all(&sender.key(), 200);
    assert_eq!(bench.frames.len(), 4, "a source that goes on is taken up again");
}

#[test]
fn a_sender_that_starts_afresh_is_followed() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    bench.push_all(&sender.key(), 0);
    sender.sequence = 40_000;
    bench.push_all(&sender.delta(), 33);
    bench.push_all(&sender.key(), 66);
    assert_eq!(bench.frames.len(), 2);
}

#[test]
fn it_waits_for_what_is_sent_again_as_long_as_that_takes() {
    for (round_trip, waits) in [(5, 150), (50, 300), (100, 500), (560, 1_000)] {
        let mut bench = Bench::new();
        bench.buffer.set_round_trip(Duration::from_millis(round_trip));
        let mut sender = Sender::new();
        bench.push_all(&sender.key(), 0);
        bench.push(&sender.delta()[1], 33);
        bench.run(33, 1_100);
        assert_eq!(bench.requests.first(), Some(&(33 + waits)), "round trip of {round_trip} ms");
    }
    let never = VideoJitterConfig { round_trip: Duration::MAX, ..Default::default() };
    assert_eq!(never.patience(), Duration::from_secs(1));
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    let mut sender = Sender::new();
    let mut buffer = VideoJitterBuffer::new(VideoJitterConfig::default());
    // A picture that never ends.
    for _ in 0..20_000 {
        let packet = sender.packet(&[0x7c, 0x05, 1], false);
        buffer.push(packet, MediaTime::ZERO);
        while buffer.poll(MediaTime::ZERO).is_some() {}
        assert!(buffer.stream.packets.len() <= MAX_PACKETS);
    }
    let mut payload = vec![0; 60_000];
    payload[0] = 0x7c;
    for _ in 0..400 {
        buffer.push(sender.packet(&payload, false), MediaTime::ZERO);
        assert!(buffer.stream.bytes <= MAX_BYTES);
    }
    // Numbers with as large gaps as are believed.
    for _ in 0..2000 {
        sender.sequence = sender.sequence.wrapping_add(2900);
        buffer.push(sender.packet(&[0x41], true), MediaTime::ZERO);
        assert!(buffer.stream.missing.len() <= MAX_PACKETS);
    }
    let held: usize = buffer.stream.packets.values().map(|p| p.payload.len()).sum();
    assert_eq!(held, buffer.stream.bytes);
}

#[test]
fn jitter_is_that_of_rfc_3550() {
    let (mut sender, mut bench) = (Sender::new(), Bench::new());
    let mut expected = 0.0;
    let mut last: Option<f64> = None;
    for i in 0..50u64 {
        let at = i * 33 + [0, 7, 3, 12][i as usize % 4];
        let mut packets = if i == 0 { sender.key() } else { sender.delta() };
        packets.truncate(1);
        sender.sequence = packets[0].sequence.0;
        bench.push_all(&packets, at);
        let transit = at as f64 - f64::from(packets[0].timestamp) / 90.0;
        if let Some(last) = last.replace(transit) {
            expected += ((transit - last).abs() - expected) / 16.0;
        }
    }
    let measured = bench.buffer.stats().jitter.as_secs_f64() * 1e3;
    assert!((measured - expected).abs() < 0.01 && measured > 2.0, "{measured} {expected}");
}

proptest! {
    #[test]
    fn any_order_within_the_patience_gives_every_picture_once(
        shuffle in prop::collection::vec(0u64..150, 121),
        copies in prop::collection::vec(0usize..121, 0..20),
        first in any::<u16>(),
    ) {
        let mut sender = Sender { ssrc: SSRC, sequence: first, timestamp: 0 };
        let mut packets = sender.key();
        let expected: Vec<u32> = (0..40).map(|i| (i + 1) * 3000).collect();
        for _ in 0..39 {
            packets.extend(sender.delta());
        }
        // The very first packet can't be told from a late one if others were used before it.
        let mut events: Vec<(u64, usize)> =
            (0..packets.len()).map(|i| (i as u64 * 5 + if i < 4 { 0 } else { shuffle[i] }, i)).collect();
        events.extend(copies.iter().map(|&i| (i as u64 * 5 + 160, i)));
        events.sort();
        let mut bench = Bench::new();
        for (at, i) in events {
            bench.push(&packets[i], at);
        }
        prop_assert_eq!(bench.timestamps(), expected);
        prop_assert!(bench.requests.is_empty());
    }

    #[test]
    fn no_packets_from_the_network_upset_it(
        packets in prop::collection::vec(
            (any::<bool>(), 0u16..300, 0u32..6, any::<bool>(), prop::collection::vec(any::<u8>(), 0..12), 0u64..40), 0..200),
    ) {
        let mut bench = Bench::new();
        let mut at = 0;
        for (far, sequence, timestamp, marker, payload, wait) in packets {
            at += wait;
            let mut sender = Sender { ssrc: SSRC, sequence, timestamp: timestamp * 3000 };
            if far {
                sender.sequence = sequence.wrapping_mul(211);
            }
            let packet = sender.packet(&payload, marker);
            bench.push(&packet, at);
            bench.run(at, at);
        }
        let held: usize = bench.buffer.stream.packets.values().map(|p| p.payload.len()).sum();
        prop_assert_eq!(held, bench.buffer.stream.bytes);
        bench.run(at, at + 5000);
    }
}
