//! A client: its session, its room, and what it lived through.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use ahoy_signal::{
    AccessToken, ChatText, ClientInfo, ClientMessage, ErrorCode, RoomId, ServerMessage, StateEntry,
};
use ahoy_signal_client::room::{RoomEvent, RoomOutput, RoomReplica, Turn};
use ahoy_signal_client::session::{
    Input, NoToken, Output, PATIENCE, Request, RequestError, SessionEvent, SessionMachine, SessionOptions,
    Tag, Trouble,
};

use crate::network::{Line, Network};

/// How long access tokens are good: short enough to run out often.
pub(crate) const TOKEN_VALID: Duration = Duration::from_secs(300);

/// What became of something that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was said.
    Said,
    /// It was not.
    NotSaid,
    /// Nobody knows.
    Unknown,
}

enum Asked {
    Room(Turn),
    Line(String),
    Nothing,
}

pub(crate) struct Client {
    index: usize,
    room: RoomId,
    session: SessionMachine,
    pub(crate) replica: RoomReplica,
    line: Option<Line>,
    asked: BTreeMap<Tag, Asked>,
    next: u64,
    /// What the session wants done, in order.
    todo: VecDeque<Output>,
    doing: bool,
    /// What became of each line that was said.
    pub(crate) outcomes: BTreeMap<String, Outcome>,
    /// The lines seen, in order.
    pub(crate) seen: Vec<String>,
    seen_once: BTreeSet<String>,
    pub(crate) is_over: bool,
}

impl Client {
    pub(crate) fn new(index: usize, room: RoomId, now: Instant, network: &mut Network) -> Self {
        let client = ClientInfo { name: "simulation".into(), version: "1".into() };
        let options = SessionOptions { client, patience: PATIENCE };
        let (replica, first) = RoomReplica::join();
        let mut client = Self {
            index,
            room,
            session: SessionMachine::new(options, network.pick(0..u64::MAX), now),
            replica,
            line: None,
            asked: BTreeMap::new(),
            next: 0,
            todo: VecDeque::new(),
            doing: false,
            outcomes: BTreeMap::new(),
            seen: Vec::new(),
            seen_once: BTreeSet::new(),
            is_over: false,
        };
        client.room_outputs(first, now, network);
        client
    }

