//! What calls of all kinds have in common: devices that can be switched while they are used, and what is kept of a call.

mod camera;
mod device_state;
mod figures;
mod ledger;
mod level;
mod losses;
mod microphone;
mod recording;
mod report;
mod self_view;
mod sending;
mod speaker;
mod switched;
mod ways;

pub use device_state::{DeviceStanding, DeviceState};
pub use figures::{AudioStats, CallStats, NetworkStats, StageStats, VideoStats};
pub use recording::RecordingError;
pub use report::{PathReport, SpreadReport, StageReport};
pub use ways::{AddressKind, AddressStats, WayStats, WaysStats};

pub(crate) use camera::Camera;
pub(crate) use figures::{Counters, Rates};
pub(crate) use ledger::{Glance, Ledger, Totals};
pub(crate) use level::Loudest;
pub(crate) use microphone::Microphone;
pub(crate) use recording::{PictureRecording, SoundInput, SoundRecording};
pub(crate) use report::round;
pub(crate) use self_view::SelfView;
pub use sending::{SendingStats, SentPicture};
pub(crate) use speaker::Speaker;
