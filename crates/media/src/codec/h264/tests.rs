//! Both ends of H.264 together.

use std::sync::Arc;

use ahoy_media_types::{
    Bitrate, ColorMatrix, EncodedFrame, FrameId, FramePool, FrameRate, FrameSize, I420Buffer, MediaTime,
    VideoFrame,
};
use proptest::prelude::*;

use super::{H264Decoder, H264Encoder};
use crate::codec::{CodecError, VideoDecoder, VideoEncoder, VideoEncoderConfig};

const SMALL: (u64, u64) = (320, 180);

fn size((width, height): (u64, u64)) -> FrameSize {
    FrameSize::new(width, height).unwrap()
}

fn config(dimensions: (u64, u64), kbps: u64) -> VideoEncoderConfig {
    let bitrate = Bitrate::from_kbps(kbps).unwrap();
    VideoEncoderConfig { size: size(dimensions), rate: FrameRate::FPS_30, bitrate }
}

/// A textured picture that drifts, with a disc moving across it.
fn picture(size: FrameSize, number: u32) -> I420Buffer {
    let mut buffer = I420Buffer::black(size);
    for (index, plane) in buffer.planes_mut().into_iter().enumerate() {
        let (width, height) = (plane.width as i32, plane.height as i32);
        let scale = if index == 0 { 1 } else { 2 };
        let centre = ((number as i32 * 5 / scale) % width, height / 2);
        for (i, sample) in plane.data.iter_mut().enumerate() {
            let (x, y) = (i as i32 % width, i as i32 / width);
            let drift = (x + number as i32 / scale) as f32 * 0.11 * scale as f32;
            let wave = (drift.sin() + (y as f32 * 0.07 * scale as f32).cos()) * 30.0;
            let inside = (x - centre.0).pow(2) + (y - centre.1).pow(2) < (height / 5).pow(2);
            *sample = (128.0 + wave + if inside { 50.0 } else { 0.0 }) as u8;
        }
    }
    buffer
}

/// Pictures that nothing can compress.
fn noise(size: FrameSize, number: u32) -> I420Buffer {
    let mut state = u64::from(number) + 1;
    let mut buffer = I420Buffer::black(size);
    for sample in buffer.packed_mut() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *sample = (state >> 56) as u8;
    }
    buffer
}

fn frame(buffer: I420Buffer, number: u32) -> VideoFrame {
    let captured_at = MediaTime::ZERO + FrameRate::FPS_30.time_of(u64::from(number));
    VideoFrame { buffer: Arc::new(buffer), id: FrameId(number), captured_at, color: ColorMatrix::Bt601 }
}

fn encode(encoder: &mut H264Encoder, size: FrameSize, numbers: std::ops::Range<u32>) -> Vec<EncodedFrame> {
    numbers.filter_map(|n| encoder.encode(&frame(picture(size, n), n)).unwrap()).collect()
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let squares: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squares.max(1) as f64).log10()
}

