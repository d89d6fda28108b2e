//! Two people, their disks, and the connection between them. Whoever runs it decides what happens next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ahoy_transfer::{
    Chunks, Command, End, Entry, GivenRecord, HashTree, Input, Job, Link, Manifest, Moment, Outcome, Output,
    Past, Ranges, Reason, Record, TransferId, TransferState, Value,
};
use bytes::Bytes;

pub(crate) const ID: TransferId = TransferId::from_bytes([7; 16]);

/// What the disk of whoever takes has of a transfer.
#[derive(Default)]
pub(crate) struct Store {
    manifest: Option<Arc<Manifest>>,
    wanted: Ranges,
    ends: BTreeMap<u32, End>,
    parts: BTreeMap<u32, BTreeMap<u64, (Bytes, Value)>>,
    pub(crate) finished: BTreeMap<u32, Vec<u8>>,
}

pub(crate) struct Side {
    pub(crate) link: Link,
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) offered: bool,
    pub(crate) past: Option<Past>,
}

impl Side {
    fn new(link: Link) -> Self {
        Self { link, jobs: VecDeque::new(), offered: false, past: None }
    }
}

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) gives: Side,
    pub(crate) takes: Side,
    pub(crate) connected: bool,
    pub(crate) said_by_giver: VecDeque<Bytes>,
    pub(crate) said_by_taker: VecDeque<Bytes>,
    pub(crate) chunks: Vec<Bytes>,
    /// Chunks that were sent, each time.
    pub(crate) sent: u64,
    pub(crate) manifest: Arc<Manifest>,
    /// What the giver's files hold, by number.
    pub(crate) contents: BTreeMap<u32, Vec<u8>>,
    /// How files ended, as the giver remembers it.
    pub(crate) gives_ends: BTreeMap<u32, End>,
    pub(crate) store: Store,
    /// Whether the taker's disk is full.
    pub(crate) full: bool,
}

impl World {
    /// In which somebody gives one folder with files that hold this.
    pub(crate) fn new(contents: Vec<Vec<u8>>) -> Self {
        let folder = Entry { name: "folder".to_owned(), folder: None, size: None, modified: None };
        let file = |(number, content): (usize, &Vec<u8>)| Entry {
            name: format!("file {number}"),
            folder: Some(0),
            size: Some(content.len() as u64),
            modified: Some(1_700_000_000_000),
        };
        let entries = std::iter::once(folder).chain(contents.iter().enumerate().map(file)).collect();
        let manifest = Arc::new(Manifest::new(entries).unwrap());
        let mut gives = Side::new(Link::default());
        let now = Moment::ZERO;
        let give = Command::Give { id: ID, manifest: Arc::clone(&manifest) };
        gives.link.handle(Input::Command(give), now).unwrap();
        Self {
            now,
            gives,
            takes: Side::new(Link::default()),
            connected: false,
            said_by_giver: VecDeque::new(),
            said_by_taker: VecDeque::new(),
            chunks: Vec::new(),
            sent: 0,
            manifest,
            contents: (1..).zip(contents).collect(),
            gives_ends: BTreeMap::new(),
            store: Store::default(),
            full: false,
        }
    }

    pub(crate) fn connect(&mut self) {
        self.connected = true;
        self.give(Input::Connected);
        self.take(Input::Connected);
        self.give(Input::Room(u64::MAX));
    }

    pub(crate) fn lose(&mut self) {
        self.connected = false;
        self.said_by_giver.clear();
        self.said_by_taker.clear();
        self.chunks.clear();
        self.give(Input::Lost);
        self.take(Input::Lost);
    }

    /// The giver's program ends and starts again. What it had given is still on its list.
    pub(crate) fn restart_giver(&mut self) {
        self.lose();
        let (manifest, ends) = (Arc::clone(&self.manifest), self.gives_ends.clone());
        let given = self.gives.past.is_none().then_some(GivenRecord { id: ID, manifest, ends });
        let past = self.gives.past.take();
        self.gives = Side { past, ..Side::new(Link::new(given, [])) };
    }

    /// The taker's program ends in the middle of whatever it does, and starts again.
    pub(crate) fn restart_taker(&mut self) {
        self.lose();
        let store = &self.store;
        let record = store.manifest.as_ref().map(|manifest| Record {
            id: ID,
            manifest: Arc::clone(manifest),
            wanted: store.wanted.clone(),
            ends: store.ends.clone(),
            have: store.parts.iter().map(|(file, parts)| (*file, parts.keys().copied().collect())).collect(),
        });
        let past = self.takes.past.take();
        let record = record.filter(|_| past.is_none());
        self.takes = Side { past, ..Side::new(Link::new([], record)) };
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.gives.link.handle(input, self.now).unwrap();
        while let Some(output) = self.gives.link.poll(self.now) {
            match output {
                Output::Say(said) => self.said_by_giver.push_back(said.write().into()),
                Output::Send(chunk) => {
                    self.sent += 1;
                    self.chunks.push(chunk.write());
                    // The network takes as much as there is.
                    self.gives.link.handle(Input::Room(u64::MAX), self.now).unwrap();
                }
                Output::Disk(Job::Ended { file, end, .. }) => _ = self.gives_ends.insert(file, end),
                Output::Disk(job) => self.gives.jobs.push_back(job),
                Output::Forgotten(past) => self.gives.past = Some(past),
                Output::Offered(_) => panic!("nothing is offered to the giver"),
                Output::Changed(_) => {}
            }
        }
    }

