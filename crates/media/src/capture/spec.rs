//! What a video source is asked for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ahoy_media_types::{FrameRate, FrameSize};

use super::CaptureError;

/// Names a camera on this machine: its device path on Linux (`/dev/video0`), the system's number or unique id elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CameraId(String);

impl CameraId {
    /// The id as the system writes it, or as a person typed it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoSourceSpec {
    /// A camera; `None` is the first one that the system lists.
    Camera(Option<CameraId>),
    /// A moving test picture.
    Pattern,
    /// A `.y4m` clip, played in a loop.
    File(PathBuf),
    /// A black picture, for a call with the camera switched off.
    Blank,
}

impl FromStr for VideoSourceSpec {
    type Err = CaptureError;

    /// Reads `camera`, `camera:ID`, `pattern`, `file:PATH` or `blank`.
    fn from_str(text: &str) -> Result<Self, CaptureError> {
        let (kind, argument) = match text.split_once(':') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        match (kind, argument) {
            ("camera", None) => Ok(Self::Camera(None)),
            ("camera", Some(id)) if !id.is_empty() => Ok(Self::Camera(Some(CameraId::new(id)))),
            ("pattern", None) => Ok(Self::Pattern),
            ("blank", None) => Ok(Self::Blank),
            ("file", Some(path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            _ => Err(CaptureError::UnknownSource { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for VideoSourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Camera(None) => f.write_str("camera"),
            Self::Camera(Some(id)) => write!(f, "camera:{id}"),
            Self::Pattern => f.write_str("pattern"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Blank => f.write_str("blank"),
        }
    }
}

/// The pictures that a source is to deliver. Whatever the source's own size, its frames are scaled to `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Width and height in pixels.
    pub size: FrameSize,
    /// Frames per second. A camera that can't do it delivers at its nearest rate; see [`super::CaptureEvent::Started`].
    pub rate: FrameRate,
}

/// Whether a source draws [`ahoy_measure::stamp`] cells into its pictures, camera pictures included, from which the frame
/// and its capture time can be read again at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamping {
    /// Pictures stay as they are: for calls between people, and for captures.
    Off,
    /// Each picture carries its id and capture time: for test calls, whose report is read from them.
    On,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_reads_back_as_it_is_written() {
        for text in ["camera", "camera:/dev/video2", "camera:0", "pattern", "file:/tmp/a:b.y4m", "blank"] {
            assert_eq!(text.parse::<VideoSourceSpec>().unwrap().to_string(), text);
        }
        assert_eq!(
            "file:/tmp/a:b.y4m".parse::<VideoSourceSpec>().unwrap(),
            VideoSourceSpec::File(PathBuf::from("/tmp/a:b.y4m"))
        );
    }

    #[test]
    fn an_unknown_source_is_refused_with_the_ones_there_are() {
        for text in ["", "webcam", "camera:", "file", "file:", "pattern:2", "blank:", "Camera"] {
            let refused = text.parse::<VideoSourceSpec>().unwrap_err().to_string();
            assert!(refused.contains(&format!("{text:?}")), "{refused}");
            assert!(refused.contains("camera:ID") && refused.contains("file:CLIP.y4m"), "{refused}");
        }
    }
}
