//! The threads that wait for disks: one reads, one writes, and one checks what was there after a restart.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufRead, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use ahoy_transfer::{End, Job, Outcome, Ranges, Reason, Record, TransferId};
use serde::{Deserialize, Serialize};

use crate::given::{Reader, Remembered, Sources};
use crate::taken::{Goal, Taken, ToCheck};

/// Why there is nothing to read and write with.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// What is remembered of transfers can't be read, or nothing can be remembered.
    #[error("transfers can't be remembered in {0}: {1}")]
    Folder(PathBuf, #[source] io::Error),
    /// The system gives no thread.
    #[error("no thread for files: {0}")]
    Thread(#[source] io::Error),
}

/// What was going on when the program ended.
#[derive(Debug, Default)]
pub struct Restored {
    /// Transfers that are given.
    pub given: Vec<RestoredGiven>,
    /// Transfers that are taken.
    pub taken: Vec<RestoredTaken>,
}

/// A transfer that was given.
#[derive(Debug)]
pub struct RestoredGiven {
    /// Which.
    pub id: TransferId,
    /// To whom, in the words of whoever gave it.
    pub to: String,
    /// What.
    pub sources: Sources,
    /// How files ended that have.
    pub ends: BTreeMap<u32, End>,
}

/// A transfer that was taken.
#[derive(Debug)]
pub struct RestoredTaken {
    /// From whom, in the words of whoever took it.
    pub from: String,
    /// Where it goes.
    pub folder: PathBuf,
    /// What is there.
    pub record: Record,
}

/// Reads and writes the files of transfers. Threads end when the last clone is dropped or it is closed, after what they were told to
/// do.
#[derive(Clone, Debug)]
pub struct Disk {
    to_reader: Sender<ToReader>,
    to_writer: Sender<ToWriter>,
    ending: Arc<AtomicBool>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

#[derive(Debug)]
enum ToReader {
    Give { id: TransferId, to: String, sources: Sources },
    Read { id: TransferId, file: u32, number: u64 },
    Ended { id: TransferId, file: u32, end: End },
    Forget { id: TransferId },
    End,
}

#[derive(Debug)]
enum ToWriter {
    Take { id: TransferId, goal: Goal },
    Job(Job),
    End,
}

#[derive(Debug)]
struct CheckFile {
    id: TransferId,
    file: u32,
    chunks: Ranges,
    to_check: ToCheck,
}

type Tell = Arc<dyn Fn(Outcome) + Send + Sync>;

impl Disk {
    /// With what is remembered in `folder`, which is made where there is none. `tell` is called from other threads with what became
    /// of each job.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(
        folder: &Path,
        tell: impl Fn(Outcome) + Send + Sync + 'static,
    ) -> Result<(Self, Restored), DiskError> {
        let failed = |error| DiskError::Folder(folder.to_owned(), error);
        fs::create_dir_all(folder).map_err(failed)?;
        let mut restored = Restored::default();
        let (mut readers, mut takers) = (HashMap::new(), HashMap::new());
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).map_err(failed)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let result = match path.extension().and_then(|extension| extension.to_str()) {
                Some(GIVEN) => restore_given(&path, &mut readers, &mut restored),
                Some(TAKEN) => restore_taken(path.clone(), &mut takers, &mut restored),
                // What was being written when a program was killed.
                Some(NEW) => forget_new(&path),
                _ => Ok(()),
            };
            if let Err(error) = result {
                tracing::warn!(%error, path = %path.display(), "a transfer is not taken up again");
            }
        }
        let tell: Tell = Arc::new(tell);
        let (to_reader, reads) = mpsc::channel();
        let (to_writer, writes) = mpsc::channel();
        let (to_checker, checks) = mpsc::channel();
        let (reading, writing, checking) = (Arc::clone(&tell), Arc::clone(&tell), tell);
        let (given, taken) = (folder.to_owned(), folder.to_owned());
        let reader = Reads { folder: given, readers, tell: reading };
        let writer = Writes { folder: taken, goals: HashMap::new(), takers, to_checker, tell: writing };
        let ending = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ending);
        let threads = vec![
            spawn("ahoy-file-read", move || reader.run(&reads))?,
            spawn("ahoy-file-write", move || writer.run(writes))?,
            spawn("ahoy-file-check", move || check_files(&checks, &checking, &stop))?,
        ];
        let threads = Arc::new(Mutex::new(threads));
        Ok((Self { to_reader, to_writer, ending, threads }, restored))
    }

    /// Does all that it was told to do before but for checking files, and lets go of all of them, so that another program can go on
    /// with them. Nothing is done after that.
    pub fn close(&self) {
        self.ending.store(true, Relaxed);
        self.tell_reader(ToReader::End);
        self.tell_writer(ToWriter::End);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }

    /// Files of this transfer will be read. It is remembered until it is forgotten, with `to`, which is for whoever asks after a restart.
    pub fn give(&self, id: TransferId, to: String, sources: Sources) {
        self.tell_reader(ToReader::Give { id, to, sources });
    }

    /// Files of this transfer go to `folder`. To be said before [`Job::Begin`]; it is remembered from then on, with `from`.
    pub fn take(&self, id: TransferId, from: String, folder: PathBuf) {
        self.tell_writer(ToWriter::Take { id, goal: Goal { from, folder } });
    }

    /// Does this, in turn.
    pub fn work(&self, job: Job) {
        match job {
            Job::Read { id, file, number } => self.tell_reader(ToReader::Read { id, file, number }),
            Job::Ended { id, file, end } => self.tell_reader(ToReader::Ended { id, file, end }),
            Job::Forget { id } => {
                self.tell_reader(ToReader::Forget { id });
                self.tell_writer(ToWriter::Job(job));
            }
            job => self.tell_writer(ToWriter::Job(job)),
        }
    }

    // The threads end only after this has been dropped.
    fn tell_reader(&self, message: ToReader) {
        let _ = self.to_reader.send(message);
    }

    fn tell_writer(&self, message: ToWriter) {
        let _ = self.to_writer.send(message);
    }
}

