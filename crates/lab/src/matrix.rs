//! Which pairs are tried, and how many at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ahoy_testkit::lab::nat::{Kind, NatLab, UnknownKind};

use crate::pair::{self, Outcome};
use crate::say;
use crate::server::Server;

/// With more calls at the same time a machine of two cores is too slow for real time.
pub(crate) const MOST_JOBS: i64 = 2;

/// One pair for each of the reasons why a call comes about one way or the other.
const QUICK: [(Kind, Kind); 13] = [
    (Kind::Open, Kind::Open),
    (Kind::FullCone, Kind::Symmetric),
    (Kind::AddressRestricted, Kind::Symmetric),
    (Kind::PortRestricted, Kind::PortRestricted),
    (Kind::PortRestricted, Kind::Symmetric),
    (Kind::PortRestricted, Kind::Cgnat),
    (Kind::Symmetric, Kind::Symmetric),
    (Kind::Open, Kind::UdpBlocked),
    (Kind::PortRestricted, Kind::Tcp443Only),
    (Kind::PortRestricted, Kind::ProxyOnly),
    (Kind::Open, Kind::Ipv6Only),
    (Kind::Ipv6Only, Kind::Ipv6Only),
    (Kind::DualStackDeadV6, Kind::DualStack),
];

/// Which pairs.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Choice {
    /// One pair for each of the reasons why calls come about: under a minute if all do
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only pairs of these kinds of network
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',', conflicts_with = "quick")]
    pub(crate) only: Vec<Kind>,

    /// Only this pair; may be given several times
    #[arg(long, value_name = "KIND:KIND", value_parser = both, conflicts_with_all = ["quick", "only"])]
    pub(crate) pair: Vec<(Kind, Kind)>,
}

impl Choice {
    /// The pairs that are chosen: all, if nothing is said.
    pub(crate) fn pairs(&self) -> Vec<(Kind, Kind)> {
        if self.quick {
            return QUICK.to_vec();
        }
        if !self.pair.is_empty() {
            return self.pair.clone();
        }
        let is_wanted = |kind: &Kind| self.only.is_empty() || self.only.contains(kind);
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(is_wanted).collect();
        let pairs = kinds.iter().enumerate();
        pairs.flat_map(|(first, a)| kinds[first..].iter().map(|b| (*a, *b))).collect()
    }
}

fn both(text: &str) -> Result<(Kind, Kind), UnknownKind> {
    let (a, b) = text.split_once(':').unwrap_or((text, text));
    Ok((a.parse()?, b.parse()?))
}

/// Calls at the same time, unless told otherwise.
pub(crate) fn jobs() -> i64 {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) { MOST_JOBS } else { 1 }
}

/// Tries all pairs. The outcomes are in their order.
pub(crate) async fn run(lab: &NatLab, server: &Server, pairs: &[(Kind, Kind)], jobs: i64) -> Vec<Outcome> {
    let queue: Mutex<VecDeque<_>> = Mutex::new(pairs.iter().copied().enumerate().collect());
    let done = AtomicUsize::new(0);
    let work = || async {
        let mut outcomes = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((number, pair)) = next else { return outcomes };
            let outcome = pair::call(lab, server, pair, number).await;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            say(&format!("[{done:2}/{}] {outcome}", pairs.len()));
            outcomes.push((number, outcome));
        }
    };
    let mut outcomes = match jobs {
        MOST_JOBS => {
            let (one, other) = tokio::join!(work(), work());
            [one, other].concat()
        }
        _ => work().await,
    };
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_is_paired_with_every_one_once() {
        let pairs = Choice::default().pairs();
        let kinds = Kind::ALL.len();
        assert_eq!(pairs.len(), kinds * (kinds + 1) / 2);
        let unordered: BTreeSet<_> = pairs.iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        assert_eq!(unordered.len(), pairs.len());
        assert!(Kind::ALL.iter().all(|kind| pairs.contains(&(*kind, *kind))));
    }

    #[test]
    fn a_quick_look_has_every_kind_of_network() {
        let quick = Choice { quick: true, ..Choice::default() }.pairs();
        assert!(Kind::ALL.iter().all(|kind| quick.iter().any(|(a, b)| a == kind || b == kind)));
    }

    #[test]
    fn what_is_asked_for_is_chosen() {
        let only = Choice { only: vec![Kind::Open, Kind::Cgnat], ..Choice::default() };
        let (open, cgnat) = (Kind::Open, Kind::Cgnat);
        assert_eq!(only.pairs(), [(open, open), (open, cgnat), (cgnat, cgnat)]);
        assert_eq!(both("open:cgnat"), Ok((open, cgnat)));
        assert_eq!(both("cgnat"), Ok((cgnat, cgnat)));
        assert!(both("open:space").is_err());
    }
}
