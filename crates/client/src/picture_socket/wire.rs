//! The messages, to and fro. docs/picture-socket.md describes them for both sides.

use std::sync::Arc;

use ahoy_media_types::{ColorMatrix, I420Buffer, MediaTime};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes before the picture's data.
pub(super) const HEADER: usize = 24;
/// Longest message that a page may send.
pub(super) const LONGEST_FROM_PAGE: usize = 1024;
/// Most pictures that a page may have under way, so that a mistake in the page can't make pictures queue.
pub(super) const MOST_CREDIT: u32 = 8;

const KEYFRAME: u8 = 1;
const BT709: u8 = 4;

/// Which pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamName {
    /// One's own camera.
    Local,
    /// What the other side sends.
    Remote,
}

/// What the page can draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PictureFormat {
    /// Encoded pictures, Annex B.
    H264,
    /// Plain pictures.
    I420,
}

/// A picture for the page.
#[derive(Clone, Debug)]
pub enum Picture {
    /// An H.264 access unit in Annex B form.
    Encoded {
        /// The access unit.
        data: Bytes,
        /// Whether it can be decoded without others.
        keyframe: bool,
        /// How its colours are to be read.
        color: ColorMatrix,
    },
    /// A decoded picture.
    Plain {
        /// The picture.
        buffer: Arc<I420Buffer>,
        /// How its colours are to be read.
        color: ColorMatrix,
    },
}

impl Picture {
    /// Which format this is.
    pub fn format(&self) -> PictureFormat {
        match self {
            Picture::Encoded { .. } => PictureFormat::H264,
            Picture::Plain { .. } => PictureFormat::I420,
        }
    }

    /// Whether pictures before it are needed to decode it.
    pub(super) fn stands_alone(&self) -> bool {
        match self {
            Picture::Encoded { keyframe, .. } => *keyframe,
            Picture::Plain { .. } => true,
        }
    }

    /// The message for the page.
    pub(super) fn to_message(&self, number: u32, at: MediaTime) -> Bytes {
        let (format, (width, height), color, data) = match self {
            // The data says what size it is.
            Picture::Encoded { data, color, .. } => (1, (0, 0), *color, &data[..]),
            Picture::Plain { buffer, color } => {
                (2, (buffer.size().width(), buffer.size().height()), *color, buffer.packed())
            }
        };
        let mut flags = match color {
            ColorMatrix::Bt601 => 0,
            ColorMatrix::Bt709 => BT709,
        };
        if self.stands_alone() {
            flags |= KEYFRAME;
        }

        let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX).to_le_bytes();
        let mut message = Vec::with_capacity(HEADER + data.len());
        message.extend([format, flags]);
        message.extend(side(width));
        message.extend(side(height));
        message.extend([0; 2]);
        message.extend(number.to_le_bytes());
        message.extend([0; 4]);
        message.extend(at.as_micros().to_le_bytes());
        message.extend(data);
        message.into()
    }
}

/// The area that a page fits pictures into, in pixels of the screen. One without width or height can't be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Area {
    /// How wide it is.
    pub width: u32,
    /// How high it is.
    pub height: u32,
}

impl Area {
    /// Whether anything can be seen in it.
    pub fn is_seen(self) -> bool {
        self.width > 0 && self.height > 0
    }
}

/// The first message of a page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Hello {
    pub(super) token: String,
    pub(super) stream: StreamName,
    pub(super) accepts: PictureFormat,
}

/// Any later message of a page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum FromPage {
    /// The page is ready for more pictures.
    Credit { pictures: u32 },
    /// A picture has been drawn.
    Shown { picture: u32 },
    /// The page can't go on without a key frame.
    Keyframe,
    /// The page wants another format from now on.
    Accepts { format: PictureFormat },
    /// The page draws pictures in this size.
    Size(Area),
}

/// Reads a message of a page; `None` where it is none.
pub(super) fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    (text.len() <= LONGEST_FROM_PAGE).then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::FrameSize;

    use super::*;

    #[test]
    fn the_header_says_what_the_page_needs_to_decode_and_draw() {
        let picture = Picture::Encoded {
            data: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
            keyframe: true,
            color: ColorMatrix::Bt709,
        };
        let message = picture.to_message(0x0102_0304, MediaTime::from_micros(9));
        assert_eq!(message[..8], [1, KEYFRAME | BT709, 0, 0, 0, 0, 0, 0]);
        assert_eq!(message[8..16], [4, 3, 2, 1, 0, 0, 0, 0]);
        assert_eq!(message[16..24], [9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(message[24..], [0, 0, 0, 1, 0x65]);
    }

    #[test]
    fn a_plain_picture_is_sent_whole() {
        let buffer = Arc::new(I420Buffer::black(FrameSize::new(17, 17).unwrap()));
        let picture = Picture::Plain { buffer: Arc::clone(&buffer), color: ColorMatrix::Bt601 };
        let message = picture.to_message(1, MediaTime::ZERO);
        assert_eq!(message[..8], [2, KEYFRAME, 17, 0, 17, 0, 0, 0]);
        assert_eq!(&message[HEADER..], buffer.packed());
        assert_eq!(message.len(), HEADER + 17 * 17 + 2 * 9 * 9);
    }

    #[test]
    fn pages_messages_are_read() {
        let hello = r#"{"token": "t", "stream": "remote", "accepts": "h264"}"#;
        let wanted = Hello { token: "t".into(), stream: StreamName::Remote, accepts: PictureFormat::H264 };
        assert_eq!(read::<Hello>(hello), Some(wanted));
        assert_eq!(read(r#"{"type": "credit", "pictures": 3}"#), Some(FromPage::Credit { pictures: 3 }));
        assert_eq!(read(r#"{"type": "shown", "picture": 7}"#), Some(FromPage::Shown { picture: 7 }));
        assert_eq!(read(r#"{"type": "keyframe"}"#), Some(FromPage::Keyframe));
        let accepts = FromPage::Accepts { format: PictureFormat::I420 };
        assert_eq!(read(r#"{"type": "accepts", "format": "i420"}"#), Some(accepts));
        let size = |width, height| Some(FromPage::Size(Area { width, height }));
        assert_eq!(read(r#"{"type": "size", "width": 1280, "height": 720}"#), size(1280, 720));
        assert_eq!(read(r#"{"type": "size", "width": 0, "height": 0}"#), size(0, 0));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!(r#"{{"type": "keyframe", "more": "{}"}}"#, "x".repeat(LONGEST_FROM_PAGE));
        let negative = r#"{"type": "credit", "pictures": -1}"#;
        let half = r#"{"type": "size", "width": 640}"#;
        for text in ["", "{}", "null", r#"{"type": "quit"}"#, negative, half, &long] {
            assert_eq!(read::<FromPage>(text), None, "{text}");
            assert_eq!(read::<Hello>(text), None, "{text}");
        }
    }
}
