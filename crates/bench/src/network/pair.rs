//! Who calls whom.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The sending and the receiving end of a call.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
pub(crate) enum Pair {
    /// Ahoy calls itself.
    #[serde(rename = "ours")]
    #[value(name = "ours")]
    OursOurs,
    /// Chromium calls itself.
    #[serde(rename = "chromium")]
    #[value(name = "chromium")]
    ChromiumChromium,
    /// Ahoy sends, Chromium receives.
    #[serde(rename = "ours-chromium")]
    #[value(name = "ours-chromium")]
    OursChromium,
    /// Chromium sends, Ahoy receives.
    #[serde(rename = "chromium-ours")]
    #[value(name = "chromium-ours")]
    ChromiumOurs,
}

impl Pair {
    /// As on the command line and in the store.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Pair::OursOurs => "ours",
            Pair::ChromiumChromium => "chromium",
            Pair::OursChromium => "ours-chromium",
            Pair::ChromiumOurs => "chromium-ours",
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pair::OursOurs => "Ahoy",
            Pair::ChromiumChromium => "Chromium",
            Pair::OursChromium => "Ahoy to Chromium",
            Pair::ChromiumOurs => "Chromium to Ahoy",
        })
    }
}

/// The pairs in the order in which they have their run of this number: who was last is first the next time, so that neither
/// always has the machine as the other leaves it.
pub(crate) fn in_turn(pairs: &[Pair], run: u32) -> Vec<Pair> {
    let mut pairs = pairs.to_vec();
    if run.is_multiple_of(2) {
        pairs.reverse();
    }
    pairs
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_pair_has_one_name_everywhere() {
        for pair in Pair::value_variants() {
            assert_eq!(pair.to_possible_value().unwrap().get_name(), pair.name());
            assert_eq!(serde_json::to_value(pair).unwrap(), pair.name());
        }
    }

    #[test]
    fn who_goes_first_alternates() {
        let pairs = [Pair::OursOurs, Pair::ChromiumChromium];
        let order: Vec<Pair> = (1..=4).flat_map(|run| in_turn(&pairs, run)).collect();
        let [ours, theirs] = pairs;
        assert_eq!(order, [ours, theirs, theirs, ours, ours, theirs, theirs, ours]);
    }
}
