//! What is to be done with files, and what became of it: the machine decides, whoever runs it does.

use bytes::Bytes;

use crate::manifest::Manifest;
use crate::messages::{Chunk, Reason, TransferId};
use crate::progress::End;
use crate::ranges::Ranges;
use crate::tree::{HashTree, Value};

/// Something to be done, in this order as far as one transfer that is taken is concerned. The first five are answered by one
/// [`Outcome`] each, in any order.
#[derive(Clone, Debug)]
pub enum Job {
    /// Read a chunk of a file that is given. Tell of a file that is not what the manifest says, in size or time.
    Read {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// The chunk.
        number: u64,
    },
    /// Get ready to take these files: room for them, folders, a record of it all for after a restart.
    Begin {
        /// The transfer.
        id: TransferId,
        /// Its entries.
        manifest: std::sync::Arc<Manifest>,
        /// Numbers of the files that are wanted.
        files: Ranges,
    },
    /// Check a chunk against its value, write it, and make a note of that for after a restart.
    Write(Chunk),
    /// Check what has been there since before a restart.
    Check {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Which of its chunks. Others may have come since, and are not meant.
        chunks: Ranges,
    },
    /// A file is complete: have it on the disk for good, and move it to where it belongs.
    Finish {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
    },
    /// Throw away what is there of a file: all of it comes once more.
    Anew {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
    },
    /// A file will not be complete: throw away what is there, and make a note of that for after a restart.
    GiveUp {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Why.
        reason: Reason,
    },
    /// A file that is given has ended: make a note of that for after a restart.
    Ended {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// How.
        end: End,
    },
    /// Nothing more is to be known of a transfer: throw away whatever is there of it, but for files that are complete.
    Forget {
        /// The transfer.
        id: TransferId,
    },
}

/// What became of a [`Job`].
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A chunk was read, or could not be.
    Read {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// The chunk.
        number: u64,
        /// Its content and value, or why not.
        result: Result<(Bytes, Value), Reason>,
    },
    /// Everything is ready to take files, or can't be.
    Begun {
        /// The transfer.
        id: TransferId,
        /// Why not.
        result: Result<(), Reason>,
    },
    /// A chunk was written, or was not.
    Written {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// The chunk.
        number: u64,
        /// How many bytes it has.
        bytes: u64,
        /// Its value, or why not: [`Reason::Damaged`] where its content is not what that says.
        result: Result<Value, Reason>,
    },
    /// What was there has been checked.
    Checked {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Chunks that are not what they were when they came.
        damaged: Ranges,
        /// The values of all others that were there.
        tree: HashTree,
    },
    /// A file is where it belongs, or could not be moved there.
    Finished {
        /// The transfer.
        id: TransferId,
        /// The file.
        file: u32,
        /// Why not.
        result: Result<(), Reason>,
    },
}

impl Outcome {
    /// Which transfer it is about.
    pub const fn id(&self) -> TransferId {
        match self {
            Self::Read { id, .. }
            | Self::Begun { id, .. }
            | Self::Written { id, .. }
            | Self::Checked { id, .. }
            | Self::Finished { id, .. } => *id,
        }
    }
}
