//! What is sent again, and how often: what the other side asks for, and what reports say it has not got.

use std::collections::HashMap;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::repair::is_asking_in_time;

/// So long it is remembered what was repeated: whoever asks within this time, but not too soon, has missed the repetition.
const REMEMBERED: Duration = Duration::from_secs(1);
/// Packets that are told apart while they are repeated: as many as can be asked for.
const MOST: usize = 1_024;
/// What was repeated in vain goes twice, and once more with these shares of packets lost: with fewer two will do, with more a
/// third would take more than a fiftieth of all that is sent.
const THRICE: std::ops::Range<f64> = 0.05..0.15;
/// Shares of packets lost with which everything is repeated twice at once: what is lost of both is next to nothing then, and
/// it takes no more than as much again. With fewer hardly anything is lost twice.
const TWICE_AT_ONCE: std::ops::Range<f64> = 0.005..0.04;
/// Not with a shorter round trip, in seconds: what is repeated in vain comes again before the picture has stood still.
const LONG: f64 = 0.08;
/// The same where repair data goes along: what that can't make up for, and is repeated once in vain, comes 0.6 s late.
const TWICE_WITH_REPAIR: std::ops::Range<f64> = 0.005..0.1;
/// So many round trips after it has left, or was repeated first, nobody waits for a packet any more.
const GIVE_UP: f64 = 3.0;

/// The path, as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// There and back, in seconds, with the time until a report.
    pub(crate) rtt: f64,
    /// The shortest that was seen. A request that comes sooner after a repetition was made before that can have arrived.
    pub(crate) least_rtt: f64,
    /// Share of packets that is lost.
    pub(crate) loss: f64,
}

impl Path {
    fn is_twice_at_once(&self) -> bool {
        let losses = if is_asking_in_time(self.rtt * 1_000.0) { TWICE_AT_ONCE } else { TWICE_WITH_REPAIR };
        self.rtt >= LONG && losses.contains(&self.loss)
    }
}

#[derive(Clone, Copy, Debug)]
struct Repeated {
    /// When it was asked for first, and when the last packet with it left.
    first: MediaTime,
    last: MediaTime,
    /// Packets with it that wait or have left, and are not known to be missing.
    under_way: u8,
    arrived: bool,
}

/// Packets that were repeated lately, by what is in them.
#[derive(Debug, Default)]
pub(crate) struct Repeats(HashMap<u64, Repeated>);

impl Repeats {
    /// How many packets with this content are to be sent now that it is asked for; none where it has arrived or is on its way and
    /// whoever asked can't know of that yet. What was repeated in vain goes several times: one more round trip would be a
    /// standstill.
    pub(crate) fn asked_for(&mut self, content: u64, path: Path, now: MediaTime) -> u8 {
        let too_soon = seconds(path.least_rtt);
        self.0.retain(|_, repeated| now - repeated.last < REMEMBERED.max(too_soon));
        match self.0.get(&content) {
            None if self.0.len() >= MOST => 0,
            None => 1 + u8::from(path.is_twice_at_once()),
            Some(before) if before.arrived => 0,
            Some(before) if before.under_way > 0 && now - before.last < too_soon => 0,
            Some(_) => 2 + u8::from(THRICE.contains(&path.loss)),
        }
    }

    /// So many packets with it are to leave.
    pub(crate) fn repeated(&mut self, content: u64, packets: u8, now: MediaTime) {
        let new = Repeated { first: now, last: now, under_way: 0, arrived: false };
        let repeated = self.0.entry(content).or_insert(new);
        repeated.last = now;
        repeated.under_way = repeated.under_way.saturating_add(packets);
    }

    /// One of those packets leaves.
    pub(crate) fn leaves(&mut self, content: u64, now: MediaTime) {
        if let Some(repeated) = self.0.get_mut(&content) {
            repeated.last = now;
        }
    }

    /// One of them is not sent after all.
    pub(crate) fn left_out(&mut self, content: u64) {
        if let Some(repeated) = self.0.get_mut(&content) {
            repeated.under_way = repeated.under_way.saturating_sub(1);
        }
    }

    /// One of them has arrived.
    pub(crate) fn arrived(&mut self, content: u64) {
        if let Some(repeated) = self.0.get_mut(&content) {
            repeated.arrived = true;
        }
    }

