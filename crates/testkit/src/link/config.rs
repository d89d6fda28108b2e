//! What a link does to packets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::schedule::RateSchedule;

/// Which packets vanish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each one with the same probability.
    Random {
        /// Share of lost packets, 0 to 1.
        p: f64,
    },
    /// Runs of packets: the two-state model of Gilbert (1960), in whose bad state every packet is lost.
    Burst {
        /// Share of lost packets over a long time, 0 to less than 1.
        p: f64,
        /// Mean number of packets lost in a row, at least 1.
        mean_run: f64,
    },
}

/// How the delay varies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JitterShape {
    /// Evenly, up and down.
    #[default]
    Even,
    /// Upwards, as half of a normal distribution that is cut off at three standard deviations: the recommendation of RFC 8868
    /// section 4.5, with a standard deviation of a third of the jitter.
    HalfNormal,
}

/// Packets that others overtake.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// Share of packets held back, 0 to 1.
    pub p: f64,
    /// How much later than the rest a chosen packet arrives.
    #[serde(with = "millis", rename = "hold_ms")]
    pub hold: Duration,
}

/// Why a [`LinkConfig`] was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LinkConfigError {
    /// A probability is not one.
    #[error("{name} of {value} can't be used: choose a share from 0 to 1, for example 0.05 for 5 %")]
    Share {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The two-state model cannot lose this much in runs this short.
    #[error(
        "bursts of {mean_run} packets on average can't lose {p} of all packets: choose runs of at least {least:.2} packets"
    )]
    Burst {
        /// The share asked for.
        p: f64,
        /// The mean run asked for.
        mean_run: f64,
        /// The shortest mean run with which the share is possible.
        least: f64,
    },
    /// The delay cannot vary by more than itself.
    #[error(
        "a jitter of {jitter:?} can't be used with a delay of {delay:?}: the delay varies up and down by the jitter, so make \
         it at least as long"
    )]
    Jitter {
        /// The delay.
        delay: Duration,
        /// The jitter.
        jitter: Duration,
    },
    /// A step of the schedule is shorter than the clock's resolution.
    #[error("step {0} of the rate schedule lasts less than a microsecond: give it a duration")]
    EmptyStep(usize),
    /// Nothing ever passes.
    #[error(
        "the rate schedule never lets anything through: give it a rate above 0, or block the link instead"
    )]
    NoRate,
}

/// A checked description of one direction of a link. [`LinkConfig::default`] passes everything on at once.
///
/// As text (serde) all durations are in milliseconds and all keys are optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LinkConfigBuilder", into = "LinkConfigBuilder")]
pub struct LinkConfig {
    settings: LinkConfigBuilder,
}

impl LinkConfig {
    /// Starts a description of a link without any impairment.
    pub fn builder() -> LinkConfigBuilder {
        LinkConfigBuilder::default()
    }

    /// This description, to be changed.
    pub fn to_builder(&self) -> LinkConfigBuilder {
        self.settings.clone()
    }

    /// The bottleneck's rate over time.
    pub fn rate(&self) -> &RateSchedule {
        &self.settings.rate
    }

    /// The longest time that a packet waits for its transmission to begin; one that would wait longer is dropped.
    pub fn queue(&self) -> Duration {
        self.settings.queue
    }

    /// One-way propagation delay.
    pub fn delay(&self) -> Duration {
        self.settings.delay
    }

    /// By how much the delay varies up and down.
    pub fn jitter(&self) -> Duration {
        self.settings.jitter
    }

    /// How the delay varies by that much.
    pub fn jitter_shape(&self) -> JitterShape {
        self.settings.jitter_shape
    }

    /// Whether packets stay in order in spite of the jitter.
    pub fn keeps_order(&self) -> bool {
        self.settings.keep_order
    }

    /// Which packets vanish.
    pub fn loss(&self) -> Loss {
        self.settings.loss
    }

