//! One's own picture in the window.

use std::sync::Arc;

use ahoy_media::scale::Scaler;
use ahoy_media_types::{FramePool, FrameSize, VideoFrame};

use crate::picture_socket::{Picture, PictureSender, PictureSocket, StreamName};

/// Largest size of the picture: as large as it is drawn, and a quarter of the bytes of 720p.
const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;

/// Shows captured frames in the window, reduced, as plain pictures.
pub(crate) struct SelfView {
    pictures: PictureSender,
    scaler: Scaler,
    pool: FramePool,
}

impl SelfView {
    /// Opens the window's local stream.
    pub(crate) fn new(socket: &PictureSocket) -> Self {
        // A page that is slow loses pictures and nothing else, so there is nothing to hear.
        let pictures = socket.open(StreamName::Local, Box::new(|_| {}));
        Self { pictures, scaler: Scaler::new(), pool: FramePool::new() }
    }

    /// Shows a frame, if the window looks.
    pub(crate) fn show(&mut self, frame: &VideoFrame) {
        if self.pictures.wanted().is_none() {
            return;
        }
        let size = reduced(frame.size());
        let buffer = if size == frame.size() {
            Arc::clone(&frame.buffer)
        } else {
            let mut small = self.pool.take(size);
            self.scaler.fit(&frame.buffer, &mut small);
            Arc::new(small)
        };
        self.pictures.send(Picture::Plain { buffer, color: frame.color }, frame.captured_at);
    }
}

/// The size with the same proportions that fits, with even sides.
fn reduced(size: FrameSize) -> FrameSize {
    let (width, height) = (size.width(), size.height());
    if width <= WIDTH && height <= HEIGHT {
        return size;
    }
    let (across, down) = (f64::from(WIDTH) / f64::from(width), f64::from(HEIGHT) / f64::from(height));
    let scaled = |side: u32| (f64::from(side) * across.min(down) / 2.0).round() as u64 * 2;
    FrameSize::new(scaled(width), scaled(height)).unwrap_or(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_reduced_with_their_proportions() {
        let of = |width, height| {
            let size = reduced(FrameSize::new(width, height).unwrap());
            (size.width(), size.height())
        };
        assert_eq!(of(1280, 720), (640, 360));
        assert_eq!(of(1920, 1080), (640, 360));
        assert_eq!(of(640, 480), (480, 360));
        assert_eq!(of(720, 1280), (202, 360));
        assert_eq!(of(320, 180), (320, 180));
        // Too narrow to be reduced.
        assert_eq!(of(16, 2160), (16, 2160));
    }
}
