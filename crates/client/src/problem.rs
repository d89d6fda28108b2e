//! What can go wrong, as codes to decide by and sentences to read.
//!
//! This is the one place where errors become codes. The window has its own words for each code, in each of its languages.

use ahoy_media::audio::AudioError;
use ahoy_media::capture::CaptureError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::sentence::sentence;

/// Something that went wrong or fell short.
#[derive(Clone, Debug, Serialize, JsonSchema, PartialEq, Eq)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Problem {
    /// Stable name for programs.
    pub code: ProblemCode,
    /// A sentence for people at a terminal and for logs.
    pub message: String,
    /// What people know the device by that it is about; null where it has no name or is not there.
    pub device: Option<String>,
}

/// What can go wrong. Names are never reused for something else.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// There is no camera at all.
    CameraMissing,
    /// The camera that was asked for is not there.
    CameraNotConnected,
    /// Another program uses the camera.
    CameraBusy,
    /// The system does not let Ahoy use the camera.
    CameraDenied,
    /// The camera was pulled out.
    CameraLost,
    /// The camera is there and sends nothing.
    CameraStalled,
    /// The camera or its driver does not do what it should.
    CameraUnusable,
    /// There is no microphone at all.
    MicrophoneMissing,
    /// The microphone that was asked for is not there.
    MicrophoneNotConnected,
    /// Another program keeps the microphone for itself.
    MicrophoneBusy,
    /// The system does not let Ahoy use the microphone.
    MicrophoneDenied,
    /// The microphone was pulled out.
    MicrophoneLost,
    /// The microphone is there and gives nothing.
    MicrophoneStalled,
    /// The microphone offers nothing that Ahoy can use, or its driver fails.
    MicrophoneUnusable,
    /// There is no speaker at all.
    SpeakerMissing,
    /// The speaker that was asked for is not there.
    SpeakerNotConnected,
    /// Another program keeps the speaker for itself.
    SpeakerBusy,
    /// The system does not let Ahoy use the speaker.
    SpeakerDenied,
    /// The speaker was pulled out.
    SpeakerLost,
    /// The speaker is there and takes nothing.
    SpeakerStalled,
    /// The speaker offers nothing that Ahoy can use, or its driver fails.
    SpeakerUnusable,
    /// No sound system answers, so there is neither microphone nor speaker.
    SoundSystemMissing,
    /// The clip that stands for a camera can't be played, or not to its end.
    ClipUnusable,
    /// The file that stands for a microphone can't be played.
    SoundFileUnusable,
    /// A source of pictures has stopped for good.
    VideoEnded,
    /// A recording has gaps or could not be written to its end.
    Recording,
    /// The system gives no more threads.
    NoThreads,
    /// The two ends never found each other.
    NotConnected,
    /// Calls are to go through a relay only, and there is none.
    NoRelay,
    /// The connection broke.
    ConnectionLost,
    /// One end could not use what the other said.
    Signaling,
    /// The ends connected, but nothing came.
    NoMedia,
    /// No picture came from the source.
    NoPictures,
    /// No sound came from the source.
    NoSound,
    /// The call took long to come up.
    SlowSetup,
    /// Pictures got lost.
    FramesLost,
    /// Fewer pictures a second than wanted.
    LowFrameRate,
    /// The picture stood still.
    Freezes,
    /// The picture is unlike what the camera saw.
    PoorPicture,
    /// Pictures came late.
    HighLatency,
    /// Sound had to be made up.
    SoundGaps,
    /// Sound and picture were apart.
    LipSync,
    /// A call could not even begin.
    CallFailed,
    /// What was asked for needs that no call is running.
    CallRunning,
    /// What was asked for needs a call.
    NoCall,
    /// Settings can't be written.
    SettingsNotKept,
    /// A name that can't be shown.
    NameRefused,
    /// A handle that can't be one.
    HandleRefused,
    /// A password that is too short or too long.
    PasswordRefused,
    /// A server's address that is none.
    AddressRefused,
    /// The server can't be reached, or is none.
    ServerUnreachable,
    /// The server does not do something, and says why.
    ServerRefused,
    /// No such handle, or the password is another.
    WrongCredentials,
    /// Somebody else has the handle.
    HandleTaken,
    /// The server takes no new people.
    SignUpClosed,
    /// Tried too often in a short time.
    TooOften,
    /// Nobody has this handle, or they are none of one's contacts.
    NobodyFound,
    /// The system's keyring, or a file, can't keep a sign-in.
    SignInNotKept,
    /// What was asked for needs that one is signed in.
    NotSignedIn,
    /// Messages and past calls can't be read or kept.
    HistoryUnusable,
    /// Nothing, or too much, was written.
    MessageRefused,
    /// Not an invite link, or not the whole of one.
    LinkRefused,
    /// An invite that has expired, was used up or was revoked.
    InviteInvalid,
    /// The call holds no more people.
    RoomFull,
    /// The call lets nobody in any more.
    RoomLocked,
    /// This computer can't be the server of a call.
    HostUnusable,
    /// Calls on the network can't be found or announced.
    NetworkUnasked,
    /// What goes on with files can't be read or kept.
    TransfersUnusable,
    /// A transfer of files that is not there any more.
    NoTransfer,
    /// Nothing was picked that could be sent.
    NothingPicked,
    /// Of what was picked nothing can be read, or is a file or a folder.
    NothingToSend,
    /// More files than one transfer holds.
    TooManyFiles,
    /// Nobody has said where files go, and the system has no place for them.
    FolderMissing,
}

