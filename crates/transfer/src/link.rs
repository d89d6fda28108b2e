//! All transfers with one other person, in both directions, over connections that come and go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::Moment;
use crate::disk::{Job, Outcome};
use crate::given::GivenRecord;
use crate::giving::{Budget, Giving};
use crate::manifest::{MOST_ENTRIES, Manifest};
use crate::messages::{Chunk, MessageError, Reason, Said, TransferId};
use crate::progress::{End, FileState, Progress, Side};
use crate::ranges::Ranges;
use crate::taken::Record;
use crate::taking::{Taking, WINDOW};

/// Transfers that are taken from one person at the same time, those that wait for a decision included.
const MOST_TAKEN: usize = 64;
/// Entries of transfers that wait for a decision, all together: they are kept in memory.
const MOST_UNDECIDED: u32 = 2 * MOST_ENTRIES;
/// Bytes that may wait to be written: what was on its way when a connection was lost can still be while as much comes again.
const MOST_UNWRITTEN: u64 = 2 * WINDOW;
/// Bytes that the other side can let be on their way at most: with more only a list of them gets longer.
const WINDOW_MOST: u64 = 64 * 1024 * 1024;
/// What is over, and what the other side does not speak of for so long once there is a connection, it has forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// What happens.
#[derive(Debug)]
pub enum Input {
    /// There is a connection, and nothing has been said over it.
    Connected,
    /// It is gone.
    Lost,
    /// A message came.
    Said(Bytes),
    /// A chunk came.
    Chunk(Bytes),
    /// So many more bytes of chunks can be sent before too many wait for the network.
    Room(u64),
    /// Something that was to be done with files is done.
    Disk(Outcome),
    /// Somebody on this side wants something.
    Command(Command),
}

/// What somebody wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Give files.
    Give {
        /// A new id.
        id: TransferId,
        /// What there is.
        manifest: Arc<Manifest>,
    },
    /// Take them.
    Accept {
        /// The transfer.
        id: TransferId,
        /// Numbers of files; all without.
        files: Option<Ranges>,
    },
    /// Do not take them.
    Decline {
        /// The transfer.
        id: TransferId,
    },
    /// Stop for now.
    Pause {
        /// The transfer.
        id: TransferId,
        /// One file; all without.
        file: Option<u32>,
    },
    /// Go on.
    Resume {
        /// The transfer.
        id: TransferId,
        /// One file; all without.
        file: Option<u32>,
    },
    /// Stop for good.
    Cancel {
        /// The transfer.
        id: TransferId,
        /// One file; all without.
        file: Option<u32>,
    },
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Send this as a message.
    Say(Said),
    /// Send this chunk.
    Send(Chunk),
    /// Do this with files.
    Disk(Job),
    /// Somebody has to decide about a transfer: its entries are known.
    Offered(TransferId),
    /// Something about a transfer is not what it was.
    Changed(TransferId),
    /// Both sides know that a transfer is over, and forget it.
    Forgotten(Past),
}

/// A transfer that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Which it was.
    pub id: TransferId,
    /// How it was in the end.
    pub progress: Progress,
    /// How its files ended.
    pub ends: BTreeMap<u32, End>,
    /// Why it was not taken, or some of its files failed.
    pub trouble: Option<Reason>,
}

/// All transfers with one person.
#[derive(Debug, Default)]
pub struct Link {
    giving: Vec<Giving>,
    taking: Vec<Taking>,
    connected: bool,
    connected_at: Option<Moment>,
    /// Bytes that wait to be written.
    unwritten: u64,
    /// Bytes that the other side lets be on their way.
    window: u64,
    /// Bytes that can be sent before too many wait.
    room: u64,
    /// Manifests that the other side has asked for, and the next entry of each.
    listing: VecDeque<(TransferId, u32)>,
    outputs: VecDeque<Output>,
}

impl Link {
    /// With nobody to talk to yet, and what is known from before a restart.
    pub fn new(
        given: impl IntoIterator<Item = GivenRecord>,
        taken: impl IntoIterator<Item = Record>,
    ) -> Self {
        let giving = given.into_iter().map(Giving::restored).collect();
        let taking = taken.into_iter().map(Taking::restored).collect();
        Self { giving, taking, ..Self::default() }
    }

