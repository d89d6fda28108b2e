//! When packets leave: a frame is spread over its interval, sound never waits, and what was asked for again goes before
//! new pictures.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;

/// What a packet is for; the order in which packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketKind {
    /// Sound: it leaves at once.
    Audio,
    /// A packet that the other side has asked for again.
    Retransmission,
    /// A new picture.
    Video,
    /// Repair data for new pictures.
    Repair,
    /// Nothing: it only measures the path.
    Padding,
}

/// How much faster than the sustained rate the packets of one frame leave. A frame is then sent within two thirds of its
/// interval, which keeps the queue that it makes at a bottleneck below a third of an interval, and how far its packets are
/// spread on arrival tells whether the path carries half as much again (see [`crate::headroom::Headroom`]).
pub(crate) const BURST_GAIN: f64 = 1.5;

/// Bits that may leave at the higher rate, as a time at the sustained rate. An ordinary frame at 30 frames a second takes a
/// third of 33 ms; a key frame uses it up, and the rest of it leaves at the sustained rate.
const BURST: Duration = Duration::from_millis(25);

/// How fast packets leave, as multiples of the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Those of one frame.
    pub(crate) burst: f64,
    /// What leaves over a longer time.
    pub(crate) sustained: f64,
}

impl Pace {
    /// With less the bits that may leave at the higher rate would never come back while the rate is fully used.
    pub(crate) const SUSTAINED: f64 = 1.15;

    /// As most of the time.
    pub(crate) const USUAL: Self = Self { burst: BURST_GAIN, sustained: Self::SUSTAINED };
}

/// What waits is sent within this time, however low the rate: pictures that are older are worth nothing.
const LONGEST_WAIT: Duration = Duration::from_millis(400);

/// What was asked for again waits no longer than this.
const REPEATED_WAIT: Duration = Duration::from_millis(150);

/// Timers are this late at most without anything being lost of the rate: the resolution of tokio's, and one round of the
/// library's loop.
const LATE: Duration = Duration::from_millis(3);

/// Which of the queues hold pictures and what repairs them.
const PICTURES: std::ops::RangeInclusive<usize> = 1..=2;

/// Holds packets until they may leave. `T` is whatever a packet is to its owner.
#[derive(Debug)]
pub(crate) struct Pacer<T> {
    /// By [`PacketKind`], sound excepted.
    queues: [VecDeque<Waiting<T>>; 4],
    sound: VecDeque<Waiting<T>>,
    waiting_bits: f64,
    /// Those of them that were asked for again.
    repeated_bits: f64,
    /// Bits per second.
    rate: f64,
    /// The rate at which what waits is gone in time.
    needed: f64,
    pace: Pace,
    /// When the next packet may leave at the higher rate.
    peak: MediaTime,
    /// Bits that may leave at the higher rate, negative while a packet is being paid off.
    tokens: f64,
    refilled: MediaTime,
}

#[derive(Debug)]
struct Waiting<T> {
    packet: T,
    kind: PacketKind,
    bytes: usize,
}

impl<T> Pacer<T> {
    /// A pacer that lets `rate` bits per second leave.
    pub(crate) fn new(rate: f64) -> Self {
        Self {
            queues: std::array::from_fn(|_| VecDeque::new()),
            sound: VecDeque::new(),
            waiting_bits: 0.0,
            repeated_bits: 0.0,
            rate: rate.max(1.0),
            needed: 0.0,
            pace: Pace::USUAL,
            peak: MediaTime::ZERO,
            tokens: 0.0,
            refilled: MediaTime::ZERO,
        }
    }

    /// Lets `rate` bits per second leave from now on.
    pub(crate) fn set_rate(&mut self, rate: f64, pace: Pace, now: MediaTime) {
        self.refill(now);
        (self.rate, self.pace) = (rate.max(1.0), pace);
    }