const GIVEN: &str = "given";
const TAKEN: &str = "taken";
const NEW: &str = "new";

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, DiskError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(DiskError::Thread)
}

/// A transfer that is given, as it is remembered.
#[derive(Serialize, Deserialize)]
struct GivenFile {
    id: TransferId,
    to: String,
    #[serde(flatten)]
    sources: Remembered,
}

/// A transfer that is given. The file in which it is remembered stays open, so that another program of the same person leaves it
/// alone.
struct Given {
    reader: Reader,
    remembered: Option<File>,
}

fn restore_given(
    path: &Path,
    readers: &mut HashMap<TransferId, Given>,
    restored: &mut Restored,
) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    if file.try_lock().is_err() {
        return Ok(());
    }
    // The first line, and one for each file that has ended.
    let mut lines = io::BufReader::new(&file).lines();
    let GivenFile { id, to, sources } =
        serde_json::from_str(&lines.next().ok_or(io::ErrorKind::InvalidData)??)?;
    let sources = Sources::recall(sources).ok_or(io::ErrorKind::InvalidData)?;
    // Half a line at the end is one that was being written.
    let ends = lines.map_while(|line| serde_json::from_str::<(u32, End)>(&line.ok()?).ok()).collect();
    readers.insert(id, Given { reader: Reader::new(sources.clone()), remembered: Some(file) });
    restored.given.push(RestoredGiven { id, to, sources, ends });
    Ok(())
}

/// Unless somebody is writing it.
fn forget_new(path: &Path) -> io::Result<()> {
    match File::open(path)?.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

fn restore_taken(
    path: PathBuf,
    takers: &mut HashMap<TransferId, Taken>,
    restored: &mut Restored,
) -> io::Result<()> {
    if let Some((taken, record, Goal { from, folder })) = Taken::restore(path)? {
        takers.insert(record.id, taken);
        restored.taken.push(RestoredTaken { from, folder, record });
    }
    Ok(())
}

struct Reads {
    folder: PathBuf,
    readers: HashMap<TransferId, Given>,
    tell: Tell,
}

impl Reads {
    fn run(mut self, messages: &Receiver<ToReader>) {
        while let Ok(message) = messages.recv() {
            match message {
                ToReader::Give { id, to, sources } => {
                    let remembered = self.remember(id, to, &sources);
                    if let Err(error) = &remembered {
                        tracing::warn!(%error, %id, "a transfer will be forgotten when the program ends");
                    }
                    let reader = Reader::new(sources);
                    self.readers.insert(id, Given { reader, remembered: remembered.ok() });
                }
                ToReader::Read { id, file, number } => {
                    let given = self.readers.get_mut(&id);
                    let result = given.map_or(Err(Reason::Gone), |given| given.reader.read(file, number));
                    (self.tell)(Outcome::Read { id, file, number, result });
                }
                ToReader::Ended { id, file, end } => {
                    let remembered = self.readers.get_mut(&id).and_then(|given| given.remembered.as_mut());
                    if let Some(Err(error)) = remembered.map(|remembered| note_end(remembered, file, end)) {
                        tracing::warn!(%error, %id, file, "the end of a file was not noted");
                    }
                }
                ToReader::Forget { id } => {
                    if self.readers.remove(&id).is_some_and(|given| given.remembered.is_some()) {
                        let _ = fs::remove_file(self.path(id));
                    }
                }
                ToReader::End => break,
            }
        }
    }

    fn path(&self, id: TransferId) -> PathBuf {
        self.folder.join(format!("{id}.{GIVEN}"))
    }

    /// There as a whole or not at all.
    fn remember(&self, id: TransferId, to: String, sources: &Sources) -> io::Result<File> {
        let path = self.path(id);
        let beside = path.with_extension("new");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&beside)?;
        file.lock()?;
        let mut out = io::BufWriter::new(&file);
        serde_json::to_writer(&mut out, &GivenFile { id, to, sources: sources.remember() })?;
        out.write_all(b"\n")?;
        out.flush()?;
        drop(out);
        file.sync_all()?;
        fs::rename(&beside, path)?;
        Ok(file)
    }
}

