//! Carries out what a room's machine decides. One task for each room that lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use ahoy_signal::{ErrorCode, Refusal, RoomId, ServerMessage, SessionId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::directory::{RoomCommand, RoomDirectory};
use super::machine::{RoomInput, RoomMachine, RoomOutput};
use super::requests::Pending;
use crate::clock::unix_ms;
use crate::realtime::mailbox::{Mailbox, Membership, News};
use crate::store::{StoreError, StoredRoom};

/// Commands that are handled before everyone is told who came and went.
const BATCH_MOST: usize = 64;
/// How long the store may take: meanwhile the room stands still.
const STORE_PATIENCE: Duration = Duration::from_secs(5);

struct RoomActor {
    directory: Arc<RoomDirectory>,
    machine: RoomMachine,
    mailboxes: HashMap<SessionId, Arc<Mailbox>>,
    people: Arc<AtomicU16>,
    outputs: Vec<RoomOutput>,
}

/// Runs a room until it is empty.
pub(super) async fn run(
    directory: Arc<RoomDirectory>,
    room: RoomId,
    mut commands: mpsc::Receiver<RoomCommand>,
    people: Arc<AtomicU16>,
) {
    loop {
        match patient(directory.store().room(room)).await {
            Ok(Some(record)) => {
                let machine = RoomMachine::new(record, rand::random());
                let mailboxes = HashMap::new();
                let actor = RoomActor { directory, machine, mailboxes, people, outputs: Vec::new() };
                return Box::pin(actor.run(commands)).await;
            }
            Ok(None) => refuse_all(room, &mut commands, ErrorCode::NoSuchRoom, "There is no such room."),
            Err(error) => {
                tracing::error!(%room, %error, "a room can't be read");
                let why = "The server can't read the room now: try again later.";
                refuse_all(room, &mut commands, ErrorCode::Unavailable, why);
            }
        }
        if directory.release(room, &mut commands) {
            return;
        }
    }
}

async fn patient<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable("it took longer than five seconds".to_owned());
    timeout(STORE_PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
}

fn refuse_all(room: RoomId, commands: &mut mpsc::Receiver<RoomCommand>, code: ErrorCode, why: &str) {
    while let Ok(command) = commands.try_recv() {
        if let RoomCommand::Request { from, re, .. } = command {
            let mut news = News::answer(re, ServerMessage::Error(Refusal::new(code, why)));
            (news.room, news.membership) = (Some(room), Membership::Out);
            from.put_news(news);
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl RoomActor {
    async fn run(mut self, mut commands: mpsc::Receiver<RoomCommand>) {
        let mut noted = false;
        loop {
            let deadline = self.machine.deadline();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                () = until(deadline) => self.machine.handle(now(), RoomInput::Tick, &mut self.outputs),
            }
            self.carry_out().await;
            for _ in 1..BATCH_MOST {
                let Ok(command) = commands.try_recv() else { break };
                self.on_command(command);
                self.carry_out().await;
            }
            self.machine.settle(now(), &mut self.outputs);
            self.carry_out().await;
            self.people.store(self.machine.people(), Ordering::Relaxed);
            self.forget_strangers();
            if !std::mem::replace(&mut noted, true) {
                self.note_use().await;
            }
            if self.machine.is_empty() && self.directory.release(self.machine.room(), &mut commands) {
                tracing::debug!(room = %self.machine.room(), "the room is empty");
                return;
            }
        }
    }

    fn on_command(&mut self, command: RoomCommand) {
        let input = match command {
            RoomCommand::Request { from, identity, re, request } => {
                let session = from.session();
                self.mailboxes.entry(session).or_insert(from);
                let (random, at_ms) = (rand::random(), unix_ms());
                RoomInput::Request { from: session, identity, re, request: *request, random, at_ms }
            }
            RoomCommand::Lost(session) => RoomInput::Lost(session),
            RoomCommand::Back(session) => RoomInput::Back(session),
            RoomCommand::Gone(session) => RoomInput::Gone(session),
            RoomCommand::CatchUp(session) => RoomInput::CatchUp(session),
        };
        self.machine.handle(now(), input, &mut self.outputs);
    }

    async fn carry_out(&mut self) {
        let mut outputs = std::mem::take(&mut self.outputs);
        while !outputs.is_empty() {
            for output in outputs.drain(..) {
                match output {
                    RoomOutput::Tell(session, news) => {
                        if let Some(mailbox) = self.mailboxes.get(&session) {
                            mailbox.put_news(*news);
                        }
                    }
                    RoomOutput::Broadcast(sessions, text) => {
                        metrics::counter!("ahoy_room_changes_total").increment(1);
                        let room = self.machine.room();
                        for mailbox in sessions.iter().filter_map(|session| self.mailboxes.get(session)) {
                            mailbox.put_delta(room, &text);
                        }
                    }
                    RoomOutput::Snapshot(session, text) => {
                        if let Some(mailbox) = self.mailboxes.get(&session) {
                            mailbox.put_snapshot(self.machine.room(), text);
                        }
                    }
                    RoomOutput::Store(pending) => {
                        let stored = self.store(&pending).await;
                        self.machine.handle(now(), RoomInput::Stored(pending, stored), &mut self.outputs);
                    }
                }
            }
            std::mem::swap(&mut outputs, &mut self.outputs);
        }
        self.outputs = outputs;
    }

    /// Stores that the room is used, so that it is not forgotten; were it not, the room would work all the same.
    async fn note_use(&self) {
        let record = self.machine.record();
        if self.machine.is_deleted() {
            return;
        }
        if let Err(error) = patient(self.directory.store().put_room(record)).await {
            tracing::warn!(room = %record.room, %error, "that a room is used can't be stored");
        }
    }

    async fn store(&self, pending: &Pending) -> bool {
        let (store, room) = (self.directory.store(), self.machine.room());
        let done = match &pending.record {
            Some(record) => patient(store.put_room(record)).await,
            None => patient(store.delete_room(room)).await,
        };
        if let Err(error) = &done {
            tracing::error!(%room, %error, "a room can't be stored");
        }
        done.is_ok()
    }

    /// Keeps the mailboxes of those who are here only.
    fn forget_strangers(&mut self) {
        if self.mailboxes.len() > self.machine.known() {
            let machine = &self.machine;
            self.mailboxes.retain(|session, _| machine.knows(*session));
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl RoomMachine {
    /// The room as it is stored.
    pub fn record(&self) -> &StoredRoom {
        &self.record
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// How many sessions are in it or wait for it.
    pub fn known(&self) -> usize {
        self.members.len() + self.waiting.len()
    }
}
