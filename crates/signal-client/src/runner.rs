//! The session at work: a task that does what its machines decide.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ahoy_signal::{ClientMessage, ErrorCode, Refusal, RoomId, ServerEnvelope};
use ahoy_tunnel::Tunnel;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::client::{Answer, ClientEvent, Command, RoomView};
use crate::connection::{Arrived, Connection};
use crate::reach::ReachError;
use crate::room::{RoomOutput, RoomReplica, Turn};
use crate::session::{
    Input, NoToken, Output, Request, RequestError, SessionEvent, SessionMachine, Tag, TokenUse, Trouble,
};
use crate::tokens::{TokenError, TokenKeeper};

/// What comes back from opening connections and getting tokens: one of each at a time, and outdated ones. Whoever reports
/// waits.
const DONE: usize = 8;

/// Who waits for an answer.
enum Waiting {
    Caller(Answer),
    /// Somebody who asked something about a room, and what.
    Said(RoomId, ClientMessage, Answer),
    Room(RoomId, Turn),
    Nobody,
}

/// What was done aside.
enum Done {
    Opened(u64, Result<Connection, ReachError>),
    Token(u64, Input),
}

/// The task of a session.
pub(crate) struct Runner {
    machine: SessionMachine,
    tls: Arc<ClientConfig>,
    tokens: Arc<TokenKeeper>,
    connection: Option<Connection>,
    /// Counts connections: what comes of older ones is none of ours.
    generation: u64,
    token_generation: u64,
    report: mpsc::Sender<Done>,
    reports: mpsc::Receiver<Done>,
    rooms: BTreeMap<RoomId, RoomReplica>,
    waiting: BTreeMap<Tag, Waiting>,
    last_tag: u64,
    /// What is still to be done, in order: also what comes up while something is done.
    outputs: VecDeque<Output>,
    at_work: bool,
    outbox: VecDeque<ClientEvent>,
    ended: bool,
}

impl Runner {
    pub(crate) fn new(machine: SessionMachine, tls: Arc<ClientConfig>, tokens: Arc<TokenKeeper>) -> Self {
        let (report, reports) = mpsc::channel(DONE);
        Self {
            machine,
            tls,
            tokens,
            connection: None,
            generation: 0,
            token_generation: 0,
            report,
            reports,
            rooms: BTreeMap::new(),
            waiting: BTreeMap::new(),
            last_tag: 0,
            outputs: VecDeque::new(),
            at_work: false,
            outbox: VecDeque::new(),
            ended: false,
        }
    }

    pub(crate) async fn run(mut self, mut to_do: mpsc::Receiver<Command>, events: mpsc::Sender<ClientEvent>) {
        while !(self.ended && self.outbox.is_empty()) {
            let deadline = self.deadline();
            let heard = self.outbox.is_empty();
            tokio::select! {
                room = events.reserve(), if !heard => match room {
                    Ok(permit) => {
                        if let Some(event) = self.outbox.pop_front() {
                            permit.send(event);
                        }
                    }
                    // Nobody listens any more.
                    Err(_) => break,
                },
                command = to_do.recv(), if heard && !self.ended => self.command(command),
                report = self.reports.recv() => if let Some(report) = report { self.done(report) },
                arrived = next(&mut self.connection), if heard => self.arrived(arrived),
                () = sleep_until(deadline.unwrap_or_else(far_away)), if deadline.is_some() => self.tick(),
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let rooms = self.rooms.values().filter_map(RoomReplica::deadline);
        rooms.chain(self.machine.deadline()).min().map(Instant::from_std)
    }

    fn tick(&mut self) {
        let now = Instant::now().into_std();
        self.handle(Input::Tick);
        let due: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in due {
            if let Some(replica) = self.rooms.get_mut(&room) {
                let outputs = replica.tick(now);
                self.room_outputs(room, outputs);
            }
        }
    }

    fn command(&mut self, command: Option<Command>) {
        match command {
            None | Some(Command::End) => self.handle(Input::Leave),
            Some(Command::Retry) => self.handle(Input::Retry),
            Some(Command::Ask { room: Some(room), body, answer }) => self.say(room, *body, answer),
            Some(Command::Ask { room: None, body, answer }) => self.ask(None, *body, Waiting::Caller(answer)),
            Some(Command::Join(room)) => {
                if let Entry::Vacant(place) = self.rooms.entry(room) {
                    let (replica, outputs) = RoomReplica::join();
                    place.insert(replica);
                    self.room_outputs(room, outputs);
                }
            }
            Some(Command::Leave(room, answer)) => {
                let body = match self.rooms.get_mut(&room).map(RoomReplica::leave) {
                    Some(body) => {
                        self.forget_if_over(room);
                        body
                    }
                    None => ClientMessage::Leave {},
                };
                self.ask(Some(room), body, Waiting::Caller(answer));
            }
            Some(Command::Say(room, entry, answer)) => {
                let body = match self.rooms.get_mut(&room) {
                    Some(replica) => replica.say(entry),
                    None => ClientMessage::SetState { entry },
                };
                self.say(room, body, answer);
            }
            Some(Command::Look(room, answer)) => {
                let view = self.rooms.get(&room).and_then(|replica| {
                    let room = replica.state()?.snapshot();
                    Some(RoomView { me: replica.me(), room })
                });
                // Whoever asked may have gone.
                let _ = answer.send(view);
            }
        }
    }

    fn ask(&mut self, room: Option<RoomId>, body: ClientMessage, waiting: Waiting) {
        let request = self.request(room, body, waiting);
        self.handle(Input::Ask(request));
    }

    /// Asks something about a room.
    fn say(&mut self, room: RoomId, body: ClientMessage, answer: Answer) {
        self.ask(Some(room), body.clone(), Waiting::Said(room, body, answer));
    }

    fn request(&mut self, room: Option<RoomId>, body: ClientMessage, waiting: Waiting) -> Request {
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        self.waiting.insert(tag, waiting);
        Request { tag, room, body }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Opened(generation, opened) if generation == self.generation => match opened {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.handle(Input::Opened);
                }
                Err(error) => self.handle(Input::NotOpened(error)),
            },
            Done::Token(generation, input) if generation == self.token_generation => self.handle(input),
            Done::Opened(..) | Done::Token(..) => {}
        }
    }

