//! Runs the sources that have no timing of their own.

use std::sync::atomic::Ordering;

use ahoy_measure::stamp;
use ahoy_media_types::{ColorMatrix, FrameId, FrameRate, FrameSize, I420Buffer, MediaClock, VideoFrame};

use super::pacing::{self, Pacer};
use super::thread::{Outlet, SourceThread, StopSignal};
use super::{CaptureError, CaptureEvent, Stamping};

/// Makes the pictures of a source. Lives on the source's thread.
pub(crate) trait Painter {
    /// What the source itself has: its picture size, its rate where it has one, and its name.
    fn describe(&self) -> (FrameSize, Option<FrameRate>, String);

    /// The colours of its pictures.
    fn color(&self) -> ColorMatrix {
        ColorMatrix::default()
    }

    /// Makes the picture of frame `id`, which will be shown at deadline number `deadline`. `None` ends the source.
    fn paint(&mut self, id: FrameId, deadline: u64, stop: &StopSignal) -> Option<I420Buffer>;
}

/// When pictures are due, and whether they are stamped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rate: FrameRate,
    pub(crate) stamping: Stamping,
    pub(crate) clock: MediaClock,
}

/// Starts the thread of a source. `make` runs on it, because drawing what a painter keeps can take a while.
pub(crate) fn start<P: Painter>(
    make: impl FnOnce() -> P + Send + 'static,
    pace: Pace,
    outlet: Outlet,
) -> Result<SourceThread, CaptureError> {
    SourceThread::spawn("ahoy-video-src", move |stop| run(make(), pace, &outlet, stop))
}

fn run<P: Painter>(mut painter: P, pace: Pace, outlet: &Outlet, stop: &StopSignal) {
    let Pace { rate, stamping, clock } = pace;
    let (size, own_rate, device) = painter.describe();
    outlet.report(CaptureEvent::Started { size, rate: own_rate.unwrap_or(rate), device });
    let color = painter.color();
    let mut pacer = Pacer::new(rate, clock.now());
    loop {
        // Painted before it is due, so that drawing and disks cost no latency: at the deadline only the stamp is added.
        let id = outlet.next_id();
        let Some(mut picture) = painter.paint(id, pacer.upcoming(), stop) else {
            if !stop.is_set() {
                outlet.report(CaptureEvent::Ended);
            }
            return;
        };
        while let pacing::Pace::Wait(until) = pacer.poll(clock.now()) {
            if stop.wait_until(clock.instant(until)) {
                return;
            }
        }
        if stop.is_set() {
            return;
        }
        let captured_at = clock.now();
        if stamping == Stamping::On {
            stamp::draw(&mut picture, id, captured_at);
        }
        outlet.counters.skipped.store(pacer.skipped(), Ordering::Relaxed);
        outlet.deliver(VideoFrame { buffer: picture.into(), id, captured_at, color });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::Duration;

    use super::*;
    use crate::capture::thread::Counters;
    use crate::slot::{LatestSlot, Taken};

    const PATIENCE: Duration = Duration::from_secs(60);

    struct Counting {
        last: u32,
    }

    impl Painter for Counting {
        fn describe(&self) -> (FrameSize, Option<FrameRate>, String) {
            (FrameSize::HD, None, "counting".to_owned())
        }

        fn paint(&mut self, id: FrameId, _: u64, _: &StopSignal) -> Option<I420Buffer> {
            let mut picture = I420Buffer::black(FrameSize::new(128, 64).unwrap());
            picture.packed_mut()[128 * 63] = id.0 as u8;
            (id.0 < self.last).then_some(picture)
        }
    }

    fn running(
        last: u32,
        stamping: Stamping,
    ) -> (SourceThread, LatestSlot<VideoFrame>, Receiver<CaptureEvent>) {
        let (events, reported) = sync_channel(8);
        let frames = LatestSlot::new();
        let outlet = Outlet { frames: frames.clone(), events, counters: Arc::new(Counters::default()) };
        let pace = Pace { rate: FrameRate::from_fps(120).unwrap(), stamping, clock: MediaClock::start() };
        (start(move || Counting { last }, pace, outlet).unwrap(), frames, reported)
    }

    fn take(frames: &LatestSlot<VideoFrame>) -> VideoFrame {
        match frames.take_timeout(PATIENCE) {
            Taken::Value(frame) => frame,
            other @ (Taken::TimedOut | Taken::Closed) => panic!("no frame: {other:?}"),
        }
    }

    #[test]
    fn frames_come_in_order_with_their_own_picture_and_time() {
        let (thread, frames, _events) = running(u32::MAX, Stamping::Off);
        let mut before = take(&frames);
        for _ in 0..5 {
            let frame = take(&frames);
            assert!(frame.id > before.id && frame.captured_at > before.captured_at);
            assert_eq!(frame.buffer.y()[128 * 63], frame.id.0 as u8);
            before = frame;
        }
        drop(thread);
    }

    #[test]
    fn a_stamped_source_says_in_its_pixels_what_travels_beside_them() {
        let (_thread, frames, _events) = running(u32::MAX, Stamping::On);
        let frame = take(&frames);
        let stamp = stamp::read(&frame.buffer).expect("the picture is stamped");
        assert_eq!((stamp.id, stamp.at), (frame.id, frame.captured_at));
    }

    #[test]
    fn an_unstamped_source_leaves_its_pictures_alone() {
        let (_thread, frames, _events) = running(u32::MAX, Stamping::Off);
        assert_eq!(stamp::read(&take(&frames).buffer), None);
    }

    #[test]
    fn a_source_reports_its_start_and_its_end() {
        let (_thread, frames, events) = running(1, Stamping::Off);
        take(&frames);
        assert!(matches!(events.recv(), Ok(CaptureEvent::Started { size: FrameSize::HD, device, .. })
            if device == "counting"));
        assert!(matches!(events.recv(), Ok(CaptureEvent::Ended)));
    }

    #[test]
    fn being_stopped_is_not_reported_as_an_end() {
        let (thread, frames, events) = running(u32::MAX, Stamping::Off);
        take(&frames);
        drop(thread);
        assert!(matches!(events.try_recv(), Ok(CaptureEvent::Started { .. })));
        assert!(events.try_recv().is_err());
    }
}
