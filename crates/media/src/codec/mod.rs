//! Codecs: H.264 by openh264 and Opus by libopus, behind traits that the rest of the media path is written against.

mod h264;
mod opus;

use std::time::Duration;

use ahoy_media_types::{
    AudioBlock, Bitrate, EncodedFrame, FrameRate, FrameSize, I420Buffer, MediaTime, VideoFrame,
};

pub use self::h264::{H264Decoder, H264Encoder, MAX_ACCESS_UNIT};
pub use self::opus::{
    OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusFrameDuration, opus_packet_has_fec,
    opus_packet_is_silence, opus_packet_samples,
};

/// Why a codec refused to start or to take what it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The library would not start with these settings.
    #[error(
        "the {codec} encoder could not be started for {settings} (openh264 code {code}): choose a smaller picture or a lower bitrate"
    )]
    Start {
        /// Name of the codec.
        codec: &'static str,
        /// What was asked for.
        settings: String,
        /// The library's own number for the reason.
        code: i32,
    },
    /// The library would not take a change of a setting while running.
    #[error("the video encoder can't change to {settings} (openh264 code {code}): choose a lower value")]
    Setting {
        /// What was asked for.
        settings: String,
        /// The library's own number for the reason.
        code: i32,
    },
    /// A picture could not be compressed. The encoder starts afresh with the next one.
    #[error("a picture could not be compressed (openh264 code {0}): the video goes on with a new key frame")]
    Encode(i32),
    /// The received picture is larger than any that Ahoy handles.
    #[error(
        "a picture of {width}x{height} was received, but at most {max_width}x{max_height} can be shown: \
         ask the sender to choose a smaller size", max_width = FrameSize::MAX_WIDTH, max_height = FrameSize::MAX_HEIGHT
    )]
    PictureTooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The received data is longer than any picture compresses to.
    #[error(
        "a compressed picture of {0} bytes was received, which is too large to be genuine: a key frame is needed to go on"
    )]
    DataTooLarge(usize),
    /// The received picture is damaged; nothing can be decoded until a key frame comes.
    #[error("a received picture is damaged (openh264 state {0:#x}): a key frame is needed to go on")]
    Damaged(i64),
    /// The received picture depends on one that was never decoded.
    #[error("a received picture can't be decoded yet: a key frame is needed first")]
    NeedsKeyframe,
    /// libopus refused.
    #[error("the sound can't be {doing}: {reason}")]
    Opus {
        /// `compressed` or `decoded` or similar.
        doing: &'static str,
        /// libopus's own words.
        reason: &'static str,
    },
}

/// What a video encoder starts with. All of it can be changed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoEncoderConfig {
    /// Size of the first frames; later frames may differ, and each change of size starts with a key frame.
    pub size: FrameSize,
    /// Highest rate at which frames will come.
    pub rate: FrameRate,
    /// Bits per second to aim for.
    pub bitrate: Bitrate,
}

/// Compresses pictures in real time: nothing is delayed, and nothing refers to a later picture.
pub trait VideoEncoder: Send {
    /// Compresses one picture; `None` where rate control left it out so as to hold the bitrate.
    ///
    /// # Errors
    /// [`CodecError::Start`] or [`CodecError::Encode`]; the next call starts afresh with a key frame.
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedFrame>, CodecError>;
    /// Makes the next frame that comes out a key frame.
    fn force_keyframe(&mut self);
    /// Aims for another bitrate from the next frame on, without a key frame.
    ///
    /// # Errors
    /// [`CodecError::Setting`]; the old bitrate stays.
    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), CodecError>;
    /// Spreads the bitrate over another number of frames a second from the next frame on, without a key frame.
    ///
    /// # Errors
    /// [`CodecError::Setting`]; the old rate stays.
    fn set_rate(&mut self, rate: FrameRate) -> Result<(), CodecError>;
}

/// Decompresses pictures as they come in.
pub trait VideoDecoder: Send {
    /// Decodes one access unit in Annex B form. `None` where it held no picture (parameter sets alone, for example).
    ///
    /// # Errors
    /// Every error means that a key frame is needed: show the last good picture until then.
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Buffer>, CodecError>;
}

/// Compresses sound.
pub trait AudioEncoder: Send {
    /// Takes 10 ms; gives a packet each time enough for one was gathered, unless it is silence that need not be sent.
    ///
    /// # Errors
    /// [`CodecError::Opus`]; the gathered sound is dropped.
    fn encode(&mut self, block: &AudioBlock) -> Result<Option<EncodedFrame>, CodecError>;
    /// Aims for another bitrate from the next packet on.
    ///
    /// # Errors
    /// [`CodecError::Opus`]; the old bitrate stays.
    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), CodecError>;
    /// Tells how many of 100 packets are being lost, which decides how much of each is repeated in the next.
    ///
    /// # Errors
    /// [`CodecError::Opus`]; the old value stays.
    fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError>;
    /// Puts so much sound into each packet, in whole blocks up to 60 ms, or as much as at first again; from the next packet on.
    fn set_packet_duration(&mut self, duration: Option<Duration>);
    /// Makes so many packets of each silence at its beginning, at least one, though there is next to nothing in them: they have
    /// room for what the sound before them is repeated in, and say that it is over.
    fn set_silence_sent(&mut self, packets: usize);
}

/// Decompresses sound, and makes up for what was lost. Everything comes out as mono at 48 kHz, appended to `out`.
pub trait AudioDecoder: Send {
    /// Decodes one packet to samples from -1.0 to 1.0.
    ///
    /// # Errors
    /// [`CodecError::Opus`] where the packet is damaged; `out` is left as it was.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<f32>) -> Result<(), CodecError>;
    /// Decodes the copy of the previous packet that `next_payload` may carry, and gives `samples` of sound in any case: made
    /// up where it carries none, which gives `false`. Decode `next_payload` itself afterwards.
    ///
    /// # Errors
    /// [`CodecError::Opus`] where the packet is damaged; `out` is left as it was.
    fn decode_fec(
        &mut self,
        next_payload: &[u8],
        samples: usize,
        out: &mut Vec<f32>,
    ) -> Result<bool, CodecError>;
    /// Makes up `samples` of sound from what came before.
    ///
    /// # Errors
    /// [`CodecError::Opus`]; `out` is left as it was.
    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<(), CodecError>;
}

/// `time` in units of an RTP clock of `clock_rate` ticks a second, rounded to the nearest, wrapping (RFC 3550 section 5.1).
///
/// Senders add a random offset of their own.
pub fn rtp_ticks(time: MediaTime, clock_rate: u32) -> u32 {
    ((u128::from(time.as_micros()) * u128::from(clock_rate) + 500_000) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_time_runs_at_the_codecs_clock_and_wraps() {
        assert_eq!(rtp_ticks(MediaTime::from_micros(33_333), 90_000), 3000);
        assert_eq!(rtp_ticks(MediaTime::from_millis(20), 48_000), 960);
        let wrap = (1u64 << 32) * 1_000_000 / 90_000 + 1_000_000;
        assert_eq!(rtp_ticks(MediaTime::from_micros(wrap), 90_000), 90_000);
    }
}
