//! What may wait, such as files, beside calls that leave by the same way: it takes what they leave, and makes no queue for them
//! to stand in.
//!
//! All that leaves is reckoned as if it ran through a bottleneck that carries what the way is believed to carry (a virtual queue).
//! What may wait leaves only while nothing waits there, so that no picture finds more than a packet or two of it before itself.
//! What the calls measure of their delay says whether too much is believed. Where a call has less than it wants, all that is left to
//! what may wait is a small share.

use std::collections::BTreeMap;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::average::AverageRate;

/// Whoever sleeps until something may leave wakes late by as much. So much is made up for.
const LATE: f64 = 0.002;
/// What waits for longer is not reckoned with: more was carried than is believed.
const WAITS_MOST: f64 = 0.25;
/// A queue of calls that is longer is too long, in seconds: the noise comes on top.
const QUEUE_MOST: f64 = 0.004;
/// There certainly is one that is so much longer than the noise.
const QUEUE_CERTAIN: f64 = 0.02;
/// Between these times something waits at most before some of it leaves, in seconds.
const WAIT: (f64, f64) = (0.2, 3.0);
/// Something that had to wait within this time would use more.
const PRESSED: Duration = Duration::from_millis(100);
/// While a call lets a queue run empty hardly anything else leaves for so long at a time, in seconds.
const PAUSE: f64 = 0.05;
/// The shortest wait of some packets is taken for so much less, in seconds.
const SURE_OF_LESS: f64 = 0.004;
/// It may always hold a packet of this many bits.
const PACKET: f64 = 10_000.0;
/// What is left of what gets through, when the queue was too long.
const KEPT: f64 = 0.95;
/// What may wait takes at least so much of what calls send, and it is all where they have too little.
const LEAST_SHARE: f64 = 0.1;
/// A call has too little with less than this share of what it wants, where it uses so much of what it has.
const TOO_LITTLE: f64 = 0.85;
const USED: f64 = 0.75;
/// It still has for this time: pictures that wait are left out, so that now and then it does not use what it has.
const FED_AFTER: Duration = Duration::from_millis(400);
/// Of what may wait no more than this share is lost, besides what the path loses.
const LOST_MOST: f64 = 0.03;
/// What a path loses by itself counts for so much at most: it may be another call's path.
const MOST_OWN_LOSS: f64 = 0.1;
/// How fast it has more, each second: by a factor of e to this power of what is not the calls', while nothing is known.
const GROWTH: f64 = 0.5;
/// Never more than so much of all: what is found out a quarter of a second late has grown by a sixteenth meanwhile.
const FASTEST: f64 = 0.25;
/// The same of all at what was too much; it gets faster by so much times the distance, as a share.
const CAREFUL_GROWTH: f64 = 0.01;
const LESS_CAREFUL: f64 = 0.5;
/// It gets faster with time as well, as a link may carry more by then: twice as fast after so many seconds.
const FORGOTTEN: f64 = 5.0;
/// What is faster than this is fast, as a share each second.
const FAST: f64 = 0.05;
/// It is as fast as if it were this share of what is missing until there.
const BACK_TO: f64 = 0.4;
/// What was too much is not known more exactly.
const INEXACT: f64 = 0.05;
/// The least that it grows from, in bits per second.
const SMALL: f64 = 100_000.0;
/// How fast it makes room for a call that has too little: a factor of e in so many seconds.
const ROOM_WITHIN: f64 = 0.3;
/// What is made of a change shows after a round trip and this.
const SHOWS_AFTER: Duration = Duration::from_millis(120);
/// What a call says is of no use any more after this time: nothing goes either way in it.
const OUTDATED: Duration = Duration::from_secs(1);
/// Reports come at least so often; more time in between says nothing about the way.
const LONGEST_STEP: f64 = 0.1;
/// Time over which what arrives is averaged, in seconds.
const DELIVERED_OVER: f64 = 0.2;

