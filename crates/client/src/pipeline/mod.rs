//! The four media pipelines of a call leg: video and audio, outgoing and incoming.
//!
//! Each pipeline owns its threads and tasks and is stopped by dropping it. Devices, codecs and playout live in
//! `ahoy-media`; packets go through the tracks of `ahoy-rtc`; here they are joined.

mod incoming_audio;
mod incoming_video;
mod key_frames;
mod lip_sync;
mod outgoing_audio;
mod outgoing_video;
mod quality;
mod saving;
mod spending;

pub use incoming_audio::{IncomingAudio, IncomingAudioStats};
pub use incoming_video::{
    FrameTiming, FrameWatch, IncomingVideo, IncomingVideoStats, TimedFrameSink, VideoOutput,
};
pub use lip_sync::LipSync;
pub use outgoing_audio::OutgoingAudio;
pub use outgoing_video::{EncodeTiming, OutgoingVideo, OutgoingVideoStats, VideoTap};
