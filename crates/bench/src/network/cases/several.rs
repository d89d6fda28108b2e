//! Several calls over one link, and TCP beside them: RFC 8867 sections 5.2 to 5.8.

use std::time::Duration;

use ahoy_testkit::RateSchedule;
use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use super::{Case, Goals, Group, TWO};

/// One of several calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallSpec {
    /// When it begins.
    pub(crate) starts: Duration,
    /// From when to when it has no pictures. Its sound goes on.
    pub(crate) pause: Option<[Duration; 2]>,
    /// What its way is longer by than the link, each way.
    pub(crate) farther: Duration,
    /// Whether it sends on the way back.
    pub(crate) back: bool,
}

/// A stream of TCP, on the way there.
#[derive(Clone, Debug)]
pub(crate) struct TcpSpec {
    /// Linux' name of its congestion control.
    pub(crate) control: &'static str,
    /// When it begins.
    pub(crate) starts: Duration,
    /// How much it carries; without end unless given.
    pub(crate) bytes: Option<u64>,
}

impl CallSpec {
    fn at(seconds: f64) -> Self {
        Self { starts: Duration::from_secs_f64(seconds), ..Self::default() }
    }

    pub(super) fn faster(&self, times: f64) -> Self {
        Self {
            starts: self.starts.div_f64(times),
            pause: self.pause.map(|pause| pause.map(|at| at.div_f64(times))),
            ..self.clone()
        }
    }
}

impl TcpSpec {
    fn long(control: &'static str) -> Self {
        Self { control, starts: Duration::ZERO, bytes: None }
    }

    pub(super) fn faster(&self, times: f64) -> Self {
        let bytes = self.bytes.map(|bytes| (bytes as f64 / times) as u64);
        Self { starts: self.starts.div_f64(times), bytes, ..self.clone() }
    }
}

/// Short streams of section 5.7: ten of 100 kB to 1 MB, at times of which one comes every ten seconds on average. They are the
/// same in each run.
fn short_streams() -> Vec<TcpSpec> {
    let mut random = Pcg32::seed_from_u64(57);
    let mut at = 0.0;
    (0..10)
        .map(|_| {
            at += -10.0 * (1.0 - random.random::<f64>()).ln();
            let bytes = Some(random.random_range(100_000..=1_000_000));
            TcpSpec { control: "cubic", starts: Duration::from_secs_f64(at.min(280.0)), bytes }
        })
        .collect()
}

/// From which second on, and Mb/s.
type Rates = [(f64, f64)];

impl Case {
    pub(super) fn several() -> Result<Vec<Self>> {
        let fair = |least: f64| Goals { jain: Some(least), ..Goals::default() };
        let beside_tcp = |control: &'static str| -> Result<Self> {
            let about = format!("2 Mb/s, a call that comes to a stream of TCP ({control})");
            let goals = Goals { tcp_share: Some([35.0, 65.0]), ..Goals::default() };
            let case =
                Self::shared(&format!("5.6-{control}"), &about, &TWO, 120, vec![CallSpec::at(5.0)], goals)?;
            Ok(Self { tcp: vec![TcpSpec::long(control)], compared: Some([30.0, 119.0]), ..case })
        };

        let rates = [(0.0, 4.0), (25.0, 2.0), (50.0, 3.5), (75.0, 1.0), (100.0, 2.0)];
        let about = "4.0, 2.0, 3.5, 1.0, 2.0 Mb/s, two calls";
        let two = Self::shared("5.2", about, &rates, 125, vec![CallSpec::default(); 2], fair(0.95))?;
        let two = Self { compared: Some([30.0, 124.0]), ..two };

        let calls = [0.0, 20.0, 40.0].map(CallSpec::at).to_vec();
        let three =
            Self::shared("5.4", "3.5 Mb/s, three calls, 20 s apart", &[(0.0, 3.5)], 120, calls, fair(0.95))?;
        let three = Self { compared: Some([80.0, 119.0]), ..three };

