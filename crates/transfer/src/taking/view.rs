//! How it is doing.

use std::sync::Arc;

use super::{Stage, Taking};
use crate::link::Past;
use crate::manifest::Manifest;
use crate::messages::{Reason, TransferId};
use crate::progress::{FileState, Progress, TransferState, failure};

impl Taking {
    pub(crate) fn id(&self) -> TransferId {
        self.id
    }

    pub(crate) fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    pub(crate) fn file_state(&self, file: u32) -> FileState {
        if let Some(end) = self.ends.get(&file) {
            return FileState::Ended(*end);
        }
        match self.files.get(&file) {
            Some(taken) if taken.is_all_there() && taken.unchecked.is_empty() => FileState::Checking,
            Some(taken) if !taken.have.is_empty() => FileState::Moving(taken.chunks.bytes(&taken.have)),
            Some(_) | None => FileState::Waiting,
        }
    }

    /// Whether it waits for the other side. Before it was accepted that is the other side's business.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Going) && !self.paused.here
    }

    /// Entries that are known of it, or were announced, before somebody has decided.
    pub(crate) fn undecided_entries(&self) -> Option<u32> {
        match &self.stage {
            Stage::Listing(listing) => Some(listing.announced()),
            Stage::Offered => Some(self.manifest.len()),
            Stage::Beginning | Stage::Going | Stage::Declined(_) | Stage::Ended => None,
        }
    }

    /// Whether it is over here, and the other side has not spoken of it since there is a connection.
    pub(crate) fn is_left_over(&self) -> bool {
        !self.heard && matches!(self.stage, Stage::Ended | Stage::Declined(_))
    }

    /// Whether it is not over.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Ended | Stage::Declined(_))
    }

    fn declined_for(&self) -> Option<Reason> {
        match self.stage {
            Stage::Declined(reason) => Some(reason),
            _ => None,
        }
    }

    /// Why it was paused, not taken, or some of its files failed.
    pub(crate) fn why(&self) -> Option<Reason> {
        self.trouble.or(self.declined_for()).or_else(|| failure(&self.ends))
    }

    /// How it was in the end.
    pub(crate) fn past(&self) -> Past {
        Past { id: self.id, progress: self.progress(), ends: self.ends.clone(), trouble: self.why() }
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = match self.stage {
            Stage::Listing(_) | Stage::Offered | Stage::Beginning => TransferState::Offered,
            Stage::Going => TransferState::Going,
            Stage::Ended | Stage::Declined(_) => TransferState::Ended,
        };
        // Before it is decided all of it may be wanted.
        let is_decided = !matches!(self.stage, Stage::Listing(_) | Stage::Offered);
        let is_wanted = |file: u32| !is_decided || self.wanted.contains(u64::from(file));
        let files = self.manifest.files().filter(|(file, _)| is_wanted(*file));
        let states = files.map(|(file, size)| (size, self.file_state(file)));
        Progress::of(state, self.paused, states)
    }
}
