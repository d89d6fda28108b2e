//! Files beside a call: they take what it leaves, and it does not suffer.

use std::time::Duration;

use ahoy_congestion::Limits;
use ahoy_testkit::link::LinkConfig;

use crate::cases::{DELAY_MS, QUEUE, add_call, bottleneck, median};
use crate::world::{Call, CallConfig, Flow, Tcp, World};

const SEEDS: std::ops::Range<u64> = 1..7;
/// Files begin when a call has found what it needs.
const FILES_FROM: f64 = 20.0;
/// They have found theirs.
const STEADY_FROM: f64 = 25.0;
const END: f64 = 80.0;

/// A call that can use `most` Mb/s, with files or without.
fn call(steps: &[(f64, f64)], queue: Duration, most: f64, files: bool, seed: u64) -> World {
    let mut world = World::new(bottleneck(steps, queue, seed));
    add_call(&mut world, config(most, files, seed), DELAY_MS, 0.0);
    world.run_until(Duration::from_secs_f64(END));
    world
}

fn config(most: f64, files: bool, seed: u64) -> CallConfig {
    let limits = Limits { max: most * 1e6, ..CallConfig::default().limits };
    CallConfig { limits, files: files.then_some((FILES_FROM, f64::INFINITY)), seed, ..CallConfig::default() }
}

/// What of `mbps` a file takes that the call leaves.
fn share_of_rest(world: &World, mbps: f64, from: f64, to: f64) -> f64 {
    world.call(0).files.rate(from, to) / (mbps * 1e6 - world.rate(0, from, to))
}

#[test]
fn a_file_takes_what_a_call_leaves_and_the_call_does_not_notice() {
    for (mbps, most) in [(2.0, 0.5), (2.0, 0.8), (2.0, 1.2), (10.0, 2.5)] {
        for seed in SEEDS {
            let [without, with] = [false, true].map(|files| call(&[(0.0, mbps)], QUEUE, most, files, seed));
            let rest = share_of_rest(&with, mbps, STEADY_FROM, END);
            assert!(rest >= 0.75, "{most} of {mbps} Mb/s, seed {seed}: {rest}");
            let [before, media] = [&without, &with].map(|world| world.rate(0, STEADY_FROM, END));
            assert!(media >= before * 0.98, "{most} of {mbps} Mb/s, seed {seed}: {media} of {before}");
            let [alone, beside] = [&without, &with].map(|world| world.call(0).sound_p95(STEADY_FROM, END));
            assert!(beside <= alone + 12.0, "{most} of {mbps} Mb/s, seed {seed}: {beside} after {alone} ms");
            let standstill = with.call(0).longest_standstill(FILES_FROM, END);
            assert!(standstill < 0.15, "{most} of {mbps} Mb/s, seed {seed}: {standstill} s");
        }
    }
}

#[test]
fn a_call_that_has_less_than_it_wants_leaves_a_small_share() {
    for (mbps, most_longer) in [(2.0, 8.0), (0.5, 40.0)] {
        for seed in SEEDS {
            let [without, with] = [false, true].map(|files| call(&[(0.0, mbps)], QUEUE, 6.0, files, seed));
            let [before, media] = [&without, &with].map(|world| world.rate(0, STEADY_FROM, END));
            assert!(media >= before * 0.82, "{mbps} Mb/s, seed {seed}: {media} of {before}");
            let file = with.call(0).files.rate(STEADY_FROM, END);
            assert!((0.06..0.18).contains(&(file / (mbps * 1e6))), "{mbps} Mb/s, seed {seed}: {file}");
            let [alone, beside] = [&without, &with].map(|world| world.call(0).sound_p95(STEADY_FROM, END));
            assert!(beside <= alone + most_longer, "{mbps} Mb/s, seed {seed}: {beside} after {alone} ms");
            let standstill = with.call(0).longest_standstill(FILES_FROM, END);
            assert!(standstill < 0.3, "{mbps} Mb/s, seed {seed}: {standstill} s");
        }
    }
}

#[test]
fn a_file_finds_the_limit_of_a_fast_way() {
    let rates = SEEDS.map(|seed| {
        let way =
            || LinkConfig::builder().delay(Duration::from_millis(50)).seed(seed).build().expect("a way");
        let mut world = World::new(bottleneck(&[(0.0, 100.0)], QUEUE, seed));
        world.add(Flow::Call(Box::new(Call::new(config(2.5, true, seed)))), way(), way());
        world.run_until(Duration::from_secs(60));
        let standstill = world.call(0).longest_standstill(FILES_FROM, 60.0);
        assert!(standstill < 0.15, "seed {seed}: {standstill} s");
        share_of_rest(&world, 100.0, 35.0, 60.0)
    });
    let median = median(rates.collect());
    assert!(median >= 0.85, "{median}");
}

#[test]
fn a_file_makes_room_within_a_second_where_a_way_shrinks_and_comes_back() {
    let steps = [(0.0, 4.0), (40.0, 1.2), (60.0, 4.0)];
    for seed in SEEDS {
        let world = call(&steps, QUEUE, 0.8, true, seed);
        let media = world.rate(0, 43.0, 60.0);
        assert!(media >= 0.72e6, "seed {seed}: {media}");
        let late = world.call(0).sound_p95(41.5, 60.0);
        assert!(late <= 95.0, "seed {seed}: {late} ms");
        let silence = world.call(0).longest_silence(39.0, END);
        assert!(silence < 0.3, "seed {seed}: {silence} s");
        let back = share_of_rest(&world, 4.0, 75.0, END);
        assert!(back >= 0.4, "seed {seed}: {back}");
    }
}

#[test]
fn a_queue_that_is_too_short_to_be_seen_is_seen_by_what_is_lost() {
    for seed in SEEDS {
        let [without, with] =
            [false, true].map(|files| call(&[(0.0, 10.0)], Duration::from_millis(8), 1.5, files, seed));
        let [sent, lost] = with.call(0).packets;
        assert!(lost * 50 <= sent, "seed {seed}: {lost} of {sent}");
        let [before, media] = [&without, &with].map(|world| world.rate(0, STEADY_FROM, END));
        assert!(media >= before * 0.93, "seed {seed}: {media} of {before}");
        let rest = share_of_rest(&with, 10.0, STEADY_FROM, END);
        assert!(rest >= 0.35, "seed {seed}: {rest}");
    }
}

#[test]
fn beside_somebody_elses_download_a_file_still_moves() {
    for cubic in [true, false] {
        for seed in 1..4 {
            let mut world = World::new(bottleneck(&[(0.0, 2.0)], QUEUE, seed));
            add_call(&mut world, config(1.0, true, seed), DELAY_MS, 0.0);
            world.add_tcp(Tcp::new(cubic, 30.0), DELAY_MS);
            world.run_until(Duration::from_secs_f64(END));
            let file = world.call(0).files.rate(35.0, END);
            assert!(file > 15_000.0, "cubic {cubic}, seed {seed}: {file}");
            let media = world.rate(0, 35.0, END);
            assert!(media > 300_000.0, "cubic {cubic}, seed {seed}: {media}");
        }
    }
}
