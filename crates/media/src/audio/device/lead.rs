//! When to ask for the next block that a speaker will play: as late as possible, but never too late.
//!
//! The device takes sound in its own rhythm. The *lead* of a callback is how long the last sample that it took had been
//! waiting in the ring. The schedule asks for a block every 10 ms and shifts that grid until the least lead of the recent
//! past is a small margin. So the ring holds what the jitter of device and thread needs and no more: over PulseAudio some
//! 3 ms, where a ring that is topped up after each callback would hold a whole period of 10 ms more.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::{BLOCK_DURATION, MediaTime};

use super::stream::Mark;

/// The margin at the start, over the worst that the recent past has shown.
const FIRST_MARGIN: Duration = Duration::from_millis(4);
/// The margin that is approached while nothing is missed.
const LEAST_MARGIN: Duration = Duration::from_millis(2);
/// The margin is never made larger: more delay would hurt the talk more than a gap now and then.
const MOST_MARGIN: Duration = Duration::from_millis(60);
/// What is added when the device found too little.
const RAISE: Duration = Duration::from_millis(4);
/// What is taken away after each [`CALM`] without that.
const LOWER: Duration = Duration::from_micros(500);
/// How long nothing must be missed before the margin is lowered.
const CALM: Duration = Duration::from_secs(10);
/// The first span over which the least lead is taken. It covers the beat between blocks of 480 and periods of 1024 frames.
const FIRST_WINDOW: Duration = Duration::from_millis(320);
/// The longest such span, reached by doubling; rare delays are remembered this long.
const LONGEST_WINDOW: Duration = Duration::from_secs(3);
/// Callbacks until the device's rhythm shows: many sound systems ask for a first filling at once and begin to play later.
const SILENT_CALLBACKS: u8 = 2;
/// Leads this close above the margin are left alone.
const TOLERANCE: Duration = Duration::from_micros(500);

/// Decides when blocks are asked for. Pure: told of callbacks and pulls, it says when the next pull is due.
#[derive(Debug)]
pub(super) struct PullSchedule {
    next: Option<MediaTime>,
    callbacks: u8,
    margin: Duration,
    /// Position in the ring's stream after each block, and when the block was put there.
    blocks: VecDeque<(u64, MediaTime)>,
    pushed: u64,
    taken: u64,
    /// The device found too little and has got no new block since.
    starved: bool,
    /// Only blocks put into the ring since then tell whether the last shift of the grid was enough.
    shifted_at: MediaTime,
    least_lead: Option<Duration>,
    window: Duration,
    window_end: Option<MediaTime>,
    calm_since: MediaTime,
}

impl PullSchedule {
    /// A schedule that starts with the device's rhythm.
    pub(super) fn new() -> Self {
        Self {
            next: None,
            callbacks: 0,
            margin: FIRST_MARGIN,
            blocks: VecDeque::new(),
            pushed: 0,
            taken: 0,
            starved: false,
            shifted_at: MediaTime::ZERO,
            least_lead: None,
            window: FIRST_WINDOW,
            window_end: None,
            calm_since: MediaTime::ZERO,
        }
    }

    /// When the next block is to be asked for; `None` before the device has begun to play.
    pub(super) fn due(&self) -> Option<MediaTime> {
        self.next
    }

    /// Frames that are waiting in the ring.
    pub(super) fn waiting(&self) -> u64 {
        self.pushed - self.taken
    }

    /// A block has been put into the ring as `frames` frames at `now`.
    pub(super) fn on_pulled(&mut self, now: MediaTime, frames: usize) {
        self.pushed += frames as u64;
        self.blocks.push_back((self.pushed, now));
        self.starved = false;
        self.next = self.next.map(|due| due + BLOCK_DURATION);
    }

    /// The device has called back; it is looked at at `now`. Returns whether this is the first callback of an underrun.
    pub(super) fn on_callback(&mut self, mark: &Mark, now: MediaTime) -> bool {
        let lead = self.take(mark);
        if self.callbacks < SILENT_CALLBACKS {
            self.callbacks += 1;
            self.next = (self.callbacks == SILENT_CALLBACKS).then_some(now);
            self.calm_since = now;
            return false;
        }
        if mark.moved < mark.frames {
            return self.on_starved(now);
        }
        if let Some(lead) = lead {
            self.least_lead = Some(self.least_lead.map_or(lead, |least| least.min(lead)));
            if lead < self.margin {
                self.shift_earlier(self.margin - lead, now);
            }
        }
        self.close_window(now);
        if now - self.calm_since > CALM {
            self.calm_since = now;
            self.margin = self.margin.saturating_sub(LOWER).max(LEAST_MARGIN);
        }
        false
    }

