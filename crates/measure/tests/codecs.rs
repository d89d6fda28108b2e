//! Stamps and chirps must outlive the codecs of a call: here they go through the real ones.

// clippy.toml allows this in tests, but Clippy does not count the functions that integration tests share.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ahoy_measure::sound::{Chirps, DelayEstimator, DelaySample};
use ahoy_measure::stamp::{self, Stamp};
use ahoy_media_types::{AudioBlock, BLOCK_SAMPLES, FrameId, FrameSize, I420Buffer, MediaTime, SAMPLE_RATE};
use openh264::OpenH264API;
use openh264::decoder::Decoder;
use openh264::encoder::{BitRate, Encoder, EncoderConfig, FrameRate, RateControlMode, UsageType};
use openh264::formats::{YUVSlices, YUVSource};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A picture that starves the encoder at 100 kbit/s: waves that move over a fine texture.
fn scene(size: FrameSize, frame: u32) -> I420Buffer {
    let time = frame as f32 / 30.0;
    let columns: Vec<f32> = (0..size.width()).map(|x| 40.0 * (x as f32 / 23.0 + time * 7.0).sin()).collect();
    let rows: Vec<f32> = (0..size.height()).map(|y| 40.0 * (y as f32 / 31.0 - time * 5.0).cos()).collect();
    let mut random = Pcg64Mcg::seed_from_u64(7);
    let mut buffer = I420Buffer::black(size);
    let [luma, ..] = buffer.planes_mut();
    for (line, row) in luma.data.chunks_exact_mut(luma.width).zip(rows) {
        for (sample, column) in line.iter_mut().zip(&columns) {
            *sample = (125.0 + row + column + random.random_range(-8.0..8.0)) as u8;
        }
    }
    buffer
}

/// The stamps of those of `frames` frames that the encoder did not skip, and what was read behind the decoder.
fn stamps_through_h264(
    size: FrameSize,
    bits_per_second: u32,
    frames: u32,
) -> (Vec<Stamp>, Vec<Option<Stamp>>) {
    let config = EncoderConfig::new()
        .bitrate(BitRate::from_bps(bits_per_second))
        .max_frame_rate(FrameRate::from_hz(30.0))
        .rate_control_mode(RateControlMode::Bitrate)
        .usage_type(UsageType::CameraVideoRealTime)
        .skip_frames(true);
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let (mut drawn, mut read) = (Vec::new(), Vec::new());
    for frame in 0..frames {
        // Ids and times of a long call, in which many cells change from frame to frame.
        let stamp = Stamp {
            id: FrameId(frame.wrapping_mul(0x9E37_79B9)),
            at: MediaTime::from_micros(86_400_000_000 + u64::from(frame) * 33_333),
        };
        let mut picture = scene(size, frame);
        assert!(stamp::draw(&mut picture, stamp.id, stamp.at));
        let (width, height) = (size.width() as usize, size.height() as usize);
        let source = YUVSlices::new(
            (picture.y(), picture.u(), picture.v()),
            (width, height),
            (width, size.chroma_width() as usize, size.chroma_width() as usize),
        );
        let timestamp = openh264::Timestamp::from_millis(u64::from(frame) * 100 / 3);
        let coded = encoder.encode_at(&source, timestamp).unwrap().to_vec();
        if coded.is_empty() {
            continue;
        }
        let shown = decoder.decode(&coded).unwrap().expect("each access unit gives a picture");
        let mut packed = Vec::with_capacity(size.i420_len());
        let (strides, chroma) = (shown.strides(), size.chroma_width() as usize);
        for (plane, stride, width) in
            [(shown.y(), strides.0, width), (shown.u(), strides.1, chroma), (shown.v(), strides.2, chroma)]
        {
            plane.chunks_exact(stride).for_each(|row| packed.extend_from_slice(&row[..width]));
        }
        drawn.push(stamp);
        read.push(stamp::read(&I420Buffer::from_packed(size, packed).unwrap()));
    }
    (drawn, read)
}

