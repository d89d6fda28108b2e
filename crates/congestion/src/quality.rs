//! What is worth encoding with what may be sent: size and rate of pictures, bitrates, and when there are better none.

use std::time::Duration;

use ahoy_media_types::{FrameSize, MediaTime};
use serde::{Deserialize, Serialize};

/// What pictures show, which decides what is given up first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// People: motion first, so pictures get smaller before they get fewer.
    #[default]
    Camera,
    /// Text: sharpness first, so pictures get fewer before they get smaller.
    Screen,
}

/// What the other side does with the pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Viewer {
    /// It has not said.
    #[default]
    Unknown,
    /// It fits them into an area of this size, in its pixels.
    Shows(FrameSize),
    /// It does not show them.
    Hidden,
}

/// All that a decision is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Situation {
    /// Size of the pictures that come from the source.
    pub source: FrameSize,
    /// Pictures a second that come from the source.
    pub fps: f64,
    /// What they show.
    pub content: Content,
    /// What new pictures may take without headers, in bits per second.
    pub available: f64,
    /// Whether a queue is let run empty, so that hardly anything is available for a moment.
    pub draining: bool,
    /// Whether so much waits to leave that nothing else should be made than what needs none of it.
    pub waiting: bool,
    /// The most that they may take whatever is available.
    pub most: f64,
    /// What the other side does with them.
    pub viewer: Viewer,
    /// Share of the time between two pictures that encoding one takes.
    pub encoding: f64,
    /// Whether power is to be saved.
    pub saving: bool,
}

/// Why pictures are as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub enum Cause {
    /// There is enough of everything.
    #[default]
    Full,
    /// The network carries no more.
    Network,
    /// The processor makes no more.
    Processor,
    /// The other side shows them no larger, or not at all.
    Viewer,
    /// Power is saved.
    Saving,
}

/// How pictures are to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Encoding {
    /// Their size.
    pub size: FrameSize,
    /// How many a second, at most.
    pub fps: f64,
    /// What they may take, in bits per second.
    pub bitrate: f64,
    /// What keeps them from being larger.
    pub cause: Cause,
}

/// What is to be done with new pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Encode them so.
    Encode(Encoding),
    /// Encode none, for this reason.
    Pause(Cause),
}

/// Sides of pictures as shares of the source's.
const SCALES: [f64; 6] = [1.0, 0.75, 0.5, 0.375, 0.25, 0.1875];
/// No picture is made lower than this; with less there are fewer instead.
const LEAST_HEIGHT: f64 = 135.0;
/// What 1280 by 720 pictures 30 times a second take at least to look better than smaller ones enlarged, by openh264.
const HD_BPS: f64 = 900_000.0;
const HD_PIXELS: f64 = 1280.0 * 720.0;
/// Smaller pictures need more for each pixel, and so do fewer ones.
const PIXELS_EXPONENT: f64 = 0.75;
const FPS_EXPONENT: f64 = 0.7;
/// Pictures a second when there is little of everything.
const FEW_FPS: f64 = 15.0;
/// Text may come as seldom as this.
const SCREEN_FPS: f64 = 5.0;
/// With less there are no pictures: all is left to the sound.
const PAUSE_BELOW: f64 = 40_000.0;
/// Pictures come again with this much.
const RESUME_ABOVE: f64 = 60_000.0;
/// Below this share of what a size needs it is given up.
const DOWN: f64 = 0.80;
/// With this multiple of what a size needs it is taken.
const UP: f64 = 1.15;
/// For how long there must have been too little, and enough.
const DOWN_AFTER: Duration = Duration::from_millis(400);
const UP_AFTER: Duration = Duration::from_millis(1_500);
/// With far too little it is given up at once, but pictures altogether are not.
const DOWN_AT_ONCE: f64 = 0.45;
/// Between two sizes, since each begins with a key frame.
const BETWEEN: Duration = Duration::from_secs(2);
/// A processor that is busier with encoding than this falls behind; below the other there is room for more.
const BUSY: f64 = 0.75;
const IDLE: f64 = 0.40;
/// With this share of the rows that are shown a picture is enlarged by so little that nobody sees it.
const SHARP: f64 = 0.95;
/// How long the processor is looked at.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// The largest picture while power is saved.
const SAVING_HEIGHT: f64 = 540.0;
/// Pictures a second while power is saved, at most.
pub const SAVING_FPS: f64 = 20.0;