    /// Accounts for what the callback took. Its lead is `None` if it took nothing or blocks from before the last shift.
    fn take(&mut self, mark: &Mark) -> Option<Duration> {
        self.taken = (self.taken + mark.moved as u64).min(self.pushed);
        while self.blocks.front().is_some_and(|(end, _)| *end < self.taken) {
            self.blocks.pop_front();
        }
        let (end, put_at) = *self.blocks.front()?;
        if end == self.taken {
            self.blocks.pop_front();
        }
        (mark.moved > 0 && put_at >= self.shifted_at).then(|| mark.at - put_at)
    }

    fn on_starved(&mut self, now: MediaTime) -> bool {
        // Until the first block nothing can be missed, and a long gap is one gap.
        if self.pushed == 0 || std::mem::replace(&mut self.starved, true) {
            self.next = Some(now);
            return false;
        }
        self.margin = (self.margin + RAISE).min(MOST_MARGIN);
        self.calm_since = now;
        // What was missed is not made up for, or it would wait in the ring from now on.
        self.next = Some(now);
        self.restart_window(now);
        true
    }

    fn shift_earlier(&mut self, by: Duration, now: MediaTime) {
        self.next = self.next.map(|due| due.saturating_sub(by));
        self.restart_window(now);
    }

    fn restart_window(&mut self, now: MediaTime) {
        self.shifted_at = now;
        self.least_lead = None;
        self.window_end = None;
    }

