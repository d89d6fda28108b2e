//! Why a video source can't deliver.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::y4m::Y4mError;

/// Why a video source was refused or stopped delivering. The texts are meant for the person in the call.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The text names no source.
    #[error("{text:?} is not a video source: use camera, camera:ID, pattern, file:CLIP.y4m or blank")]
    UnknownSource {
        /// What was written.
        text: String,
    },
    /// The machine has no camera at all.
    #[error(
        "no camera was found: plug one in, or use another video source (pattern, file:CLIP.y4m or blank)"
    )]
    NoCamera,
    /// There is no camera of that name.
    #[error("there is no camera {id:?}{}", known_cameras(known))]
    UnknownCamera {
        /// The id asked for.
        id: String,
        /// The ids of the cameras that there are.
        known: Vec<String>,
    },
    /// Another program streams from the camera.
    #[error("another program is using the camera {device}: close it (or its tab or call) and try again")]
    CameraBusy {
        /// The camera's name or path.
        device: String,
    },
    /// The system does not let this user or program open the camera.
    #[error("the camera {device} may not be used: {remedy}")]
    CameraDenied {
        /// The camera's name or path.
        device: String,
        /// What the user can do on this system.
        remedy: &'static str,
    },
    /// The camera was pulled out or switched off.
    #[error("the camera {device} was unplugged: plug it in again, and the picture comes back by itself")]
    CameraUnplugged {
        /// The camera's name or path.
        device: String,
    },
    /// The camera is there but sends nothing.
    #[error("the camera {device} has sent no picture for {} s: Ahoy keeps trying; if it stays dark, unplug it and \
             plug it in again", waited.as_secs())]
    CameraStalled {
        /// The camera's name or path.
        device: String,
        /// How long nothing came.
        waited: Duration,
    },
    /// None of the camera's formats can be converted.
    #[error("the camera {device} offers no picture format that Ahoy understands: use another camera")]
    CameraFormats {
        /// The camera's name or path.
        device: String,
    },
    /// The camera's pictures can't be decoded.
    #[error("the camera {device} sends damaged pictures ({cause}): try another USB port or cable")]
    CameraPicture {
        /// The camera's name or path.
        device: String,
        /// What was wrong with the last one.
        cause: String,
    },
    /// Anything else that the system said about the camera.
    #[error(
        "the camera {device} can't be used ({cause}): unplug it and plug it in again, or choose another one"
    )]
    Camera {
        /// The camera's name or path.
        device: String,
        /// The system's own words.
        cause: String,
    },
    /// The clip could not be opened.
    #[error("the clip {} can't be opened ({cause}): check its name and that you may read it", path.display())]
    ClipOpen {
        /// The path asked for.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The path names a directory, a pipe or a device.
    #[error("{} is not a file: choose a .y4m clip", path.display())]
    ClipNotAFile {
        /// The path asked for.
        path: PathBuf,
    },
    /// The clip can't be played, or not to its end.
    #[error("the clip {} can't be played as it is: {reason}", path.display())]
    Clip {
        /// The path asked for.
        path: PathBuf,
        /// What is wrong with it.
        reason: Y4mError,
    },
    /// The system gives this program no more threads.
    #[error("no thread could be started for the video source ({0}): close other programs and try again")]
    Thread(io::Error),
}

fn known_cameras(known: &[String]) -> String {
    match known {
        [] => ": no camera was found at all; plug one in, or use pattern, file:CLIP.y4m or blank".to_owned(),
        known => format!(": the cameras found are {}", known.join(", ")),
    }
}