/// The first bytes of the sequence parameter set: profile, constraint flags, level.
fn profile_and_level(frame: &EncodedFrame) -> [u8; 3] {
    assert_eq!(frame.data[..5], [0, 0, 0, 1, 0x67], "an access unit that starts a stream starts with an SPS");
    frame.data[5..8].try_into().unwrap()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn openh264_was_built_with_its_assembly() {
    unsafe extern "C" {
        // Exists only in objects that nasm made. If linking fails here: install nasm, cargo clean -p openh264-sys2.
        fn WelsSampleSad16x16_sse2();
    }
    assert_ne!(WelsSampleSad16x16_sse2 as *const () as usize, 0);
}

#[test]
fn pictures_come_back_as_they_went_in() {
    let size = size(SMALL);
    let mut encoder = H264Encoder::new(config(SMALL, 800)).unwrap();
    let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
    for number in 0..60 {
        let original = picture(size, number);
        let Some(encoded) = encoder.encode(&frame(original.clone(), number)).unwrap() else { continue };
        assert_eq!(encoded.keyframe, number == 0, "frame {number}");
        assert_eq!(encoded.rtp_timestamp, number * 3000, "frame {number}");
        let decoded = decoder.decode(&encoded.data).unwrap().expect("no delay between data and picture");
        assert_eq!(decoded.size(), size);
        for (a, b) in [(original.y(), decoded.y()), (original.u(), decoded.u()), (original.v(), decoded.v())]
        {
            assert!(psnr(a, b) > 34.0, "frame {number}: {} dB", psnr(a, b));
        }
    }
}

#[test]
fn the_stream_is_constrained_baseline_of_the_level_that_was_offered() {
    let mut encoder = H264Encoder::new(config((1280, 720), 1500)).unwrap();
    let first = encode(&mut encoder, FrameSize::HD, 0..1);
    let [profile, constraints, level] = profile_and_level(&first[0]);
    assert_eq!(profile, 66);
    assert_eq!(constraints & 0xc0, 0xc0, "constraint_set0 and 1 say constrained baseline");
    assert_eq!(level, 0x1f);
}

#[test]
fn raising_the_bitrate_keeps_the_level_that_was_offered() {
    let mut encoder = H264Encoder::new(config((1280, 720), 300)).unwrap();
    encode(&mut encoder, FrameSize::HD, 0..2);
    encoder.set_bitrate(Bitrate::from_kbps(4000).unwrap()).unwrap();
    encoder.force_keyframe();
    let next = encode(&mut encoder, FrameSize::HD, 2..12);
    let key = next.iter().find(|f| f.keyframe).unwrap();
    assert_eq!(profile_and_level(key)[2], 0x1f);
}

#[test]
fn the_colour_matrix_is_written_into_the_stream() {
    let start_of = |color| {
        let mut encoder = H264Encoder::new(config(SMALL, 300)).unwrap();
        let frame = VideoFrame { color, ..frame(picture(size(SMALL), 0), 0) };
        encoder.encode(&frame).unwrap().unwrap().data
    };
    let sps = |data: &[u8]| data[4..].split(|&b| b == 0).next().map(<[u8]>::to_vec);
    assert_ne!(sps(&start_of(ColorMatrix::Bt601)), sps(&start_of(ColorMatrix::Bt709)));
}

#[test]
fn a_key_frame_comes_when_asked_for_and_only_then() {
    let mut encoder = H264Encoder::new(config(SMALL, 500)).unwrap();
    let mut keys = Vec::new();
    for number in 0..200 {
        if number == 50 {
            encoder.force_keyframe();
            encoder.force_keyframe();
        }
        let encoded = encoder.encode(&frame(picture(size(SMALL), number), number)).unwrap();
        if let Some(key) = encoded.filter(|encoded| encoded.keyframe) {
            profile_and_level(&key);
            keys.push(number);
        }
    }
    assert_eq!(keys, [0, 50]);
}

fn bytes_of(frames: &[EncodedFrame]) -> usize {
    frames.iter().map(|f| f.data.len()).sum()
}

#[test]
fn the_bitrate_follows_a_change_within_a_second_and_without_a_key_frame() {
    let size = size(SMALL);
    let mut encoder = H264Encoder::new(config(SMALL, 300)).unwrap();
    let noisy = |encoder: &mut H264Encoder, numbers: std::ops::Range<u32>| {
        numbers.filter_map(|n| encoder.encode(&frame(noise(size, n), n)).unwrap()).collect::<Vec<_>>()
    };
    noisy(&mut encoder, 0..60);
    for (kbps, start) in [(2000, 60), (150, 160), (1000, 260)] {
        encoder.set_bitrate(Bitrate::from_kbps(kbps).unwrap()).unwrap();
        noisy(&mut encoder, start..start + 40);
        let frames = noisy(&mut encoder, start + 40..start + 100);
        assert!(frames.iter().all(|f| !f.keyframe));
        let measured = bytes_of(&frames) as f64 * 8.0 / 2.0 / 1000.0;
        assert!((measured / kbps as f64 - 1.0).abs() < 0.3, "{measured:.0} instead of {kbps} kbit/s");
    }
}

#[test]
fn the_frame_rate_changes_without_a_key_frame() {
    let size = size(SMALL);
    let mut encoder = H264Encoder::new(config(SMALL, 300)).unwrap();
    encode(&mut encoder, size, 0..30);
    encoder.set_rate(FrameRate::from_fps(10).unwrap()).unwrap();
    let slow: Vec<_> =
        (0..50u32).filter_map(|n| encoder.encode(&frame(noise(size, n), 30 + n * 3)).unwrap()).collect();
    assert!(slow.iter().all(|f| !f.keyframe));
    let measured = bytes_of(&slow) as f64 * 8.0 / 5.0 / 1000.0;
    assert!((200.0..420.0).contains(&measured), "{measured:.0} kbit/s");
    encoder.set_rate(FrameRate::from_fps(120).unwrap()).unwrap();
}

#[test]
fn frames_are_left_out_rather_than_sent_beyond_the_bitrate() {
    let mut encoder = H264Encoder::new(config((640, 360), 50)).unwrap();
    let sent =
        (0..60).filter(|&n| encoder.encode(&frame(noise(size((640, 360)), n), n)).unwrap().is_some()).count();
    assert!((1..55).contains(&sent), "{sent} of 60");
}

#[test]
fn another_size_starts_with_a_key_frame_and_both_ends_follow() {
    let mut encoder = H264Encoder::new(config(SMALL, 500)).unwrap();
    let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
    let mut number = 0;
    for dimensions in [SMALL, (640, 360), (160, 90), (360, 640)] {
        let size = size(dimensions);
        for i in 0..3 {
            let encoded = encoder.encode(&frame(picture(size, number), number)).unwrap();
            number += 1;
            let Some(encoded) = encoded else { continue };
            assert_eq!(encoded.keyframe, i == 0);
            assert_eq!(decoder.decode(&encoded.data).unwrap().unwrap().size(), size);
        }
    }
}

#[test]
fn odd_sizes_lose_their_last_row_and_column() {
    for dimensions in [(321, 181), (17, 19), (33, 16)] {
        let size = size(dimensions);
        let mut encoder = H264Encoder::new(config(dimensions, 2000)).unwrap();
        let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
        let original = picture(size, 0);
        let encoded = encoder.encode(&frame(original.clone(), 0)).unwrap().unwrap();
        let decoded = decoder.decode(&encoded.data).unwrap().unwrap();
        assert_eq!(decoded.size(), size.even());
        let width = size.width() as usize;
        let cropped: Vec<u8> = original
            .y()
            .chunks(width)
            .take(decoded.size().height() as usize)
            .flat_map(|row| &row[..decoded.size().width() as usize])
            .copied()
            .collect();
        assert!(psnr(&cropped, decoded.y()) > 32.0, "{size}: {}", psnr(&cropped, decoded.y()));
    }
}

#[test]
fn the_smallest_and_the_largest_picture_work() {
    for dimensions in [(16, 16), (4096, 2304)] {
        let size = size(dimensions);
        let mut encoder = H264Encoder::new(config(dimensions, 1000)).unwrap();
        let encoded = encoder.encode(&frame(picture(size, 0), 0)).unwrap().unwrap();
        let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
        assert_eq!(decoder.decode(&encoded.data).unwrap().unwrap().size(), size);
    }
}

#[test]
fn every_bitrate_and_rate_that_the_types_allow_is_taken() {
    for bitrate in [Bitrate::MIN, Bitrate::MAX] {
        for fps in [1, 120] {
            let rate = FrameRate::from_fps(fps).unwrap();
            let start = VideoEncoderConfig { size: size(SMALL), rate, bitrate };
            let mut encoder = H264Encoder::new(start).unwrap();
            assert!(encoder.encode(&frame(picture(size(SMALL), 0), 0)).unwrap().is_some());
            encoder.set_bitrate(Bitrate::MAX).unwrap();
            encoder.set_bitrate(Bitrate::MIN).unwrap();
        }
    }
}

#[test]
fn capture_times_that_stand_still_or_go_back_do_no_harm() {
    let mut encoder = H264Encoder::new(config(SMALL, 500)).unwrap();
    for (index, at) in [10, 5, 5, 0, 90_000_000, 11].into_iter().enumerate() {
        let moved = VideoFrame {
            captured_at: MediaTime::from_millis(at),
            ..frame(picture(size(SMALL), index as u32), index as u32)
        };
        encoder.encode(&moved).unwrap();
    }
}

#[test]
fn after_a_lost_picture_nothing_is_shown_until_a_key_frame() {
    let size = size(SMALL);
    let mut encoder = H264Encoder::new(config(SMALL, 500)).unwrap();
    let mut frames = encode(&mut encoder, size, 0..10);
    encoder.force_keyframe();
    frames.extend(encode(&mut encoder, size, 10..14));
    let key = frames.iter().skip(1).position(|f| f.keyframe).unwrap() + 1;
    frames.remove(4);
    let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
    let results: Vec<bool> = frames.iter().map(|f| matches!(decoder.decode(&f.data), Ok(Some(_)))).collect();
    let shown: Vec<bool> = (0..frames.len()).map(|i| i < 4 || i + 1 >= key).collect();
    assert_eq!(results, shown);
}

#[test]
fn a_truncated_picture_asks_for_a_key_frame_which_mends_it() {
    let size = size(SMALL);
    let mut encoder = H264Encoder::new(config(SMALL, 500)).unwrap();
    let frames = encode(&mut encoder, size, 0..3);
    let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
    decoder.decode(&frames[0].data).unwrap().unwrap();
    let half = &frames[1].data[..frames[1].data.len() / 2];
    assert!(matches!(decoder.decode(half), Err(CodecError::Damaged(_))));
    assert_eq!(decoder.decode(&frames[2].data).unwrap_err(), CodecError::NeedsKeyframe);
    assert!(decoder.decode(&frames[0].data).unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damage_anywhere_never_upsets_the_decoder_for_good(
        hits in prop::collection::vec((0usize..6, any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cuts in prop::collection::vec((0usize..6, any::<prop::sample::Index>()), 0..2),
    ) {
        let size = size((64, 48));
        let mut encoder = H264Encoder::new(config((64, 48), 500)).unwrap();
        let clean = encode(&mut encoder, size, 0..6);
        let mut damaged: Vec<Vec<u8>> = clean.iter().map(|f| f.data.to_vec()).collect();
        let count = damaged.len();
        for (which, place, value) in hits {
            let data = &mut damaged[which % count];
            let place = place.index(data.len());
            data[place] ^= value;
        }
        for (which, place) in cuts {
            let data = &mut damaged[which % count];
            let length = place.index(data.len());
            data.truncate(length.max(1));
        }
        let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
        for data in &damaged {
            let _ = decoder.decode(data);
        }
        let mended = decoder.decode(&clean[0].data).or_else(|_| decoder.decode(&clean[0].data));
        prop_assert_eq!(mended.unwrap().unwrap().size(), size);
    }

    #[test]
    fn arbitrary_bytes_are_an_error_and_nothing_else(data in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
        let mut stream = vec![0, 0, 0, 1, 0x65];
        stream.extend(&data);
        prop_assert!(!matches!(decoder.decode(&stream), Ok(Some(_))));
        prop_assert!(!matches!(decoder.decode(&data), Ok(Some(_))));
    }
}
