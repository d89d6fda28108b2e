//! One end of all transfers with one other side.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ahoy_transfer::{
    Chunk, Chunks, Command, Entry, FileState, HashTree, Input as LinkInput, Job, Label, Link, Manifest,
    Moment, Outcome, Output as LinkOutput, Past, Ranges, Rate, Reason, TransferId, TransferView, Value, Way,
    files,
};
use bytes::Bytes;

use crate::messages::{Input, NewEntry, Output};

/// How often it is told how far a transfer is.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Transfers that are over and still known.
const MOST_OVER: usize = 100;

/// A transfer.
struct Known {
    label: Label,
    manifest: Arc<Manifest>,
    rate: Rate,
    told: Option<(Moment, TransferView)>,
    past: Option<Past>,
}

/// The other side, and all transfers with it.
pub struct End {
    person: String,
    link: Link,
    connected: bool,
    known: BTreeMap<TransferId, Known>,
    changed: BTreeSet<TransferId>,
    /// What waits for the disk, in the order in which it went there: what it has to be, and how much it is.
    writing: BTreeMap<(TransferId, u32, u64), VecDeque<(Value, u64)>>,
    /// Those that are over, the oldest first.
    over: VecDeque<TransferId>,
    outputs: VecDeque<(Output, Bytes)>,
}