    fn close_window(&mut self, now: MediaTime) {
        let end = *self.window_end.get_or_insert(now + self.window);
        if now < end {
            return;
        }
        let excess = self.least_lead.map_or(Duration::ZERO, |least| least.saturating_sub(self.margin));
        if excess > TOLERANCE {
            // The first windows find the device's rhythm, and more than a block waits in vain after the device itself has
            // lost time. Otherwise half, because the next window may show a worse moment.
            let all = self.window < LONGEST_WINDOW / 2 || excess >= BLOCK_DURATION;
            let by = if all { excess } else { excess / 2 };
            self.next = self.next.map(|due| due + by);
        }
        self.window = (self.window * 2).min(LONGEST_WINDOW);
        self.restart_window(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A device that takes `period` frames at a time and a thread that wakes `late(n)` µs after it wanted to, on virtual
    /// time.
    struct Run {
        leads: Vec<(u64, i64)>,
        underruns: Vec<u64>,
        most_waiting: u64,
    }

    fn run(period: usize, rate: f64, seconds: u64, late: impl Fn(u64) -> u64) -> Run {
        run_paused(period, rate, seconds, late, |_| 0)
    }

    /// The same with a device that has not played for `paused(t)` µs up to time `t`.
    fn run_paused(
        period: usize,
        rate: f64,
        seconds: u64,
        late: impl Fn(u64) -> u64,
        paused: impl Fn(u64) -> u64,
    ) -> Run {
        let mut schedule = PullSchedule::new();
        let mut ring: VecDeque<u64> = VecDeque::new();
        let mut run = Run { leads: Vec::new(), underruns: Vec::new(), most_waiting: 0 };
        let (mut wakes, mut callbacks) = (0, 0u64);
        let mut wake_at = None;
        // The first callback wants two periods, as PulseAudio's does.
        let next_callback = Cell::new(0u64);
        for now in 0..seconds * 1_000_000 / 50 {
            let now = now * 50;
            if now >= next_callback.get() {
                let frames = if callbacks == 0 { 2 * period } else { period };
                callbacks += 1;
                let played = (callbacks as f64 * period as f64 * 1e6 / rate) as u64;
                next_callback.set(played + 7_300 + paused(now));
                let moved = ring.len().min(frames);
                if let Some(put) = ring.drain(..moved).next_back()
                    && moved == frames
                {
                    run.leads.push((now, now as i64 - put as i64));
                }
                let mark = Mark { at: MediaTime::from_micros(now), latency: Duration::ZERO, frames, moved };
                if schedule.on_callback(&mark, mark.at) {
                    run.underruns.push(now);
                }
                if moved < frames {
                    wake_at = None;
                }
            }
            let Some(due) = schedule.due().map(MediaTime::as_micros) else { continue };
            let at = *wake_at.get_or_insert_with(|| {
                wakes += 1;
                due.max(now) + late(wakes)
            });
            if now >= at {
                wake_at = None;
                ring.extend(std::iter::repeat_n(now, 480));
                schedule.on_pulled(MediaTime::from_micros(now), 480);
                run.most_waiting = run.most_waiting.max(schedule.waiting());
            }
        }
        run
    }

    fn leads_after(run: &Run, second: u64) -> (i64, i64) {
        let leads = run.leads.iter().filter(|(at, _)| *at > second * 1_000_000).map(|(_, lead)| *lead);
        (leads.clone().min().unwrap(), leads.max().unwrap())
    }

    #[test]
    fn blocks_come_just_before_a_steady_device_takes_them() {
        let run = run(480, 48_000.0, 30, |_| 0);
        assert_eq!(run.underruns, [] as [u64; 0]);
        let (least, most) = leads_after(&run, 5);
        assert!(least >= 1_900 && most <= 5_000, "leads from {least} to {most} µs");
    }

    #[test]
    fn a_device_with_long_periods_gets_all_it_takes() {
        for period in [441, 1024, 2048] {
            let run = run(period, 48_000.0, 30, |_| 0);
            assert_eq!(run.underruns, [] as [u64; 0], "period {period}");
            let (least, _) = leads_after(&run, 5);
            assert!((1_900..5_000).contains(&least), "period {period}: least lead {least} µs");
        }
    }

    #[test]
    fn the_clock_of_the_device_is_followed_either_way() {
        for rate in [48_000.0 * 1.0002, 48_000.0 * 0.9998] {
            let run = run(480, rate, 60, |_| 0);
            assert_eq!(run.underruns, [] as [u64; 0], "at {rate}");
            let (least, most) = leads_after(&run, 10);
            assert!(least >= 1_500 && most <= 6_000, "at {rate}: leads from {least} to {most} µs");
        }
    }

    #[test]
    fn jitter_of_the_thread_is_covered() {
        let run = run(480, 48_000.0, 60, |n| n * 7919 % 31 * 200);
        assert!(run.underruns.len() <= 1, "{:?}", run.underruns);
        let (least, most) = leads_after(&run, 15);
        assert!(least >= 1_000 && most <= 14_000, "leads from {least} to {most} µs");
    }

    #[test]
    fn one_long_stall_is_one_underrun_and_leaves_no_delay_behind() {
        let run = run(480, 48_000.0, 60, |n| if n == 1000 { 45_000 } else { 0 });
        assert_eq!(run.underruns.len(), 1);
        assert!(run.most_waiting <= 3 * 480, "{} frames waiting", run.most_waiting);
        let (least, most) = leads_after(&run, 25);
        assert!(least >= 1_900 && most <= 9_500, "leads from {least} to {most} µs");
    }

    #[test]
    fn repeated_underruns_widen_the_margin_until_they_cease() {
        // Every second the thread is 25 ms late.
        let run = run(480, 48_000.0, 60, |n| if n % 100 == 0 { 25_000 } else { 0 });
        assert!(run.underruns.iter().filter(|at| **at > 30_000_000).count() <= 3, "{:?}", run.underruns);
    }

    #[test]
    fn a_device_that_loses_time_leaves_no_delay_behind() {
        // Every half second the device doesn't play for 30 ms, for which no block is missed.
        let paused = |now: u64| now / 500_000 * 30_000;
        let run = run_paused(480, 48_000.0, 60, |_| 0, paused);
        assert_eq!(run.underruns, [] as [u64; 0]);
        let late: Vec<i64> = run.leads.iter().filter(|(at, _)| *at > 20_000_000).map(|(_, l)| *l).collect();
        let mean = late.iter().sum::<i64>() / late.len() as i64;
        assert!(mean < 400_000, "mean lead {mean} µs");
    }

    #[test]
    fn silence_before_the_first_block_is_no_underrun() {
        let mut schedule = PullSchedule::new();
        assert_eq!(schedule.due(), None);
        let mark =
            |ms| Mark { at: MediaTime::from_millis(ms), latency: Duration::ZERO, frames: 960, moved: 0 };
        assert!(!schedule.on_callback(&mark(5), MediaTime::from_millis(5)));
        assert_eq!(schedule.due(), None, "the first filling is no rhythm");
        assert!(!schedule.on_callback(&mark(1205), MediaTime::from_millis(1205)));
        assert_eq!(schedule.due(), Some(MediaTime::from_millis(1205)));
        assert!(!schedule.on_callback(&mark(1215), MediaTime::from_millis(1215)));
        assert_eq!(schedule.due(), Some(MediaTime::from_millis(1215)));
    }
}
