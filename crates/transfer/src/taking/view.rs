//! How it is doing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Stage, Taking};
use crate::manifest::Manifest;
use crate::messages::TransferId;
use crate::progress::{End, FileState, Progress, TransferState};

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
            Some(taken) if !taken.unchecked.is_empty() || taken.is_all_there() => FileState::Checking,
            Some(taken) if !taken.have.is_empty() => FileState::Moving(taken.chunks.bytes(&taken.have)),
            Some(_) | None => FileState::Waiting,
        }
    }

    /// How its files ended that have.
    pub(crate) fn ends(&self) -> &BTreeMap<u32, End> {
        &self.ends
    }

    pub(crate) fn progress(&self) -> Progress {
        let state = match self.stage {
            Stage::Listing(_) | Stage::Offered | Stage::Beginning => TransferState::Offered,
            Stage::Going => TransferState::Going,
            Stage::Ended | Stage::Declined(_) => TransferState::Ended,
        };
        let files = self.wanted.iter().map(|file| file as u32);
        let states = files.map(|file| (self.manifest.size(file).unwrap_or_default(), self.file_state(file)));
        Progress::of(state, self.paused, states)
    }
}
