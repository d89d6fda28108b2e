//! What a worker and this module tell each other.

use ahoy_transfer::{FileView, Reason, TransferId, TransferView};
use serde::{Deserialize, Serialize};

/// A file or folder that is given.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NewEntry {
    /// What it is called.
    pub name: String,
    /// The number of the folder that it is in.
    #[serde(default)]
    pub folder: Option<u32>,
    /// Bytes of a file; a folder has none.
    #[serde(default)]
    pub size: Option<u64>,
    /// When it was changed last, in milliseconds since 1970.
    #[serde(default)]
    pub modified: Option<i64>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Input {
    /// There is a connection.
    Connected,
    /// It is gone.
    Lost,
    /// Bytes are what the other side has said.
    Said,
    /// Bytes are a chunk of the other side.
    Chunk,
    /// So many more bytes of chunks may be sent.
    Room {
        /// That many.
        bytes: u64,
    },
    /// Files are to be given.
    Give {
        /// A new id, of 16 random bytes.
        id: TransferId,
        /// What there is.
        entries: Vec<NewEntry>,
    },
    /// They are wanted.
    Accept {
        /// The transfer.
        id: TransferId,
        /// Numbers of files; all without.
        files: Option<Vec<u32>>,
    },
    /// They are not wanted.
    Decline {
        /// The transfer.
        id: TransferId,
    },
    /// Stop for now.
    Pause {
        /// The transfer.
        id: TransferId,
        /// One file; all without.
        file: Option<u32>,
    },
    /// Go on.
    Resume {
        /// The transfer.
        id: TransferId,
        /// One file; all without.
        file: Option<u32>,
    },
    /// Stop for good.
    Cancel {
        /// The transfer.
        id: TransferId,
        /// One file; all without.
        file: Option<u32>,
    },
    /// Nobody wants to see it any more.
    Dismiss {
        /// The transfer.
        id: TransferId,
    },
    /// All its files are to be told.
    Files {
        /// The transfer.
        id: TransferId,
    },
    /// Bytes are what [`Output::Read`] asked for, unless that failed.
    Read {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// The chunk.
        number: u64,
        /// Why it could not be.
        failed: Option<Reason>,
    },
    /// What [`Output::Begin`] asked for is done.
    Begun {
        /// The transfer.
        id: TransferId,
        /// Why it could not be.
        failed: Option<Reason>,
    },
    /// What [`Output::Write`] asked for is done.
    Written {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// The chunk.
        number: u64,
        /// Why it could not be.
        failed: Option<Reason>,
    },
    /// What [`Output::Finish`] asked for is done.
    Finished {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Why it could not be.
        failed: Option<Reason>,
    },
    /// Time has passed.
    Wake,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Output {
    /// Say the bytes, which are text, to the other side.
    Say,
    /// Send the bytes as a chunk.
    Send,
    /// Read so much of a file that is given.
    Read {
        /// The transfer.
        id: String,
        /// The file.
        file: u32,
        /// The chunk.
        number: u64,
        /// Where it begins.
        start: u64,
        /// How many bytes.
        length: usize,
    },
    /// Make room for so many bytes.
    Begin {
        /// The transfer.
        id: String,
        /// That many.
        bytes: u64,
    },
    /// Write the bytes there; they are what they should be.
    Write {
        /// The transfer.
        id: String,
        /// The file.
        file: u32,
        /// The chunk.
        number: u64,
        /// Where it begins.
        start: u64,
    },
    /// All of a file is there: give it to whoever wanted it.
    Finish {
        /// The transfer.
        id: String,
        /// The file.
        file: u32,
        /// Where it is in the transfer, with slashes.
        path: String,
        /// How many bytes it has.
        size: u64,
    },
    /// These files can't be given.
    NotGiven {
        /// The transfer.
        id: String,
        /// Why, in English.
        why: String,
    },
    /// Throw away what is there of a file.
    Remove {
        /// The transfer.
        id: String,
        /// The file.
        file: u32,
    },
    /// Throw away what is there of a transfer.
    Forget {
        /// The transfer.
        id: String,
    },
    /// A transfer is like this now.
    Changed {
        /// It.
        view: Box<TransferView>,
    },
    /// All files of a transfer.
    Files {
        /// The transfer.
        id: String,
        /// They.
        files: Vec<FileView>,
    },
}
