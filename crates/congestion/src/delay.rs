//! How long packets wait in queues on the way, from when they left and when they arrived.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;

/// Time constant of the delay that reacts to a queue: two frames.
const FAST_S: f64 = 0.05;
/// Time constant of the delay whose minimum is the path's own: long enough to even out jitter of a few tens of packets.
const SLOW_S: f64 = 0.15;
/// How long the path's own delay is believed without being seen again. A path that has become longer is taken for a queue
/// for as long.
const BASE_WINDOW: usize = 12;
/// Each of the window's parts.
const BASE_STEP_S: f64 = 1.0;

/// Packets whose average is the first base.
const SETTLED: u32 = 12;
/// The same for short windows.
const SETTLED_WINDOWS: u32 = 6;

/// Longer times between packets count as this.
const LONGEST_STEP_S: f64 = 0.020;
/// The least delay within so long is that of a packet which no other of its frame went before.
const FLOOR_S: f64 = 0.040;

/// The least delay within so long is that of a queue: whatever holds packets up for a moment, such as a busy machine or a radio
/// link, lets them go together, and the last of them is hardly late.
const RECENT_S: f64 = 0.060;
/// The same where packets are few.
const RECENT_PACKETS: usize = 3;

/// The least value of the last seconds.
#[derive(Debug, Default)]
struct Least {
    /// Of each second.
    minima: VecDeque<f64>,
    began: f64,
    /// Nothing is forgotten.
    held: bool,
}

impl Least {
    fn begin(&mut self, value: f64, at: f64) {
        self.minima.clear();
        self.minima.push_back(value);
        self.began = at;
    }

    fn add(&mut self, value: f64, at: f64) {
        if at - self.began > BASE_STEP_S {
            self.began = at;
            self.minima.push_back(value);
            while self.minima.len() > BASE_WINDOW && !self.held {
                self.minima.pop_front();
            }
        }
        if let Some(least) = self.minima.back_mut() {
            *least = least.min(value);
        }
    }

    fn get(&self) -> f64 {
        self.minima.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// One-way delay of a path, which consists of an unknown constant (the clocks differ), its queues, and noise.
///
/// All values are in seconds.
#[derive(Debug, Default)]
pub(crate) struct QueueDelay {
    fast: Option<f64>,
    slow: f64,
    base: Least,
    /// Average of the least delays of short windows.
    floor: f64,
    window: (f64, f64),
    windows: u32,
    floor_base: Least,
    /// Delays of the latest packets, by arrival.
    recent: VecDeque<(f64, f64)>,
    noise: f64,
    last: f64,
    seen: u32,
}

impl QueueDelay {
    /// Takes in a packet that has arrived.
    pub(crate) fn arrived(&mut self, sent: MediaTime, arrived: Duration) {
        let at = arrived.as_secs_f64();
        let delay = at - sent.as_secs_f64();
        self.seen = self.seen.saturating_add(1);
        self.recent.push_back((at, delay));
        while self.recent.len() > RECENT_PACKETS
            && self.recent.front().is_some_and(|(first, _)| at - first > RECENT_S)
        {
            self.recent.pop_front();
        }
        let Some(fast) = self.fast else {
            (self.fast, self.slow) = (Some(delay), delay);
            self.last = at;
            self.base.begin(delay, at);
            self.window = (at, delay);
            return;
        };
        // After a pause one packet says no more than another.
        let passed = (at - self.last).clamp(0.000_5, LONGEST_STEP_S);
        self.last = self.last.max(at);
        // The average of all while there are few.
        let least_weight = 1.0 / f64::from(self.seen);
        let weight = |constant: f64| (1.0 - (-passed / constant).exp()).max(least_weight);
        let next = fast + (delay - fast) * weight(FAST_S);
        self.noise += ((delay - next).abs() - self.noise) * least_weight.max(0.02);
        self.fast = Some(next);
        self.slow += (delay - self.slow) * weight(SLOW_S);
        match self.seen <= SETTLED {
            true => self.base.begin(self.slow, at),
            false => self.base.add(self.slow, at),
        }
        self.look_for_floor(delay, at);
    }

    fn look_for_floor(&mut self, delay: f64, at: f64) {
        let (began, least) = self.window;
        if at - began < FLOOR_S {
            self.window.1 = least.min(delay);
            return;
        }
        let passed = (at - began).min(FLOOR_S + LONGEST_STEP_S);
        self.window = (at, delay);
        self.windows = self.windows.saturating_add(1);
        let weight = (1.0 - (-passed / SLOW_S).exp()).max(1.0 / f64::from(self.windows));
        self.floor += (least - self.floor) * weight;
        match self.windows <= SETTLED_WINDOWS {
            true => self.floor_base.begin(self.floor, at),
            false => self.floor_base.add(self.floor, at),
        }
    }

    /// The path's own delay, plus the difference of the clocks.
    pub(crate) fn base(&self) -> f64 {
        self.base.get()
    }

    /// How long packets wait at present.
    pub(crate) fn queue(&self) -> f64 {
        self.fast.map_or(0.0, |fast| (fast - self.base()).max(0.0))
    }

    /// For how long even the luckiest of the latest packets waited.
    pub(crate) fn floor(&self) -> f64 {
        match self.recent.len() < RECENT_PACKETS {
            true => 0.0,
            false => {
                let least = self.recent.iter().map(|(_, delay)| *delay).fold(f64::INFINITY, f64::min);
                (least - self.base().min(self.floor_base.get())).max(0.0)
            }
        }
    }

    /// How long packets wait that no other of their frame went before: the queue that frames leave behind.
    pub(crate) fn standing(&self) -> f64 {
        match self.windows {
            0 => 0.0,
            _ => (self.floor - self.floor_base.get()).max(0.0),
        }
    }

    /// By how much packets come earlier or later than their neighbours.
    pub(crate) fn noise(&self) -> f64 {
        self.noise
    }

    /// Whether the least delay is believed for longer than usual: somebody keeps the queue from running empty.
    pub(crate) fn hold_base(&mut self, hold: bool) {
        (self.base.held, self.floor_base.held) = (hold, hold);
    }
}
