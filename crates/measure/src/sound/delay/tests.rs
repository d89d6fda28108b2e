use std::f64::consts::PI;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::super::{CHIRP_PERIOD, Chirps};
use super::*;

const SECOND: usize = SAMPLE_RATE as usize;

fn chirps(samples: usize) -> Vec<f32> {
    let mut signal = vec![0.0; samples];
    Chirps::new().fill(&mut signal);
    signal
}

/// Noise in syllables: bursts of 100 to 300 ms with pauses, like speech in what matters here.
fn speech(samples: usize, seed: u64) -> Vec<f32> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut signal = Vec::new();
    while signal.len() < samples {
        let syllable = random.random_range(4800..14_400);
        let mut smooth = 0.0;
        for n in 0..syllable {
            smooth = 0.8 * smooth + 0.2 * random.random_range(-1.0..1.0);
            signal.push(smooth * (n as f32 / syllable as f32 * std::f32::consts::PI).sin());
        }
        signal.extend(std::iter::repeat_n(0.0, random.random_range(0..9600)));
    }
    signal.truncate(samples);
    signal
}

/// The signal later by a number of samples that may have a fraction: interpolated with a windowed sinc of 64 taps.
fn delayed(signal: &[f32], by: f64) -> Vec<f32> {
    const REACH: usize = 32;
    let kernel: [f32; 2 * REACH] = std::array::from_fn(|tap| {
        let x = tap as f64 - REACH as f64 + by.fract();
        let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        (sinc * (0.5 + 0.5 * (PI * x / (REACH + 1) as f64).cos())) as f32
    });
    let padded = [vec![0.0; by as usize + REACH], signal.to_vec(), vec![0.0; REACH]].concat();
    padded
        .windows(kernel.len())
        .take(signal.len())
        .map(|w| w.iter().zip(kernel).map(|(s, k)| s * k).sum())
        .collect()
}

/// What an estimator says of a call that takes `captured` in and gives `played` out; both from time zero on.
struct Heard {
    delays: Vec<DelaySample>,
    missed: u64,
}

fn hear(captured: &[f32], played: &[f32]) -> Heard {
    let mut estimator = DelayEstimator::new();
    let mut delays = Vec::new();
    let blocks = captured.as_chunks::<BLOCK_SAMPLES>().0.iter().zip(played.as_chunks::<BLOCK_SAMPLES>().0);
    for (n, (&captured, played)) in (0u64..).zip(blocks) {
        let now = MediaTime::from_millis(10 * n);
        estimator.on_captured(&AudioBlock { samples: captured, captured_at: now });
        delays.extend(estimator.on_played(played, now));
    }
    delays.extend(estimator.finish());
    Heard { delays, missed: estimator.missed() }
}

fn assert_all(delays: &[DelaySample], expected_ms: f64, tolerance_ms: f64) {
    for delay in delays {
        assert!(
            (delay.delay_ms - expected_ms).abs() <= tolerance_ms,
            "{delay:?} instead of {expected_ms} ms"
        );
    }
}

#[test]
fn each_chirp_gives_its_delay_to_a_hundredth_of_a_millisecond() {
    let captured = chirps(5 * SECOND);
    for by in [0.0, 0.25, 1234.5, 2400.0, 50_000.75, 95_000.3] {
        let heard = hear(&captured, &delayed(&captured, by));
        let in_time = (5 * SECOND - by as usize - 1) / (SECOND / 2);
        assert!((in_time..=in_time + 1).contains(&heard.delays.len()), "{by}: {}", heard.delays.len());
        assert_all(&heard.delays, by / SAMPLES_PER_MS, 0.01);
        assert!(heard.delays.iter().all(|delay| delay.confidence > 0.99 && !delay.inverted), "{by}");
        assert_eq!(heard.missed, 0, "{by}");
        for pair in heard.delays.windows(2) {
            assert_eq!(pair[1].captured_at - pair[0].captured_at, CHIRP_PERIOD);
        }
    }
}

#[test]
fn a_delay_beyond_the_range_is_missed_and_not_taken_for_a_shorter_one() {
    let captured = chirps(12 * SECOND);
    for seconds in [2.1, 2.5, 4.0, 5.5] {
        let heard = hear(&captured, &delayed(&captured, seconds * SECOND as f64));
        assert_eq!(heard.delays.len(), 0, "{seconds} s");
        assert!(heard.missed >= 19, "{seconds} s: {}", heard.missed);
    }
}

#[test]
fn volume_and_polarity_are_told() {
    let captured = chirps(4 * SECOND);
    let played: Vec<f32> = delayed(&captured, 3000.0).iter().map(|sample| -0.1 * sample).collect();
    let heard = hear(&captured, &played);
    assert_eq!(heard.delays.len(), 8);
    assert!(heard.delays.iter().all(|delay| delay.inverted && (delay.gain - 0.1).abs() < 0.001));
}

#[test]
fn loud_noise_does_not_move_the_delay() {
    let captured = chirps(5 * SECOND);
    let mut random = Pcg64Mcg::seed_from_u64(3);
    // Noise of a quarter of the chirps' power.
    let played: Vec<f32> =
        delayed(&captured, 4321.0).iter().map(|sample| sample + random.random_range(-0.3..0.3)).collect();
    let heard = hear(&captured, &played);
    assert_eq!((heard.delays.len(), heard.missed), (10, 0));
    assert_all(&heard.delays, 4321.0 / SAMPLES_PER_MS, 0.02);
}

