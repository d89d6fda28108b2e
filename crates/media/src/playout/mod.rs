//! From packets to pictures on the screen and sound in the ear: jitter buffers, lip sync, frame sinks.
//!
//! Jitter buffers and clocks are pure state machines: time is passed in, nothing blocks, nothing reads a clock.

#![forbid(unsafe_code)]

mod audio_jitter;
mod clock;
mod delay;
mod frame_sink;
mod h264_depacketizer;
mod reception;
mod video_jitter;

pub use self::audio_jitter::{
    AudioJitterBuffer, AudioJitterConfig, AudioJitterStats, PlayedBlock, PlayedKind,
};
pub use self::clock::{PlayoutClock, PlayoutClockConfig, StreamKind};
pub use self::frame_sink::{FrameSink, NullSink, Recorded, SinkError, Y4mSink};
pub use self::h264_depacketizer::{AccessUnit, DepacketizeError, H264Depacketizer};
pub use self::video_jitter::{
    AssembledFrame, VideoJitterBuffer, VideoJitterConfig, VideoJitterStats, VideoOut,
};
