//! A file that is given: which of its chunks are there, on their way, and known for the hash.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::Manifest;
use crate::messages::{Run, TransferId};
use crate::progress::End;
use crate::ranges::Ranges;
use crate::tree::{Chunks, HashTree};

/// What is known of a transfer that is given, after a restart.
#[derive(Clone, Debug)]
pub struct GivenRecord {
    /// The transfer.
    pub id: TransferId,
    /// Its entries.
    pub manifest: Arc<Manifest>,
    /// How files ended that have.
    pub ends: BTreeMap<u32, End>,
}

/// A file that is read and sent.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) chunks: Chunks,
    /// Chunks that are there, on their way, or being read in order to be sent.
    pub(crate) sent: Ranges,
    /// Of these, the ones that are being read.
    pub(crate) reading: Ranges,
    /// And those on their way.
    pub(crate) flying: Ranges,
    /// Chunks that are read for the hash alone: they are there from before.
    pub(crate) hashing: Ranges,
    pub(crate) hashed: Ranges,
    pub(crate) tree: HashTree,
}

impl Given {
    pub(crate) fn new(size: u64) -> Self {
        let chunks = Chunks::of(size);
        Self {
            chunks,
            sent: Ranges::default(),
            reading: Ranges::default(),
            flying: Ranges::default(),
            hashing: Ranges::default(),
            hashed: Ranges::default(),
            tree: HashTree::new(chunks),
        }
    }

    pub(crate) fn next_to_send(&self) -> Option<u64> {
        let next = self.sent.first_missing(0);
        (next < self.chunks.count()).then_some(next)
    }

    /// A chunk that is there from before and was not read since.
    pub(crate) fn next_to_hash(&self) -> Option<u64> {
        self.sent.runs(0).find_map(|(start, end)| {
            let mut next = self.hashed.first_missing(start);
            while next < end && (self.hashing.contains(next) || self.reading.contains(next)) {
                next = self.hashed.first_missing(next + 1);
            }
            (next < end).then_some(next)
        })
    }

    /// The other side begins anew with what it has.
    pub(crate) fn begin_anew(&mut self, have: Ranges) {
        self.sent = have;
        self.reading = Ranges::default();
        self.flying = Ranges::default();
    }
}

/// Runs as first number and the one after the last, as far as there are as many.
pub(crate) fn existing(runs: &[Run], count: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
    runs.iter().map(move |(first, last)| (*first, last.saturating_add(1).min(count)))
}