    pub(crate) fn take(&mut self, input: Input) {
        self.takes.link.handle(input, self.now).unwrap();
        while let Some(output) = self.takes.link.poll(self.now) {
            match output {
                Output::Say(said) => self.said_by_taker.push_back(said.write().into()),
                Output::Disk(job) => self.takes.jobs.push_back(job),
                Output::Forgotten(past) => self.takes.past = Some(past),
                Output::Offered(_) => self.takes.offered = true,
                Output::Send(_) => panic!("the taker has nothing to send"),
                Output::Changed(_) => {}
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.give(Input::Room(u64::MAX));
        self.take(Input::Room(0));
    }

    /// The giver's disk does the next thing.
    pub(crate) fn giver_works(&mut self) {
        // What is to be forgotten is.
        let Some(Job::Read { id, file, number }) = self.gives.jobs.pop_front() else { return };
        let content = &self.contents[&file];
        let chunks = Chunks::of(self.manifest.size(file).unwrap());
        let start = chunks.start(number) as usize;
        let result = match content.get(start..start + chunks.length(number)) {
            Some(part) => Ok((Bytes::copy_from_slice(part), chunks.value(number, part))),
            None => Err(Reason::Changed),
        };
        self.give(Input::Disk(Outcome::Read { id, file, number, result }));
    }

    /// The taker's disk does the next thing.
    pub(crate) fn taker_works(&mut self) {
        let Some(job) = self.takes.jobs.pop_front() else { return };
        let outcome = match job {
            Job::Begin { id, manifest, files } => {
                (self.store.manifest, self.store.wanted) = (Some(manifest), files);
                Outcome::Begun { id, result: Ok(()) }
            }
            Job::Write(chunk) => {
                let chunks = Chunks::of(self.manifest.size(chunk.file).unwrap());
                let is_right = chunks.value(chunk.number, &chunk.content) == chunk.value;
                let result = match is_right {
                    true if self.full => Err(Reason::NoSpace),
                    true => {
                        let parts = self.store.parts.entry(chunk.file).or_default();
                        parts.insert(chunk.number, (chunk.content, chunk.value));
                        Ok(chunk.value)
                    }
                    false => Err(Reason::Damaged),
                };
                let bytes = chunks.length(chunk.number) as u64;
                Outcome::Written { id: chunk.id, file: chunk.file, number: chunk.number, bytes, result }
            }
            Job::Check { id, file, chunks: unchecked } => {
                let chunks = Chunks::of(self.manifest.size(file).unwrap());
                let (mut tree, mut damaged) = (HashTree::new(chunks), Ranges::default());
                let parts = self.store.parts.get(&file).into_iter().flatten();
                for (number, (content, value)) in parts.filter(|(number, _)| unchecked.contains(**number)) {
                    match chunks.value(*number, content) == *value {
                        true => tree.insert(*number, *value),
                        false => _ = damaged.insert(*number),
                    }
                }
                Outcome::Checked { id, file, damaged, tree }
            }
            Job::Finish { id, file } => {
                let parts = self.store.parts.remove(&file).unwrap_or_default();
                let content = parts.into_values().flat_map(|(content, _)| content).collect();
                self.store.finished.insert(file, content);
                self.store.ends.insert(file, End::Done);
                Outcome::Finished { id, file, result: Ok(()) }
            }
            Job::Anew { file, .. } => {
                self.store.parts.remove(&file);
                return;
            }
            Job::GiveUp { file, reason, .. } => {
                self.store.parts.remove(&file);
                self.store.ends.insert(file, End::Failed(reason));
                return;
            }
            Job::Forget { .. } => {
                self.store.parts.clear();
                self.store.manifest = None;
                return;
            }
            Job::Read { .. } | Job::Ended { .. } => panic!("the taker gives nothing"),
        };
        self.take(Input::Disk(outcome));
    }

    /// A chunk on the disk turns into something else.
    pub(crate) fn rot(&mut self) {
        let part = self.store.parts.values_mut().flat_map(BTreeMap::values_mut).next();
        if let Some((content, _)) = part {
            let mut other = content.to_vec();
            other[0] ^= 1;
            *content = other.into();
        }
    }

    /// Everything goes on undisturbed until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        self.full = false;
        for file in [None, Some(1)] {
            self.give(Input::Command(Command::Resume { id: ID, file }));
            self.take(Input::Command(Command::Resume { id: ID, file }));
        }
        if !self.connected {
            self.connect();
        }
        for _ in 0..100_000 {
            // Whoever takes may not hear that the giver knows, and keeps in mind what is over.
            let takes =
                || self.takes.link.taken().all(|(_, progress)| progress.state == TransferState::Ended);
            if self.gives.past.is_some() && (self.takes.past.is_some() || takes()) {
                return;
            }
            if std::mem::take(&mut self.takes.offered) {
                self.take(Input::Command(Command::Accept { id: ID, files: None }));
            } else if let Some(said) = self.said_by_giver.pop_front() {
                self.take(Input::Said(said));
            } else if let Some(said) = self.said_by_taker.pop_front() {
                self.give(Input::Said(said));
            } else if let Some(chunk) = self.chunks.pop() {
                self.take(Input::Chunk(chunk));
            } else if !self.gives.jobs.is_empty() {
                self.giver_works();
            } else if !self.takes.jobs.is_empty() {
                self.taker_works();
            } else {
                self.pass(Duration::from_millis(25));
            }
        }
        panic!(
            "it does not end: {:?} {:?}",
            self.gives.link.given().collect::<Vec<_>>(),
            self.takes.link.taken().collect::<Vec<_>>()
        );
    }
}
