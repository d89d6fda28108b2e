//! How far transfers are, for whoever looks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::messages::Reason;

/// Who has stopped something for now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// Somebody on this side.
    pub here: bool,
    /// Somebody on the other.
    pub there: bool,
}

impl Paused {
    /// Whether nothing moves.
    pub fn is_on(self) -> bool {
        self.here || self.there
    }
}

/// Which of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This one.
    Here,
    /// The other one.
    There,
}

impl Paused {
    pub(crate) fn set(&mut self, side: Side, on: bool) {
        match side {
            Side::Here => self.here = on,
            Side::There => self.there = on,
        }
    }
}

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It is complete, checked, on the disk of whom it was for, and where it belongs.
    Done,
    /// It will not be.
    Failed(Reason),
    /// It was not wanted.
    Skipped,
}

/// Why files failed, where any did: the first reason.
pub(crate) fn failure(ends: &BTreeMap<u32, End>) -> Option<Reason> {
    ends.values().find_map(|end| match end {
        End::Failed(reason) => Some(*reason),
        End::Done | End::Skipped => None,
    })
}

/// How a file is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Others come first.
    Waiting,
    /// So many bytes are there, as far as is known here.
    Moving(u64),
    /// All bytes are there; whether they are right, and on the disk, is not known yet.
    Checking,
    /// It is over.
    Ended(End),
}

/// How a transfer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferState {
    /// Nobody has decided about it yet.
    Offered,
    /// It moves, unless it is paused or there is no connection.
    Going,
    /// Each of its files has ended.
    Ended,
}

/// A transfer at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How it is doing.
    pub state: TransferState,
    /// Who has stopped it.
    pub paused: Paused,
    /// Files that are wanted.
    pub files: u32,
    /// Of these, ended ones that are where they belong.
    pub done: u32,
    /// Of these, ended ones that are not.
    pub failed: u32,
    /// Bytes of the files that are wanted.
    pub bytes: u64,
    /// Bytes that are there. Those of files that failed are not counted.
    pub moved: u64,
}

impl Progress {
    /// Of files that are wanted, with the size of each.
    pub(crate) fn of(
        state: TransferState,
        paused: Paused,
        files: impl Iterator<Item = (u64, FileState)>,
    ) -> Self {
        let mut progress = Self { state, paused, files: 0, done: 0, failed: 0, bytes: 0, moved: 0 };
        files.for_each(|(size, state)| progress.add(size, state));
        progress
    }

    fn add(&mut self, size: u64, state: FileState) {
        self.files += 1;
        self.bytes += size;
        match state {
            FileState::Waiting | FileState::Ended(End::Skipped) => {}
            FileState::Moving(bytes) => self.moved += bytes,
            FileState::Checking => self.moved += size,
            FileState::Ended(End::Done) => (self.done, self.moved) = (self.done + 1, self.moved + size),
            FileState::Ended(End::Failed(_)) => self.failed += 1,
        }
    }
}
