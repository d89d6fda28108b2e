//! A file that is taken: which of its chunks are there, and what it is to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::Manifest;
use crate::messages::TransferId;
use crate::progress::{End, Paused};
use crate::ranges::Ranges;
use crate::tree::{Chunks, HashTree};

/// What is known of a transfer after a restart.
#[derive(Clone, Debug)]
pub struct Record {
    /// The transfer.
    pub id: TransferId,
    /// Its entries.
    pub manifest: Arc<Manifest>,
    /// Files that are wanted.
    pub wanted: Ranges,
    /// How files ended that have.
    pub ends: BTreeMap<u32, End>,
    /// Chunks that are there, of files that have not.
    pub have: BTreeMap<u32, Ranges>,
}

/// A file that comes.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) chunks: Chunks,
    pub(crate) have: Ranges,
    pub(crate) writing: Ranges,
    /// What was there after a restart and is still to be checked.
    pub(crate) unchecked: Ranges,
    pub(crate) tree: HashTree,
    pub(crate) hash: Option<blake3::Hash>,
    pub(crate) finishing: bool,
    /// Whether all of it was asked for once more, because its hash was another.
    pub(crate) anew: bool,
    pub(crate) damaged: u32,
    pub(crate) paused: Paused,
}

impl Taken {
    pub(crate) fn new(size: u64, have: Ranges) -> Self {
        let chunks = Chunks::of(size);
        Self {
            chunks,
            unchecked: have.clone(),
            have,
            writing: Ranges::default(),
            tree: HashTree::new(chunks),
            hash: None,
            finishing: false,
            anew: false,
            damaged: 0,
            paused: Paused::default(),
        }
    }

    pub(crate) fn is_all_there(&self) -> bool {
        self.have.len() == self.chunks.count()
    }
}