    /// One of them is missing. Tells whether the content is to be repeated once more.
    pub(crate) fn lost(&mut self, content: u64, path: Path, now: MediaTime) -> bool {
        let Some(repeated) = self.0.get_mut(&content) else { return false };
        repeated.under_way = repeated.under_way.saturating_sub(1);
        repeated.under_way == 0 && !repeated.arrived && is_awaited(repeated.first, path, now)
    }

    /// Whether content that was lost when it was sent at this time for the first time is to be repeated, although nobody has
    /// asked for it yet.
    pub(crate) fn first_lost(&self, content: u64, sent: MediaTime, path: Path, now: MediaTime) -> bool {
        !self.0.contains_key(&content) && is_awaited(sent, path, now)
    }
}

fn is_awaited(since: MediaTime, path: Path, now: MediaTime) -> bool {
    now - since < seconds(path.rtt * GIVE_UP)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(REMEMBERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: MediaTime = MediaTime::from_millis(1_000);
    const PATH: Path = Path { rtt: 0.12, least_rtt: 0.1, loss: 0.0 };
    const LOSSY: Path = Path { loss: 0.1, ..PATH };

    fn after(ms: u64) -> MediaTime {
        START + Duration::from_millis(ms)
    }

    #[test]
    fn what_is_on_its_way_is_not_repeated_before_whoever_asks_can_have_missed_it() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.asked_for(7, PATH, after(0)), 1);
        repeats.repeated(7, 1, after(0));
        repeats.leaves(7, after(10));
        assert_eq!(repeats.asked_for(7, PATH, after(109)), 0);
        assert_eq!(repeats.asked_for(8, PATH, after(109)), 1);
        assert_eq!(repeats.asked_for(7, PATH, after(111)), 2);
        assert_eq!(repeats.asked_for(7, LOSSY, after(111)), 3, "where a tenth is lost two do not do");
        assert_eq!(repeats.asked_for(7, PATH, after(1_011)), 1, "that is too long ago");
    }

    #[test]
    fn where_little_is_lost_and_asking_takes_long_everything_is_repeated_twice_at_once() {
        let first = |path| Repeats::default().asked_for(7, path, START);
        assert_eq!([0.0, 0.01, 0.03, 0.05].map(|loss| first(Path { loss, ..PATH })), [1, 2, 2, 1]);
        assert_eq!(first(Path { rtt: 0.05, loss: 0.01, ..PATH }), 1);
        let with_repair = |loss| first(Path { rtt: 0.3, least_rtt: 0.3, loss });
        assert_eq!([0.0, 0.01, 0.05, 0.1].map(with_repair), [1, 2, 2, 1]);
    }

    #[test]
    fn what_is_known_to_be_lost_is_repeated_at_once_and_what_has_arrived_is_not() {
        for (arrived, expected) in [(true, 0), (false, 2)] {
            let mut repeats = Repeats::default();
            repeats.repeated(7, 1, after(0));
            match arrived {
                true => repeats.arrived(7),
                false => assert!(repeats.lost(7, PATH, after(40))),
            }
            assert_eq!(repeats.asked_for(7, PATH, after(50)), expected);
            assert_eq!(repeats.asked_for(7, PATH, after(150)), expected);
        }
    }

    #[test]
    fn what_went_several_times_is_missed_once_all_of_it_is_lost() {
        let mut repeats = Repeats::default();
        repeats.repeated(7, 3, after(0));
        assert!(!repeats.lost(7, PATH, after(100)));
        repeats.left_out(7);
        assert!(repeats.lost(7, PATH, after(120)));
        repeats.repeated(7, 3, after(120));
        repeats.arrived(7);
        assert!((0..3).all(|_| !repeats.lost(7, PATH, after(230))), "one has arrived");
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_repeated() {
        let mut repeats = Repeats::default();
        assert!(repeats.first_lost(7, START, PATH, after(359)));
        assert!(!repeats.first_lost(7, START, PATH, after(361)));
        repeats.repeated(7, 1, after(0));
        assert!(!repeats.first_lost(7, START, PATH, after(100)), "it was asked for");
        assert!(!repeats.lost(7, PATH, after(361)));
        assert!(!repeats.lost(8, PATH, after(100)), "nothing is known of that");
    }

    #[test]
    fn no_more_is_remembered_than_can_be_asked_for() {
        let mut repeats = Repeats::default();
        for content in 0..3_000 {
            let packets = repeats.asked_for(content, PATH, START);
            assert_eq!(packets, u8::from(content < 1_024));
            if packets > 0 {
                repeats.repeated(content, packets, START);
            }
        }
        assert_eq!(repeats.0.len(), MOST);
    }
}