/// Decides how pictures are to be, and keeps to it for a while.
#[derive(Debug, Default)]
pub struct QualityPolicy {
    /// Index into [`SCALES`].
    rung: usize,
    /// The highest rung that the processor manages.
    processor: usize,
    /// The highest rung that the other side could show, and that was not too much for saving power, at the last decision.
    wanted: usize,
    changed_at: Option<MediaTime>,
    too_little_since: Option<MediaTime>,
    nothing_since: Option<MediaTime>,
    enough_since: Option<MediaTime>,
    busy_since: Option<MediaTime>,
    idle_since: Option<MediaTime>,
    paused: bool,
    started: bool,
}

/// How long a condition has held.
fn held(since: &mut Option<MediaTime>, holds: bool, now: MediaTime) -> Duration {
    match holds {
        true => now - *since.get_or_insert(now),
        false => {
            *since = None;
            Duration::ZERO
        }
    }
}

impl QualityPolicy {
    /// Decides. Call it for each picture.
    pub fn decide(&mut self, situation: &Situation, now: MediaTime) -> Decision {
        if situation.viewer == Viewer::Hidden {
            return Decision::Pause(Cause::Viewer);
        }
        let bitrate = situation.available.min(situation.most);
        if self.pauses(bitrate, situation.draining, now) {
            return Decision::Pause(Cause::Network);
        }
        let bitrate = bitrate.max(PAUSE_BELOW);
        self.look_at_processor(situation, now);
        let (highest, limit) = self.highest(situation);
        let wanted = shown(situation).max(saved(situation));
        let before = self.rung;
        let was_wanted = std::mem::replace(&mut self.wanted, wanted);
        if self.started && wanted < was_wanted && before <= was_wanted {
            self.enlarge(situation, bitrate, highest);
        }
        self.choose(situation, bitrate, highest, now);
        if self.rung != before || !self.started {
            self.started = true;
            self.changed_at = Some(now);
            (self.too_little_since, self.enough_since) = (None, None);
        }
        let size = scaled(situation.source, self.rung);
        let fps = self.fps(situation, size, bitrate);
        let most = most_fps(situation);
        let limit = if self.rung == 0 { Cause::Full } else { limit };
        let cause = match limit {
            _ if self.rung > highest || fps < most * 0.9 => Cause::Network,
            // Small ones do not get smaller, but fewer.
            Cause::Full if most < situation.fps * 0.9 => Cause::Saving,
            limit => limit,
        };
        Decision::Encode(Encoding { size, fps, bitrate, cause })
    }

    /// Whether there is too little for any picture. A queue that is let run empty takes nearly all for a moment.
    fn pauses(&mut self, bitrate: f64, draining: bool, now: MediaTime) -> bool {
        let nothing = held(&mut self.nothing_since, bitrate < PAUSE_BELOW, now);
        self.paused = match draining && self.started && !self.paused {
            true => nothing >= DOWN_AFTER,
            false => bitrate < if self.paused { RESUME_ABOVE } else { PAUSE_BELOW },
        };
        self.paused
    }

    /// The highest rung that makes sense whatever the network carries, and what limits it.
    fn highest(&self, situation: &Situation) -> (usize, Cause) {
        let mut highest = (0, Cause::Full);
        let mut limit = |rung: usize, cause: Cause| {
            if rung > highest.0 {
                highest = (rung, cause);
            }
        };
        limit(shown(situation), Cause::Viewer);
        limit(self.processor, Cause::Processor);
        limit(saved(situation), Cause::Saving);
        highest
    }

