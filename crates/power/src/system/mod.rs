//! What each operating system tells of a machine's power.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

use std::future::Future;

use crate::Reading;

/// A machine that can be looked at.
pub(crate) trait Machine: Send + 'static {
    /// How it is now. Takes a few seconds at most, and does not block.
    fn read(&mut self) -> impl Future<Output = Reading> + Send;
}

/// This machine.
#[cfg(target_os = "linux")]
pub(crate) fn this() -> impl Machine {
    linux::Linux::this()
}

/// This machine.
#[cfg(target_os = "macos")]
pub(crate) fn this() -> impl Machine {
    macos::Macos
}

/// This machine.
#[cfg(windows)]
pub(crate) fn this() -> impl Machine {
    windows::Windows
}

/// This machine, of which nothing is known.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub(crate) fn this() -> impl Machine {
    Silent
}

/// Says nothing.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
struct Silent;

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
impl Machine for Silent {
    async fn read(&mut self) -> Reading {
        Reading::default()
    }
}
