//! The task that owns the link to one person.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use ahoy_files::{RestoredGiven, RestoredTaken, Sources};
use ahoy_transfer::{
    CHUNK, Command, FileState, FileView, GivenRecord, Input, Label, Link, Manifest, Outcome, Output, Past,
    Ranges, Rate, TransferId, TransferView, Way,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use super::channels::{FileChannels, FromChannels};
use super::{Listed, Person, Shared, TransfersEvent, lock};

/// How often it is told how far a transfer is.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// How often it is looked whether there is something else to tell: counting 100,000 files takes a while.
const LOOKED_EVERY: Duration = Duration::from_millis(50);
/// How often it is looked how fast it is, while nothing arrives.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What waits for the network at most, as time: whatever is said has to wait behind it.
const AHEAD_S: f64 = 0.5;
/// The least in bytes, which is enough to find out what the path carries. The most is the channels' business.
const AHEAD_LEAST: u64 = 256 * 1024;
/// After so many bytes it is looked how many of them still wait.
const LOOK_AFTER: u64 = CHUNK;
/// Transfers with one person that are over and still known.
const MOST_OVER: usize = 100;
/// How long what was said last may take to arrive: that a file is there, or is not wanted.
const FAREWELL: Duration = Duration::from_secs(1);
/// For so long a connection may take nothing at all that is said before it is given up.
const STUCK: Duration = Duration::from_secs(10);

/// What a person's task is told.
pub(super) enum ToPerson {
    Connected(Box<FileChannels>),
    Give { id: TransferId, sources: Sources },
    Accept { id: TransferId, files: Option<Ranges>, folder: PathBuf },
    Command(Command),
    Disk(Outcome),
    Dismiss(TransferId),
    Files { id: TransferId, reply: oneshot::Sender<Option<Vec<FileView>>> },
}

/// What was going on with somebody before a restart.
#[derive(Default)]
pub(super) struct Before {
    pub(super) given: Vec<RestoredGiven>,
    pub(super) taken: Vec<RestoredTaken>,
}

impl Before {
    pub(super) fn ids(&self) -> impl Iterator<Item = TransferId> + '_ {
        self.given.iter().map(|given| given.id).chain(self.taken.iter().map(|taken| taken.record.id))
    }
}

/// What is known of a transfer here.
struct Known {
    label: Label,
    manifest: Arc<Manifest>,
    rate: Rate,
    looked: Option<Instant>,
    told: Option<(Instant, TransferView)>,
    /// How it ended.
    past: Option<Past>,
}

impl Known {
    fn is_moving(&self) -> bool {
        self.told.as_ref().is_some_and(|(_, view)| view.is_moving())
    }
}

pub(super) struct PersonTask {
    person: Person,
    /// From when on the link counts.
    began: Instant,
    link: Link,
    directory: Weak<Mutex<Listed>>,
    shared: Arc<Shared>,
    channels: Option<FileChannels>,
    /// Whether they can be used.
    connected: bool,
    /// Bytes that were sent since it was looked how many wait.
    sent: u64,
    /// Those of another connection that is coming about: the one before is used until it has.
    next: Option<FileChannels>,
    known: BTreeMap<TransferId, Known>,
    changed: BTreeSet<TransferId>,
}

impl PersonTask {
    pub(super) fn new(
        person: Person,
        directory: Weak<Mutex<Listed>>,
        shared: Arc<Shared>,
        past: Before,
    ) -> Self {
        let given = past.given.iter().map(|given| GivenRecord {
            id: given.id,
            manifest: Arc::clone(given.sources.manifest()),
            ends: given.ends.clone(),
        });
        let taken = past.taken.iter().map(|taken| taken.record.clone());
        let mut task = Self {
            person,
            began: Instant::now(),
            link: Link::new(given, taken),
            directory,
            shared,
            channels: None,
            next: None,
            connected: false,
            sent: 0,
            known: BTreeMap::new(),
            changed: BTreeSet::new(),
        };
        for given in past.given {
            task.know(given.id, Way::Sent, Arc::clone(given.sources.manifest()));
        }
        for RestoredTaken { folder, record, .. } in past.taken {
            task.know(record.id, Way::Received, record.manifest);
            task.goes_to(record.id, folder);
        }
        task
    }

