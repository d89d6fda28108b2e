//! The sending side of one path as a whole: what waits, what has left, what is known of it, and how much may follow.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::average::AverageRate;
use crate::background::CallPath;
use crate::controller::{Controller, Traffic};
use crate::estimate::{Limits, NetworkEstimate};
use crate::history::{History, News, PacketResult, PacketStatus, SentPacket};
use crate::pacer::{Pacer, PacketKind};
use crate::repair::is_asking_in_time;
use crate::repeats::{Path, Repeats};

/// What waits to leave is worked off by making new pictures smaller, within this time.
const WORK_OFF_S: f64 = 0.5;
/// A new picture is not worth making while others wait for longer.
const TOO_MUCH_WAITS: Duration = Duration::from_millis(120);
/// Time over which rates of sound and repetitions are averaged.
const RATES_S: f64 = 0.5;

/// Packets of what goes several times leave so far apart: what loses one packet often loses the next.
const COPY_AFTER: Duration = Duration::from_millis(15);

/// A packet that may leave now.
#[derive(Clone, Copy, Debug)]
pub struct Departure<T> {
    /// What was given to [`Sender::push`].
    pub packet: T,
    /// Its length on the wire, as it was given.
    pub bytes: usize,
    /// What it is for.
    pub kind: PacketKind,
    /// Counts packets; the lower 16 bits are its transport-wide sequence number.
    pub number: u64,
}

/// What the other side has reported.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What became of packets, in the order in which they left.
    pub results: Vec<PacketResult>,
    /// Content that the other side has not got, it seems, although it waits for it and nothing under way brings it: whoever can
    /// is to repeat it.
    pub missed: Vec<u64>,
}

#[derive(Debug)]
struct Queued<T> {
    packet: T,
    burst: u32,
    content: Option<u64>,
}

/// One more packet of what goes several times.
#[derive(Debug)]
struct Duplicate<T> {
    due: MediaTime,
    packet: T,
    bytes: usize,
    content: u64,
}

/// See the module's description. `T` is whatever a packet is to its owner.
#[derive(Debug)]
pub struct Sender<T> {
    controller: Controller,
    history: History,
    pacer: Pacer<Queued<T>>,
    repeats: Repeats,
    /// In the order in which they are due.
    copies: VecDeque<Duplicate<T>>,
    sound: AverageRate,
    repeated: AverageRate,
    video: AverageRate,
}

impl<T> Sender<T> {
    /// A path of which nothing is known.
    pub fn new(limits: Limits) -> Self {
        let controller = Controller::new(limits);
        let mut pacer = Pacer::new(limits.start);
        pacer.set_rate(limits.start, controller.pace(), MediaTime::ZERO);
        Self {
            controller,
            history: History::default(),
            pacer,
            repeats: Repeats::default(),
            copies: VecDeque::new(),
            sound: AverageRate::over(RATES_S),
            repeated: AverageRate::over(RATES_S),
            video: AverageRate::over(RATES_S),
        }
    }

    /// Takes in a packet that is `bytes` long on the wire. Packets of one frame have the same `burst`, which differs from that
    /// of the frame before. `content` tells what can be repeated from everything else that can.
    pub fn push(&mut self, packet: T, kind: PacketKind, bytes: usize, burst: u32, content: Option<u64>) {
        self.pacer.push(Queued { packet, burst, content }, kind, bytes);
    }

    /// A picture comes next that needs none before it. Where so much waits that it would come late, those packets of pictures
    /// are dropped that are needless then.
    pub fn begin_afresh(&mut self, needless: impl Fn(&T) -> bool) {
        if self.pacer.backlog() > TOO_MUCH_WAITS {
            self.pacer.drop_pictures(|queued| needless(&queued.packet));
        }
    }

