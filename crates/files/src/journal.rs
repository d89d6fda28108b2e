//! What is remembered of a transfer that is taken, in a file that only grows: whatever ends the program, all that was noted
//! before is there again.
//!
//! Each note is its length in two bytes (little-endian), itself, and the first four bytes of its BLAKE3 hash, by which half a
//! note at the end shows. The first ones are the head as JSON, in pieces.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ahoy_transfer::{End, Entry, Manifest, Ranges, Reason, Record, TransferId, Value};
use serde::{Deserialize, Serialize};

const CHECK: usize = 4;
/// Longest piece of the head.
const PIECE: usize = 32 * 1024;
/// Longest head in bytes: twice what 100,000 entries with the longest names take.
const HEAD_LONGEST: usize = 128 * 1024 * 1024;

/// Kinds of notes: their first byte.
const HEAD: u8 = 0;
const HEAD_END: u8 = 1;
const CHUNK: u8 = 2;
const ANEW: u8 = 3;
const MOVING: u8 = 4;
const ENDED: u8 = 5;

/// What does not change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) id: TransferId,
    /// Whom it is from, in the words of whoever asked.
    pub(crate) from: String,
    /// Where it goes.
    pub(crate) folder: PathBuf,
    pub(crate) entries: Vec<Entry>,
    /// What each of them is called there.
    pub(crate) names: Vec<String>,
    /// Numbers of files, as runs from the first to before the last.
    pub(crate) wanted: Vec<(u64, u64)>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// This chunk was written, and is this.
    Chunk { file: u32, number: u64, value: Value },
    /// What was there of a file does not count any more.
    Anew { file: u32 },
    /// A file is complete and is being moved there.
    Moving { file: u32, to: PathBuf },
    /// A file is where it belongs, or will not be.
    Ended { file: u32, why: Option<Reason> },
}

/// What is known of a transfer.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) head: Head,
    pub(crate) manifest: Manifest,
    pub(crate) chunks: BTreeMap<u32, BTreeMap<u64, Value>>,
    pub(crate) moving: BTreeMap<u32, PathBuf>,
    pub(crate) ends: BTreeMap<u32, End>,
}

/// A journal that is written. Nobody else opens it meanwhile.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Bytes of all notes.
    length: u64,
}

impl Journal {
    /// Begins one. Whatever ends the program now, it is there as a whole or not at all.
    pub(crate) fn create(path: &Path, head: &Head) -> io::Result<Self> {
        let beside = path.with_extension("new");
        let file = File::create(&beside)?;
        file.lock()?;
        let json = serde_json::to_vec(head)?;
        let mut notes = Vec::with_capacity(json.len() + json.len() / 1024 + 64);
        for piece in json.chunks(PIECE) {
            push(&mut notes, &[&[HEAD], piece].concat());
        }
        push(&mut notes, &[HEAD_END]);
        (&file).write_all(&notes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        Ok(Self { file, length: notes.len() as u64 })
    }

    /// Opens one from before, and tells what is in it; nothing where another program has it open, or where it is none.
    pub(crate) fn open(path: &Path) -> io::Result<Option<(Self, Known)>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let (known, length) = match read(&file)? {
            Some(read) => read,
            None => return Ok(None),
        };
        file.set_len(length)?;
        Ok(Some((Self { file, length }, known)))
    }

    /// Notes something.
    pub(crate) fn note(&mut self, note: &Note) -> io::Result<()> {
        let mut framed = Vec::with_capacity(64);
        push(&mut framed, &note.write()?);
        // Over half a note, where a full disk has left one: behind it nothing would count.
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&framed)?;
        self.length += framed.len() as u64;
        Ok(())
    }
}

fn push(notes: &mut Vec<u8>, note: &[u8]) {
    debug_assert!(note.len() <= usize::from(u16::MAX));
    notes.extend_from_slice(&(note.len() as u16).to_le_bytes());
    notes.extend_from_slice(note);
    notes.extend_from_slice(&check(note));
}

fn check(note: &[u8]) -> [u8; CHECK] {
    let hash = blake3::hash(note);
    std::array::from_fn(|place| hash.as_bytes()[place])
}

/// What is known, and how many bytes say it: behind them is half a note, if anything.
fn read(file: &File) -> io::Result<Option<(Known, u64)>> {
    let mut notes = Notes { from: BufReader::with_capacity(256 * 1024, file), length: 0 };
    let mut json = Vec::new();
    loop {
        match notes.next()? {
            Some(note) if note.first() == Some(&HEAD) && json.len() < HEAD_LONGEST => {
                json.extend_from_slice(&note[1..]);
            }
            Some(note) if note == [HEAD_END] => break,
            _ => return Ok(None),
        }
    }
    let Ok(head) = serde_json::from_slice::<Head>(&json) else { return Ok(None) };
    let Ok(manifest) = Manifest::new(head.entries.clone()) else { return Ok(None) };
    if head.names.len() != head.entries.len() {
        return Ok(None);
    }
    let (chunks, moving, ends) = Default::default();
    let mut known = Known { head, manifest, chunks, moving, ends };
    while let Some(note) = notes.next()? {
        match Note::read(&note) {
            Some(note) => known.apply(note),
            None => return Ok(None),
        }
    }
    Ok(Some((known, notes.length)))
}

struct Notes<R> {
    from: R,
    /// Bytes of all notes so far.
    length: u64,
}

impl<R: Read> Notes<R> {
    /// The next one that is whole.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; 2];
        if !fill(&mut self.from, &mut length)? {
            return Ok(None);
        }
        let length = usize::from(u16::from_le_bytes(length));
        let mut note = vec![0; length + CHECK];
        if !fill(&mut self.from, &mut note)? {
            return Ok(None);
        }
        let sum = note.split_off(length);
        if sum != check(&note) {
            return Ok(None);
        }
        self.length += (2 + length + CHECK) as u64;
        Ok(Some(note))
    }
}

