//! Paths that lose packets, queues that are too short or too long, paths that fall silent.

use std::time::Duration;

use ahoy_congestion::{Limits, NetworkEstimate, Reason};
use ahoy_testkit::link::LinkConfig;

use crate::cases::{DELAY_MS, QUEUE, add_call, bottleneck, median, one_call};
use crate::world::{Call, CallConfig, Flow, World};

/// What arrives at last, with what was repeated, as a share of what the path lets through.
fn goodput(world: &World, mbps: f64, loss: f64, from: f64, to: f64) -> f64 {
    let once = world.rate(0, from, to) / (mbps * 1e6);
    // What is lost is sent once more, and lost again.
    let repeated = world.repeated_rate(0, from, to) / (mbps * 1e6);
    (once + repeated) / (1.0 - loss)
}

#[test]
fn random_losses_are_not_taken_for_a_full_queue() {
    for seed in 1..5 {
        for loss in [0.01, 0.05, 0.1, 0.2] {
            let world = one_call(&[(0.0, 2.0)], QUEUE, loss, seed, 60.0);
            let goodput = goodput(&world, 2.0, loss, 15.0, 60.0);
            assert!(goodput >= if loss < 0.15 { 0.9 } else { 0.87 }, "loss {loss}: {goodput}");
            let queue = world.measure(&[0], 2e6, 15.0, 60.0);
            assert!(queue.queue_p95 < 40.0, "{queue:?}");
        }
    }
}

#[test]
fn a_machine_that_is_busy_now_and_then_is_not_taken_for_a_full_queue() {
    for seed in 1..5 {
        let steps = [(0.0, 1.0), (20.0, 2.5), (40.0, 0.6), (60.0, 1.0)];
        let mut world = World::new(bottleneck(&steps, QUEUE, seed));
        add_call(&mut world, CallConfig { seed, busy: true, ..CallConfig::default() }, DELAY_MS, 0.0);
        world.run_until(Duration::from_secs(80));
        for (from, to, mbps) in [(5.0, 20.0, 1.0), (26.0, 40.0, 2.5), (45.0, 60.0, 0.6), (65.0, 80.0, 1.0)] {
            let used = world.measure(&[0], mbps * 1e6, from, to);
            assert!(used.utilisation >= 0.88 && used.queue_p95 < 45.0, "{mbps} Mb/s: {used:?}");
        }
    }
}

#[test]
fn pictures_come_back_after_a_time_of_sound_alone() {
    let steps = [(0.0, 1.0), (10.0, 0.07), (30.0, 1.0)];
    for seed in 1..5 {
        let world = one_call(&steps, QUEUE, 0.0, seed, 50.0);
        assert!(world.rate(0, 15.0, 30.0) < 80_000.0);
        let back = world.rate(0, 36.0, 50.0);
        assert!(back > 700_000.0, "{back}");
    }
}

#[test]
fn a_queue_too_short_for_bursts_loses_little() {
    for (ms, most) in [(10, 0.15), (20, 0.04), (70, 0.01)] {
        let steps = [(0.0, 1.0), (40.0, 2.5), (60.0, 0.6), (80.0, 1.0)];
        let world = one_call(&steps, Duration::from_millis(ms), 0.0, 1, 100.0);
        let [sent, lost] = world.call(0).packets;
        let share = lost as f64 / sent as f64;
        assert!(share <= most, "{ms} ms: {share}");
        let used = world.measure(&[0], 1e6, 10.0, 40.0).utilisation;
        assert!(used >= 0.75, "{ms} ms: {used}");
    }
}

#[test]
fn a_long_queue_is_not_filled() {
    let steps = [(0.0, 1.0), (40.0, 2.5), (60.0, 0.6), (80.0, 1.0)];
    let world = one_call(&steps, Duration::from_millis(1_500), 0.0, 1, 100.0);
    for (from, to, mbps) in [(5.0, 40.0, 1.0), (45.0, 60.0, 2.5), (65.0, 80.0, 0.6), (85.0, 100.0, 1.0)] {
        let queue = world.measure(&[0], mbps * 1e6, from, to);
        assert!(queue.queue_p95 < 45.0, "{queue:?}");
    }
    assert_eq!(world.call(0).packets[1], 0);
}

