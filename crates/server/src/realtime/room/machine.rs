//! Decides for one room: who comes in, what they may do, what everyone is told, when somebody is given up.
//!
//! Everything that happens goes through [`RoomMachine::handle`]; after a batch of it comes [`RoomMachine::settle`], which
//! tells of everyone who came and went in between at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_signal::{
    ChatId, Epoch, ErrorCode, LeaveReason, Link, ParticipantId, Position, Refusal, RequestId, Role,
    RoomDelta, RoomId, RoomState, ServerEnvelope, ServerMessage, SessionId, VERSION,
};
use axum::extract::ws::Utf8Bytes;

use super::RoomRequest;
use super::log::RoomLog;
use super::people::{Entering, Member, Remembered, Waiting};
use super::requests::Pending;
use crate::identity::Identity;
use crate::realtime::mailbox::{Membership, News};
use crate::store::StoredRoom;

/// How long a lost connection is not told to others: most come back before.
pub const UNTOLD_FOR: Duration = Duration::from_secs(5);
/// How long after losing its connection someone leaves the room.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(20);
/// Changes after which the state's hash is told.
pub const CHECKED_AFTER_CHANGES: u32 = 64;
/// Time after a change in which the state's hash is told.
pub const CHECKED_AFTER: Duration = Duration::from_secs(30);

/// What happens to a room.
#[derive(Debug)]
pub enum RoomInput {
    /// Someone asks for something.
    Request {
        /// The session that asks.
        from: SessionId,
        /// Whose it is.
        identity: Arc<Identity>,
        /// The number of the request.
        re: RequestId,
        /// What is asked.
        request: RoomRequest,
        /// 128 random bits, for the id of a participant or a line of chat.
        random: u128,
        /// The wall clock, in milliseconds since 1970, for a line of chat.
        at_ms: u64,
    },
    /// A session has lost its connection.
    Lost(SessionId),
    /// A session has a connection again.
    Back(SessionId),
    /// A session is over.
    Gone(SessionId),
    /// Changes could not be delivered to a session, and now could.
    CatchUp(SessionId),
    /// What [`RoomOutput::Store`] asked for was done, or could not be.
    Stored(Box<Pending>, bool),
    /// Time has passed: [`RoomMachine::deadline`].
    Tick,
}

/// What is to be done about it, in order.
#[derive(Debug)]
pub enum RoomOutput {
    /// Tell one session.
    Tell(SessionId, Box<News>),
    /// Tell these sessions the same.
    Broadcast(Arc<[SessionId]>, Utf8Bytes),
    /// Tell one session the whole room, in place of changes that were not delivered.
    Snapshot(SessionId, Utf8Bytes),
    /// Store this, or forget the room, and say how that went: [`RoomInput::Stored`], before anything else.
    Store(Box<Pending>),
}

/// One room, while it lives.
#[derive(Debug)]
pub struct RoomMachine {
    pub(super) record: StoredRoom,
    pub(super) deleted: bool,
    state: RoomState,
    log: RoomLog,
    pub(super) members: Vec<Member>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) remembered: Remembered,
    listeners: Option<Arc<[SessionId]>>,
    entering: Vec<Entering>,
    roster_changed: bool,
    lobby_changed: bool,
    unchecked: u32,
    unchecked_since: Option<Instant>,
}

pub(super) type Outputs = Vec<RoomOutput>;

impl RoomMachine {
    /// A room that begins to live, in an epoch of random bits.
    pub fn new(record: StoredRoom, epoch: u64) -> Self {
        let state = RoomState::new(Epoch::from_bits(epoch), record.name.clone(), record.settings);
        Self {
            record,
            deleted: false,
            state,
            log: RoomLog::default(),
            members: Vec::new(),
            waiting: Vec::new(),
            remembered: Remembered::default(),
            listeners: None,
            entering: Vec::new(),
            roster_changed: false,
            lobby_changed: false,
            unchecked: 0,
            unchecked_since: None,
        }
    }

    /// Which room it is.
    pub fn room(&self) -> RoomId {
        self.record.room
    }

