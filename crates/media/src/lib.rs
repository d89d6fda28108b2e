//! Devices, codecs and playout: everything between the camera or microphone and the network, and back.

pub mod audio;
pub mod capture;
pub mod codec;
pub mod hotplug;
pub mod memory;
pub mod playout;
pub mod scale;
pub mod slot;
pub mod y4m;
