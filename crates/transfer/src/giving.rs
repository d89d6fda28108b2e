//! A transfer that is given: what has been offered, which chunks leave next, and when its files are done.

mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::Moment;
use crate::disk::Job;
use crate::given::{Given, GivenRecord, existing};
use crate::link::Output;
use crate::manifest::Manifest;
use crate::messages::{Chunk, FileHash, Reason, Run, Said, TransferId};
use crate::progress::{End, Paused, Side, TransferState};
use crate::ranges::Ranges;
use crate::tree::{Chunks, Value};

/// Files that are begun and not done: the next begin while others are on their way and checked, so that many small ones do not take
/// a round trip each.
const MOST_AT_ONCE: usize = 1_024;
/// Entries in one message: names of 255 bytes fit, and quotes in them.
const ENTRIES_AT_ONCE: usize = 64;
/// Chunks that are read only for the hash at the same time.
const HASHED_AT_ONCE: u64 = 4;
/// So long chunks may be on their way without a word of any of them.
pub(crate) const NO_ANSWER: Duration = Duration::from_secs(60);

/// How many bytes may be read now in order to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(pub(crate) u64);

impl Budget {
    fn take(&mut self, bytes: u64) -> bool {
        let is_enough = self.0 >= bytes;
        if is_enough {
            self.0 -= bytes;
        }
        is_enough
    }
}

/// A transfer that is given.
#[derive(Debug)]
pub(crate) struct Giving {
    id: TransferId,
    manifest: Arc<Manifest>,
    /// How many files are in it.
    count: usize,
    state: TransferState,
    /// Whether the other side has answered since there is a connection, so that it is known what it has.
    agreed: bool,
    /// Files that are wanted.
    wanted: Ranges,
    /// Of these, the ones that were not begun.
    waiting: Ranges,
    files: BTreeMap<u32, Given>,
    /// Of these, the ones of which chunks are to be sent, of which some are to be read for the hash, and whose hash is to be said.
    to_send: BTreeSet<u32>,
    to_hash: BTreeSet<u32>,
    to_say: BTreeSet<u32>,
    ends: BTreeMap<u32, End>,
    /// Chunks that the other side has from before, of files that are not being sent yet.
    have: BTreeMap<u32, Ranges>,
    paused: Paused,
    /// Why it was paused without anybody asking for that, on either side.
    pub(crate) trouble: Option<Reason>,
    paused_files: BTreeMap<u32, Paused>,
    /// Bytes that were sent or are being read, and are not acknowledged.
    pub(crate) under_way: u64,
    /// Of these, the ones that are being read.
    pub(crate) reading: u64,
    /// Since when nothing was heard of what is on its way.
    silent_since: Option<Moment>,
    pub(crate) over_heard: bool,
    over_said: bool,
}

impl Giving {
    pub(crate) fn restored(record: GivenRecord) -> Self {
        let mut giving = Self::new(record.id, record.manifest);
        giving.ends = record.ends;
        if giving.count > 0 && giving.ends.len() == giving.count {
            giving.state = TransferState::Ended;
        }
        giving
    }

    pub(crate) fn new(id: TransferId, manifest: Arc<Manifest>) -> Self {
        Self {
            id,
            count: manifest.files().count(),
            manifest,
            state: TransferState::Offered,
            agreed: false,
            wanted: Ranges::default(),
            waiting: Ranges::default(),
            files: BTreeMap::new(),
            to_send: BTreeSet::new(),
            to_hash: BTreeSet::new(),
            to_say: BTreeSet::new(),
            ends: BTreeMap::new(),
            have: BTreeMap::new(),
            paused: Paused::default(),
            trouble: None,
            paused_files: BTreeMap::new(),
            under_way: 0,
            reading: 0,
            silent_since: None,
            over_heard: false,
            over_said: false,
        }
    }

    pub(crate) fn id(&self) -> TransferId {
        self.id
    }

