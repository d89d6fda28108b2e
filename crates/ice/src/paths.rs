//! What is known of each pair of addresses that has worked, and which of them to use: without I/O.
//!
//! ICE says which pair is the best that was found. This says whether it still works, from what is heard and from
//! connectivity checks of its own, and takes another as long as it does not. A pair is
//! - *in doubt* when a check on it is not answered in time; more checks follow quickly;
//! - *dead* when several are not, and nothing is heard either;
//! - alive again as soon as one is answered.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::wire::Pair;

/// A transaction's number (RFC 8489 section 6.1).
pub(crate) type TransactionNumber = [u8; 12];

/// Without a word for this long the pair in use is asked whether it still works. Sound comes every 10 to 20 ms, pictures and
/// reports at least several times a second; on hold the answer costs 200 bytes.
const SILENCE: Duration = Duration::from_millis(200);
/// How often a pair is asked that is heard of, or waits to be used: as often as that NATs keep it (RFC 8445 section 11 asks for
/// 15 s; RFC 7675 section 5.1 for 5 s) and that its round trip is worth showing.
const WARM: Duration = Duration::from_secs(1);
/// Checks in doubt follow at one and a half round trips, but not faster or slower than this.
const DOUBT_LEAST: Duration = Duration::from_millis(100);
const DOUBT_MOST: Duration = Duration::from_millis(500);
/// Checks without an answer after which a silent pair is dead: one may be lost.
const DEAD_AFTER: usize = 2;
/// And how long ago the first of them was, where two round trips are shorter.
const PATIENCE: Duration = Duration::from_millis(200);
/// Checks without an answer after which a pair is dead that something is heard from: nothing gets there, it seems.
const DEAF_AFTER: usize = 8;
/// Checks that a dead pair is asked in haste; then it is asked [`WARM`].
const HASTE: usize = 10;
/// Pairs that are asked: the one in use, and others in its place.
const WARM_MOST: usize = 6;
/// How long a pair must have been alive before media goes back to it.
const SETTLED: Duration = Duration::from_secs(2);
/// Questions remembered. Answers to older ones say too little of now.
const ASKED_MOST: usize = 16;

/// A pair that has worked.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) round_trip: Duration,
    /// Our address as the other side saw it.
    pub(crate) mapped: Option<SocketAddr>,
    /// What it costs beyond its time: less is better.
    cost: u8,
    answered: Instant,
    asked: VecDeque<(TransactionNumber, Instant)>,
    /// When it came back from the dead.
    revived: Option<Instant>,
    dead: bool,
}

impl Path {
    /// Questions without an answer, and when the first of them was asked.
    fn unanswered(&self) -> (usize, Option<Instant>) {
        let open = self.asked.iter().filter(|(_, at)| *at > self.answered);
        (open.clone().count(), open.map(|(_, at)| *at).min())
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    fn last_asked(&self) -> Instant {
        self.asked.back().map_or(self.answered, |(_, at)| *at)
    }

    fn look(&mut self, heard: Option<Instant>, now: Instant) {
        let (count, since) = self.unanswered();
        let waited = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let silent = heard.is_none_or(|heard| now.saturating_duration_since(heard) > SILENCE);
        let patience = PATIENCE.max(self.round_trip * 2);
        let dead = (silent && count >= DEAD_AFTER && waited >= patience)
            || (count >= DEAF_AFTER && waited >= patience.max(WARM));
        if self.dead && !dead {
            self.revived = Some(now);
        }
        self.dead = dead;
    }

    /// When to ask whether it works.
    fn next_question(&self, in_use: bool, heard: Option<Instant>) -> Instant {
        let (count, _) = self.unanswered();
        let last = self.last_asked().max(self.answered);
        match count {
            0 if in_use => {
                let silence = heard.unwrap_or(self.answered).max(self.answered) + SILENCE;
                (last + WARM).min(silence.max(last + SILENCE))
            }
            0 => last + WARM,
            some if some <= HASTE => last + (self.round_trip * 3 / 2).clamp(DOUBT_LEAST, DOUBT_MOST),
            _ => last + WARM,
        }
    }
}

/// Where the other side's media comes from, as far as it says where to send one's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media {
    /// When it came this way last.
    pub(crate) last: Instant,
    /// Since when it has come this way without a pause.
    pub(crate) since: Instant,
}

/// Media that has come by another pair for less than this, while the pair in use is silent, means that the other side has moved:
/// its network has changed, and it knows better. After that what answers is what counts.
const MOVED: Duration = Duration::from_secs(2);
/// Silence of the pair in use that goes with it. Two packets of sound may be late, or on their way by the old pair.
const LEFT: Duration = Duration::from_millis(50);

/// Everything that has worked.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    paths: BTreeMap<Pair, Path>,
    /// Checks on pairs that have not worked yet, to tell their round trip when they do.
    first: VecDeque<(Pair, TransactionNumber, Instant)>,
}

/// Checks on new pairs that are remembered: a dozen candidates on each side, asked twice.
const FIRST_MOST: usize = 512;

impl Paths {
    /// A check was sent.
    pub(crate) fn asked(&mut self, pair: Pair, number: TransactionNumber, now: Instant) {
        match self.paths.get_mut(&pair) {
            Some(path) => {
                if path.asked.len() == ASKED_MOST {
                    path.asked.pop_front();
                }
                path.asked.push_back((number, now));
            }
            None => {
                if self.first.len() == FIRST_MOST {
                    self.first.pop_front();
                }
                self.first.push_back((pair, number, now));
            }
        }
    }

