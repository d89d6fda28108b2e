//! What two programs say to each other about files. docs/file-transfer.md is its description.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::manifest::{Entry, LARGEST};
use crate::tree::{CHUNK, Value};

/// Longest message in bytes that is said; chunks are longer.
pub const SAID_LONGEST: usize = 64 * 1024;
/// Most pairs of chunks in one message. What is missing beyond them is told of later.
pub const MOST_RUNS: usize = 512;
/// Bytes of a chunk's message before what is in it.
pub const CHUNK_HEADER: usize = 1 + 16 + 4 + 8 + 32;
/// First byte of a chunk's message.
const CHUNK_TYPE: u8 = 1;

/// Names a transfer, whatever becomes of connections: random, so that nobody else can name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId([u8; 16]);

impl TransferId {
    /// Of these random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for TransferId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for TransferId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id of a transfer is 32 hexadecimal digits")]
pub struct NoTransferId;

impl std::str::FromStr for TransferId {
    type Err = NoTransferId;

    fn from_str(text: &str) -> Result<Self, NoTransferId> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or(NoTransferId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for TransferId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TransferId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The hash of a file, as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHash(pub blake3::Hash);

impl Serialize for FileHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_hex())
    }
}

impl<'de> Deserialize<'de> for FileHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        blake3::Hash::from_hex(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Why a file will not be complete, or a transfer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Whoever it is for does not want it.
    Declined,
    /// The other side says nothing of what was sent.
    NoAnswer,
    /// There are too many transfers already.
    TooMany,
    /// Somebody has ended it.
    Cancelled,
    /// There is not enough space where it goes.
    NoSpace,
    /// It can't be read where it comes from.
    Unreadable,
    /// It has changed while it was sent.
    Changed,
    /// It is not there any more.
    Gone,
    /// It can't be written where it goes.
    Unwritable,
    /// What arrived was not what was sent, again and again.
    Damaged,
    /// The other side has said what can't be.
    Protocol,
    /// Something else, which newer versions have a word for.
    #[serde(other)]
    Other,
}

/// Numbers of chunks, or of files, that follow each other: the first, and the last.
pub type Run = (u64, u64);

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Said {
    /// There is this.
    Offer {
        /// The transfer.
        id: TransferId,
        /// How many files and folders there are.
        entries: u32,
        /// How many bytes all files have.
        bytes: u64,
        /// All of it has ended, as far as is known there: who does not know it need not.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ended: bool,
    },
    /// The entries, please: this transfer is not known here yet.
    List {
        /// The transfer.
        id: TransferId,
    },
    /// Some of the entries.
    Manifest {
        /// The transfer.
        id: TransferId,
        /// The number of the first of them.
        first: u32,
        /// They, in order.
        entries: Vec<Entry>,
    },
    /// These files are wanted. There may be several of these.
    Want {
        /// The transfer.
        id: TransferId,
        /// Numbers of files.
        files: Vec<Run>,
    },
    /// Yes, to what was said to be wanted.
    Answer {
        /// The transfer.
        id: TransferId,
        /// So many bytes may be on their way, of all transfers and files together.
        window: u64,
    },
    /// No.
    Decline {
        /// The transfer.
        id: TransferId,
        /// Why.
        reason: Reason,
    },
    /// These chunks of a file are there from before.
    Have {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Numbers of chunks.
        chunks: Vec<Run>,
    },
    /// What has been written.
    Got {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// All chunks below this one.
        below: u64,
        /// And these.
        chunks: Vec<Run>,
        /// So many bytes may be on their way, of all transfers and files together.
        window: u64,
    },
    /// These chunks are to be sent once more: they were not what their values say.
    Again {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Numbers of chunks.
        chunks: Vec<Run>,
    },
    /// All of a file has been read.
    Hash {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// The hash of its content.
        hash: FileHash,
    },
    /// A file is complete, checked, and where it belongs.
    Done {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
    },
    /// A file will not be complete.
    Failed {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Why.
        reason: Reason,
    },
    /// Nothing more of it for now.
    Pause {
        /// The transfer.
        id: TransferId,
        /// The file; all of them without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<u32>,
        /// What somebody has to see to before it can go on, where nobody has asked for the pause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
    /// It goes on.
    Resume {
        /// The transfer.
        id: TransferId,
        /// The file; all of them without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<u32>,
    },
    /// Nothing more of it at all.
    Cancel {
        /// The transfer.
        id: TransferId,
        /// The file; all of them without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<u32>,
    },
    /// All of it is settled, as far as the sender of this knows. Who has said and heard it forgets the transfer.
    Over {
        /// The transfer.
        id: TransferId,
    },
    /// What newer versions say.
    #[serde(other)]
    Unknown,
}

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is longer than any may be.
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
    /// It is not JSON, or not of the form that its type has.
    #[error("a message that is not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// Its numbers can't be.
    #[error("a message whose numbers can't be")]
    Numbers,
    /// It is no chunk.
    #[error("a message of {0} bytes that is no chunk")]
    NoChunk(usize),
}