impl End {
    /// Nothing has been given yet. `person` is what the views call the other side.
    pub fn new(person: String) -> Self {
        Self {
            person,
            link: Link::default(),
            connected: false,
            known: BTreeMap::new(),
            changed: BTreeSet::new(),
            writing: BTreeMap::new(),
            over: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in what happens.
    pub fn handle(&mut self, input: Input, bytes: Bytes, now: Moment) {
        match input {
            Input::Connected => self.is_connected(true, now),
            Input::Lost => self.is_connected(false, now),
            Input::Said => self.tell(LinkInput::Said(bytes), now),
            Input::Chunk => self.tell(LinkInput::Chunk(bytes), now),
            Input::Room { bytes } => self.tell(LinkInput::Room(bytes), now),
            Input::Give { id, entries } => self.give(id, entries, now),
            Input::Accept { id, files } => {
                let files = files.map(|files| {
                    let mut wanted = Ranges::default();
                    files.into_iter().for_each(|file| _ = wanted.insert(u64::from(file)));
                    wanted
                });
                self.command(Command::Accept { id, files }, now);
            }
            Input::Decline { id } => self.command(Command::Decline { id }, now),
            Input::Pause { id, file } => self.command(Command::Pause { id, file }, now),
            Input::Resume { id, file } => self.command(Command::Resume { id, file }, now),
            Input::Cancel { id, file } => self.command(Command::Cancel { id, file }, now),
            Input::Dismiss { id } => {
                self.over.retain(|over| *over != id);
                self.dismiss(id);
            }
            Input::Files { id } => self.list(id),
            Input::Read { id, file, number, failed } => {
                let result = self.read(id, file, number, bytes, failed);
                self.done(Outcome::Read { id, file, number, result }, now);
            }
            Input::Begun { id, failed } => {
                self.done(Outcome::Begun { id, result: failed.map_or(Ok(()), Err) }, now)
            }
            Input::Written { id, file, number, failed } => {
                let waiting = self.writing.get_mut(&(id, file, number));
                if let Some((value, bytes)) = waiting.and_then(VecDeque::pop_front) {
                    if self.writing.get(&(id, file, number)).is_some_and(VecDeque::is_empty) {
                        self.writing.remove(&(id, file, number));
                    }
                    let result = failed.map_or(Ok(value), Err);
                    self.done(Outcome::Written { id, file, number, bytes, result }, now);
                }
            }
            Input::Finished { id, file, failed } => {
                self.done(Outcome::Finished { id, file, result: failed.map_or(Ok(()), Err) }, now);
            }
            Input::Wake => self.changed.extend(self.moving().collect::<Vec<_>>()),
        }
        self.carry_out(now);
    }

    /// The next thing that is to be done, with its bytes.
    pub fn poll(&mut self) -> Option<(Output, Bytes)> {
        self.outputs.pop_front()
    }

    /// When to wake it though nothing happens.
    pub fn next_wakeup(&self) -> Option<Moment> {
        let told = |id: &TransferId| self.known.get(id).and_then(|known| known.told.as_ref());
        let to_tell = self.changed.iter().filter_map(|id| Some(told(id)?.0 + TOLD_EVERY));
        let moving = self.moving().filter_map(|id| Some(told(&id)?.0 + 4 * TOLD_EVERY));
        self.link.next_timeout().into_iter().chain(to_tell).chain(moving).min()
    }

    fn moving(&self) -> impl Iterator<Item = TransferId> + '_ {
        let moves = |known: &Known| known.told.as_ref().is_some_and(|(_, view)| view.is_moving());
        self.known.iter().filter(move |(_, known)| moves(known)).map(|(id, _)| *id)
    }

    /// What the other side says wrongly is ignored.
    fn tell(&mut self, input: LinkInput, now: Moment) {
        let _ = self.link.handle(input, now);
    }

    fn command(&mut self, command: Command, now: Moment) {
        self.tell(LinkInput::Command(command), now);
    }

    fn done(&mut self, outcome: Outcome, now: Moment) {
        self.tell(LinkInput::Disk(outcome), now);
    }

    fn is_connected(&mut self, connected: bool, now: Moment) {
        if std::mem::replace(&mut self.connected, connected) != connected {
            self.tell(if connected { LinkInput::Connected } else { LinkInput::Lost }, now);
            self.known.values_mut().for_each(|known| known.rate.stopped());
            self.changed.extend(self.known.keys().copied());
        }
    }

    /// All of it or nothing: whoever has picked them leaves out what can't be given.
    fn give(&mut self, id: TransferId, entries: Vec<NewEntry>, now: Moment) {
        let entries = entries.into_iter().map(|NewEntry { name, folder, size, modified }| Entry {
            name,
            folder,
            size,
            modified,
        });
        let manifest = match Manifest::new(entries.collect()) {
            Ok(manifest) => Arc::new(manifest),
            Err(error) => {
                return self
                    .put(Output::NotGiven { id: id.to_string(), why: error.to_string() }, Bytes::new());
            }
        };
        self.know(id, Way::Sent, Arc::clone(&manifest));
        self.command(Command::Give { id, manifest }, now);
    }

    fn know(&mut self, id: TransferId, way: Way, manifest: Arc<Manifest>) {
        let label = Label::new(id.to_string(), self.person.clone(), way, &manifest);
        let (rate, told, past) = Default::default();
        self.known.insert(id, Known { label, manifest, rate, told, past });
        self.changed.insert(id);
    }

    fn dismiss(&mut self, id: TransferId) {
        if self.known.get(&id).is_some_and(|known| known.past.is_some()) {
            self.known.remove(&id);
        }
    }

    fn list(&mut self, id: TransferId) {
        let Some(known) = self.known.get(&id) else { return };
        let files = files(&known.manifest, |file| match &known.past {
            Some(past) => past.ends.get(&file).copied().map(FileState::Ended),
            None => self.link.file_state(id, file),
        });
        self.outputs.push_back((Output::Files { id: id.to_string(), files }, Bytes::new()));
    }

    fn chunks(&self, id: TransferId, file: u32) -> Option<Chunks> {
        Some(Chunks::of(self.known.get(&id)?.manifest.size(file)?))
    }

    fn read(
        &self,
        id: TransferId,
        file: u32,
        number: u64,
        content: Bytes,
        failed: Option<Reason>,
    ) -> Result<(Bytes, Value), Reason> {
        if let Some(reason) = failed {
            return Err(reason);
        }
        let chunks = self.chunks(id, file).ok_or(Reason::Gone)?;
        if content.is_empty() || content.len() != chunks.length(number) {
            return Err(Reason::Changed);
        }
        let value = chunks.value(number, &content);
        Ok((content, value))
    }

    fn carry_out(&mut self, now: Moment) {
        while let Some(output) = self.link.poll(now) {
            match output {
                LinkOutput::Say(said) => self.put(Output::Say, said.write().into()),
                LinkOutput::Send(chunk) => self.put(Output::Send, chunk.write()),
                LinkOutput::Disk(job) => self.work(job, now),
                LinkOutput::Offered(id) => {
                    if let Some(manifest) = self.link.manifest(id).cloned() {
                        self.know(id, Way::Received, manifest);
                    }
                }
                LinkOutput::Changed(id) => _ = self.changed.insert(id),
                LinkOutput::Forgotten(past) => {
                    let id = past.id;
                    if let Some(known) = self.known.get_mut(&id) {
                        known.past = Some(past);
                        self.changed.insert(id);
                        self.over.push_back(id);
                    }
                    // Of what is over the oldest go.
                    while self.over.len() > MOST_OVER {
                        let oldest = self.over.pop_front();
                        oldest.into_iter().for_each(|oldest| self.dismiss(oldest));
                    }
                }
            }
        }
        self.tell_changes(now);
    }

    fn put(&mut self, output: Output, bytes: Bytes) {
        self.outputs.push_back((output, bytes));
    }

    fn work(&mut self, job: Job, now: Moment) {
        let output = match job {
            Job::Read { id, file, number } => {
                let Some(chunks) = self.chunks(id, file) else { return };
                let (start, length) = (chunks.start(number), chunks.length(number));
                Output::Read { id: id.to_string(), file, number, start, length }
            }
            Job::Begin { id, manifest, files } => {
                let wanted = manifest.files().filter(|(file, _)| files.contains(u64::from(*file)));
                let bytes = wanted.map(|(_, size)| size).sum();
                Output::Begin { id: id.to_string(), bytes }
            }
            Job::Write(chunk) => return self.write(chunk, now),
            // Nothing is there from before a restart: all of it is to come once more.
            Job::Check { id, file, chunks } => {
                let Some(all) = self.chunks(id, file) else { return };
                let outcome = Outcome::Checked { id, file, damaged: chunks, tree: HashTree::new(all) };
                return self.done(outcome, now);
            }
            Job::Finish { id, file } => {
                let Some(known) = self.known.get(&id) else { return };
                let path = known.manifest.path(file);
                let size = known.manifest.size(file).unwrap_or_default();
                Output::Finish { id: id.to_string(), file, path, size }
            }
            Job::Anew { id, file } | Job::GiveUp { id, file, .. } => {
                Output::Remove { id: id.to_string(), file }
            }
            Job::Ended { .. } => return,
            Job::Forget { id } => Output::Forget { id: id.to_string() },
        };
        self.put(output, Bytes::new());
    }

    /// Checks a chunk before it is written.
    fn write(&mut self, chunk: Chunk, now: Moment) {
        let Chunk { id, file, number, value, content } = chunk;
        let bytes = content.len() as u64;
        let Some(chunks) = self.chunks(id, file) else { return };
        let is_whole = !content.is_empty() && content.len() == chunks.length(number);
        if !is_whole || chunks.value(number, &content) != value {
            let result = Err(Reason::Damaged);
            return self.done(Outcome::Written { id, file, number, bytes, result }, now);
        }
        self.writing.entry((id, file, number)).or_default().push_back((value, bytes));
        self.put(Output::Write { id: id.to_string(), file, number, start: chunks.start(number) }, content);
    }

    fn view(&mut self, id: TransferId, now: Moment) -> Option<TransferView> {
        let known = self.known.get_mut(&id)?;
        let (progress, trouble) = match &known.past {
            Some(past) => (past.progress, past.trouble),
            None => (self.link.progress(id)?, self.link.trouble(id)),
        };
        let mut view = known.label.view(progress, self.connected, trouble);
        known.rate.fill_in(&mut view, now);
        Some(view)
    }

    /// Tells what is new, and how far transfers are not more often than anybody can read.
    fn tell_changes(&mut self, now: Moment) {
        for id in std::mem::take(&mut self.changed) {
            let Some(view) = self.view(id, now) else { continue };
            let Some(known) = self.known.get_mut(&id) else { continue };
            let is_due = known
                .told
                .as_ref()
                .is_none_or(|(at, before)| view.is_news(before) || now.saturating_sub(*at) >= TOLD_EVERY);
            if !is_due {
                self.changed.insert(id);
                continue;
            }
            known.told = Some((now, view.clone()));
            self.put(Output::Changed { view: Box::new(view) }, Bytes::new());
        }
    }
}
