//! The decisions of one who follows a room.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ahoy_signal::{
    ClientMessage, ErrorCode, LeaveReason, ParticipantId, Position, PositionedDelta, Refusal, Role,
    RoomDelta, RoomSnapshot, RoomState, ServerEnvelope, ServerMessage, StateEntry, StateKey,
};

use super::{RoomEvent, RoomOutput, Turn, changes};
use crate::session::{RequestError, Tag};

/// After the server could not do it, it is asked again after this, unless it says otherwise.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// One who was put out of the room for want of a connection comes back at once, but not more often than this: two programs
/// that put each other out would do it for ever.
const BACK_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// Requests that are put off at most. Beyond that they are refused, as the server did.
pub const PUT_OFF_MOST: usize = 64;

/// How one stands to the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Asks to enter.
    Joining,
    /// Someone has to let one in.
    Waiting,
    /// Is in it.
    In { me: ParticipantId, role: Role },
    /// Is not in it, and does not want to be.
    Out,
}

/// What the server was asked and has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Join,
    /// `whole`: without saying what one has seen, because that is wrong.
    Sync {
        whole: bool,
    },
}

/// A room as one who is in it keeps it: the same deltas in the same order give the same state, and where that went wrong, it
/// asks for what is missing. It stays in the room whatever happens to session and connection, until one leaves or is made to.
#[derive(Debug)]
pub struct RoomReplica {
    phase: Phase,
    asked: Option<(Turn, Asked)>,
    turns: u64,
    /// When to ask again what was refused for now.
    again_at: Option<Instant>,
    came_back_at: Option<Instant>,
    state: Option<RoomState>,
    /// What one says about oneself: said again where one enters anew.
    said: BTreeMap<StateKey, StateEntry>,
    /// Who one was there before.
    was: Option<ParticipantId>,
    /// What was asked while the server had put one out for want of a connection: asked again once one is back.
    put_off: VecDeque<(Tag, ClientMessage)>,
    out: Vec<RoomOutput>,
}

impl RoomReplica {
    /// Enters a room: the join to ask for is among the outputs.
    pub fn join() -> (Self, Vec<RoomOutput>) {
        let mut replica = Self {
            phase: Phase::Joining,
            asked: None,
            turns: 0,
            again_at: None,
            came_back_at: None,
            state: None,
            said: BTreeMap::new(),
            was: None,
            put_off: VecDeque::new(),
            out: Vec::new(),
        };
        replica.ask_to_join();
        let out = std::mem::take(&mut replica.out);
        (replica, out)
    }

    /// The room as far as it is known.
    pub fn state(&self) -> Option<&RoomState> {
        self.state.as_ref()
    }

    /// Who one is there, while one is in it.
    pub fn me(&self) -> Option<(ParticipantId, Role)> {
        match self.phase {
            Phase::In { me, role } => Some((me, role)),
            Phase::Joining | Phase::Waiting | Phase::Out => None,
        }
    }

