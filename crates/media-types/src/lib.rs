//! Plain data shared by every part of Ahoy's media path: frames, audio blocks, packets, times and units.
//!
//! Nothing here does I/O or reads a clock, except [`MediaClock`], which the edges of the program (device threads,
//! sockets) use to stamp what they bring in. Everything else takes a [`MediaTime`].

#![forbid(unsafe_code)]

mod audio;
mod encoded;
mod frame;
mod pool;
mod time;
mod units;

pub use audio::{AudioBlock, BLOCK_DURATION, BLOCK_SAMPLES, SAMPLE_RATE};
pub use encoded::{Codec, EncodedFrame, PayloadType, RtpPacket, SenderReport, SequenceNumber, Ssrc};
pub use frame::{ColorMatrix, FrameId, I420Buffer, PlaneMut, VideoFrame};
pub use pool::FramePool;
pub use time::{MediaClock, MediaTime};
pub use units::{Bitrate, FrameRate, FrameSize, UnitError};
