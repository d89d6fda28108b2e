//! What can be captured from and played to.

use ahoy_media::audio::{AudioDeviceInfo, list_audio_devices};
use ahoy_media::capture::{CameraInfo, list_cameras};
use serde::Serialize;

use crate::problem::Problem;

/// The machine's cameras, microphones and speakers. A kind that can't be listed leaves a problem instead, so that one
/// broken driver doesn't hide the others.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Devices {
    /// Cameras.
    pub cameras: Vec<Camera>,
    /// Microphones and other sound inputs, the default one first.
    pub microphones: Vec<SoundDevice>,
    /// Speakers and other sound outputs, the default one first.
    pub speakers: Vec<SoundDevice>,
    /// Why something is missing.
    pub problems: Vec<Problem>,
}

/// A camera.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Camera {
    /// What to ask for it by: `camera:ID`.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// Picture formats that it offers, such as `YUYV 1280x720 at 30 fps`.
    pub formats: Vec<String>,
}

/// A microphone or speaker.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SoundDevice {
    /// What to ask for it by: `mic:ID` or `speaker:ID`.
    pub id: String,
    /// What its maker or the system calls it.
    pub name: String,
    /// Whether the system would use it when none is asked for.
    pub is_default: bool,
    /// The sound system that it belongs to.
    pub backend: String,
}

/// Looks at what there is now. Takes up to a few seconds where a driver is slow.
pub fn list() -> Devices {
    let mut devices = Devices::default();
    match list_cameras() {
        Ok(cameras) => devices.cameras = cameras.into_iter().map(camera).collect(),
        Err(error) => devices.problems.push(Problem::camera(&error)),
    }
    match list_audio_devices() {
        Ok(sound) => {
            devices.microphones = sound.inputs.into_iter().map(sound_device).collect();
            devices.speakers = sound.outputs.into_iter().map(sound_device).collect();
        }
        Err(error) => devices.problems.push(Problem::microphone(&error)),
    }
    devices
}

/// Like [`list`], without holding up the caller's thread.
pub(crate) async fn list_in_background() -> Devices {
    tokio::task::spawn_blocking(list).await.unwrap_or_default()
}

fn camera(info: CameraInfo) -> Camera {
    let formats = info.modes.iter().map(ToString::to_string).collect();
    Camera { id: info.id.to_string(), name: info.name, formats }
}

fn sound_device(info: AudioDeviceInfo) -> SoundDevice {
    SoundDevice {
        id: info.id.to_string(),
        name: info.name,
        is_default: info.is_default,
        backend: info.backend,
    }
}