impl ProblemCode {
    /// Whether it is reason enough for no picture ever coming.
    pub(crate) fn explains_no_pictures(self) -> bool {
        matches!(
            self,
            Self::CameraMissing
                | Self::CameraNotConnected
                | Self::CameraBusy
                | Self::CameraDenied
                | Self::CameraUnusable
                | Self::CameraStalled
                | Self::CameraLost
                | Self::ClipUnusable
                | Self::VideoEnded
                | Self::NoThreads
        )
    }

    /// Whether it is reason enough for no sound ever coming.
    pub(crate) fn explains_no_sound(self) -> bool {
        matches!(
            self,
            Self::MicrophoneMissing
                | Self::MicrophoneNotConnected
                | Self::MicrophoneBusy
                | Self::MicrophoneDenied
                | Self::MicrophoneUnusable
                | Self::MicrophoneStalled
                | Self::MicrophoneLost
                | Self::SoundSystemMissing
                | Self::SoundFileUnusable
                | Self::NoThreads
        )
    }
}

impl Problem {
    /// A problem with nobody's device.
    pub fn new(code: ProblemCode, message: impl AsRef<str>) -> Self {
        Self { code, message: sentence(message.as_ref()), device: None }
    }

    /// What keeps a source of pictures from delivering.
    pub(crate) fn camera(error: &CaptureError) -> Self {
        use CaptureError as E;
        let (code, device) = match error {
            E::NoCamera => (ProblemCode::CameraMissing, None),
            E::UnknownCamera { .. } => (ProblemCode::CameraNotConnected, None),
            E::CameraBusy { device } => (ProblemCode::CameraBusy, Some(device)),
            E::CameraDenied { device, .. } => (ProblemCode::CameraDenied, Some(device)),
            E::CameraUnplugged { device } => (ProblemCode::CameraLost, Some(device)),
            E::CameraStalled { device, .. } => (ProblemCode::CameraStalled, Some(device)),
            E::CameraFormats { device } | E::CameraPicture { device, .. } | E::Camera { device, .. } => {
                (ProblemCode::CameraUnusable, Some(device))
            }
            E::UnknownSource { .. } | E::ClipOpen { .. } | E::ClipNotAFile { .. } | E::Clip { .. } => {
                (ProblemCode::ClipUnusable, None)
            }
            E::Thread(_) => (ProblemCode::NoThreads, None),
        };
        Self { device: device.cloned(), ..Self::new(code, error.to_string()) }
    }

