//! A transfer that is taken: what is wanted of it, what is there, and when its files are complete.

mod telling;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::Moment;
use crate::disk::Job;
use crate::link::Output;
use crate::manifest::{Entry, Listing, Manifest, ManifestError};
use crate::messages::{Chunk, FileHash, Reason, Said, TransferId, said_runs};
use crate::progress::{End, Paused, Side};
use crate::ranges::Ranges;
use crate::taken::{Record, Taken};
use crate::tree::{CHUNK, HashTree, Value};

/// Bytes that may be on their way here or wait to be written, in all transfers together. At 100 ms there and back it carries
/// 670 Mb/s.
pub const WINDOW: u64 = 8 * 1024 * 1024;
/// After so many bytes it is said what has been written.
const SAID_EVERY: u64 = WINDOW / 16;
/// Or after so long.
const SAID_AFTER: Duration = Duration::from_millis(25);
/// Chunks of a file that may arrive damaged before it is given up.
const MOST_DAMAGED: u32 = 64;

#[derive(Debug)]
enum Stage {
    /// Its entries are coming.
    Listing(Listing),
    /// Somebody has to decide.
    Offered,
    /// Everything is being made ready.
    Beginning,
    Going,
    /// None of it was wanted.
    Declined(Reason),
    Ended,
}

/// A transfer that is taken.
#[derive(Debug)]
pub(crate) struct Taking {
    id: TransferId,
    stage: Stage,
    manifest: Arc<Manifest>,
    wanted: Ranges,
    files: BTreeMap<u32, Taken>,
    ends: BTreeMap<u32, End>,
    /// Files of which something was there after a restart, and whether one of them is being checked.
    to_check: BTreeSet<u32>,
    checking: bool,
    paused: Paused,
    /// Why it was paused without anybody asking for that.
    pub(crate) trouble: Option<Reason>,
    /// Whether it was offered since there is a connection, and whether the other side knows what is here.
    heard: bool,
    agreed: bool,
    /// Files of which more has been written than was told, since when, and how many bytes that is.
    to_tell: BTreeSet<u32>,
    to_tell_since: Option<Moment>,
    to_tell_bytes: u64,
    over_heard: bool,
    over_said: bool,
}

impl Taking {
    /// Of which only the id is known.
    pub(crate) fn offered(id: TransferId, entries: u32, bytes: u64) -> Result<Self, ManifestError> {
        let listing = Listing::new(entries, bytes)?;
        Ok(Self::new(id, Stage::Listing(listing), Arc::default()))
    }

    /// From before a restart.
    pub(crate) fn restored(mut record: Record) -> Self {
        let mut taking = Self::new(record.id, Stage::Going, record.manifest);
        for file in record.wanted.iter().map(|file| file as u32) {
            if let Some(size) = taking.manifest.size(file).filter(|_| !record.ends.contains_key(&file)) {
                let have = record.have.remove(&file).unwrap_or_default();
                if !have.is_empty() {
                    taking.to_check.insert(file);
                }
                taking.files.insert(file, Taken::new(size, have));
            }
        }
        (taking.wanted, taking.ends) = (record.wanted, record.ends);
        if taking.files.is_empty() {
            taking.stage = Stage::Ended;
        }
        taking
    }

    fn new(id: TransferId, stage: Stage, manifest: Arc<Manifest>) -> Self {
        Self {
            id,
            stage,
            manifest,
            wanted: Ranges::default(),
            files: BTreeMap::new(),
            ends: BTreeMap::new(),
            to_check: BTreeSet::new(),
            checking: false,
            paused: Paused::default(),
            trouble: None,
            heard: false,
            agreed: false,
            to_tell: BTreeSet::new(),
            to_tell_since: None,
            to_tell_bytes: 0,
            over_heard: false,
            over_said: false,
        }
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.over_said && self.over_heard
    }

    /// The other side has forgotten what is over.
    pub(crate) fn forget_left_over(&mut self) {
        if self.is_left_over() {
            (self.over_said, self.over_heard) = (true, true);
        }
    }

    /// The connection is gone, and what was on its way with it.
    pub(crate) fn lost(&mut self) {
        (self.heard, self.agreed, self.to_tell_since) = (false, false, None);
        // Whoever has stopped it there says so again.
        self.paused.there = false;
        for taken in self.files.values_mut() {
            taken.hash = None;
            taken.paused.there = false;
        }
        if let Stage::Listing(listing) = &mut self.stage {
            listing.begin_anew();
        }
    }