    /// The other side has made room, or power is saved no longer, and nothing else had kept the picture small: it gets as
    /// large as fits, without the wait that is there for a network nobody knows.
    fn enlarge(&mut self, situation: &Situation, bitrate: f64, highest: usize) {
        let fits = |rung: &usize| needed(situation, *rung) * UP <= bitrate;
        if let Some(larger) = (highest..self.rung).find(fits) {
            self.rung = larger;
        }
    }

    fn choose(&mut self, situation: &Situation, bitrate: f64, highest: usize, now: MediaTime) {
        let lowest = lowest(situation.source);
        if !self.started {
            let fits = |rung: &usize| needed(situation, *rung) <= bitrate;
            self.rung = (highest..=lowest).find(fits).unwrap_or(lowest);
            return;
        }
        if self.rung < highest {
            self.rung = highest.min(lowest);
            return;
        }
        let needed_here = needed(situation, self.rung);
        let too_little = held(&mut self.too_little_since, bitrate < needed_here * DOWN, now);
        if self.rung < lowest && (too_little >= DOWN_AFTER || bitrate < needed_here * DOWN_AT_ONCE) {
            // To where it fits, at once: each step would begin with a key frame.
            let fits = |rung: &usize| needed(situation, *rung) * DOWN <= bitrate;
            self.rung = (self.rung + 1..=lowest).find(fits).unwrap_or(lowest);
            return;
        }
        let rested = self.changed_at.is_none_or(|at| now - at >= BETWEEN);
        let fits = |rung: &usize| needed(situation, *rung) * UP <= bitrate;
        let better = (highest..self.rung).find(fits);
        let enough = held(&mut self.enough_since, better.is_some(), now);
        if let Some(better) = better
            && rested
            && !situation.waiting
            && enough >= UP_AFTER
        {
            self.rung = better;
        }
    }

    fn look_at_processor(&mut self, situation: &Situation, now: MediaTime) {
        let busy = held(&mut self.busy_since, situation.encoding > BUSY, now);
        let idle = held(&mut self.idle_since, situation.encoding < IDLE, now);
        if busy >= BUSY_FOR {
            self.processor = (self.rung + 1).min(lowest(situation.source));
            self.busy_since = None;
        } else if self.processor > 0 && idle >= BUSY_FOR * 5 {
            // What is larger by a third takes twice as long; one step is tried at a time.
            self.processor -= 1;
            self.idle_since = None;
        }
    }

    /// Fewer pictures where even small ones are too many, and of text before it gets small.
    fn fps(&self, situation: &Situation, size: FrameSize, bitrate: f64) -> f64 {
        let most = most_fps(situation);
        let least = match situation.content {
            Content::Camera => FEW_FPS,
            Content::Screen => SCREEN_FPS,
        };
        let fitting = most * (bitrate / bits_for(size, most)).powf(1.0 / FPS_EXPONENT);
        let only_then = situation.content == Content::Screen || self.rung == lowest(situation.source);
        match only_then {
            true => fitting.clamp(least.min(most), most),
            false => most,
        }
    }
}

/// The rung of the smallest picture whose sides are at least this share of the source's, or hardly less.
fn smallest_with(share: f64) -> usize {
    SCALES.iter().rposition(|scale| *scale >= share * SHARP).unwrap_or(0)
}

/// The highest rung that the other side can show: what is larger than the area that it is fitted into is only made smaller.
fn shown(situation: &Situation) -> usize {
    match situation.viewer {
        Viewer::Unknown | Viewer::Hidden => 0,
        Viewer::Shows(area) => {
            let share = |area: u32, side: u32| f64::from(area) / f64::from(side);
            let across = share(area.width(), situation.source.width());
            let down = share(area.height(), situation.source.height());
            smallest_with(across.min(down))
        }
    }
}

/// The highest rung that saves power.
fn saved(situation: &Situation) -> usize {
    let height = f64::from(situation.source.height());
    if situation.saving && height > SAVING_HEIGHT { smallest_with(SAVING_HEIGHT / height) } else { 0 }
}

