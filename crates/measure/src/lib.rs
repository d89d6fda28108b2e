//! What a call was worth: picture, sound, latency, freezes and resources, measured.
//!
//! Everything here is arithmetic on frames, samples and times that the caller hands in; only [`process`] asks the
//! operating system something, and nothing touches a device or reads a clock.

#![forbid(unsafe_code)]

pub mod freeze;
pub mod picture;
pub mod process;
pub mod seen;
pub mod sound;
pub mod spread;
pub mod stamp;
