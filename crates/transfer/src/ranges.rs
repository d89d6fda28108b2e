//! Which chunks of a file there are.

use std::collections::BTreeMap;

/// Numbers as runs: a file that comes more or less in order takes next to nothing, however large it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// The first number of each run, and the one after its last.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Ranges {
    /// All numbers below this one.
    pub fn below(end: u64) -> Self {
        let runs = (end > 0).then_some((0, end)).into_iter().collect();
        Self { runs, count: end }
    }

    /// Takes in a number. Tells whether it was not there.
    pub fn insert(&mut self, number: u64) -> bool {
        let before = self.runs.range(..=number).next_back().map(|(start, end)| (*start, *end));
        if before.is_some_and(|(_, end)| number < end) {
            return false;
        }
        let start = match before {
            Some((start, end)) if end == number => start,
            _ => number,
        };
        let end = self.runs.remove(&(number + 1)).unwrap_or(number + 1);
        self.runs.insert(start, end);
        self.count += 1;
        true
    }

    /// Takes in the numbers from the first one up to, and without, the second.
    pub fn insert_run(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (mut first, mut last) = (start, end);
        let touching = self.runs.range(..=end).rev().take_while(|(_, until)| **until >= start);
        let touching: Vec<(u64, u64)> = touching.map(|(from, until)| (*from, *until)).collect();
        for (from, until) in touching {
            self.runs.remove(&from);
            self.count -= until - from;
            (first, last) = (first.min(from), last.max(until));
        }
        self.runs.insert(first, last);
        self.count += last - first;
    }

    /// Takes out the numbers from the first one up to, and without, the second.
    pub fn remove_run(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let cut = self.runs.range(..end).rev().take_while(|(_, until)| **until > start);
        let cut: Vec<(u64, u64)> = cut.map(|(from, until)| (*from, *until)).collect();
        for (from, until) in cut {
            self.runs.remove(&from);
            self.count -= until - from;
            for (from, until) in [(from, start.max(from)), (end.min(until), until)] {
                if from < until {
                    self.runs.insert(from, until);
                    self.count += until - from;
                }
            }
        }
    }

    /// All numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs(0).flat_map(|(start, end)| start..end)
    }

    /// Takes out a number. Tells whether it was there.
    pub fn remove(&mut self, number: u64) -> bool {
        let found = self.runs.range(..=number).next_back().map(|(start, end)| (*start, *end));
        let Some((start, end)) = found.filter(|(_, end)| number < *end) else { return false };
        self.runs.remove(&start);
        if start < number {
            self.runs.insert(start, number);
        }
        if number + 1 < end {
            self.runs.insert(number + 1, end);
        }
        self.count -= 1;
        true
    }

    /// Whether a number is there.
    pub fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first number from this one on that is not there.
    pub fn first_missing(&self, from: u64) -> u64 {
        match self.runs.range(..=from).next_back() {
            Some((_, end)) if from < *end => *end,
            _ => from,
        }
    }

    /// Runs from this number on, as first number and the one after the last.
    pub fn runs(&self, from: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let inside = self.runs.range(..from).next_back().filter(|(_, end)| from < **end);
        let inside = inside.map(|(_, end)| (from, *end));
        inside.into_iter().chain(self.runs.range(from..).map(|(start, end)| (*start, *end)))
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut ranges = Self::default();
        for number in numbers {
            ranges.insert(number);
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn whole_runs_come_and_go_as_their_numbers_would(
            steps in proptest::collection::vec((0..40_u64, 0..20_u64, proptest::prelude::any::<bool>()), 0..50),
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (start, length, add) in steps {
                match add {
                    true => ranges.insert_run(start, start + length),
                    false => ranges.remove_run(start, start + length),
                }
                for number in start..start + length {
                    _ = if add { set.insert(number) } else { set.remove(&number) };
                }
                proptest::prop_assert_eq!(ranges.len(), set.len() as u64);
                proptest::prop_assert_eq!(&ranges, &set.iter().copied().collect::<Ranges>());
            }
        }

        #[test]
        fn runs_say_the_same_as_a_set_of_numbers(steps in proptest::collection::vec((0..40_u64, proptest::prelude::any::<bool>()), 0..200)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (number, add) in steps {
                match add {
                    true => proptest::prop_assert_eq!(ranges.insert(number), set.insert(number)),
                    false => proptest::prop_assert_eq!(ranges.remove(number), set.remove(&number)),
                }
                proptest::prop_assert_eq!(ranges.len(), set.len() as u64);
                for from in 0..41 {
                    proptest::prop_assert_eq!(ranges.contains(from), set.contains(&from));
                    let missing = (from..).find(|n| !set.contains(n)).unwrap();
                    proptest::prop_assert_eq!(ranges.first_missing(from), missing);
                    let listed: Vec<u64> = ranges.runs(from).flat_map(|(start, end)| start..end).collect();
                    let expected: Vec<u64> = set.range(from..).copied().collect();
                    proptest::prop_assert_eq!(listed, expected);
                }
                let touching = ranges.runs(0).zip(ranges.runs(0).skip(1)).any(|(a, b)| a.1 >= b.0);
                proptest::prop_assert!(!touching, "runs that touch are one: {:?}", ranges);
            }
        }
    }
}
