//! How a measured quantity is spread: percentiles of any number of values in bounded memory.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Significant decimal digits that values are kept with: percentiles are within 0.1 % of a value that was recorded.
const DIGITS: u8 = 3;
/// Steps per unit: values are kept in thousandths, so milliseconds are kept to the microsecond.
const SCALE: f64 = 1000.0;
/// Magnitudes above this are recorded as this in percentiles (an hour in milliseconds): it bounds the memory to about
/// 100 KB per sign, however long the call and whatever the values.
const MAX_MAGNITUDE: f64 = 3_600_000.0;

/// Figures that describe many values, in the unit of those values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many values there were.
    pub count: u64,
    /// Their mean, exact.
    pub mean: f64,
    /// The least of them, exact.
    pub min: f64,
    /// Half of them are at most this.
    pub p50: f64,
    /// 95 % of them are at most this.
    pub p95: f64,
    /// 99 % of them are at most this.
    pub p99: f64,
    /// The greatest of them, exact.
    pub max: f64,
}

/// Gathers values of either sign and tells their percentiles to 0.1 % or one thousandth, whichever is more.
#[derive(Clone, Debug)]
pub struct Spread {
    /// Values from zero up, and magnitudes of those below zero, in thousandths.
    from_zero: Histogram<u32>,
    below_zero: Histogram<u32>,
    sum: f64,
    min: f64,
    max: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Self::new()
    }
}

impl Spread {
    /// A spread without values.
    pub fn new() -> Self {
        let empty = || Histogram::new(DIGITS).expect("three digits are a precision that the histogram takes");
        Self { from_zero: empty(), below_zero: empty(), sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    /// Takes one value in; infinities and NaN are left out.
    pub fn record(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let thousandths = (value.abs().min(MAX_MAGNITUDE) * SCALE).round() as u64;
        let histogram = if value < 0.0 { &mut self.below_zero } else { &mut self.from_zero };
        histogram
            .record(thousandths)
            .expect("the histogram grows up to the magnitude that values are limited to");
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// How many values were taken in.
    pub fn count(&self) -> u64 {
        self.from_zero.len() + self.below_zero.len()
    }

    /// The least recorded value that at least `quantile` (0.0 to 1.0) of all values do not exceed; `None` without values.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((quantile.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let below = self.below_zero.len();
        let value = if rank <= below {
            // Sorted by magnitude, values below zero are in reverse order.
            -at_rank(&self.below_zero, below + 1 - rank)
        } else {
            at_rank(&self.from_zero, rank - below)
        };
        Some(value.clamp(self.min, self.max))
    }

    /// All figures; `None` without values.
    pub fn summary(&self) -> Option<Summary> {
        let count = self.count();
        Some(Summary {
            count,
            mean: self.sum / count as f64,
            min: self.min,
            p50: self.quantile(0.5)?,
            p95: self.quantile(0.95)?,
            p99: self.quantile(0.99)?,
            max: self.max,
        })
    }
}

/// The value at a rank counted from 1.
fn at_rank(histogram: &Histogram<u32>, rank: u64) -> f64 {
    // The middle of the rank's share, so that rounding cannot reach the neighbouring ranks.
    let quantile = (rank as f64 - 0.5) / histogram.len() as f64;
    let value = histogram.value_at_quantile(quantile);
    histogram.median_equivalent(value) as f64 / SCALE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spread(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut spread = Spread::new();
        values.into_iter().for_each(|value| spread.record(value));
        spread
    }

    #[test]
    fn figures_of_one_to_a_thousand() {
        let summary = spread((1..=1000).map(f64::from)).summary().unwrap();
        assert_eq!((summary.count, summary.min, summary.max, summary.mean), (1000, 1.0, 1000.0, 500.5));
        for (got, want) in [(summary.p50, 500.0), (summary.p95, 950.0), (summary.p99, 990.0)] {
            assert!((got - want).abs() <= want / 1000.0, "{got} instead of {want}");
        }
    }

    #[test]
    fn nothing_recorded_has_no_figures() {
        assert_eq!(spread([]).summary(), None);
        assert_eq!(spread([f64::NAN, f64::INFINITY]).summary(), None);
    }

    #[test]
    fn one_value_is_all_of_its_figures() {
        let summary = spread([12.345]).summary().unwrap();
        assert_eq!((summary.p50, summary.p95, summary.max), (12.345, 12.345, 12.345));
    }

    #[test]
    fn an_absurd_value_costs_no_memory_and_shows_as_maximum() {
        let absurd = spread([1.0, 2.0, 1e300]);
        assert_eq!(absurd.summary().unwrap().max, 1e300);
        assert!(absurd.from_zero.buckets() < 50 && absurd.from_zero.distinct_values() < 30_000);
        assert_eq!(absurd.quantile(0.5), Some(2.0));
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values(
            mut values in prop::collection::vec(-500.0..2000.0f64, 1..300), quantile in 0.0..=1.0f64,
        ) {
            let got = spread(values.iter().copied()).quantile(quantile).unwrap();
            values.sort_by(f64::total_cmp);
            let rank = ((quantile * values.len() as f64).ceil() as usize).max(1);
            let want = values[rank - 1];
            prop_assert!((got - want).abs() <= (want.abs() / 1000.0).max(1.0 / SCALE), "{got} instead of {want}");
        }
    }
}
