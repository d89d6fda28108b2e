//! `ahoy-cli` as people and scripts use it: the real program, on devices of the lab and real servers.
//!
//! One program, not one for each file: each would be compiled and linked with the server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod calls;
#[cfg(target_os = "linux")]
mod cameras;
mod doctor;
mod files;
mod generated;
#[path = "../../../../tests/support/guest.rs"]
mod guest;
mod guests;
mod keyring;
mod messages;
#[cfg(target_os = "linux")]
mod no_network;
#[cfg(target_os = "linux")]
mod recordings;
mod signaling;
#[cfg(target_os = "linux")]
mod sound_devices;
mod support;
#[cfg(target_os = "linux")]
mod virtual_machine;