    /// Whether both sides know that it is over.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.over_said && self.over_heard
    }

    /// There is a connection: what is known is said from the beginning.
    pub(crate) fn connected(&mut self, out: &mut Vec<Output>) {
        self.have.clear();
        self.over_said = false;
        self.lost();
        let (entries, bytes) = (self.manifest.len(), self.manifest.bytes());
        let ended = self.state == TransferState::Ended;
        out.push(Output::Say(Said::Offer { id: self.id, entries, bytes, ended }));
        for (file, paused) in &self.paused_files {
            if paused.here {
                out.push(Output::Say(Said::Pause { id: self.id, file: Some(*file), reason: None }));
            }
        }
        if self.paused.here {
            out.push(Output::Say(Said::Pause { id: self.id, file: None, reason: None }));
        }
        self.say_ends(out);
    }

    /// Files that ended on this side, which the other may not have heard.
    fn say_ends(&mut self, out: &mut Vec<Output>) {
        for (file, end) in &self.ends {
            if let End::Failed(reason) = *end {
                out.push(Output::Say(Said::Failed { id: self.id, file: *file, reason }));
            }
        }
        self.settle(out);
    }

    /// Nothing counts any more that is on its way.
    fn lost_sight(&mut self) {
        (self.agreed, self.under_way, self.reading, self.silent_since) = (false, 0, 0, None);
        self.files.values_mut().for_each(|given| given.begin_anew(Ranges::default()));
    }

    /// The connection is gone.
    pub(crate) fn lost(&mut self) {
        self.lost_sight();
        // Whoever has stopped it there says so again.
        self.paused.there = false;
        self.paused_files.values_mut().for_each(|paused| paused.there = false);
    }

    /// Part of the manifest, from an entry on, and where the next one begins.
    pub(crate) fn page(&self, first: u32) -> Option<(Said, u32)> {
        let rest = self.manifest.entries().get(first as usize..)?;
        let entries =
            rest.get(..ENTRIES_AT_ONCE.min(rest.len())).filter(|entries| !entries.is_empty())?.to_vec();
        let next = first + entries.len() as u32;
        Some((Said::Manifest { id: self.id, first, entries }, next))
    }

    /// Chunks that the other side has from before.
    pub(crate) fn have(&mut self, file: u32, runs: &[Run]) {
        let Some(chunks) = self.manifest.size(file).map(Chunks::of) else { return };
        let have = self.have.entry(file).or_default();
        for (start, end) in existing(runs, chunks.count()) {
            have.insert_run(start, end);
        }
    }

    /// The other side wants these files.
    pub(crate) fn want(&mut self, runs: &[Run]) {
        if self.state == TransferState::Offered {
            for number in existing(runs, u64::from(self.manifest.len())).flat_map(|(start, end)| start..end) {
                if self.manifest.size(number as u32).is_some() {
                    self.wanted.insert(number);
                }
            }
        }
    }

    /// It has said all that it wants, and what it has.
    pub(crate) fn answer(&mut self, out: &mut Vec<Output>) {
        if self.state == TransferState::Ended || self.agreed {
            return;
        }
        self.lost_sight();
        (self.state, self.agreed) = (TransferState::Going, true);
        let skipped = self.manifest.files().filter(|(file, _)| !self.wanted.contains(u64::from(*file)));
        for (file, _) in skipped {
            self.ends.entry(file).or_insert(End::Skipped);
        }
        self.waiting = self.wanted.clone();
        for file in self.ends.keys() {
            self.waiting.remove(u64::from(*file));
        }
        // What was being sent goes on with what the other side says that it has.
        let begun: Vec<u32> = self.files.keys().copied().collect();
        for file in begun {
            self.waiting.remove(u64::from(file));
            self.begin(file);
        }
        out.push(Output::Changed(self.id));
        // Those that were taken back before it was accepted.
        self.say_ends(out);
    }

    /// A file is sent, from what the other side has of it.
    fn begin(&mut self, file: u32) {
        let Some(size) = self.manifest.size(file) else { return };
        let given = self.files.entry(file).or_insert_with(|| Given::new(size));
        given.begin_anew(self.have.remove(&file).unwrap_or_default());
        self.to_send.insert(file);
        self.to_hash.insert(file);
        if given.tree.hash().is_some() {
            self.to_say.insert(file);
        }
    }

    /// The other side wants none of it.
    pub(crate) fn declined(&mut self, reason: Reason, out: &mut Vec<Output>) {
        self.end_all(End::Failed(reason), out);
    }

    /// These chunks have been written there.
    pub(crate) fn got(&mut self, file: u32, below: u64, runs: &[Run], now: Moment, out: &mut Vec<Output>) {
        self.silent_since = Some(now);
        let Some(given) = self.files.get_mut(&file) else { return };
        let is_there = |number: u64| {
            number < below || runs.iter().any(|(first, last)| (*first..=*last).contains(&number))
        };
        let arrived: Vec<u64> = given.flying.iter().filter(|number| is_there(*number)).collect();
        for number in arrived {
            given.flying.remove(number);
            self.under_way = self.under_way.saturating_sub(given.chunks.length(number) as u64);
        }
        if self.under_way == 0 {
            self.silent_since = None;
        }
        out.push(Output::Changed(self.id));
    }

    /// These chunks were not what they should be.
    pub(crate) fn again(&mut self, file: u32, runs: &[Run]) {
        if let Some((have, size)) = self.have.get_mut(&file).zip(self.manifest.size(file)) {
            existing(runs, Chunks::of(size).count()).for_each(|(start, end)| have.remove_run(start, end));
        }
        let Some(given) = self.files.get_mut(&file) else { return };
        for (start, end) in existing(runs, given.chunks.count()) {
            let flying: Vec<u64> =
                given.flying.iter().filter(|number| (start..end).contains(number)).collect();
            for number in flying {
                given.flying.remove(number);
                self.under_way = self.under_way.saturating_sub(given.chunks.length(number) as u64);
            }
            given.sent.remove_run(start, end);
        }
        for (start, end) in given.reading.runs(0) {
            given.sent.insert_run(start, end);
        }
        self.to_send.insert(file);
        if given.tree.hash().is_some() {
            self.to_say.insert(file);
        }
    }

    /// A file is where it belongs.
    pub(crate) fn done(&mut self, file: u32, out: &mut Vec<Output>) {
        if self.wanted.contains(u64::from(file)) {
            self.end(file, End::Done, out);
        }
    }

    /// The other side has given a file up.
    pub(crate) fn failed(&mut self, file: u32, reason: Reason, out: &mut Vec<Output>) {
        self.end(file, End::Failed(reason), out);
    }

    /// This side gives a file up, and says so.
    fn fail(&mut self, file: u32, reason: Reason, out: &mut Vec<Output>) {
        out.push(Output::Say(Said::Failed { id: self.id, file, reason }));
        self.end(file, End::Failed(reason), out);
    }

    /// Somebody stops it for now, or has it go on.
    pub(crate) fn pause(&mut self, file: Option<u32>, side: Side, on: bool, out: &mut Vec<Output>) {
        match file {
            None => {
                self.paused.set(side, on);
                self.trouble = self.trouble.filter(|_| self.paused.is_on());
                // Nobody was expected to say anything meanwhile.
                self.silent_since = None;
            }
            Some(file) if self.manifest.size(file).is_some() => {
                self.paused_files.entry(file).or_default().set(side, on);
            }
            Some(_) => return,
        }
        out.push(Output::Changed(self.id));
    }

    /// Somebody ends it.
    pub(crate) fn cancel(&mut self, file: Option<u32>, out: &mut Vec<Output>) {
        match file {
            None => self.end_all(End::Failed(Reason::Cancelled), out),
            Some(file) => self.end(file, End::Failed(Reason::Cancelled), out),
        }
    }

    fn end(&mut self, file: u32, end: End, out: &mut Vec<Output>) {
        if self.manifest.size(file).is_none() || self.ends.contains_key(&file) {
            return;
        }
        if let Some(given) = self.files.remove(&file) {
            let (flying, reading) = (given.chunks.bytes(&given.flying), given.chunks.bytes(&given.reading));
            self.under_way = self.under_way.saturating_sub(flying + reading);
            self.reading = self.reading.saturating_sub(reading);
        }
        self.waiting.remove(u64::from(file));
        for files in [&mut self.to_send, &mut self.to_hash, &mut self.to_say] {
            files.remove(&file);
        }
        self.ends.insert(file, end);
        out.extend([Output::Disk(Job::Ended { id: self.id, file, end }), Output::Changed(self.id)]);
        self.settle(out);
    }

    fn end_all(&mut self, end: End, out: &mut Vec<Output>) {
        let files: Vec<u32> = self.manifest.files().map(|(file, _)| file).collect();
        for file in files {
            if let std::collections::btree_map::Entry::Vacant(entry) = self.ends.entry(file) {
                entry.insert(end);
                out.push(Output::Disk(Job::Ended { id: self.id, file, end }));
            }
        }
        // Also where there are no files, but folders.
        self.state = TransferState::Going;
        self.files.clear();
        for files in [&mut self.to_send, &mut self.to_hash, &mut self.to_say] {
            files.clear();
        }
        self.waiting = Ranges::default();
        (self.under_way, self.reading) = (0, 0);
        out.push(Output::Changed(self.id));
        self.settle(out);
    }

    /// Says that it is over once all files have ended.
    fn settle(&mut self, out: &mut Vec<Output>) {
        let is_decided = self.state != TransferState::Offered || !self.ends.is_empty();
        if is_decided && self.ends.len() == self.count && !self.over_said {
            self.state = TransferState::Ended;
            self.over_said = true;
            out.push(Output::Say(Said::Over { id: self.id }));
        }
    }

    /// The next thing to read, within what may be under way.
    pub(crate) fn next_job(&mut self, budget: &mut Budget, now: Moment) -> Option<Job> {
        if !self.agreed || self.state != TransferState::Going || self.paused.is_on() {
            return None;
        }
        self.chunk_to_send(budget, now).or_else(|| self.chunk_to_hash())
    }

    fn is_paused(&self, file: u32) -> bool {
        self.paused_files.get(&file).is_some_and(|paused| paused.is_on())
    }

    fn chunk_to_send(&mut self, budget: &mut Budget, now: Moment) -> Option<Job> {
        loop {
            let begun = self.to_send.iter().copied().find(|file| !self.is_paused(*file));
            let file = begun.or_else(|| self.begin_next())?;
            let given = self.files.get_mut(&file)?;
            let Some(number) = given.next_to_send() else {
                self.to_send.remove(&file);
                continue;
            };
            let bytes = given.chunks.length(number) as u64;
            if !budget.take(bytes) {
                return None;
            }
            given.sent.insert(number);
            given.reading.insert(number);
            self.under_way += bytes;
            self.reading += bytes;
            self.silent_since.get_or_insert(now);
            return Some(Job::Read { id: self.id, file, number });
        }
    }

    fn begin_next(&mut self) -> Option<u32> {
        if self.files.len() >= MOST_AT_ONCE {
            return None;
        }
        let next = self.waiting.iter().map(|file| file as u32).find(|file| !self.is_paused(*file))?;
        self.waiting.remove(u64::from(next));
        self.begin(next);
        Some(next)
    }

    fn chunk_to_hash(&mut self) -> Option<Job> {
        loop {
            let file = *self.to_hash.first()?;
            let given = self.files.get_mut(&file)?;
            if given.hashing.len() >= HASHED_AT_ONCE {
                return None;
            }
            match given.next_to_hash() {
                Some(number) => {
                    given.hashing.insert(number);
                    return Some(Job::Read { id: self.id, file, number });
                }
                None => _ = self.to_hash.remove(&file),
            }
        }
    }

    /// A chunk was read.
    pub(crate) fn read(
        &mut self,
        file: u32,
        number: u64,
        result: Result<(Bytes, Value), Reason>,
        out: &mut Vec<Output>,
    ) {
        let Some(given) = self.files.get_mut(&file) else { return };
        let is_to_send = given.reading.remove(number);
        given.hashing.remove(number);
        if is_to_send {
            self.reading = self.reading.saturating_sub(given.chunks.length(number) as u64);
        }
        let (content, value) = match result {
            Ok(read) => read,
            Err(reason) => return self.fail(file, reason, out),
        };
        if given.hashed.insert(number) {
            given.tree.insert(number, value);
            if given.tree.hash().is_some() {
                self.to_say.insert(file);
            }
        }
        if is_to_send {
            given.flying.insert(number);
            out.push(Output::Send(Chunk { id: self.id, file, number, value, content }));
        }
    }

    /// Says the hashes of files of which all has been read.
    pub(crate) fn say_hashes(&mut self, out: &mut Vec<Output>) {
        if !self.agreed {
            return;
        }
        for file in std::mem::take(&mut self.to_say) {
            if let Some(hash) = self.files.get(&file).and_then(|given| given.tree.hash()) {
                out.push(Output::Say(Said::Hash { id: self.id, file, hash: FileHash(hash) }));
            }
        }
    }

    /// When it stops, because nothing is heard of what is on its way.
    pub(crate) fn stops_at(&self) -> Option<Moment> {
        let since = self.silent_since.filter(|_| self.under_way > self.reading && !self.paused.is_on())?;
        Some(since + NO_ANSWER)
    }

    /// It stops until somebody has it go on.
    pub(crate) fn stop_for(&mut self, reason: Reason, out: &mut Vec<Output>) {
        self.trouble = Some(reason);
        self.silent_since = None;
        self.pause(None, Side::Here, true, out);
        out.push(Output::Say(Said::Pause { id: self.id, file: None, reason: Some(reason) }));
    }
}