    /// What keeps a source of sound from delivering.
    pub(crate) fn microphone(error: &AudioError) -> Self {
        Self::sound(error, &MICROPHONE)
    }

    /// What keeps sound from being heard.
    pub(crate) fn speaker(error: &AudioError) -> Self {
        Self::sound(error, &SPEAKER)
    }

    fn sound(error: &AudioError, codes: &SoundCodes) -> Self {
        use AudioError as E;
        let (code, device) = match error {
            E::NoMicrophone | E::NoSpeaker => (codes.missing, None),
            E::UnknownMicrophone { .. } | E::UnknownSpeaker { .. } => (codes.not_connected, None),
            E::Busy { device } => (codes.busy, Some(device)),
            E::Denied { device } => (codes.denied, Some(device)),
            E::Disconnected { device } => (codes.lost, Some(device)),
            E::Stalled { device } => (codes.stalled, Some(device)),
            E::Unsupported { device, .. } | E::Device { device, .. } => (codes.unusable, Some(device)),
            E::Rate(_) => (codes.unusable, None),
            E::NoSoundSystem { .. } => (ProblemCode::SoundSystemMissing, None),
            E::Play { .. } => (ProblemCode::SoundFileUnusable, None),
            E::Record { .. } | E::RecordingFull { .. } => (ProblemCode::Recording, None),
            E::Thread(_) => (ProblemCode::NoThreads, None),
        };
        Self { device: device.cloned(), ..Self::new(code, error.to_string()) }
    }
}

/// Microphones and speakers fail in the same ways.
struct SoundCodes {
    missing: ProblemCode,
    not_connected: ProblemCode,
    busy: ProblemCode,
    denied: ProblemCode,
    lost: ProblemCode,
    stalled: ProblemCode,
    unusable: ProblemCode,
}

const MICROPHONE: SoundCodes = SoundCodes {
    missing: ProblemCode::MicrophoneMissing,
    not_connected: ProblemCode::MicrophoneNotConnected,
    busy: ProblemCode::MicrophoneBusy,
    denied: ProblemCode::MicrophoneDenied,
    lost: ProblemCode::MicrophoneLost,
    stalled: ProblemCode::MicrophoneStalled,
    unusable: ProblemCode::MicrophoneUnusable,
};

const SPEAKER: SoundCodes = SoundCodes {
    missing: ProblemCode::SpeakerMissing,
    not_connected: ProblemCode::SpeakerNotConnected,
    busy: ProblemCode::SpeakerBusy,
    denied: ProblemCode::SpeakerDenied,
    lost: ProblemCode::SpeakerLost,
    stalled: ProblemCode::SpeakerStalled,
    unusable: ProblemCode::SpeakerUnusable,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_s_error_becomes_its_code_its_sentence_and_its_name() {
        let busy = Problem::camera(&CaptureError::CameraBusy { device: "Cam Link".into() });
        assert_eq!((busy.code, busy.device.as_deref()), (ProblemCode::CameraBusy, Some("Cam Link")));
        assert!(busy.message.starts_with("Another program is using the camera Cam Link"), "{}", busy.message);
        assert_eq!(Problem::camera(&CaptureError::NoCamera).device, None);
    }

    #[test]
    fn the_same_error_of_sound_has_another_code_for_microphone_and_speaker() {
        let error = AudioError::Busy { device: "USB Headset".into() };
        assert_eq!(Problem::microphone(&error).code, ProblemCode::MicrophoneBusy);
        assert_eq!(Problem::speaker(&error).code, ProblemCode::SpeakerBusy);
        let silence = AudioError::NoSoundSystem { detail: "it does not answer".into() };
        assert_eq!(Problem::microphone(&silence).code, Problem::speaker(&silence).code);
    }

    #[test]
    fn codes_are_written_as_programs_read_them() {
        let problem = Problem::new(ProblemCode::SoundSystemMissing, "no sound");
        let json = serde_json::to_value(problem).unwrap();
        assert_eq!(
            (json["code"].as_str(), json["message"].as_str()),
            (Some("sound_system_missing"), Some("No sound"))
        );
    }
}
