//! Texts with rules, checked where they enter. Their `Debug` form keeps what belongs to people to itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Why a text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not a handle.
    #[error(
        "a handle has {} to {} small letters, digits, dots, dashes and underscores, and begins and ends with a letter or digit",
        limits::HANDLE_SHORTEST,
        limits::HANDLE_LONGEST
    )]
    Handle,
    /// Not a name.
    #[error("a name has 1 to {} characters and no line breaks", limits::NAME_LONGEST)]
    Name,
    /// Too short or too long a password.
    #[error(
        "a password has at least {} characters (a sentence is a good one) and at most {} bytes",
        limits::PASSWORD_SHORTEST,
        limits::PASSWORD_LONGEST
    )]
    Password,
    /// Nothing, or too much.
    #[error(
        "a message has 1 to {} bytes of text and no control characters but line breaks and tabs",
        limits::CHAT_LONGEST
    )]
    Chat,
    /// A session description that no call needs.
    #[error("a session description has at most {} bytes", limits::SDP_LONGEST)]
    Sdp,
    /// A candidate that no network has.
    #[error("a candidate has at most {} bytes and no line breaks", limits::CANDIDATE_LONGEST)]
    Candidate,
    /// Not a username fragment.
    #[error("an ICE username fragment has 1 to {} letters, digits, + and /", limits::ICE_UFRAG_LONGEST)]
    IceGeneration,
    /// Not the address of a server for ICE.
    #[error(
        "a server for ICE is written like stun:host:port, turn:host:port?transport=udp or turns:host:port, in up to {} bytes",
        limits::ICE_URL_LONGEST
    )]
    IceUrl,
    /// Not what one signs in with at a server for ICE.
    #[error(
        "a username or password for a relay has 1 to {} printable characters",
        limits::ICE_USERNAME_LONGEST
    )]
    IceSecret,
    /// No token or code is as long as this, or as short.
    #[error("this is not a token or code: it must be copied whole")]
    Secret,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "bindings", derive(ts_rs::TS), ts(as = "String"))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The text, checked.
            ///
            /// # Errors
            /// [`TextError`], which says what the rule is.
            pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
                let check: fn(String) -> Result<String, TextError> = $check;
                check(text.into()).map(|text| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0.into()
            }
        }

        impl std::str::FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }
    )*};
}

