//! The camera of a call, or what stands for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahoy_media::capture::{
    CaptureError, CaptureEvent, Stamping, VideoCapture, VideoFormat, VideoSourceSpec, start_video,
};
use ahoy_media::slot::LatestSlot;
use ahoy_media_types::{MediaClock, VideoFrame};

use super::device_state::DeviceState;
use super::losses::{Losses, tell_once};
use super::switched::{News, Standing, Switched};
use crate::problem::{Problem, ProblemCode};

/// A source of pictures that can be switched, with what is known of it.
pub(crate) struct Camera {
    clock: MediaClock,
    source: Switched<(VideoSourceSpec, VideoFormat), CountedCapture, CaptureEvent, CaptureError>,
    /// Frames of the sources that are closed by now.
    captured: Arc<AtomicU64>,
    format: VideoFormat,
    losses: Losses,
    /// Why there are no pictures.
    trouble: Option<Problem>,
    name: String,
}

/// A source whose frames are still counted when it is closed.
struct CountedCapture {
    capture: VideoCapture,
    total: Arc<AtomicU64>,
}

impl Drop for CountedCapture {
    fn drop(&mut self) {
        self.total.fetch_add(self.capture.captured(), Ordering::Relaxed);
    }
}

impl Camera {
    /// A camera that is off. Its pictures will go into `frames`.
    pub(crate) fn new(
        format: VideoFormat,
        stamping: Stamping,
        clock: MediaClock,
        frames: LatestSlot<VideoFrame>,
    ) -> Self {
        let captured = Arc::new(AtomicU64::new(0));
        let total = Arc::clone(&captured);
        let source = Switched::new(Arc::new(move |(spec, format): &(VideoSourceSpec, _), events| {
            let capture = start_video(spec, *format, stamping, clock, frames.clone(), events)?;
            Ok(CountedCapture { capture, total: Arc::clone(&total) })
        }));
        let (losses, name) = (Losses::default(), String::new());
        Self { clock, source, captured, format, losses, trouble: None, name }
    }

    /// Has pictures come from a source, or none.
    pub(crate) fn want(&mut self, source: Option<VideoSourceSpec>) {
        self.trouble = None;
        if let Some(source) = &source {
            self.name = source.to_string();
        }
        let format = self.format;
        self.source.want(source.map(|source| (source, format)));
    }

    /// Has pictures come in another size or at another rate: the source is opened anew.
    pub(crate) fn want_format(&mut self, format: VideoFormat) {
        self.format = format;
        let source = self.source.wanted().map(|(source, _)| source.clone());
        self.want(source);
    }

    /// Tries again to open what could not be opened.
    pub(crate) fn retry(&mut self) {
        match &self.trouble {
            Some(Problem { code: ProblemCode::VideoEnded, .. }) => self.source.reopen(),
            Some(_) | None => self.source.retry(),
        }
    }

    /// Takes note of what happened since the last time.
    pub(crate) async fn look(&mut self, problems: &mut Vec<Problem>) {
        let news = self.source.look().await;
        self.take_news(news, problems);
    }

    /// Closes it and waits until it is closed.
    pub(crate) async fn close(&mut self, problems: &mut Vec<Problem>) {
        let news = self.source.close().await;
        self.take_news(news, problems);
    }

    fn take_news(&mut self, news: Vec<News<CaptureEvent, CaptureError>>, problems: &mut Vec<Problem>) {
        let now = self.clock.now();
        for what in news {
            match what {
                News::Opened => self.trouble = None,
                News::Failed(error) => {
                    let problem = Problem::camera(&error);
                    tell_once(self.trouble.as_ref(), &problem, problems);
                    self.trouble = Some(problem);
                }
                News::Event(CaptureEvent::Started { device, .. }) => self.name = device,
                News::Event(CaptureEvent::Warning(reason)) => {
                    problems.push(Problem::camera(&reason));
                }
                News::Event(CaptureEvent::Lost { reason }) => {
                    let problem = Problem::camera(&reason);
                    self.trouble = Some(problem.clone());
                    self.losses.lost(problem, now, problems);
                }
                News::Event(CaptureEvent::Recovered) => {
                    self.trouble = None;
                    self.losses.recovered(now, problems);
                }
                // A clip has said why before it ended; a driver that failed has not.
                News::Event(CaptureEvent::Ended) if self.losses.is_lost() => {}
                News::Event(CaptureEvent::Ended) => {
                    let message = format!("{} has stopped: no more pictures came from it.", self.name);
                    let problem = Problem::new(ProblemCode::VideoEnded, message);
                    self.trouble = Some(problem.clone());
                    problems.push(problem);
                }
            }
        }
    }

    /// How it is.
    pub(crate) fn state(&self) -> DeviceState {
        DeviceState::new(self.source.standing(), self.trouble.as_ref())
    }

    /// Whether it is wanted and can't be had.
    pub(crate) fn has_failed(&self) -> bool {
        self.source.standing() == Standing::Failed
    }

    /// Frames so far.
    pub(crate) fn captured(&self) -> u64 {
        let open = self.source.device().map_or(0, |source| source.capture.captured());
        self.captured.load(Ordering::Relaxed) + open
    }

    /// Size and rate that are asked of it.
    pub(crate) fn format(&self) -> VideoFormat {
        self.format
    }

    /// What people know it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}