    /// Takes in a packet that was asked for again. It is left out where it waits already or was repeated so lately that whoever
    /// asked can't have it yet, and where it would come too late. What was repeated in vain goes several times.
    pub fn push_repeated(
        &mut self,
        packet: T,
        copy: impl Fn(&T) -> T,
        bytes: usize,
        content: u64,
        now: MediaTime,
    ) {
        let packets = self.repeats.asked_for(content, self.path(), now);
        let copies: Vec<T> = (1..packets).map(|_| copy(&packet)).collect();
        if packets == 0 || !self.push_repetition(packet, bytes, content) {
            return;
        }
        self.repeats.repeated(content, packets, now);
        let mut due = now;
        for packet in copies {
            due += COPY_AFTER;
            let place = self.copies.partition_point(|before| before.due <= due);
            self.copies.insert(place, Duplicate { due, packet, bytes, content });
        }
    }

    /// Whether what is sent now comes late: so much waits here and at the bottleneck.
    pub fn is_crowded(&self) -> bool {
        let queue =
            Duration::try_from_secs_f64(self.controller.estimate().queue_ms / 1e3).unwrap_or_default();
        self.pacer.backlog() + queue > TOO_MUCH_WAITS
    }

    /// There and back, with the time until a report.
    pub fn round_trip(&self) -> Duration {
        Duration::try_from_secs_f64(self.path().rtt).unwrap_or_default()
    }

    fn path(&self) -> Path {
        let known = self.controller.estimate();
        let (rtt, least) = (known.rtt_ms / 1e3, known.least_rtt_ms / 1e3);
        Path { rtt, least_rtt: if least > 0.0 { least } else { rtt }, loss: known.expected_loss }
    }

    fn push_repetition(&mut self, packet: T, bytes: usize, content: u64) -> bool {
        let queued = Queued { packet, burst: 0, content: Some(content) };
        self.pacer.push(queued, PacketKind::Retransmission, bytes)
    }

    /// Gives out the next packet that may leave at `now`. Call it until it returns `None`.
    pub fn poll(&mut self, now: MediaTime) -> Option<Departure<T>> {
        while let Some(Duplicate { packet, bytes, content, .. }) =
            self.copies.pop_front_if(|copy| copy.due <= now)
        {
            if !self.push_repetition(packet, bytes, content) {
                self.repeats.left_out(content);
            }
        }
        let target = self.controller.target();
        self.controller.on_time(self.history.in_flight(), now);
        if self.controller.target() != target {
            self.pace(now);
        }
        let (queued, kind, bytes) = self.pacer.poll(now)?;
        match kind {
            PacketKind::Audio => self.sound.add(bytes, now),
            PacketKind::Retransmission | PacketKind::Repair => {
                self.repeated.add(bytes, now);
                queued.content.into_iter().for_each(|content| self.repeats.leaves(content, now));
            }
            PacketKind::Video => self.video.add(bytes, now),
            PacketKind::Padding => {}
        }
        let number = self.history.sent(SentPacket {
            at: now,
            bytes,
            kind,
            burst: queued.burst,
            content: queued.content,
        });
        Some(Departure { packet: queued.packet, bytes, kind, number })
    }

    /// When to poll next; `None` while nothing waits and nothing is awaited.
    pub fn next_wakeup(&self) -> Option<MediaTime> {
        let silence = self.controller.next_wakeup(self.history.in_flight());
        let copy = self.copies.front().map(|copy| copy.due);
        [self.pacer.next_wakeup(), silence, copy].into_iter().flatten().min()
    }

    /// Packets take another way from now on.
    pub fn path_changed(&mut self, now: MediaTime) {
        self.controller.path_changed();
        self.history.forget();
        self.pace(now);
    }

    /// Takes in what the other side reports.
    pub fn reported(&mut self, statuses: &[PacketStatus], now: MediaTime) -> Outcome {
        let News { results, missing } = self.history.reported(statuses);
        let traffic = Traffic { in_flight: self.history.in_flight(), sent: self.history.sent_bytes() };
        self.controller.on_results(&results, traffic, now);
        self.pace(now);
        // Also what was only overtaken: it need not be repeated once more.
        let arrived = results.iter().filter(|result| result.arrived.is_some());
        arrived.filter_map(|result| result.sent.content).for_each(|content| self.repeats.arrived(content));
        let missed = missing.iter().filter(|packet| self.is_missed(packet, now));
        let missed = missed.filter_map(|packet| packet.content).collect();
        Outcome { results, missed }
    }