    /// Which packets others overtake.
    pub fn reorder(&self) -> Option<Reorder> {
        self.settings.reorder
    }

    /// Share of packets that arrive twice.
    pub fn duplicate(&self) -> f64 {
        self.settings.duplicate
    }

    /// Where the random decisions start.
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }
}

impl TryFrom<LinkConfigBuilder> for LinkConfig {
    type Error = LinkConfigError;

    fn try_from(settings: LinkConfigBuilder) -> Result<Self, LinkConfigError> {
        settings.build()
    }
}

impl From<LinkConfig> for LinkConfigBuilder {
    fn from(config: LinkConfig) -> Self {
        config.settings
    }
}

/// A [`LinkConfig`] in the making, not yet checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkConfigBuilder {
    rate: RateSchedule,
    #[serde(with = "millis", rename = "queue_ms")]
    queue: Duration,
    #[serde(with = "millis", rename = "delay_ms")]
    delay: Duration,
    #[serde(with = "millis", rename = "jitter_ms")]
    jitter: Duration,
    jitter_shape: JitterShape,
    keep_order: bool,
    loss: Loss,
    #[serde(skip_serializing_if = "Option::is_none")]
    reorder: Option<Reorder>,
    duplicate: f64,
    seed: u64,
}

impl Default for LinkConfigBuilder {
    fn default() -> Self {
        Self {
            rate: RateSchedule::UNLIMITED,
            // RFC 8867 section 4.2 (maximum queue of the common link parameters).
            queue: Duration::from_millis(300),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_shape: JitterShape::Even,
            keep_order: true,
            loss: Loss::None,
            reorder: None,
            duplicate: 0.0,
            seed: 1,
        }
    }
}

impl LinkConfigBuilder {
    /// A constant rate in bits per second.
    pub fn bps(self, bps: u64) -> Self {
        self.rate(RateSchedule::constant(bps))
    }

    /// The rate over time. The schedule starts when the link starts or is reconfigured.
    pub fn rate(mut self, rate: RateSchedule) -> Self {
        self.rate = rate;
        self
    }

    /// The longest time that a packet waits for its transmission to begin (drop-tail), at the rate at its arrival;
    /// 300 ms unless set. Without a rate limit nothing waits.
    pub fn queue(mut self, longest_wait: Duration) -> Self {
        self.queue = longest_wait;
        self
    }

    /// One-way propagation delay.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Varies the delay evenly from `delay - jitter` to `delay + jitter`.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Makes packets late by up to `most`, most of them by little: see [`JitterShape::HalfNormal`].
    pub fn half_normal_jitter(mut self, most: Duration) -> Self {
        (self.jitter, self.jitter_shape) = (most, JitterShape::HalfNormal);
        self
    }

    /// Lets the jitter change the order of packets. Otherwise a packet never overtakes one sent before it.
    pub fn jitter_reorders(mut self) -> Self {
        self.keep_order = false;
        self
    }

    /// Which packets vanish. Lost ones take none of the bottleneck's rate.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Loses the given share of packets at random.
    pub fn random_loss(self, p: f64) -> Self {
        self.loss(Loss::Random { p })
    }

    /// Loses the given share of packets in runs of the given mean length.
    pub fn burst_loss(self, p: f64, mean_run: f64) -> Self {
        self.loss(Loss::Burst { p, mean_run })
    }

    /// Lets the share `p` of packets arrive `hold` late, so that others overtake them.
    pub fn reorder(mut self, p: f64, hold: Duration) -> Self {
        self.reorder = Some(Reorder { p, hold });
        self
    }

    /// Lets the share `p` of packets arrive twice.
    pub fn duplicate(mut self, p: f64) -> Self {
        self.duplicate = p;
        self
    }

