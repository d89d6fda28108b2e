//! H.264 constrained baseline by openh264.

mod decoder;
mod encoder;
mod frame_rate;
mod raw;

#[cfg(test)]
mod tests;

pub use self::decoder::{H264Decoder, MAX_ACCESS_UNIT};
pub use self::encoder::H264Encoder;