    fn is_missed(&mut self, packet: &SentPacket, now: MediaTime) -> bool {
        let (Some(content), path) = (packet.content, self.path()) else { return false };
        match packet.kind {
            PacketKind::Retransmission => self.repeats.lost(content, path, now),
            _ => is_asking_in_time(path.rtt * 1e3) && self.repeats.first_lost(content, packet.at, path, now),
        }
    }

    /// Other limits from now on.
    pub fn set_limits(&mut self, limits: Limits, now: MediaTime) {
        self.controller.set_limits(limits);
        self.pace(now);
    }

    /// What new pictures may take, with all headers, in bits per second: what sound and repetitions leave, less what waits.
    /// `None` where so much waits that the next picture should not be made at all.
    pub fn video_rate(&self, now: MediaTime) -> Option<f64> {
        let backlog = self.pacer.backlog();
        if backlog > TOO_MUCH_WAITS {
            return None;
        }
        let waiting = (backlog.as_secs_f64() - 0.033).max(0.0) * self.controller.target();
        Some((self.left(self.sound.bps(now) + self.repeated.bps(now)) - waiting / WORK_OFF_S).max(0.0))
    }

    /// What others leave of the target.
    fn left(&self, others: f64) -> f64 {
        (self.controller.target() - others).max(0.0)
    }

    fn pace(&mut self, now: MediaTime) {
        self.pacer.set_rate(self.controller.target(), self.controller.pace(), now);
    }

    /// What is known.
    pub fn estimate(&self, now: MediaTime) -> NetworkEstimate {
        NetworkEstimate {
            video: self.video_rate(now),
            afresh: self.left(self.sound.bps(now)),
            sent: self.sound.bps(now) + self.repeated.bps(now) + self.video.bps(now),
            ..self.controller.estimate()
        }
    }

