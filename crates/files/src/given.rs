//! Files that are given: read a chunk at a time, and watched for changes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahoy_transfer::{CHUNK, Chunks, Entry, Manifest, Reason, Value};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::reason::of_reading;
use crate::scan::modified;

/// Files that are open at the same time: several are sent at once, and each is read in two places after a connection was lost.
const OPEN: usize = 8;

/// What is given, and where it is.
#[derive(Clone, Debug)]
pub struct Sources {
    manifest: Arc<Manifest>,
    paths: Arc<[PathBuf]>,
}

/// [`Sources`] as they are remembered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    entries: Vec<Entry>,
    /// Of what is at the top; the others are in those folders.
    tops: Vec<PathBuf>,
}

impl Sources {
    /// Each entry is at the path with the same number.
    pub(crate) fn new(manifest: Manifest, paths: Vec<PathBuf>) -> Self {
        Self { manifest: Arc::new(manifest), paths: paths.into() }
    }

    /// What is given.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Where an entry is.
    pub fn path(&self, number: u32) -> Option<&Path> {
        self.paths.get(number as usize).map(PathBuf::as_path)
    }

    pub(crate) fn remember(&self) -> Remembered {
        let entries = self.manifest.entries();
        let tops = entries.iter().zip(&*self.paths).filter(|(entry, _)| entry.folder.is_none());
        Remembered { entries: entries.to_vec(), tops: tops.map(|(_, path)| path.clone()).collect() }
    }

    /// As it was remembered; nothing where that can't be.
    pub(crate) fn recall(remembered: Remembered) -> Option<Self> {
        let mut tops = remembered.tops.into_iter();
        let mut paths: Vec<PathBuf> = Vec::with_capacity(remembered.entries.len());
        for entry in &remembered.entries {
            let path = match entry.folder {
                None => tops.next()?,
                Some(folder) => paths.get(folder as usize)?.join(&entry.name),
            };
            paths.push(path);
        }
        Some(Self::new(Manifest::new(remembered.entries).ok()?, paths))
    }
}

/// Reads files of one transfer.
#[derive(Debug)]
pub(crate) struct Reader {
    sources: Sources,
    open: VecDeque<(u32, File)>,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(sources: Sources) -> Self {
        Self { sources, open: VecDeque::new(), buffer: vec![0; CHUNK as usize] }
    }

    /// A chunk of a file, and its value. What has not the size or the time that was offered has changed.
    pub(crate) fn read(&mut self, file: u32, number: u64) -> Result<(Bytes, Value), Reason> {
        let size = self.sources.manifest.size(file).ok_or(Reason::Gone)?;
        let chunks = Chunks::of(size);
        let length = chunks.length(number);
        if length == 0 {
            return Err(Reason::Gone);
        }
        let open = self.opened(file)?;
        let last = number + 1 == chunks.count();
        let read = read_at(&open, chunks.start(number), &mut self.buffer[..length]);
        let result = read.map_err(|error| of_reading(&error)).and_then(|()| {
            // Once more with the last chunk: it may have been written to in the meantime.
            match last {
                true => self.check(file, &open),
                false => Ok(()),
            }
        });
        if result.is_ok() {
            self.open.push_back((file, open));
        }
        result?;
        let content = Bytes::copy_from_slice(&self.buffer[..length]);
        let value = chunks.value(number, &content);
        Ok((content, value))
    }

    /// Taken out of those that are open, or opened.
    fn opened(&mut self, file: u32) -> Result<File, Reason> {
        if let Some(place) = self.open.iter().position(|(open, _)| *open == file) {
            return self.open.remove(place).map(|(_, open)| open).ok_or(Reason::Gone);
        }
        let path = self.sources.path(file).ok_or(Reason::Gone)?;
        let open = File::open(path).map_err(|error| of_reading(&error))?;
        self.check(file, &open)?;
        while self.open.len() >= OPEN {
            self.open.pop_front();
        }
        Ok(open)
    }

    fn check(&self, file: u32, open: &File) -> Result<(), Reason> {
        let metadata = open.metadata().map_err(|error| of_reading(&error))?;
        let entry = self.sources.manifest.get(file).ok_or(Reason::Gone)?;
        let is_same = Some(metadata.len()) == entry.size && modified(&metadata) == entry.modified;
        if is_same { Ok(()) } else { Err(Reason::Changed) }
    }
}

/// Fills `buffer` from a place in a file.
pub(crate) fn read_at(mut file: &File, start: u64, buffer: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(buffer)
}