    /// Takes in a packet that is `bytes` long on the wire. Whether it did: what was asked for again is left out where so much
    /// of it waits already that it would come too late. Whoever still needs it asks once more.
    pub(crate) fn push(&mut self, packet: T, kind: PacketKind, bytes: usize) -> bool {
        let waiting = Waiting { packet, kind, bytes };
        let queue = match kind {
            PacketKind::Audio => {
                self.sound.push_back(waiting);
                return true;
            }
            PacketKind::Retransmission if self.repeated_bits > self.rate * REPEATED_WAIT.as_secs_f64() => {
                return false;
            }
            PacketKind::Retransmission => {
                self.repeated_bits += bits(bytes);
                0
            }
            PacketKind::Video => 1,
            PacketKind::Repair => 2,
            PacketKind::Padding => 3,
        };
        self.waiting_bits += bits(bytes);
        if kind == PacketKind::Video {
            self.needed = self.needed.max(self.pictures() / LONGEST_WAIT.as_secs_f64());
        }
        self.queues[queue].push_back(waiting);
        true
    }

    /// Drops those packets of pictures that are needless, and what repairs them.
    pub(crate) fn drop_pictures(&mut self, needless: impl Fn(&T) -> bool) {
        for queue in &mut self.queues[PICTURES] {
            queue.retain(|waiting| {
                let keep = !needless(&waiting.packet);
                self.waiting_bits -= if keep { 0.0 } else { bits(waiting.bytes) };
                keep
            });
        }
        self.needed = self.pictures() / LONGEST_WAIT.as_secs_f64();
    }

    /// Bits that wait and were not asked for again.
    fn pictures(&self) -> f64 {
        self.waiting_bits - self.repeated_bits
    }

    /// Gives out the next packet that may leave at `now`, with its kind and its length. Call it until it returns `None`.
    pub(crate) fn poll(&mut self, now: MediaTime) -> Option<(T, PacketKind, usize)> {
        self.refill(now);
        if let Some(sound) = self.sound.pop_front() {
            // It takes its share of the rate, but is not held up by it.
            self.tokens -= bits(sound.bytes);
            return Some((sound.packet, sound.kind, sound.bytes));
        }
        if self.due()? > now {
            return None;
        }
        let next = self.queues.iter_mut().find_map(VecDeque::pop_front)?;
        let bits = bits(next.bytes);
        self.waiting_bits -= bits;
        if next.kind == PacketKind::Retransmission {
            self.repeated_bits -= bits;
        }
        self.tokens -= bits;
        if self.queues.iter().all(VecDeque::is_empty) {
            (self.waiting_bits, self.repeated_bits, self.needed) = (0.0, 0.0, 0.0);
        }
        // Who polls a little late catches up; after a pause a burst begins now.
        let began = if now - self.peak > LATE { now } else { self.peak };
        self.peak = began + seconds(bits / (self.rate.max(self.needed) * self.pace.burst));
        Some((next.packet, next.kind, next.bytes))
    }

    /// When to poll next; `None` while nothing waits.
    pub(crate) fn next_wakeup(&self) -> Option<MediaTime> {
        match self.sound.is_empty() {
            true => self.due(),
            false => Some(MediaTime::ZERO),
        }
    }

    /// How long it takes until everything that waits has left.
    pub(crate) fn backlog(&self) -> Duration {
        seconds(self.waiting_bits / self.effective_rate())
    }

    fn due(&self) -> Option<MediaTime> {
        self.queues.iter().any(|queue| !queue.is_empty()).then(|| match self.tokens < 0.0 {
            true => self.peak.max(self.refilled + seconds(-self.tokens / self.effective_rate())),
            false => self.peak,
        })
    }

    fn effective_rate(&self) -> f64 {
        (self.rate * self.pace.sustained).max(self.needed)
    }

    fn refill(&mut self, now: MediaTime) {
        let rate = self.effective_rate();
        let most = rate * BURST.as_secs_f64();
        self.tokens = (self.tokens + rate * (now - self.refilled).as_secs_f64()).min(most);
        self.refilled = self.refilled.max(now);
    }
}

