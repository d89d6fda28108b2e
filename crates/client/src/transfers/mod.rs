//! Files to and from others: what [`ahoy_transfer::Link`] decides, carried out.
//!
//! For each person there is a task (`person.rs`) that owns the link to them, and the channels of a connection while there is one:
//! whoever has a connection hands them over with [`Transfers::connected`]. Disks are waited for by the threads of [`ahoy_files`],
//! whose news find their way back by the transfer's id.

mod bulk_channels;
mod channels;
mod data_channels;
mod person;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ahoy_files::{Disk, Restored};
pub use ahoy_files::{
    DiskError, LeftOut, ScanError, Scanned, Sources, Why, available_space, is_writable, scan,
};
use ahoy_transfer::{Command, Outcome};
pub use ahoy_transfer::{
    FileStage, FileView, Ranges, Stage, TransferId, TransferView, Way, trouble_in_words,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

pub use self::channels::FileChannels;
use self::person::{Before, PersonTask, ToPerson};

/// Events that nobody has taken yet. When it is full, how far transfers are is left out, and for anything else tasks wait.
const EVENTS: usize = 256;
/// How long a person's task may take to stop: it may wait for whoever should take its events.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Who gives or gets: whatever names them for good, such as a user's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Person(pub String);

/// What happens.
#[derive(Clone, Debug)]
pub enum TransfersEvent {
    /// Somebody offers files: accept them or not.
    Offered(Box<TransferView>),
    /// A transfer is like this now.
    Changed(Box<TransferView>),
}

/// There is no such transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such transfer")]
pub struct NoTransfer;

/// All transfers of an account. They stop when the last clone of this is dropped, and go on when it is opened again.
#[derive(Clone)]
pub struct Transfers {
    me: Person,
    directory: Directory,
    shared: Arc<Shared>,
}

/// What the tasks have in common.
struct Shared {
    disk: Disk,
    views: Mutex<BTreeMap<TransferId, TransferView>>,
    /// With whom something is left to do.
    busy: watch::Sender<BTreeSet<Person>>,
    events: mpsc::Sender<TransfersEvent>,
}

/// Where everybody's task is, and with whom each transfer is. Tasks end when it is gone, so that only [`Transfers`] keep it.
type Directory = Arc<Mutex<Listed>>;

#[derive(Default)]
struct Listed {
    /// Nothing is begun any more.
    closed: bool,
    tasks: HashMap<Person, Task>,
    people: HashMap<TransferId, Person>,
}

struct Task {
    messages: mpsc::UnboundedSender<ToPerson>,
    task: JoinHandle<()>,
}

impl Listed {
    /// The task that a transfer belongs to.
    fn task_of(&self, id: TransferId) -> Option<&mpsc::UnboundedSender<ToPerson>> {
        self.tasks.get(self.people.get(&id)?).map(|task| &task.messages)
    }
}

impl Transfers {
    /// Those of `me`, with what is remembered in `folder`. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn open(
        me: Person,
        folder: PathBuf,
    ) -> Result<(Self, mpsc::Receiver<TransfersEvent>), DiskError> {
        let directory = Directory::default();
        let listed = Arc::downgrade(&directory);
        let tell = move |outcome: Outcome| {
            if let Some(listed) = listed.upgrade()
                && let Some(task) = lock(&listed).task_of(outcome.id())
            {
                // A task that has ended wants to know nothing.
                let _ = task.send(ToPerson::Disk(outcome));
            }
        };
        let opened = tokio::task::spawn_blocking(move || Disk::open(&folder, tell)).await;
        let (disk, restored) =
            opened.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let (events, events_out) = mpsc::channel(EVENTS);
        let (views, busy) = (Mutex::default(), watch::Sender::default());
        let shared = Arc::new(Shared { disk, views, busy, events });
        let transfers = Self { me, directory, shared };
        transfers.restore(restored);
        Ok((transfers, events_out))
    }

    /// Begins with what was going on when the program ended.
    fn restore(&self, restored: Restored) {
        let mut by_person = BTreeMap::<Person, Before>::new();
        for given in restored.given {
            by_person.entry(Person(given.to.clone())).or_default().given.push(given);
        }
        for taken in restored.taken {
            by_person.entry(Person(taken.from.clone())).or_default().taken.push(taken);
        }
        for (person, past) in by_person {
            let mut listed = lock(&self.directory);
            for id in past.ids() {
                listed.people.insert(id, person.clone());
            }
            self.start(&mut listed, &person, past);
        }
    }

    fn start(&self, listed: &mut Listed, person: &Person, past: Before) -> mpsc::UnboundedSender<ToPerson> {
        let (to_task, messages) = mpsc::unbounded_channel();
        let directory = Arc::downgrade(&self.directory);
        let task = PersonTask::new(person.clone(), directory, Arc::clone(&self.shared), past);
        let task = tokio::spawn(task.run(messages));
        listed.tasks.insert(person.clone(), Task { messages: to_task.clone(), task });
        to_task
    }

    fn tell(&self, person: &Person, message: ToPerson) {
        let mut listed = lock(&self.directory);
        if listed.closed {
            return;
        }
        if let ToPerson::Give { id, .. } = &message {
            listed.people.insert(*id, person.clone());
        }
        let known = listed.tasks.get(person).map(|task| task.messages.clone());
        let task = known.unwrap_or_else(|| self.start(&mut listed, person, Before::default()));
        // Tasks end with this.
        let _ = task.send(message);
    }

    fn command(&self, id: TransferId, message: ToPerson) -> Result<(), NoTransfer> {
        let _ = lock(&self.directory).task_of(id).ok_or(NoTransfer)?.send(message);
        Ok(())
    }

    /// Whose they are.
    pub fn me(&self) -> &Person {
        &self.me
    }

    /// With whom something is left to do that a connection is needed for, as it changes.
    pub fn busy(&self) -> watch::Receiver<BTreeSet<Person>> {
        self.shared.busy.subscribe()
    }

    /// Stops all of it, and waits until all files are let go, so that they can be taken up again.
    pub async fn close(&self) {
        let tasks = {
            let mut listed = lock(&self.directory);
            listed.closed = true;
            std::mem::take(&mut listed.tasks)
        };
        // All of them hear of it before any is waited for.
        let ending: Vec<_> = tasks.into_values().map(|Task { task, .. }| task).collect();
        let deadline = Instant::now() + STOP_WITHIN;
        for mut task in ending {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
        let disk = self.shared.disk.clone();
        let _ = tokio::task::spawn_blocking(move || disk.close()).await;
    }

    /// There is a connection to somebody.
    pub fn connected(&self, person: &Person, channels: FileChannels) {
        self.tell(person, ToPerson::Connected(Box::new(channels)));
    }

    /// Gives files to somebody; they are offered as soon as there is a connection.
    pub fn give(&self, to: &Person, sources: Sources) -> TransferId {
        let id = TransferId::from_bytes(rand::random());
        self.tell(to, ToPerson::Give { id, sources });
        id
    }

    /// Takes files, all of them without `files`, and has them put into `folder`.
    ///
    /// # Errors
    /// [`NoTransfer`], as with everything here.
    pub fn accept(&self, id: TransferId, files: Option<Ranges>, folder: PathBuf) -> Result<(), NoTransfer> {
        self.command(id, ToPerson::Accept { id, files, folder })
    }

    /// Does not take them.
    ///
    /// # Errors
    /// [`NoTransfer`].
    pub fn decline(&self, id: TransferId) -> Result<(), NoTransfer> {
        self.command(id, ToPerson::Command(Command::Decline { id }))
    }

    /// Stops a transfer, or one file of it, for now.
    ///
    /// # Errors
    /// [`NoTransfer`].
    pub fn pause(&self, id: TransferId, file: Option<u32>) -> Result<(), NoTransfer> {
        self.command(id, ToPerson::Command(Command::Pause { id, file }))
    }

    /// Has it go on.
    ///
    /// # Errors
    /// [`NoTransfer`].
    pub fn resume(&self, id: TransferId, file: Option<u32>) -> Result<(), NoTransfer> {
        self.command(id, ToPerson::Command(Command::Resume { id, file }))
    }

    /// Stops it for good.
    ///
    /// # Errors
    /// [`NoTransfer`].
    pub fn cancel(&self, id: TransferId, file: Option<u32>) -> Result<(), NoTransfer> {
        self.command(id, ToPerson::Command(Command::Cancel { id, file }))
    }

    /// All transfers, as they were told last, those that are over included.
    pub fn list(&self) -> Vec<TransferView> {
        lock(&self.shared.views).values().cloned().collect()
    }

    /// Shows a transfer that is over no longer.
    ///
    /// # Errors
    /// [`NoTransfer`].
    pub fn dismiss(&self, id: TransferId) -> Result<(), NoTransfer> {
        self.command(id, ToPerson::Dismiss(id))
    }

    /// The files of a transfer.
    ///
    /// # Errors
    /// [`NoTransfer`].
    pub async fn files(&self, id: TransferId) -> Result<Vec<FileView>, NoTransfer> {
        let (reply, answer) = oneshot::channel();
        self.command(id, ToPerson::Files { id, reply })?;
        answer.await.ok().flatten().ok_or(NoTransfer)
    }
}

impl std::fmt::Debug for Transfers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfers").finish_non_exhaustive()
    }
}

/// Nothing is left half done where one panics.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
