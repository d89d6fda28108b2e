//! The link itself.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use ahoy_media_types::MediaTime;

use super::chance::{Chance, Luck};
use super::log::{PacketFate, PacketLog};
use super::schedule::{Finish, Timeline, Work, work_of};
use super::{JitterShape, LinkConfig};

/// Sums over all packets of a link since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets handed to the link.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Packets that went through, each counted once even if it came out twice.
    pub delivered: u64,
    /// Their bytes.
    pub bytes_delivered: u64,
    /// Packets that the loss process took.
    pub lost: u64,
    /// Packets that found the queue full.
    pub queue_dropped: u64,
    /// Packets that came while the link was blocked.
    pub blocked: u64,
    /// Packets held back for others to overtake them.
    pub held_back: u64,
    /// Packets that came out twice.
    pub duplicated: u64,
}

/// A packet that comes out of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<T> {
    /// What was handed to the link.
    pub packet: T,
    /// When it was due, which is at or before the time of the poll.
    pub at: MediaTime,
    /// Its number in the [`PacketLog`].
    pub number: u64,
}

/// One direction of a network path. See the [module documentation](super) for the order of things.
///
/// Times must not go backwards; one that does is taken for the latest time seen.
#[derive(Debug)]
pub struct Link<T> {
    config: LinkConfig,
    timeline: Timeline,
    /// Where the schedule's time begins.
    schedule_start: MediaTime,
    now: MediaTime,
    queue: VecDeque<Waiting<T>>,
    /// Work of all packets in the queue, the one in transmission counted whole.
    backlog: Work,
    /// The transmission of the packet at the head of the queue.
    transmission: Option<Transmission>,
    in_flight: BinaryHeap<Reverse<InFlight<T>>>,
    in_flight_order: u64,
    /// When the latest packet that keeps its place comes out.
    last_delivery: MediaTime,
    chance: Chance,
    blocked: bool,
    log: PacketLog,
    counters: LinkCounters,
}

#[derive(Debug)]
struct Waiting<T> {
    packet: T,
    number: u64,
    arrived: MediaTime,
    bytes: usize,
    luck: Luck,
}

#[derive(Clone, Copy, Debug)]
struct Transmission {
    /// When the packet got its turn.
    began: MediaTime,
    /// From where on `left` counts: `began`, or the latest reconfiguration.
    from: MediaTime,
    left: Work,
    /// `None` if the schedule ends in an outage.
    finish: Option<(MediaTime, Work)>,
}

#[derive(Debug)]
struct InFlight<T> {
    at: MediaTime,
    order: u64,
    number: u64,
    packet: T,
}

impl<T> PartialEq for InFlight<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for InFlight<T> {}

impl<T> PartialOrd for InFlight<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for InFlight<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<T: Clone> Link<T> {
    /// A link whose rate schedule begins at `start`.
    pub fn new(config: LinkConfig, start: MediaTime) -> Self {
        Self {
            timeline: Timeline::new(config.rate()),
            chance: Chance::new(config.seed()),
            config,
            schedule_start: start,
            now: start,
            queue: VecDeque::new(),
            backlog: 0,
            transmission: None,
            in_flight: BinaryHeap::new(),
            in_flight_order: 0,
            last_delivery: MediaTime::ZERO,
            blocked: false,
            log: PacketLog::new(),
            counters: LinkCounters::default(),
        }
    }

    /// Takes in a packet of `bytes` bytes (of which the transmission time depends).
    pub fn handle(&mut self, packet: T, bytes: usize, now: MediaTime) {
        self.advance(now);
        let number = self.log.open(self.now, bytes);
        self.counters.packets_in += 1;
        self.counters.bytes_in += bytes as u64;
        let reorder = self.config.reorder().map_or(0.0, |reorder| reorder.p);
        let luck = self.chance.draw(self.config.loss(), reorder, self.config.duplicate());
        if self.blocked {
            self.counters.blocked += 1;
            self.log.close(number, PacketFate::Blocked);
        } else if luck.lost {
            self.counters.lost += 1;
            self.log.close(number, PacketFate::Lost);
        } else if self.queue_is_full() {
            self.counters.queue_dropped += 1;
            self.log.close(number, PacketFate::QueueDropped);
        } else {
            self.backlog += work_of(bytes);
            self.queue.push_back(Waiting { packet, number, arrived: self.now, bytes, luck });
            if self.transmission.is_none() {
                self.begin_transmission(self.now, 0);
            }
            self.advance(now);
        }
    }

