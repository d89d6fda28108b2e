//! What was on the screen for each picture that was captured: the picture itself or, where that was not shown, the one that
//! was shown before and stood still instead. Pictures that were never sent, that came too late and that were left out all
//! count, so that the mean over them tells what people saw.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::{FrameId, FrameRate, MediaTime};

/// One of so many captured pictures is looked at: comparing costs too much for all. It divides no clip of 132 pictures, which
/// tests play round and round, so that each of them gets its turn and a cut is not looked at in every round.
const EVERY: u64 = 7;
/// Pictures that wait to be shown: those looked at of four seconds at 30 a second. One that has waited longer is taken for
/// never shown.
const WAITING: usize = 18;
/// Pictures captured so shortly before the end may still have been on their way.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// Whether the picture with this number is looked at, whatever becomes of it.
pub const fn is_looked_at(number: u64) -> bool {
    number.is_multiple_of(EVERY)
}

/// Joins captured pictures with what was on the screen for them, by numbers that go up. `O` is an original, `S` what was shown.
#[derive(Debug)]
pub struct Seen<O, S> {
    waiting: VecDeque<(u64, O)>,
    last: Option<(u64, S)>,
}

impl<O, S> Default for Seen<O, S> {
    fn default() -> Self {
        Self { waiting: VecDeque::with_capacity(WAITING), last: None }
    }
}

impl<O, S: Clone> Seen<O, S> {
    /// A picture was captured, of those that are [looked at](is_looked_at). Gives one that will not be waited for any more,
    /// with what was on the screen for it. A number below earlier ones is that of another source, which begins anew.
    pub fn captured(&mut self, number: u64, original: O) -> Option<(O, S)> {
        let latest =
            self.waiting.back().map(|(number, _)| *number).max(self.last.as_ref().map(|last| last.0));
        if latest.is_some_and(|latest| latest >= number) {
            *self = Self::default();
        }
        let late = if self.waiting.len() == WAITING { self.waiting.pop_front() } else { None };
        self.waiting.push_back((number, original));
        Some((late?.1, self.last.clone()?.1))
    }

    /// A picture is shown. Gives those that were captured until then, each with what was on the screen for it; nothing of
    /// those before the first picture, when there was no call to look at yet.
    pub fn shown(&mut self, number: u64, picture: S) -> Vec<(O, S)> {
        let mut pairs = Vec::new();
        while let Some((captured, original)) = self.waiting.pop_front_if(|(captured, _)| *captured <= number)
        {
            let seen =
                if captured == number { Some(&picture) } else { self.last.as_ref().map(|last| &last.1) };
            pairs.extend(seen.map(|seen| (original, seen.clone())));
        }
        self.last = Some((number, picture));
        pairs
    }

    /// Nothing more is shown: the last picture is what was seen of all that still wait.
    pub fn finish(self) -> Vec<(O, S)> {
        let Some((_, last)) = self.last else { return Vec::new() };
        self.waiting.into_iter().map(|(_, original)| (original, last.clone())).collect()
    }
}

/// Numbers the pictures of a clip that is played round and round, each of which carries its place in the clip only.
#[derive(Debug)]
pub struct Rounds {
    pictures: u64,
    rate: f64,
    last: Option<(u64, MediaTime)>,
}

impl Rounds {
    /// A clip of so many pictures, of which none was seen yet.
    pub fn new(pictures: u64, rate: FrameRate) -> Self {
        Self { pictures: pictures.max(1), rate: rate.as_f64(), last: None }
    }

    /// Number among all rounds of the picture at this place, which was shown at `at`; `None` for the last one once more. Time
    /// tells rounds from each other, so delays may change by less than half a round.
    pub fn number(&mut self, place: FrameId, at: MediaTime) -> Option<u64> {
        let place = u64::from(place.0);
        let number = match self.last {
            None => place,
            Some((last, shown_at)) => {
                let expected = last as f64 + at.since(shown_at).as_secs_f64() * self.rate;
                let rounds = ((expected - place as f64) / self.pictures as f64).round();
                let number = place + rounds.max(0.0) as u64 * self.pictures;
                match number.cmp(&last) {
                    std::cmp::Ordering::Equal => return None,
                    std::cmp::Ordering::Greater => number,
                    std::cmp::Ordering::Less => number + self.pictures,
                }
            }
        };
        self.last = Some((number, at));
        Some(number)
    }