    /// A check was answered. Whether the pair is new.
    pub(crate) fn answered(
        &mut self,
        pair: Pair,
        number: TransactionNumber,
        mapped: Option<SocketAddr>,
        cost: u8,
        now: Instant,
    ) -> bool {
        if let Some(path) = self.paths.get_mut(&pair) {
            let Some((_, at)) = path.asked.iter().find(|(asked, _)| *asked == number) else { return false };
            path.round_trip = now.saturating_duration_since(*at);
            path.answered = now;
            path.mapped = mapped.or(path.mapped);
            return false;
        }
        let Some(index) = self.first.iter().position(|(of, asked, _)| (*of, *asked) == (pair, number)) else {
            return false;
        };
        let at = self.first[index].2;
        self.first.retain(|(of, ..)| *of != pair);
        let path = Path {
            round_trip: now.saturating_duration_since(at),
            mapped,
            cost,
            answered: now,
            asked: VecDeque::new(),
            revived: None,
            dead: false,
        };
        self.paths.insert(pair, path);
        true
    }

    /// The pairs of a local address are no more.
    pub(crate) fn forget_local(&mut self, local: SocketAddr) {
        self.paths.retain(|pair, _| pair.local != local);
        self.first.retain(|(pair, ..)| pair.local != local);
    }

    pub(crate) fn get(&self, pair: &Pair) -> Option<&Path> {
        self.paths.get(pair)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Pair, &Path)> {
        self.paths.iter()
    }

    /// Decides anew what is dead, and which pair to use: the nominated one as long as it works, else the best that does.
    /// `None` where nothing works.
    pub(crate) fn choose(
        &mut self,
        nominated: Option<Pair>,
        in_use: Option<Pair>,
        heard: impl Fn(Pair) -> Option<Instant>,
        now: Instant,
    ) -> Option<Pair> {
        for (pair, path) in &mut self.paths {
            path.look(heard(*pair), now);
        }
        let alive = |pair: &Pair| self.paths.get(pair).is_some_and(|path| !path.dead);
        let shaky = |pair: &Pair| {
            let revived = self.paths.get(pair).and_then(|path| path.revived);
            revived.is_some_and(|at| now.saturating_duration_since(at) < SETTLED)
        };
        let in_use = in_use.filter(|pair| alive(pair));
        match (nominated.filter(|pair| alive(pair)), in_use) {
            (Some(nominated), None) => Some(nominated),
            (Some(nominated), Some(in_use)) if nominated == in_use => Some(nominated),
            (Some(nominated), Some(in_use)) => {
                // Going back to a pair that was dead a moment ago would make media go to and fro.
                let no_worse = self.paths[&in_use].cost <= self.paths[&nominated].cost;
                Some(if shaky(&nominated) && no_worse { in_use } else { nominated })
            }
            (None, in_use) => {
                let best = self.paths.iter().filter(|(_, path)| !path.dead);
                let best = best.min_by_key(|(pair, path)| (path.cost, path.round_trip, **pair));
                let best = best.map(|(pair, path)| (*pair, path.cost));
                match (in_use, best) {
                    (Some(in_use), Some((best, cost))) if cost < self.paths[&in_use].cost => Some(best),
                    (Some(in_use), _) => Some(in_use),
                    (None, best) => best.map(|(pair, _)| pair),
                }
            }
        }
    }

    /// Where the other side has moved to, if it has.
    pub(crate) fn moved(
        &self,
        in_use: Option<Pair>,
        media: impl Fn(Pair) -> Option<Media>,
        now: Instant,
    ) -> Option<Pair> {
        let ago = |at: Instant| now.saturating_duration_since(at);
        let silent = in_use.and_then(&media).is_none_or(|media| ago(media.last) > LEFT);
        let candidates = self.paths.iter().filter(|(_, path)| !path.dead);
        let arriving = candidates.filter_map(|(pair, _)| Some((*pair, media(*pair)?)));
        let moved = arriving.filter(|(pair, media)| {
            Some(*pair) != in_use && ago(media.last) <= LEFT && ago(media.since) <= MOVED
        });
        let newest = moved.max_by_key(|(_, media)| media.since)?;
        silent.then_some(newest.0)
    }

    /// Whether the other side, which has moved to this pair, is still to be followed there.
    pub(crate) fn follows(&self, pair: Pair, media: impl Fn(Pair) -> Option<Media>, now: Instant) -> bool {
        let ago = |at: Instant| now.saturating_duration_since(at);
        let alive = self.paths.get(&pair).is_some_and(|path| !path.dead);
        alive && media(pair).is_some_and(|media| ago(media.since) <= MOVED)
    }

    /// Pairs to be asked now whether they work.
    pub(crate) fn due(
        &self,
        in_use: Option<Pair>,
        heard: impl Fn(Pair) -> Option<Instant>,
        now: Instant,
    ) -> Vec<Pair> {
        self.watched(in_use)
            .filter(|(pair, path)| path.next_question(in_use == Some(**pair), heard(**pair)) <= now)
            .map(|(pair, _)| *pair)
            .collect()
    }

    /// When [`due`](Self::due) or [`choose`](Self::choose) has something new to say.
    pub(crate) fn next_wakeup(
        &self,
        in_use: Option<Pair>,
        heard: impl Fn(Pair) -> Option<Instant>,
    ) -> Option<Instant> {
        self.watched(in_use).map(|(pair, path)| path.next_question(in_use == Some(*pair), heard(*pair))).min()
    }

    /// The pair in use and those that could take its place.
    fn watched(&self, in_use: Option<Pair>) -> impl Iterator<Item = (&Pair, &Path)> {
        let mut paths: Vec<_> = self.paths.iter().collect();
        paths.sort_by_key(|(pair, path)| (in_use != Some(**pair), path.cost, path.round_trip));
        paths.into_iter().take(WARM_MOST)
    }
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
