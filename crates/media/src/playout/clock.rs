//! When to show each picture: smoothly, and with the sound that belongs to it.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::{Codec, MediaTime, SenderReport};

use super::delay::{DelayEstimator, DelayGoal};
use super::reception::TimestampUnwrapper;

/// Share of pictures that should be complete in time to be shown evenly. The others are shown late, which is seen less than
/// the delay it would cost to wait for them all.
const IN_TIME: f64 = 0.95;
/// For so long it is remembered when pictures came so late that everything stood still. What happens once in that time is left
/// alone; what happens again is waited for.
const STALLS_REMEMBERED: Duration = Duration::from_secs(30);
/// Most of them that are remembered: one each half second.
const STALLS_MOST: usize = 60;
/// Pictures may come so much later than they should before that counts as one: webrtc-stats says 150 ms, of which 40 are left for
/// decoding and the screen, as those that are in time are decoded while they wait.
const FREEZE: Duration = Duration::from_millis(110);
/// How fast the delay of video may change, in seconds per second: below what is seen as slow motion.
const SLEW: f64 = 0.1;
/// How fast it may change while sound that has just begun is joined: half a second of slow motion is seen less than lips
/// that are far from their words for as long as it would take otherwise.
const JOINING_SLEW: f64 = 0.5;
/// A picture that is there is shown so much after the one before and the usual time between two, however long it should wait:
/// pictures that were left out are no reason for a standstill.
const HOLE: Duration = Duration::from_millis(80);
/// The usual time between two pictures is averaged over about so many.
const INTERVALS: f64 = 30.0;
/// Longer times between two pictures are pauses, and count as this many microseconds.
const LONGEST_INTERVAL: f64 = 1_000_000.0;
/// Pictures at the start whose delay is set at once, as there is nothing yet that could jump.
const SETTLING: u32 = 15;
/// Sound and picture closer to each other than this are together (ITU-R BT.1359 finds 45 ms early and 125 ms late
/// noticeable).
const TOGETHER: i64 = 5_000;
/// Microseconds by which pictures may be shown before their sound is heard. Sound always comes later in a room, too, so
/// nobody notices less than 45 ms (ITU-R BT.1359); not waiting for it makes the conversation that much quicker.
const MAY_LEAD: i64 = 30_000;
/// Microseconds by which sound may be heard before its pictures, for the same reason.
const SOUND_MAY_LEAD: i64 = 30_000;
/// After so long without a picture sound waits for none.
const PICTURES_GONE: Duration = Duration::from_secs(1);
/// Sender reports that put sound and picture further apart than this are not about the same clock.
const IMPLAUSIBLE: i64 = 2_000_000;
/// How much each played block moves the average of when sound is heard: blocks come on a 10 ms grid.
const AUDIO_WEIGHT: f64 = 0.05;
/// Sound that is heard so much sooner or later than before has been interrupted, so averaging starts afresh.
const AUDIO_JUMP: f64 = 200_000.0;
/// A picture whose timestamp is further than this from what its arrival says comes from a clock that was set anew.
const CLOCK_JUMP: Duration = Duration::from_secs(2);

/// The two streams that are kept together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// The sound. Ears notice stretching sooner than eyes.
    Audio,
    /// The pictures.
    Video,
}

/// How long pictures may be held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutClockConfig {
    /// Most delay so that pictures come evenly.
    pub most_smoothing: Duration,
    /// Most delay so that pictures do not stand still now and then.
    pub most_against_freezes: Duration,
    /// Most delay altogether, so that pictures wait for their sound.
    pub most_delay: Duration,
}

impl Default for PlayoutClockConfig {
    /// 100, 250 and 250 ms: beyond that a conversation suffers more from the delay than from what it is for.
    fn default() -> Self {
        Self {
            most_smoothing: Duration::from_millis(100),
            most_against_freezes: Duration::from_millis(250),
            most_delay: Duration::from_millis(250),
        }
    }
}

/// When pictures came so late that everything stood still, and by how much the latest of each.
#[derive(Debug, Default)]
struct Stalls {
    worst: VecDeque<(MediaTime, i64)>,
    /// Whether the last picture was one of them, so that the next belongs to the same.
    now: bool,
}