        let calls = (0..5).zip([10, 25, 50, 100, 150]).map(|(number, delay)| CallSpec {
            farther: Duration::from_millis(delay),
            ..CallSpec::at(f64::from(number) * 10.0)
        });
        let about = "4.0 Mb/s, five calls, 10 to 150 ms one way, 10 s apart";
        let five = Self::shared("5.5", about, &[(0.0, 4.0)], 300, calls.collect(), fair(0.9))?;
        let there = five.there.to_builder().delay(Duration::ZERO).build()?;
        let back = five.back.to_builder().delay(Duration::ZERO).build()?;
        let five = Self { compared: Some([200.0, 299.0]), there, back, ..five };

        let about = "2 Mb/s, two calls and ten short streams of TCP (CUBIC)";
        let short = Self::shared("5.7", about, &TWO, 300, vec![CallSpec::at(5.0); 2], Goals::default())?;
        let short = Self { tcp: short_streams(), compared: Some([30.0, 299.0]), ..short };

        let mut calls = vec![CallSpec::default(); 3];
        calls[1].pause = Some([40, 60].map(Duration::from_secs));
        let about = "3.5 Mb/s, three calls, one without pictures from 40 to 60 s";
        let paused = Self::shared("5.8", about, &[(0.0, 3.5)], 120, calls, fair(0.95))?;
        let paused = Self { compared: Some([80.0, 119.0]), ..paused };

        Ok(vec![
            two,
            Self::both_ways()?,
            three,
            five,
            beside_tcp("cubic")?,
            beside_tcp("reno")?,
            short,
            paused,
        ])
    }

    fn shared(
        name: &str,
        about: &str,
        rates: &Rates,
        lasts: u64,
        calls: Vec<CallSpec>,
        goals: Goals,
    ) -> Result<Self> {
        let about = format!("{about} (RFC 8867)");
        let case = Self::new(Group::Several, name.to_owned(), about, rates, |way| way)?;
        Ok(Self { lasts: Duration::from_secs(lasts), calls, goals, ..case })
    }

    /// Section 5.3: a call each way, and both ways shrink.
    fn both_ways() -> Result<Self> {
        let there = [(0.0, 2.0), (20.0, 1.0), (40.0, 0.5), (60.0, 2.0)];
        let calls = vec![CallSpec::default(), CallSpec { back: true, ..CallSpec::default() }];
        let about = "2.0, 1.0, 0.5, 2.0 Mb/s there and 2.0, 0.8, 2.0 Mb/s back, a call each way";
        let case = Self::shared("5.3", about, &there, 100, calls, Goals::default())?;
        let steps = [(35, 2.0), (35, 0.8), (10_000, 2.0)]
            .map(|(lasts, mbps)| (Duration::from_secs(lasts), Some((mbps * 1e6) as u64)));
        let back = case.back.to_builder().rate(RateSchedule::holding(steps)).build()?;
        Ok(Self { back, ..case })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_compares_while_all_of_its_calls_last() {
        for case in Case::several().unwrap() {
            let Some([from, to]) = case.compared else { continue };
            assert!(to < case.lasts.as_secs_f64(), "{}", case.name);
            let settled = case.calls.iter().map(|call| call.pause.map_or(call.starts, |[_, end]| end)).max();
            assert!(settled.unwrap().as_secs_f64() + 15.0 <= from, "{}", case.name);
        }
    }

    #[test]
    fn short_streams_are_the_same_each_time_and_over_in_time() {
        let streams = short_streams();
        assert!(streams.iter().all(|stream| stream.starts <= Duration::from_secs(280)));
        assert!(streams.windows(2).all(|pair| pair[0].starts <= pair[1].starts));
        let again = short_streams();
        assert!(streams.iter().zip(&again).all(|(one, other)| one.bytes == other.bytes));
    }
}
