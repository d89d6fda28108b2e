//! The decoder: openh264, set to stop at damage rather than to show it.

use ahoy_media_types::{FramePool, FrameSize, I420Buffer};
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use crate::codec::{CodecError, VideoDecoder};

/// Longest access unit that is looked at, in bytes. A 4096x2304 key frame at the finest quantizer that our encoder uses
/// stays below it; more is an attack on our memory.
pub const MAX_ACCESS_UNIT: usize = 8 << 20;

/// Type of a coded slice of an IDR picture (ITU-T H.264 table 7-1).
const NAL_IDR: u8 = 5;

/// Decodes H.264 (constrained baseline, and what else openh264 knows) one access unit at a time, without delay.
///
/// Error concealment is off: a damaged picture is an error, and so is every picture after it until a key frame comes, so
/// that the last good picture stays on screen instead of smeared blocks.
pub struct H264Decoder {
    decoder: Decoder,
    pool: FramePool,
    waiting_for_keyframe: bool,
}

impl H264Decoder {
    /// Starts a decoder that takes its pictures' memory from `pool`.
    ///
    /// # Errors
    /// [`CodecError::Start`] where openh264 has no memory for one.
    pub fn new(pool: FramePool) -> Result<Self, CodecError> {
        Ok(Self { decoder: start()?, pool, waiting_for_keyframe: true })
    }

    fn copy_out(pool: &FramePool, picture: &DecodedYUV<'_>) -> Result<I420Buffer, CodecError> {
        let (width, height) = picture.dimensions();
        let size = FrameSize::new(width as u64, height as u64)
            .map_err(|_| CodecError::PictureTooLarge { width, height })?;
        let mut buffer = pool.take(size);
        let (y_stride, u_stride, v_stride) = picture.strides();
        let sources = [(picture.y(), y_stride), (picture.u(), u_stride), (picture.v(), v_stride)];
        for (plane, (source, stride)) in buffer.planes_mut().into_iter().zip(sources) {
            for (to, from) in plane.data.chunks_exact_mut(plane.width).zip(source.chunks(stride)) {
                to.copy_from_slice(&from[..plane.width]);
            }
        }
        Ok(buffer)
    }
}

fn start() -> Result<Decoder, CodecError> {
    let config = DecoderConfig::new().flush_after_decode(Flush::Flush);
    Decoder::with_api_config(OpenH264API::from_source(), config).map_err(|error| CodecError::Start {
        codec: "H.264",
        settings: "decoding".to_owned(),
        code: i32::try_from(error.native_code()).unwrap_or(i32::MAX),
    })
}

impl VideoDecoder for H264Decoder {
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Buffer>, CodecError> {
        if data.len() > MAX_ACCESS_UNIT {
            self.waiting_for_keyframe = true;
            return Err(CodecError::DataTooLarge(data.len()));
        }
        if self.waiting_for_keyframe && !has_idr(data) {
            return Err(CodecError::NeedsKeyframe);
        }
        let result = match self.decoder.decode(data) {
            Ok(Some(picture)) => Self::copy_out(&self.pool, &picture).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(CodecError::Damaged(error.native_code())),
        };
        match &result {
            Ok(Some(_)) => self.waiting_for_keyframe = false,
            Ok(None) => {}
            Err(_) => {
                self.waiting_for_keyframe = true;
                // What is left inside after damage is not to be trusted.
                self.decoder = start()?;
            }
        }
        result
    }
}

/// Whether an Annex B byte stream (ITU-T H.264 annex B) holds a slice of an IDR picture.
fn has_idr(data: &[u8]) -> bool {
    data.windows(4).any(|window| window[..3] == [0, 0, 1] && window[3] & 0x1f == NAL_IDR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_starts_in_the_middle_asks_for_a_key_frame() {
        let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
        assert_eq!(decoder.decode(&[0, 0, 0, 1, 0x41, 0x9a]).unwrap_err(), CodecError::NeedsKeyframe);
        assert_eq!(decoder.decode(&[]).unwrap_err(), CodecError::NeedsKeyframe);
    }

    #[test]
    fn data_too_long_for_any_picture_is_refused_unread() {
        let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
        let error = decoder.decode(&vec![0; MAX_ACCESS_UNIT + 1]).unwrap_err();
        assert_eq!(error, CodecError::DataTooLarge(MAX_ACCESS_UNIT + 1));
    }
}