fn note_end(remembered: &mut File, file: u32, end: End) -> io::Result<()> {
    let line = format!("{}\n", serde_json::to_string(&(file, end))?);
    remembered.seek(io::SeekFrom::End(0))?;
    remembered.write_all(line.as_bytes())
}

struct Writes {
    folder: PathBuf,
    /// Where transfers go that have not begun.
    goals: HashMap<TransferId, Goal>,
    takers: HashMap<TransferId, Taken>,
    to_checker: Sender<CheckFile>,
    tell: Tell,
}

impl Writes {
    fn run(mut self, messages: Receiver<ToWriter>) {
        for message in messages {
            let outcome = match message {
                ToWriter::Take { id, goal } => {
                    self.goals.insert(id, goal);
                    None
                }
                ToWriter::Job(job) => self.work(job),
                ToWriter::End => break,
            };
            if let Some(outcome) = outcome {
                (self.tell)(outcome);
            }
        }
    }

    fn work(&mut self, job: Job) -> Option<Outcome> {
        Some(match job {
            Job::Begin { id, manifest, files } => {
                let goal = self.goals.remove(&id).ok_or(Reason::Unwritable);
                let begun = goal.and_then(|goal| Taken::begin(id, goal, manifest, files, &self.folder));
                Outcome::Begun { id, result: begun.map(|taken| _ = self.takers.insert(id, taken)) }
            }
            Job::Write(chunk) => {
                let (id, file, number) = (chunk.id, chunk.file, chunk.number);
                let bytes = chunk.content.len() as u64;
                let result = self.taker(id).and_then(|taken| taken.write(&chunk));
                Outcome::Written { id, file, number, bytes, result }
            }
            Job::Check { id, file, chunks } => {
                let to_check = self.taker(id).and_then(|taken| taken.take_to_check(file, &chunks)).ok()?;
                let _ = self.to_checker.send(CheckFile { id, file, chunks, to_check });
                return None;
            }
            Job::Finish { id, file } => {
                let result = self.taker(id).and_then(|taken| taken.finish(file));
                Outcome::Finished { id, file, result }
            }
            Job::Anew { id, file } => {
                self.taker(id).ok()?.anew(file);
                return None;
            }
            Job::GiveUp { id, file, reason } => {
                self.taker(id).ok()?.give_up(file, reason);
                return None;
            }
            Job::Forget { id } => {
                self.goals.remove(&id);
                self.takers.remove(&id)?.forget();
                return None;
            }
            Job::Read { .. } | Job::Ended { .. } => return None,
        })
    }

    fn taker(&mut self, id: TransferId) -> Result<&mut Taken, Reason> {
        self.takers.get_mut(&id).ok_or(Reason::Unwritable)
    }
}

fn check_files(files: &Receiver<CheckFile>, tell: &Tell, ending: &AtomicBool) {
    while let Ok(CheckFile { id, file, chunks, to_check }) = files.recv() {
        let (damaged, tree) = to_check.check(&chunks, || !ending.load(Relaxed));
        // What was cut short says nothing.
        if ending.load(Relaxed) {
            return;
        }
        tell(Outcome::Checked { id, file, damaged, tree });
    }
}
