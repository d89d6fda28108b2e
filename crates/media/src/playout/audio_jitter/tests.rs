//! The buffer in virtual time, with real Opus packets over a simulated network.

use std::f32::consts::TAU;

use ahoy_media_types::{AudioBlock, Bitrate, EncodedFrame, PayloadType, SequenceNumber, Ssrc};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::codec::{AudioEncoder, OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusFrameDuration};

/// What the sender says: a voice with syllables and a pitch that wanders, or a pure tone, or a voice with pauses.
#[derive(Clone, Copy)]
enum Sound {
    Voice,
    Tone,
    Talk,
}

fn block(sound: Sound, index: usize) -> AudioBlock {
    let mut out = AudioBlock::silence(MediaTime::from_millis(index as u64 * 10));
    for (i, sample) in out.samples.iter_mut().enumerate() {
        let t = (index * BLOCK_SAMPLES + i) as f32 / SAMPLE_RATE as f32;
        let phase = TAU * (140.0 * t + 3.0 * (t * 5.0).sin());
        let syllables = 0.75 + 0.25 * (t * 3.0 * TAU).sin();
        let voice = (1..8).map(|k| (phase * k as f32).sin() / k as f32).sum::<f32>() * syllables;
        *sample = match sound {
            Sound::Tone => 0.3 * (200.0 * TAU * t).sin(),
            Sound::Voice => 0.15 * voice,
            Sound::Talk if t % 4.0 < 2.0 => 0.15 * voice,
            Sound::Talk => 0.0,
        };
    }
    out
}

fn encode(sound: Sound, seconds: usize, frame: OpusFrameDuration, dtx: bool, loss: u8) -> Vec<EncodedFrame> {
    let config = OpusEncoderConfig { frame, dtx, ..Default::default() };
    let mut encoder = OpusEncoder::new(config).unwrap();
    encoder.set_bitrate(Bitrate::from_kbps(24).unwrap()).unwrap();
    encoder.set_expected_loss(loss).unwrap();
    (0..seconds * 100).filter_map(|i| encoder.encode(&block(sound, i)).unwrap()).collect()
}

fn voice(seconds: usize) -> Vec<EncodedFrame> {
    encode(Sound::Voice, seconds, OpusFrameDuration::Ms20, false, 0)
}

/// A packet and when it comes, in microseconds; `None` where it is lost.
type Arrival = (RtpPacket, Option<u64>);

/// Sends the frames the moment they are complete; `network` says how long each is under way, in microseconds.
fn send(frames: &[EncodedFrame], mut network: impl FnMut(usize) -> Option<u64>) -> Vec<Arrival> {
    frames
        .iter()
        .enumerate()
        .map(|(i, frame)| {
            let packet = RtpPacket {
                ssrc: Ssrc(5),
                payload_type: PayloadType(111),
                sequence: SequenceNumber((i as u16).wrapping_add(65_000)),
                timestamp: frame.rtp_timestamp.wrapping_add(u32::MAX - 500_000),
                marker: false,
                payload: frame.data.clone(),
                arrived_at: MediaTime::ZERO,
            };
            let complete = frame.time.as_micros() + frame.duration.as_micros() as u64;
            (packet, network(i).map(|delay| complete + delay))
        })
        .collect()
}

fn new_buffer() -> AudioJitterBuffer {
    AudioJitterBuffer::new(AudioJitterConfig::default(), Box::new(OpusDecoder::new().unwrap()))
}

/// Plays everything, fetching a block each 10 ms from `phase` microseconds on.
fn play(buffer: &mut AudioJitterBuffer, arrivals: Vec<Arrival>, phase: u64) -> Vec<PlayedBlock> {
    play_with_handover(buffer, arrivals, phase, 0)
}