/// Whether there was enough to fill it.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl Note {
    fn write(&self) -> io::Result<Vec<u8>> {
        let (kind, file) = match self {
            Self::Chunk { file, .. } => (CHUNK, file),
            Self::Anew { file } => (ANEW, file),
            Self::Moving { file, .. } => (MOVING, file),
            Self::Ended { file, .. } => (ENDED, file),
        };
        let mut note = vec![kind];
        note.extend_from_slice(&file.to_le_bytes());
        match self {
            Self::Chunk { number, value, .. } => {
                note.extend_from_slice(&number.to_le_bytes());
                note.extend_from_slice(value.as_bytes());
            }
            Self::Anew { .. } => {}
            Self::Moving { to, .. } => serde_json::to_writer(&mut note, to)?,
            Self::Ended { why, .. } => serde_json::to_writer(&mut note, why)?,
        }
        Ok(note)
    }

    fn read(note: &[u8]) -> Option<Self> {
        let (&kind, rest) = note.split_first()?;
        let (file, rest) = rest.split_first_chunk::<4>()?;
        let file = u32::from_le_bytes(*file);
        Some(match kind {
            CHUNK => {
                let (number, rest) = rest.split_first_chunk::<8>()?;
                let value = Value::from_bytes(rest.try_into().ok()?);
                Self::Chunk { file, number: u64::from_le_bytes(*number), value }
            }
            ANEW => Self::Anew { file },
            MOVING => Self::Moving { file, to: serde_json::from_slice(rest).ok()? },
            ENDED => Self::Ended { file, why: serde_json::from_slice(rest).ok()? },
            _ => return None,
        })
    }
}

impl Known {
    fn apply(&mut self, note: Note) {
        match note {
            Note::Chunk { file, number, value } => {
                self.chunks.entry(file).or_default().insert(number, value);
            }
            Note::Anew { file } => _ = self.chunks.remove(&file),
            Note::Moving { file, to } => _ = self.moving.insert(file, to),
            Note::Ended { file, why } => {
                self.chunks.remove(&file);
                self.moving.remove(&file);
                self.ends.insert(file, why.map_or(End::Done, End::Failed));
            }
        }
    }

    /// As the machine wants it.
    pub(crate) fn record(&self) -> Record {
        let mut wanted = Ranges::default();
        for (start, end) in &self.head.wanted {
            wanted.insert_run(*start, (*end).min(u64::from(self.manifest.len())));
        }
        let have = |(file, chunks): (&u32, &BTreeMap<u64, Value>)| (*file, chunks.keys().copied().collect());
        Record {
            id: self.head.id,
            manifest: std::sync::Arc::new(self.manifest.clone()),
            wanted,
            ends: self.ends.clone(),
            have: self.chunks.iter().map(have).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: TransferId = TransferId::from_bytes([7; 16]);

    fn head() -> Head {
        let entry = |name: &str| Entry { name: name.to_owned(), folder: None, size: Some(5), modified: None };
        Head {
            id: ID,
            from: "somebody".to_owned(),
            folder: PathBuf::from("/where/it/goes"),
            entries: vec![entry("one"), entry("two")],
            names: vec!["one".to_owned(), "two (2)".to_owned()],
            wanted: vec![(0, 2)],
        }
    }

    fn notes() -> Vec<Note> {
        let value = |byte| Value::from_bytes([byte; 32]);
        vec![
            Note::Chunk { file: 0, number: 3, value: value(1) },
            Note::Anew { file: 0 },
            Note::Chunk { file: 0, number: 4, value: value(2) },
            Note::Chunk { file: 1, number: 0, value: value(3) },
            Note::Moving { file: 1, to: PathBuf::from("two (2)") },
            Note::Ended { file: 1, why: Some(Reason::NoSpace) },
        ]
    }

    fn written(path: &Path) {
        let mut journal = Journal::create(path, &head()).unwrap();
        notes().iter().for_each(|note| journal.note(note).unwrap());
    }

    #[test]
    fn what_was_noted_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path);
        let (_, known) = Journal::open(&path).unwrap().unwrap();
        assert_eq!((known.head.from.as_str(), known.head.names.len()), ("somebody", 2));
        let record = known.record();
        assert_eq!(record.have[&0].iter().collect::<Vec<_>>(), [4]);
        assert_eq!(record.ends[&1], End::Failed(Reason::NoSpace));
        assert_eq!(record.wanted.len(), 2);
        assert!(known.moving.is_empty() && !record.have.contains_key(&1));
    }

    #[test]
    fn half_a_note_at_the_end_is_cut_off_and_the_next_ones_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..40 {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (mut journal, known) = Journal::open(&path).unwrap().unwrap();
            assert!(!known.ends.contains_key(&1));
            journal.note(&Note::Ended { file: 0, why: None }).unwrap();
            drop(journal);
            let (_, known) = Journal::open(&path).unwrap().unwrap();
            assert_eq!(known.ends.get(&0), Some(&End::Done), "{cut} bytes less");
        }
    }

    #[test]
    fn nobody_else_opens_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::create(&path, &head()).unwrap();
        assert!(Journal::open(&path).unwrap().is_none());
        drop(journal);
        assert!(Journal::open(&path).unwrap().is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_upset_the_reading_of_a_journal(bytes in proptest::collection::vec(any::<u8>(), 0..300), keep in 0usize..500) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            written(&path);
            let whole = std::fs::read(&path).unwrap();
            let other = [&whole[..keep.min(whole.len())], &bytes].concat();
            std::fs::write(&path, other).unwrap();
            let _ = Journal::open(&path).unwrap();
        }
    }
}