    pub(super) async fn run(mut self, mut messages: mpsc::UnboundedReceiver<ToPerson>) {
        loop {
            self.carry_out().await;
            let at = self.next_look();
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => break,
                },
                event = next_of(&mut self.channels), if self.channels.is_some() => match event {
                    Some(event) => self.on_channels(event).await,
                    None => self.lose(),
                },
                event = next_of(&mut self.next), if self.next.is_some() => {
                    let next = self.next.take();
                    // The first news is that it is open, or that it will not be, at last or in one way.
                    match event {
                        Some(FromChannels::Open) => {
                            self.lose();
                            self.channels = next;
                            self.connect().await;
                        }
                        Some(_) => self.next = next,
                        None => {}
                    }
                }
                () = sleep_until(at.unwrap_or_else(Instant::now).into()), if at.is_some() => self.on_time().await,
            }
        }
        if let Some(channels) = self.channels.filter(|_| self.connected) {
            // A side that is gone takes nothing any more.
            let _ = timeout(FAREWELL, channels.said_all()).await;
        }
    }

    /// Nothing has happened for a while: what moves may be slower, and there may be room that nobody told of.
    async fn on_time(&mut self) {
        let moving = self.known.iter().filter(|(_, known)| known.is_moving());
        self.changed.extend(moving.map(|(id, _)| *id));
        self.look_for_room().await;
    }

    fn handle(&mut self, input: Input) {
        if let Err(error) = self.link.handle(input, self.began.elapsed()) {
            tracing::debug!(%error, person = self.person.0, "about files");
        }
    }

    /// Something is known of a transfer.
    fn know(&mut self, id: TransferId, way: Way, manifest: Arc<Manifest>) {
        let label = Label::new(id.to_string(), self.person.0.clone(), way, &manifest);
        let (rate, looked, told, past) = Default::default();
        self.known.insert(id, Known { label, manifest, rate, looked, told, past });
        self.changed.insert(id);
    }

    fn goes_to(&mut self, id: TransferId, folder: PathBuf) {
        if let Some(known) = self.known.get_mut(&id) {
            known.label.goes_to(folder);
        }
    }

    fn on_message(&mut self, message: ToPerson) {
        match message {
            ToPerson::Connected(channels) => match self.connected {
                true => self.next = Some(*channels),
                false => {
                    self.lose();
                    self.channels = Some(*channels);
                }
            },
            ToPerson::Give { id, sources } => {
                let manifest = Arc::clone(sources.manifest());
                self.know(id, Way::Sent, Arc::clone(&manifest));
                self.shared.disk.give(id, self.person.0.clone(), sources);
                self.handle(Input::Command(Command::Give { id, manifest }));
            }
            ToPerson::Accept { id, files, folder } => {
                self.goes_to(id, folder.clone());
                self.shared.disk.take(id, self.person.0.clone(), folder);
                self.handle(Input::Command(Command::Accept { id, files }));
            }
            ToPerson::Command(command) => self.handle(Input::Command(command)),
            ToPerson::Dismiss(id) => self.dismiss(id),
            ToPerson::Disk(outcome) => self.handle(Input::Disk(outcome)),
            ToPerson::Files { id, reply } => {
                let files = self.known.get(&id).map(|known| self.files(id, known));
                let _ = reply.send(files);
            }
        }
    }

    fn files(&self, id: TransferId, known: &Known) -> Vec<FileView> {
        ahoy_transfer::files(&known.manifest, |file| match &known.past {
            Some(past) => past.ends.get(&file).copied().map(FileState::Ended),
            None => self.link.file_state(id, file),
        })
    }

    async fn on_channels(&mut self, event: FromChannels) {
        match event {
            FromChannels::Open => self.connect().await,
            FromChannels::Lost => self.disconnect(),
            FromChannels::Said(text) => self.handle(Input::Said(text)),
            FromChannels::Chunk(chunk) => self.handle(Input::Chunk(chunk)),
            FromChannels::Room => self.look_for_room().await,
        }
    }

    /// There is a connection.
    async fn connect(&mut self) {
        self.connected = true;
        self.handle(Input::Connected);
        self.known.keys().for_each(|id| _ = self.changed.insert(*id));
        self.look_for_room().await;
    }

    /// The connection is gone.
    fn lose(&mut self) {
        if self.channels.take().is_some() {
            self.disconnect();
        }
    }

    /// Nothing can be sent over it any more: by what is left of it, if there is anything.
    fn fall_back(&mut self) {
        match self.channels.as_mut().is_some_and(FileChannels::fall_back) {
            true => self.disconnect(),
            false => self.lose(),
        }
    }

    /// It can't be used at the moment.
    fn disconnect(&mut self) {
        if std::mem::take(&mut self.connected) {
            self.handle(Input::Lost);
            self.known.values_mut().for_each(|known| known.rate.stopped());
            self.known.keys().for_each(|id| _ = self.changed.insert(*id));
        }
    }

    /// Finds out how much more may wait for the network.
    async fn look_for_room(&mut self) {
        let Some(channels) = self.channels.as_ref().filter(|_| self.connected) else { return };
        let now = self.began.elapsed();
        let speed: f64 = self.known.values().filter_map(|known| known.rate.per_second(now)).sum();
        let ahead = ((speed * AHEAD_S) as u64).clamp(AHEAD_LEAST, channels.most_waiting());
        self.sent = 0;
        // First, so that no moment is missed at which it falls below.
        let _ = channels.tell_below(ahead / 2).await;
        match channels.waiting().await {
            Ok(waiting) => {
                self.handle(Input::Room(ahead.saturating_sub(waiting)));
            }
            Err(_) => self.lose(),
        }
    }

    /// Does what there is to do.
    async fn carry_out(&mut self) {
        while let Some(output) = self.link.poll(self.began.elapsed()) {
            match output {
                Output::Say(said) => {
                    let Some(channels) = &self.channels else { continue };
                    let text = said.write();
                    if !matches!(timeout(STUCK, channels.say(&text)).await, Ok(Ok(()))) {
                        self.fall_back();
                    }
                }
                Output::Send(chunk) => {
                    let Some(channels) = &self.channels else { continue };
                    self.sent += chunk.content.len() as u64;
                    if !matches!(timeout(STUCK, channels.send(chunk.write())).await, Ok(Ok(()))) {
                        self.fall_back();
                    } else if self.sent >= LOOK_AFTER {
                        self.look_for_room().await;
                    }
                }
                Output::Disk(job) => self.shared.disk.work(job),
                Output::Offered(id) => self.offered(id).await,
                Output::Changed(id) => _ = self.changed.insert(id),
                Output::Forgotten(past) => {
                    if let Some(known) = self.known.get_mut(&past.id) {
                        self.changed.insert(past.id);
                        known.past = Some(past);
                    }
                }
            }
        }
        self.tell_whether_busy();
        self.tell_changes().await;
    }

    /// Tells whether something is left that a connection is needed for.
    fn tell_whether_busy(&self) {
        let is_busy = self.link.is_busy();
        self.shared.busy.send_if_modified(|busy| match is_busy {
            true => busy.insert(self.person.clone()),
            false => busy.remove(&self.person),
        });
    }

    async fn offered(&mut self, id: TransferId) {
        let Some(manifest) = self.link.manifest(id).cloned() else { return };
        let Some(directory) = self.directory.upgrade() else { return };
        // News of its files, and what people want of it, come here; unless the id is somebody else's, to whom they would go.
        let owner = lock(&directory).people.entry(id).or_insert_with(|| self.person.clone()).clone();
        drop(directory);
        if owner != self.person {
            return self.handle(Input::Command(Command::Decline { id }));
        }
        self.know(id, Way::Received, manifest);
        self.changed.remove(&id);
        if let Some(view) = self.look(id, Instant::now()) {
            lock(&self.shared.views).insert(id, view.clone());
            let _ = self.shared.events.send(TransfersEvent::Offered(Box::new(view))).await;
        }
    }

    /// How a transfer is doing now.
    fn look(&mut self, id: TransferId, now: Instant) -> Option<TransferView> {
        let known = self.known.get_mut(&id)?;
        let progress = match &known.past {
            Some(past) => past.progress,
            None => self.link.progress(id)?,
        };
        let trouble = match &known.past {
            Some(past) => past.trouble,
            None => self.link.trouble(id),
        };
        let mut view = known.label.view(progress, self.connected, trouble);
        known.rate.fill_in(&mut view, now.duration_since(self.began));
        Some(view)
    }

    /// Tells what is new, not more often than anybody can read.
    async fn tell_changes(&mut self) {
        let now = Instant::now();
        for id in std::mem::take(&mut self.changed) {
            let Some(known) = self.known.get_mut(&id) else { continue };
            if known.looked.is_some_and(|at| now.duration_since(at) < LOOKED_EVERY) {
                self.changed.insert(id);
                continue;
            }
            known.looked = Some(now);
            let Some(view) = self.look(id, now) else { continue };
            let Some(known) = self.known.get_mut(&id) else { continue };
            let (is_news, is_due) = match &known.told {
                Some((at, before)) => (view.is_news(before), now.duration_since(*at) >= TOLD_EVERY),
                None => (true, true),
            };
            if !is_news && !is_due {
                self.changed.insert(id);
                continue;
            }
            known.told = Some((now, view.clone()));
            let is_over = known.past.is_some();
            lock(&self.shared.views).insert(id, view.clone());
            let event = TransfersEvent::Changed(Box::new(view));
            if is_news {
                // Nobody listens any more when the program ends.
                let _ = self.shared.events.send(event).await;
            } else {
                let _ = self.shared.events.try_send(event);
            }
            if is_over {
                self.forget_old();
            }
        }
    }

    /// Of what is over the oldest ones go.
    fn forget_old(&mut self) {
        let over = self.known.iter().filter(|(_, known)| known.past.is_some());
        let mut over: Vec<(Option<Instant>, TransferId)> =
            over.map(|(id, known)| (known.told.as_ref().map(|(at, _)| *at), *id)).collect();
        over.sort();
        for (_, id) in over.iter().take(over.len().saturating_sub(MOST_OVER)) {
            self.dismiss(*id);
        }
    }

    /// Nobody wants to see it any more.
    fn dismiss(&mut self, id: TransferId) {
        let told = self.known.get(&id).and_then(|known| known.told.as_ref());
        if told.is_some_and(|(_, view)| view.is_over()) {
            self.known.remove(&id);
            lock(&self.shared.views).remove(&id);
            if let Some(directory) = self.directory.upgrade() {
                lock(&directory).people.remove(&id);
            }
        }
    }

    /// When there is something to do though nothing happens.
    fn next_look(&self) -> Option<Instant> {
        let to_tell = self.changed.iter().filter_map(|id| Some(self.known.get(id)?.looked? + LOOKED_EVERY));
        let moving = self.known.values().filter(|known| known.is_moving());
        let to_look = moving.filter_map(|known| Some(known.looked? + LOOK_EVERY));
        let timeout = self.link.next_timeout().map(|at| self.began + at);
        timeout.into_iter().chain(to_tell).chain(to_look).min()
    }
}

async fn next_of(channels: &mut Option<FileChannels>) -> Option<FromChannels> {
    match channels {
        Some(channels) => channels.next().await,
        None => None,
    }
}
