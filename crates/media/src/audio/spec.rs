//! The ways in which sources and sinks of sound are named on the command line and in settings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What names a sound device: its id as [`list_audio_devices`](super::list_audio_devices) gives it, or its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId(String);

impl DeviceId {
    /// An id; `None` if it is empty.
    pub fn new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        (!id.trim().is_empty()).then_some(Self(id))
    }

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the sound that is sent comes from. Written `mic`, `mic:ID`, `tone`, `chirps` or `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioSourceSpec {
    /// A microphone; the system's default one without an id.
    Microphone(Option<DeviceId>),
    /// A steady sine of 1 kHz at -20 dBFS.
    Tone,
    /// The chirps by which the delay of the sound is measured.
    Chirps,
    /// A `.wav` file, played over and over.
    File(PathBuf),
}

/// Where the received sound goes. Written `default`, `speaker`, `speaker:ID`, `null` or `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioSinkSpec {
    /// A speaker or headphones; the system's default one without an id.
    Speaker(Option<DeviceId>),
    /// Nowhere, at the pace of a speaker.
    Null,
    /// A `.wav` file (48 kHz, mono, 16 bits), written at the pace of a speaker.
    File(PathBuf),
}

/// Text that names no source or sink of sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: write {expected}")]
pub struct AudioSpecError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

/// Splits `name:argument`; the argument is `None` without a colon.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    }
}

fn path(argument: Option<&str>) -> Option<PathBuf> {
    argument.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The optional device id after `mic` or `speaker`; the outer `None` means that a colon was followed by nothing.
fn device(argument: Option<&str>) -> Option<Option<DeviceId>> {
    match argument {
        None => Some(None),
        Some(id) => DeviceId::new(id).map(Some),
    }
}

impl FromStr for AudioSourceSpec {
    type Err = AudioSpecError;

    fn from_str(text: &str) -> Result<Self, AudioSpecError> {
        let spec = match split(text) {
            ("mic", id) => device(id).map(Self::Microphone),
            ("tone", None) => Some(Self::Tone),
            ("chirps", None) => Some(Self::Chirps),
            ("file", argument) => path(argument).map(Self::File),
            (_, _) => None,
        };
        spec.ok_or_else(|| AudioSpecError {
            text: text.to_owned(),
            what: "source of sound",
            expected: "mic, mic:ID (ids are listed by `devices`), tone, chirps, or file:PATH with a .wav file",
        })
    }
}

impl FromStr for AudioSinkSpec {
    type Err = AudioSpecError;

    fn from_str(text: &str) -> Result<Self, AudioSpecError> {
        let spec = match split(text) {
            ("default", None) => Some(Self::Speaker(None)),
            ("speaker", id) => device(id).map(Self::Speaker),
            ("null", None) => Some(Self::Null),
            ("file", argument) => path(argument).map(Self::File),
            (_, _) => None,
        };
        spec.ok_or_else(|| AudioSpecError {
            text: text.to_owned(),
            what: "destination of sound",
            expected: "default, speaker, speaker:ID (ids are listed by `devices`), null, or file:PATH of a .wav file",
        })
    }
}

fn write_device(f: &mut fmt::Formatter<'_>, name: &str, id: Option<&DeviceId>) -> fmt::Result {
    match id {
        Some(id) => write!(f, "{name}:{id}"),
        None => f.write_str(name),
    }
}

impl fmt::Display for AudioSourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Microphone(id) => write_device(f, "mic", id.as_ref()),
            Self::Tone => f.write_str("tone"),
            Self::Chirps => f.write_str("chirps"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Display for AudioSinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Speaker(id) => write_device(f, "speaker", id.as_ref()),
            Self::Null => f.write_str("null"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_read_as_they_are_written() {
        for text in ["mic", "mic:pulseaudio:alsa_input.usb", "tone", "chirps", "file:a:b.wav"] {
            assert_eq!(text.parse::<AudioSourceSpec>().unwrap().to_string(), text);
        }
        for text in ["speaker", "speaker:alsa:plughw:CARD=PCH,DEV=0", "null", "file:/tmp/x.wav"] {
            assert_eq!(text.parse::<AudioSinkSpec>().unwrap().to_string(), text);
        }
        assert_eq!("default".parse(), Ok(AudioSinkSpec::Speaker(None)));
        assert_eq!("file:a:b.wav".parse(), Ok(AudioSourceSpec::File("a:b.wav".into())));
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in ["", "mic:", "mic: ", "tone:5", "file", "file:", "none", "Mic", "speaker"] {
            let refused = text.parse::<AudioSourceSpec>().unwrap_err().to_string();
            assert!(refused.contains(&format!("{text:?}")) && refused.contains("mic:ID"), "{refused}");
        }
        for text in ["", "default:x", "speaker:", "null:1", "file:", "mic"] {
            let refused = text.parse::<AudioSinkSpec>().unwrap_err().to_string();
            assert!(refused.contains("speaker:ID"), "{refused}");
        }
    }
}
