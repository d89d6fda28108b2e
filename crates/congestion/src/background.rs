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
const QUEUE_MOST: f64 = 0.005;
/// There certainly is one that is so much longer than the noise.
const QUEUE_CERTAIN: f64 = 0.02;
/// While a call lets a queue run empty nothing else leaves for so long at a time, in seconds.
const PAUSE: f64 = 0.05;
/// It may always hold a packet and a half of this many bits.
const PACKET: f64 = 10_000.0;
/// What is left of what gets through, when the queue was too long.
const KEPT: f64 = 0.96;
/// What may wait takes at least so much of what calls send, and it is all where they have too little.
const LEAST_SHARE: f64 = 0.1;
/// A call has too little with less than this share of what it wants, where it uses so much of what it has.
const TOO_LITTLE: f64 = 0.85;
const USED: f64 = 0.75;
/// Of what may wait no more than this share is lost, besides what the path loses.
const LOST_MOST: f64 = 0.03;
/// It still has for this time: pictures that wait are left out, so that now and then it does not use what it has.
const FED_AFTER: Duration = Duration::from_millis(400);
/// How fast it has more, each second: by a factor of e to this power of what is not the calls', while nothing is known.
const GROWTH: f64 = 0.5;
/// The same of all at what was too much; it gets faster by so much times the distance, as a share.
const CAREFUL_GROWTH: f64 = 0.015;
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
/// What a call says is of no use any more after this time.
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
    /// Whether it lets a queue run empty, or hears nothing.
    pub holds_back: bool,
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
    /// Something has waited since it was looked last.
    pressed: bool,
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
            pressed: false,
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
        if self.capacity.is_some() {
            self.leaves(bytes, now);
        }
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
        if !self.is_in_calls() {
            return None;
        }
        let first = || self.calls.values().map(|(_, path)| first(path)).sum();
        let capacity = *self.capacity.get_or_insert_with(first);
        self.drain(now);
        if self.waiting.0 <= 0.0 {
            return None;
        }
        self.pressed = true;
        Some(now + Duration::from_secs_f64(self.waiting.0 / capacity) + Duration::from_micros(10))
    }

    /// Something that can wait leaves.
    pub fn leaves(&mut self, bytes: usize, now: MediaTime) {
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

    /// All calls together.
    fn heard(&self, now: MediaTime) -> Heard {
        let through = self.delivered.bps(now);
        let mut heard = Heard { through, ..Heard::default() };
        for (at, path) in self.calls.values() {
            heard.sent += path.sent;
            heard.target += path.target;
            heard.through += path.acknowledged;
            if now - *at < OUTDATED {
                heard.queue = heard.queue.max(path.queue - path.noise);
                heard.round_trip = heard.round_trip.max(path.round_trip);
                heard.holds_back |= path.holds_back;
            }
        }
        heard
    }

    /// Believes what was heard.
    fn look(&mut self, now: MediaTime) {
        let Some(capacity) = self.capacity else { return };
        self.drain(now);
        let passed = (now - self.looked).as_secs_f64().min(LONGEST_STEP);
        self.looked = now;
        let pressed = std::mem::take(&mut self.pressed);
        let heard = self.heard(now);
        let believed = if heard.holds_back {
            self.hold_back(capacity, &heard, now)
        } else if now >= self.shows && self.is_too_much(capacity, &heard, now) {
            self.reduce(capacity, &heard, now)
        } else if self.had_too_little.is_some_and(|at| now - at < FED_AFTER) {
            let room = heard.target * (1.0 + LEAST_SHARE);
            room + (capacity - room).max(0.0) * (-passed / ROOM_WITHIN).exp()
        } else if now >= self.shows && pressed {
            self.growing = self.growth(capacity, heard.sent, now);
            capacity * (1.0 + self.growing * passed)
        } else {
            capacity
        };
        self.capacity = Some(believed.max(heard.sent * (1.0 + LEAST_SHARE)).max(SMALL));
    }

    /// A call lets a queue run empty: nothing else leaves meanwhile. What may, afterwards.
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
        heard.queue > QUEUE_MOST.max(1.2 * PACKET / capacity) || self.loses_too_much(now)
    }

    /// Whether more of what may wait is lost than the path itself loses: a queue that is too short to be seen is full.
    fn loses_too_much(&self, now: MediaTime) -> bool {
        let (lost, delivered) = (self.lost.bps(now), self.delivered.bps(now));
        let own = self.calls.values().map(|(_, path)| path.expected_loss).fold(0.0, f64::max);
        lost > 2.0 * PACKET / DELIVERED_OVER && lost > (lost + delivered) * (LOST_MOST + 1.5 * own)
    }

    /// As a share of the capacity, each second.
    fn growth(&self, capacity: f64, sent: f64, now: MediaTime) -> f64 {
        let fast = |from: f64| from.max(SMALL) * GROWTH / capacity;
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
    target: f64,
    /// What arrives, with what may wait.
    through: f64,
    /// The longest queue, without the noise, in seconds.
    queue: f64,
    round_trip: f64,
    /// Whether one of them does.
    holds_back: bool,
}

/// What the way of a call is believed to carry at first.
fn first(path: &CallPath) -> f64 {
    match path.has_too_little() {
        true => path.target * (1.0 + LEAST_SHARE),
        false => path.target + SMALL,
    }
}
