//! Sound devices: which there are, how they are opened, and the threads that keep the real-time callbacks fed.

mod find;
mod lead;
mod microphone;
#[cfg(target_os = "linux")]
mod pulse_cookie;
mod reopen;
mod sample_clock;
mod speaker;
mod stream;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
mod system;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::AudioError;
pub(crate) use find::Line;
pub use find::{AudioDeviceInfo, AudioDevices, list_audio_devices};
pub(crate) use microphone::start as start_microphone;
#[cfg(target_os = "linux")]
pub(crate) use pulse_cookie::ensure as ensure_pulse_cookie;
pub(crate) use speaker::start as start_speaker;

/// The two things a sound device can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Input,
    Output,
}

/// Runs `task` on a thread of its own and waits for it no longer than `patience`: sound servers that hang keep their
/// callers waiting for ever. The thread of a task that takes longer ends when the server comes back.
fn within<T: Send + 'static>(
    patience: Duration,
    task: impl FnOnce() -> Result<T, AudioError> + Send + 'static,
) -> Result<T, AudioError> {
    in_background(task)?
        .recv_timeout(patience)
        .unwrap_or_else(|_| Err(AudioError::NoSoundSystem { detail: "it does not answer".to_owned() }))
}

/// Runs `task` on a thread of its own. A result that nobody waits for is dropped there.
fn in_background<T: Send + 'static>(
    task: impl FnOnce() -> T + Send + 'static,
) -> Result<mpsc::Receiver<T>, AudioError> {
    // One result, so a sender never waits.
    let (done, result) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("ahoy-sound-dev".to_owned())
        .spawn(move || {
            let _ = done.send(task());
        })
        .map_err(AudioError::Thread)?;
    Ok(result)
}
