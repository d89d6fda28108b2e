//! Identities: 128 random bits each, with a letter that says of what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Crockford's base 32: digits and letters that are not mistaken for each other.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five.
const DIGITS: usize = 26;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of a {kind}: one looks like {letter}_ and {DIGITS} letters and digits")]
pub struct IdError {
    kind: &'static str,
    letter: char,
}

fn encode(bits: u128, letter: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0_u8; DIGITS];
    for (place, digit) in text.iter_mut().enumerate() {
        let shift = 5 * (DIGITS - 1 - place);
        *digit = ALPHABET[(bits >> shift) as usize & 31];
    }
    write!(f, "{letter}_{}", str::from_utf8(&text).unwrap_or_default())
}

fn decode(text: &str, letter: char) -> Option<u128> {
    let digits = text.strip_prefix(letter)?.strip_prefix('_')?.as_bytes();
    // The first digit holds the three highest bits.
    if digits.len() != DIGITS || digits[0] > b'7' {
        return None;
    }
    digits.iter().try_fold(0_u128, |bits, digit| {
        let value = ALPHABET.iter().position(|letter| letter == digit)?;
        Some(bits << 5 | value as u128)
    })
}

/// Reads an id without allocating: deserializers may hand out short-lived text.
struct IdVisitor {
    kind: &'static str,
    letter: char,
}

impl de::Visitor<'_> for IdVisitor {
    type Value = u128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the id of a {}", self.kind)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u128, E> {
        decode(text, self.letter).ok_or_else(|| E::custom(IdError { kind: self.kind, letter: self.letter }))
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $letter:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "bindings", derive(ts_rs::TS), ts(as = "String"))]
        pub struct $name(u128);

        impl $name {
            /// An id of these bits, which have to be random: nobody may guess, or meet, another's.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The bits it was made of.
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode(self.0, $letter, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                decode(text, $letter).map(Self).ok_or(IdError { kind: $kind, letter: $letter })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(IdVisitor { kind: $kind, letter: $letter }).map(Self)
            }
        }
    )*};
}

ids! {
    /// A person with an account, or a guest for as long as the invite is good.
    UserId, 'u', "user";
    /// One sign-in of a user on one device, until it is signed out or revoked.
    DeviceId, 'd', "device";
    /// One signaling session: it outlives its connections, within the resume window.
    SessionId, 's', "session";
    /// A room.
    RoomId, 'r', "room";
    /// A session's place in a room. New with each join, except where a session resumes.
    ParticipantId, 'p', "participant";
    /// A call between two users. The caller chooses it, so that asking twice is one call.
    CallId, 'c', "call";
    /// A line of chat.
    ChatId, 'm', "message";
    /// A message to a contact. The sender chooses it, so that sending twice is one message.
    MessageId, 'n', "message to a contact";
    /// An invitation to a room.
    InviteId, 'i', "invite";
    /// One end of a connection between two contacts beside calls: a program that runs now.
    LinkEnd, 'l', "link's end";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_as_it_was_written(bits: u128) {
            let id = RoomId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<RoomId>().unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<RoomId>(&json).unwrap(), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<UserId>();
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let user = UserId::from_bits(7).to_string();
        assert_eq!(user, "u_00000000000000000000000007");
        let error = user.parse::<RoomId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "this is not the id of a room: one looks like r_ and 26 letters and digits"
        );
    }

    #[test]
    fn more_than_128_bits_are_no_id() {
        assert!("u_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<UserId>().is_ok_and(|id| id.bits() == u128::MAX));
        assert!("u_80000000000000000000000000".parse::<UserId>().is_err());
    }
}