    /// Whether one neither is in the room nor will be: it can be forgotten.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Out
    }

    /// When to call [`tick`](Self::tick).
    pub fn deadline(&self) -> Option<Instant> {
        self.again_at
    }

    /// Asks again what was refused for now, if it is time.
    pub fn tick(&mut self, now: Instant) -> Vec<RoomOutput> {
        if self.again_at.is_some_and(|at| now >= at) {
            self.again_at = None;
            self.follow();
        }
        std::mem::take(&mut self.out)
    }

    /// The session goes on, on a new connection: asks what was missed. Also where an answer is still to come, because that one
    /// belongs to the connection that was lost, with which the server stopped telling what changes.
    pub fn resumed(&mut self) -> Vec<RoomOutput> {
        let whole = matches!(self.asked.take(), Some((_, Asked::Sync { whole: true })));
        match self.phase {
            Phase::In { .. } => self.sync(whole),
            Phase::Joining | Phase::Waiting => {
                self.again_at = None;
                self.ask_to_join();
            }
            Phase::Out => {}
        }
        std::mem::take(&mut self.out)
    }

    /// A new session has begun, which is in no room: enters it again. What is returned comes before all else.
    pub fn began(&mut self) -> Vec<RoomOutput> {
        match (self.phase, self.asked) {
            (Phase::Out, _) => {}
            // A join that was not answered is asked again by itself.
            (Phase::Joining, Some((_, Asked::Join))) => {}
            (Phase::Joining | Phase::Waiting | Phase::In { .. }, _) => self.come_back(),
        }
        std::mem::take(&mut self.out)
    }

    /// Says something about oneself, now and whenever one enters again.
    pub fn say(&mut self, entry: StateEntry) -> ClientMessage {
        self.said.insert(entry.key(), entry.clone());
        ClientMessage::SetState { entry }
    }

    /// Something that was asked about the room was refused, because one is not in it, and so was not done. If that is only
    /// because the connection was lost for long, it is put off until one is back, and asked again by
    /// [`RoomOutput::Again`]; otherwise there is `None`, and the refusal stands.
    pub fn put_off(&mut self, tag: Tag, body: ClientMessage) -> Option<Vec<RoomOutput>> {
        if self.phase == Phase::Out || self.was.is_none() || self.put_off.len() >= PUT_OFF_MOST {
            return None;
        }
        self.put_off.push_back((tag, body));
        if let Phase::In { .. } = self.phase {
            self.come_back();
        }
        Some(std::mem::take(&mut self.out))
    }

    /// What is put off and will not be asked again, because the room is [over](Self::is_over).
    pub fn take_put_off(&mut self) -> impl Iterator<Item = Tag> {
        std::mem::take(&mut self.put_off).into_iter().map(|(tag, _)| tag)
    }

    /// One leaves: nothing is asked any more.
    pub fn leave(&mut self) -> ClientMessage {
        self.phase = Phase::Out;
        (self.asked, self.again_at) = (None, None);
        ClientMessage::Leave {}
    }

    /// The answer to [`RoomOutput::Follow`].
    pub fn answered(
        &mut self,
        turn: Turn,
        answer: Result<ServerEnvelope, RequestError>,
        now: Instant,
    ) -> Vec<RoomOutput> {
        // Answers to what does not matter any more don't matter either.
        let Some((_, asked)) = self.asked.take_if(|(asked, _)| *asked == turn) else { return Vec::new() };
        match answer {
            Ok(envelope) => self.told(envelope, Some(asked), now),
            Err(RequestError::Refused(refusal)) => self.refused(asked, refusal, now),
            Err(RequestError::TooMany | RequestError::Garbled | RequestError::TooLong) => {
                self.again_at = Some(now + ASK_AGAIN);
            }
            // The next session enters anew.
            Err(RequestError::OutcomeUnknown | RequestError::NotConnected) => {}
        }
        std::mem::take(&mut self.out)
    }

    /// The server says something about the room that answers nothing.
    pub fn news(&mut self, envelope: ServerEnvelope, now: Instant) -> Vec<RoomOutput> {
        if self.phase != Phase::Out {
            self.told(envelope, None, now);
        }
        std::mem::take(&mut self.out)
    }

    fn told(&mut self, envelope: ServerEnvelope, asked: Option<Asked>, now: Instant) {
        let pos = envelope.pos;
        match (envelope.body, pos) {
            (ServerMessage::Joined { participant, role, missed, snapshot, .. }, Some(pos)) => {
                self.joined(participant, role, missed, snapshot, pos, asked);
            }
            (ServerMessage::Waiting { .. }, _) => {
                self.phase = Phase::Waiting;
                self.out.push(RoomOutput::Event(RoomEvent::Waiting));
            }
            (ServerMessage::Left { reason }, _) => self.left(reason, now),
            (ServerMessage::Delta { delta }, Some(pos)) => self.delta(pos, delta),
            (ServerMessage::Snapshot { snapshot }, Some(pos)) => self.snapshot(pos, *snapshot, false),
            (ServerMessage::Checkpoint { hash }, Some(pos)) => self.check(pos, &hash),
            (ServerMessage::Lobby { waiting }, _) => {
                self.out.push(RoomOutput::Event(RoomEvent::Lobby(waiting)));
            }
            (ServerMessage::MuteRequested { by }, _) => {
                self.out.push(RoomOutput::Event(RoomEvent::MuteRequested { by }));
            }
            (ServerMessage::RoomSignal { from, connection, signal }, _) => {
                let signal = Box::new(signal);
                self.out.push(RoomOutput::Event(RoomEvent::Signal { from, connection, signal }));
            }
            // Nothing that is said about rooms, or without its place in the history.
            (_, _) => {}
        }
    }

    fn joined(
        &mut self,
        me: ParticipantId,
        role: Role,
        missed: Vec<PositionedDelta>,
        snapshot: Option<Box<RoomSnapshot>>,
        pos: Position,
        asked: Option<Asked>,
    ) {
        let was_in = matches!(self.phase, Phase::In { .. });
        let again = self.was.is_some();
        self.phase = Phase::In { me, role };
        let before = std::mem::take(&mut self.out);
        match snapshot {
            Some(snapshot) => self.snapshot(pos, *snapshot, asked == Some(Asked::Sync { whole: true })),
            None => {
                for PositionedDelta { offset, delta } in missed {
                    self.delta(Position { epoch: pos.epoch, offset }, delta);
                }
                if self.behind(pos) {
                    self.sync(self.state.is_none());
                }
            }
        }
        let changes = std::mem::replace(&mut self.out, before);
        let Some(state) = &self.state else { return self.out.extend(changes) };
        if !was_in {
            self.out.push(RoomOutput::Event(RoomEvent::Entered {
                participant: me,
                role,
                again,
                room: Box::new(state.snapshot()),
            }));
        }
        self.out.extend(changes);
        if self.was.replace(me) != Some(me) {
            let said = self.said.values().cloned();
            self.out.extend(said.map(|entry| RoomOutput::Say(ClientMessage::SetState { entry })));
        }
        let put_off = std::mem::take(&mut self.put_off).into_iter();
        self.out.extend(put_off.map(|(tag, body)| RoomOutput::Again(tag, body)));
    }

    fn behind(&self, pos: Position) -> bool {
        self.state
            .as_ref()
            .is_none_or(|state| state.position() != pos && state.position().offset < pos.offset)
    }

    /// Takes a snapshot for the state, unless it is older than that. `whatever` the state is, where that is known to be
    /// wrong.
    fn replace(&mut self, pos: Position, snapshot: RoomSnapshot, whatever: bool) {
        let older = self.state.as_ref().is_some_and(|state| {
            let now = state.position();
            now.epoch == pos.epoch && now.offset > pos.offset
        });
        if !older || whatever {
            self.state = Some(RoomState::from_snapshot(pos, snapshot));
        }
    }

    fn snapshot(&mut self, pos: Position, snapshot: RoomSnapshot, whatever: bool) {
        let before = self.state.clone();
        self.replace(pos, snapshot, whatever);
        if let (Some(before), Some(after)) = (before, &self.state) {
            let mut events = Vec::new();
            changes::all(&before, after, &mut events);
            self.out.extend(events.into_iter().map(RoomOutput::Event));
        }
    }

    fn delta(&mut self, pos: Position, delta: RoomDelta) {
        let Some(state) = &mut self.state else { return };
        let people = match &delta {
            RoomDelta::Roster { .. } => state.participants().to_vec(),
            RoomDelta::State { .. } | RoomDelta::Chat { .. } | RoomDelta::Settings { .. } => Vec::new(),
        };
        match state.apply(pos, delta.clone()) {
            Ok(true) => self.changed(&people, delta),
            Ok(false) => {}
            Err(_) => self.sync(false),
        }
    }

    fn changed(&mut self, before: &[ahoy_signal::Participant], delta: RoomDelta) {
        let mut events = Vec::new();
        match delta {
            RoomDelta::Roster { participants } => {
                changes::people(before, &participants, &mut events);
                if let Phase::In { me, role } = &mut self.phase
                    && let Some(mine) = participants.iter().find(|participant| participant.id == *me)
                {
                    *role = mine.role;
                }
            }
            RoomDelta::State { participant, entry } => {
                let who = self.state.as_ref().and_then(|state| state.participant(participant)).cloned();
                events.extend(who.map(|participant| RoomEvent::State { participant, entry }));
            }
            RoomDelta::Chat { message } => events.push(RoomEvent::Chat(message)),
            RoomDelta::Settings { name, settings } => events.push(RoomEvent::Settings { name, settings }),
        }
        self.out.extend(events.into_iter().map(RoomOutput::Event));
    }

    fn check(&mut self, pos: Position, hash: &str) {
        let Some(state) = &self.state else { return };
        if state.position() == pos {
            if state.hash() != hash {
                self.sync(true);
            }
        } else if self.behind(pos) || state.position().epoch != pos.epoch {
            self.sync(false);
        }
    }

    fn left(&mut self, reason: LeaveReason, now: Instant) {
        match reason {
            LeaveReason::ConnectionLost => {
                let soon = self.came_back_at.is_some_and(|at| now < at + BACK_AT_MOST_EVERY);
                self.phase = Phase::Joining;
                self.came_back_at = Some(now);
                if soon {
                    self.again_at = Some(now + BACK_AT_MOST_EVERY);
                } else {
                    self.come_back();
                }
            }
            LeaveReason::Left
            | LeaveReason::Removed
            | LeaveReason::NotAdmitted
            | LeaveReason::RoomDeleted => {
                self.phase = Phase::Out;
                self.again_at = None;
                self.out.push(RoomOutput::Event(RoomEvent::Left(reason)));
            }
        }
    }

    fn refused(&mut self, asked: Asked, refusal: Refusal, now: Instant) {
        match (refusal.code, asked) {
            (
                ErrorCode::RateLimited
                | ErrorCode::Unavailable
                | ErrorCode::ShuttingDown
                | ErrorCode::Internal,
                _,
            ) => {
                let wait = refusal.retry_after_ms.map_or(ASK_AGAIN, Duration::from_millis);
                self.again_at = Some(now + wait.max(Duration::from_millis(100)));
            }
            (ErrorCode::NotInRoom, Asked::Sync { .. }) => self.come_back(),
            (_, Asked::Join | Asked::Sync { .. }) => {
                self.phase = Phase::Out;
                self.out.push(RoomOutput::Event(RoomEvent::Refused(refusal)));
            }
        }
    }

    /// Asks for what fits how one stands to the room.
    fn follow(&mut self) {
        match self.phase {
            Phase::Joining => self.ask_to_join(),
            Phase::In { .. } => self.sync(false),
            Phase::Waiting | Phase::Out => {}
        }
    }

    fn come_back(&mut self) {
        self.phase = Phase::Joining;
        (self.asked, self.again_at) = (None, None);
        self.ask_to_join();
    }

    fn ask_to_join(&mut self) {
        self.ask(Asked::Join, ClientMessage::Join { since: self.position() });
    }

    /// Asks for what is missing, or for the `whole` room where what is there is wrong.
    fn sync(&mut self, whole: bool) {
        match self.asked {
            None => {}
            // What is on its way builds on what is wrong.
            Some((_, Asked::Sync { whole: false })) if whole => {}
            Some((_, Asked::Join | Asked::Sync { .. })) => return,
        }
        let since = if whole { None } else { self.position() };
        self.ask(Asked::Sync { whole }, ClientMessage::Sync { since });
    }

    fn ask(&mut self, asked: Asked, question: ClientMessage) {
        self.turns += 1;
        let turn = Turn(self.turns);
        self.asked = Some((turn, asked));
        self.out.push(RoomOutput::Follow(turn, question));
    }

    fn position(&self) -> Option<Position> {
        self.state.as_ref().map(RoomState::position)
    }
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
