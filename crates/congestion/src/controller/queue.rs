//! What is done about a queue: it is let run empty, or, where it is somebody else's, competed for.

use std::time::Duration;

use ahoy_media_types::MediaTime;

use super::limit::FoundLimit;
use super::{AFTER_COMPETING, Controller, Mode, OVERUSE_S, Traffic};
use crate::estimate::Reason;

/// The queue is to be back where it should be within this time.
const DRAIN_S: f64 = 0.20;
/// The least that is sent meanwhile, of what the bottleneck lets through.
const DRAIN_LEAST: f64 = 0.10;
/// Of what the bottleneck lets through, so much is little enough for the queue to run empty.
const LITTLE: f64 = 0.85;
/// It takes so much longer than the queue and round trips to tell that it is somebody else's, in seconds, and less where somebody
/// has filled it lately.
const PATIENCE_S: f64 = 0.50;
const PATIENCE_LATELY_S: f64 = 0.35;
/// A queue that others fill stays about as long as it was; CUBIC leaves this much of a long one after a loss.
const STILL_THERE: f64 = 0.7;
/// Packets more each round trip while somebody else keeps the queue full. TCP grows by one; CUBIC (RFC 9438), which most
/// systems use, by more.
const COMPETE_PACKETS: f64 = 2.5;
/// What is left of the target when a packet is lost then. CUBIC keeps 0.7, and waits longer for its losses.
const COMPETE_KEPT: f64 = 0.8;

/// A queue is let run empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// When it was found, and what had been sent until then.
    began: MediaTime,
    sent: u64,
    /// What the bottleneck let through then, in bits per second.
    through: f64,
    /// The longest that the queue has been, in seconds.
    peak: f64,
    /// The target before.
    before: f64,
    /// What the bottleneck lets through, in bits per second.
    pub(super) capacity: f64,
}

impl Drain {
    /// Whether the queue is somebody else's: it is there although little was sent from here, and what was sent before has long
    /// left it. `least` is whether no less can be sent.
    /// `patience` is how long it takes to tell, in seconds.
    fn is_others(&self, queue: f64, sent: u64, passed: f64, patience: f64, least: bool) -> bool {
        let added = (sent - self.sent) as f64 * 8.0 / self.through;
        passed > patience && (least || added < passed * LITTLE) && queue > self.peak * STILL_THERE
    }
}

/// Somebody else fills the queue until packets are lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compete {
    reduced_at: MediaTime,
    /// For how long the queue has been short, in seconds.
    short_for: f64,
    /// When it was looked last whether what is sent arrives, and bytes sent until then.
    looked: (MediaTime, u64),
    /// How often in a row much less did.
    missing: u32,
}

/// Whoever sends this many times of what arrives, so many times in a row, fills the queue alone: beside others more would arrive.
const NOT_ARRIVING: (f64, u32) = (1.3, 2);
/// How long that is remembered.
const OWN: Duration = Duration::from_secs(20);

impl Controller {
    /// What the bottleneck lets through, from what has come through while there was a queue.
    fn busy_rate(&self) -> Option<f64> {
        let (rate, _) = self.delivery.busy(0.25).filter(|(_, time)| *time > 0.04)?;
        Some(self.sent_for(rate))
    }

    /// A queue was found.
    pub(super) fn begin_to_drain(&mut self, queue: f64, traffic: Traffic, now: MediaTime) {
        let capacity = self.busy_rate().or_else(|| self.delivery.rate(0.3)).unwrap_or(self.target);
        let (before, capacity) = (self.target, capacity.min(self.target));
        let (sent, through) = (traffic.sent, capacity);
        self.drain(Drain { began: now, sent, through, peak: queue, before, capacity }, traffic, now);
    }