    /// What whatever may wait has to know of the path.
    pub fn path_of_call(&self, now: MediaTime) -> CallPath {
        let known = self.estimate(now);
        CallPath {
            wanted: self.controller.most(),
            target: known.target,
            sent: known.sent,
            acknowledged: known.acknowledged,
            queue: self.controller.standing_queue(),
            lets_run_empty: self.controller.lets_run_empty(),
            shortest_wait: self.controller.shortest_wait(),
            noise: self.controller.noise(),
            round_trip: known.rtt_ms / 1e3,
            expected_loss: known.expected_loss,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { min: 60_000.0, start: 1_000_000.0, max: 5_000_000.0 };

    fn status(sequence: u16, arrived: Option<u32>) -> PacketStatus {
        PacketStatus { sequence, arrived: arrived.map(|ms| Duration::from_millis(u64::from(ms))) }
    }

    proptest! {
        /// Nothing that the other side reports leads out of the limits, or to anything that is no number.
        #[test]
        fn whatever_is_reported_the_target_stays_within_its_limits(
            reports in vec((vec((any::<u16>(), any::<Option<u32>>()), 0..30), 0u64..2_000), 1..40),
        ) {
            let mut sender = Sender::new(LIMITS);
            let mut now = MediaTime::ZERO;
            for (statuses, pause) in reports {
                now += Duration::from_millis(pause);
                for n in 0..5 {
                    sender.push(n, PacketKind::Video, 1_000, n, None);
                }
                while sender.poll(now).is_some() {}
                // Some of packets that have left, some of others.
                let statuses: Vec<_> =
                    statuses.into_iter().map(|(sequence, arrived)| status(sequence % 256, arrived)).collect();
                sender.reported(&statuses, now);
                let estimate = sender.estimate(now);
                prop_assert!((LIMITS.min..=LIMITS.max).contains(&estimate.target), "{estimate:?}");
                prop_assert!(estimate.queue_ms.is_finite() && estimate.acknowledged.is_finite());
                prop_assert!(estimate.video.is_none_or(|video| (0.0..=LIMITS.max).contains(&video)));
            }
        }
    }

    fn all_that_leaves(sender: &mut Sender<char>, from: MediaTime) -> Vec<char> {
        let times = (0..80).map(|ms| from + Duration::from_millis(ms));
        times
            .flat_map(|now| std::iter::from_fn(|| sender.poll(now)).collect::<Vec<_>>())
            .map(|d| d.packet)
            .collect()
    }

    #[test]
    fn a_packet_that_was_just_repeated_is_not_repeated_again_and_one_repeated_in_vain_goes_twice() {
        let mut sender = Sender::new(LIMITS);
        let now = MediaTime::from_millis(1_000);
        let mut repeat = |packet: char, which: u64, at: MediaTime| {
            sender.push_repeated(packet, char::to_ascii_uppercase, 1_000, which, at);
            all_that_leaves(&mut sender, at)
        };
        assert_eq!(repeat('a', 7, now), ['a']);
        assert_eq!(repeat('b', 7, now + Duration::from_millis(99)), []);
        assert_eq!(repeat('c', 8, now + Duration::from_millis(99)), ['c']);
        // The round trip that is assumed at first.
        assert_eq!(repeat('d', 7, now + Duration::from_millis(101)), ['d', 'D']);
        assert_eq!(repeat('e', 7, now + Duration::from_millis(1_200)), ['e'], "that is too long ago");
    }

    #[test]
    fn what_is_missing_is_told_again_when_the_repetition_is_as_well() {
        let mut sender = Sender::new(LIMITS);
        let mut ms = 1_000;
        // What leaves in eight packets 10 ms apart, of which the first is missing.
        let mut round = |sender: &mut Sender<char>, push: &dyn Fn(&mut Sender<char>, MediaTime)| {
            let mut statuses = Vec::new();
            for n in 0..8 {
                ms += 10;
                let now = MediaTime::from_millis(ms);
                match n {
                    0 => push(sender, now),
                    _ => sender.push('s', PacketKind::Audio, 100, 0, None),
                }
                while let Some(left) = sender.poll(now) {
                    let arrived = (left.packet == 's').then_some(ms as u32 + 50);
                    statuses.push(status(left.number as u16, arrived));
                }
            }
            sender.reported(&statuses, MediaTime::from_millis(ms + 50)).missed
        };
        let first = |sender: &mut Sender<char>, _| sender.push('v', PacketKind::Video, 1_000, 1, Some(7));
        let again = |sender: &mut Sender<char>, now| sender.push_repeated('v', |_| 'v', 1_000, 7, now);
        let sound = |sender: &mut Sender<char>, _| sender.push('s', PacketKind::Audio, 100, 0, None);
        assert_eq!(round(&mut sender, &first), [7]);
        assert_eq!(round(&mut sender, &again), [7]);
        assert_eq!(round(&mut sender, &sound), [], "it was told");
    }

    #[test]
    fn what_comes_after_all_is_not_repeated_once_more_although_its_repetition_is_lost() {
        for (comes, expected) in [(true, vec![]), (false, vec![7])] {
            let mut sender = Sender::new(LIMITS);
            let leave = |sender: &mut Sender<char>, ms: u64, sound: bool| {
                let now = MediaTime::from_millis(ms);
                if sound {
                    sender.push('s', PacketKind::Audio, 100, 0, None);
                }
                sender.poll(now).map(|left| left.number)
            };
            sender.push('v', PacketKind::Video, 1_000, 1, Some(7));
            assert_eq!(leave(&mut sender, 1_000, false), Some(0));
            assert_eq!(leave(&mut sender, 1_010, true), Some(1));
            let at = |ms| MediaTime::from_millis(ms);
            assert_eq!(sender.reported(&[status(0, None), status(1, Some(1_060))], at(1_110)).missed, [7]);
            sender.push_repeated('v', |_| 'v', 1_000, 7, at(1_110));
            assert_eq!(leave(&mut sender, 1_110, false), Some(2));
            let first = status(0, comes.then_some(1_062));
            sender.reported(&[first, status(1, Some(1_060))], at(1_120));
            assert_eq!(leave(&mut sender, 1_130, true), Some(3));
            let statuses = [status(2, None), status(3, Some(1_180))];
            assert_eq!(sender.reported(&statuses, at(1_230)).missed, expected);
        }
    }

    #[test]
    fn the_copy_of_what_was_repeated_in_vain_leaves_a_little_later_before_the_pictures_that_wait() {
        let mut sender = Sender::new(LIMITS);
        let now = MediaTime::from_millis(1_000);
        sender.push_repeated('r', |_| 'R', 1_000, 7, now);
        all_that_leaves(&mut sender, now);
        let later = now + Duration::from_millis(160);
        sender.push_repeated('r', |_| 'R', 1_000, 7, later);
        assert_eq!(sender.poll(later).map(|departure| departure.packet), Some('r'));
        assert_eq!(sender.next_wakeup(), Some(later + COPY_AFTER));
        let due = later + COPY_AFTER;
        (0..10).for_each(|_| sender.push('v', PacketKind::Video, 1_000, 1, None));
        assert_eq!(sender.poll(due).map(|departure| departure.packet), Some('R'));
    }

    #[test]
    fn sound_alone_keeps_its_rate_where_packets_are_lost_whatever_is_sent() {
        let mut sender = Sender::new(LIMITS);
        let (mut now, mut on_their_way) = (MediaTime::from_millis(1_000), VecDeque::new());
        for step in 0..12_000_u32 {
            now += Duration::from_millis(5);
            if step % 4 == 0 {
                sender.push('s', PacketKind::Audio, 150, 0, None);
            }
            while let Some(departure) = sender.poll(now) {
                let lost = departure.number * 7_919 % 100 < 10;
                let at = now + Duration::from_millis(50);
                on_their_way.push_back((departure.number, (!lost).then_some(at)));
            }
            if step % 5 == 0 {
                let arrived = on_their_way.iter().take_while(|(_, at)| at.is_none_or(|at| at <= now)).count();
                let statuses: Vec<_> = on_their_way
                    .drain(..arrived)
                    .map(|(number, at)| PacketStatus {
                        sequence: number as u16,
                        arrived: at.map(|at| at - MediaTime::ZERO),
                    })
                    .collect();
                sender.reported(&statuses, now);
            }
        }
        let estimate = sender.estimate(now);
        assert!((0.06..0.14).contains(&estimate.loss), "{estimate:?}");
        assert!((estimate.loss..0.2).contains(&estimate.expected_loss), "{estimate:?}");
        assert!(estimate.target >= LIMITS.start * 0.9, "{estimate:?}");
    }

    #[test]
    fn pictures_get_what_sound_and_repeats_leave_and_none_while_much_waits() {
        let mut sender = Sender::new(LIMITS);
        let start = MediaTime::from_millis(1_000);
        assert_eq!(sender.video_rate(start), Some(1_000_000.0));
        let mut now = start;
        for _ in 0..100 {
            now += Duration::from_millis(20);
            sender.push('s', PacketKind::Audio, 125, 0, None);
            while sender.poll(now).is_some() {}
        }
        let left = sender.video_rate(now).unwrap();
        assert!((930_000.0..960_000.0).contains(&left), "sound takes 50 kb/s: {left}");
        (0..200).for_each(|_| sender.push('v', PacketKind::Video, 1_000, 1, None));
        assert_eq!(sender.video_rate(now), None, "they take 160 ms, even at the pace of the beginning");
    }
}
