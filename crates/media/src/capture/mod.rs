//! Pictures: sources.
//!
//! Each source runs on a thread of its own and puts its frames into a [`LatestSlot`]: cameras as they come, the others
//! on the deadlines of a steady rate. [`start_video`] opens the source before it returns, so what is wrong from the
//! beginning is its error; what happens later arrives as [`CaptureEvent`]s while the call goes on.

mod blank;
mod camera;
mod error;
mod file;
mod paced;
mod pacing;
mod pattern;
mod spec;
mod thread;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use ahoy_media_types::{FrameRate, FrameSize, MediaClock, VideoFrame};

pub use camera::{CameraInfo, CameraMode, ConvertError, Converter, PixelLayout, RawFormat, list_cameras};
pub use error::CaptureError;
pub use spec::{CameraId, Stamping, VideoFormat, VideoSourceSpec};

use crate::slot::LatestSlot;
use thread::{Counters, Outlet, SourceThread};

/// What a running source reports. A listener that doesn't keep up misses events: they are never waited for.
#[derive(Debug)]
pub enum CaptureEvent {
    /// The source is open.
    Started {
        /// Size of the pictures that the source itself has; they are scaled to the size asked for.
        size: FrameSize,
        /// Rate that the source itself has: what the camera agreed to, or what the file was recorded at.
        rate: FrameRate,
        /// Name of the camera, or of what stands in for it.
        device: String,
    },
    /// The source goes on, but not quite as it should.
    Warning(CaptureError),
    /// Pictures stopped coming. The source keeps trying until [`CaptureEvent::Recovered`] or [`CaptureEvent::Ended`].
    Lost {
        /// What happened.
        reason: CaptureError,
    },
    /// Pictures come again after [`CaptureEvent::Lost`].
    Recovered,
    /// The source has given up: no more pictures will come.
    Ended,
}

/// A running source. [`VideoCapture::stop`] or dropping it closes the device, so that a camera's light goes out.
#[derive(Debug)]
pub struct VideoCapture {
    counters: Arc<Counters>,
    _thread: SourceThread,
}

impl VideoCapture {
    /// How many frames were put into the slot.
    pub fn captured(&self) -> u64 {
        self.counters.captured.load(Ordering::Relaxed)
    }

    /// How many frames a synthetic source or a file left out because the machine was too busy to make them in time.
    pub fn skipped(&self) -> u64 {
        self.counters.skipped.load(Ordering::Relaxed)
    }

    /// Closes the device and ends the thread. Waits for at most a second for a driver that doesn't answer, then leaves the
    /// thread behind. The slot stays open.
    pub fn stop(self) {}
}

/// Opens a source and starts it on its own thread. Frames of the size asked for go to `out`, numbered from 0 without
/// gaps; their `captured_at` is the driver's time of capture where it tells one (Linux's V4L2 does), else when the camera
/// handed them over, or when a synthetic source was due to make them.
///
/// Returns once the source is open, which takes a camera up to a few seconds.
pub fn start_video(
    spec: &VideoSourceSpec,
    format: VideoFormat,
    stamping: Stamping,
    clock: MediaClock,
    out: LatestSlot<VideoFrame>,
    events: SyncSender<CaptureEvent>,
) -> Result<VideoCapture, CaptureError> {
    let counters = Arc::new(Counters::default());
    let outlet = Outlet { frames: out, events, counters: Arc::clone(&counters) };
    let pace = paced::Pace { rate: format.rate, stamping, clock };
    let thread = match spec {
        VideoSourceSpec::Pattern => paced::start(move || pattern::Pattern::new(format.size), pace, outlet)?,
        VideoSourceSpec::Blank => paced::start(move || blank::Blank::new(format.size), pace, outlet)?,
        VideoSourceSpec::File(path) => {
            let clip = file::Clip::open(path, format, outlet.clone())?;
            paced::start(move || clip, pace, outlet)?
        }
        VideoSourceSpec::Camera(id) => camera::start(id.as_ref(), format, pace, outlet)?,
    };
    Ok(VideoCapture { counters, _thread: thread })
}