/// What one call knows of its path. Rates are in bits per second, with all headers; times in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallPath {
    /// All that it can use.
    pub wanted: f64,
    /// What it may send.
    pub target: f64,
    /// What it sends.
    pub sent: f64,
    /// What of it arrives.
    pub acknowledged: f64,
    /// How long packets wait that no other of their frame went before.
    pub queue: f64,
    /// Whether it lets a queue run empty.
    pub lets_run_empty: bool,
    /// For how long even the luckiest of the latest packets waited.
    pub shortest_wait: f64,
    /// By how much packets come earlier or later than their neighbours.
    pub noise: f64,
    /// There and back.
    pub round_trip: f64,
    /// The share of losses that is to be reckoned with.
    pub expected_loss: f64,
}

impl CallPath {
    fn has_too_little(&self) -> bool {
        self.target < self.wanted * TOO_LITTLE && self.sent > self.target * USED
    }
}

/// When what may wait may leave. Calls are told from each other by a number of their own.
#[derive(Debug)]
pub struct Background {
    calls: BTreeMap<u64, (MediaTime, CallPath)>,
    /// What the way is believed to carry, in bits per second; nothing is known while nothing has waited.
    capacity: Option<f64>,
    /// Bits that would wait at such a bottleneck, at that time. Below zero it is what may leave at once.
    waiting: (f64, MediaTime),
    delivered: AverageRate,
    lost: AverageRate,
    /// When something had to wait last.
    pressed: Option<MediaTime>,
    /// Since when nothing has left, although something waits.
    held_since: Option<MediaTime>,
    looked: MediaTime,
    /// When a call had too little last.
    had_too_little: Option<MediaTime>,
    /// When what was changed last has shown.
    shows: MediaTime,
    /// What was too much, and when.
    limit: Option<(f64, MediaTime)>,
    /// By how much it has grown last, as a share each second.
    growing: f64,
}

impl Default for Background {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            capacity: None,
            waiting: (0.0, MediaTime::ZERO),
            delivered: AverageRate::over(DELIVERED_OVER),
            lost: AverageRate::over(DELIVERED_OVER),
            pressed: None,
            held_since: None,
            looked: MediaTime::ZERO,
            had_too_little: None,
            shows: MediaTime::ZERO,
            limit: None,
            growing: 0.0,
        }
    }
}

impl Background {
    /// A packet of a call leaves.
    pub fn call_sends(&mut self, bytes: usize, now: MediaTime) {
        self.wait_for(bytes, now);
    }

    /// What a call knows now.
    pub fn call_knows(&mut self, call: u64, path: CallPath, now: MediaTime) {
        self.calls.insert(call, (now, path));
        if path.has_too_little() {
            self.had_too_little = Some(now);
        }
        self.look(now);
    }

    /// A call is over.
    pub fn call_ends(&mut self, call: u64) {
        self.calls.remove(&call);
        if self.calls.is_empty() {
            // Whatever comes next is another situation.
            *self = Self::default();
        }
    }

    /// The other side has got something of what may wait.
    pub fn delivered(&mut self, bytes: usize, now: MediaTime) {
        self.delivered.add(bytes, now);
    }

    /// It was lost.
    pub fn lost(&mut self, bytes: usize, now: MediaTime) {
        self.lost.add(bytes, now);
    }

    /// Whether there are calls.
    pub fn is_in_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// How many bytes may leave one after the other: more would hold up what a call has to send meanwhile.
    pub fn most_at_once(&self) -> usize {
        match self.capacity {
            Some(capacity) if self.is_in_calls() => (capacity * LATE / 8.0) as usize,
            _ => usize::MAX,
        }
    }

    /// Whether something may leave that can wait: the time from which on it may, where it is not yet.
    pub fn may_leave(&mut self, now: MediaTime) -> Option<MediaTime> {
        if self.fresh(now).next().is_none() {
            // Nobody speaks, or is on hold, or was: what the way carries may be another thing by the time they do.
            self.capacity = None;
            return None;
        }
        let capacity = self.capacity.unwrap_or_else(|| self.fresh(now).map(first).sum::<f64>().max(SMALL));
        self.capacity = Some(capacity);
        self.drain(now);
        if self.waiting.0 <= 0.0 {
            return None;
        }
        self.pressed = Some(now);
        let most = *self.held_since.get_or_insert(now) + self.longest_wait(now);
        let free = now + Duration::from_secs_f64(self.waiting.0 / capacity) + Duration::from_micros(10);
        Some(free.min(most)).filter(|at| *at > now)
    }

