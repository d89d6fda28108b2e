//! How it is doing.

use super::Giving;
use crate::link::Past;
use crate::messages::Reason;
use crate::progress::{FileState, Progress, failure};

impl Giving {
    pub(crate) fn file_state(&self, file: u32) -> FileState {
        if let Some(end) = self.ends.get(&file) {
            return FileState::Ended(*end);
        }
        let Some(given) = self.files.get(&file) else { return FileState::Waiting };
        let under_way = given.chunks.bytes(&given.flying) + given.chunks.bytes(&given.reading);
        match given.sent.len() == given.chunks.count() && under_way == 0 {
            true => FileState::Checking,
            false => FileState::Moving(given.chunks.bytes(&given.sent).saturating_sub(under_way)),
        }
    }

    /// Whether it waits for the other side: until both know that it is over, or somebody here has stopped it.
    pub(crate) fn is_busy(&self) -> bool {
        !self.paused.here
    }

    /// Why it was paused, not taken, or some of its files failed.
    pub(crate) fn why(&self) -> Option<Reason> {
        self.trouble.or_else(|| failure(&self.ends))
    }

    /// How it was in the end.
    pub(crate) fn past(&self) -> Past {
        Past { id: self.id, progress: self.progress(), ends: self.ends.clone(), trouble: self.why() }
    }

    pub(crate) fn progress(&self) -> Progress {
        // Before it is decided all of it may be wanted, and of a restart it may not be known yet what was.
        let is_wanted = |file: u32| self.wanted.is_empty() || self.wanted.contains(u64::from(file));
        let files = self.manifest.files().filter(|(file, _)| is_wanted(*file));
        let states = files.map(|(file, size)| (size, self.file_state(file)));
        Progress::of(self.state, self.paused, states)
    }
}