impl Said {
    /// Reads a message of the other side.
    pub fn read(text: &[u8]) -> Result<Self, MessageError> {
        if text.len() > SAID_LONGEST {
            return Err(MessageError::TooLong(text.len()));
        }
        let said: Self = serde_json::from_slice(text)?;
        let (runs, numbers): (&[Run], &[u64]) = match &said {
            Self::Offer { bytes, .. } => (&[], std::slice::from_ref(bytes)),
            Self::Want { files, .. } => (files, &[]),
            Self::Have { chunks, .. } | Self::Again { chunks, .. } => (chunks, &[]),
            Self::Got { chunks, below, .. } => (chunks, std::slice::from_ref(below)),
            _ => (&[], &[]),
        };
        let in_order = runs.iter().all(|(first, last)| first <= last && *last < LARGEST)
            && runs.windows(2).all(|pair| pair[0].1 < pair[1].0);
        let can_be = in_order && numbers.iter().all(|number| *number <= LARGEST);
        can_be.then_some(said).ok_or(MessageError::Numbers)
    }

    /// As it is sent.
    pub fn write(&self) -> String {
        serde_json::to_string(self).expect("messages have nothing that JSON can't say")
    }
}

/// Runs as they are said, at most [`MOST_RUNS`], of what ends before the second number.
pub(crate) fn said_runs(runs: impl Iterator<Item = (u64, u64)>) -> Vec<Run> {
    runs.take(MOST_RUNS).map(|(start, end)| (start, end - 1)).collect()
}

/// Part of a file, on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The transfer.
    pub id: TransferId,
    /// The file, by its number in the manifest.
    pub file: u32,
    /// Which part of it.
    pub number: u64,
    /// What its content has to be.
    pub value: Value,
    /// Its content.
    pub content: Bytes,
}

impl Chunk {
    /// Reads a message of the other side. Whether there is such a file, and such a chunk in it, is another question.
    pub fn read(mut message: Bytes) -> Result<Self, MessageError> {
        let length = message.len();
        let is_possible = (CHUNK_HEADER + 1..=CHUNK_HEADER + CHUNK as usize).contains(&length);
        if !is_possible || message[0] != CHUNK_TYPE {
            return Err(MessageError::NoChunk(length));
        }
        let header = message.split_to(CHUNK_HEADER);
        let part = |from: usize, to: usize| header.slice(from..to);
        let id: [u8; 16] = part(1, 17).as_ref().try_into().expect("16 bytes");
        let file: [u8; 4] = part(17, 21).as_ref().try_into().expect("4 bytes");
        let number: [u8; 8] = part(21, 29).as_ref().try_into().expect("8 bytes");
        let value: [u8; 32] = part(29, 61).as_ref().try_into().expect("32 bytes");
        let number = u64::from_le_bytes(number);
        if number >= LARGEST {
            return Err(MessageError::Numbers);
        }
        let (id, value) = (TransferId(id), Value::from_bytes(value));
        Ok(Self { id, file: u32::from_le_bytes(file), number, value, content: message })
    }

