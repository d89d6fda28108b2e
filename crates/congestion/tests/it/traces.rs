//! Links whose rate never stays what it is: the testkit's traces. What is demanded is what was measured, and some room; where
//! that is little, it says where this is not good enough yet.

use std::time::Duration;

use ahoy_testkit::link::{LinkConfig, RateSchedule, Trace};

use crate::world::{Call, CallConfig, Flow, Measured, World};

const SEEDS: std::ops::Range<u64> = 1..9;
/// From here on a call has found out about its path.
const FROM_S: f64 = 5.0;
const UNTIL_S: f64 = 60.0;

/// A call over a trace, and what the trace could carry.
fn call_over(trace: &Trace, seed: u64) -> (World, RateSchedule) {
    let (there, back) = trace.links(seed).expect("a link");
    let could = there.rate().clone();
    let mut world = World::new(there);
    let call = Call::new(CallConfig { seed, ..CallConfig::default() });
    world.add(Flow::Call(Box::new(call)), LinkConfig::default(), back);
    world.run_until(Trace::LASTS);
    (world, could)
}

fn measured(world: &World, could: &RateSchedule) -> Measured {
    let most = CallConfig::default().limits.max as u64;
    let bits = could.carries(Duration::from_secs_f64(FROM_S), Duration::from_secs_f64(UNTIL_S), most);
    world.measure(&[0], bits / (UNTIL_S - FROM_S), FROM_S, UNTIL_S)
}

#[test]
fn links_that_vary_are_used_without_a_long_queue() {
    // Name, media of what could be carried at least, and the queue's p95 at most, in milliseconds.
    for (name, least, most) in [
        ("lte-still", 0.77, 105.0),
        ("lte-walk", 0.67, 440.0),
        ("lte-drive", 0.50, 430.0),
        ("lte-event", 0.62, 650.0),
        ("hspa", 0.62, 600.0),
        ("5g-mmwave", 0.68, 125.0),
        ("wifi-home", 0.75, 90.0),
        ("wifi-roam", 0.55, 165.0),
        ("wifi-hall", 0.45, 200.0),
        ("leo", 0.75, 90.0),
        ("geo", 0.81, 130.0),
        ("dsl-evening", 0.86, 55.0),
        ("cable-bloat", 0.87, 35.0),
    ] {
        let trace = Trace::named(name).expect("a trace of that name");
        for seed in SEEDS {
            let (world, could) = call_over(&trace, seed);
            let used = measured(&world, &could);
            assert!(used.utilisation >= least && used.queue_p95 <= most, "{name}, seed {seed}: {used:?}");
        }
    }
}

#[test]
fn sound_has_its_share_of_a_link_whatever_becomes_of_it() {
    let floor = CallConfig::default().limits.min;
    // Name, and the share of sound that arrives at least: the rest is what the link itself loses, and what full queues do.
    for (name, least) in [("lte-train", 0.88), ("lte-event", 0.75), ("hspa", 0.92), ("wifi-roam", 0.93)] {
        let trace = Trace::named(name).expect("a trace of that name");
        for seed in SEEDS {
            let (world, could) = call_over(&trace, seed);
            let call = world.call(0);
            let lowest = call.estimates.iter().map(|(_, known)| known.target).fold(f64::INFINITY, f64::min);
            assert!(lowest >= floor, "{name}, seed {seed}: {lowest} b/s");
            let share = call.sound.len() as f64 / call.sound_sent as f64;
            assert!(share >= least, "{name}, seed {seed}: {share} of the sound");
            let silence = call.sound.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            let outage = longest_outage(&could);
            assert!(silence <= outage + 0.3, "{name}, seed {seed}: {silence} s, the link {outage} s");
        }
    }
}

/// In seconds.
fn longest_outage(schedule: &RateSchedule) -> f64 {
    let (longest, _) = schedule.steps.iter().fold((0.0, 0.0), |(longest, now), step| {
        let now = if step.bps == Some(0) { now + step.lasts.as_secs_f64() } else { 0.0 };
        (f64::max(longest, now), now)
    });
    longest
}
