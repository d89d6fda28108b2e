//! What cameras offer, and which of it a call takes.

use std::cmp::Reverse;
use std::fmt;

use ahoy_media_types::{FrameRate, FrameSize};

use crate::capture::VideoFormat;

/// How a camera lays out its pictures. In the order in which they are preferred where a camera has several at the same
/// size and rate: the less conversion and loss, the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PixelLayout {
    /// Planar 4:2:0: what Ahoy works with.
    I420,
    /// 4:2:0 with the chroma samples in pairs.
    Nv12,
    /// 4:2:2 packed as Y Cb Y Cr.
    Yuyv,
    /// 4:2:2 packed as Cb Y Cr Y.
    Uyvy,
    /// Three bytes a pixel, red first.
    Rgb,
    /// Three bytes a pixel, blue first.
    Bgr,
    /// A JPEG picture each.
    Mjpeg,
    /// Luma only, as infrared cameras send it.
    Gray,
}

impl fmt::Display for PixelLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I420 => "I420",
            Self::Nv12 => "NV12",
            Self::Yuyv => "YUYV",
            Self::Uyvy => "UYVY",
            Self::Rgb => "RGB",
            Self::Bgr => "BGR",
            Self::Mjpeg => "MJPEG",
            Self::Gray => "gray",
        })
    }
}

/// One way in which a camera can deliver pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CameraMode {
    /// Width and height in pixels.
    pub size: FrameSize,
    /// Frames per second.
    pub rate: FrameRate,
    /// How the pictures are laid out.
    pub layout: PixelLayout,
}

impl fmt::Display for CameraMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} {}", self.size, self.rate, self.layout)
    }
}

/// The mode that serves `wanted` best.
///
/// First come modes that are large enough and (nearly) fast enough, the smallest of them ahead; then large enough but
/// slow ones, the fastest ahead; then, for a camera whose largest picture is smaller than what was asked for, the largest.
/// Of equals the layout decides. Cameras offer uncompressed pictures only where their cable carries them, so a mode with
/// MJPEG wins wherever it alone has the rate.
pub(crate) fn choose(modes: &[CameraMode], wanted: VideoFormat) -> Option<CameraMode> {
    modes.iter().copied().min_by_key(|mode| rank(*mode, wanted))
}

type Rank = (u8, Reverse<u64>, u64, u64, PixelLayout);

fn rank(mode: CameraMode, wanted: VideoFormat) -> Rank {
    let millihertz = |rate: FrameRate| (rate.as_f64() * 1000.0).round() as u64;
    let area = |size: FrameSize| u64::from(size.width()) * u64::from(size.height());
    let covers = mode.size.width() >= wanted.size.width() && mode.size.height() >= wanted.size.height();
    let (rate, asked) = (millihertz(mode.rate), millihertz(wanted.rate));
    // 25 for 30 is not seen, 15 for 30 is: a fifth is the line.
    let fast_enough = rate * 5 >= asked * 4;
    let rate_error = rate.abs_diff(asked);
    match (covers, fast_enough) {
        (true, true) => (0, Reverse(0), area(mode.size), rate_error, mode.layout),
        (true, false) => (1, Reverse(rate), area(mode.size), rate_error, mode.layout),
        (false, true) => (2, Reverse(area(mode.size)), 0, rate_error, mode.layout),
        (false, false) => (3, Reverse(area(mode.size)), 0, rate_error, mode.layout),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PixelLayout::{Gray, Mjpeg, Nv12, Yuyv};

    fn mode(width: u64, height: u64, fps: u32, layout: PixelLayout) -> CameraMode {
        CameraMode {
            size: FrameSize::new(width, height).unwrap(),
            rate: FrameRate::from_fps(fps).unwrap(),
            layout,
        }
    }

    fn best(modes: &[CameraMode], width: u64, height: u64, fps: u32) -> CameraMode {
        let size = FrameSize::new(width, height).unwrap();
        choose(modes, VideoFormat { size, rate: FrameRate::from_fps(fps).unwrap() }).unwrap()
    }

    /// What a common USB 2 webcam lists.
    fn webcam() -> Vec<CameraMode> {
        vec![
            mode(640, 480, 30, Yuyv),
            mode(640, 480, 15, Yuyv),
            mode(1280, 720, 10, Yuyv),
            mode(1920, 1080, 5, Yuyv),
            mode(640, 480, 30, Mjpeg),
            mode(1280, 720, 30, Mjpeg),
            mode(1280, 720, 60, Mjpeg),
            mode(1920, 1080, 30, Mjpeg),
        ]
    }

    #[test]
    fn the_exact_size_and_rate_win_uncompressed_where_the_cable_carries_it() {
        assert_eq!(best(&webcam(), 640, 480, 30), mode(640, 480, 30, Yuyv));
        assert_eq!(best(&webcam(), 640, 480, 15), mode(640, 480, 15, Yuyv));
        assert_eq!(best(&webcam(), 1280, 720, 30), mode(1280, 720, 30, Mjpeg));
        assert_eq!(best(&webcam(), 1280, 720, 60), mode(1280, 720, 60, Mjpeg));
        assert_eq!(best(&webcam(), 1280, 720, 10), mode(1280, 720, 10, Yuyv));
    }

    #[test]
    fn a_size_between_two_takes_the_larger_one() {
        assert_eq!(best(&webcam(), 640, 360, 30), mode(640, 480, 30, Yuyv));
        assert_eq!(best(&webcam(), 960, 540, 30), mode(1280, 720, 30, Mjpeg));
        assert_eq!(best(&webcam(), 320, 180, 30), mode(640, 480, 30, Yuyv));
    }

    #[test]
    fn a_camera_that_is_too_slow_is_asked_for_its_fastest() {
        let slow = [mode(1280, 720, 5, Yuyv), mode(1280, 720, 10, Yuyv), mode(640, 480, 30, Yuyv)];
        assert_eq!(best(&slow, 1280, 720, 30), mode(1280, 720, 10, Yuyv));
    }

    #[test]
    fn a_camera_that_is_too_small_is_asked_for_its_largest() {
        let small = [mode(320, 240, 30, Yuyv), mode(640, 480, 30, Yuyv), mode(640, 480, 5, Yuyv)];
        assert_eq!(best(&small, 1920, 1080, 30), mode(640, 480, 30, Yuyv));
    }

    #[test]
    fn nearly_the_rate_at_the_exact_size_beats_a_larger_picture() {
        let modes = [mode(1280, 720, 25, Mjpeg), mode(1920, 1080, 30, Mjpeg)];
        assert_eq!(best(&modes, 1280, 720, 30), mode(1280, 720, 25, Mjpeg));
    }

    #[test]
    fn of_equal_modes_the_cheapest_to_convert_wins_and_gray_comes_last() {
        let modes = [mode(640, 480, 30, Gray), mode(640, 480, 30, Mjpeg), mode(640, 480, 30, Nv12)];
        assert_eq!(best(&modes, 640, 480, 30).layout, Nv12);
        assert_eq!(best(&modes[..2], 640, 480, 30).layout, Mjpeg);
        assert_eq!(choose(&[], VideoFormat { size: FrameSize::HD, rate: FrameRate::FPS_30 }), None);
    }
}