    /// Where the random decisions start: the same seed and packets give the same fates. 1 unless set.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the description.
    pub fn build(self) -> Result<LinkConfig, LinkConfigError> {
        let share = |name, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(LinkConfigError::Share { name, value }),
        };
        match self.loss {
            Loss::None => {}
            Loss::Random { p } => share("a loss", p)?,
            Loss::Burst { p, mean_run } => {
                share("a loss", p)?;
                let least = (p / (1.0 - p)).max(1.0);
                if !(mean_run >= least && mean_run.is_finite()) {
                    return Err(LinkConfigError::Burst { p, mean_run, least });
                }
            }
        }
        share("a reordered share", self.reorder.map_or(0.0, |reorder| reorder.p))?;
        share("a duplicated share", self.duplicate)?;
        if self.jitter_shape == JitterShape::Even && self.jitter > self.delay {
            return Err(LinkConfigError::Jitter { delay: self.delay, jitter: self.jitter });
        }
        let steps = &self.rate.steps;
        if let Some(empty) = steps.iter().position(|step| step.lasts < Duration::from_micros(1)) {
            return Err(LinkConfigError::EmptyStep(empty));
        }
        if !steps.is_empty() && steps.iter().all(|step| step.bps == Some(0)) {
            return Err(LinkConfigError::NoRate);
        }
        Ok(LinkConfig { settings: self })
    }
}

/// Durations as milliseconds with a fraction.
pub(super) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::link) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64() * 1e3)
    }

    pub(in crate::link) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(from)?;
        Duration::try_from_secs_f64(millis / 1e3)
            .map_err(|_| D::Error::custom(format!("{millis} is not a duration in milliseconds from 0")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_described_in_json_with_only_what_differs() {
        let text = r#"{
            "rate": { "steps": [{ "lasts_ms": 2000, "bps": 1000000 }, { "lasts_ms": 500.5 }], "after": "repeat" },
            "delay_ms": 50, "jitter_ms": 5, "loss": { "kind": "burst", "p": 0.05, "mean_run": 4 }
        }"#;
        let config: LinkConfig = serde_json::from_str(text).unwrap();
        let expected = LinkConfig::builder()
            .rate(RateSchedule::repeating([
                (Duration::from_secs(2), Some(1_000_000)),
                (Duration::from_micros(500_500), None),
            ]))
            .delay(Duration::from_millis(50))
            .jitter(Duration::from_millis(5))
            .burst_loss(0.05, 4.0)
            .build()
            .unwrap();
        assert_eq!(config, expected);
        let again: LinkConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn text_that_describes_no_possible_link_is_refused() {
        let refusal = |text: &str| serde_json::from_str::<LinkConfig>(text).unwrap_err().to_string();
        assert!(refusal(r#"{ "dealy_ms": 5 }"#).contains("dealy_ms"));
        assert!(refusal(r#"{ "delay_ms": -5 }"#).contains("-5"));
        assert!(refusal(r#"{ "duplicate": 2 }"#).contains("from 0 to 1"));
        assert!(refusal(r#"{ "jitter_ms": 5 }"#).contains("at least as long"));
    }

    #[test]
    fn impossible_settings_are_refused_with_what_to_do() {
        let refused = |builder: LinkConfigBuilder| builder.build().unwrap_err();
        assert!(matches!(
            refused(LinkConfig::builder().random_loss(f64::NAN)),
            LinkConfigError::Share { .. }
        ));
        assert!(matches!(
            refused(LinkConfig::builder().burst_loss(0.9, 2.0)),
            LinkConfigError::Burst { least, .. } if (least - 9.0).abs() < 1e-9
        ));
        assert!(matches!(refused(LinkConfig::builder().burst_loss(1.0, 2.0)), LinkConfigError::Burst { .. }));
        assert_eq!(refused(LinkConfig::builder().bps(0)), LinkConfigError::NoRate);
        let step = RateSchedule::holding([(Duration::ZERO, None)]);
        assert_eq!(refused(LinkConfig::builder().rate(step)), LinkConfigError::EmptyStep(0));
    }
}
