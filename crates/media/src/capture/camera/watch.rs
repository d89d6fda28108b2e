//! Decides when a camera counts as lost, when to try again, and what the user hears of it.

use std::mem::discriminant;
use std::time::Duration;

use ahoy_media_types::MediaTime;

use crate::capture::CaptureError;

/// A running camera that sends nothing for this long is taken for stuck. Longer than the pauses of a healthy one (light
/// changes double the exposure, some wake up slowly), short enough to be noticed before the other side asks.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(2);
/// What a camera has from being opened to its first picture: slow ones warm up for some seconds.
pub(crate) const FIRST_PICTURE_WITHIN: Duration = Duration::from_secs(5);

/// The first wait before a lost camera is opened again; each further wait is twice as long.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait: how long a camera that was plugged in again takes to come back at most.
const RETRY_LAST: Duration = Duration::from_secs(2);

/// What is known of a camera that is kept running. Pure: it is told what happens and the time.
#[derive(Debug)]
pub(crate) struct Watch {
    /// When the camera has to have sent a picture.
    due: MediaTime,
    /// Since when it has sent nothing good.
    quiet_since: MediaTime,
    /// Set while lost: what the user was told.
    told: Option<Reason>,
    retry: Duration,
}

/// The kind of a [`CaptureError`], which is what decides whether a user is told again.
type Reason = std::mem::Discriminant<CaptureError>;

impl Watch {
    /// The camera was opened at `now` for the first time.
    pub(crate) fn new(now: MediaTime) -> Self {
        Self { due: now + FIRST_PICTURE_WITHIN, quiet_since: now, told: None, retry: RETRY_FIRST }
    }

    /// The camera was opened again.
    pub(crate) fn opened(&mut self, now: MediaTime) {
        self.quiet_since = now;
        self.due = now + FIRST_PICTURE_WITHIN;
    }

    /// A good picture came; returns whether it is the first after the camera was lost.
    pub(crate) fn picture(&mut self, now: MediaTime) -> bool {
        self.quiet_since = now;
        self.due = now + STALLED_AFTER;
        self.retry = RETRY_FIRST;
        self.told.take().is_some()
    }

    /// How long the camera has sent nothing, once that is too long.
    pub(crate) fn stalled(&self, now: MediaTime) -> Option<Duration> {
        (now >= self.due).then(|| now - self.quiet_since)
    }

    /// The camera is gone because of `reason`; returns whether the user should hear of it: at first, and when the reason
    /// becomes another one.
    pub(crate) fn lost(&mut self, reason: &CaptureError) -> bool {
        self.told.replace(discriminant(reason)) != Some(discriminant(reason))
    }

    /// How long to wait before the next attempt.
    pub(crate) fn next_retry(&mut self) -> Duration {
        let wait = self.retry;
        self.retry = (2 * wait).min(RETRY_LAST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    fn unplugged() -> CaptureError {
        CaptureError::CameraUnplugged { device: "Cam".to_owned() }
    }

    fn busy() -> CaptureError {
        CaptureError::CameraBusy { device: "Cam".to_owned() }
    }

    #[test]
    fn two_seconds_without_a_picture_are_a_stall() {
        let mut watch = Watch::new(at(0));
        assert!(!watch.picture(at(1_000)));
        assert_eq!(watch.stalled(at(2_999)), None);
        assert_eq!(watch.stalled(at(3_000)), Some(Duration::from_secs(2)));
        assert!(!watch.picture(at(3_100)));
        assert_eq!(watch.stalled(at(3_200)), None);
    }

    #[test]
    fn the_first_picture_may_take_longer_each_time_the_camera_is_opened() {
        let mut watch = Watch::new(at(0));
        assert_eq!(watch.stalled(at(4_999)), None);
        assert_eq!(watch.stalled(at(5_000)), Some(Duration::from_secs(5)));
        watch.opened(at(10_000));
        assert_eq!(watch.stalled(at(14_999)), None);
        assert_eq!(watch.stalled(at(15_000)), Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_loss_is_told_once_for_each_reason_and_then_the_recovery() {
        let mut watch = Watch::new(at(0));
        assert!(watch.lost(&unplugged()));
        assert!(!watch.lost(&unplugged()));
        assert!(watch.lost(&busy()));
        watch.opened(at(100));
        assert!(!watch.lost(&busy()));
        assert!(watch.picture(at(200)));
        assert!(!watch.picture(at(233)));
        assert!(watch.lost(&busy()));
    }

    #[test]
    fn attempts_become_rarer_until_a_picture_comes() {
        let mut watch = Watch::new(at(0));
        let mut waits =
            || std::iter::repeat_with(|| watch.next_retry().as_millis()).take(5).collect::<Vec<_>>();
        assert_eq!(waits(), [250, 500, 1000, 2000, 2000]);
        watch.picture(at(9_000));
        assert_eq!(watch.next_retry(), RETRY_FIRST);
    }
}