#[test]
fn a_path_that_is_silent_for_three_seconds_is_soon_used_again() {
    for seed in 1..5 {
        let mut world = one_call(&[(0.0, 2.0)], QUEUE, 0.0, seed, 30.0);
        world.set_blocked(true);
        world.run_until(Duration::from_secs(33));
        let silent = world.call(0).estimate(world.now);
        assert_eq!(silent.reason, Reason::Silence);
        assert!(silent.target < 200_000.0, "{silent:?}");
        world.set_blocked(false);
        world.run_until(Duration::from_secs(40));
        let soon = world.rate(0, 34.0, 36.0);
        assert!(soon > 1.1e6, "{soon}");
    }
}

#[test]
fn where_the_path_carries_more_than_can_be_used_pictures_hardly_wait() {
    for seed in 1..4 {
        let mut world = World::new(bottleneck(&[(0.0, 100.0)], QUEUE, seed));
        let limits = Limits { max: 1_500_000.0, ..CallConfig::default().limits };
        let call = Call::new(CallConfig { seed, limits, ..CallConfig::default() });
        let way = || LinkConfig::builder().delay(Duration::from_millis(2)).build().unwrap();
        world.add(Flow::Call(Box::new(call)), way(), way());
        world.run_until(Duration::from_secs(20));
        let times = world.call(0).times_to_send(10.0, 20.0);
        let median = median(times);
        assert!(median < 0.010, "a picture takes {median} s to leave");
    }
}

#[test]
fn a_path_that_shrinks_and_shrinks_is_not_taken_for_one_that_others_fill() {
    // Somebody walks away from the access point.
    let steps: Vec<(f64, f64)> = (0..20).map(|n| (10.0 + f64::from(n), 2.0 * 0.88_f64.powi(n))).collect();
    let steps: Vec<(f64, f64)> = [(0.0, 2.0)].into_iter().chain(steps).collect();
    for seed in 1..6 {
        let world = one_call(&steps, Duration::from_millis(1_500), 0.0, seed, 60.0);
        let waits = world.measure(&[0], 176_000.0, 40.0, 60.0);
        // A packet alone takes 55 ms.
        assert!(waits.queue_p95 < 150.0 && waits.utilisation > 0.8, "seed {seed}: {waits:?}");
        let competes = |(_, estimate): &&(f64, NetworkEstimate)| estimate.reason == Reason::Compete;
        assert_eq!(world.call(0).estimates.iter().filter(competes).count(), 0, "seed {seed}");
    }
}

#[test]
fn a_path_that_hardly_carries_the_least_that_is_sent_is_not_filled() {
    for seed in 1..6 {
        let world = one_call(&[(0.0, 1.0), (10.0, 0.09)], Duration::from_millis(1_500), 0.0, seed, 60.0);
        let waits = world.measure(&[0], 90_000.0, 30.0, 60.0);
        assert!(waits.queue_p95 < 400.0, "seed {seed}: {waits:?}");
    }
}

#[test]
fn a_path_that_was_gone_for_a_moment_is_soon_used_again_although_its_queue_overflowed() {
    // As between two access points of a Wi-Fi: the rate falls, then there is nothing for most of a second.
    let rates = [(0.0, 5.0), (19.0, 1.0), (20.0, 0.0), (20.7, 5.0)];
    for seed in 1..9 {
        let world = one_call(&rates, Duration::from_millis(250), 0.005, seed, 40.0);
        let again = world.rate(0, 26.0, 30.0);
        assert!(again >= 0.6 * 5e6, "seed {seed}: {again} b/s from the sixth second on");
    }
}