    /// How transfers are doing that are given, in the order in which they began.
    pub fn given(&self) -> impl Iterator<Item = (TransferId, Progress)> + '_ {
        self.giving.iter().map(|giving| (giving.id(), giving.progress()))
    }

    /// How transfers are doing that are taken.
    pub fn taken(&self) -> impl Iterator<Item = (TransferId, Progress)> + '_ {
        self.taking.iter().map(|taking| (taking.id(), taking.progress()))
    }

    /// How a transfer is doing.
    pub fn progress(&self, id: TransferId) -> Option<Progress> {
        let given = self.giving.iter().find(|giving| giving.id() == id).map(Giving::progress);
        given.or_else(|| self.taking.iter().find(|taking| taking.id() == id).map(Taking::progress))
    }

    /// Whether something is left that a connection is needed for.
    pub fn is_busy(&self) -> bool {
        self.giving.iter().any(Giving::is_busy) || self.taking.iter().any(Taking::is_busy)
    }

    /// What a transfer that is taken consists of; nothing before that is known.
    pub fn manifest(&self, id: TransferId) -> Option<&Arc<Manifest>> {
        self.taking.iter().find(|taking| taking.id() == id).map(Taking::manifest)
    }

    /// How a file is doing.
    pub fn file_state(&self, id: TransferId, file: u32) -> Option<FileState> {
        let given = self.giving.iter().find(|giving| giving.id() == id).map(|giving| giving.file_state(file));
        given.or_else(|| {
            self.taking.iter().find(|taking| taking.id() == id).map(|taking| taking.file_state(file))
        })
    }

    /// Why a transfer was paused without anybody asking for that, or why it was not taken or some of its files failed.
    pub fn trouble(&self, id: TransferId) -> Option<Reason> {
        let given = self.giving.iter().find(|giving| giving.id() == id).map(Giving::why);
        given.or_else(|| self.taking.iter().find(|taking| taking.id() == id).map(Taking::why))?
    }

    /// Takes in what happens at `now`. An error is of what the other side has said, which is ignored.
    pub fn handle(&mut self, input: Input, now: Moment) -> Result<(), MessageError> {
        let mut out = Vec::new();
        let result = match input {
            Input::Connected => {
                (self.connected, self.connected_at) = (true, Some(now));
                (self.window, self.room) = (0, 0);
                self.giving.iter_mut().for_each(|giving| giving.connected(&mut out));
                Ok(())
            }
            Input::Lost => {
                (self.connected, self.connected_at) = (false, None);
                self.listing.clear();
                self.giving.iter_mut().for_each(Giving::lost);
                self.taking.iter_mut().for_each(Taking::lost);
                self.outputs.retain(|output| !matches!(output, Output::Say(_) | Output::Send(_)));
                Ok(())
            }
            Input::Said(text) => Said::read(&text).map(|said| self.heard(said, now, &mut out)),
            Input::Chunk(message) => Chunk::read(message).map(|chunk| self.chunk(chunk, now, &mut out)),
            Input::Room(bytes) => {
                self.room = bytes;
                Ok(())
            }
            Input::Disk(outcome) => {
                self.done(outcome, now, &mut out);
                Ok(())
            }
            Input::Command(command) => {
                self.command(command, &mut out);
                Ok(())
            }
        };
        self.give_out(out);
        result
    }

    /// The next thing to be done at `now`. Call it until it returns `None`.
    pub fn poll(&mut self, now: Moment) -> Option<Output> {
        if self.outputs.is_empty() {
            self.refill(now);
        }
        let output = self.outputs.pop_front()?;
        if let Output::Send(chunk) = &output {
            self.room = self.room.saturating_sub(chunk.content.len() as u64);
        }
        Some(output)
    }

    /// When `poll` has something to be done although nothing happens.
    pub fn next_timeout(&self) -> Option<Moment> {
        let said = self.taking.iter().filter_map(Taking::said_at);
        let stops = self.giving.iter().filter_map(Giving::stops_at);
        let is_left_over = self.taking.iter().any(Taking::is_left_over);
        let forgotten = self.connected_at.filter(|_| is_left_over).map(|at| at + FORGOTTEN_AFTER);
        said.chain(stops).chain(forgotten).min()
    }

    fn refill(&mut self, now: Moment) {
        let mut out = Vec::new();
        for giving in &mut self.giving {
            if giving.stops_at().is_some_and(|at| at <= now) {
                giving.stop_for(Reason::NoAnswer, &mut out);
            }
            giving.say_hashes(&mut out);
        }
        for taking in &mut self.taking {
            taking.say_got(now, &mut out);
            out.extend(taking.next_job().map(Output::Disk));
        }
        if out.is_empty() && self.connected {
            out.extend(self.next_page().map(Output::Say).or_else(|| self.next_read(now).map(Output::Disk)));
            // Empty files need nothing to be read.
            self.giving.iter_mut().for_each(|giving| giving.say_hashes(&mut out));
        }
        if self.connected_at.is_some_and(|at| at + FORGOTTEN_AFTER <= now) {
            self.taking.iter_mut().for_each(Taking::forget_left_over);
        }
        self.give_out(out);
    }

    fn next_page(&mut self) -> Option<Said> {
        let (id, first) = self.listing.pop_front()?;
        let (page, next) = self.giving.iter().find(|giving| giving.id() == id)?.page(first)?;
        self.listing.push_back((id, next));
        Some(page)
    }

    fn next_read(&mut self, now: Moment) -> Option<Job> {
        let sum = |bytes: fn(&Giving) -> u64| self.giving.iter().map(bytes).sum::<u64>();
        let granted = self.window.saturating_sub(sum(|giving| giving.under_way));
        let mut budget = Budget(granted.min(self.room.saturating_sub(sum(|giving| giving.reading))));
        self.giving.iter_mut().find_map(|giving| giving.next_job(&mut budget, now))
    }

    /// Puts outputs in line, and forgets what is over.
    fn give_out(&mut self, out: Vec<Output>) {
        let is_connected = self.connected;
        // What can't be said now is said when there is a connection, as all that is known is said then.
        self.outputs.extend(
            out.into_iter()
                .filter(|output| is_connected || !matches!(output, Output::Say(_) | Output::Send(_))),
        );
        let outputs = &mut self.outputs;
        self.giving.retain(|giving| {
            if giving.is_forgotten() {
                outputs.extend([
                    Output::Disk(Job::Forget { id: giving.id() }),
                    Output::Forgotten(giving.past()),
                ]);
            }
            !giving.is_forgotten()
        });
        self.taking.retain(|taking| {
            if taking.is_forgotten() {
                outputs.extend([
                    Output::Disk(Job::Forget { id: taking.id() }),
                    Output::Forgotten(taking.past()),
                ]);
            }
            !taking.is_forgotten()
        });
    }

    fn heard(&mut self, said: Said, now: Moment, out: &mut Vec<Output>) {
        match said {
            Said::Offer { id, ended: true, .. } if !self.taking.iter().any(|taking| taking.id() == id) => {
                out.push(Output::Say(Said::Over { id }));
            }
            Said::Offer { id, entries, bytes, .. } => self.offered(id, entries, bytes, out),
            Said::List { id } => {
                if !self.listing.iter().any(|(listed, _)| *listed == id) {
                    self.listing.push_back((id, 0));
                }
            }
            Said::Manifest { id, first, entries } => {
                self.with_taken(id, |taking| taking.list(first, entries, out))
            }
            Said::Want { id, files } => self.with_given(id, |giving| giving.want(&files)),
            Said::Answer { id, window } => {
                self.window = window.min(WINDOW_MOST);
                self.with_given(id, |giving| giving.answer(out));
            }
            Said::Decline { id, reason } => self.with_given(id, |giving| giving.declined(reason, out)),
            Said::Have { id, file, chunks } => self.with_given(id, |giving| giving.have(file, &chunks)),
            Said::Got { id, file, below, chunks, window } => {
                self.window = window.min(WINDOW_MOST);
                self.with_given(id, |giving| giving.got(file, below, &chunks, now, out));
            }
            Said::Again { id, file, chunks } => self.with_given(id, |giving| giving.again(file, &chunks)),
            Said::Hash { id, file, hash } => self.with_taken(id, |taking| taking.hash(file, hash, out)),
            Said::Done { id, file } => self.with_given(id, |giving| giving.done(file, out)),
            Said::Failed { id, file, reason } => {
                self.with_given(id, |giving| giving.failed(file, reason, out));
                self.with_taken(id, |taking| taking.failed(file, reason, out));
            }
            Said::Pause { id, file, reason } => {
                self.with_given(id, |giving| {
                    giving.trouble = reason.filter(|_| file.is_none()).or(giving.trouble);
                });
                self.pause(id, file, Side::There, true, out);
            }
            Said::Resume { id, file } => self.pause(id, file, Side::There, false, out),
            Said::Cancel { id, file } => {
                self.with_given(id, |giving| giving.cancel(file, out));
                self.with_taken(id, |taking| taking.cancel(file, out));
            }
            Said::Over { id } => {
                self.with_given(id, |giving| giving.over_heard = true);
                self.with_taken(id, |taking| taking.over(out));
            }
            Said::Unknown => {}
        }
    }

    fn offered(&mut self, id: TransferId, entries: u32, bytes: u64, out: &mut Vec<Output>) {
        if self.giving.iter().any(|giving| giving.id() == id) {
            return;
        }
        if !self.taking.iter().any(|taking| taking.id() == id) {
            let reason = match Taking::offered(id, entries, bytes) {
                Ok(taking) if self.has_room_for(entries) => {
                    self.taking.push(taking);
                    None
                }
                Ok(_) => Some(Reason::TooMany),
                Err(_) => Some(Reason::Protocol),
            };
            if let Some(reason) = reason {
                out.extend([Output::Say(Said::Decline { id, reason }), Output::Say(Said::Over { id })]);
            }
        }
        self.with_taken(id, |taking| taking.offer(out));
    }

    /// Whether one more transfer with so many entries can be offered.
    fn has_room_for(&self, entries: u32) -> bool {
        let undecided: u32 = self.taking.iter().filter_map(Taking::undecided_entries).sum();
        let open = self.taking.iter().filter(|taking| taking.is_open()).count();
        open < MOST_TAKEN && self.taking.len() < 2 * MOST_TAKEN && undecided + entries <= MOST_UNDECIDED
    }

    fn chunk(&mut self, chunk: Chunk, now: Moment, out: &mut Vec<Output>) {
        let is_too_much = self.unwritten + chunk.content.len() as u64 > MOST_UNWRITTEN;
        let mut to_write = 0;
        self.with_taken(chunk.id, |taking| match is_too_much {
            true => taking.fail(chunk.file, Reason::Protocol, out),
            false => to_write = taking.chunk(chunk, now, out),
        });
        self.unwritten += to_write;
    }

    fn done(&mut self, outcome: Outcome, now: Moment, out: &mut Vec<Output>) {
        match outcome {
            Outcome::Read { id, file, number, result } => {
                self.with_given(id, |giving| giving.read(file, number, result, out));
            }
            Outcome::Begun { id, result } => self.with_taken(id, |taking| taking.begun(result, out)),
            Outcome::Written { id, file, number, bytes, result } => {
                self.unwritten = self.unwritten.saturating_sub(bytes);
                self.with_taken(id, |taking| taking.written(file, number, result, now, out));
            }
            Outcome::Checked { id, file, damaged, tree } => {
                self.with_taken(id, |taking| taking.checked(file, &damaged, tree, out));
            }
            Outcome::Finished { id, file, result } => {
                self.with_taken(id, |taking| taking.finished(file, result, out));
            }
        }
    }

    fn command(&mut self, command: Command, out: &mut Vec<Output>) {
        match command {
            Command::Give { id, manifest } => {
                let mut giving = Giving::new(id, manifest);
                if self.connected {
                    giving.connected(out);
                }
                self.giving.push(giving);
            }
            Command::Accept { id, files } => {
                self.with_taken(id, |taking| taking.accept(files.as_ref(), out));
            }
            Command::Decline { id } => self.with_taken(id, |taking| taking.decline(Reason::Declined, out)),
            Command::Pause { id, file } => {
                out.push(Output::Say(Said::Pause { id, file, reason: None }));
                self.pause(id, file, Side::Here, true, out);
            }
            Command::Resume { id, file } => {
                out.push(Output::Say(Said::Resume { id, file }));
                self.pause(id, file, Side::Here, false, out);
            }
            Command::Cancel { id, file } => {
                out.push(Output::Say(Said::Cancel { id, file }));
                self.with_given(id, |giving| giving.cancel(file, out));
                self.with_taken(id, |taking| taking.cancel(file, out));
            }
        }
    }

    fn pause(&mut self, id: TransferId, file: Option<u32>, side: Side, on: bool, out: &mut Vec<Output>) {
        self.with_given(id, |giving| giving.pause(file, side, on, out));
        self.with_taken(id, |taking| taking.pause(file, side, on, out));
    }

    fn with_given(&mut self, id: TransferId, act: impl FnOnce(&mut Giving)) {
        if let Some(giving) = self.giving.iter_mut().find(|giving| giving.id() == id) {
            act(giving);
        }
    }

    fn with_taken(&mut self, id: TransferId, act: impl FnOnce(&mut Taking)) {
        if let Some(taking) = self.taking.iter_mut().find(|taking| taking.id() == id) {
            act(taking);
        }
    }
}
