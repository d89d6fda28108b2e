//! How far the median of a few runs can be trusted: the percentile bootstrap (Efron 1979).

use rand::RngExt;
use rand_pcg::Pcg32;

use crate::output::median;

/// From and to.
pub(crate) type Interval = [f64; 2];

/// Enough for the ends of an interval of 95 % to stay where they are within a hundredth of its width.
const RESAMPLES: usize = 2_000;
/// Any; a fixed one, so that the same runs give the same interval.
const SEED: u64 = 1;
/// What lies outside at each side.
const TAIL: f64 = 0.025;

/// In which interval the median of all runs that there could be lies, with 95 % confidence; `None` of fewer than two.
///
/// With five runs that is from the least to the greatest of them: three of five drawn are the least one often enough.
pub(crate) fn of_median(values: &[f64]) -> Option<Interval> {
    bootstrap(values, median)
}

/// The same of the ratio of two medians, where runs belong together in pairs: a pair is drawn as a whole, so that what hit
/// both sides, such as a slow hour of the machine, cancels out.
pub(crate) fn of_ratio(pairs: &[(f64, f64)]) -> Option<Interval> {
    bootstrap(pairs, |drawn| {
        let [ours, peer]: [Vec<f64>; 2] =
            [drawn.iter().map(|(ours, _)| *ours).collect(), drawn.iter().map(|(_, peer)| *peer).collect()];
        let peer = median(&peer).filter(|peer| *peer != 0.0)?;
        Some(median(&ours)? / peer)
    })
}

/// `None` as well where a figure of what is drawn can't be told.
fn bootstrap<T: Copy>(values: &[T], figure: impl Fn(&[T]) -> Option<f64>) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let mut random = Pcg32::new(SEED, 1);
    let mut figures: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<T> = values.iter().map(|_| values[random.random_range(0..values.len())]).collect();
            figure(&drawn)
        })
        .collect::<Option<_>>()?;
    figures.sort_by(f64::total_cmp);
    let at = |share: f64| figures[((RESAMPLES - 1) as f64 * share).round() as usize];
    Some([at(TAIL), at(1.0 - TAIL)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_runs_give_the_same_interval_and_it_holds_the_median() {
        let values: Vec<f64> = (0..21).map(|n| f64::from(n * n % 21)).collect();
        let [low, high] = of_median(&values).unwrap();
        assert_eq!(of_median(&values), Some([low, high]));
        let middle = median(&values).unwrap();
        assert!(low < middle && middle < high && high - low < 14.0, "{low} {middle} {high}");
    }

    #[test]
    fn more_runs_make_it_narrower() {
        let width = |count: u32| {
            let values: Vec<f64> = (0..count).map(|n| f64::from(n * 37 % 101)).collect();
            of_median(&values).map(|[low, high]| high - low).unwrap()
        };
        assert!(width(100) < width(20) && width(20) < width(5), "{} {} {}", width(100), width(20), width(5));
    }

    #[test]
    fn of_five_runs_it_is_from_the_least_to_the_greatest() {
        assert_eq!(of_median(&[3.0, 1.0, 5.0, 2.0, 4.0]), Some([1.0, 5.0]));
    }

    #[test]
    fn one_run_tells_nothing_of_the_next() {
        assert_eq!(of_median(&[1.0]), None);
        assert_eq!(of_median(&[]), None);
        assert_eq!(of_ratio(&[(1.0, 2.0)]), None);
    }

    #[test]
    fn what_hits_both_sides_of_a_pair_cancels_out() {
        let pairs: Vec<(f64, f64)> = (1..8).map(|hour| (f64::from(hour) * 3.0, f64::from(hour))).collect();
        assert_eq!(of_ratio(&pairs), Some([3.0, 3.0]));
        assert_eq!(of_ratio(&[(1.0, 0.0), (2.0, 0.0)]), None, "nothing is a multiple of nothing");
    }
}