impl Stalls {
    /// Takes in by how many microseconds a picture came later than the fastest.
    fn picture(&mut self, late: i64, at: MediaTime) {
        let before = std::mem::replace(&mut self.now, late > FREEZE.as_micros() as i64);
        match self.worst.back_mut().filter(|_| before) {
            _ if !self.now => {}
            Some((_, worst)) => *worst = late.max(*worst),
            None => self.worst.push_back((at, late)),
        }
        while self.worst.len() > STALLS_MOST
            || self.worst.front().is_some_and(|(began, _)| at.since(*began) > STALLS_REMEMBERED)
        {
            self.worst.pop_front();
        }
    }

    /// How late pictures come more than once.
    fn usual(&self) -> Duration {
        let (mut most, mut second) = (0, 0);
        for (_, late) in &self.worst {
            (most, second) = (most.max(*late), second.max(most.min(*late)));
        }
        Duration::from_micros(second.unsigned_abs())
    }
}

/// The sender's wall clock at an RTP timestamp.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    micros: i64,
    rtp_timestamp: u32,
    clock_rate: u32,
}

impl Anchor {
    fn new(report: &SenderReport, clock_rate: u32) -> Self {
        let micros = (u128::from(report.ntp) * 1_000_000) >> 32;
        Self { micros: micros as i64, rtp_timestamp: report.rtp_timestamp, clock_rate }
    }

    /// Wall clock of the sender, in microseconds, when it captured what has this timestamp.
    fn captured(&self, rtp_timestamp: u32) -> i64 {
        let ticks = i64::from(rtp_timestamp.wrapping_sub(self.rtp_timestamp) as i32);
        self.micros + ticks * 1_000_000 / i64::from(self.clock_rate)
    }
}

/// Maps the sender's timestamps to times here: pictures are shown as soon as they are complete where the network is steady,
/// with just enough delay to come evenly where it is not, and not noticeably sooner than the sound that was captured with them
/// is heard.
///
/// Sound waits for pictures no longer than the network makes them late: not for their sake alone on a good one.
#[derive(Debug)]
pub struct PlayoutClock {
    config: PlayoutClockConfig,
    timestamps: TimestampUnwrapper,
    video: DelayEstimator,
    video_anchor: Option<Anchor>,
    audio_anchor: Option<Anchor>,
    /// How much later than captured by the sender's clock sound is heard by ours, in microseconds. The two clocks have
    /// nothing in common, so only the difference from the same figure for video means anything.
    heard_after: Option<f64>,
    /// Whether the pictures are still on their way to sound that has begun.
    joining: bool,
    last_frame: Option<MediaTime>,
    /// Position of the last picture, in ticks of its clock, and when it was to be shown.
    last_shown: Option<(i64, MediaTime)>,
    /// Usual time between two pictures as they were captured, in microseconds.
    interval: f64,
    frames: u32,
    stalls: Stalls,
    /// Microseconds by which pictures are held back after their earliest arrival.
    delay: f64,
    /// How much of that the network makes necessary.
    network_delay: f64,
    /// How much later than captured by the sender's clock pictures could be shown by ours, in microseconds.
    possible_after: Option<i64>,
    shown_after: Option<i64>,
}

impl PlayoutClock {
    /// A clock that knows nothing yet.
    pub fn new(config: PlayoutClockConfig) -> Self {
        let goal = DelayGoal {
            clock_rate: Codec::H264.clock_rate(),
            quantile: IN_TIME,
            least: Duration::ZERO,
            most: config.most_smoothing.min(config.most_delay),
        };
        Self {
            config,
            timestamps: TimestampUnwrapper::default(),
            video: DelayEstimator::new(goal),
            video_anchor: None,
            audio_anchor: None,
            heard_after: None,
            joining: false,
            last_frame: None,
            last_shown: None,
            interval: 0.0,
            frames: 0,
            stalls: Stalls::default(),
            delay: 0.0,
            network_delay: 0.0,
            possible_after: None,
            shown_after: None,
        }
    }

