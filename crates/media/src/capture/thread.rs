//! The thread behind a source: how it is told to stop, and how long that may take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ahoy_media_types::{FrameId, VideoFrame};

use super::{CaptureError, CaptureEvent};
use crate::slot::LatestSlot;

/// How long `stop` waits for a thread that may be inside a driver or a file system. Longer than any healthy one needs;
/// short enough that hanging up never feels stuck.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Tells a thread to stop, and lets it sleep until then.
#[derive(Debug, Default)]
pub(crate) struct StopSignal {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl StopSignal {
    pub(crate) fn set(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until `deadline` or until told to stop; returns whether to stop.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopped {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            stopped = self
                .changed
                .wait_timeout(stopped, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(stopped, _)| stopped);
        }
        true
    }
}

/// Counts of a source, readable while it runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) captured: AtomicU64,
    pub(crate) skipped: AtomicU64,
}

/// Where a source's thread puts what it has.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) frames: LatestSlot<VideoFrame>,
    pub(crate) events: SyncSender<CaptureEvent>,
    pub(crate) counters: Arc<Counters>,
}

impl Outlet {
    /// The id of the frame delivered next.
    pub(crate) fn next_id(&self) -> FrameId {
        // Wraps after years of frames.
        FrameId(self.counters.captured.load(Ordering::Relaxed) as u32)
    }

    pub(crate) fn deliver(&self, frame: VideoFrame) {
        self.counters.captured.fetch_add(1, Ordering::Relaxed);
        self.frames.put(frame);
    }

    /// Reports without ever waiting: a listener that fell behind misses the event, which the log still has.
    pub(crate) fn report(&self, event: CaptureEvent) {
        match self.events.try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(event)) => tracing::warn!(?event, "nobody took this video source event"),
            Err(TrySendError::Disconnected(event)) => {
                tracing::debug!(?event, "nobody listens to the video source")
            }
        }
    }
}

/// A named thread that is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct SourceThread {
    name: &'static str,
    stop: Arc<StopSignal>,
    /// Disconnects when the thread has ended, however it did.
    ended: Receiver<()>,
    handle: Option<JoinHandle<()>>,
}

impl SourceThread {
    pub(crate) fn spawn(
        name: &'static str,
        body: impl FnOnce(&StopSignal) + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let stop = Arc::new(StopSignal::default());
        let (running, ended) = channel();
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn({
                let stop = Arc::clone(&stop);
                move || {
                    let _running = running;
                    body(&stop);
                }
            })
            .map_err(CaptureError::Thread)?;
        Ok(Self { name, stop, ended, handle: Some(handle) })
    }
}

impl Drop for SourceThread {
    fn drop(&mut self) {
        self.stop.set();
        let Some(handle) = self.handle.take() else { return };
        match self.ended.recv_timeout(STOP_WITHIN) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(
                    thread = self.name,
                    "left behind: it is stuck in a driver or file system and ends when that answers"
                );
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                if handle.join().is_err() {
                    tracing::error!(thread = self.name, "the thread panicked");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn dropping_wakes_a_sleeping_thread_and_waits_for_its_end() {
        let (done, was_done) = sync_channel(1);
        let thread = SourceThread::spawn("ahoy-test", move |stop| {
            let stopped = stop.wait_until(Instant::now() + Duration::from_secs(600));
            done.send(stopped).unwrap();
        });
        drop(thread.unwrap());
        assert_eq!(was_done.try_recv(), Ok(true));
    }

    #[test]
    fn a_deadline_that_comes_before_the_stop_is_not_a_stop() {
        let stop = StopSignal::default();
        assert!(!stop.wait_until(Instant::now()));
        stop.set();
        assert!(stop.wait_until(Instant::now()));
        assert!(stop.is_set());
    }

    #[test]
    fn a_stuck_thread_does_not_hold_up_the_stop() {
        let (release, stuck) = sync_channel::<()>(0);
        let (freed, was_freed) = sync_channel(1);
        let thread = SourceThread::spawn("ahoy-test", move |_| {
            let _ = stuck.recv();
            let _ = freed.send(());
        });
        drop(thread.unwrap());
        assert!(was_freed.try_recv().is_err(), "the thread ended, so it was not left behind");
        drop(release);
        was_freed.recv().unwrap();
    }

    #[test]
    fn a_panic_of_the_thread_ends_with_it() {
        let thread = SourceThread::spawn("ahoy-test", |_| panic!("on purpose"));
        drop(thread.unwrap());
    }

    #[test]
    fn events_that_nobody_takes_are_dropped_instead_of_waited_for() {
        let (events, taken) = sync_channel(1);
        let outlet = Outlet { frames: LatestSlot::new(), events, counters: Arc::default() };
        outlet.report(CaptureEvent::Recovered);
        outlet.report(CaptureEvent::Ended);
        assert!(matches!(taken.try_recv(), Ok(CaptureEvent::Recovered)));
        assert!(taken.try_recv().is_err());
        drop(taken);
        outlet.report(CaptureEvent::Ended);
    }
}
