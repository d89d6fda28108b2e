//! How much to send, when, and what to do about what is lost.
//!
//! Everything here is pure: time is passed in, nothing is sent or received.

#![forbid(unsafe_code)]

mod average;
mod background;
mod controller;
mod delay;
mod delivery;
mod estimate;
mod headroom;
mod history;
mod loss;
mod pacer;
mod quality;
mod repair;
mod repeats;
mod reporter;
mod sender;
mod sound;

pub use background::{Background, CallPath};
pub use estimate::{Limits, NetworkEstimate, Reason};
pub use history::{PacketResult, PacketStatus, SentPacket};
pub use pacer::PacketKind;
pub use quality::{Cause, Content, Decision, Encoding, QualityPolicy, SAVING_FPS, Situation, Viewer};
pub use repair::repair_packets;
pub use reporter::Reporter;
pub use sender::{Departure, Outcome, Sender};
pub use sound::{MOST_COPIES, SoundEncoding, sound_copies, sound_encoding};
