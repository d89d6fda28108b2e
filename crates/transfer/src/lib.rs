//! Files from one computer to another, as both ends see them: what is offered, taken, sent, checked and taken up again after a
//! connection was lost or a program restarted.
//!
//! [`Link`] decides, and does nothing itself: what happens goes in with the time, what is to be done comes out. docs/file-transfer.md
//! is what two of them say to each other.

#![forbid(unsafe_code)]

mod disk;
mod given;
mod giving;
mod link;
mod manifest;
mod messages;
mod names;
mod progress;
mod ranges;
mod rate;
mod taken;
mod taking;
mod tree;
mod view;

pub use disk::{Job, Outcome};
pub use given::GivenRecord;
pub use link::{Command, Input, Link, Output, Past};
pub use manifest::{DEEPEST, Entry, LARGEST, Listing, MOST_ENTRIES, Manifest, ManifestError};
pub use messages::{
    CHUNK_HEADER, Chunk, FileHash, MOST_RUNS, MessageError, NoTransferId, Reason, Run, SAID_LONGEST, Said,
    TransferId,
};
pub use names::{NAME_LONGEST, NameError, NameRules, check_name, numbered};
pub use progress::{End, FileState, Paused, Progress, Side, TransferState};
pub use ranges::Ranges;
pub use rate::Rate;
pub use taken::Record;
pub use taking::WINDOW;
pub use tree::{CHUNK, Chunks, HashTree, Value};
pub use view::{FileStage, FileView, Label, Stage, TransferView, Way, files, trouble_in_words};

/// When something happens: how long after a moment that stays the same for as long as a [`Link`] does.
pub type Moment = std::time::Duration;