#[test]
fn stamps_survive_h264_at_100_kbit_per_second() {
    for (width, height) in [(160, 90), (320, 180), (640, 360), (1280, 720)] {
        let size = FrameSize::new(width, height).unwrap();
        let (drawn, read) = stamps_through_h264(size, 100_000, 120);
        assert!(drawn.len() >= 4, "{size}: {} frames came through", drawn.len());
        let right = drawn.iter().zip(&read).filter(|(drawn, read)| Some(**drawn) == **read).count();
        assert_eq!(right, drawn.len(), "{size}");
    }
}

/// The first `seconds` of the chirps, in packets of 20 ms through Opus at a bitrate; every `lost`th packet is concealed.
/// Also the delay that the codec adds, in milliseconds.
fn chirps_through_opus(
    bits_per_second: i32,
    seconds: usize,
    lost: Option<usize>,
) -> (Vec<f32>, Vec<f32>, f64) {
    const PACKET: usize = 2 * BLOCK_SAMPLES;
    let mut encoder = opus::Encoder::new(SAMPLE_RATE, opus::Channels::Mono, opus::Application::Voip).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(bits_per_second)).unwrap();
    encoder.set_dtx(true).unwrap();
    let mut decoder = opus::Decoder::new(SAMPLE_RATE, opus::Channels::Mono).unwrap();
    let mut captured = vec![0.0; seconds * SAMPLE_RATE as usize];
    Chirps::new().fill(&mut captured);
    let mut played = vec![0.0; captured.len()];
    for (number, (input, output)) in captured.chunks(PACKET).zip(played.chunks_mut(PACKET)).enumerate() {
        let packet = encoder.encode_vec_float(input, 1500).unwrap();
        let is_lost = lost.is_some_and(|every| number % every == every - 1);
        // No packet, or the one byte of a packet that DTX does not send, asks the decoder to conceal.
        let packet = if is_lost || packet.len() <= 1 { &[][..] } else { &packet };
        assert_eq!(decoder.decode_float(packet, output, false).unwrap(), PACKET);
    }
    let look_ahead = f64::from(encoder.get_lookahead().unwrap()) * 1000.0 / f64::from(SAMPLE_RATE);
    (captured, played, look_ahead)
}

fn delays(captured: &[f32], played: &[f32]) -> (Vec<DelaySample>, u64) {
    let mut estimator = DelayEstimator::new();
    let mut delays = Vec::new();
    let blocks = captured.as_chunks::<BLOCK_SAMPLES>().0.iter().zip(played.as_chunks::<BLOCK_SAMPLES>().0);
    for (n, (&samples, played)) in (0u64..).zip(blocks) {
        let now = MediaTime::from_millis(10 * n);
        estimator.on_captured(&AudioBlock { samples, captured_at: now });
        delays.extend(estimator.on_played(played, now));
    }
    delays.extend(estimator.finish());
    (delays, estimator.missed())
}

#[test]
fn chirps_survive_opus() {
    for bits_per_second in [12_000, 16_000, 24_000, 32_000, 64_000] {
        let (captured, played, look_ahead) = chirps_through_opus(bits_per_second, 10, None);
        let (delays, missed) = delays(&captured, &played);
        assert_eq!((delays.len(), missed), (20, 0), "{bits_per_second} bit/s");
        for delay in delays {
            let error = delay.delay_ms - look_ahead;
            assert!(
                error.abs() < 0.2 && delay.confidence > 0.6,
                "{bits_per_second} bit/s: {error} ms off: {delay:?}"
            );
        }
    }
}

#[test]
fn concealed_packets_may_cost_chirps_but_never_give_a_wrong_delay() {
    for every in [2, 3, 7] {
        let (captured, played, look_ahead) = chirps_through_opus(32_000, 20, Some(every));
        let (delays, _) = delays(&captured, &played);
        assert!(delays.len() >= 30, "1 of {every} packets lost: {} of 40 chirps found", delays.len());
        for delay in delays {
            assert!((delay.delay_ms - look_ahead).abs() < 0.5, "1 of {every} packets lost: {delay:?}");
        }
    }
}