    /// Takes a sender report, which says when by the sender's wall clock a timestamp was (RFC 3550 section 6.4.1).
    pub fn on_sender_report(&mut self, kind: StreamKind, report: &SenderReport) {
        match kind {
            StreamKind::Audio => {
                let anchor = Anchor::new(report, Codec::Opus.clock_rate());
                if let (Some(before), Some(heard)) = (self.audio_anchor, &mut self.heard_after) {
                    // The same sound has got another capture time.
                    *heard -= (anchor.captured(report.rtp_timestamp) - before.captured(report.rtp_timestamp))
                        as f64;
                }
                self.audio_anchor = Some(anchor);
            }
            StreamKind::Video => self.video_anchor = Some(Anchor::new(report, Codec::H264.clock_rate())),
        }
    }

    /// Tells that the sound with this timestamp is heard at `heard_at`, the delay of the sound device included.
    pub fn on_audio_played(&mut self, rtp_timestamp: u32, heard_at: MediaTime) {
        let Some(anchor) = self.audio_anchor else { return };
        let after = (heard_at.as_micros() as i64 - anchor.captured(rtp_timestamp)) as f64;
        self.heard_after = Some(match self.heard_after {
            Some(average) if (after - average).abs() < AUDIO_JUMP => {
                average + AUDIO_WEIGHT * (after - average)
            }
            _ => {
                self.joining = true;
                after
            }
        });
    }

    /// Takes a picture that became complete (its last packet arrived) at `complete_at`. Call it for each, in order.
    pub fn on_video_frame(&mut self, rtp_timestamp: u32, complete_at: MediaTime) {
        let mut position = self.timestamps.unwrap(rtp_timestamp);
        if self.video.distance(position, complete_at).is_some_and(|off| off > CLOCK_JUMP) {
            self.timestamps = TimestampUnwrapper::default();
            self.video.forget_clock();
            (self.frames, self.last_shown) = (0, None);
            position = self.timestamps.unwrap(rtp_timestamp);
        }
        self.video.on_packet(position, complete_at);
        let passed =
            self.last_frame.replace(complete_at).map_or(Duration::ZERO, |last| complete_at.since(last));
        self.frames = self.frames.saturating_add(1);
        self.possible_after = self.video_anchor.and_then(|anchor| {
            Some(self.video.earliest(position)?.as_micros() as i64 - anchor.captured(rtp_timestamp))
        });
        let most = self.config.most_delay.as_micros() as f64;
        let even = self.video.target();
        let late = self.video.slack(position, complete_at).unwrap_or(0);
        self.stalls.picture(late, complete_at);
        let unfrozen = self.stalls.usual().saturating_sub(FREEZE).min(self.config.most_against_freezes);
        let network = (even.max(unfrozen).as_micros() as f64).min(most);
        let sync = self.behind_video().map_or(0, |behind| behind - MAY_LEAD) as f64;
        let wanted = network.max(sync).clamp(0.0, most);
        // One that comes late has made the picture stand still already: those after it may be as late without being slow.
        self.delay = self.delay.max((late as f64).min(wanted));
        self.move_delay(wanted, passed);
        self.close_hole(position, complete_at);
        self.network_delay = network.min(self.delay);
    }

    /// How much later than its picture could be shown sound is heard, in microseconds.
    fn behind_video(&self) -> Option<i64> {
        let behind = self.heard_after? as i64 - self.possible_after?;
        (behind.abs() < IMPLAUSIBLE).then_some(behind)
    }

    /// Whether there have been pictures lately, so that sound waits for them where it has to.
    pub fn has_pictures(&self, now: MediaTime) -> bool {
        self.last_frame.is_some_and(|last| now < last + PICTURES_GONE)
    }

    /// For how long sound should have been held back that was for `held_back` and is heard at `heard_at`, so that it does not
    /// come noticeably before pictures which the network makes late.
    pub fn hold_sound(&self, rtp_timestamp: u32, held_back: Duration, heard_at: MediaTime) -> Duration {
        let seen = self.has_pictures(heard_at);
        let (Some(anchor), Some(possible)) = (self.audio_anchor.filter(|_| seen), self.possible_after) else {
            return Duration::ZERO;
        };
        let shown = anchor.captured(rtp_timestamp) + possible + self.network_delay as i64;
        let longer = shown - SOUND_MAY_LEAD - heard_at.as_micros() as i64;
        if longer.abs() >= IMPLAUSIBLE {
            return Duration::ZERO;
        }
        let held = held_back.as_micros() as i64 + longer;
        Duration::from_micros(held.clamp(0, self.network_delay as i64) as u64)
    }

