//! The encoder: openh264 with real-time settings.

use std::time::Duration;

use ahoy_media_types::{Bitrate, Codec, ColorMatrix, EncodedFrame, FrameRate, MediaTime, VideoFrame};
use bytes::Bytes;

use super::frame_rate::ObservedRate;
use super::raw::{Encoded, MAX_RATE, RawEncoder, Shape};
use crate::codec::{CodecError, VideoEncoder, VideoEncoderConfig, rtp_ticks};

/// Compresses pictures to H.264 constrained baseline in Annex B form, one slice a picture, each picture referring only to
/// the one before, key frames only at the start, when asked for, and when the size changes.
pub struct H264Encoder {
    raw: Option<RawEncoder>,
    shape: Shape,
    rate: FrameRate,
    observed: ObservedRate,
    bitrate: Bitrate,
    keyframe_wanted: bool,
    timestamp_offset: u32,
    first: Option<MediaTime>,
    last_millis: i64,
}

impl H264Encoder {
    /// Starts an encoder.
    ///
    /// # Errors
    /// [`CodecError::Start`] where openh264 refuses the settings.
    pub fn new(config: VideoEncoderConfig) -> Result<Self, CodecError> {
        let mut this = Self {
            raw: None,
            shape: Shape { size: config.size.even(), color: ColorMatrix::default() },
            rate: config.rate,
            observed: ObservedRate::new(config.rate.as_f64()),
            bitrate: config.bitrate,
            keyframe_wanted: true,
            timestamp_offset: 0,
            first: None,
            last_millis: -1,
        };
        this.raw = Some(this.start()?);
        Ok(this)
    }

    /// Shifts all RTP timestamps, which start at zero on the media timeline otherwise (RFC 3550 section 5.1 asks for a
    /// random start).
    pub fn with_timestamp_offset(mut self, offset: u32) -> Self {
        self.timestamp_offset = offset;
        self
    }

    fn start(&self) -> Result<RawEncoder, CodecError> {
        let (rate, bitrate) = self.library_rate();
        RawEncoder::new(self.shape, rate, bitrate).map_err(|code| CodecError::Start {
            codec: "H.264",
            settings: format!("{} at {} and {}", self.shape.size, self.rate, self.bitrate),
            code,
        })
    }

    /// Rate and bitrate as openh264 must be told them. It gives each frame `bitrate / rate` bits and takes no rate above
    /// 60, so for faster video the bitrate is lowered instead.
    fn library_rate(&self) -> (f32, i32) {
        let rate = self.observed.in_use() as f32;
        let bitrate = self.bitrate.as_bps() as f64 * f64::from((MAX_RATE / rate).min(1.0));
        (rate.min(MAX_RATE), bitrate as i32)
    }

    fn apply_rate(&mut self) -> Result<(), CodecError> {
        let (rate, bitrate) = self.library_rate();
        let settings = || format!("{} at {}", self.bitrate, self.rate);
        match &mut self.raw {
            // The next frame starts an encoder with the new values.
            None => Ok(()),
            Some(raw) => raw
                .set_rate(rate)
                .and_then(|()| raw.set_bitrate(bitrate))
                .map_err(|code| CodecError::Setting { settings: settings(), code }),
        }
    }

    /// Milliseconds since the first frame. Rate control misbehaves when they repeat or go back.
    fn millis(&mut self, captured_at: MediaTime) -> i64 {
        let first = *self.first.get_or_insert(captured_at);
        let millis = i64::try_from(captured_at.since(first).as_millis()).unwrap_or(i64::MAX - 1);
        self.last_millis = millis.max(self.last_millis + 1);
        self.last_millis
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedFrame>, CodecError> {
        let shape = Shape { size: frame.size().even(), color: frame.color };
        if shape != self.shape {
            self.raw = None;
            self.shape = shape;
        }
        let millis = self.millis(frame.captured_at);
        if self.observed.on_frame(frame.captured_at).is_some() {
            self.apply_rate()?;
        }
        let raw = match &mut self.raw {
            Some(raw) => raw,
            None => {
                let raw = self.start()?;
                self.keyframe_wanted = true;
                self.raw.insert(raw)
            }
        };
        if self.keyframe_wanted {
            raw.force_keyframe();
        }
        match raw.encode(&frame.buffer, shape.size, millis) {
            Err(code) => {
                self.raw = None;
                Err(CodecError::Encode(code))
            }
            Ok(Encoded::Skipped) => Ok(None),
            Ok(Encoded::Picture { data, keyframe }) => {
                if keyframe {
                    self.keyframe_wanted = false;
                }
                let ticks = rtp_ticks(frame.captured_at, Codec::H264.clock_rate());
                Ok(Some(EncodedFrame {
                    codec: Codec::H264,
                    data: Bytes::from(data),
                    rtp_timestamp: ticks.wrapping_add(self.timestamp_offset),
                    duration: Duration::from_secs_f64(1.0 / self.observed.in_use()),
                    keyframe,
                    time: frame.captured_at,
                }))
            }
        }
    }

    fn force_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), CodecError> {
        let before = std::mem::replace(&mut self.bitrate, bitrate);
        self.apply_rate().inspect_err(|_| self.bitrate = before)
    }

    fn set_rate(&mut self, rate: FrameRate) -> Result<(), CodecError> {
        let before = (self.rate, std::mem::replace(&mut self.observed, ObservedRate::new(rate.as_f64())));
        self.rate = rate;
        match self.apply_rate() {
            Ok(()) => Ok(()),
            Err(error) => {
                (self.rate, self.observed) = before;
                Err(error)
            }
        }
    }
}
