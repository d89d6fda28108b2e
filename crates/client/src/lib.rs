//! What the window and the command line share: accounts, signaling, devices, test calls, diagnostics.

#![forbid(unsafe_code)]

pub mod account;
pub mod calls;
pub mod capture;
mod connectivity;
pub mod desk;
pub mod devices;
pub mod diagnostics;
pub mod doctor;
pub mod history;
pub mod host;
pub mod loopback;
mod media;
pub mod picture_socket;
pub mod pipeline;
mod problem;
mod sentence;
pub mod settings;
pub mod signaling;
pub mod transfers;

pub use ahoy_media::audio::{AudioSinkSpec, AudioSourceSpec};
pub use ahoy_media::capture::{Stamping, VideoFormat, VideoSourceSpec};
pub use ahoy_media::codec::OpusFrameDuration;
pub use ahoy_media::memory;
pub use loopback::Thresholds;
pub use problem::{Problem, ProblemCode};
pub use sentence::sentence;