    /// Goes towards the wanted delay, slowly enough not to be seen.
    fn move_delay(&mut self, wanted: f64, passed: Duration) {
        let change = wanted - self.delay;
        if self.frames <= SETTLING {
            self.delay = wanted;
        } else if change.abs() > TOGETHER as f64 || wanted == 0.0 {
            let slew = if self.joining { JOINING_SLEW } else { SLEW };
            let most = passed.as_micros() as f64 * slew;
            self.delay += change.clamp(-most, most);
        }
        if self.heard_after.is_some() && (wanted - self.delay).abs() <= TOGETHER as f64 {
            self.joining = false;
        }
    }

    /// Has the picture at this position wait no longer than until the time for it has come at which nothing stands still.
    fn close_hole(&mut self, position: i64, complete_at: MediaTime) {
        let Some(earliest) = self.video.earliest(position) else { return };
        let mut due = complete_at.max(earliest + self.video_delay());
        if let Some((before, shown)) = self.last_shown {
            let ticks = (position - before).max(0) as f64;
            let passed = (ticks * 1e6 / f64::from(Codec::H264.clock_rate())).min(LONGEST_INTERVAL);
            self.interval += (passed - self.interval) / f64::from(self.frames).clamp(1.0, INTERVALS);
            let latest = complete_at.max(shown + Duration::from_micros(self.interval as u64) + HOLE);
            if due > latest {
                self.delay = (self.delay - (due - latest).as_micros() as f64).max(0.0);
                due = latest;
            }
        }
        self.last_shown = Some((position, due));
    }

    /// When to show the picture with this timestamp: in the past where it came too late. `None` before the first picture.
    pub fn present_at(&self, rtp_timestamp: u32) -> Option<MediaTime> {
        let earliest = self.video.earliest(self.timestamps.peek(rtp_timestamp))?;
        Some(earliest + self.video_delay())
    }

    /// How long pictures are held back after the moment when the fastest of them would have been complete.
    pub fn video_delay(&self) -> Duration {
        Duration::from_micros(self.delay as u64)
    }

    /// Tells when a picture was really shown.
    pub fn on_video_shown(&mut self, rtp_timestamp: u32, at: MediaTime) {
        self.shown_after =
            self.video_anchor.map(|anchor| at.as_micros() as i64 - anchor.captured(rtp_timestamp));
    }

