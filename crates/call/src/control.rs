//! What the two sides of a leg tell each other directly, over a data channel, while they are connected.
//!
//! The channel is reliable and in order, and has the label [`Control::CHANNEL`]; each of its messages is one JSON object.
//! Types that a side does not know are ignored, so that newer versions can say more.

use ahoy_signal::CallSignal;
use serde::{Deserialize, Serialize};

/// Longest message in bytes: a session description is the longest.
pub const CONTROL_LONGEST: usize = 64 * 1024;

/// What one sends at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaState {
    /// Whether the microphone is on.
    pub microphone: bool,
    /// Whether the camera is on.
    pub camera: bool,
    /// Whether its pictures are held back for now, because the connection carries nothing but sound.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// In which size one shows the other side's pictures, in pixels of one's own screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// How wide the area is that they are fitted into.
    pub width: u32,
    /// How high it is.
    pub height: u32,
}

impl View {
    /// Nobody's screen has a longer side.
    pub const LONGEST_SIDE: u32 = 16_384;

    /// Whether pictures can be seen in such a size. What the other side says is to be held against this: a size that can't be
    /// says nothing.
    pub fn can_be(self) -> bool {
        [self.width, self.height].iter().all(|side| (1..=Self::LONGEST_SIDE).contains(side))
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Control {
    /// The sender has ended the call. Heard sooner than from the server, and also where there is none.
    HangUp {},
    /// The sender has put the call on hold, or goes on with it.
    Hold {
        /// Whether it is on hold.
        on: bool,
    },
    /// What the sender sends from now on.
    Media {
        /// Microphone and camera.
        media: MediaState,
    },
    /// How the sender shows the pictures that it gets: larger ones would be wasted.
    View {
        /// In which size; `None` while they are not to be seen, as in a window that is minimised.
        #[serde(deserialize_with = "Option::deserialize")]
        view: Option<View>,
    },
    /// What would go through the server, which does not know of the call any more.
    Signal {
        /// The signal.
        signal: CallSignal,
    },
}

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It is longer than [`CONTROL_LONGEST`].
    #[error("a control message of {0} bytes is too long")]
    TooLong(usize),
    /// It is not JSON, of an unknown type, or breaks a rule.
    #[error("a control message that is not understood: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Control {
    /// The label of the data channel.
    pub const CHANNEL: &'static str = "ahoy-control";

    /// Reads a message.
    ///
    /// # Errors
    /// [`ControlError`]; a side that gets one ignores the message.
    pub fn read(bytes: &[u8]) -> Result<Self, ControlError> {
        if bytes.len() > CONTROL_LONGEST {
            return Err(ControlError::TooLong(bytes.len()));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The JSON that is sent.
    pub fn to_json(&self) -> String {
        // It has no maps and no foreign types, so nothing in it can fail to become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_a_stable_form() {
        let media = MediaState { microphone: true, camera: false, paused: false };
        let forms = [
            (Control::HangUp {}, r#"{"type":"hang_up"}"#),
            (Control::Hold { on: true }, r#"{"type":"hold","on":true}"#),
            (Control::Media { media }, r#"{"type":"media","media":{"microphone":true,"camera":false}}"#),
            (
                Control::Media { media: MediaState { camera: true, paused: true, ..media } },
                r#"{"type":"media","media":{"microphone":true,"camera":true,"paused":true}}"#,
            ),
            (
                Control::View { view: Some(View { width: 1280, height: 720 }) },
                r#"{"type":"view","view":{"width":1280,"height":720}}"#,
            ),
            (Control::View { view: None }, r#"{"type":"view","view":null}"#),
        ];
        for (message, json) in forms {
            assert_eq!(message.to_json(), json);
            assert_eq!(Control::read(json.as_bytes()).unwrap(), message);
        }
    }

    #[test]
    fn what_is_too_long_or_unknown_is_an_error() {
        let long = vec![b' '; CONTROL_LONGEST + 1];
        assert!(matches!(Control::read(&long), Err(ControlError::TooLong(_))));
        for bad in [&b"{"[..], b"", b"{}", br#"{"type":"dance"}"#, br#"{"type":"hold"}"#, b"\xFF"] {
            assert!(matches!(Control::read(bad), Err(ControlError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn whoever_shows_nothing_says_so_and_does_not_just_leave_it_out() {
        for bad in [r#"{"type":"view"}"#, r#"{"type":"view","view":{"width":-1,"height":720}}"#] {
            assert!(matches!(Control::read(bad.as_bytes()), Err(ControlError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn sizes_that_no_screen_has_are_none() {
        let can_be = |width, height| View { width, height }.can_be();
        assert!(can_be(1, 1) && can_be(16_384, 16_384));
        assert!(!can_be(0, 720) && !can_be(1280, 0) && !can_be(16_385, 720) && !can_be(1280, u32::MAX));
    }
}