#[test]
fn a_delay_that_changes_is_followed() {
    let captured = chirps(8 * SECOND);
    let mut played = delayed(&captured, 2000.0);
    played[4 * SECOND..].copy_from_slice(&delayed(&captured, 30_000.0)[4 * SECOND..]);
    let heard = hear(&captured, &played);
    let (before, after): (Vec<_>, Vec<_>) =
        heard.delays.iter().partition(|delay| delay.captured_at < MediaTime::from_millis(3900));
    assert_eq!((before.len(), after.len()), (8, 7));
    assert_all(&before, 2000.0 / SAMPLES_PER_MS, 0.01);
    assert_all(&after, 30_000.0 / SAMPLES_PER_MS, 0.01);
}

#[test]
fn lost_chirps_are_missed_and_the_others_are_not() {
    let captured = chirps(6 * SECOND);
    let mut played = delayed(&captured, 4800.0);
    played[SECOND..2 * SECOND].fill(0.0);
    let heard = hear(&captured, &played);
    assert_eq!((heard.delays.len(), heard.missed), (10, 2));
    assert_all(&heard.delays, 100.0, 0.01);
}

#[test]
fn speech_gives_delays_too() {
    let captured = speech(10 * SECOND, 4);
    let heard = hear(&captured, &delayed(&captured, 2880.5));
    assert!(heard.delays.len() > 15, "{}", heard.delays.len());
    assert_eq!(heard.missed, 0);
    assert_all(&heard.delays, 2880.5 / SAMPLES_PER_MS, 0.05);
}

#[test]
fn a_tone_and_other_sounds_give_no_delay() {
    let tone: Vec<f32> = (0..6 * SECOND).map(|n| 0.5 * (n as f32 * 0.0576).sin()).collect();
    assert_eq!(hear(&tone, &delayed(&tone, 500.0)).delays, []);
    assert_eq!(hear(&chirps(6 * SECOND), &speech(6 * SECOND, 5)).delays, []);
    assert_eq!(hear(&speech(6 * SECOND, 6), &speech(6 * SECOND, 7)).delays, []);
    assert_eq!(hear(&chirps(6 * SECOND), &vec![0.0; 6 * SECOND]).delays, []);
}

#[test]
fn the_delay_is_that_of_the_timeline_and_not_of_the_count_of_samples() {
    // The speaker stops for 300 ms at 2 s: what it plays then is counted without a gap, but heard later.
    let captured = chirps(6 * SECOND);
    let mut estimator = DelayEstimator::new();
    let mut delays = Vec::new();
    for (n, block) in (0u64..).zip(captured.as_chunks::<BLOCK_SAMPLES>().0) {
        let now = MediaTime::from_millis(10 * n);
        let heard_at = now + Duration::from_millis(if n < 200 { 50 } else { 350 });
        estimator.on_captured(&AudioBlock { samples: *block, captured_at: now });
        delays.extend(estimator.on_played(block, heard_at));
    }
    delays.extend(estimator.finish());
    assert_eq!((delays.len(), estimator.missed()), (12, 0));
    assert_all(&delays[..4], 50.0, 0.01);
    assert_all(&delays[4..], 350.0, 0.01);
}

#[test]
fn captured_blocks_may_be_handed_in_late() {
    let captured = chirps(6 * SECOND);
    let played = delayed(&captured, 480.0);
    let mut estimator = DelayEstimator::new();
    let mut delays = Vec::new();
    let captured = captured.as_chunks::<BLOCK_SAMPLES>().0;
    for (n, played) in played.as_chunks::<BLOCK_SAMPLES>().0.iter().enumerate() {
        if let Some(late) = n.checked_sub(90) {
            let captured_at = MediaTime::from_millis(10 * late as u64);
            estimator.on_captured(&AudioBlock { samples: captured[late], captured_at });
        }
        delays.extend(estimator.on_played(played, MediaTime::from_millis(10 * n as u64)));
    }
    delays.extend(estimator.finish());
    assert_eq!((delays.len(), estimator.missed()), (11, 0));
    assert_all(&delays, 10.0, 0.01);
}

#[test]
fn memory_stays_bounded_when_a_side_falls_silent() {
    let mut estimator = DelayEstimator::new();
    let signal = chirps(SECOND);
    let blocks = signal.as_chunks::<BLOCK_SAMPLES>().0;
    // Ten minutes captured that nobody plays.
    for n in 0..60_000u64 {
        let samples = blocks[n as usize % blocks.len()];
        estimator.on_captured(&AudioBlock { samples, captured_at: MediaTime::from_millis(10 * n) });
    }
    assert_eq!(estimator.waiting.len(), MAX_WAITING);
    assert_eq!(estimator.missed(), 1200 - MAX_WAITING as u64);
    // Ten minutes played that nobody captured.
    for n in 60_000..120_000u64 {
        estimator.on_played(&blocks[n as usize % blocks.len()], MediaTime::from_millis(10 * n));
    }
    assert!(estimator.played.samples.len() <= 4 * SECOND && estimator.played.blocks.len() <= 400);
    assert!(estimator.waiting.is_empty());
}