    /// The other side offers it, for the first time or again.
    pub(crate) fn offer(&mut self, out: &mut Vec<Output>) {
        (self.heard, self.over_said, self.over_heard) = (true, false, false);
        match &self.stage {
            Stage::Listing(_) => out.push(Output::Say(Said::List { id: self.id })),
            Stage::Offered | Stage::Beginning => {}
            Stage::Going | Stage::Ended => self.agree(out),
            Stage::Declined(reason) => {
                out.push(Output::Say(Said::Decline { id: self.id, reason: *reason }));
                self.settle(out);
            }
        }
    }

    /// Says what is here, and what is wanted.
    fn agree(&mut self, out: &mut Vec<Output>) {
        self.agreed = true;
        let id = self.id;
        for (file, taken) in &self.files {
            let mut runs = taken.have.runs(0).peekable();
            while runs.peek().is_some() {
                let chunks = said_runs(runs.by_ref());
                out.push(Output::Say(Said::Have { id, file: *file, chunks }));
            }
        }
        let mut wanted = self.wanted.runs(0).peekable();
        while wanted.peek().is_some() {
            out.push(Output::Say(Said::Want { id, files: said_runs(wanted.by_ref()) }));
        }
        drop(wanted);
        out.push(Output::Say(Said::Answer { id, window: WINDOW }));
        let paused = self.files.iter().filter(|(_, taken)| taken.paused.here).map(|(file, _)| *file);
        out.extend(paused.map(|file| Output::Say(Said::Pause { id, file: Some(file), reason: None })));
        if self.paused.here {
            out.push(Output::Say(Said::Pause { id, file: None, reason: self.trouble }));
        }
        for (file, end) in &self.ends {
            match *end {
                End::Done => out.push(Output::Say(Said::Done { id, file: *file })),
                End::Failed(reason) => out.push(Output::Say(Said::Failed { id, file: *file, reason })),
                End::Skipped => {}
            }
        }
        self.settle(out);
    }

    /// Some of its entries come.
    pub(crate) fn list(&mut self, first: u32, entries: Vec<Entry>, out: &mut Vec<Output>) {
        let Stage::Listing(listing) = &mut self.stage else { return };
        match listing.add(first, entries) {
            Ok(None) => {}
            Ok(Some(manifest)) => {
                (self.manifest, self.stage) = (Arc::new(manifest), Stage::Offered);
                out.push(Output::Offered(self.id));
            }
            Err(_) => self.decline(Reason::Protocol, out),
        }
    }

    /// These files are wanted; all that there are without.
    pub(crate) fn accept(&mut self, files: Option<&Ranges>, out: &mut Vec<Output>) {
        if !matches!(self.stage, Stage::Offered) {
            return;
        }
        let is_wanted = |file: u32| files.is_none_or(|files| files.contains(u64::from(file)));
        let all: Vec<(u32, u64)> = self.manifest.files().collect();
        for (file, size) in all {
            match is_wanted(file) {
                true => {
                    self.wanted.insert(u64::from(file));
                    self.files.insert(file, Taken::new(size, Ranges::default()));
                }
                false => _ = self.ends.insert(file, End::Skipped),
            }
        }
        self.stage = Stage::Beginning;
        let (manifest, files) = (Arc::clone(&self.manifest), self.wanted.clone());
        out.push(Output::Disk(Job::Begin { id: self.id, manifest, files }));
    }

