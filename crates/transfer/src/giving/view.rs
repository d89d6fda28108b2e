//! How it is doing.

use std::collections::BTreeMap;

use super::Giving;
use crate::progress::{End, FileState, Progress};
use crate::tree::CHUNK;

impl Giving {
    pub(crate) fn file_state(&self, file: u32) -> FileState {
        if let Some(end) = self.ends.get(&file) {
            return FileState::Ended(*end);
        }
        let Some(given) = self.files.get(&file) else { return FileState::Waiting };
        let under_way = given.flying.len() + given.reading.len();
        match given.sent.len() == given.chunks.count() && under_way == 0 {
            true => FileState::Checking,
            false => FileState::Moving(given.chunks.bytes(&given.sent).saturating_sub(under_way * CHUNK)),
        }
    }

    /// How its files ended that have.
    pub(crate) fn ends(&self) -> &BTreeMap<u32, End> {
        &self.ends
    }

    pub(crate) fn progress(&self) -> Progress {
        let files = self.wanted.iter().map(|file| file as u32);
        let states = files.map(|file| (self.manifest.size(file).unwrap_or_default(), self.file_state(file)));
        Progress::of(self.state, self.paused, states)
    }
}