    /// Gives out the next packet that is due at `now`. Call it until it returns `None`.
    pub fn poll(&mut self, now: MediaTime) -> Option<Delivery<T>> {
        self.advance(now);
        if self.in_flight.peek()?.0.at > self.now {
            return None;
        }
        let Reverse(InFlight { at, number, packet, .. }) = self.in_flight.pop()?;
        Some(Delivery { packet, at, number })
    }

    /// When to poll next; `None` while nothing is on its way. It may be in the past, and polling then may yield nothing
    /// yet but a later wake-up.
    pub fn next_wakeup(&self) -> Option<MediaTime> {
        let delivery = self.in_flight.peek().map(|Reverse(next)| next.at);
        let transmitted = self.transmission.and_then(|t| t.finish).map(|(at, _)| at);
        delivery.into_iter().chain(transmitted).min()
    }

    /// Changes what the link does from `now` on; the new schedule begins at `now`. Packets already past the bottleneck
    /// keep their time, those in the queue stay in it, and the random decisions go on where they were.
    pub fn reconfigure(&mut self, config: LinkConfig, now: MediaTime) {
        self.advance(now);
        if let Some(transmission) = &mut self.transmission {
            let since = |time: MediaTime| time.since(self.schedule_start).as_micros() as u64;
            let served =
                self.timeline.capacity(since(transmission.from), since(self.now)).unwrap_or(Work::MAX);
            self.backlog -= served.min(transmission.left);
            transmission.left = transmission.left.saturating_sub(served);
            transmission.from = self.now;
        }
        self.timeline = Timeline::new(config.rate());
        self.schedule_start = self.now;
        self.config = config;
        if let Some(transmission) = self.transmission {
            let finish = self.finish_of(transmission.from, transmission.left);
            self.transmission = Some(Transmission { finish, ..transmission });
        }
        self.advance(now);
    }

    /// While blocked, a link swallows every packet that comes; those already in it still come out.
    pub fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// What the link does at present.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// What became of each packet.
    pub fn log(&self) -> &PacketLog {
        &self.log
    }

    /// Takes the log out and starts an empty one. Packets still in the queue stay `Queued` in what is taken.
    pub fn take_log(&mut self) -> PacketLog {
        let next = PacketLog::starting_at(self.counters.packets_in);
        std::mem::replace(&mut self.log, next)
    }

    /// Sums over all packets.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// How long a packet that came now would wait for its transmission at the present rate: zero without limit.
    pub fn queueing_delay(&self) -> Duration {
        match self.queue_rate() {
            None => Duration::ZERO,
            Some(0) => Duration::MAX,
            Some(bps) => Duration::from_micros(
                u64::try_from(self.waiting_work() / Work::from(bps)).unwrap_or(u64::MAX),
            ),
        }
    }

    fn since_start(&self, time: MediaTime) -> u64 {
        time.since(self.schedule_start).as_micros() as u64
    }

    fn queue_rate(&self) -> Option<u64> {
        self.timeline.queue_rate(self.since_start(self.now))
    }

    /// The backlog without what has been transmitted of its first packet.
    fn waiting_work(&self) -> Work {
        let served = self.transmission.map_or(0, |t| {
            let served = self.timeline.capacity(self.since_start(t.from), self.since_start(self.now));
            served.map_or(t.left, |served| served.min(t.left))
        });
        self.backlog - served
    }