    fn arrived(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::Text(text) => self.handle(Input::Text(text)),
            Arrived::Closed(code) => {
                self.connection = None;
                self.handle(Input::Closed(code));
            }
        }
    }

    fn handle(&mut self, input: Input) {
        self.outputs.extend(self.machine.handle(input, Instant::now().into_std()));
        if std::mem::replace(&mut self.at_work, true) {
            return;
        }
        while let Some(output) = self.outputs.pop_front() {
            self.carry_out(output);
        }
        self.at_work = false;
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::NeedToken(why) => self.get_token(why),
            Output::Connect => self.connect(),
            Output::Send(text) => {
                if self.connection.as_ref().is_some_and(|open| open.send(text).is_err()) {
                    self.connection = None;
                    self.handle(Input::Closed(None));
                }
            }
            Output::Close => {
                self.generation += 1;
                self.connection = None;
            }
            Output::Answer(tag, answer) => self.answer(tag, answer),
            Output::Event(event) => self.event(event),
        }
    }

    fn get_token(&mut self, why: TokenUse) {
        self.token_generation += 1;
        let (generation, tokens, report) =
            (self.token_generation, Arc::clone(&self.tokens), self.report.clone());
        // Never aborted: an answer that is thrown away would be a refresh token lost.
        tokio::spawn(async move {
            let token = match why {
                TokenUse::Open => tokens.for_opening().await,
                TokenUse::Renew => tokens.for_renewal().await,
            };
            let input = match token {
                Ok((token, valid)) => Input::Token(token, valid),
                Err(TokenError::SignedOut) => Input::NoToken(NoToken::SignedOut),
                Err(TokenError::Reach(error)) => Input::NoToken(NoToken::Later(Trouble::Reach(error))),
                Err(TokenError::Vault(error)) => {
                    Input::NoToken(NoToken::Later(Trouble::Secrets(error.to_string())))
                }
            };
            // The session may be over.
            let _ = report.send(Done::Token(generation, input)).await;
        });
    }

    fn connect(&mut self) {
        self.generation += 1;
        self.connection = None;
        let (generation, report) = (self.generation, self.report.clone());
        let (server, tls) = (self.tokens.http().server().clone(), Arc::clone(&self.tls));
        // A server on this machine or network may do without: `no_proxy` says which.
        let tunnel = Tunnel::system(Some(Arc::clone(&self.tls)));
        tokio::spawn(async move {
            let opened =
                tokio::time::timeout(crate::session::CONNECT_WITHIN, Connection::open(&server, tls, &tunnel));
            let opened =
                opened.await.unwrap_or_else(|_| Err(ReachError::TimedOut { server: server.to_string() }));
            // The session may be over.
            let _ = report.send(Done::Opened(generation, opened)).await;
        });
    }

    fn answer(&mut self, tag: Tag, answer: Result<ServerEnvelope, RequestError>) {
        match self.waiting.remove(&tag) {
            Some(Waiting::Caller(caller)) => self.give(caller, answer),
            Some(Waiting::Said(room, body, caller)) => self.said(tag, room, body, caller, answer),
            Some(Waiting::Room(room, turn)) => {
                if let Some(replica) = self.rooms.get_mut(&room) {
                    let outputs = replica.answered(turn, answer, Instant::now().into_std());
                    self.room_outputs(room, outputs);
                }
            }
            Some(Waiting::Nobody) => {
                if let Err(error) = answer {
                    tracing::info!(%error, "what one says about oneself was not taken");
                }
            }
            None => {}
        }
    }

    fn give(&mut self, to: Answer, answer: Result<ServerEnvelope, RequestError>) {
        match to {
            Answer::Caller(caller) => {
                // Whoever asked may have gone.
                let _ = caller.send(answer);
            }
            Answer::Event(id) => self.outbox.push_back(ClientEvent::Answered(id, Box::new(answer))),
        }
    }

    /// What was asked about a room is answered, unless it is put off until one is back in the room.
    fn said(
        &mut self,
        tag: Tag,
        room: RoomId,
        body: ClientMessage,
        caller: Answer,
        answer: Result<ServerEnvelope, RequestError>,
    ) {
        let put_off = match &answer {
            Err(RequestError::Refused(refusal)) if refusal.code == ErrorCode::NotInRoom => {
                self.rooms.get_mut(&room).and_then(|replica| replica.put_off(tag, body.clone()))
            }
            Ok(_) | Err(_) => None,
        };
        match put_off {
            Some(outputs) => {
                self.waiting.insert(tag, Waiting::Said(room, body, caller));
                self.room_outputs(room, outputs);
            }
            None => self.give(caller, answer),
        }
    }

    /// A room that is over is not followed any more; what was put off in it is refused.
    fn forget_if_over(&mut self, room: RoomId) {
        let Some(replica) = self.rooms.get_mut(&room).filter(|replica| replica.is_over()) else { return };
        let put_off: Vec<Tag> = replica.take_put_off().collect();
        for tag in put_off {
            if let Some(Waiting::Said(_, _, caller)) = self.waiting.remove(&tag) {
                let refusal = Refusal::new(ErrorCode::NotInRoom, "You are not in this room any more.");
                self.give(caller, Err(RequestError::Refused(refusal)));
            }
        }
        self.rooms.remove(&room);
    }

    fn event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Began(welcome) => {
                tracing::info!(session = %welcome.session, "a session has begun");
                self.outbox.push_back(ClientEvent::Began(Box::new(welcome)));
                self.enter_again();
            }
            SessionEvent::Resumed => {
                tracing::info!("the session goes on");
                self.outbox.push_back(ClientEvent::Resumed);
                let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
                for room in rooms {
                    if let Some(replica) = self.rooms.get_mut(&room) {
                        let outputs = replica.resumed();
                        self.room_outputs(room, outputs);
                    }
                }
            }
            SessionEvent::News(envelope) => self.news(envelope),
            SessionEvent::Waiting { trouble, attempt, wait } => {
                tracing::info!(%trouble, attempt, wait_ms = wait.as_millis(), "no connection to the server");
                self.outbox.push_back(ClientEvent::Waiting { trouble, attempt, wait });
            }
            SessionEvent::GaveUp(trouble) => {
                tracing::warn!(%trouble, "no more attempts to reach the server");
                self.outbox.push_back(ClientEvent::GaveUp(trouble));
            }
            SessionEvent::Ended(reason) => {
                tracing::info!(%reason, "the session is over");
                self.outbox.push_back(ClientEvent::Ended(reason));
                self.ended = true;
            }
        }
    }

    /// Enters all rooms in a new session, before anything else is asked in it.
    fn enter_again(&mut self) {
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        let mut first = Vec::new();
        for room in rooms {
            let outputs = self.rooms.get_mut(&room).map(RoomReplica::began).unwrap_or_default();
            for output in outputs {
                match output {
                    RoomOutput::Follow(turn, body) => {
                        first.push(self.request(Some(room), body, Waiting::Room(room, turn)));
                    }
                    RoomOutput::Say(body) => {
                        first.push(self.request(Some(room), body, Waiting::Nobody));
                    }
                    RoomOutput::Again(tag, body) => {
                        let waiting = self.waiting.remove(&tag).unwrap_or(Waiting::Nobody);
                        first.push(self.request(Some(room), body, waiting));
                    }
                    RoomOutput::Event(event) => self.outbox.push_back(ClientEvent::Room(room, event)),
                }
            }
        }
        self.handle(Input::First(first));
    }

    fn news(&mut self, envelope: ServerEnvelope) {
        match envelope.room {
            Some(room) => {
                if let Some(replica) = self.rooms.get_mut(&room) {
                    let outputs = replica.news(envelope, Instant::now().into_std());
                    self.room_outputs(room, outputs);
                }
            }
            None => self.outbox.push_back(ClientEvent::News(Box::new(envelope.body))),
        }
    }

    fn room_outputs(&mut self, room: RoomId, outputs: Vec<RoomOutput>) {
        for output in outputs {
            match output {
                RoomOutput::Follow(turn, body) => self.ask(Some(room), body, Waiting::Room(room, turn)),
                RoomOutput::Say(body) => self.ask(Some(room), body, Waiting::Nobody),
                RoomOutput::Again(tag, body) => {
                    let waiting = self.waiting.remove(&tag).unwrap_or(Waiting::Nobody);
                    self.ask(Some(room), body, waiting);
                }
                RoomOutput::Event(event) => self.outbox.push_back(ClientEvent::Room(room, event)),
            }
        }
        self.forget_if_over(room);
    }
}

/// The next thing that comes out of the connection; nothing while there is none.
async fn next(connection: &mut Option<Connection>) -> Arrived {
    match connection {
        Some(open) => open.next().await,
        None => std::future::pending().await,
    }
}

/// Stands for no deadline where a time has to be named.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