    /// None of it is wanted.
    pub(crate) fn decline(&mut self, reason: Reason, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Listing(_) | Stage::Offered | Stage::Beginning) {
            if matches!(self.stage, Stage::Beginning) {
                out.push(Output::Disk(Job::Forget { id: self.id }));
            }
            self.stage = Stage::Declined(reason);
            self.files.clear();
            self.manifest = Arc::default();
            out.extend([Output::Say(Said::Decline { id: self.id, reason }), Output::Changed(self.id)]);
            self.settle(out);
        }
    }

    /// Everything is ready for its files, or can't be.
    pub(crate) fn begun(&mut self, result: Result<(), Reason>, out: &mut Vec<Output>) {
        match (&self.stage, result) {
            (Stage::Beginning, Ok(())) => {
                self.stage = Stage::Going;
                if self.heard {
                    self.agree(out);
                }
                out.push(Output::Changed(self.id));
            }
            (Stage::Beginning, Err(reason)) => self.decline(reason, out),
            _ => {}
        }
    }

    /// Part of a file comes. How many bytes of it are to be written.
    pub(crate) fn chunk(&mut self, chunk: Chunk, now: Moment, out: &mut Vec<Output>) -> u64 {
        let is_going = self.agreed && matches!(self.stage, Stage::Going);
        let Some(taken) = self.files.get_mut(&chunk.file).filter(|_| is_going) else { return 0 };
        let (number, length) = (chunk.number, chunk.content.len());
        if length != taken.chunks.length(number) {
            self.fail(chunk.file, Reason::Protocol, out);
        } else if taken.have.contains(number) {
            self.tell(chunk.file, length as u64, now);
        } else if taken.writing.insert(number) {
            out.push(Output::Disk(Job::Write(chunk)));
            return length as u64;
        }
        0
    }

    /// A chunk was written, or was not.
    pub(crate) fn written(
        &mut self,
        file: u32,
        number: u64,
        result: Result<Value, Reason>,
        now: Moment,
        out: &mut Vec<Output>,
    ) {
        let Some(taken) = self.files.get_mut(&file) else { return };
        taken.writing.remove(number);
        match result {
            Ok(value) => {
                if taken.have.insert(number) {
                    taken.tree.insert(number, value);
                }
                let bytes = taken.chunks.length(number) as u64;
                self.tell(file, bytes, now);
                self.complete(file, out);
                out.push(Output::Changed(self.id));
            }
            Err(reason @ (Reason::Damaged | Reason::NoSpace | Reason::Unwritable)) => {
                taken.damaged += u32::from(reason == Reason::Damaged);
                if taken.damaged > MOST_DAMAGED {
                    return self.fail(file, Reason::Damaged, out);
                }
                if reason != Reason::Damaged {
                    self.stop_for(reason, out);
                }
                out.push(Output::Say(Said::Again { id: self.id, file, chunks: vec![(number, number)] }));
            }
            Err(reason) => self.fail(file, reason, out),
        }
    }

    /// Somebody has to see to something before it can go on.
    fn stop_for(&mut self, reason: Reason, out: &mut Vec<Output>) {
        if self.trouble.replace(reason).is_none() {
            self.paused.here = true;
            out.push(Output::Say(Said::Pause { id: self.id, file: None, reason: Some(reason) }));
            out.push(Output::Changed(self.id));
        }
    }

    /// What was there after a restart has been checked.
    pub(crate) fn checked(&mut self, file: u32, damaged: &Ranges, tree: HashTree, out: &mut Vec<Output>) {
        self.checking = false;
        let Some(taken) = self.files.get_mut(&file) else { return };
        taken.unchecked = Ranges::default();
        taken.tree.absorb(tree);
        for (start, end) in damaged.runs(0) {
            taken.have.remove_run(start, end);
        }
        self.ask_again(file, damaged, out);
        self.complete(file, out);
    }

    fn ask_again(&self, file: u32, chunks: &Ranges, out: &mut Vec<Output>) {
        let mut runs = chunks.runs(0).peekable();
        while self.agreed && runs.peek().is_some() {
            let chunks = said_runs(runs.by_ref());
            out.push(Output::Say(Said::Again { id: self.id, file, chunks }));
        }
    }

    /// All of a file has been read on the other side.
    pub(crate) fn hash(&mut self, file: u32, hash: FileHash, out: &mut Vec<Output>) {
        if let Some(taken) = self.files.get_mut(&file) {
            taken.hash = Some(hash.0);
            self.complete(file, out);
        }
    }

    /// Sees whether a file is complete, and what it should be.
    fn complete(&mut self, file: u32, out: &mut Vec<Output>) {
        let Some(taken) = self.files.get_mut(&file) else { return };
        let (Some(wanted), Some(hash), true) = (taken.hash, taken.tree.hash(), taken.is_all_there()) else {
            return;
        };
        if taken.finishing || !taken.unchecked.is_empty() {
            return;
        }
        if wanted == hash {
            taken.finishing = true;
            out.push(Output::Disk(Job::Finish { id: self.id, file }));
        } else if std::mem::replace(&mut taken.anew, true) {
            self.fail(file, Reason::Damaged, out);
        } else {
            // It is another file than the one of which the first part came, before a restart.
            taken.have = Ranges::default();
            taken.tree = HashTree::new(taken.chunks);
            taken.hash = None;
            let all = Ranges::below(taken.chunks.count());
            out.push(Output::Disk(Job::Anew { id: self.id, file }));
            self.ask_again(file, &all, out);
        }
    }

    /// A file is where it belongs, or can't be.
    pub(crate) fn finished(&mut self, file: u32, result: Result<(), Reason>, out: &mut Vec<Output>) {
        match result {
            Ok(()) if !self.files.contains_key(&file) => {}
            Ok(()) => {
                out.push(Output::Say(Said::Done { id: self.id, file }));
                self.end(file, End::Done, out);
            }
            Err(reason @ (Reason::NoSpace | Reason::Unwritable)) => {
                if let Some(taken) = self.files.get_mut(&file) {
                    taken.finishing = false;
                }
                self.stop_for(reason, out);
            }
            Err(reason) => self.fail(file, reason, out),
        }
    }

    /// The other side has given a file up.
    pub(crate) fn failed(&mut self, file: u32, reason: Reason, out: &mut Vec<Output>) {
        if self.files.contains_key(&file) {
            out.push(Output::Disk(Job::GiveUp { id: self.id, file, reason }));
            self.end(file, End::Failed(reason), out);
        }
    }

    /// This side gives a file up, and says so.
    pub(crate) fn fail(&mut self, file: u32, reason: Reason, out: &mut Vec<Output>) {
        out.push(Output::Say(Said::Failed { id: self.id, file, reason }));
        self.failed(file, reason, out);
    }

    /// Somebody ends it.
    pub(crate) fn cancel(&mut self, file: Option<u32>, out: &mut Vec<Output>) {
        if file.is_none() {
            self.decline(Reason::Cancelled, out);
        }
        let files: Vec<u32> =
            self.files.keys().copied().filter(|of| file.is_none_or(|file| file == *of)).collect();
        for file in files {
            self.failed(file, Reason::Cancelled, out);
        }
    }

    /// Somebody stops it for now, or has it go on.
    pub(crate) fn pause(&mut self, file: Option<u32>, side: Side, on: bool, out: &mut Vec<Output>) {
        match file {
            None => {
                self.paused.set(side, on);
                self.trouble = self.trouble.filter(|_| self.paused.here);
                // What could not be finished is tried again.
                let files: Vec<u32> = if on { Vec::new() } else { self.files.keys().copied().collect() };
                files.into_iter().for_each(|file| self.complete(file, out));
            }
            Some(file) => {
                if let Some(taken) = self.files.get_mut(&file) {
                    taken.paused.set(side, on);
                }
            }
        }
        out.push(Output::Changed(self.id));
    }

    fn end(&mut self, file: u32, end: End, out: &mut Vec<Output>) {
        if self.files.remove(&file).is_some() {
            self.ends.insert(file, end);
            out.push(Output::Changed(self.id));
            self.settle(out);
        }
    }

    /// The other side knows that all of it has ended.
    pub(crate) fn over(&mut self, out: &mut Vec<Output>) {
        self.over_heard = true;
        if matches!(self.stage, Stage::Listing(_) | Stage::Offered | Stage::Beginning) {
            self.stage = Stage::Ended;
            out.push(Output::Changed(self.id));
        }
        let left: Vec<u32> = self.files.keys().copied().collect();
        for file in left {
            self.failed(file, Reason::Cancelled, out);
        }
        self.settle(out);
    }

    /// Says that it is over once all files have ended.
    fn settle(&mut self, out: &mut Vec<Output>) {
        let is_over = match self.stage {
            Stage::Going => self.files.is_empty(),
            Stage::Ended | Stage::Declined(_) => true,
            Stage::Listing(_) | Stage::Offered | Stage::Beginning => false,
        };
        if is_over && !std::mem::replace(&mut self.over_said, true) {
            if matches!(self.stage, Stage::Going) {
                self.stage = Stage::Ended;
            }
            out.push(Output::Say(Said::Over { id: self.id }));
        }
    }
}

const _: () = assert!(SAID_EVERY >= CHUNK);