/// Texts that people may see.
macro_rules! shown {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

texts! {
    /// What a person is found by: unique on a server, in small letters.
    Handle, handle;
    /// What a person or room is called. Space around it is left out.
    Name, name;
    /// What a person signs in with.
    Password, password;
    /// A line of chat, which may have line breaks.
    ChatText, chat;
    /// A session description (RFC 8866).
    Sdp, |text| within(text, 0, limits::SDP_LONGEST, TextError::Sdp);
    /// A candidate's line (RFC 8839 section 5.1), empty for "no more" (RFC 8838 section 8.2).
    CandidateLine, candidate;
    /// An ICE generation: the username fragment of its session description (RFC 8445 section 5.3).
    IceGeneration, ice_generation;
    /// The address of a STUN or TURN server (RFC 7064, RFC 7065).
    IceUrl, ice_url;
    /// Who one is to a TURN server (RFC 8489 section 14.3).
    IceUsername, ice_secret;
    /// What proves that to a TURN server.
    IceCredential, ice_secret;
    /// Says for some minutes who one is: a JWT (RFC 7519, profile of RFC 9068).
    AccessToken, secret;
    /// Gets the next access token, once.
    RefreshToken, secret;
    /// Takes a session up again, once.
    ResumeToken, secret;
    /// Lets a guest into one room: a JWT that the invite link carries in its fragment.
    InviteToken, secret;
    /// Gets into an account whose password is lost, once.
    RecoveryCode, secret;
}

shown!(Handle, Name, ChatText, IceUrl);

fn within(text: String, shortest: usize, longest: usize, error: TextError) -> Result<String, TextError> {
    if (shortest..=longest).contains(&text.len()) { Ok(text) } else { Err(error) }
}

fn handle(text: String) -> Result<String, TextError> {
    let text = within(text, limits::HANDLE_SHORTEST, limits::HANDLE_LONGEST, TextError::Handle)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    let good = bytes.iter().all(|byte| plain(*byte) || b"._-".contains(byte))
        && ends.iter().all(|end| end.is_some_and(|byte| plain(*byte)));
    if good { Ok(text) } else { Err(TextError::Handle) }
}

fn name(text: String) -> Result<String, TextError> {
    let trimmed = text.trim();
    // Characters that reorder or hide others make one name look like another (Unicode TR 36 section 2.5.1).
    let hides = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let good = (1..=limits::NAME_LONGEST).contains(&trimmed.chars().count())
        && !trimmed.chars().any(|c| c.is_control() || hides(c));
    if good { Ok(trimmed.to_owned()) } else { Err(TextError::Name) }
}

fn password(text: String) -> Result<String, TextError> {
    let text = within(text, 1, limits::PASSWORD_LONGEST, TextError::Password)?;
    if text.chars().count() >= limits::PASSWORD_SHORTEST { Ok(text) } else { Err(TextError::Password) }
}

fn chat(text: String) -> Result<String, TextError> {
    let text = within(text, 1, limits::CHAT_LONGEST, TextError::Chat)?;
    let shown = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(shown) && !text.trim().is_empty() { Ok(text) } else { Err(TextError::Chat) }
}

fn ice_generation(text: String) -> Result<String, TextError> {
    let text = within(text, 1, limits::ICE_UFRAG_LONGEST, TextError::IceGeneration)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if text.bytes().all(plain) { Ok(text) } else { Err(TextError::IceGeneration) }
}

fn ice_url(text: String) -> Result<String, TextError> {
    let text = within(text, 1, limits::ICE_URL_LONGEST, TextError::IceUrl)?;
    let place = ["stun:", "stuns:", "turn:", "turns:"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let good =
        place.is_some_and(|place| !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_graphic()));
    if good { Ok(text) } else { Err(TextError::IceUrl) }
}

fn ice_secret(text: String) -> Result<String, TextError> {
    let text = within(text, 1, limits::ICE_USERNAME_LONGEST, TextError::IceSecret)?;
    if text.chars().any(char::is_control) { Err(TextError::IceSecret) } else { Ok(text) }
}

fn candidate(text: String) -> Result<String, TextError> {
    let text = within(text, 0, limits::CANDIDATE_LONGEST, TextError::Candidate)?;
    if text.contains(['\r', '\n']) { Err(TextError::Candidate) } else { Ok(text) }
}

fn secret(text: String) -> Result<String, TextError> {
    let text = within(text, 8, limits::TOKEN_LONGEST, TextError::Secret)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(text) } else { Err(TextError::Secret) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn handles_are_plain() {
        for good in ["ada", "ada.lovelace", "a_1", "0x0"] {
            assert!(Handle::new(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Ada", "ada ", ".ada", "ada-", "ädä", &"a".repeat(33)] {
            assert_eq!(Handle::new(bad), Err(TextError::Handle), "{bad}");
        }
    }

    #[test]
    fn names_lose_the_space_around_them_and_can_not_hide() {
        assert_eq!(Name::new("  Ada Lovelace ").unwrap().as_str(), "Ada Lovelace");
        assert!(Name::new("王小明").is_ok());
        for bad in ["", "   ", "a\nb", "a\u{202e}b", &"x".repeat(limits::NAME_LONGEST + 1)] {
            assert_eq!(Name::new(bad), Err(TextError::Name), "{bad:?}");
        }
    }

    #[test]
    fn the_length_of_a_password_counts_characters() {
        assert!(Password::new("密码密码密码密码").is_ok());
        assert!(Password::new("1234567").is_err());
        assert!(Password::new("x".repeat(limits::PASSWORD_LONGEST + 1)).is_err());
    }

    #[test]
    fn debug_output_tells_nothing_of_people() {
        let text = format!(
            "{:?} {:?} {:?} {:?}",
            Handle::new("lovelace").unwrap(),
            Name::new("Ada").unwrap(),
            Sdp::new("a=ice-pwd:hush").unwrap(),
            AccessToken::new("eyJhbGciOi").unwrap()
        );
        assert_eq!(text, "Handle(8 bytes) Name(3 bytes) Sdp(14 bytes) AccessToken(10 bytes)");
    }

    #[test]
    fn addresses_of_servers_for_ice_have_their_schemes() {
        for good in ["stun:a", "stuns:a:5349", "turn:192.0.2.1:3478?transport=udp", "turns:[2001:db8::1]:443"]
        {
            assert!(IceUrl::new(good).is_ok(), "{good}");
        }
        let long = format!("turn:{}", "a".repeat(limits::ICE_URL_LONGEST));
        for bad in ["", "stun:", "http://a", "TURN:a", "turn:a b", "turn:ä", "turn:a\n", &long] {
            assert_eq!(IceUrl::new(bad), Err(TextError::IceUrl), "{bad}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_not_read_from_json() {
        assert!(serde_json::from_str::<Handle>(r#""Ada""#).is_err());
        assert!(serde_json::from_str::<CandidateLine>(r#""a\r\nb""#).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_check_panic(text: String) {
            let _ = (Handle::new(&*text), Name::new(&*text), Password::new(&*text), CandidateLine::new(&*text));
        }

        #[test]
        fn a_name_that_passed_passes_again(text: String) {
            if let Ok(name) = Name::new(text) {
                prop_assert_eq!(Name::new(name.as_str()).unwrap(), name);
            }
        }
    }
}