    /// Number of the last picture that should be on the screen at `at`, where the last that was shown is known.
    pub fn due(&self, at: MediaTime) -> Option<u64> {
        let (last, shown_at) = self.last?;
        let still = at.since(shown_at).saturating_sub(UNDER_WAY);
        Some(last + (still.as_secs_f64() * self.rate) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = Vec<(u64, u64)>;

    /// Originals and shown pictures are told by their numbers.
    fn captured(seen: &mut Seen<u64, u64>, numbers: impl IntoIterator<Item = u64>) -> Pairs {
        numbers.into_iter().filter_map(|number| seen.captured(number, number)).collect()
    }

    #[test]
    fn a_picture_that_is_shown_is_seen_itself() {
        let mut seen = Seen::default();
        assert!(captured(&mut seen, [0, 7]).is_empty());
        assert_eq!(seen.shown(0, 0), [(0, 0)]);
        assert!(seen.shown(6, 6).is_empty());
        assert_eq!(seen.shown(7, 7), [(7, 7)]);
        assert!(seen.finish().is_empty());
    }

    #[test]
    fn for_a_picture_that_was_left_out_the_one_before_stood_still() {
        let mut seen = Seen::default();
        captured(&mut seen, [0, 7, 14, 21]);
        seen.shown(0, 0);
        seen.shown(5, 5);
        assert_eq!(seen.shown(15, 15), [(7, 5), (14, 5)]);
        assert_eq!(seen.finish(), [(21, 15)], "what never came counts");
    }

    #[test]
    fn what_was_captured_before_the_first_picture_came_does_not_count() {
        let mut seen = Seen::default();
        captured(&mut seen, [0, 7, 14]);
        assert_eq!(seen.shown(14, 14), [(14, 14)]);
        let mut never = Seen::<u64, u64>::default();
        captured(&mut never, [0, 7]);
        assert!(never.finish().is_empty());
    }

    #[test]
    fn a_picture_that_stands_still_for_long_is_counted_while_it_does() {
        let mut seen = Seen::default();
        captured(&mut seen, [0]);
        seen.shown(0, 0);
        let many = (1..).map(|n| n * EVERY).take(WAITING + 2);
        assert_eq!(captured(&mut seen, many), [(7, 0), (14, 0)]);
        // Too late for those, but not for the others.
        let resumed = seen.shown(21, 21);
        assert_eq!(resumed, [(21, 21)]);
        assert_eq!(seen.finish().len(), WAITING - 1);
    }

    #[test]
    fn another_source_begins_anew() {
        let mut seen = Seen::default();
        captured(&mut seen, [0, 7, 14]);
        seen.shown(0, 0);
        assert!(captured(&mut seen, [0]).is_empty());
        assert_eq!(seen.shown(0, 100), [(0, 100)]);
    }

    #[test]
    fn rounds_of_a_clip_are_told_by_the_time() {
        let mut rounds = Rounds::new(100, FrameRate::FPS_30);
        let at = |pictures: u64| MediaTime::ZERO + FrameRate::FPS_30.time_of(pictures);
        assert_eq!(rounds.number(FrameId(90), at(0)), Some(90));
        assert_eq!(rounds.number(FrameId(91), at(1)), Some(91));
        assert_eq!(rounds.number(FrameId(91), at(2)), None, "it is the same");
        assert_eq!(rounds.number(FrameId(3), at(10)), Some(103));
        // A picture that stood still, with a delay that has grown since, and then with one that has shrunk.
        assert_eq!(rounds.number(FrameId(20), at(10 + 240)), Some(320));
        assert_eq!(rounds.number(FrameId(60), at(10 + 260)), Some(360));
        // Several at once never go back.
        assert_eq!(rounds.number(FrameId(59), at(10 + 260)), Some(459));
    }

    #[test]
    fn what_should_have_been_shown_at_the_end_leaves_out_what_is_on_its_way() {
        let mut rounds = Rounds::new(100, FrameRate::FPS_30);
        assert_eq!(rounds.due(MediaTime::from_millis(5_000)), None);
        rounds.number(FrameId(30), MediaTime::from_millis(1_000));
        assert_eq!(rounds.due(MediaTime::from_millis(1_400)), Some(30));
        assert_eq!(rounds.due(MediaTime::from_millis(3_500)), Some(90));
    }
}
