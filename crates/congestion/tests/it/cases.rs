//! Bottlenecks and ways, and what tests have in common.

use std::time::Duration;

use ahoy_testkit::link::{LinkConfig, RateSchedule};

use crate::world::{Call, CallConfig, Flow, World};

/// The reference queue of RFC 8867.
pub(crate) const QUEUE: Duration = Duration::from_millis(300);
/// The reference delay of RFC 8867, one way, in milliseconds.
pub(crate) const DELAY_MS: f64 = 50.0;
/// RFC 8868 clips its jitter at three standard deviations of 5 ms.
pub(crate) const JITTER_MS: f64 = 15.0;

/// A bottleneck of these rates in Mb/s, each from its time in seconds on.
pub(crate) fn bottleneck(steps: &[(f64, f64)], queue: Duration, seed: u64) -> LinkConfig {
    let until = |index: usize| steps.get(index + 1).map_or(10_000.0, |(from, _)| *from);
    let steps = steps.iter().enumerate().map(|(index, (from, mbps))| {
        (Duration::from_secs_f64(until(index) - from), Some((mbps * 1e6) as u64))
    });
    LinkConfig::builder().rate(RateSchedule::holding(steps)).queue(queue).seed(seed).build().expect("a link")
}

/// A way of `ms` milliseconds with up to [`JITTER_MS`] more, on which the share `loss` of packets is lost.
pub(crate) fn way(ms: f64, loss: f64, seed: u64) -> LinkConfig {
    let half = Duration::from_secs_f64(JITTER_MS / 2e3);
    let delay = Duration::from_secs_f64(ms / 1e3) + half;
    LinkConfig::builder().delay(delay).jitter(half).random_loss(loss).seed(seed).build().expect("a link")
}

/// Adds a call over ways of `ms` milliseconds.
pub(crate) fn add_call(world: &mut World, config: CallConfig, ms: f64, loss: f64) {
    let seed = config.seed * 1_000 + world.paths.len() as u64 * 2;
    let call = Call::new(CallConfig { seed, ..config });
    world.add(Flow::Call(Box::new(call)), way(ms, loss, seed), way(ms, loss, seed + 1));
}

/// One call over a bottleneck, from the beginning to `end` seconds.
pub(crate) fn one_call(steps: &[(f64, f64)], queue: Duration, loss: f64, seed: u64, end: f64) -> World {
    let mut world = World::new(bottleneck(steps, queue, seed));
    add_call(&mut world, CallConfig { seed, ..CallConfig::default() }, DELAY_MS, loss);
    world.run_until(Duration::from_secs_f64(end));
    world
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