    /// How long something waits at most: as long as a packet takes at the least share. Whatever happens to a call, what may wait is
    /// not taken for gone.
    fn longest_wait(&self, now: MediaTime) -> Duration {
        let sent: f64 = self.fresh(now).map(|path| path.sent).sum();
        Duration::from_secs_f64((PACKET / (sent * LEAST_SHARE)).clamp(WAIT.0, WAIT.1))
    }

    /// Something that can wait leaves.
    pub fn leaves(&mut self, bytes: usize, now: MediaTime) {
        self.held_since = None;
        self.wait_for(bytes, now);
    }

    /// So much more has left.
    fn wait_for(&mut self, bytes: usize, now: MediaTime) {
        if self.capacity.is_some() {
            self.drain(now);
            self.waiting.0 += bytes as f64 * 8.0;
        }
    }

    fn drain(&mut self, now: MediaTime) {
        let Some(capacity) = self.capacity else { return };
        let (waiting, at) = self.waiting;
        let left = waiting - capacity * (now - at).as_secs_f64();
        self.waiting = (left.clamp(-capacity * LATE, capacity * WAITS_MOST), now.max(at));
    }

    /// Nothing leaves before so much of a queue is gone, in seconds.
    fn let_run_empty(&mut self, queue: f64, capacity: f64) {
        self.waiting.0 = self.waiting.0.max(queue * capacity);
    }

