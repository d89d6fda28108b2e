//! What every message comes in.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::client_message::ClientMessage;
use crate::error::{ErrorCode, Refusal};
use crate::id::RoomId;
use crate::limits;
use crate::server_message::ServerMessage;

/// The version of the protocol that this code speaks. Fields may be added inside a version: unknown ones are ignored.
pub const VERSION: u16 = 1;

/// Numbers a session's requests: 1, 2, 3 … without gaps, so that the server knows which it has seen. Below 2^53, which
/// JavaScript counts exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS), ts(as = "f64"))]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// One life of a room: a room that was released, or whose server restarted, counts from 1 in a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS), ts(as = "String"))]
pub struct Epoch(u64);

impl Epoch {
    /// An epoch of these bits, which have to be random.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;

        impl de::Visitor<'_> for Hex {
            type Value = Epoch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an epoch: 16 hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Epoch, E> {
                let plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let bits = plain.then(|| u64::from_str_radix(text, 16).ok()).flatten();
                bits.map(Epoch).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Hex)
    }
}

/// How much of a room's history one has seen: everything up to and including `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Position {
    /// The room's life.
    pub epoch: Epoch,
    /// The number of the last change in it.
    #[cfg_attr(feature = "bindings", ts(type = "number"))]
    pub offset: u64,
}

/// From a client.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ClientEnvelope {
    /// [`VERSION`].
    pub v: u16,
    /// Numbers requests; absent from `ping`, and from what opens a connection (`hello`, `resume`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub id: Option<RequestId>,
    /// The last `seq` received: the server forgets what it kept up to there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "number"))]
    pub ack: Option<u64>,
    /// The room that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub room: Option<RoomId>,
    /// What is said.
    pub body: ClientMessage,
}

/// From the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ServerEnvelope {
    /// [`VERSION`].
    pub v: u16,
    /// The request that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub re: Option<RequestId>,
    /// Numbers what is kept for this session until it is acknowledged, and sent again when it resumes: answers, and news
    /// that no room's history holds. 1, 2, 3 … without gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional, type = "number"))]
    pub seq: Option<u64>,
    /// The room that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub room: Option<RoomId>,
    /// Where in the room's history this stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub pos: Option<Position>,
    /// What is said.
    pub body: ServerMessage,
}

impl ServerEnvelope {
    /// `body` and nothing else.
    pub fn new(body: ServerMessage) -> Self {
        Self { v: VERSION, re: None, seq: None, room: None, pos: None, body }
    }

    /// The JSON that is sent.
    pub fn to_json(&self) -> String {
        json(self)
    }
}

impl ClientEnvelope {
    /// `body` and nothing else.
    pub fn new(body: ClientMessage) -> Self {
        Self { v: VERSION, id: None, ack: None, room: None, body }
    }

    /// The JSON that is sent.
    pub fn to_json(&self) -> String {
        json(self)
    }
}

/// Nothing in an envelope can fail to become JSON: it has no maps with other keys than text, and no foreign types.
fn json(envelope: &impl Serialize) -> String {
    serde_json::to_string(envelope).unwrap_or_default()
}

/// Why a message was not understood, and which request it was, if that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct MalformedMessage {
    /// The request's number.
    pub id: Option<RequestId>,
    /// What to answer.
    pub refusal: Refusal,
}

/// A client's envelope before its body is looked at.
#[derive(Deserialize)]
struct Outer<'a> {
    v: u16,
    #[serde(default)]
    id: Option<RequestId>,
    #[serde(default)]
    ack: Option<u64>,
    #[serde(default)]
    room: Option<RoomId>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// The type of a body whose rest could not be read.
#[derive(Deserialize)]
struct TypeOnly<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
}

