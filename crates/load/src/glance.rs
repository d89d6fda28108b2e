//! Reads of the server's messages just what counting needs. Parsing each delivery as JSON would make the generator the
//! limit; what this overlooks shows up as a loss.
//!
//! The places of fields are those that `ServerEnvelope` is written with; a test holds both together.

/// Encloses a marker in a text of ours. No id, number or key has it.
const FENCE: u8 = b'~';
const MARKER_DIGITS: usize = 10;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glance {
    /// Answers a request.
    Answer {
        /// Which.
        re: u64,
        /// To be acknowledged.
        seq: Option<u64>,
        /// Whether it is an `error`.
        refused: bool,
    },
    /// A change of a room.
    Delta {
        /// Its place in the room's history.
        offset: u64,
        /// The marker that its sender put in, if it was one of ours.
        marker: Option<u64>,
    },
    /// The whole room, because changes could not be delivered one by one.
    Snapshot {
        /// Its place in the room's history.
        offset: u64,
    },
    /// Something else, perhaps to be acknowledged.
    Other {
        /// To be acknowledged.
        seq: Option<u64>,
    },
}

const START: &[u8] = br#"{"v":1"#;
const RE: &[u8] = br#","re":"#;
const SEQ: &[u8] = br#","seq":"#;
const ROOM: &[u8] = br#","room":""#;
const ROOM_DIGITS: usize = 28;
const POSITION: &[u8] = br#"","pos":{"epoch":""#;
const EPOCH_DIGITS: usize = 16;
const OFFSET: &[u8] = br#"","offset":"#;
const DELTA: &[u8] = br#"},"body":{"type":"delta""#;
const SNAPSHOT: &[u8] = br#"},"body":{"type":"snapshot""#;
const ERROR: &[u8] = br#""body":{"type":"error""#;

/// Looks at a message.
pub(crate) fn glance(text: &[u8]) -> Glance {
    let Some(rest) = text.strip_prefix(START) else { return Glance::Other { seq: None } };
    let (re, rest) = field(rest, RE);
    let (seq, rest) = field(rest, SEQ);
    match re {
        Some(re) => {
            // Between lie at most room and position.
            let head = &rest[..rest.len().min(160)];
            let refused = head.windows(ERROR.len()).any(|window| window == ERROR);
            Glance::Answer { re, seq, refused }
        }
        None => room(rest).unwrap_or(Glance::Other { seq }),
    }
}

fn room(rest: &[u8]) -> Option<Glance> {
    let rest = rest.strip_prefix(ROOM)?.get(ROOM_DIGITS..)?;
    let rest = rest.strip_prefix(POSITION)?.get(EPOCH_DIGITS..)?.strip_prefix(OFFSET)?;
    let (offset, rest) = number(rest);
    if rest.starts_with(SNAPSHOT) {
        return Some(Glance::Snapshot { offset });
    }
    rest.strip_prefix(DELTA).map(|delta| Glance::Delta { offset, marker: find_marker(delta) })
}

fn field<'a>(text: &'a [u8], name: &[u8]) -> (Option<u64>, &'a [u8]) {
    match text.strip_prefix(name) {
        Some(rest) => {
            let (value, rest) = number(rest);
            (Some(value), rest)
        }
        None => (None, text),
    }
}

fn number(text: &[u8]) -> (u64, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..digits]
        .iter()
        .fold(0_u64, |value, digit| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    (value, &text[digits..])
}

/// The text that carries a marker: fits the name of a track as well as chat.
pub(crate) fn marker_text(marker: u64) -> String {
    format!("~{marker:0MARKER_DIGITS$x}~")
}

/// The marker in a text, also within JSON.
pub(crate) fn find_marker(text: &[u8]) -> Option<u64> {
    let start = text.iter().position(|byte| *byte == FENCE)? + 1;
    let digits = text.get(start..start + MARKER_DIGITS)?;
    if text.get(start + MARKER_DIGITS) != Some(&FENCE) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use ahoy_signal::{
        ChatId, ChatMessage, ChatText, Epoch, ErrorCode, Name, Position, Refusal, RequestId, RoomDelta,
        RoomId, RoomSettings, RoomSnapshot, ServerEnvelope, ServerMessage, UserId,
    };

    use super::*;

    fn in_room(body: ServerMessage) -> ServerEnvelope {
        let position = Position { epoch: Epoch::from_bits(u64::MAX), offset: 9_876 };
        let room = Some(RoomId::from_bits(u128::MAX));
        ServerEnvelope { room, pos: Some(position), ..ServerEnvelope::new(body) }
    }

    fn chat(text: &str) -> ServerEnvelope {
        let message = ChatMessage {
            id: ChatId::from_bits(1),
            user: UserId::from_bits(2),
            name: Name::new("Load 17").unwrap(),
            at_ms: 1_795_573_800_000,
            text: ChatText::new(text).unwrap(),
        };
        in_room(ServerMessage::Delta { delta: RoomDelta::Chat { message } })
    }

    #[test]
    fn a_delivery_is_known_by_its_marker_and_offset() {
        for marker in [0, 1, 0xFF_FFFF_FFFF] {
            let text = format!("{} and more", marker_text(marker));
            let seen = glance(chat(&text).to_json().as_bytes());
            assert_eq!(seen, Glance::Delta { offset: 9_876, marker: Some(marker) });
        }
        let seen = glance(chat("no marker ~ here").to_json().as_bytes());
        assert_eq!(seen, Glance::Delta { offset: 9_876, marker: None });
    }

    #[test]
    fn answers_are_known_by_their_number_and_whether_they_refuse() {
        let done =
            ServerEnvelope { re: Some(RequestId(21)), seq: Some(44), ..in_room(ServerMessage::Done {}) };
        let seen = glance(done.to_json().as_bytes());
        assert_eq!(seen, Glance::Answer { re: 21, seq: Some(44), refused: false });
        let refusal = ServerMessage::Error(Refusal::new(ErrorCode::RateLimited, "Wait."));
        for seq in [None, Some(45)] {
            let error = ServerEnvelope { re: Some(RequestId(22)), seq, ..in_room(refusal.clone()) };
            assert_eq!(glance(error.to_json().as_bytes()), Glance::Answer { re: 22, seq, refused: true });
        }
    }

    #[test]
    fn snapshots_and_direct_news_are_told_apart() {
        let name = Name::new("Room").unwrap();
        let settings = RoomSettings::default();
        let snapshot = RoomSnapshot { name, settings, participants: vec![], states: vec![], chat: vec![] };
        let whole = in_room(ServerMessage::Snapshot { snapshot: Box::new(snapshot) });
        assert_eq!(glance(whole.to_json().as_bytes()), Glance::Snapshot { offset: 9_876 });
        let mut news = ServerEnvelope::new(ServerMessage::Done {});
        news.seq = Some(3);
        assert_eq!(glance(news.to_json().as_bytes()), Glance::Other { seq: Some(3) });
        let checkpoint = in_room(ServerMessage::Checkpoint { hash: "0".repeat(16) });
        assert_eq!(glance(checkpoint.to_json().as_bytes()), Glance::Other { seq: None });
        assert_eq!(glance(b"not even JSON"), Glance::Other { seq: None });
    }
}
