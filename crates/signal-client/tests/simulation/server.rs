//! The server: its sessions' and its room's machines, wired as its tasks wire them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ahoy_server::identity::{Class, Identity};
use ahoy_server::realtime::limits::Verdict;
use ahoy_server::realtime::mailbox::News;
use ahoy_server::realtime::room::RoomRequest;
use ahoy_server::realtime::room::machine::{RoomInput, RoomMachine, RoomOutput};
use ahoy_server::realtime::session::machine::{SessionInput, SessionMachine, SessionOutput};
use ahoy_server::store::StoredRoom;
use ahoy_signal::{
    ClientMessage, CloseCode, DeviceId, ErrorCode, Handle, Name, Position, Refusal, ResumeToken, RoomDelta,
    RoomId, RoomSettings, RoomState, ServerEnvelope, ServerMessage, SessionId, UserId, Welcome,
    read_client_message,
};

use crate::client::TOKEN_VALID;
use crate::network::{Happening, Line, Network, owner};

struct Session {
    machine: SessionMachine,
    identity: Arc<Identity>,
    line: Option<Line>,
    taking_over: Option<Line>,
}

/// What is left to do, in order.
enum Work {
    Session(SessionId, SessionOutput),
    Room(RoomOutput),
}

pub(crate) struct Server {
    record: StoredRoom,
    room: Option<RoomMachine>,
    sessions: BTreeMap<SessionId, Session>,
    lines: BTreeMap<Line, Option<SessionId>>,
    used_tokens: BTreeSet<String>,
    last: Option<Position>,
    /// Every line of chat that was said, in order.
    pub(crate) said: Vec<String>,
}

pub(crate) fn user(client: usize) -> UserId {
    UserId::from_bits(client as u128 + 1)
}

fn identity(client: usize) -> Identity {
    Identity {
        user: user(client),
        device: DeviceId::from_bits(client as u128 + 1),
        handle: Some(Handle::new(format!("client{client}")).expect("a handle")),
        name: Name::new(format!("Client {client}")).expect("a name"),
        class: Class::Normal,
        guest: None,
        expires: SystemTime::UNIX_EPOCH,
    }
}

impl Server {
    pub(crate) fn new(room: RoomId) -> Self {
        let record = StoredRoom {
            room,
            host: user(0),
            name: Name::new("Simulation").expect("a name"),
            settings: RoomSettings::default(),
            moderators: BTreeSet::new(),
        };
        Self {
            record,
            room: None,
            sessions: BTreeMap::new(),
            lines: BTreeMap::new(),
            used_tokens: BTreeSet::new(),
            last: None,
            said: Vec::new(),
        }
    }

    /// What everyone in the room should see.
    pub(crate) fn state(&self) -> Option<&RoomState> {
        self.room.as_ref().map(RoomMachine::state)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// `kill -9`: only what is stored is left.
    pub(crate) fn kill(&mut self, network: &mut Network) {
        (self.room, self.last) = (None, None);
        self.sessions.clear();
        self.lines.clear();
        network.server_gone();
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sessions = self.sessions.values().filter_map(|session| session.machine.deadline());
        let room = self.room.as_ref().and_then(RoomMachine::deadline);
        sessions.chain(room).min()
    }

    pub(crate) fn tick(&mut self, now: Instant, network: &mut Network) {
        let due = self
            .sessions
            .iter()
            .filter(|(_, session)| session.machine.deadline().is_some_and(|at| at <= now));
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell(id, SessionInput::Tick, now, network);
        }
        if self.room.as_ref().and_then(RoomMachine::deadline).is_some_and(|at| at <= now) {
            self.tell_room(RoomInput::Tick, now, network);
            self.settle(now, network);
        }
    }

    pub(crate) fn reached(&mut self, line: Line, network: &mut Network) {
        self.lines.insert(line, None);
        network.opened(line);
    }

    pub(crate) fn over(&mut self, line: Line, now: Instant, network: &mut Network) {
        if let Some(Some(session)) = self.lines.remove(&line)
            && self.sessions.get(&session).is_some_and(|session| session.line == Some(line))
        {
            self.tell(session, SessionInput::Disconnected, now, network);
        }
    }

