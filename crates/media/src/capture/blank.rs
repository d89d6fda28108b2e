//! A black picture, sent while the camera is off.

use ahoy_media_types::{FrameId, FrameRate, FrameSize, I420Buffer};

use super::paced::Painter;
use super::thread::StopSignal;
use ahoy_media_types::FramePool;

/// Paints black.
#[derive(Debug)]
pub(crate) struct Blank {
    black: I420Buffer,
    pool: FramePool,
}

impl Blank {
    pub(crate) fn new(size: FrameSize) -> Self {
        Self { black: I420Buffer::black(size), pool: FramePool::new() }
    }
}

impl Painter for Blank {
    fn describe(&self) -> (FrameSize, Option<FrameRate>, String) {
        (self.black.size(), None, "blank picture".to_owned())
    }

    fn paint(&mut self, _: FrameId, _: u64, _: &StopSignal) -> Option<I420Buffer> {
        let mut picture = self.pool.take(self.black.size());
        picture.packed_mut().copy_from_slice(self.black.packed());
        Some(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_black_even_in_memory_that_was_drawn_on() {
        let mut blank = Blank::new(FrameSize::new(32, 18).unwrap());
        let mut paint = || blank.paint(FrameId(0), 0, &StopSignal::default()).unwrap();
        paint().packed_mut().fill(200);
        let picture = paint();
        assert!(picture.y().iter().all(|&v| v == 16) && picture.u().iter().all(|&v| v == 128));
    }
}
