//! How often and how long the picture stood still, as WebRTC counts it.
//!
//! The definition is that of `freezeCount` and `totalFreezesDuration` in [Identifiers for WebRTC's Statistics
//! API](https://www.w3.org/TR/webrtc-stats/#dom-rtcinboundrtpstreamstats-freezecount), `RTCInboundRtpStreamStats`:
//!
//! > It is a freeze if frame duration, which is time interval between two consecutively rendered frames, is equal or
//! > exceeds Max(3 * avg_frame_duration_ms, avg_frame_duration_ms + 150), where `avg_frame_duration_ms` is linear average
//! > of durations of last 30 rendered frames.
//!
//! What the text leaves open is done as in libwebrtc (`VideoQualityObserver`), whose figures ours are compared with: the
//! average includes the interval that is being judged, and nothing is judged before the fifth interval.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_media_types::MediaTime;
use serde::Serialize;

/// Intervals that the average is taken over.
const WINDOW: usize = 30;
/// Intervals that must be known before one is judged (libwebrtc's `kMinFrameSamplesToDetectFreeze`).
const MIN_INTERVALS: usize = 5;
/// Least excess over the average that a person notices as a freeze.
const MIN_EXCESS: Duration = Duration::from_millis(150);
/// A picture that stands still for this long at the end is a freeze even when too few frames came to know the average:
/// three times the interval of the slowest rate there is, one frame per second.
const MAX_STILL: Duration = Duration::from_secs(3);

/// What the picture's freezes come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Freezes {
    /// Intervals between frames that were freezes.
    pub count: u32,
    /// How long those intervals lasted together, each from frame to frame.
    pub total: Duration,
}

/// Counts freezes of one stream from the times at which its frames are shown.
#[derive(Clone, Debug, Default)]
pub struct FreezeDetector {
    last_frame: Option<MediaTime>,
    intervals: VecDeque<Duration>,
    freezes: Freezes,
}

impl FreezeDetector {
    /// A detector that has seen no frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame was shown at `now`. Times must not go back; one that does counts as an interval of zero.
    pub fn on_frame_rendered(&mut self, now: MediaTime) {
        if let Some(last) = self.last_frame.replace(now) {
            let interval = now - last;
            if self.add(interval) {
                self.count(interval);
            }
        }
    }

    /// The sender stopped on purpose (camera off, hold): the time until the next frame is a pause, not a freeze.
    pub fn on_stream_paused(&mut self) {
        self.last_frame = None;
    }

    /// The freezes that ended so far: what webrtc-stats would report.
    pub fn so_far(&self) -> Freezes {
        self.freezes
    }

    /// The call ended at `now`: all freezes, with the one that was still going on. Webrtc-stats never reports that one,
    /// because it counts a freeze when the next frame is shown; a call whose picture died would look perfect.
    pub fn finish(mut self, now: MediaTime) -> Freezes {
        if let Some(last) = self.last_frame {
            let interval = now - last;
            if self.add(interval) || (self.intervals.len() < MIN_INTERVALS && interval >= MAX_STILL) {
                self.count(interval);
            }
        }
        self.freezes
    }

    /// Takes the interval into the average and says whether it is a freeze.
    fn add(&mut self, interval: Duration) -> bool {
        if self.intervals.len() == WINDOW {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
        if self.intervals.len() < MIN_INTERVALS {
            return false;
        }
        let average = self.intervals.iter().sum::<Duration>() / self.intervals.len() as u32;
        interval >= (3 * average).max(average + MIN_EXCESS)
    }

    fn count(&mut self, interval: Duration) {
        self.freezes.count += 1;
        self.freezes.total += interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A detector that has seen `frames` frames `millis` apart, and the time of the last.
    fn after_frames(frames: u64, millis: u64) -> (FreezeDetector, MediaTime) {
        let mut detector = FreezeDetector::new();
        for frame in 0..frames {
            detector.on_frame_rendered(MediaTime::from_millis(frame * millis));
        }
        (detector, MediaTime::from_millis((frames - 1) * millis))
    }

    fn millis(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn a_steady_picture_has_no_freeze() {
        for interval in [16, 33, 100, 1000] {
            let (detector, last) = after_frames(100, interval);
            assert_eq!(detector.finish(last + millis(interval)), Freezes::default(), "{interval} ms");
        }
    }

    #[test]
    fn at_a_high_rate_a_freeze_exceeds_the_average_by_150_ms() {
        // (29 * 40 + x) / 30 + 150 <= x first holds at x = 195.2 ms; three times the average is less.
        let freezes = |interval| {
            let (mut detector, last) = after_frames(60, 40);
            detector.on_frame_rendered(last + millis(interval));
            detector.so_far()
        };
        assert_eq!(freezes(195), Freezes::default());
        assert_eq!(freezes(196), Freezes { count: 1, total: millis(196) });
    }

    #[test]
    fn at_a_low_rate_a_freeze_is_three_times_the_average() {
        // 3 * (29 * 200 + x) / 30 <= x first holds at x = 644.5 ms; the average plus 150 ms is less.
        let freezes = |interval| {
            let (mut detector, last) = after_frames(60, 200);
            detector.on_frame_rendered(last + millis(interval));
            detector.so_far()
        };
        assert_eq!(freezes(644), Freezes::default());
        assert_eq!(freezes(645), Freezes { count: 1, total: millis(645) });
    }

    #[test]
    fn libwebrtcs_own_test_case_gives_its_result() {
        // ReceiveStatisticsProxyTest.ReportsFreezeMetrics: five frames 30 ms apart, then 1000 ms.
        let (mut detector, last) = after_frames(5, 30);
        detector.on_frame_rendered(last + millis(1000));
        assert_eq!(detector.so_far(), Freezes { count: 1, total: millis(1000) });
    }

    #[test]
    fn old_intervals_leave_the_average() {
        let (mut detector, mut now) = after_frames(200, 10);
        for _ in 0..WINDOW {
            now += millis(150);
            detector.on_frame_rendered(now);
        }
        assert_eq!(detector.so_far(), Freezes::default());
        // With the fast frames still in the average this would be a freeze.
        detector.on_frame_rendered(now + millis(400));
        assert_eq!(detector.so_far(), Freezes::default());
    }

    #[test]
    fn a_picture_that_dies_before_the_end_is_a_freeze() {
        let (detector, last) = after_frames(60, 33);
        assert_eq!(detector.clone().finish(last + millis(4000)), Freezes { count: 1, total: millis(4000) });
        assert_eq!(detector.finish(last + millis(50)), Freezes::default());
    }

    #[test]
    fn a_picture_that_dies_after_its_first_frame_is_a_freeze() {
        let (detector, last) = after_frames(1, 33);
        assert_eq!(detector.clone().finish(last + millis(2999)), Freezes::default());
        assert_eq!(detector.finish(last + millis(3000)), Freezes { count: 1, total: millis(3000) });
    }

    #[test]
    fn no_picture_at_all_is_not_a_freeze() {
        assert_eq!(FreezeDetector::new().finish(MediaTime::from_millis(10_000)), Freezes::default());
    }

    #[test]
    fn a_pause_is_not_a_freeze() {
        let (mut detector, last) = after_frames(60, 33);
        detector.on_stream_paused();
        detector.on_frame_rendered(last + millis(5000));
        assert_eq!(detector.so_far(), Freezes::default());
        detector.on_stream_paused();
        assert_eq!(detector.finish(last + millis(15_000)), Freezes::default());
    }
}
