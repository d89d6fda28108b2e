//! A transfer that is taken, on the disk.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahoy_transfer::{
    CHUNK, Chunk, Chunks, End, HashTree, Manifest, Ranges, Reason, Record, TransferId, Value,
};

use crate::given::read_at;
use crate::journal::{Head, Journal, Known, Note};
use crate::place;
use crate::reason::of_writing;

/// Partial files that are open at the same time.
const OPEN: usize = 8;

/// Where a transfer goes, and whom it is from.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) from: String,
    pub(crate) folder: PathBuf,
}

/// A transfer that is taken. Its partial files are in a folder beside where they go, so that they can be moved; what is remembered of
/// it is with the program's own data, so that nothing of it is left among the files when all of them are there.
#[derive(Debug)]
pub(crate) struct Taken {
    id: TransferId,
    goal: Goal,
    manifest: Arc<Manifest>,
    names: Vec<String>,
    wanted: Ranges,
    journal: Journal,
    journal_path: PathBuf,
    open: VecDeque<(u32, File)>,
    /// Of chunks that were there after a restart.
    values: BTreeMap<u32, BTreeMap<u64, Value>>,
    /// Whether something of it is complete.
    any_done: bool,
}

/// What has to be known to check a file, apart from everything else: that takes a while.
#[derive(Debug)]
pub(crate) struct ToCheck {
    partial: PathBuf,
    chunks: Chunks,
    values: BTreeMap<u64, Value>,
}

impl Taken {
    /// Gets ready to take these files.
    pub(crate) fn begin(
        id: TransferId,
        goal: Goal,
        manifest: Arc<Manifest>,
        wanted: Ranges,
        journals: &Path,
    ) -> Result<Self, Reason> {
        let files = wanted.iter().filter_map(|file| manifest.size(file as u32));
        let bytes: u64 = files.sum();
        let free = place::available_space(&goal.folder).map_err(|error| of_writing(&error))?;
        if bytes > free {
            return Err(Reason::NoSpace);
        }
        let names = place::names(&manifest, &goal.folder, &partials_name(id));
        let head = Head {
            id,
            from: goal.from.clone(),
            folder: goal.folder.clone(),
            entries: manifest.entries().to_vec(),
            names: names.clone(),
            wanted: wanted.runs(0).collect(),
        };
        let journal_path = journal_path(journals, id);
        let begin = || {
            // First of all, so that whatever is made is known of.
            let journal = Journal::create(&journal_path, &head)?;
            fs::create_dir_all(partials(&goal.folder, id))?;
            for folder in place::folders(&manifest, &names, &wanted) {
                place::make_folder(&goal.folder, &folder)?;
            }
            Ok(journal)
        };
        let journal = begin().map_err(|error| of_writing(&error))?;
        let (open, values) = Default::default();
        let any_done = manifest.files().next().is_none();
        Ok(Self { id, goal, manifest, names, wanted, journal, journal_path, open, values, any_done })
    }

    /// From before a restart; nothing where another program of the same person goes on with it, or what is there can't be read.
    pub(crate) fn restore(journal_path: PathBuf) -> io::Result<Option<(Self, Record, Goal)>> {
        let Some((mut journal, mut known)) = Journal::open(&journal_path)? else { return Ok(None) };
        if !known.head.folder.exists() {
            // Such as a drive that is not plugged in. What is there is there when it is.
            let folder = known.head.folder.display();
            tracing::warn!(%folder, id = %known.head.id, "a transfer waits for the folder that it goes to");
            return Ok(None);
        }
        let moved: Vec<u32> = known
            .moving
            .iter()
            .filter(|(file, to)| is_moved(&known, **file, to))
            .map(|(file, _)| *file)
            .collect();
        let mut record = known.record();
        for file in moved {
            journal.note(&Note::Ended { file, why: None })?;
            record.have.remove(&file);
            record.ends.insert(file, End::Done);
        }
        let Head { id, from, folder, names, .. } = known.head;
        let goal = Goal { from, folder };
        let taken = Self {
            id,
            goal: goal.clone(),
            manifest: Arc::clone(&record.manifest),
            names,
            wanted: record.wanted.clone(),
            journal,
            journal_path,
            open: VecDeque::new(),
            values: std::mem::take(&mut known.chunks),
            any_done: record.ends.values().any(|end| *end == End::Done),
        };
        Ok(Some((taken, record, goal)))
    }

    fn partial(&self, file: u32) -> PathBuf {
        partial(&self.goal.folder, self.id, file)
    }

    fn chunks(&self, file: u32) -> Result<Chunks, Reason> {
        self.manifest.size(file).map(Chunks::of).ok_or(Reason::Protocol)
    }

    /// Writes a chunk that is what its value says.
    pub(crate) fn write(&mut self, chunk: &Chunk) -> Result<Value, Reason> {
        let chunks = self.chunks(chunk.file)?;
        let is_whole = !chunk.content.is_empty() && chunk.content.len() == chunks.length(chunk.number);
        if !is_whole || chunks.value(chunk.number, &chunk.content) != chunk.value {
            return Err(Reason::Damaged);
        }
        let note = Note::Chunk { file: chunk.file, number: chunk.number, value: chunk.value };
        let written = self.opened(chunk.file).and_then(|mut partial| {
            partial.seek(SeekFrom::Start(chunks.start(chunk.number)))?;
            partial.write_all(&chunk.content)
        });
        written.and_then(|()| self.journal.note(&note)).map_err(|error| of_writing(&error))?;
        Ok(chunk.value)
    }