    pub(crate) fn hears(&mut self, line: Line, text: &str, now: Instant, network: &mut Network) {
        let Some(bound) = self.lines.get(&line).copied() else { return };
        let envelope = read_client_message(text).expect("clients make sense");
        match (bound, envelope.body.clone()) {
            (Some(session), _) => {
                if self.sessions.get(&session).is_some_and(|session| session.line == Some(line)) {
                    let said = SessionInput::Said(Box::new(envelope), Verdict::Allowed);
                    self.tell(session, said, now, network);
                }
            }
            (None, ClientMessage::Hello { token, .. }) => {
                assert!(self.used_tokens.insert(token.as_str().to_owned()), "a token opened two connections");
                self.welcome(line, owner(&token), now, network);
            }
            (None, ClientMessage::Resume { session, resume_token, seq }) => {
                match self.sessions.get_mut(&session) {
                    Some(known) => {
                        known.taking_over = Some(line);
                        let next_token = resume_token_of(network.bits());
                        self.tell(
                            session,
                            SessionInput::Resume { token: resume_token, seq, next_token },
                            now,
                            network,
                        );
                    }
                    None => self.refuse(line, network),
                }
            }
            (None, other) => panic!("{} came before hello", other.kind()),
        }
    }

    fn refuse(&mut self, line: Line, network: &mut Network) {
        let refusal = Refusal::new(ErrorCode::SessionGone, "The session is over: say hello.");
        network.send_down(line, ServerEnvelope::new(ServerMessage::Error(refusal)).to_json());
        network.closed_by_server(line, Some(CloseCode::HelloRefused.number()));
        self.lines.remove(&line);
    }

    fn welcome(&mut self, line: Line, client: usize, now: Instant, network: &mut Network) {
        let id = SessionId::from_bits(network.bits());
        let identity = Arc::new(identity(client));
        let welcome = Welcome {
            session: id,
            resume_token: resume_token_of(network.bits()),
            resume_window_s: 300,
            heartbeat_s: 10,
            token_expires_in_s: TOKEN_VALID.as_secs() as u32,
            user: identity.user,
            device: identity.device,
            handle: identity.handle.clone(),
            name: identity.name.clone(),
            server: "simulation".into(),
            calls: Vec::new(),
        };
        let (machine, text) = SessionMachine::open(now, welcome);
        self.lines.insert(line, Some(id));
        self.sessions.insert(id, Session { machine, identity, line: Some(line), taking_over: None });
        network.send_down(line, text.as_str().to_owned());
    }

    fn tell(&mut self, id: SessionId, input: SessionInput, now: Instant, network: &mut Network) {
        let work = self.decide(id, input, now);
        self.carry_out(work, now, network);
    }

    fn decide(&mut self, id: SessionId, input: SessionInput, now: Instant) -> VecDeque<Work> {
        let mut outputs = Vec::new();
        if let Some(session) = self.sessions.get_mut(&id) {
            session.machine.handle(now, input, &mut outputs);
        }
        outputs.into_iter().map(|output| Work::Session(id, output)).collect()
    }

    fn tell_room(&mut self, input: RoomInput, now: Instant, network: &mut Network) {
        let work = self.decide_room(input, now, network);
        self.carry_out(work, now, network);
    }

    fn decide_room(&mut self, input: RoomInput, now: Instant, network: &mut Network) -> VecDeque<Work> {
        let mut outputs = Vec::new();
        if self.room.is_none() {
            let epoch = network.pick(0..u64::MAX);
            self.room = Some(RoomMachine::new(self.record.clone(), epoch));
            self.last = None;
        }
        if let Some(room) = &mut self.room {
            room.handle(now, input, &mut outputs);
        }
        // Sometimes others come or go before that is told.
        let soon = network.now + u64::from(network.chance(3));
        network.at(soon, Happening::Settle);
        outputs.into_iter().map(Work::Room).collect()
    }

    /// Tells who came and went; releases the room when it is empty.
    pub(crate) fn settle(&mut self, now: Instant, network: &mut Network) {
        let mut outputs = Vec::new();
        if let Some(room) = &mut self.room {
            room.settle(now, &mut outputs);
        }
        self.carry_out(outputs.into_iter().map(Work::Room).collect(), now, network);
        self.room.take_if(|room| room.is_empty());
    }

    fn carry_out(&mut self, mut work: VecDeque<Work>, now: Instant, network: &mut Network) {
        while let Some(next) = work.pop_front() {
            let more = match next {
                Work::Session(id, output) => self.session_output(id, output, now, network),
                Work::Room(output) => self.room_output(output, now, network),
            };
            work.extend(more);
        }
    }