    /// By how many milliseconds the picture last shown came after its sound; negative where it came before. `None` until
    /// both have been played and reported on by the sender.
    pub fn av_offset(&self) -> Option<f64> {
        let offset = self.shown_after? as f64 - self.heard_after?;
        (offset.abs() < IMPLAUSIBLE as f64).then_some(offset / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::Ssrc;

    use super::*;

    /// What the sender's wall clock says at time zero here, in microseconds since 1900.
    const WALL: u64 = 3_900_000_000_000_000;

    /// A call in which everything has a known delay.
    struct Call {
        clock: PlayoutClock,
        /// Offsets that RTP timestamps start with, near the wrap.
        video_start: u32,
        audio_start: u32,
        shown: Vec<(u64, MediaTime)>,
    }

    impl Call {
        fn new() -> Self {
            Self {
                clock: PlayoutClock::new(PlayoutClockConfig::default()),
                video_start: u32::MAX - 400_000,
                audio_start: u32::MAX - 100_000,
                shown: Vec::new(),
            }
        }

        fn video_timestamp(&self, micros: u64) -> u32 {
            self.video_start.wrapping_add((micros * 90 / 1000) as u32)
        }

        fn audio_timestamp(&self, micros: u64) -> u32 {
            self.audio_start.wrapping_add((micros * 48 / 1000) as u32)
        }

        fn report(&mut self, kind: StreamKind, micros: u64) {
            let rtp_timestamp = match kind {
                StreamKind::Audio => self.audio_timestamp(micros),
                StreamKind::Video => self.video_timestamp(micros),
            };
            let ntp = ((u128::from(WALL + micros) << 32) / 1_000_000) as u64;
            let arrived_at = MediaTime::from_micros(micros);
            self.clock
                .on_sender_report(kind, &SenderReport { ssrc: Ssrc(1), ntp, rtp_timestamp, arrived_at });
        }

        /// Runs from one second to another with pictures under way for `video` microseconds and sound heard `audio`
        /// microseconds after it was captured.
        fn run(&mut self, seconds: std::ops::Range<u64>, video: impl Fn(u64) -> u64, audio: Option<u64>) {
            for tick in seconds.start * 100..seconds.end * 100 {
                let micros = tick * 10_000;
                if tick % 500 == 0 && audio.is_some() {
                    self.report(StreamKind::Audio, micros);
                    self.report(StreamKind::Video, micros);
                }
                if let Some(audio) = audio {
                    self.clock.on_audio_played(
                        self.audio_timestamp(micros),
                        MediaTime::from_micros(micros + audio),
                    );
                }
                if tick % 3 == 0 {
                    let complete = MediaTime::from_micros(micros + video(tick / 3));
                    let timestamp = self.video_timestamp(micros);
                    self.clock.on_video_frame(timestamp, complete);
                    let at = self.clock.present_at(timestamp).unwrap().max(complete);
                    self.clock.on_video_shown(timestamp, at);
                    self.shown.push((micros, at));
                }
            }
        }

        /// Milliseconds from capture to show of the pictures since `second`.
        fn latencies(&self, second: u64) -> Vec<f64> {
            let recent = self.shown.iter().filter(|(captured, _)| *captured >= second * 1_000_000);
            recent.map(|(captured, at)| at.as_micros() as f64 / 1e3 - *captured as f64 / 1e3).collect()
        }
    }

    fn spread(values: &[f64]) -> (f64, f64) {
        values.iter().fold((f64::MAX, f64::MIN), |(min, max), v| (min.min(*v), max.max(*v)))
    }

    #[test]
    fn on_a_steady_link_pictures_are_shown_the_moment_they_are_complete() {
        let mut call = Call::new();
        call.run(0..20, |i| 9_000 + i * 7919 % 1500, None);
        let (least, most) = spread(&call.latencies(0));
        assert!(least >= 9.0 && most < 10.6, "{least} to {most}");
        assert_eq!(call.clock.video_delay(), Duration::ZERO);
        assert_eq!(call.clock.av_offset(), None);
    }

    /// Pictures of which every thirtieth comes so late, and those behind it wait for it.
    fn repaired(late: u64) -> impl Fn(u64) -> u64 {
        move |i| late.saturating_sub(i % 30 * 33_333).max(20_000)
    }

    #[test]
    fn where_repetitions_are_lost_too_or_take_long_nothing_stands_still_for_long() {
        // Two repetitions with a round trip of 100 ms, and one of 300.
        for (late, most) in [(260_000, 140), (360_000, 240)] {
            let mut call = Call::new();
            call.run(0..40, repaired(late), None);
            let shown: Vec<u64> = call.shown.iter().map(|(_, at)| at.as_micros()).collect();
            let longest =
                shown.windows(2).skip(20 * 33).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap();
            assert!(longest < 180_000, "{longest} µs without a new picture");
            assert!(
                call.clock.video_delay() <= Duration::from_millis(most),
                "{:?}",
                call.clock.video_delay()
            );
        }
    }

    #[test]
    fn what_stops_the_picture_again_and_again_is_waited_for_however_seldom_it_happens() {
        let mut call = Call::new();
        // Once in ten seconds.
        call.run(0..60, |i| 300_000_u64.saturating_sub(i % 333 * 33_333).max(20_000), None);
        let stops = |from: usize, to: usize| {
            let shown: Vec<u64> = call.shown[from..to].iter().map(|(_, at)| at.as_micros()).collect();
            shown.windows(2).filter(|pair| pair[1].saturating_sub(pair[0]) > 183_000).count()
        };
        assert_eq!(stops(700, 1_980), 0, "from the third on");
        assert!(stops(0, 700) > 0);
        let mut once = Call::new();
        once.run(
            0..60,
            |i| if i < 300 { 20_000 } else { 300_000_u64.saturating_sub((i - 300) * 33_333).max(20_000) },
            None,
        );
        assert_eq!(once.clock.video_delay(), Duration::ZERO, "what happened once is not waited for");
    }

    #[test]
    fn after_it_stood_still_the_picture_goes_on_as_late_as_it_has_to_be() {
        let mut call = Call::new();
        // Nothing is late for five seconds, and from then on one in thirty.
        call.run(0..12, |i| if i < 165 { 20_000 } else { repaired(260_000)(i) }, None);
        let shown: Vec<u64> = call.shown.iter().map(|(_, at)| at.as_micros()).collect();
        let stops = shown.windows(2).filter(|pair| pair[1].saturating_sub(pair[0]) > 183_000).count();
        assert!((1..=2).contains(&stops), "the picture stood still {stops} times");
    }

    #[test]
    fn sound_waits_for_pictures_that_the_network_makes_late_and_for_no_others() {
        let hold = |video: fn(u64) -> u64| {
            let mut call = Call::new();
            call.run(0..30, video, Some(40_000));
            let heard = MediaTime::from_micros(30_000_000);
            let timestamp = call.audio_timestamp(30_000_000 - 40_000);
            let hold = |at| call.clock.hold_sound(timestamp, Duration::from_millis(20), at);
            (hold(heard), call.clock.video_delay(), hold(heard + PICTURES_GONE))
        };
        assert_eq!(hold(|_| 60_000).0, Duration::ZERO, "they are 20 ms behind the sound");
        assert_eq!(hold(|_| 160_000).0, Duration::ZERO, "that is not the network");
        let (held, delay, gone) = hold(|i| repaired(260_000)(i));
        // They are shown 20 ms and the delay after they were captured, the sound is heard after 40 ms, 20 of which it waits.
        let expected = delay - Duration::from_millis(30);
        assert!(held.abs_diff(expected) < Duration::from_millis(2), "{held:?} with {delay:?}");
        assert_eq!(gone, Duration::ZERO, "nobody waits for pictures that have stopped");
    }

    #[test]
    fn on_an_unsteady_link_pictures_come_evenly_all_the_same() {
        let mut call = Call::new();
        call.run(0..30, |i| 20_000 + i * 7919 % 30_000, None);
        let (least, most) = spread(&call.latencies(10));
        assert!(most - least < 4.0 && most < 56.0, "{least} to {most}");
    }

    #[test]
    fn pictures_that_were_left_out_after_one_that_came_late_are_no_reason_to_stand_still_once_more() {
        let mut call = Call::new();
        call.run(0..20, |_| 20_000, Some(20_000));
        call.run(20..23, |_| 20_000, Some(260_000));
        assert_eq!(call.clock.video_delay().as_millis(), 210, "they wait for their sound");
        let mut show = |captured: u64, under_way: u64| {
            let timestamp = call.video_timestamp(captured);
            let complete = MediaTime::from_micros(captured + under_way);
            call.clock.on_video_frame(timestamp, complete);
            call.clock.present_at(timestamp).unwrap().max(complete)
        };
        let late = show(23_000_000, 600_000);
        let next = show(23_570_000, 90_000);
        assert!((next - late).as_millis() < 130, "{:?}", next - late);
        let after = show(23_600_000, 70_000);
        assert!((after - next).as_millis() <= 40, "{:?}", after - next);
    }

    #[test]
    fn pictures_wait_for_their_sound() {
        let mut call = Call::new();
        call.run(0..20, |_| 10_000, Some(90_000));
        let offset = call.clock.av_offset().unwrap();
        assert!((-36.0..-24.0).contains(&offset), "{offset}");
        let (least, most) = spread(&call.latencies(10));
        assert!(least > 54.0 && most < 66.0, "{least} to {most}");
    }

    #[test]
    fn pictures_join_sound_that_begins_later_than_they_do() {
        let mut call = Call::new();
        call.run(0..5, |_| 10_000, None);
        call.run(5..6, |_| 10_000, Some(180_000));
        let apart = call
            .shown
            .iter()
            .filter(|(captured, at)| *captured >= 5_000_000 && at.as_micros() < captured + 180_000 - 45_000);
        let apart = apart.count();
        assert!(apart <= 10, "{apart} pictures were noticeably early");
        for pair in call.shown[30..].windows(2) {
            let interval = pair[1].1.millis_after(pair[0].1);
            assert!((26.0..62.0).contains(&interval), "{interval}");
        }
        // From then on changes are too slow to be seen again.
        call.run(6..10, |_| 10_000, Some(60_000));
        for pair in call.shown[180..].windows(2) {
            let interval = pair[1].1.millis_after(pair[0].1);
            assert!((26.0..34.0).contains(&interval), "{interval}");
        }
    }

    #[test]
    fn pictures_do_not_wait_for_sound_that_is_unnoticeably_late() {
        let mut call = Call::new();
        call.run(0..20, |_| 10_000, Some(38_000));
        let (least, most) = spread(&call.latencies(0));
        assert!(least > 9.0 && most < 11.0, "{least} to {most}");
        let offset = call.clock.av_offset().unwrap();
        assert!((-29.0..-27.0).contains(&offset), "{offset}");
    }

    #[test]
    fn a_change_of_delay_is_too_slow_to_be_seen() {
        let mut call = Call::new();
        call.run(0..10, |_| 10_000, Some(30_000));
        call.run(10..20, |_| 10_000, Some(180_000));
        call.run(20..30, |_| 10_000, Some(30_000));
        for pair in call.shown[30..].windows(2) {
            let interval = pair[1].1.millis_after(pair[0].1);
            assert!((26.0..34.0).contains(&interval), "{interval}");
        }
        let offset = call.clock.av_offset().unwrap();
        assert!((-38.0..1.0).contains(&offset), "{offset}");
    }

    #[test]
    fn pictures_never_wait_longer_than_allowed_and_the_rest_is_told() {
        let mut call = Call::new();
        call.run(0..20, |_| 10_000, Some(400_000));
        assert_eq!(call.clock.video_delay(), Duration::from_millis(250));
        let offset = call.clock.av_offset().unwrap();
        assert!((offset + 140.0).abs() < 3.0, "{offset}");
    }

    #[test]
    fn pictures_that_are_late_anyway_are_not_delayed_more() {
        let mut call = Call::new();
        call.run(0..20, |_| 120_000, Some(50_000));
        assert_eq!(call.clock.video_delay(), Duration::ZERO);
        let offset = call.clock.av_offset().unwrap();
        assert!((offset - 70.0).abs() < 2.0, "{offset}");
    }

    #[test]
    fn reports_that_make_no_sense_do_not_hold_pictures_back() {
        let mut call = Call::new();
        call.run(0..10, |_| 10_000, Some(30_000));
        let report = SenderReport {
            ssrc: Ssrc(1),
            ntp: 1 << 63,
            rtp_timestamp: 0,
            arrived_at: MediaTime::from_millis(10_000),
        };
        call.clock.on_sender_report(StreamKind::Video, &report);
        for i in 0..30 {
            let micros = 10_000_000 + i * 33_333;
            call.clock.on_video_frame(call.video_timestamp(micros), MediaTime::from_micros(micros + 10_000));
        }
        assert!(call.clock.video_delay() <= Duration::from_millis(20));
        call.clock.on_sender_report(StreamKind::Audio, &SenderReport { ntp: u64::MAX, ..report });
        call.clock.on_audio_played(7, MediaTime::from_millis(11_000));
        assert_eq!(call.clock.av_offset(), None);
    }

    #[test]
    fn clocks_that_drift_apart_are_followed() {
        let mut call = Call::new();
        // The sender's clock is 100 ppm slow: seen from here everything takes longer and longer.
        call.run(0..300, |i| 10_000 + i * 3, None);
        let (least, most) = spread(&call.latencies(290));
        assert!(most - least < 3.0, "{least} to {most}");
        assert!(call.clock.video_delay() < Duration::from_millis(5));
    }

    #[test]
    fn a_clock_that_was_set_anew_is_followed_at_once() {
        let mut call = Call::new();
        call.run(0..5, |_| 10_000, None);
        call.video_start = call.video_start.wrapping_add(90_000 * 1000);
        call.run(5..10, |_| 10_000, None);
        let (_, most) = spread(&call.latencies(5));
        assert!(most < 11.0, "{most}");
    }

    #[test]
    fn before_the_first_picture_nothing_is_known() {
        let mut clock = PlayoutClock::new(PlayoutClockConfig::default());
        clock.on_audio_played(5, MediaTime::ZERO);
        assert_eq!((clock.present_at(5), clock.av_offset()), (None, None));
    }
}