/// Reads what a client sent. The number of a request is found also when the rest makes no sense, so that it can be
/// answered.
///
/// # Errors
/// [`MalformedMessage`] with [`ErrorCode::MessageTooLarge`], [`ErrorCode::BadMessage`],
/// [`ErrorCode::UnsupportedVersion`] or [`ErrorCode::UnknownType`].
pub fn read_client_message(text: &str) -> Result<ClientEnvelope, MalformedMessage> {
    let malformed = |id, code, message: String| MalformedMessage { id, refusal: Refusal::new(code, message) };
    if text.len() > limits::MESSAGE_LONGEST {
        let message = format!("a message has at most {} bytes", limits::MESSAGE_LONGEST);
        return Err(malformed(None, ErrorCode::MessageTooLarge, message));
    }
    let outer: Outer<'_> = serde_json::from_str(text).map_err(|error| {
        malformed(None, ErrorCode::BadMessage, format!("this is not an envelope: {}", place(&error)))
    })?;
    if outer.v != VERSION {
        let message =
            format!("version {} is not spoken here, only {VERSION}: update the older side", outer.v);
        return Err(malformed(outer.id, ErrorCode::UnsupportedVersion, message));
    }
    let body = serde_json::from_str::<ClientMessage>(outer.body.get()).map_err(|error| {
        let kind = serde_json::from_str::<TypeOnly<'_>>(outer.body.get()).ok().and_then(|body| body.kind);
        match kind {
            Some(kind) if !ClientMessage::TYPES.contains(&kind.as_ref()) => {
                let message = "messages of this type are not known here: update the older side".to_owned();
                malformed(outer.id, ErrorCode::UnknownType, message)
            }
            Some(_) => malformed(
                outer.id,
                ErrorCode::BadMessage,
                format!("the body does not fit its type: {}", place(&error)),
            ),
            None => malformed(outer.id, ErrorCode::BadMessage, "the body has no type".to_owned()),
        }
    })?;
    Ok(ClientEnvelope { v: outer.v, id: outer.id, ack: outer.ack, room: outer.room, body })
}

/// What is wrong, without what was written there, which may be anybody's secret. Our own types' errors name only rules.
fn place(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a field is missing or has a value that its rules forbid",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Io => "it could not be read",
    };
    format!("{what} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_known_by_its_number_even_when_its_body_is_wrong() {
        let unknown = read_client_message(r#"{"v":1,"id":7,"body":{"type":"dance"}}"#).unwrap_err();
        assert_eq!((unknown.id, unknown.refusal.code), (Some(RequestId(7)), ErrorCode::UnknownType));
        let wrong = read_client_message(r#"{"v":1,"id":8,"body":{"type":"chat","text":9}}"#).unwrap_err();
        assert_eq!((wrong.id, wrong.refusal.code), (Some(RequestId(8)), ErrorCode::BadMessage));
        let nothing = read_client_message(r#"{"v":1,"id":9,"body":[]}"#).unwrap_err();
        assert_eq!((nothing.id, nothing.refusal.code), (Some(RequestId(9)), ErrorCode::BadMessage));
        let old = read_client_message(r#"{"v":9,"id":10,"body":{"type":"ping"}}"#).unwrap_err();
        assert_eq!((old.id, old.refusal.code), (Some(RequestId(10)), ErrorCode::UnsupportedVersion));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let read = read_client_message(r#"{"v":1,"new":[1],"body":{"type":"ping","mood":"good"}}"#).unwrap();
        assert_eq!(read.body, ClientMessage::Ping {});
    }

    #[test]
    fn what_was_written_is_not_repeated_in_the_answer() {
        let wrong =
            read_client_message(r#"{"v":1,"body":{"type":"hello","token":"hush hush"}}"#).unwrap_err();
        assert!(!wrong.refusal.message.contains("hush"), "{}", wrong.refusal.message);
    }

    #[test]
    fn a_message_that_is_too_long_is_not_read() {
        let long =
            format!(r#"{{"v":1,"body":{{"type":"ping","x":"{}"}}}}"#, "x".repeat(limits::MESSAGE_LONGEST));
        assert_eq!(read_client_message(&long).unwrap_err().refusal.code, ErrorCode::MessageTooLarge);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = read_client_message(&text);
        }

        #[test]
        fn epochs_read_as_they_were_written(bits: u64) {
            let json = serde_json::to_string(&Epoch::from_bits(bits)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Epoch>(&json).unwrap(), Epoch::from_bits(bits));
        }
    }
}
