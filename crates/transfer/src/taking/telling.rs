//! What the other side is told of what has been written, and what is checked after a restart.

use crate::Moment;

use super::{SAID_AFTER, SAID_EVERY, Taking, WINDOW};
use crate::disk::Job;
use crate::link::Output;
use crate::messages::{Said, said_runs};

impl Taking {
    /// The other side is to be told that something is there.
    pub(super) fn tell(&mut self, file: u32, bytes: u64, now: Moment) {
        self.to_tell.insert(file);
        self.to_tell_since.get_or_insert(now);
        self.to_tell_bytes += bytes;
    }

    /// What was there after a restart is checked, a file at a time.
    pub(crate) fn next_job(&mut self) -> Option<Job> {
        if self.checking {
            return None;
        }
        loop {
            let file = self.to_check.pop_first()?;
            // Some have ended meanwhile.
            let Some(taken) = self.files.get(&file) else { continue };
            self.checking = true;
            return Some(Job::Check { id: self.id, file, chunks: taken.unchecked.clone() });
        }
    }

    /// Says what has been written, where that is due.
    pub(crate) fn say_got(&mut self, now: Moment, out: &mut Vec<Output>) {
        let is_due = self.said_at().is_some_and(|due| due <= now) || self.to_tell_bytes >= SAID_EVERY;
        if !is_due || !self.agreed {
            return;
        }
        (self.to_tell_since, self.to_tell_bytes) = (None, 0);
        for file in std::mem::take(&mut self.to_tell) {
            let Some(taken) = self.files.get(&file) else { continue };
            let below = taken.have.first_missing(0);
            let chunks = said_runs(taken.have.runs(below));
            out.push(Output::Say(Said::Got { id: self.id, file, below, chunks, window: WINDOW }));
        }
    }

    /// When it is to be said what has been written.
    pub(crate) fn said_at(&self) -> Option<Moment> {
        Some(self.to_tell_since.filter(|_| self.agreed)? + SAID_AFTER)
    }
}
