//! What happened to a device during the call, as problems of the report.

use ahoy_media_types::MediaTime;

use crate::problem::Problem;

/// Adds a problem unless it is the one that the device has had before: each attempt to open it would tell it again.
pub(super) fn tell_once(before: Option<&Problem>, now: &Problem, problems: &mut Vec<Problem>) {
    if before.is_none_or(|before| before.code != now.code) {
        problems.push(now.clone());
    }
}

/// Tells of the losses and returns of one source or sink.
#[derive(Default)]
pub(super) struct Losses {
    /// While lost: the latest problem that tells of it, by its place in the list, and since when.
    open: Option<(usize, MediaTime)>,
}

impl Losses {
    /// The device was lost at `now`, or is still lost for another reason.
    pub(super) fn lost(&mut self, reason: Problem, now: MediaTime, problems: &mut Vec<Problem>) {
        let since = self.open.map_or(now, |(_, since)| since);
        self.open = Some((problems.len(), since));
        problems.push(reason);
    }

    /// Whether the device was lost and has not come back.
    pub(super) fn is_lost(&self) -> bool {
        self.open.is_some()
    }

    /// The device works again. The report is read when the call is over, so it must not sound as if it didn't.
    pub(super) fn recovered(&mut self, now: MediaTime, problems: &mut [Problem]) {
        if let Some((place, since)) = self.open.take()
            && let Some(told) = problems.get_mut(place)
        {
            let seconds = now.since(since).as_secs_f64();
            told.message.push_str(&format!(" (It came back {seconds:.1} s later.)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemCode;

    fn problem(message: &str) -> Problem {
        Problem::new(ProblemCode::CameraLost, message)
    }

    #[test]
    fn a_device_that_came_back_is_told_with_the_time_it_was_gone() {
        let mut problems = vec![problem("something else")];
        let mut losses = Losses::default();
        losses.lost(problem("the camera was unplugged"), MediaTime::from_millis(1000), &mut problems);
        problems.push(problem("something else"));
        losses.lost(problem("the camera is busy"), MediaTime::from_millis(2000), &mut problems);
        losses.recovered(MediaTime::from_millis(3500), &mut problems);
        losses.recovered(MediaTime::from_millis(4000), &mut problems);
        let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
        let last = "The camera is busy (It came back 2.5 s later.)";
        assert_eq!(messages, ["Something else", "The camera was unplugged", "Something else", last]);
    }
}
