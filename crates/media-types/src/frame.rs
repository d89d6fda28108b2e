//! Uncompressed pictures.

use std::fmt;
use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};

use crate::pool::FreeList;
use crate::{FrameSize, MediaTime};

/// Number that a source gives each frame it makes, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FrameId(pub u32);

/// Coefficients that relate Y'CbCr to R'G'B'. All of Ahoy's pictures use limited range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColorMatrix {
    /// ITU-R BT.601: cameras, and what decoders assume of pictures up to 576 lines.
    #[default]
    Bt601,
    /// ITU-R BT.709: high-definition material.
    Bt709,
}

/// A tightly packed 4:2:0 picture: the Y plane, then Cb, then Cr, chroma sides rounded up.
pub struct I420Buffer {
    size: FrameSize,
    data: Vec<u8>,
    home: Weak<FreeList>,
}

/// A plane of an [`I420Buffer`] that can be written to.
pub struct PlaneMut<'a> {
    /// The samples, row after row without gaps.
    pub data: &'a mut [u8],
    /// Samples in a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl I420Buffer {
    /// A black picture.
    pub fn black(size: FrameSize) -> Self {
        let mut buffer = Self { size, data: vec![16; size.i420_len()], home: Weak::new() };
        let luma = size.width() as usize * size.height() as usize;
        buffer.data[luma..].fill(128);
        buffer
    }

    /// A picture from packed planes; `None` if `data` is not exactly [`FrameSize::i420_len`] bytes long.
    pub fn from_packed(size: FrameSize, data: Vec<u8>) -> Option<Self> {
        (data.len() == size.i420_len()).then_some(Self { size, data, home: Weak::new() })
    }

    /// A buffer whose memory goes back to `home` when it is dropped. Its contents are whatever was there before.
    pub(crate) fn recycled(size: FrameSize, mut data: Vec<u8>, home: Weak<FreeList>) -> Self {
        data.resize(size.i420_len(), 0);
        Self { size, data, home }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// All planes as stored: Y, Cb, Cr.
    pub fn packed(&self) -> &[u8] {
        &self.data
    }

    /// All planes as stored: Y, Cb, Cr.
    pub fn packed_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    fn split(&self) -> (usize, usize) {
        let luma = self.size.width() as usize * self.size.height() as usize;
        (luma, self.size.chroma_width() as usize * self.size.chroma_height() as usize)
    }

    /// The luma plane; its stride is the width.
    pub fn y(&self) -> &[u8] {
        &self.data[..self.split().0]
    }

    /// The blue-difference plane; its stride is [`FrameSize::chroma_width`].
    pub fn u(&self) -> &[u8] {
        let (luma, chroma) = self.split();
        &self.data[luma..luma + chroma]
    }

    /// The red-difference plane; its stride is [`FrameSize::chroma_width`].
    pub fn v(&self) -> &[u8] {
        let (luma, chroma) = self.split();
        &self.data[luma + chroma..]
    }

    /// The three planes, to be written to.
    pub fn planes_mut(&mut self) -> [PlaneMut<'_>; 3] {
        let (luma, chroma) = self.split();
        let size = self.size;
        let (y, rest) = self.data.split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        let (cw, ch) = (size.chroma_width() as usize, size.chroma_height() as usize);
        [
            PlaneMut { data: y, width: size.width() as usize, height: size.height() as usize },
            PlaneMut { data: u, width: cw, height: ch },
            PlaneMut { data: v, width: cw, height: ch },
        ]
    }
}

impl Clone for I420Buffer {
    fn clone(&self) -> Self {
        Self { size: self.size, data: self.data.clone(), home: Weak::new() }
    }
}

impl fmt::Debug for I420Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I420Buffer({})", self.size)
    }
}

impl Drop for I420Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.give_back(std::mem::take(&mut self.data));
        }
    }
}

/// One picture with the facts that travel with it. Cloning shares the pixels.
#[derive(Clone, Debug)]
pub struct VideoFrame {
    /// The pixels.
    pub buffer: Arc<I420Buffer>,
    /// The source's number for it.
    pub id: FrameId,
    /// When its content was captured, or made by a synthetic source.
    pub captured_at: MediaTime,
    /// How to turn it into RGB.
    pub color: ColorMatrix,
}

impl VideoFrame {
    /// Width and height in pixels.
    pub fn size(&self) -> FrameSize {
        self.buffer.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_an_odd_picture_cover_it_exactly() {
        let mut buffer = I420Buffer::black(FrameSize::new(17, 19).unwrap());
        assert_eq!((buffer.y().len(), buffer.u().len(), buffer.v().len()), (323, 90, 90));
        assert_eq!((buffer.y()[0], buffer.u()[0], buffer.v()[89]), (16, 128, 128));
        let [y, u, v] = buffer.planes_mut();
        assert_eq!(y.data.len() + u.data.len() + v.data.len(), 323 + 180);
    }

    #[test]
    fn packed_pictures_of_the_wrong_length_are_refused() {
        let size = FrameSize::new(16, 16).unwrap();
        assert!(I420Buffer::from_packed(size, vec![0; 384]).is_some());
        assert!(I420Buffer::from_packed(size, vec![0; 383]).is_none());
    }
}