    fn session_output(
        &mut self,
        id: SessionId,
        output: SessionOutput,
        now: Instant,
        network: &mut Network,
    ) -> VecDeque<Work> {
        let Some(session) = self.sessions.get_mut(&id) else { return VecDeque::new() };
        match output {
            SessionOutput::Send(text) => {
                if let Some(line) = session.line {
                    network.send_down(line, text.as_str().to_owned());
                }
            }
            SessionOutput::Perform(request) => {
                let identity = session.identity.clone();
                let asked = RoomRequest::read(request.body).expect("clients only ask about the room");
                let (random, at_ms) = (network.bits(), network.now);
                let (from, re) = (id, request.re);
                let input = RoomInput::Request { from, identity, re, request: asked, random, at_ms };
                return self.decide_room(input, now, network);
            }
            SessionOutput::Renew(re, token) => {
                assert_eq!(user(owner(&token)), session.identity.user);
                return self.decide(id, SessionInput::Renewed(re, Ok(now + TOKEN_VALID)), now);
            }
            SessionOutput::TakeOver => {
                session.line = session.taking_over.take();
                if let Some(line) = session.line {
                    self.lines.insert(line, Some(id));
                }
            }
            SessionOutput::RefuseTakeOver(_) => {
                if let Some(line) = session.taking_over.take() {
                    self.refuse(line, network);
                }
            }
            SessionOutput::Close(code) => {
                if let Some(line) = session.line.take() {
                    self.lines.remove(&line);
                    network.closed_by_server(line, Some(code.number()));
                }
            }
            SessionOutput::Lost => {
                session.line = None;
                return self.rooms_of(id, RoomInput::Lost(id), now, network);
            }
            SessionOutput::Back => return self.rooms_of(id, RoomInput::Back(id), now, network),
            SessionOutput::Reachable(_) => {}
            SessionOutput::Ended => {
                let work = self.rooms_of(id, RoomInput::Gone(id), now, network);
                self.sessions.remove(&id);
                return work;
            }
        }
        VecDeque::new()
    }

    fn rooms_of(
        &mut self,
        id: SessionId,
        input: RoomInput,
        now: Instant,
        network: &mut Network,
    ) -> VecDeque<Work> {
        let inside = self.sessions.get(&id).is_some_and(|session| !session.machine.rooms().is_empty());
        if inside && self.room.is_some() { self.decide_room(input, now, network) } else { VecDeque::new() }
    }

    fn room_output(&mut self, output: RoomOutput, now: Instant, network: &mut Network) -> VecDeque<Work> {
        match output {
            RoomOutput::Tell(session, news) => {
                let news: Box<News> = news;
                self.decide(session, SessionInput::Tell(news), now)
            }
            RoomOutput::Broadcast(sessions, text) => {
                self.check(text.as_str());
                for line in sessions.iter().filter_map(|session| self.sessions.get(session)?.line) {
                    network.send_down(line, text.as_str().to_owned());
                }
                VecDeque::new()
            }
            RoomOutput::Snapshot(session, text) => {
                if let Some(line) = self.sessions.get(&session).and_then(|session| session.line) {
                    network.send_down(line, text.as_str().to_owned());
                }
                VecDeque::new()
            }
            RoomOutput::Store(pending) => self.decide_room(RoomInput::Stored(pending, true), now, network),
        }
    }

    /// Changes are numbered without gaps, and nothing is said twice.
    fn check(&mut self, text: &str) {
        let envelope: ServerEnvelope = serde_json::from_str(text).expect("the server makes sense");
        let (ServerMessage::Delta { delta }, Some(pos)) = (envelope.body, envelope.pos) else { return };
        let before =
            self.last.replace(pos).map_or(0, |last| if last.epoch == pos.epoch { last.offset } else { 0 });
        assert_eq!(pos.offset, before + 1, "changes are numbered without gaps");
        if let RoomDelta::Chat { message } = delta {
            let line = message.text.as_str().to_owned();
            assert!(!self.said.contains(&line), "{line:?} was said twice");
            self.said.push(line);
        }
    }
}

fn resume_token_of(bits: u128) -> ResumeToken {
    ResumeToken::new(format!("{bits:032x}")).expect("a token")
}

/// How long after the last fault everything has to be well again.
pub(crate) const CALM: Duration = Duration::from_secs(400);
