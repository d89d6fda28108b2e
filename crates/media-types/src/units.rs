//! Units that are validated where they enter the program.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a size, rate or bitrate was refused. The text is meant for the person who typed the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The frame size is outside what the codec and the screen path handle.
    #[error(
        "a picture of {width}x{height} can't be used: width and height must be from {min} to {max_width} by {max_height} pixels \
         (1280x720 is a good choice)",
        min = FrameSize::MIN_SIDE, max_width = FrameSize::MAX_WIDTH, max_height = FrameSize::MAX_HEIGHT
    )]
    Size {
        /// Width in pixels as asked for.
        width: u64,
        /// Height in pixels as asked for.
        height: u64,
    },
    /// The frame rate is zero or more than cameras and codecs deliver.
    #[error("{0} frames per second can't be used: choose from 1 to {max} (30 is a good choice)", max = FrameRate::MAX_FPS)]
    Rate(String),
    /// The bitrate is below what keeps a call alive or above what any call uses.
    #[error("{0} kbit/s can't be used: choose from {min} to {max} kbit/s (1500 is a good choice for 720p)",
        min = Bitrate::MIN.as_kbps(), max = Bitrate::MAX.as_kbps())]
    Bitrate(u64),
    /// The text is not of the form that the unit is written in.
    #[error("{text:?} is not {expected}")]
    Syntax {
        /// What was written.
        text: String,
        /// What should have been, with an example.
        expected: &'static str,
    },
}

/// Bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bitrate(u64);

impl Bitrate {
    /// Below this not even narrow-band speech fits.
    pub const MIN: Bitrate = Bitrate(6_000);
    /// Above this no codec of a call gains anything: 1080p60 at visually lossless quality needs less.
    pub const MAX: Bitrate = Bitrate(50_000_000);
    /// 1500 kbit/s: what video services commonly give 720p calls.
    pub const HD_VIDEO: Bitrate = Bitrate(1_500_000);

    /// A bitrate in bits per second, refused outside [`Self::MIN`]..=[`Self::MAX`].
    pub fn from_bps(bps: u64) -> Result<Self, UnitError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&bps) {
            Ok(Self(bps))
        } else {
            Err(UnitError::Bitrate(bps / 1000))
        }
    }

    /// A bitrate in kilobits (1000 bits) per second.
    pub fn from_kbps(kbps: u64) -> Result<Self, UnitError> {
        kbps.checked_mul(1000).ok_or(UnitError::Bitrate(kbps)).and_then(Self::from_bps)
    }

    /// Bits per second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// Kilobits (1000 bits) per second, rounded down.
    pub const fn as_kbps(self) -> u64 {
        self.0 / 1000
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.as_kbps())
    }
}

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameSize {
    width: u32,
    height: u32,
}

impl FrameSize {
    /// One macroblock: the smallest picture H.264 codes without cropping.
    pub const MIN_SIDE: u32 = 16;
    /// Largest width of H.264 level 5.2 pictures that openh264 accepts.
    pub const MAX_WIDTH: u32 = 4096;
    /// Largest height of H.264 level 5.2 pictures that openh264 accepts.
    pub const MAX_HEIGHT: u32 = 2304;
    /// 1280x720.
    pub const HD: FrameSize = FrameSize { width: 1280, height: 720 };

    /// A size in pixels, refused outside [`Self::MIN_SIDE`]..=[`Self::MAX_WIDTH`] by [`Self::MAX_HEIGHT`].
    pub fn new(width: u64, height: u64) -> Result<Self, UnitError> {
        let fits = |v: u64, max: u32| u32::try_from(v).ok().filter(|v| (Self::MIN_SIDE..=max).contains(v));
        match (fits(width, Self::MAX_WIDTH), fits(height, Self::MAX_HEIGHT)) {
            (Some(width), Some(height)) => Ok(Self { width, height }),
            (None, _) | (_, None) => Err(UnitError::Size { width, height }),
        }
    }

    /// Width in pixels.
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub const fn height(self) -> u32 {
        self.height
    }

    /// Width of the chroma planes of a 4:2:0 picture, rounded up.
    pub const fn chroma_width(self) -> u32 {
        self.width.div_ceil(2)
    }

    /// Height of the chroma planes of a 4:2:0 picture, rounded up.
    pub const fn chroma_height(self) -> u32 {
        self.height.div_ceil(2)
    }

