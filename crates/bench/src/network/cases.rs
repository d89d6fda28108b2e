//! What the links do: RFC 8867 section 5.1, and what RFC 8868 recommends of losses, delays and queues.

use std::time::Duration;

use ahoy_testkit::{LinkConfig, LinkConfigBuilder, Loss, RateSchedule};
use anyhow::{Result, bail};

/// What is asked of a case.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Goals {
    /// Percent of what the link carries, at least.
    pub(crate) utilisation: Option<f64>,
    /// Milliseconds, at most.
    pub(crate) steady_queue: Option<f64>,
    /// Seconds, at most.
    pub(crate) rise: Option<f64>,
    /// Milliseconds, at most.
    pub(crate) after_drop: Option<f64>,
    /// Percent, at most.
    pub(crate) lost: Option<f64>,
    pub(crate) freezes: Option<f64>,
    /// Percent, at most.
    pub(crate) concealed: Option<f64>,
}

/// A link, and for how long a call goes over it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) lasts: Duration,
    /// From which second on, and Mb/s.
    pub(crate) rates: Vec<(f64, f64)>,
    queue: Duration,
    delay: Duration,
    loss: Loss,
    pub(crate) goals: Goals,
}

const QUEUE: Duration = Duration::from_millis(300);
const DELAY: Duration = Duration::from_millis(50);
/// RFC 8868 section 4.5: three standard deviations of 5 ms.
const JITTER: Duration = Duration::from_millis(15);
/// By how much `--quick` makes time run faster.
const QUICK: f64 = 5.0;

impl Case {
    fn new(name: &str, seconds: f64, rates: &[(f64, f64)]) -> Self {
        Self {
            name: name.to_owned(),
            lasts: Duration::from_secs_f64(seconds),
            rates: rates.to_vec(),
            queue: QUEUE,
            delay: DELAY,
            loss: Loss::None,
            goals: Goals::default(),
        }
    }

    /// RFC 8867 section 5.1, and its delay of 100 ms.
    fn variable(name: &str, delay: Duration) -> Self {
        let goals = Goals {
            utilisation: Some(92.0),
            steady_queue: Some(25.0),
            rise: Some(4.0),
            after_drop: Some(50.0),
            lost: Some(0.5),
            freezes: Some(0.0),
            concealed: None,
        };
        let rates = [(0.0, 1.0), (40.0, 2.5), (60.0, 0.6), (80.0, 1.0)];
        Self { goals, delay, ..Self::new(name, 100.0, &rates) }
    }

    fn lossy(name: String, loss: Loss, queue: Duration) -> Self {
        let ten = matches!(loss, Loss::Random { p } if (p - 0.1).abs() < 1e-9);
        let goals = match ten {
            // Of what losses leave, 90 %.
            true => Goals {
                utilisation: Some(81.0),
                freezes: Some(0.0),
                concealed: Some(1.0),
                ..Goals::default()
            },
            false => Goals::default(),
        };
        Self { goals, loss, queue, ..Self::new(&name, 60.0, &[(0.0, 2.0)]) }
    }

    fn all() -> Vec<Self> {
        let ms = Duration::from_millis;
        let mut all = vec![Self::variable("5.1", DELAY), Self::variable("5.1-100ms", ms(100))];
        for percent in [1_u32, 5, 10, 20] {
            let p = f64::from(percent) / 100.0;
            all.push(Self::lossy(format!("loss-{percent}"), Loss::Random { p }, QUEUE));
        }
        all.push(Self::lossy("loss-10-queue-70".into(), Loss::Random { p: 0.1 }, ms(70)));
        all.push(Self::lossy("bursts-5".into(), Loss::Burst { p: 0.05, mean_run: 4.0 }, QUEUE));
        for queue in [70, 400, 1_500] {
            let case = Self::variable(&format!("5.1-queue-{queue}"), DELAY);
            all.push(Self { queue: ms(queue), ..case });
        }
        for delay in [0, 150] {
            let case = Self::new(&format!("delay-{delay}"), 60.0, &[(0.0, 2.0)]);
            all.push(Self { delay: ms(delay), ..case });
        }
        all
    }

    /// Those with these names, or all. `quick` takes the first alone, with everything happening faster.
    pub(crate) fn chosen(names: &[String], quick: bool) -> Result<Vec<Self>> {
        let all = Self::all();
        if let Some(unknown) = names.iter().find(|name| all.iter().all(|case| case.name != **name)) {
            let known: Vec<&str> = all.iter().map(|case| case.name.as_str()).collect();
            bail!("there is no case {unknown}; there are {}", known.join(", "));
        }
        let chosen = all.into_iter().filter(|case| names.is_empty() || names.contains(&case.name));
        Ok(match quick {
            true => chosen.take(1).map(Self::faster).collect(),
            false => chosen.collect(),
        })
    }

    fn faster(self) -> Self {
        Self {
            name: format!("{}, {QUICK} times as fast", self.name),
            lasts: self.lasts.div_f64(QUICK),
            rates: self.rates.iter().map(|(from, mbps)| (from / QUICK, *mbps)).collect(),
            // They are those of the case as it is.
            goals: Goals::default(),
            ..self
        }
    }

    /// The way there and the way back.
    pub(crate) fn links(&self, seed: u64) -> Result<(LinkConfig, LinkConfig)> {
        let until = |index: usize| self.rates.get(index + 1).map_or(10_000.0, |(from, _)| *from);
        let steps = self.rates.iter().enumerate().map(|(index, (from, mbps))| {
            (Duration::from_secs_f64(until(index) - from), Some((mbps * 1e6) as u64))
        });
        let way = |seed: u64| -> LinkConfigBuilder {
            LinkConfig::builder().delay(self.delay).half_normal_jitter(JITTER).loss(self.loss).seed(seed)
        };
        let there = way(seed).rate(RateSchedule::holding(steps)).queue(self.queue).build()?;
        Ok((there, way(seed + 1_000).build()?))
    }
}