    /// The partial file, made where there is none.
    fn opened(&mut self, file: u32) -> io::Result<&File> {
        match self.open.iter().position(|(open, _)| *open == file) {
            Some(place) => self.open.swap(0, place),
            None => {
                let partial = open_partial(&self.partial(file), &partials(&self.goal.folder, self.id))?;
                self.open.truncate(OPEN - 1);
                self.open.push_front((file, partial));
            }
        }
        Ok(&self.open[0].1)
    }

    fn close(&mut self, file: u32) {
        self.open.retain(|(open, _)| *open != file);
    }

    /// A file is complete: it is on the disk for good, and where it belongs.
    pub(crate) fn finish(&mut self, file: u32) -> Result<(), Reason> {
        let below = place::path_of(&self.manifest, &self.names, file).ok_or(Reason::Protocol)?;
        let modified = self.manifest.get(file).and_then(|entry| entry.modified);
        let size = self.manifest.size(file).ok_or(Reason::Protocol)?;
        let mut finish = || {
            // Of an empty file nothing has been written; one that is not there any more is not made up.
            let partial = match size {
                0 => self.opened(file)?.try_clone()?,
                _ => OpenOptions::new().read(true).write(true).open(self.partial(file))?,
            };
            if partial.metadata()?.len() != size {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the partial file has another length",
                ));
            }
            place::set_modified(&partial, modified);
            partial.sync_all()?;
            drop(partial);
            self.close(file);
            let (partial, journal) = (self.partial(file), &mut self.journal);
            place::move_to(&partial, &self.goal.folder, &below, |to| {
                journal.note(&Note::Moving { file, to: to.to_owned() })
            })
        };
        finish().map_err(|error| of_writing(&error))?;
        self.any_done = true;
        if let Err(error) = self.journal.note(&Note::Ended { file, why: None }) {
            // That it was moved is known.
            tracing::warn!(%error, id = %self.id, file, "the end of a file was not noted");
        }
        self.tidy();
        Ok(())
    }

    /// What is there of a file is thrown away: all of it comes once more.
    pub(crate) fn anew(&mut self, file: u32) {
        self.remove(file, &Note::Anew { file });
    }

    /// A file will not be complete.
    pub(crate) fn give_up(&mut self, file: u32, reason: Reason) {
        self.remove(file, &Note::Ended { file, why: Some(reason) });
    }

    fn remove(&mut self, file: u32, note: &Note) {
        self.values.remove(&file);
        self.close(file);
        // It is thrown away after a restart where the note is there, so that comes first.
        let noted = self.journal.note(note);
        let removed = match fs::remove_file(self.partial(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        if let Err(error) = noted.and(removed) {
            tracing::warn!(%error, id = %self.id, file, "part of a file is left over");
        }
        self.tidy();
    }

    /// Nothing of the transfer is needed any more but the files that are complete.
    pub(crate) fn forget(mut self) {
        self.open.clear();
        let partials = partials(&self.goal.folder, self.id);
        for result in [fs::remove_dir_all(&partials), fs::remove_file(&self.journal_path)] {
            match result {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, id = %self.id, "something of a transfer is left over");
                }
                _ => {}
            }
        }
        // Folders that were made for nothing.
        for folder in
            place::folders(&self.manifest, &self.names, &self.wanted).rev().filter(|_| !self.any_done)
        {
            let _ = fs::remove_dir(self.goal.folder.join(folder));
        }
    }

    /// Leaves no empty folder behind.
    fn tidy(&self) {
        let _ = fs::remove_dir(partials(&self.goal.folder, self.id));
    }

    /// What is needed to check a file.
    pub(crate) fn take_to_check(&mut self, file: u32, wanted: &Ranges) -> Result<ToCheck, Reason> {
        let mut values = self.values.remove(&file).unwrap_or_default();
        values.retain(|number, _| wanted.contains(*number));
        Ok(ToCheck { partial: self.partial(file), chunks: self.chunks(file)?, values })
    }
}

impl ToCheck {
    /// Which of `wanted` are not what they were when they came, and the values of the others.
    pub(crate) fn check(self, wanted: &Ranges, goes_on: impl Fn() -> bool) -> (Ranges, HashTree) {
        let (mut tree, mut damaged) = (HashTree::new(self.chunks), wanted.clone());
        let Ok(file) = File::open(&self.partial) else { return (damaged, tree) };
        let mut buffer = vec![0; CHUNK as usize];
        for (number, value) in self.values {
            if !goes_on() {
                break;
            }
            let length = self.chunks.length(number);
            let content = &mut buffer[..length];
            if length > 0
                && read_at(&file, self.chunks.start(number), content).is_ok()
                && self.chunks.value(number, content) == value
            {
                damaged.remove(number);
                tree.insert(number, value);
            }
        }
        (damaged, tree)
    }
}

/// Whether a file that was being moved when the program ended is where it belongs.
fn is_moved(known: &Known, file: u32, to: &Path) -> bool {
    let folder = &known.head.folder;
    !partial(folder, known.head.id, file).exists() && folder.join(to).exists()
}

/// The folder of the partial files of a transfer.
fn partials(folder: &Path, id: TransferId) -> PathBuf {
    folder.join(partials_name(id))
}

fn partials_name(id: TransferId) -> String {
    format!(".ahoy-{id}")
}

fn partial(folder: &Path, id: TransferId, file: u32) -> PathBuf {
    partials(folder, id).join(format!("{file}.part"))
}

fn journal_path(journals: &Path, id: TransferId) -> PathBuf {
    journals.join(format!("{id}.taken"))
}

fn open_partial(path: &Path, folder: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    match open() {
        // It was tidied up when it was empty.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && folder.parent().is_some_and(Path::exists) =>
        {
            fs::create_dir_all(folder)?;
            open()
        }
        opened => opened,
    }
}