/// How many pictures a second make sense whatever the network carries.
fn most_fps(situation: &Situation) -> f64 {
    if situation.saving { situation.fps.min(SAVING_FPS) } else { situation.fps }
}

fn lowest(source: FrameSize) -> usize {
    let tall = |scale: &f64| f64::from(source.height()) * scale >= LEAST_HEIGHT;
    SCALES.iter().rposition(tall).unwrap_or(0)
}

fn scaled(source: FrameSize, rung: usize) -> FrameSize {
    let side = |side: u32| ((f64::from(side) * SCALES[rung] / 2.0).round() * 2.0).max(16.0) as u64;
    FrameSize::new(side(source.width()), side(source.height())).unwrap_or(source)
}

fn bits_for(size: FrameSize, fps: f64) -> f64 {
    let pixels = f64::from(size.width()) * f64::from(size.height());
    HD_BPS * (pixels / HD_PIXELS).powf(PIXELS_EXPONENT) * (fps / 30.0).powf(FPS_EXPONENT)
}

/// What pictures of a rung take at least, in bits per second.
fn needed(situation: &Situation, rung: usize) -> f64 {
    let fps = match situation.content {
        Content::Camera => situation.fps,
        Content::Screen => SCREEN_FPS.min(situation.fps),
    };
    bits_for(scaled(situation.source, rung), fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(available: f64) -> Situation {
        Situation {
            source: FrameSize::HD,
            fps: 30.0,
            content: Content::Camera,
            available,
            draining: false,
            waiting: false,
            most: 3_000_000.0,
            viewer: Viewer::Unknown,
            encoding: 0.2,
            saving: false,
        }
    }

    /// Decides for each picture from `from` to `to` milliseconds; the last decision counts.
    fn run(policy: &mut QualityPolicy, situation: &Situation, from: u64, to: u64) -> Decision {
        let times = (from..to).step_by(33).map(MediaTime::from_millis);
        times.map(|now| policy.decide(situation, now)).last().unwrap()
    }

    fn height(decision: Decision) -> u32 {
        match decision {
            Decision::Encode(encoding) => encoding.size.height(),
            Decision::Pause(cause) => panic!("paused: {cause:?}"),
        }
    }

    #[test]
    fn pictures_get_smaller_with_what_is_available_and_never_slower_before_they_are_small() {
        for (available, expected) in
            [(2_000_000.0, 720), (700_000.0, 540), (400_000.0, 360), (220_000.0, 270), (120_000.0, 180)]
        {
            let decision = QualityPolicy::default().decide(&situation(available), MediaTime::ZERO);
            assert_eq!(height(decision), expected, "{available}");
            let Decision::Encode(encoding) = decision else { unreachable!() };
            assert_eq!(encoding.fps, 30.0);
            assert_eq!(encoding.cause, if expected == 720 { Cause::Full } else { Cause::Network });
        }
        let Decision::Encode(least) = QualityPolicy::default().decide(&situation(40_000.0), MediaTime::ZERO)
        else {
            panic!()
        };
        assert_eq!((least.size.height(), least.fps), (136, 15.0));
    }

    #[test]
    fn a_link_that_shrinks_makes_pictures_smaller_in_one_step_and_at_once() {
        let mut policy = QualityPolicy::default();
        assert_eq!(height(run(&mut policy, &situation(2_000_000.0), 0, 5_000)), 720);
        assert_eq!(height(run(&mut policy, &situation(250_000.0), 5_000, 5_034)), 270);
    }

    #[test]
    fn a_link_that_recovers_brings_the_picture_back_in_seconds() {
        let mut policy = QualityPolicy::default();
        run(&mut policy, &situation(250_000.0), 0, 5_000);
        assert_eq!(height(run(&mut policy, &situation(2_000_000.0), 5_000, 6_000)), 270);
        assert_eq!(height(run(&mut policy, &situation(2_000_000.0), 6_000, 7_000)), 720);
    }

    #[test]
    fn what_goes_up_and_down_around_a_limit_changes_nothing() {
        let mut policy = QualityPolicy::default();
        let mut changes = 0;
        let mut last = None;
        for step in 0..600_u64 {
            let available = if step % 20 < 10 { 820_000.0 } else { 980_000.0 };
            let height = height(policy.decide(&situation(available), MediaTime::from_millis(step * 33)));
            changes += u32::from(last.replace(height).is_some_and(|last| last != height));
        }
        assert!(changes <= 1, "{changes}");
    }

    #[test]
    fn with_next_to_nothing_there_are_no_pictures_until_there_is_more() {
        let mut policy = QualityPolicy::default();
        run(&mut policy, &situation(500_000.0), 0, 2_000);
        assert_eq!(run(&mut policy, &situation(20_000.0), 2_000, 3_000), Decision::Pause(Cause::Network));
        assert_eq!(run(&mut policy, &situation(45_000.0), 3_000, 5_000), Decision::Pause(Cause::Network));
        assert!(height(run(&mut policy, &situation(500_000.0), 5_000, 9_000)) >= 360);
    }

    #[test]
    fn a_queue_that_is_let_run_empty_makes_pictures_small_but_does_not_end_them() {
        let mut policy = QualityPolicy::default();
        let draining = Situation { draining: true, ..situation(20_000.0) };
        run(&mut policy, &situation(500_000.0), 0, 2_000);
        assert_eq!(height(run(&mut policy, &draining, 2_000, 2_380)), 136);
        assert_eq!(run(&mut policy, &draining, 2_380, 2_500), Decision::Pause(Cause::Network));
    }

    #[test]
    fn pictures_get_no_larger_while_too_much_waits_to_leave() {
        let mut policy = QualityPolicy::default();
        run(&mut policy, &situation(250_000.0), 0, 5_000);
        let waiting = Situation { waiting: true, ..situation(2_000_000.0) };
        assert_eq!(height(run(&mut policy, &waiting, 5_000, 9_000)), 270);
        assert_eq!(height(run(&mut policy, &situation(2_000_000.0), 9_000, 9_001)), 720);
    }

    #[test]
    fn text_comes_less_often_before_it_gets_small() {
        let screen = Situation { content: Content::Screen, fps: 15.0, ..situation(450_000.0) };
        let Decision::Encode(encoding) = QualityPolicy::default().decide(&screen, MediaTime::ZERO) else {
            panic!()
        };
        assert_eq!(encoding.size.height(), 720);
        assert!((5.0..14.0).contains(&encoding.fps), "{encoding:?}");
    }

    #[test]
    fn nothing_larger_is_sent_than_is_shown_and_nothing_where_nothing_is() {
        let mut policy = QualityPolicy::default();
        let shown = |viewer| Situation { viewer, ..situation(2_000_000.0) };
        let small = Viewer::Shows(FrameSize::new(320, 180).unwrap());
        assert_eq!(height(run(&mut policy, &shown(small), 0, 1_000)), 180);
        let Decision::Encode(encoding) = run(&mut policy, &shown(small), 1_000, 2_000) else { panic!() };
        assert_eq!(encoding.cause, Cause::Viewer);
        assert_eq!(run(&mut policy, &shown(Viewer::Hidden), 2_000, 3_000), Decision::Pause(Cause::Viewer));
        let large = Viewer::Shows(FrameSize::new(1_920, 1_080).unwrap());
        assert_eq!(height(run(&mut policy, &shown(large), 3_000, 3_001)), 720, "it waits for nothing");
    }

    #[test]
    fn pictures_are_as_sharp_as_the_area_that_they_are_fitted_into() {
        for (width, area_height, expected) in [
            (1_280, 720, 720),
            (1_216, 688, 720),
            (960, 544, 540),
            (976, 560, 540),
            (1_040, 592, 720),
            // Bars are above and below, or at both sides.
            (640, 1_200, 360),
            (2_000, 368, 360),
            (16, 16, 136),
        ] {
            let viewer = Viewer::Shows(FrameSize::new(width, area_height).unwrap());
            let situation = Situation { viewer, ..situation(2_000_000.0) };
            let decision = QualityPolicy::default().decide(&situation, MediaTime::ZERO);
            assert_eq!(height(decision), expected, "{width} x {area_height}");
        }
    }

    #[test]
    fn a_larger_area_gets_no_more_than_the_network_carries() {
        let mut policy = QualityPolicy::default();
        let shown = |available, side| {
            let viewer = Viewer::Shows(FrameSize::new(side, side).unwrap());
            Situation { viewer, ..situation(available) }
        };
        assert_eq!(height(run(&mut policy, &shown(450_000.0, 320), 0, 3_000)), 180);
        assert_eq!(height(run(&mut policy, &shown(450_000.0, 1_280), 3_000, 3_001)), 360);
        assert_eq!(height(run(&mut policy, &shown(2_000_000.0, 960), 3_001, 4_000)), 360);
        assert_eq!(
            height(run(&mut policy, &shown(2_000_000.0, 1_280), 4_000, 4_001)),
            360,
            "the network has yet to prove it"
        );
        assert_eq!(height(run(&mut policy, &shown(2_000_000.0, 1_280), 4_001, 7_000)), 720);
    }

    #[test]
    fn a_processor_that_falls_behind_gets_less_to_do_and_more_again_later() {
        let mut policy = QualityPolicy::default();
        run(&mut policy, &situation(2_000_000.0), 0, 1_000);
        let busy = Situation { encoding: 0.9, ..situation(2_000_000.0) };
        assert_eq!(height(run(&mut policy, &busy, 1_000, 3_100)), 540);
        let idle = Situation { encoding: 0.3, ..situation(2_000_000.0) };
        assert_eq!(height(run(&mut policy, &idle, 3_100, 12_000)), 540);
        assert_eq!(height(run(&mut policy, &idle, 12_000, 16_000)), 720);
    }

    #[test]
    fn saving_power_means_fewer_and_smaller_pictures_at_once_and_no_longer_than_it_lasts() {
        let mut policy = QualityPolicy::default();
        let saving = Situation { saving: true, ..situation(2_000_000.0) };
        assert_eq!(height(run(&mut policy, &situation(2_000_000.0), 0, 3_000)), 720);
        let Decision::Encode(encoding) = run(&mut policy, &saving, 3_000, 3_001) else { panic!() };
        assert_eq!((encoding.size.height(), encoding.fps, encoding.cause), (540, 20.0, Cause::Saving));
        let Decision::Encode(encoding) = run(&mut policy, &situation(2_000_000.0), 3_001, 3_002) else {
            panic!()
        };
        assert_eq!((encoding.size.height(), encoding.fps, encoding.cause), (720, 30.0, Cause::Full));
    }

    #[test]
    fn when_power_is_saved_no_longer_there_is_no_more_than_the_network_carries() {
        let mut policy = QualityPolicy::default();
        let saving = Situation { saving: true, ..situation(650_000.0) };
        assert_eq!(height(run(&mut policy, &saving, 0, 3_000)), 540);
        assert_eq!(height(run(&mut policy, &situation(650_000.0), 3_000, 6_000)), 540);
    }

    #[test]
    fn small_pictures_get_no_smaller_to_save_power() {
        let small = FrameSize::new(640, 360).unwrap();
        let saving = Situation { saving: true, source: small, ..situation(2_000_000.0) };
        let Decision::Encode(encoding) = QualityPolicy::default().decide(&saving, MediaTime::ZERO) else {
            panic!()
        };
        assert_eq!((encoding.size, encoding.fps, encoding.cause), (small, 20.0, Cause::Saving));
        let narrow = Situation { available: 60_000.0, ..saving };
        let Decision::Encode(encoding) = QualityPolicy::default().decide(&narrow, MediaTime::ZERO) else {
            panic!()
        };
        assert_eq!(encoding.cause, Cause::Network);
    }
}
