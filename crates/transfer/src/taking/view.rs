//! How it is doing.

use std::collections::BTreeMap;

use super::{Stage, Taking};
use crate::progress::{End, FileState, Progress, TransferState};

impl Taking {
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
        let mut progress = Progress {
            state,
            paused: self.paused,
            files: self.wanted.len() as u32,
            done: 0,
            failed: 0,
            bytes: 0,
            moved: 0,
        };
        for file in self.wanted.iter().map(|file| file as u32) {
            progress.add(self.manifest.size(file).unwrap_or_default(), self.file_state(file));
        }
        progress
    }
}