    pub(crate) fn is_online(&self) -> bool {
        self.session.is_online()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.session.deadline(), self.replica.deadline()].into_iter().flatten().min()
    }

    pub(crate) fn tick(&mut self, now: Instant, network: &mut Network) {
        if self.session.deadline().is_some_and(|at| at <= now) {
            self.handle(Input::Tick, now, network);
        }
        if self.replica.deadline().is_some_and(|at| at <= now) {
            let outputs = self.replica.tick(now);
            self.room_outputs(outputs, now, network);
        }
    }

    pub(crate) fn token(&mut self, token: Option<String>, now: Instant, network: &mut Network) {
        let input = match token {
            Some(token) => Input::Token(AccessToken::new(token).expect("a token"), TOKEN_VALID),
            None => Input::NoToken(NoToken::Later(Trouble::Lost)),
        };
        self.handle(input, now, network);
    }

    /// What happens on a connection counts only while it is the one that is used.
    pub(crate) fn on_line(&mut self, line: Line, input: Input, now: Instant, network: &mut Network) {
        if self.line == Some(line) {
            if let Input::Closed(_) = input {
                self.line = None;
            }
            self.handle(input, now, network);
        }
    }

    /// Says a line, or something about oneself.
    pub(crate) fn say(&mut self, now: Instant, network: &mut Network) {
        if network.chance(3) {
            let entry = StateEntry::Hand(network.chance(2));
            let body = self.replica.say(entry);
            return self.ask(Asked::Nothing, body, now, network);
        }
        let line = format!("line {} of {}", self.outcomes.len(), self.index);
        self.outcomes.insert(line.clone(), Outcome::Unknown);
        let body = chat(&line);
        self.ask(Asked::Line(line), body, now, network);
    }

    pub(crate) fn leave(&mut self, now: Instant, network: &mut Network) {
        let body = self.replica.leave();
        self.ask(Asked::Nothing, body, now, network);
        self.handle(Input::Leave, now, network);
    }

    fn request(&mut self, asked: Asked, body: ClientMessage) -> Request {
        self.next += 1;
        let tag = Tag(self.next);
        self.asked.insert(tag, asked);
        Request { tag, room: Some(self.room), body }
    }

    fn ask(&mut self, asked: Asked, body: ClientMessage, now: Instant, network: &mut Network) {
        let request = self.request(asked, body);
        self.handle(Input::Ask(request), now, network);
    }

    fn handle(&mut self, input: Input, now: Instant, network: &mut Network) {
        self.todo.extend(self.session.handle(input, now));
        if std::mem::replace(&mut self.doing, true) {
            // What this brought about comes after what is being done.
            return;
        }
        while let Some(output) = self.todo.pop_front() {
            self.carry_out(output, now, network);
        }
        self.doing = false;
    }

    fn carry_out(&mut self, output: Output, now: Instant, network: &mut Network) {
        match output {
            Output::NeedToken(_) => network.fetch_token(self.index),
            Output::Connect => self.line = Some(network.connect(self.index)),
            Output::Send(text) => {
                if let Some(line) = self.line {
                    network.send_up(line, text);
                }
            }
            Output::Close => {
                if let Some(line) = self.line.take() {
                    network.closed_by_client(line);
                }
            }
            Output::Answer(tag, answer) => {
                match self.asked.remove(&tag).expect("what was asked is answered once") {
                    Asked::Room(turn) => {
                        let outputs = self.replica.answered(turn, answer, now);
                        self.room_outputs(outputs, now, network);
                    }
                    Asked::Line(line) => {
                        if let Err(RequestError::Refused(refusal)) = &answer
                            && refusal.code == ErrorCode::NotInRoom
                            && let Some(outputs) = self.replica.put_off(tag, chat(&line))
                        {
                            self.asked.insert(tag, Asked::Line(line));
                            return self.room_outputs(outputs, now, network);
                        }
                        let outcome = match answer {
                            Ok(envelope) => {
                                assert!(matches!(envelope.body, ServerMessage::Done {}));
                                Outcome::Said
                            }
                            Err(
                                RequestError::Refused(_) | RequestError::NotConnected | RequestError::TooMany,
                            ) => Outcome::NotSaid,
                            Err(RequestError::OutcomeUnknown) => Outcome::Unknown,
                            Err(other) => panic!("client {} could not say a line: {other:?}", self.index),
                        };
                        self.outcomes.insert(line, outcome);
                    }
                    Asked::Nothing => {}
                }
            }
            Output::Event(event) => self.event(event, now, network),
        }
    }

    fn event(&mut self, event: SessionEvent, now: Instant, network: &mut Network) {
        match event {
            SessionEvent::Began(_) => {
                let mut first = Vec::new();
                for output in self.replica.began() {
                    match output {
                        RoomOutput::Follow(turn, body) => first.push(self.request(Asked::Room(turn), body)),
                        RoomOutput::Say(body) => first.push(self.request(Asked::Nothing, body)),
                        RoomOutput::Again(tag, body) => {
                            let asked = self.asked.remove(&tag).expect("what is put off was asked");
                            first.push(self.request(asked, body));
                        }
                        RoomOutput::Event(event) => self.room_event(event),
                    }
                }
                self.handle(Input::First(first), now, network);
            }
            SessionEvent::Resumed => {
                let outputs = self.replica.resumed();
                self.room_outputs(outputs, now, network);
            }
            SessionEvent::News(envelope) => {
                if envelope.room.is_some() {
                    let outputs = self.replica.news(envelope, now);
                    self.room_outputs(outputs, now, network);
                }
            }
            SessionEvent::Waiting { .. } => {}
            SessionEvent::GaveUp(trouble) => panic!("client {} gave up: {trouble:?}", self.index),
            SessionEvent::Ended(_) => self.is_over = true,
        }
    }

    fn room_outputs(&mut self, outputs: Vec<RoomOutput>, now: Instant, network: &mut Network) {
        for output in outputs {
            match output {
                RoomOutput::Follow(turn, body) => self.ask(Asked::Room(turn), body, now, network),
                RoomOutput::Say(body) => self.ask(Asked::Nothing, body, now, network),
                RoomOutput::Again(tag, body) => {
                    let asked = self.asked.remove(&tag).expect("what is put off was asked");
                    self.ask(asked, body, now, network);
                }
                RoomOutput::Event(event) => self.room_event(event),
            }
        }
    }

    fn room_event(&mut self, event: RoomEvent) {
        match event {
            RoomEvent::Chat(message) => self.see(message.text.as_str()),
            // Who enters for the first time sees what was said before.
            RoomEvent::Entered { again: false, room, .. } => {
                for message in room.chat {
                    self.see(message.text.as_str());
                }
            }
            RoomEvent::Refused(refusal) => panic!("client {} was refused: {refusal:?}", self.index),
            RoomEvent::Left(reason) => panic!("client {} had to leave: {reason:?}", self.index),
            RoomEvent::Entered { again: true, .. }
            | RoomEvent::Waiting
            | RoomEvent::Came(_)
            | RoomEvent::Went(_)
            | RoomEvent::Changed(_)
            | RoomEvent::State { .. }
            | RoomEvent::Settings { .. }
            | RoomEvent::Lobby(_)
            | RoomEvent::MuteRequested { .. }
            | RoomEvent::Signal { .. } => {}
        }
    }

    fn see(&mut self, line: &str) {
        assert!(self.seen_once.insert(line.to_owned()), "client {} saw {line:?} twice", self.index);
        self.seen.push(line.to_owned());
    }
}

fn chat(line: &str) -> ClientMessage {
    ClientMessage::Chat { text: ChatText::new(line).expect("a line") }
}