    fn queue_is_full(&self) -> bool {
        let longest_wait = self.config.queue().as_micros();
        match self.queue_rate() {
            None => false,
            Some(bps) => self.waiting_work() > longest_wait.saturating_mul(Work::from(bps)),
        }
    }

    fn finish_of(&self, from: MediaTime, work: Work) -> Option<(MediaTime, Work)> {
        let Finish { at, spare } = self.timeline.finish(self.since_start(from), work)?;
        Some((self.schedule_start + Duration::from_micros(at), spare))
    }

    /// Works out everything that happens up to `now`.
    fn advance(&mut self, now: MediaTime) {
        self.now = self.now.max(now);
        while let Some(Transmission { began, left, finish: Some((sent, spare)), .. }) = self.transmission
            && sent <= self.now
        {
            self.backlog -= left;
            self.transmission = None;
            if let Some(waiting) = self.queue.pop_front() {
                self.fly(waiting, began, sent);
            }
            self.begin_transmission(sent, spare);
        }
    }

    /// Gives the packet at the head of the queue its turn. `head_start` is what rounding left of the one before.
    fn begin_transmission(&mut self, at: MediaTime, head_start: Work) {
        let Some(head) = self.queue.front() else { return };
        let work = work_of(head.bytes);
        let left = work.saturating_sub(head_start);
        self.backlog -= work - left;
        let finish = self.finish_of(at, left);
        self.transmission = Some(Transmission { began: at, from: at, left, finish });
    }

    /// What a draw from -1 to 1 makes of delay and jitter.
    fn delay_of(&self, draw: f64) -> Duration {
        let (delay, jitter) = (self.config.delay(), self.config.jitter());
        match self.config.jitter_shape() {
            JitterShape::Even if draw < 0.0 => delay.saturating_sub(jitter.mul_f64(-draw)),
            JitterShape::Even => delay + jitter.mul_f64(draw),
            JitterShape::HalfNormal => delay + jitter.mul_f64((half_normal(draw.abs()) / 3.0).min(1.0)),
        }
    }

    /// Sends a transmitted packet on its way to the far end.
    fn fly(&mut self, waiting: Waiting<T>, began: MediaTime, sent: MediaTime) {
        let Waiting { packet, number, arrived, bytes, luck } = waiting;
        let mut at = sent + self.delay_of(luck.jitter);
        let hold = self.config.reorder().filter(|_| luck.held_back).map(|reorder| reorder.hold);
        match hold {
            Some(hold) => at += hold,
            None if self.config.keeps_order() => {
                at = at.max(self.last_delivery);
                self.last_delivery = at;
            }
            None => {}
        }
        self.counters.delivered += 1;
        self.counters.bytes_delivered += bytes as u64;
        self.counters.held_back += u64::from(hold.is_some());
        self.counters.duplicated += u64::from(luck.duplicated);
        self.log.close(
            number,
            PacketFate::Delivered {
                queued: began - arrived,
                sent,
                at,
                held_back: hold.is_some(),
                duplicated: luck.duplicated,
            },
        );
        if luck.duplicated {
            self.push_in_flight(at, number, packet.clone());
        }
        self.push_in_flight(at, number, packet);
    }

    fn push_in_flight(&mut self, at: MediaTime, number: u64, packet: T) {
        self.in_flight.push(Reverse(InFlight { at, order: self.in_flight_order, number, packet }));
        self.in_flight_order += 1;
    }
}

/// The quantile of a half-normal distribution of standard deviation 1 (before it is folded), by Winitzki's approximation of
/// the inverse error function, which is good to two parts in a thousand.
fn half_normal(share: f64) -> f64 {
    const A: f64 = 0.147;
    let log = (1.0 - share * share).max(f64::MIN_POSITIVE).ln();
    let term = 2.0 / (std::f64::consts::PI * A) + log / 2.0;
    std::f64::consts::SQRT_2 * ((term * term - log / A).sqrt() - term).max(0.0).sqrt()
}

#[cfg(test)]
#[path = "emulator_tests.rs"]
mod tests;