    /// As it is sent.
    pub fn write(&self) -> Bytes {
        let mut message = BytesMut::with_capacity(CHUNK_HEADER + self.content.len());
        message.put_u8(CHUNK_TYPE);
        message.put_slice(self.id.as_bytes());
        message.put_u32_le(self.file);
        message.put_u64_le(self.number);
        message.put_slice(self.value.as_bytes());
        message.put_slice(&self.content);
        message.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransferId = TransferId::from_bytes([0xab; 16]);

    #[test]
    fn messages_are_what_their_description_says() {
        let id = "abababababababababababababababab";
        for (said, json) in [
            (
                Said::Offer { id: ID, entries: 2, bytes: 5, ended: false },
                format!(r#"{{"type":"offer","id":"{id}","entries":2,"bytes":5}}"#),
            ),
            (
                Said::Want { id: ID, files: vec![(0, 3)] },
                format!(r#"{{"type":"want","id":"{id}","files":[[0,3]]}}"#),
            ),
            (
                Said::Failed { id: ID, file: 1, reason: Reason::NoSpace },
                format!(r#"{{"type":"failed","id":"{id}","file":1,"reason":"no_space"}}"#),
            ),
            (Said::Pause { id: ID, file: None, reason: None }, format!(r#"{{"type":"pause","id":"{id}"}}"#)),
            (
                Said::Hash { id: ID, file: 1, hash: FileHash(blake3::hash(b"")) },
                format!(r#"{{"type":"hash","id":"{id}","file":1,"hash":"{}"}}"#, blake3::hash(b"").to_hex()),
            ),
        ] {
            assert_eq!(said.write(), json);
            assert_eq!(Said::read(json.as_bytes()).unwrap(), said);
        }
    }

    #[test]
    fn what_newer_versions_say_is_no_error() {
        assert_eq!(Said::read(br#"{"type":"thumbnail","id":7}"#).unwrap(), Said::Unknown);
        let newer = br#"{"type":"decline","id":"abababababababababababababababab","reason":"too_late"}"#;
        assert_eq!(Said::read(newer).unwrap(), Said::Decline { id: ID, reason: Reason::Other });
    }

    #[test]
    fn what_can_not_be_is_no_message() {
        let id = "abababababababababababababababab";
        for text in [
            "".to_owned(),
            "[]".to_owned(),
            r#"{"type":"offer"}"#.to_owned(),
            format!(r#"{{"type":"pause","id":"{}"}}"#, &id[1..]),
            format!(r#"{{"type":"pause","id":"+{}"}}"#, &id[1..]),
            format!(r#"{{"type":"want","id":"{id}","files":[[3,1]]}}"#),
            format!(r#"{{"type":"want","id":"{id}","files":[[0,3],[3,4]]}}"#),
            format!(r#"{{"type":"offer","id":"{id}","entries":1,"bytes":9007199254740993}}"#),
            format!("{{\"type\":\"pause\",\"id\":\"{id}\"{}}}", " ".repeat(SAID_LONGEST)),
        ] {
            assert!(Said::read(text.as_bytes()).is_err(), "{}", &text[..text.len().min(100)]);
        }
    }

    #[test]
    fn a_chunk_arrives_as_it_was_sent() {
        let content = Bytes::from_static(b"content");
        let chunk =
            Chunk { id: ID, file: 0x0102_0304, number: 5, value: Value::from_bytes([9; 32]), content };
        let message = chunk.write();
        assert_eq!(message.len(), CHUNK_HEADER + 7);
        assert_eq!((message[0], &message[17..22]), (1, [4, 3, 2, 1, 5].as_slice()));
        assert_eq!(Chunk::read(message.clone()).unwrap(), chunk);
        assert!(Chunk::read(message.slice(..CHUNK_HEADER)).is_err(), "there is nothing in it");
        assert!(Chunk::read(vec![1; CHUNK_HEADER + CHUNK as usize + 1].into()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_the_reading_of_messages(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Said::read(&bytes);
            if let Ok(chunk) = Chunk::read(bytes.clone().into()) {
                proptest::prop_assert_eq!(chunk.write(), bytes);
            }
        }
    }
}