    pub(super) fn drain(&mut self, mut drain: Drain, traffic: Traffic, now: MediaTime) {
        self.reason = Reason::Drain;
        let queue = self.delay.floor();
        if let Some(capacity) = self.busy_rate() {
            drain.capacity = capacity.min(drain.before);
        }
        let wanted = self.queue_wanted();
        if queue < wanted + 0.010 + self.delay.noise() {
            self.mode = Mode::Usual;
            self.headroom.reset();
            self.losses.explained();
            self.limit = Some(FoundLimit::new(drain.capacity, self.limit, now));
            self.target = drain.capacity * 0.97;
            return;
        }
        drain.peak = drain.peak.max(queue);
        let least = self.target <= self.limits.min * 1.05;
        // Those who filled it lately are back, most likely.
        let patience = match self.competed.is_some_and(|at| now - at < AFTER_COMPETING) {
            true => drain.peak + self.least_rtt + PATIENCE_LATELY_S,
            false => drain.peak + 2.0 * self.least_rtt + PATIENCE_S,
        };
        let passed = (now - drain.began).as_secs_f64();
        let is_others = drain.is_others(queue, traffic.sent, passed, patience, least);
        if is_others && self.own_queue.is_none_or(|at| now - at > OWN) {
            self.target = drain.capacity;
            return self.begin_to_compete(traffic, now);
        }
        self.mode = Mode::Drain(drain);
        // How long what leaves now will wait, from all that has left before it; reports are a round trip behind that.
        let expected = (traffic.in_flight as f64 * 8.0 / drain.capacity - self.least_rtt).max(0.0);
        let excess = (expected.min(queue * 3.0) - wanted).max(0.0);
        self.target = drain.capacity * (1.0 - excess / DRAIN_S).clamp(DRAIN_LEAST, 0.97);
    }

    /// Somebody else fills the queue.
    pub(super) fn begin_to_compete(&mut self, traffic: Traffic, now: MediaTime) {
        self.delay.hold_base(true);
        let looked = (now, traffic.sent);
        self.mode = Mode::Compete(Compete { reduced_at: now, short_for: 0.0, looked, missing: 0 });
    }

    /// As TCP does: more each round trip until packets are lost (RFC 5681 section 3.1).
    pub(super) fn compete(
        &mut self,
        mut compete: Compete,
        lost: bool,
        traffic: Traffic,
        passed: f64,
        now: MediaTime,
    ) {
        self.reason = Reason::Compete;
        if self.fills_it_alone(&mut compete, traffic.sent, now) {
            self.own_queue = Some(now);
            self.delay.hold_base(false);
            return self.begin_to_drain(self.delay.floor(), traffic, now);
        }
        compete.short_for = match self.delay.floor() < OVERUSE_S {
            true => compete.short_for + passed,
            false => 0.0,
        };
        if compete.short_for > 0.4 + self.least_rtt {
            self.delay.hold_base(false);
            self.competed = Some(now);
            self.mode = Mode::Usual;
            return;
        }
        if lost && (now - compete.reduced_at).as_secs_f64() > self.rtt.max(0.1) {
            self.target *= COMPETE_KEPT;
            compete.reduced_at = now;
        } else {
            self.target += COMPETE_PACKETS * 9_600.0 / (self.rtt * self.rtt) * passed;
        }
        self.mode = Mode::Compete(compete);
    }

    /// Whether much of what is sent goes into the queue only.
    fn fills_it_alone(&self, compete: &mut Compete, sent: u64, now: MediaTime) -> bool {
        let (at, before) = compete.looked;
        let passed = (now - at).as_secs_f64();
        if passed < self.rtt + 0.4 {
            return false;
        }
        compete.looked = (now, sent);
        let sent = (sent - before) as f64 * 8.0 / passed;
        let arrives = self.delivery.rate(0.5).unwrap_or(sent);
        compete.missing = if sent > arrives * NOT_ARRIVING.0 { compete.missing + 1 } else { 0 };
        compete.missing >= NOT_ARRIVING.1
    }
}