    /// Calls of which something was heard lately.
    fn fresh(&self, now: MediaTime) -> impl Iterator<Item = &CallPath> + '_ {
        self.calls.values().filter(move |(at, _)| now - *at < OUTDATED).map(|(_, path)| path)
    }

    /// All calls together.
    fn heard(&self, now: MediaTime) -> Heard {
        let through = self.delivered.bps(now);
        let mut heard = Heard { through, ..Heard::default() };
        for path in self.fresh(now) {
            heard.sent += path.sent;
            heard.wanted += if path.has_too_little() { path.target } else { path.sent };
            heard.through += path.acknowledged;
            // The second one is known earlier, and less exactly.
            let certain = path.queue.max(path.shortest_wait - SURE_OF_LESS);
            heard.queue = heard.queue.max(certain - path.noise);
            heard.round_trip = heard.round_trip.max(path.round_trip);
            heard.lets_run_empty |= path.lets_run_empty;
        }
        heard
    }

    /// Believes what was heard.
    fn look(&mut self, now: MediaTime) {
        let Some(capacity) = self.capacity else { return };
        self.drain(now);
        let passed = (now - self.looked).as_secs_f64().min(LONGEST_STEP);
        self.looked = now;
        let pressed = self.pressed.is_some_and(|at| now - at < PRESSED);
        let heard = self.heard(now);
        let believed = if heard.lets_run_empty {
            self.hold_back(capacity, &heard, now)
        } else if now >= self.shows && self.is_too_much(capacity, &heard, now) {
            self.reduce(capacity, &heard, now)
        } else if self.had_too_little.is_some_and(|at| now - at < FED_AFTER) {
            let room = heard.wanted * (1.0 + LEAST_SHARE);
            capacity.min(room + (capacity - room).max(0.0) * (-passed / ROOM_WITHIN).exp())
        } else if now >= self.shows && pressed {
            self.growing = self.growth(capacity, heard.sent, now);
            capacity * (1.0 + self.growing * passed)
        } else {
            capacity
        };
        self.capacity = Some(believed.max(heard.sent * (1.0 + LEAST_SHARE)).max(SMALL));
    }

    /// A call lets a queue run empty, and hardly anything else leaves meanwhile. What may, afterwards.
    fn hold_back(&mut self, capacity: f64, heard: &Heard, now: MediaTime) -> f64 {
        self.let_run_empty(PAUSE, capacity);
        // While something stands there what comes through is all that can.
        let is_known = now >= self.shows || heard.queue > QUEUE_CERTAIN;
        self.shows = now + SHOWS_AFTER + Duration::from_secs_f64(heard.round_trip);
        match is_known {
            true => self.limit_met(capacity.min(heard.through), now),
            false => capacity,
        }
    }

    /// Too much has left. What may, afterwards.
    fn reduce(&mut self, capacity: f64, heard: &Heard, now: MediaTime) -> f64 {
        self.shows = now + SHOWS_AFTER + Duration::from_secs_f64(heard.round_trip);
        // What gets through is known late, and is more by now where this has grown fast.
        let grown = match self.growing > FAST {
            true => capacity * (1.0 - self.growing * (heard.round_trip + DELIVERED_OVER)).max(0.5),
            false => 0.0,
        };
        let limit = capacity.min(heard.through.max(grown));
        self.let_run_empty(heard.queue, limit);
        self.limit_met(limit, now)
    }

    fn limit_met(&mut self, limit: f64, now: MediaTime) -> f64 {
        (self.limit, self.growing) = (Some((limit, now)), 0.0);
        limit * KEPT
    }

    fn is_too_much(&self, capacity: f64, heard: &Heard, now: MediaTime) -> bool {
        heard.queue > QUEUE_MOST.max(PACKET / capacity) || self.loses_too_much(now)
    }

    /// Whether more of what may wait is lost than the path itself loses: a queue that is too short to be seen is full.
    fn loses_too_much(&self, now: MediaTime) -> bool {
        let (lost, delivered) = (self.lost.bps(now), self.delivered.bps(now));
        let own = self.fresh(now).map(|path| path.expected_loss).fold(0.0, f64::max).min(MOST_OWN_LOSS);
        lost > 2.0 * PACKET / DELIVERED_OVER && lost > (lost + delivered) * (LOST_MOST + 1.5 * own)
    }

    /// As a share of the capacity, each second.
    fn growth(&self, capacity: f64, sent: f64, now: MediaTime) -> f64 {
        let fast = |from: f64| (from.max(SMALL) * GROWTH / capacity).min(FASTEST);
        let Some((limit, met)) = self.limit else { return fast(capacity - sent) };
        let distance = ((capacity / limit - 1.0).abs() - INEXACT).max(0.0);
        let long_ago = (now - met).as_secs_f64() / FORGOTTEN;
        let careful = CAREFUL_GROWTH * (1.0 + long_ago * long_ago) + LESS_CAREFUL * distance;
        careful.min(fast((capacity - sent).max((limit - capacity) * BACK_TO)))
    }
}

/// What calls know, taken together.
#[derive(Debug, Default)]
struct Heard {
    sent: f64,
    /// What they send, or may where that is too little.
    wanted: f64,
    /// What arrives, with what may wait.
    through: f64,
    /// The longest queue, without the noise, in seconds.
    queue: f64,
    round_trip: f64,
    /// Whether one of them does.
    lets_run_empty: bool,
}

