//! What can go wrong with sound, told to the person in the call.

use std::io;
use std::path::PathBuf;

use super::wav::WavError;

/// Why sound is missing or has stopped. The text is meant for the user and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// There is nothing to record with.
    #[error(
        "No microphone was found. Plug one in or switch it on in the sound settings; the call continues without \
         sound from you."
    )]
    NoMicrophone,
    /// There is nothing to play on.
    #[error(
        "No speaker or headphones were found. Plug some in or switch them on in the sound settings; the call \
         continues without sound for you."
    )]
    NoSpeaker,
    /// A microphone was asked for by an id or name that no device has.
    #[error("There is no microphone {id:?}. {available}")]
    UnknownMicrophone {
        /// What was asked for.
        id: String,
        /// A sentence that lists what there is.
        available: String,
    },
    /// A speaker was asked for by an id or name that no device has.
    #[error("There is no speaker {id:?}. {available}")]
    UnknownSpeaker {
        /// What was asked for.
        id: String,
        /// A sentence that lists what there is.
        available: String,
    },
    /// Another program keeps the device for itself.
    #[error("{device} is in use by another program. Close that program or choose another device.")]
    Busy {
        /// Name of the device.
        device: String,
    },
    /// The system does not let Ahoy use the device.
    #[error("{device} may not be used by Ahoy. Allow it in the system's privacy or sound settings.")]
    Denied {
        /// Name of the device.
        device: String,
    },
    /// The device offers no format that can be used.
    #[error("{device} can't be used: {detail}. Choose another device.")]
    Unsupported {
        /// Name of the device.
        device: String,
        /// What the sound system said.
        detail: String,
    },
    /// The device was unplugged, or the sound system was stopped.
    #[error(
        "{device} was disconnected. Plug it in again or choose another device; the call goes on meanwhile."
    )]
    Disconnected {
        /// Name of the device.
        device: String,
    },
    /// The device is there but has stopped giving or taking sound.
    #[error(
        "{device} has stopped working. Unplug it and plug it in again, or choose another device; the call goes on \
         meanwhile."
    )]
    Stalled {
        /// Name of the device.
        device: String,
    },
    /// Anything else that the sound system reports.
    #[error("{device} can't be used now: {detail}. Check the sound settings or choose another device.")]
    Device {
        /// Name of the device.
        device: String,
        /// What the sound system said.
        detail: String,
    },
    /// The sound system itself can't be reached.
    #[error(
        "The sound system can't be reached: {detail}. Check that PulseAudio, PipeWire or ALSA runs; the call \
         continues without sound."
    )]
    NoSoundSystem {
        /// What the sound system said.
        detail: String,
    },
    /// A sound file can't be played.
    #[error("{path:?} can't be played: {problem}")]
    Play {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: WavError,
    },
    /// A sound file can't be written.
    #[error("{path:?} can't be written: {problem}. Choose a folder that exists and has free space.")]
    Record {
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: io::Error,
    },
    /// The recording has reached the size at which its format ends.
    #[error("{path:?} is full: a .wav file holds no more than twelve hours. The recording has ended.")]
    RecordingFull {
        /// The file.
        path: PathBuf,
    },
    /// The rate can't be converted.
    #[error("Sound at {0} samples per second can't be converted. Use a device or file with 4000 to 384000.")]
    Rate(u32),
    /// The system refused a thread.
    #[error("The system has no room for another thread: {0}. Close some programs and try again.")]
    Thread(#[source] io::Error),
}