    /// Bytes of a tightly packed I420 picture.
    pub const fn i420_len(self) -> usize {
        self.width as usize * self.height as usize
            + 2 * self.chroma_width() as usize * self.chroma_height() as usize
    }

    /// This size with odd sides made even by dropping the last row or column, as encoders of 4:2:0 video want it.
    pub const fn even(self) -> Self {
        Self { width: self.width & !1, height: self.height & !1 }
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for FrameSize {
    type Err = UnitError;
    /// Reads `WIDTHxHEIGHT`, for example `1280x720`.
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let syntax = || UnitError::Syntax { text: text.to_owned(), expected: "a size such as 1280x720" };
        let (width, height) = text.split_once(['x', 'X']).ok_or_else(syntax)?;
        let number = |s: &str| s.parse::<u64>().map_err(|_| syntax());
        Self::new(number(width)?, number(height)?)
    }
}

/// Frames per second as a fraction, because video files say 30000/1001 and mean it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    numerator: u32,
    denominator: u32,
}

impl FrameRate {
    /// The fastest rate accepted, in frames per second.
    pub const MAX_FPS: u32 = 120;
    /// 30 frames per second.
    pub const FPS_30: FrameRate = FrameRate { numerator: 30, denominator: 1 };

    /// A whole number of frames per second.
    pub fn from_fps(fps: u32) -> Result<Self, UnitError> {
        Self::new(fps, 1)
    }

    /// `numerator / denominator` frames per second, refused where it is below 1 or above [`Self::MAX_FPS`].
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, UnitError> {
        let too_fast = u64::from(numerator) > u64::from(Self::MAX_FPS) * u64::from(denominator);
        if denominator == 0 || numerator < denominator || too_fast {
            let text =
                if denominator == 1 { numerator.to_string() } else { format!("{numerator}/{denominator}") };
            return Err(UnitError::Rate(text));
        }
        Ok(Self { numerator, denominator })
    }

    /// Frames per second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Time from one frame to the next.
    pub fn interval(self) -> Duration {
        self.time_of(1)
    }

    /// Time from the first frame to frame number `frame`, without the error that adding up intervals would gather.
    pub fn time_of(self, frame: u64) -> Duration {
        let nanos =
            u128::from(frame) * u128::from(self.denominator) * 1_000_000_000 / u128::from(self.numerator);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Numerator and denominator of the fraction.
    pub const fn as_fraction(self) -> (u32, u32) {
        (self.numerator, self.denominator)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{} fps", self.numerator),
            _ => write!(f, "{:.2} fps", self.as_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_refused_with_a_sentence() {
        assert_eq!("640x360".parse::<FrameSize>().unwrap(), FrameSize::new(640, 360).unwrap());
        let refused = "7680x4320".parse::<FrameSize>().unwrap_err().to_string();
        assert!(refused.contains("7680x4320") && refused.contains("4096 by 2304"), "{refused}");
        assert!("640".parse::<FrameSize>().unwrap_err().to_string().contains("1280x720"));
        assert!(FrameSize::new(0, 0).is_err());
        assert!(FrameSize::new(u64::MAX, 720).is_err());
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        let odd = FrameSize::new(17, 19).unwrap();
        assert_eq!((odd.chroma_width(), odd.chroma_height()), (9, 10));
        assert_eq!(odd.i420_len(), 17 * 19 + 2 * 90);
        assert_eq!(odd.even(), FrameSize::new(16, 18).unwrap());
    }

    #[test]
    fn rates_outside_one_to_the_maximum_are_refused() {
        assert!(FrameRate::from_fps(0).unwrap_err().to_string().starts_with("0 frames per second"));
        assert!(FrameRate::from_fps(121).is_err());
        assert!(FrameRate::new(30, 0).is_err());
        assert!(FrameRate::new(30_000, 1001).is_ok());
    }

    #[test]
    fn frame_times_do_not_drift() {
        let rate = FrameRate::new(30_000, 1001).unwrap();
        assert_eq!(rate.time_of(30_000), Duration::from_secs(1001));
    }

    #[test]
    fn bitrates_outside_the_usable_range_are_refused() {
        assert_eq!(Bitrate::from_kbps(1500).unwrap().as_bps(), 1_500_000);
        assert!(Bitrate::from_kbps(0).is_err());
        assert!(Bitrate::from_kbps(u64::MAX).is_err());
    }
}