/// What the way of a call is believed to carry at first.
fn first(path: &CallPath) -> f64 {
    match path.has_too_little() {
        true => path.target * (1.0 + LEAST_SHARE),
        false => path.sent + SMALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET_BYTES: usize = 1_250;

    fn at(ms: u64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    fn path(rate: f64) -> CallPath {
        CallPath { wanted: rate, target: rate, sent: rate, acknowledged: rate, ..CallPath::default() }
    }

    /// Has as many packets leave as may until then; bytes each second.
    fn leave(background: &mut Background, from: u64, to: u64) -> f64 {
        let mut bytes = 0;
        for ms in from..to {
            while bytes < 100_000_000 && background.may_leave(at(ms)).is_none() {
                background.leaves(PACKET_BYTES, at(ms));
                bytes += PACKET_BYTES;
            }
        }
        bytes as f64 * 1e3 / (to - from) as f64
    }

    #[test]
    fn a_call_in_which_nothing_goes_either_way_holds_up_nothing_and_one_that_goes_on_does_again() {
        let mut background = Background::default();
        background.call_knows(1, path(1e6), at(0));
        assert!(leave(&mut background, 0, 500) < 200_000.0);
        assert!(leave(&mut background, 1_100, 1_200) > 10e6);
        assert_eq!(background.most_at_once(), usize::MAX);
        background.call_knows(1, path(1e6), at(1_300));
        assert!(leave(&mut background, 1_300, 1_800) < 200_000.0);
    }

    #[test]
    fn nothing_leaves_while_a_call_lets_a_queue_run_empty() {
        let mut background = Background::default();
        background.call_knows(1, path(1e6), at(0));
        leave(&mut background, 0, 100);
        let mut sent = 0.0;
        for ms in (100..400).step_by(25) {
            background.call_knows(1, CallPath { lets_run_empty: true, queue: 0.05, ..path(1e6) }, at(ms));
            sent += leave(&mut background, ms, ms + 25) * 0.025;
        }
        // But for a packet after a fifth of a second.
        assert!(sent < 1.5 * PACKET_BYTES as f64, "{sent}");
    }

    #[test]
    fn something_leaves_now_and_then_whatever_happens_to_a_call() {
        let mut background = Background::default();
        background.call_knows(1, path(1e6), at(0));
        let mut bytes = 0.0;
        for ms in (0..10_000).step_by(25) {
            background.call_knows(1, CallPath { lets_run_empty: true, queue: 0.2, ..path(1e6) }, at(ms));
            background.call_sends(3_125, at(ms));
            bytes += leave(&mut background, ms, ms + 25) * 0.025;
        }
        assert!((40_000.0..130_000.0).contains(&bytes), "{bytes} bytes in ten seconds");
    }

    #[test]
    fn what_one_of_several_calls_measures_counts_for_all() {
        let mut background = Background::default();
        let mut ms = 0;
        let mut second = |background: &mut Background, queue: f64| {
            let mut bytes = 0.0;
            for _ in 0..40 {
                background.call_knows(1, path(1e6), at(ms));
                background.call_knows(2, CallPath { queue, ..path(5e5) }, at(ms));
                let sent = leave(background, ms, ms + 25);
                background.delivered((sent * 0.025) as usize, at(ms + 25));
                bytes += sent * 0.025;
                ms += 25;
            }
            bytes
        };
        let grown = (0..6).map(|_| second(&mut background, 0.0)).last().unwrap_or_default();
        let reduced = (0..3).map(|_| second(&mut background, 0.03)).last().unwrap_or_default();
        assert!(grown > 100_000.0 && reduced < grown / 2.0, "{grown} {reduced}");
        background.call_ends(2);
        assert!(second(&mut background, 0.0) > 0.0);
        background.call_ends(1);
        background.call_ends(2);
        assert!(!background.is_in_calls() && background.may_leave(at(60_000)).is_none());
    }

    proptest::proptest! {
        /// Whatever calls say, what may wait is not held up for longer than can be made out of it.
        #[test]
        fn whatever_calls_say_something_may_leave_within_seconds(
            news in proptest::collection::vec((0u64..3, 0f64..1e8, 0f64..1e8, 0f64..2.0, 0f64..1.0, 0usize..100_000, 0u64..300), 1..60),
        ) {
            let mut background = Background::default();
            let mut now = at(0);
            for (call, target, sent, queue, loss, bytes, pause) in news {
                let path = CallPath { wanted: 5e6, target, sent, acknowledged: sent, queue, expected_loss: loss, ..CallPath::default() };
                background.call_knows(call, path, now);
                background.call_sends(bytes, now);
                background.delivered(bytes, now);
                background.lost(bytes / 2, now);
                let asked = now;
                while let Some(when) = background.may_leave(now) {
                    proptest::prop_assert!(when > now && when - asked < Duration::from_secs(4), "{when:?} at {now:?}");
                    now = when;
                }
                background.leaves(PACKET_BYTES, now);
                now += Duration::from_millis(pause);
            }
        }
    }
}
