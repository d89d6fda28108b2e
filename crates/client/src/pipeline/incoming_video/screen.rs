//! Where frames become visible.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ahoy_media_types::{ColorMatrix, MediaTime, VideoFrame};
use bytes::Bytes;

use super::FrameTiming;
use crate::picture_socket::{Picture, PictureFormat, PictureSender, PictureSocket};

/// Pictures on their way to the window that are remembered until it reports them: more than it may have under way.
const UNDER_WAY: usize = 32;
/// How long the window is taken to need for a picture before it has reported one.
const DRAWING: Duration = Duration::from_millis(8);
/// How much each picture moves the average of that.
const DRAWING_WEIGHT: f64 = 0.05;
/// A report that took longer than this is of a window that was not drawing, as when it is minimised.
const NOT_DRAWING: Duration = Duration::from_millis(200);

/// Shows frames, and learns how each came here. Runs on the playout thread and must return at once.
pub trait TimedFrameSink: Send {
    /// Shows `frame`.
    fn present(&mut self, frame: &VideoFrame, timing: &FrameTiming);
}

/// Learns how each frame came to the window, once it has been drawn. Runs on the playout thread and must return at once.
pub type FrameWatch = Box<dyn FnMut(&FrameTiming) + Send>;

/// Where frames are to be shown.
pub enum VideoOutput {
    /// Decoded, by a sink in this program.
    Sink(Box<dyn TimedFrameSink>),
    /// In the window, which takes them from this socket.
    Window(Arc<PictureSocket>, FrameWatch),
}

/// A frame in the form that a screen takes.
pub(super) enum Content {
    Encoded { data: Bytes, keyframe: bool },
    Decoded(VideoFrame),
}

/// The form that a screen takes frames in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Encoded,
    Decoded,
    /// Nobody looks.
    Nothing,
}

/// A screen at work.
pub(super) enum Screen {
    Sink(Box<dyn TimedFrameSink>),
    Window(Window),
}

impl Screen {
    pub(super) fn sink(sink: Box<dyn TimedFrameSink>) -> Self {
        Screen::Sink(sink)
    }

    pub(super) fn window(pictures: PictureSender, watch: FrameWatch) -> Self {
        let drawing = DRAWING.as_secs_f64();
        Screen::Window(Window { pictures, watch, under_way: VecDeque::with_capacity(UNDER_WAY), drawing })
    }

    pub(super) fn takes(&self) -> Takes {
        match self {
            Screen::Sink(_) => Takes::Decoded,
            Screen::Window(window) => match window.pictures.wanted() {
                Some(PictureFormat::H264) => Takes::Encoded,
                Some(PictureFormat::I420) => Takes::Decoded,
                None => Takes::Nothing,
            },
        }
    }

    /// How long before a frame is to be seen the screen must have it.
    pub(super) fn lead(&self) -> Duration {
        match self {
            Screen::Sink(_) => Duration::ZERO,
            Screen::Window(window) => Duration::from_secs_f64(window.drawing),
        }
    }

    /// Shows a frame; returns when it became visible, if that is known at once.
    pub(super) fn show(
        &mut self,
        content: &Content,
        mut timing: FrameTiming,
        now: MediaTime,
    ) -> Option<MediaTime> {
        match (self, content) {
            (Screen::Sink(sink), Content::Decoded(frame)) => {
                timing.presented_at = now;
                sink.present(frame, &timing);
                Some(now)
            }
            // A sink never says that it takes encoded frames.
            (Screen::Sink(_), Content::Encoded { .. }) => None,
            (Screen::Window(window), content) => {
                window.send(content, timing, now);
                None
            }
        }
    }

    /// The window has drawn a picture; returns what is known of it.
    pub(super) fn on_shown(&mut self, picture: u32, at: MediaTime) -> Option<FrameTiming> {
        match self {
            Screen::Sink(_) => None,
            Screen::Window(window) => window.on_shown(picture, at),
        }
    }
}

/// The window as a screen.
pub(super) struct Window {
    pictures: PictureSender,
    watch: FrameWatch,
    under_way: VecDeque<(u32, MediaTime, FrameTiming)>,
    /// Average time from sending a picture to the report that it is drawn, in seconds.
    drawing: f64,
}

impl Window {
    fn send(&mut self, content: &Content, mut timing: FrameTiming, now: MediaTime) {
        let picture = match content {
            Content::Encoded { data, keyframe } => {
                timing.decode_started_at = now;
                Picture::Encoded { data: data.clone(), keyframe: *keyframe, color: ColorMatrix::default() }
            }
            Content::Decoded(frame) => {
                Picture::Plain { buffer: Arc::clone(&frame.buffer), color: frame.color }
            }
        };
        let encoded = picture.format() == PictureFormat::H264;
        let number = self.pictures.send(picture, now);
        if encoded {
            timing.decoded_at = now;
        }
        if self.under_way.len() == UNDER_WAY {
            self.under_way.pop_front();
        }
        self.under_way.push_back((number, now, timing));
    }

    fn on_shown(&mut self, picture: u32, at: MediaTime) -> Option<FrameTiming> {
        // Pictures are drawn in order; what is older than this one never was.
        let place = self.under_way.iter().position(|(number, ..)| *number == picture)?;
        let (_, sent_at, mut timing) = self.under_way.drain(..=place).next_back()?;
        let took = at.since(sent_at);
        if took < NOT_DRAWING {
            self.drawing += DRAWING_WEIGHT * (took.as_secs_f64() - self.drawing);
        }
        if timing.decoded_at == sent_at {
            timing.decoded_at = at;
        }
        timing.presented_at = at;
        (self.watch)(&timing);
        Some(timing)
    }
}