    /// What everyone in it sees.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// Whether nobody is in it or waits for it: then it can be released.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.waiting.is_empty()
    }

    /// How many people are in it.
    pub fn people(&self) -> u16 {
        u16::try_from(self.members.len()).unwrap_or(u16::MAX)
    }

    /// Whether a session is in it or waits for it.
    pub fn knows(&self, session: SessionId) -> bool {
        self.members.iter().any(|member| member.session == session)
            || self.waiting.iter().any(|waiting| waiting.session == session)
    }

    /// When time itself is something that happens.
    pub fn deadline(&self) -> Option<Instant> {
        let given_up = self.waiting.iter().filter_map(|waiting| Some(waiting.lost? + GIVEN_UP_AFTER));
        let members = self.members.iter().filter_map(|member| match member.link {
            Link::Online => Some(member.lost? + UNTOLD_FOR),
            Link::Reconnecting => Some(member.lost? + GIVEN_UP_AFTER),
        });
        let checked = self.unchecked_since.map(|since| since + CHECKED_AFTER);
        given_up.chain(members).chain(checked).min()
    }

    /// Decides; what is to be done is added to `out`.
    pub fn handle(&mut self, now: Instant, input: RoomInput, out: &mut Outputs) {
        match input {
            RoomInput::Request { from, identity, re, request, random, at_ms } => {
                // Whoever comes in with others is told with them; everything else needs to know who is there.
                if !matches!(request, RoomRequest::Join(_)) {
                    self.settle(now, out);
                }
                self.on_request(now, from, &identity, re, request, (random, at_ms), out);
            }
            RoomInput::Lost(session) => self.on_lost(now, session),
            RoomInput::Back(session) => self.on_back(session),
            RoomInput::Gone(session) => {
                self.depart(session, true);
            }
            RoomInput::CatchUp(session) => {
                self.settle(now, out);
                if self.members.iter().any(|member| member.session == session && member.listens) {
                    let snapshot = Box::new(self.state.snapshot());
                    out.push(RoomOutput::Snapshot(session, self.text(ServerMessage::Snapshot { snapshot })));
                }
            }
            RoomInput::Stored(pending, done) => self.on_stored(now, *pending, done, out),
            RoomInput::Tick => self.on_tick(now, out),
        }
    }

    /// Tells of everyone who came and went, and lets those in who may come.
    pub fn settle(&mut self, now: Instant, out: &mut Outputs) {
        if self.roster_changed {
            self.roster_changed = false;
            let participants = self.members.iter().map(Member::participant).collect();
            self.change(now, RoomDelta::Roster { participants }, out);
        }
        for Entering { session, re, since } in std::mem::take(&mut self.entering) {
            self.enter(session, re, since, out);
        }
        if self.lobby_changed {
            self.lobby_changed = false;
            let keepers = self.members.iter().filter(|member| member.role >= Role::Moderator);
            for keeper in keepers.map(|member| member.session).collect::<Vec<_>>() {
                self.tell_lobby(keeper, out);
            }
        }
        if self.unchecked >= CHECKED_AFTER_CHANGES {
            self.checkpoint(out);
        }
    }

    /// Tells a member that it is in, with what it has missed.
    fn enter(
        &mut self,
        session: SessionId,
        re: Option<RequestId>,
        since: Option<Position>,
        out: &mut Outputs,
    ) {
        let position = self.state.position();
        let missed = since.filter(|since| since.epoch == position.epoch);
        let missed = missed.and_then(|since| self.log.since(since.offset));
        let Some(member) = self.members.iter_mut().find(|member| member.session == session) else { return };
        if member.lost.is_none() {
            member.listens = true;
            self.listeners = None;
        }
        let (participant, role) = (member.id, member.role);
        let body = match missed {
            Some(missed) => {
                ServerMessage::Joined { participant, role, recovered: true, missed, snapshot: None }
            }
            None => {
                let snapshot = Some(Box::new(self.state.snapshot()));
                ServerMessage::Joined { participant, role, recovered: false, missed: Vec::new(), snapshot }
            }
        };
        let mut news = self.news(re, body);
        news.pos = Some(position);
        out.push(RoomOutput::Tell(session, Box::new(news)));
        if role >= Role::Moderator && !self.waiting.is_empty() && !self.lobby_changed {
            self.tell_lobby(session, out);
        }
    }

    fn tell_lobby(&self, to: SessionId, out: &mut Outputs) {
        let waiting = self.waiting.iter().map(Waiting::guest).collect();
        out.push(RoomOutput::Tell(to, Box::new(self.news(None, ServerMessage::Lobby { waiting }))));
    }

    /// Appends a change to the room's history, and tells everyone.
    pub(super) fn change(&mut self, now: Instant, delta: RoomDelta, out: &mut Outputs) {
        let mut position = self.state.position();
        position.offset += 1;
        let envelope = ServerEnvelope {
            v: VERSION,
            re: None,
            seq: None,
            room: Some(self.record.room),
            pos: Some(position),
            body: ServerMessage::Delta { delta },
        };
        let text = Utf8Bytes::from(envelope.to_json());
        let ServerMessage::Delta { delta } = envelope.body else { return };
        // Applying the next change of this epoch can't fail; were it to, members would ask for `sync` at the next one.
        if let Err(error) = self.state.apply(position, delta.clone()) {
            tracing::error!(room = %self.record.room, %error, "a change does not fit the room's history");
        }
        self.log.push(delta, text.as_str().len());
        self.unchecked += 1;
        self.unchecked_since.get_or_insert(now);
        out.push(RoomOutput::Broadcast(self.listeners(), text));
    }

    fn checkpoint(&mut self, out: &mut Outputs) {
        (self.unchecked, self.unchecked_since) = (0, None);
        let text = self.text(ServerMessage::Checkpoint { hash: self.state.hash() });
        out.push(RoomOutput::Broadcast(self.listeners(), text));
    }

    fn listeners(&mut self) -> Arc<[SessionId]> {
        let members = &self.members;
        let listening = || members.iter().filter(|member| member.listens).map(|member| member.session);
        self.listeners.get_or_insert_with(|| listening().collect()).clone()
    }

    /// A message about the room as it is now, as it is sent to several.
    fn text(&self, body: ServerMessage) -> Utf8Bytes {
        let envelope = ServerEnvelope {
            v: VERSION,
            re: None,
            seq: None,
            room: Some(self.record.room),
            pos: Some(self.state.position()),
            body,
        };
        envelope.to_json().into()
    }

    pub(super) fn news(&self, re: Option<RequestId>, body: ServerMessage) -> News {
        News { re, room: Some(self.record.room), pos: None, body, membership: Membership::Same }
    }

    /// Answers that it is done, at the room's place in its history.
    pub(super) fn done(&self, to: SessionId, re: RequestId, out: &mut Outputs) {
        let mut news = self.news(Some(re), ServerMessage::Done {});
        news.pos = Some(self.state.position());
        out.push(RoomOutput::Tell(to, Box::new(news)));
    }

    /// Refuses a request.
    pub(super) fn refuse(&self, to: SessionId, re: RequestId, code: ErrorCode, why: &str, out: &mut Outputs) {
        let mut news = self.news(Some(re), ServerMessage::Error(Refusal::new(code, why)));
        if !self.knows(to) {
            news.membership = Membership::Out;
        }
        out.push(RoomOutput::Tell(to, Box::new(news)));
    }

    /// Tells someone that they are out.
    pub(super) fn tell_left(&self, to: SessionId, reason: LeaveReason, out: &mut Outputs) {
        let mut news = self.news(None, ServerMessage::Left { reason });
        news.membership = Membership::Out;
        out.push(RoomOutput::Tell(to, Box::new(news)));
    }

    /// Takes someone in. They are told once the room has settled.
    pub(super) fn admit(
        &mut self,
        session: SessionId,
        identity: Arc<Identity>,
        id: ParticipantId,
        role: Role,
        (re, since): (Option<RequestId>, Option<Position>),
        lost: Option<Instant>,
    ) {
        self.remembered.let_in(identity.user);
        self.members.push(Member { session, identity, id, role, link: Link::Online, lost, listens: false });
        self.roster_changed = true;
        self.entering.push(Entering { session, re, since });
    }

    /// Tells `joined` to someone who is in already, once the room has settled.
    pub(super) fn enter_again(&mut self, session: SessionId, re: RequestId, since: Option<Position>) {
        self.entering.push(Entering { session, re: Some(re), since });
    }

    pub(super) fn wait(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
        self.lobby_changed = true;
    }

    pub(super) fn take_waiting(&mut self, id: ParticipantId) -> Option<Waiting> {
        let place = self.waiting.iter().position(|waiting| waiting.id == id)?;
        self.lobby_changed = true;
        Some(self.waiting.remove(place))
    }

    pub(super) fn roles_changed(&mut self) {
        self.roster_changed = true;
        self.lobby_changed = !self.waiting.is_empty();
    }

    /// Takes a session out of the room. Whether it was there.
    pub(super) fn depart(&mut self, session: SessionId, willing: bool) -> bool {
        let before = (self.members.len(), self.waiting.len());
        if willing {
            let leaving = self.members.iter().filter(|member| member.session == session);
            for user in leaving.map(|member| member.identity.user).collect::<Vec<_>>() {
                self.remembered.left(user);
            }
        }
        self.members.retain(|member| member.session != session);
        self.waiting.retain(|waiting| waiting.session != session);
        self.entering.retain(|entering| entering.session != session);
        if self.members.len() != before.0 {
            self.roster_changed = true;
            self.listeners = None;
        }
        self.lobby_changed |= self.waiting.len() != before.1;
        before != (self.members.len(), self.waiting.len())
    }

    /// The room is no more. Returns everyone who was in it or waited for it.
    pub(super) fn delete(&mut self) -> Vec<SessionId> {
        self.deleted = true;
        self.entering.clear();
        (self.roster_changed, self.lobby_changed, self.listeners) = (false, false, None);
        (self.unchecked, self.unchecked_since) = (0, None);
        let members = self.members.drain(..).map(|member| member.session);
        members.chain(self.waiting.drain(..).map(|waiting| waiting.session)).collect()
    }

    fn on_lost(&mut self, now: Instant, session: SessionId) {
        for member in self.members.iter_mut().filter(|member| member.session == session) {
            member.lost.get_or_insert(now);
            member.listens = false;
            self.listeners = None;
        }
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.session == session) {
            waiting.lost.get_or_insert(now);
        }
    }

    /// They have a connection; changes are told from the next `sync` on, which says what they have seen.
    fn on_back(&mut self, session: SessionId) {
        for member in self.members.iter_mut().filter(|member| member.session == session) {
            member.lost = None;
            if member.link == Link::Reconnecting {
                member.link = Link::Online;
                self.roster_changed = true;
            }
        }
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.session == session) {
            waiting.lost = None;
        }
    }

    fn on_tick(&mut self, now: Instant, out: &mut Outputs) {
        let since = |lost: Option<Instant>| lost.map(|lost| now.saturating_duration_since(lost));
        for member in &mut self.members {
            if member.link == Link::Online && since(member.lost).is_some_and(|gone| gone >= UNTOLD_FOR) {
                member.link = Link::Reconnecting;
                self.roster_changed = true;
            }
        }
        let lost = self.members.iter().map(|member| (member.session, member.lost));
        let lost = lost.chain(self.waiting.iter().map(|waiting| (waiting.session, waiting.lost)));
        let given_up = lost.filter(|(_, lost)| since(*lost).is_some_and(|gone| gone >= GIVEN_UP_AFTER));
        for session in given_up.map(|(session, _)| session).collect::<Vec<_>>() {
            self.depart(session, false);
            self.tell_left(session, LeaveReason::ConnectionLost, out);
        }
        self.settle(now, out);
        if self.unchecked_since.is_some_and(|since| now >= since + CHECKED_AFTER) {
            self.checkpoint(out);
        }
    }

    /// A line of chat's id, of random bits.
    pub(super) fn chat_id(random: u128) -> ChatId {
        ChatId::from_bits(random)
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