/// As [`play`], with packets that take `handover` microseconds from the socket to the buffer.
fn play_with_handover(
    buffer: &mut AudioJitterBuffer,
    mut arrivals: Vec<Arrival>,
    phase: u64,
    handover: u64,
) -> Vec<PlayedBlock> {
    arrivals.retain(|(_, at)| at.is_some());
    arrivals.sort_by_key(|(_, at)| *at);
    let end = arrivals.last().and_then(|(_, at)| *at).unwrap_or(0);
    let mut arrivals = arrivals.into_iter().peekable();
    let mut played = Vec::new();
    for now in (phase..end + 10_000).step_by(10_000) {
        let is_here = |(_, at): &Arrival| at.is_some_and(|at| at + handover <= now);
        while let Some((packet, Some(at))) = arrivals.next_if(is_here) {
            let arrived_at = MediaTime::from_micros(at);
            buffer.push(RtpPacket { arrived_at, ..packet }, MediaTime::from_micros(now));
        }
        played.push(buffer.pull(MediaTime::from_micros(now)));
        assert!(buffer.sound.len() < 8 * BLOCK_SAMPLES);
    }
    played
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[test]
fn on_a_clean_link_nothing_is_made_up_and_little_delay_added() {
    for (frame, limit) in [(OpusFrameDuration::Ms20, 25.0), (OpusFrameDuration::Ms10, 20.0)] {
        let frames = encode(Sound::Voice, 30, frame, false, 0);
        for phase in [0, 3_300, 7_100, 9_900] {
            let mut rng = Pcg64Mcg::seed_from_u64(phase);
            let mut buffer = new_buffer();
            play(&mut buffer, send(&frames, |_| Some(40_000 + rng.random_range(0..1000))), phase);
            let stats = buffer.stats();
            assert_eq!((stats.concealed_samples, stats.packets_discarded, stats.packets_lost), (0, 0, 0));
            let delay = millis(stats.mean_delay());
            println!(
                "clean, {frame:?}, phase {phase}: mean delay {delay:.1} ms, target {:?}",
                stats.target_delay
            );
            assert!(delay <= limit, "{delay} ms at phase {phase}");
        }
    }
}

#[test]
fn packets_that_dawdle_between_socket_and_buffer_are_reckoned_with() {
    let mut buffer = new_buffer();
    let arrivals = send(&voice(30), |_| Some(40_000));
    play_with_handover(&mut buffer, arrivals, 1_000, 18_000);
    let stats = buffer.stats();
    assert!(stats.concealed_ratio() < 0.005, "{stats:?}");
    assert!(millis(stats.mean_delay()) < 50.0, "{stats:?}");
}

/// A normally distributed number with a standard deviation of 1.
fn normal(rng: &mut Pcg64Mcg) -> f64 {
    (0..12).map(|_| rng.random_range(0.0..1.0)).sum::<f64>() - 6.0
}

#[test]
fn thirty_milliseconds_of_jitter_cost_little_sound_and_little_delay() {
    let frames = voice(40);
    type Jitter = fn(&mut Pcg64Mcg) -> f64;
    let shapes: [(&str, Jitter); 4] = [
        ("uniform 0 to 30 ms", |rng| rng.random_range(0.0..30.0)),
        ("normal, 10 ms deviation", |rng| (15.0 + 10.0 * normal(rng)).max(0.0)),
        ("exponential, 8 ms mean", |rng| -8.0 * rng.random_range(1e-9..1.0_f64).ln()),
        ("1 in 20 packets 30 ms late", |rng| if rng.random_range(0..20) == 0 { 30.0 } else { 0.0 }),
    ];
    for (name, jitter) in shapes {
        for seed in 0..2 {
            let mut rng = Pcg64Mcg::seed_from_u64(seed);
            let mut buffer = new_buffer();
            play(&mut buffer, send(&frames, |_| Some(40_000 + (jitter(&mut rng) * 1e3) as u64)), 1234);
            let stats = buffer.stats();
            let (ratio, delay) = (stats.concealed_ratio(), millis(stats.mean_delay()));
            println!(
                "{name}: concealed {:.2} %, mean delay {delay:.1} ms, target {:.1} ms, squeezed {} stretched {}",
                ratio * 100.0,
                millis(stats.target_delay),
                stats.removed_for_acceleration,
                stats.inserted_for_deceleration
            );
            assert!(ratio <= 0.005, "{name}: {:.2} % concealed", ratio * 100.0);
            assert!(delay <= 60.0, "{name}: {delay} ms");
        }
    }
}

#[test]
fn lost_packets_are_restored_from_the_next_where_it_carries_a_copy() {
    let frames = encode(Sound::Voice, 30, OpusFrameDuration::Ms20, false, 20);
    let mut buffer = new_buffer();
    play(&mut buffer, send(&frames, |i| (i % 11 != 5).then_some(40_000)), 2_000);
    let stats = buffer.stats();
    let lost: Vec<usize> = (0..frames.len()).filter(|i| i % 11 == 5).collect();
    let copied =
        lost.iter().filter(|&&i| frames.get(i + 1).is_some_and(|f| opus_packet_has_fec(&f.data))).count();
    println!("{} lost, {copied} copied, {stats:?}", lost.len());
    assert_eq!(stats.packets_lost, lost.len() as i64);
    assert!(copied * 2 > lost.len(), "the sender copies most packets");
    // The first few come before the buffer has learnt to wait for the copies.
    assert!(stats.restored_samples as usize > (copied - 5) * 960, "{stats:?}");
    assert!((stats.concealed_samples as usize) < (lost.len() - copied + 5) * 960, "{stats:?}");
    assert!(millis(stats.mean_delay()) < 50.0);
}

#[test]
fn without_copies_lost_sound_is_made_up_and_counted() {
    let frames = voice(30);
    let mut buffer = new_buffer();
    // One in eleven, and every fifth time two in a row.
    let lost = |i: usize| i % 11 == 5 || i % 55 == 6;
    let played = play(&mut buffer, send(&frames, |i| (!lost(i)).then_some(40_000)), 2_000);
    let stats = buffer.stats();
    let packets = (0..frames.len()).filter(|&i| lost(i)).count() as u64;
    assert_eq!(stats.restored_samples, 0);
    assert!(
        stats.concealed_samples.abs_diff(packets * 960) < 3 * 960,
        "{} for {packets}",
        stats.concealed_samples
    );
    assert!(stats.concealment_events.abs_diff(frames.len() as u64 / 11) <= 2, "{}", stats.concealment_events);
    assert_eq!(stats.silent_concealed_samples, 0);
    let quietest =
        played[100..].windows(4).map(|w| w.iter().map(|b| rms(&b.samples)).sum::<f32>()).fold(1.0, f32::min);
    assert!(quietest > 0.02, "a hole is heard: {quietest}");
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
}

#[test]
fn silence_that_was_not_sent_is_comfort_not_concealment() {
    let frames = encode(Sound::Talk, 20, OpusFrameDuration::Ms20, true, 0);
    assert!(frames.len() < 700, "{} packets of 1000 were sent", frames.len());
    let mut rng = Pcg64Mcg::seed_from_u64(3);
    let mut buffer = new_buffer();
    let played = play(&mut buffer, send(&frames, |_| Some(40_000 + rng.random_range(0..5_000))), 4_000);
    let stats = buffer.stats();
    assert!(stats.comfort_samples > 48_000 * 5, "{stats:?}");
    assert_eq!(stats.concealed_samples, 0, "{stats:?}");
    let loud = played.iter().filter(|b| rms(&b.samples) > 0.02).count();
    assert!((970..=1050).contains(&loud), "10 s of talk came out as {loud} blocks");
    assert!(millis(stats.mean_delay()) < 35.0, "{stats:?}");
}

#[test]
fn of_silence_in_which_a_packet_is_lost_no_more_is_made_up_than_the_packet_held() {
    let frames = encode(Sound::Talk, 20, OpusFrameDuration::Ms20, true, 0);
    let is_silent = |i: usize| frames[i].data.len() <= 2;
    let lost: Vec<usize> = (0..frames.len()).filter(|&i| is_silent(i)).collect();
    let after = |i: usize| frames.get(i + 1).map_or(0, |next| next.rtp_timestamp - frames[i].rtp_timestamp);
    assert!(lost.iter().filter(|&&i| after(i) > 10 * 960).count() >= 10, "silence follows most of them");
    let mut buffer = new_buffer();
    play(&mut buffer, send(&frames, |i| (!is_silent(i)).then_some(40_000)), 4_000);
    let stats = buffer.stats();
    assert!(stats.packets_lost > 10, "{stats:?}");
    assert!(stats.concealed_samples <= stats.packets_lost as u64 * 960, "{stats:?}");
    assert!(stats.comfort_samples > 48_000 * 5, "{stats:?}");
}

#[test]
fn silence_that_comes_with_the_next_sound_only_is_not_late() {
    let frames = encode(Sound::Talk, 20, OpusFrameDuration::Ms20, true, 0);
    let mut arrivals = send(&frames, |_| Some(40_000));
    for i in 0..frames.len() - 1 {
        if frames[i].data.len() <= 2 {
            arrivals[i].1 = arrivals[i + 1].1;
        }
    }
    let mut buffer = new_buffer();
    play(&mut buffer, arrivals, 4_000);
    let stats = buffer.stats();
    assert_eq!(stats.concealed_samples, 0, "{stats:?}");
    assert!(stats.target_delay < Duration::from_millis(10), "{stats:?}");
    assert!(millis(stats.mean_delay()) < 35.0, "{stats:?}");
}

#[test]
fn packets_twice_and_out_of_order_change_nothing() {
    let frames = voice(10);
    let mut rng = Pcg64Mcg::seed_from_u64(8);
    let mut arrivals = send(&frames, |_| Some(40_000 + rng.random_range(0..3) * 20_000));
    let copies: Vec<Arrival> =
        arrivals.iter().step_by(3).map(|(p, at)| (p.clone(), at.map(|at| at + 7_000))).collect();
    let count = copies.len() as u64;
    arrivals.extend(copies);
    let mut buffer = new_buffer();
    play(&mut buffer, arrivals, 0);
    let stats = buffer.stats();
    assert!(stats.packets_discarded >= count - 2, "{stats:?}");
    assert!(stats.concealed_ratio() < 0.02, "{stats:?}");
    assert!(millis(stats.mean_delay()) < 70.0, "{stats:?}");
}

#[test]
fn delay_goes_down_again_by_squeezing_when_the_network_calms_down() {
    let frames = voice(60);
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let arrivals = send(&frames, |i| {
        Some(40_000 + if i < 500 { rng.random_range(0..80_000) } else { rng.random_range(0..1_000) })
    });
    let (rough, calm) = arrivals.split_at(500);
    let mut buffer = new_buffer();
    play(&mut buffer, rough.to_vec(), 0);
    let before = buffer.stats();
    assert!(millis(before.current_delay) > 45.0, "{before:?}");
    let start = 10_000_000 + 80_000;
    play(&mut buffer, calm.to_vec(), start);
    let after = buffer.stats();
    assert!(millis(after.current_delay) < 30.0, "{after:?}");
    assert!(after.removed_for_acceleration > before.removed_for_acceleration + 1000, "{after:?}");
    assert!(after.concealed_samples - before.concealed_samples < 1000, "{after:?}");
}

#[test]
fn stretching_makes_no_clicks() {
    let frames = encode(Sound::Tone, 70, OpusFrameDuration::Ms20, false, 0);
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let arrivals = send(&frames, |i| Some(40_000 + if i < 600 { rng.random_range(0..60_000) } else { 0 }));
    let mut buffer = new_buffer();
    let played = play(&mut buffer, arrivals, 0);
    let stats = buffer.stats();
    assert!(stats.removed_for_acceleration > 1500 && stats.inserted_for_deceleration > 500, "{stats:?}");
    // Left out are the first 14 s, where packets come too late and sound is made up, and the end.
    let stretched: Vec<f32> = played[1400..6990].iter().flat_map(|b| b.samples).collect();
    let (mut decoder, mut plain) = (OpusDecoder::new().unwrap(), Vec::new());
    for frame in &frames {
        decoder.decode(&frame.data, &mut plain).unwrap();
    }
    let steepest = |sound: &[f32]| sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    let (with, without) = (steepest(&stretched), steepest(&plain[48_000..]));
    assert!(with < 1.2 * without, "steps of {with} where the codec alone makes {without}");
}

#[test]
fn an_outage_of_a_second_is_bridged_and_caught_up_with() {
    let frames = voice(20);
    // Everything of that second comes at its end, at once.
    let arrivals = send(&frames, |i| {
        let sent = i as u64 * 20_000;
        Some(40_000 + if (5_000_000..6_000_000).contains(&sent) { 6_000_000 - sent } else { 0 })
    });
    let mut buffer = new_buffer();
    let played = play(&mut buffer, arrivals, 0);
    let stats = buffer.stats();
    assert!(stats.packets_discarded >= 20, "{stats:?}");
    assert!(stats.concealed_samples > 24_000, "{stats:?}");
    assert!(stats.silent_concealed_samples > 0, "{stats:?}");
    assert!(millis(stats.current_delay) < 350.0, "{stats:?}");
    assert!(played.iter().all(|b| b.samples.iter().all(|s| s.is_finite())));
}

#[test]
fn clocks_that_drift_apart_are_followed() {
    let frames = voice(60);
    for (name, drift) in [("sender fast", -0.0002), ("sender slow", 0.0002)] {
        let mut buffer = new_buffer();
        let arrivals = send(&frames, |i| Some((100_000.0 + i as f64 * 20_000.0 * drift) as u64));
        play(&mut buffer, arrivals, 0);
        let stats = buffer.stats();
        assert!(stats.concealed_ratio() < 0.0005, "{name}: {stats:?}");
        assert!(millis(stats.current_delay) < 35.0, "{name}: {stats:?}");
    }
}

#[test]
fn a_new_source_and_a_new_clock_are_followed_at_once() {
    let frames = voice(4);
    let mut arrivals = send(&frames, |_| Some(40_000));
    for (i, (packet, _)) in arrivals.iter_mut().enumerate() {
        match i {
            0..50 => {}
            50..100 => packet.timestamp = packet.timestamp.wrapping_add(48_000 * 1000),
            100..150 => packet.sequence.0 = packet.sequence.0.wrapping_add(30_000),
            _ => {
                packet.ssrc = Ssrc(77);
                packet.timestamp = (i as u32) * 960;
            }
        }
    }
    let mut buffer = new_buffer();
    let played = play(&mut buffer, arrivals, 0);
    let loud = played.iter().filter(|b| rms(&b.samples) > 0.05).count();
    assert!(loud > 370, "{loud} of 400 blocks");
    assert!(buffer.stats().packets_received > 190);
}

#[test]
fn played_blocks_tell_the_senders_time() {
    let frames = voice(2);
    let arrivals = send(&frames, |_| Some(40_000));
    let first = arrivals[0].0.timestamp;
    let mut buffer = new_buffer();
    let played = play(&mut buffer, arrivals, 0);
    let start = played.iter().position(|b| b.rtp_timestamp.is_some()).unwrap();
    let (a, b) = (played[start + 10].rtp_timestamp.unwrap(), played[start + 110].rtp_timestamp.unwrap());
    assert!(b.wrapping_sub(a).abs_diff(48_000) < 1000);
    assert!(a.wrapping_sub(first) < 20 * 480);
    assert!(
        played[..start - 1]
            .iter()
            .all(|b| b.kind == PlayedKind::Nothing && b.samples == [0.0; BLOCK_SAMPLES])
    );
}

#[test]
fn silence_that_was_not_sent_does_not_make_sound_seem_late() {
    let frames = encode(Sound::Talk, 10, OpusFrameDuration::Ms20, true, 0);
    let played = play(&mut new_buffer(), send(&frames, |_| Some(5_000)), 3_000);
    let first = frames[0].rtp_timestamp.wrapping_add(u32::MAX - 500_000);
    let delays: Vec<i64> = played
        .iter()
        .zip(0..)
        .filter_map(|(block, n): (_, i64)| {
            let captured = i64::from(block.rtp_timestamp?.wrapping_sub(first) as i32) * 1000 / 48;
            Some(3_000 + n * 10_000 - captured)
        })
        .collect();
    assert!(delays.len() > 400 && delays.len() < 800, "{} blocks of ten seconds", delays.len());
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    assert!(most - least < 30_000, "heard {least} to {most} us after capture");
}

#[test]
fn damaged_packets_are_made_up_for() {
    let frames = voice(4);
    let mut arrivals = send(&frames, |_| Some(40_000));
    for (packet, _) in arrivals.iter_mut().skip(20).step_by(20) {
        packet.payload = Bytes::from_static(&[0x7f, 0xff, 1]);
    }
    arrivals[30].0.payload = Bytes::new();
    let mut buffer = new_buffer();
    play(&mut buffer, arrivals, 0);
    let stats = buffer.stats();
    assert!(stats.packets_damaged >= 9, "{stats:?}");
    assert!(stats.concealed_samples >= 9 * 480 && stats.concealed_ratio() < 0.15, "{stats:?}");
}

#[test]
fn a_sender_that_stops_costs_nothing_and_may_go_on() {
    let frames = voice(2);
    let mut buffer = new_buffer();
    play(&mut buffer, send(&frames[..50], |_| Some(40_000)), 0);
    for i in 0..1000 {
        let block = buffer.pull(MediaTime::from_millis(1100 + i * 10));
        assert!(i < 60 || block.samples == [0.0; BLOCK_SAMPLES], "block {i}");
    }
    let muted = buffer.stats();
    assert_eq!(muted.concealed_samples, 0, "what it stood for is not known yet");
    let later: Vec<Arrival> = send(&frames, |_| Some(40_000)).split_off(50);
    let again = later.into_iter().map(|(mut packet, at)| {
        packet.timestamp = packet.timestamp.wrapping_add(480_000);
        (packet, at.map(|at| at + 10_000_000))
    });
    let played = play(&mut buffer, again.collect(), 11_100_000);
    assert_eq!(buffer.stats().concealed_samples, 0);
    assert!(played.iter().filter(|b| rms(&b.samples) > 0.05).count() > 85);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_packets_from_the_network_upset_it(
        packets in prop::collection::vec(
            (any::<u16>(), any::<u32>(), 0u8..6, any::<bool>(), prop::collection::vec(any::<u8>(), 0..30), 0u64..60), 0..120),
    ) {
        let mut buffer = new_buffer();
        let mut now = 0;
        for (i, (sequence, timestamp, shift, wild, payload, wait)) in packets.into_iter().enumerate() {
            now += wait;
            let near = (i as u16 + u16::from(shift), (i as u32 + u32::from(shift)) * 960);
            let (sequence, timestamp) = if wild { (sequence, timestamp) } else { near };
            let at = MediaTime::from_millis(now);
            let packet = RtpPacket {
                ssrc: Ssrc(u32::from(shift / 5)),
                payload_type: PayloadType(111),
                sequence: SequenceNumber(sequence),
                timestamp,
                marker: false,
                payload: payload.into(),
                arrived_at: at,
            };
            buffer.push(packet, at);
            let block = buffer.pull(at);
            prop_assert!(block.samples.iter().all(|s| s.is_finite()));
            prop_assert!(buffer.packets.len() <= MAX_PACKETS);
            prop_assert!(buffer.sound.len() < 20 * BLOCK_SAMPLES);
        }
    }
}

/// Found by fuzzing.
#[test]
fn no_more_than_everything_is_made_up() {
    let mut buffer = new_buffer();
    let (first, _) = send(&voice(1), |_| Some(0)).swap_remove(0);
    // Two frames of 40 ms each: as much is made up at once for what was lost before it.
    let long = RtpPacket {
        sequence: SequenceNumber(first.sequence.0 + 12),
        timestamp: first.timestamp.wrapping_add(8640),
        payload: Bytes::from_static(&[0x32, 0, 0x48]),
        ..first.clone()
    };
    let mut made_ahead = false;
    for (packet, at) in [(first, 1000), (long, 1032)] {
        let now = MediaTime::from_millis(at);
        buffer.push(RtpPacket { arrived_at: now, ..packet }, now);
        for _ in 0..4 {
            buffer.pull(now);
            let stats = buffer.stats();
            made_ahead |= stats.concealed_samples > stats.total_samples;
            assert!((0.0..=1.0).contains(&stats.concealed_ratio()), "{stats:?}");
        }
    }
    assert!(made_ahead, "{:?}", buffer.stats());
}
