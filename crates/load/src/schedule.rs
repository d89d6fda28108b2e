//! When which user says what. Settled before anything is sent, so a slow server can't slow its own load down.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// How requests lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Spacing {
    /// As of many people who don't know of each other: bunched at times.
    Poisson,
    /// All the same distance apart.
    Even,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saying {
    /// A line of chat.
    Chat,
    /// The tracks that one sends.
    State,
}

/// A request that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Due {
    /// When, from the schedule's start.
    pub(crate) at: Duration,
    /// By which of the users.
    pub(crate) user: usize,
    /// What.
    pub(crate) saying: Saying,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speakers {
    /// The number of the first; those before say nothing.
    pub(crate) from: usize,
    /// The number after the last.
    pub(crate) to: usize,
    /// The first so many say more than others.
    pub(crate) eager: usize,
    /// Their share of all requests, 0 to 1.
    pub(crate) eager_share: f64,
}

impl Speakers {
    /// All alike.
    pub(crate) fn alike(users: usize) -> Self {
        Self { from: 0, to: users, eager: 0, eager_share: 0.0 }
    }
}

/// An endless sequence of requests.
#[derive(Debug)]
pub(crate) struct Schedule {
    spacing: Spacing,
    rate: f64,
    speakers: Speakers,
    random: Pcg64Mcg,
    sent: u64,
    seconds: f64,
}

impl Schedule {
    /// `rate` requests a second. The same seed gives the same schedule.
    pub(crate) fn new(spacing: Spacing, rate: f64, speakers: Speakers, seed: u64) -> Self {
        Self { spacing, rate, speakers, random: Pcg64Mcg::seed_from_u64(seed), sent: 0, seconds: 0.0 }
    }

    fn user(&mut self) -> usize {
        let Speakers { from, to, eager, eager_share } = self.speakers;
        let others_from = (from + eager).min(to);
        match others_from == to || (eager > 0 && self.random.random::<f64>() < eager_share) {
            true => self.random.random_range(from..others_from),
            false => self.random.random_range(others_from..to),
        }
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        self.sent += 1;
        self.seconds = match self.spacing {
            Spacing::Even => self.sent as f64 / self.rate,
            // Gaps of a Poisson process are exponential. 1 - [0, 1) is never 0.
            Spacing::Poisson => self.seconds - (1.0 - self.random.random::<f64>()).ln() / self.rate,
        };
        let user = self.user();
        let saying = if self.random.random::<bool>() { Saying::Chat } else { Saying::State };
        Some(Due { at: Duration::from_secs_f64(self.seconds), user, saying })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(spacing: Spacing, speakers: Speakers, seconds: u64) -> Vec<Due> {
        let end = Duration::from_secs(seconds);
        Schedule::new(spacing, 1_000.0, speakers, 7).take_while(|due| due.at <= end).collect()
    }

    #[test]
    fn both_spacings_keep_the_rate() {
        assert_eq!(first(Spacing::Even, Speakers::alike(10), 20).len(), 20_000);
        let poisson = first(Spacing::Poisson, Speakers::alike(10), 20).len();
        // The number is Poisson distributed: its deviation is the root of 20,000, which is 141.
        assert!((19_400..20_600).contains(&poisson), "{poisson}");
    }

    #[test]
    fn gaps_of_poisson_vary_as_much_as_they_are_long() {
        let dues = first(Spacing::Poisson, Speakers::alike(10), 20);
        let gaps: Vec<f64> = dues.windows(2).map(|two| (two[1].at - two[0].at).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.95..1.05).contains(&(variance.sqrt() / mean)), "{}", variance.sqrt() / mean);
    }

    #[test]
    fn a_schedule_never_goes_back_and_knows_only_its_users() {
        for spacing in [Spacing::Even, Spacing::Poisson] {
            let dues = first(spacing, Speakers::alike(3), 5);
            assert!(dues.windows(2).all(|two| two[0].at <= two[1].at));
            assert!((0..3).all(|user| dues.iter().any(|due| due.user == user)));
            assert!(dues.iter().all(|due| due.user < 3));
            let chats = dues.iter().filter(|due| due.saying == Saying::Chat).count();
            assert!((4 * dues.len() / 10..6 * dues.len() / 10).contains(&chats), "{chats}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let speakers = Speakers::alike(10);
        assert_eq!(first(Spacing::Poisson, speakers, 1), first(Spacing::Poisson, speakers, 1));
    }

    #[test]
    fn eager_users_get_their_share() {
        let speakers = Speakers { from: 1, to: 100, eager: 9, eager_share: 0.3 };
        let dues = first(Spacing::Even, speakers, 20);
        let eager = dues.iter().filter(|due| due.user < 10).count();
        assert!((5_700..6_300).contains(&eager), "{eager}");
        assert!(dues.iter().all(|due| (1..100).contains(&due.user)));
        let only = Speakers { from: 0, to: 4, eager: 4, eager_share: 0.5 };
        assert!(first(Spacing::Even, only, 1).iter().all(|due| due.user < 4));
    }
}
