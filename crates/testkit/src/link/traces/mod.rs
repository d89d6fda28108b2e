//! Links whose rate varies as that of radio, satellite and crowded links does, for tests and benches that have to be repeatable.
//!
//! None of them is recorded. Each is a stochastic model after the shape of what publications on such links describe (each
//! model names them); its numbers are chosen, not fitted. A link is in one of a few states with a mean rate; how long it stays,
//! and where it goes from there, is drawn (a Markov-modulated rate). Within a state the logarithm of the rate is normally
//! distributed and changes little from one step to the next. Delay, its jitter and losses are the same all the time: a real
//! satellite's or cell's delay changes with a hand-over, and a lossy moment is mostly a slow one as well.

mod models;

use std::f64::consts::TAU;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg32;

use super::{LinkConfig, LinkConfigBuilder, LinkConfigError, Loss, RateSchedule};

/// A model of a link over a minute, in the direction that a call sends in.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Such as `lte-walk`.
    pub name: &'static str,
    /// What the link is, in a line.
    pub about: &'static str,
    /// Where the mean of its rate lies, in Mb/s.
    pub mean_mbps: RangeInclusive<f64>,
    /// Which share of the time nothing passes, 0 to 1.
    pub outages: RangeInclusive<f64>,
    states: &'static [State],
    delay: Duration,
    jitter: Duration,
    queue: Duration,
    loss: Loss,
}

/// What a link does for a while.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Mean rate; 0 is an outage.
    mbps: f64,
    /// Standard deviation of the rate's natural logarithm.
    spread: f64,
    stay: Stay,
    /// Which states come next, each with its probability.
    next: &'static [(usize, f64)],
}

/// For how many seconds a state lasts.
#[derive(Clone, Copy, Debug)]
enum Stay {
    /// Exponentially distributed: it ends at any moment as likely as at any other.
    About(f64),
    /// Evenly distributed.
    Between(f64, f64),
}

/// How long a rate holds: shorter than what a controller takes to react, longer than a picture.
const STEP: Duration = Duration::from_millis(100);
/// After so many seconds a rate within a state has little to do with what it was: about what a person or a hand in the way
/// of a radio link takes.
const FADES_WITHIN_S: f64 = 0.6;
/// Slower than this is an outage in all but name, and would leave a single packet in transmission for seconds.
const LEAST_BPS: u64 = 20_000;

impl Trace {
    /// How long a trace lasts. It starts over then.
    pub const LASTS: Duration = Duration::from_secs(60);
    /// The seed of the traces that benches run over.
    pub const SEED: u64 = 1;

    /// All that there are.
    pub fn all() -> impl Iterator<Item = Trace> {
        models::all().into_iter()
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Trace> {
        Self::all().find(|trace| trace.name == name)
    }

    /// The rate over time: the same for the same seed.
    pub fn schedule(&self, seed: u64) -> RateSchedule {
        // A stream for each trace, so that two of them do not fade together.
        let stream = self.name.bytes().fold(0, |stream: u64, byte| stream.wrapping_mul(31) + u64::from(byte));
        let mut random = Pcg32::new(seed, stream);
        let mut index = 0;
        let mut left = self.states[index].stay.draw(&mut random);
        let mut fading = normal(&mut random);
        let keeps = (-STEP.as_secs_f64() / FADES_WITHIN_S).exp();
        let steps = Self::LASTS.div_duration_f64(STEP) as usize;
        RateSchedule::repeating((0..steps).map(|_| {
            if left == 0 {
                index = self.states[index].draw_next(&mut random);
                left = self.states[index].stay.draw(&mut random);
            }
            left -= 1;
            fading = fading * keeps + normal(&mut random) * (1.0 - keeps * keeps).sqrt();
            (STEP, Some(self.states[index].bps(fading)))
        }))
    }

    /// The way there and the way back. The latter has no limit, but it is silent whenever the former is: a radio that is
    /// gone is gone both ways.
    ///
    /// # Errors
    /// None for the traces that there are.
    pub fn links(&self, seed: u64) -> Result<(LinkConfig, LinkConfig), LinkConfigError> {
        let there = self.schedule(seed);
        let silent = |bps: Option<u64>| bps.filter(|bps| *bps == 0);
        let back = RateSchedule::repeating(there.steps.iter().map(|step| (step.lasts, silent(step.bps))));
        let way = |rate: RateSchedule, seed: u64| -> LinkConfigBuilder {
            let way = LinkConfig::builder().rate(rate).queue(self.queue).delay(self.delay);
            way.half_normal_jitter(self.jitter).loss(self.loss).seed(seed)
        };
        Ok((way(there, seed).build()?, way(back, seed + 1_000).build()?))
    }
}

impl State {
    /// The rate where fading, a normally distributed number, is this.
    fn bps(self, fading: f64) -> u64 {
        if self.mbps == 0.0 {
            return 0;
        }
        // Less half of the variance, so that the mean stays what it is.
        let bps = self.mbps * 1e6 * (self.spread * fading - self.spread * self.spread / 2.0).exp();
        // The last digits of logarithms differ from one machine to the next; kilobits do not.
        ((bps / 1e3).round() as u64 * 1_000).max(LEAST_BPS)
    }

    fn draw_next(self, random: &mut Pcg32) -> usize {
        let mut left: f64 = random.random();
        let mut states = self.next.iter().copied();
        let chosen = states.find(|(_, share)| {
            left -= share;
            left < 0.0
        });
        // Shares that add up to one but for rounding end with the last.
        chosen.or(self.next.last().copied()).map_or(0, |(state, _)| state)
    }
}

impl Stay {
    /// In steps, at least one.
    fn draw(self, random: &mut Pcg32) -> usize {
        let draw: f64 = random.random();
        let seconds = match self {
            Stay::About(mean) => -mean * (1.0 - draw).ln(),
            Stay::Between(least, most) => least + (most - least) * draw,
        };
        ((seconds / STEP.as_secs_f64()).round() as usize).max(1)
    }
}

/// A normally distributed number (Box and Muller 1958).
fn normal(random: &mut Pcg32) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (TAU * angle).cos()
}

#[cfg(test)]
#[path = "traces_tests.rs"]
mod tests;