fn bits(bytes: usize) -> f64 {
    bytes as f64 * 8.0
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> MediaTime {
        MediaTime::from_millis(n)
    }

    /// When each packet leaves, in milliseconds, polling when the pacer asks for it.
    fn departures<T: Copy>(pacer: &mut Pacer<T>, from: MediaTime) -> Vec<(T, f64)> {
        let mut out = Vec::new();
        let mut now = from;
        while let Some(at) = pacer.next_wakeup() {
            now = now.max(at);
            while let Some((packet, ..)) = pacer.poll(now) {
                out.push((packet, now.as_millis_f64()));
            }
        }
        out
    }

    fn push_pictures(pacer: &mut Pacer<u32>, packets: u32) {
        for n in 0..packets {
            assert!(pacer.push(n, PacketKind::Video, 1_000));
        }
    }

    #[test]
    fn what_is_asked_for_again_never_piles_up() {
        let mut pacer = Pacer::new(1_000_000.0);
        let start = ms(1_000);
        assert!(pacer.poll(start).is_none());
        let taken = (0..500).filter(|n| pacer.push(*n, PacketKind::Retransmission, 1_000)).count();
        assert_eq!(taken, 19, "150 ms at the rate");
        let last = departures(&mut pacer, start).last().unwrap().1 - 1_000.0;
        assert!(last < 150.0, "{last}");
        assert!(pacer.push(0, PacketKind::Retransmission, 1_000));
    }

    #[test]
    fn a_frame_leaves_at_half_as_fast_again_as_the_rate() {
        let mut pacer = Pacer::new(1_000_000.0);
        let start = ms(100);
        assert!(pacer.poll(start).is_none());
        push_pictures(&mut pacer, 4);
        let left: Vec<f64> = departures(&mut pacer, start).into_iter().map(|(_, at)| at - 100.0).collect();
        for (at, due) in left.iter().zip([0.0, 5.333, 10.666, 16.0]) {
            assert!((at - due).abs() < 0.01, "{left:?}");
        }
    }

    #[test]
    fn a_frame_of_many_times_the_usual_size_leaves_at_the_sustained_rate() {
        let mut pacer = Pacer::new(1_000_000.0);
        let start = ms(1_000);
        assert!(pacer.poll(start).is_none());
        push_pictures(&mut pacer, 40);
        let last = departures(&mut pacer, start).last().unwrap().1 - 1_000.0;
        let sustained = 39.0 * 8.0 / Pace::SUSTAINED;
        assert!((sustained - 35.0..=sustained).contains(&last), "{last}");
    }

    #[test]
    fn sound_waits_for_nothing_and_repeated_packets_go_before_new_ones() {
        let mut pacer = Pacer::new(100_000.0);
        let start = ms(50);
        for n in 0..3 {
            pacer.push(('v', n), PacketKind::Video, 1_000);
        }
        pacer.push(('p', 0), PacketKind::Padding, 100);
        pacer.push(('f', 0), PacketKind::Repair, 100);
        pacer.push(('r', 0), PacketKind::Retransmission, 1_000);
        assert_eq!(pacer.poll(start).unwrap().0, ('r', 0));
        assert!(pacer.poll(start).is_none(), "the next has to wait");
        pacer.push(('a', 0), PacketKind::Audio, 100);
        assert_eq!(pacer.next_wakeup(), Some(MediaTime::ZERO));
        assert_eq!(pacer.poll(start).unwrap().0, ('a', 0));
        let rest: Vec<char> = departures(&mut pacer, start).into_iter().map(|((what, _), _)| what).collect();
        assert_eq!(rest, ['v', 'v', 'v', 'f', 'p']);
    }

    #[test]
    fn what_waits_never_waits_longer_than_it_is_worth() {
        let mut pacer = Pacer::new(1_000.0);
        push_pictures(&mut pacer, 50);
        assert!(pacer.backlog() <= LONGEST_WAIT);
        let last = departures(&mut pacer, ms(10)).last().unwrap().1;
        assert!(last <= 410.0, "{last}");
    }
}
