//! What each request to a room needs, and what it does.

use std::sync::Arc;
use std::time::Instant;

use ahoy_signal::{
    Action, ChatMessage, ErrorCode, LeaveReason, ParticipantId, Position, RequestId, Role, RoomDelta,
    RoomSettingsChange, ServerMessage, SessionId, UserId, limits,
};

use super::RoomRequest;
use super::machine::{Outputs, RoomMachine, RoomOutput};
use super::people::Waiting;
use crate::identity::Identity;
use crate::realtime::mailbox::Membership;
use crate::store::StoredRoom;

/// A change that takes effect when it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The room as it is to be; `None` where it is to be forgotten.
    pub record: Option<StoredRoom>,
    pub(super) to: SessionId,
    pub(super) re: RequestId,
}

const FORBIDDEN: &str = "Your role in this room does not allow that.";

impl RoomMachine {
    #[expect(clippy::too_many_arguments, reason = "who asks, what, and what it takes to do it")]
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        from: SessionId,
        identity: &Arc<Identity>,
        re: RequestId,
        request: RoomRequest,
        (random, at_ms): (u128, u64),
        out: &mut Outputs,
    ) {
        if self.deleted || identity.guest.is_some_and(|grant| grant.room != self.record.room) {
            return self.refuse(from, re, ErrorCode::NoSuchRoom, "There is no such room.", out);
        }
        match request {
            RoomRequest::Join(since) => self.on_join(from, identity, re, since, random, out),
            RoomRequest::Change(change) => self.on_change(from, identity, re, &change, out),
            RoomRequest::Delete => {
                let role = self.role_now(from, identity);
                match role.may(Action::Delete) {
                    true => out.push(RoomOutput::Store(Box::new(Pending { record: None, to: from, re }))),
                    false => self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out),
                }
            }
            RoomRequest::Leave => match self.depart(from, true) {
                true => {
                    let mut news = self.news(Some(re), ServerMessage::Done {});
                    news.membership = Membership::Out;
                    out.push(RoomOutput::Tell(from, Box::new(news)));
                }
                false => self.not_in_room(from, re, out),
            },
            RoomRequest::Sync(since) => match self.member(from) {
                Some(_) => self.enter_again(from, re, since),
                None => self.not_in_room(from, re, out),
            },
            RoomRequest::Admit(whom) => self.on_admit(from, re, whom, out),
            RoomRequest::Remove(whom) => self.on_remove(from, re, whom, out),
            RoomRequest::SetRole(whom, role) => self.on_set_role(from, re, whom, role, out),
            RoomRequest::SetState(entry) => {
                let Some((participant, _)) = self.member(from) else {
                    return self.not_in_room(from, re, out);
                };
                if !self.state().entries(participant).any(|known| *known == entry) {
                    self.change(now, RoomDelta::State { participant, entry }, out);
                }
                self.done(from, re, out);
            }
            RoomRequest::Mute(whom) => {
                let Some((by, role)) = self.member(from) else { return self.not_in_room(from, re, out) };
                let Some((session, other, _)) = self.participant(whom) else {
                    return self.no_participant(from, re, out);
                };
                if !role.may_do_to(Action::Mute, other) {
                    return self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out);
                }
                let news = self.news(None, ServerMessage::MuteRequested { by });
                out.push(RoomOutput::Tell(session, Box::new(news)));
                self.done(from, re, out);
            }
            RoomRequest::Signal(to, connection, signal) => {
                let Some((participant, _)) = self.member(from) else {
                    return self.not_in_room(from, re, out);
                };
                let Some((session, ..)) = self.participant(to).filter(|_| to != participant) else {
                    return self.no_participant(from, re, out);
                };
                let told = ServerMessage::RoomSignal { from: participant, connection, signal: *signal };
                out.push(RoomOutput::Tell(session, Box::new(self.news(None, told))));
                self.done(from, re, out);
            }
            RoomRequest::Chat(text) => {
                if self.member(from).is_none() {
                    return self.not_in_room(from, re, out);
                }
                let (id, user, name) = (Self::chat_id(random), identity.user, identity.name.clone());
                let message = ChatMessage { id, user, name, at_ms, text };
                self.change(now, RoomDelta::Chat { message }, out);
                self.done(from, re, out);
            }
        }
    }

    fn not_in_room(&self, from: SessionId, re: RequestId, out: &mut Outputs) {
        self.refuse(from, re, ErrorCode::NotInRoom, "You are not in this room: join it first.", out);
    }

    fn no_participant(&self, from: SessionId, re: RequestId, out: &mut Outputs) {
        let why = "There is nobody of that id in this room.";
        self.refuse(from, re, ErrorCode::NoSuchParticipant, why, out);
    }

    fn member(&self, session: SessionId) -> Option<(ParticipantId, Role)> {
        let member = self.members.iter().find(|member| member.session == session)?;
        Some((member.id, member.role))
    }

    fn participant(&self, id: ParticipantId) -> Option<(SessionId, Role, &Arc<Identity>)> {
        let member = self.members.iter().find(|member| member.id == id)?;
        Some((member.session, member.role, &member.identity))
    }

    /// What someone is here, also while they are not in the room.
    fn role_now(&self, session: SessionId, identity: &Identity) -> Role {
        let here = self.member(session).map(|(_, role)| role);
        here.unwrap_or_else(|| self.remembered.role(&self.record, identity))
    }

    fn is_full(&self) -> bool {
        self.people() >= self.record.settings.capacity
    }

    fn on_join(
        &mut self,
        from: SessionId,
        identity: &Arc<Identity>,
        re: RequestId,
        since: Option<Position>,
        random: u128,
        out: &mut Outputs,
    ) {
        if self.member(from).is_some() {
            return self.enter_again(from, re, since);
        }
        if let Some(waiting) = self.waiting.iter().find(|waiting| waiting.session == from) {
            let news = self.news(Some(re), ServerMessage::Waiting { participant: waiting.id });
            return out.push(RoomOutput::Tell(from, Box::new(news)));
        }
        let user = identity.user;
        if self.remembered.is_removed(user) {
            let why = "You were removed from this room, or not let in.";
            return self.refuse(from, re, ErrorCode::NotAdmitted, why, out);
        }
        let role = self.remembered.role(&self.record, identity);
        let comes_back = self.remembered.was_let_in(user);
        let settings = self.record.settings;
        if settings.locked && role < Role::Host && !comes_back {
            let why = "The room is locked: ask its host to unlock it.";
            return self.refuse(from, re, ErrorCode::RoomLocked, why, out);
        }
        let id = ParticipantId::from_bits(random);
        let trusted = role >= Role::Moderator || (identity.guest.is_some() && role >= Role::Member);
        if settings.waiting_room && !trusted && !comes_back {
            if self.waiting.len() >= limits::WAITING_MOST {
                let why = "Too many people wait for this room: try again later.";
                return self.refuse(from, re, ErrorCode::RoomFull, why, out);
            }
            self.wait(Waiting { session: from, identity: identity.clone(), id, role, lost: None });
            let news = self.news(Some(re), ServerMessage::Waiting { participant: id });
            return out.push(RoomOutput::Tell(from, Box::new(news)));
        }
        if self.is_full() && role < Role::Host {
            return self.refuse(from, re, ErrorCode::RoomFull, "The room is full.", out);
        }
        self.admit(from, identity.clone(), id, role, (Some(re), since), None);
    }

    fn on_admit(&mut self, from: SessionId, re: RequestId, whom: ParticipantId, out: &mut Outputs) {
        let Some((_, role)) = self.member(from) else { return self.not_in_room(from, re, out) };
        if !role.may(Action::Admit) {
            return self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out);
        }
        if !self.waiting.iter().any(|waiting| waiting.id == whom) {
            return self.no_participant(from, re, out);
        }
        if self.is_full() {
            return self.refuse(from, re, ErrorCode::RoomFull, "The room is full.", out);
        }
        if let Some(waiting) = self.take_waiting(whom) {
            let Waiting { session, identity, id, role, lost } = waiting;
            self.admit(session, identity, id, role, (None, None), lost);
        }
        self.done(from, re, out);
    }

    fn on_remove(&mut self, from: SessionId, re: RequestId, whom: ParticipantId, out: &mut Outputs) {
        let Some((_, role)) = self.member(from) else { return self.not_in_room(from, re, out) };
        if !role.may(Action::Remove) {
            return self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out);
        }
        let waiting = self.waiting.iter().find(|waiting| waiting.id == whom).map(|one| one.identity.user);
        let member = self.participant(whom).map(|(_, other, identity)| (identity.user, other));
        let user = match (waiting, member) {
            (Some(user), _) => user,
            (None, Some((user, other))) if role.may_do_to(Action::Remove, other) => user,
            (None, Some(_)) => return self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out),
            (None, None) => return self.no_participant(from, re, out),
        };
        self.remembered.remove(user);
        self.put_out(|identity| identity.user == user, out);
        self.done(from, re, out);
    }

    /// Puts everyone out whom it concerns: those inside are removed, those who wait are turned away.
    fn put_out(&mut self, concerned: impl Fn(&Identity) -> bool, out: &mut Outputs) {
        let inside = self.members.iter().filter(|one| concerned(&one.identity));
        let inside = inside.map(|one| (one.session, LeaveReason::Removed)).collect::<Vec<_>>();
        let outside = self.waiting.iter().filter(|one| concerned(&one.identity));
        let outside = outside.map(|one| (one.session, LeaveReason::NotAdmitted)).collect::<Vec<_>>();
        for (session, reason) in inside.into_iter().chain(outside) {
            self.depart(session, false);
            self.tell_left(session, reason, out);
        }
    }

    fn on_set_role(
        &mut self,
        from: SessionId,
        re: RequestId,
        whom: ParticipantId,
        to: Role,
        out: &mut Outputs,
    ) {
        let Some((_, role)) = self.member(from) else { return self.not_in_room(from, re, out) };
        let Some((_, other, identity)) = self.participant(whom) else {
            return match role.may(Action::SetRole) {
                true => self.no_participant(from, re, out),
                false => self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out),
            };
        };
        let (user, guest) = (identity.user, identity.guest.is_some());
        let fits = match to {
            Role::Guest => guest,
            Role::Member | Role::Moderator => true,
            Role::Host => false,
        };
        if !role.may_do_to(Action::SetRole, other) || !fits {
            return self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out);
        }
        if guest {
            self.remembered.set_guest_role(user, to);
            self.apply_role(user, to);
            return self.done(from, re, out);
        }
        let mut record = self.record.clone();
        match to {
            Role::Moderator => record.moderators.insert(user),
            Role::Guest | Role::Member | Role::Host => record.moderators.remove(&user),
        };
        self.store(record, from, re, out);
    }

    fn on_change(
        &mut self,
        from: SessionId,
        identity: &Identity,
        re: RequestId,
        change: &RoomSettingsChange,
        out: &mut Outputs,
    ) {
        if !self.role_now(from, identity).may(Action::ChangeSettings) {
            return self.refuse(from, re, ErrorCode::Forbidden, FORBIDDEN, out);
        }
        let mut record = self.record.clone();
        record.settings = record.settings.changed(change);
        if let Some(name) = &change.name {
            record.name = name.clone();
        }
        self.store(record, from, re, out);
    }

    fn store(&self, record: StoredRoom, to: SessionId, re: RequestId, out: &mut Outputs) {
        match record == self.record {
            true => self.done(to, re, out),
            false => out.push(RoomOutput::Store(Box::new(Pending { record: Some(record), to, re }))),
        }
    }

    pub(super) fn on_stored(&mut self, now: Instant, pending: Pending, stored: bool, out: &mut Outputs) {
        let Pending { record, to, re } = pending;
        if !stored {
            let why = "The server can't store that now: try again later.";
            return self.refuse(to, re, ErrorCode::Unavailable, why, out);
        }
        let Some(record) = record else { return self.on_deleted(to, re, out) };
        let before = std::mem::replace(&mut self.record, record);
        for user in
            before.moderators.symmetric_difference(&self.record.moderators).copied().collect::<Vec<_>>()
        {
            let role = if self.record.moderators.contains(&user) { Role::Moderator } else { Role::Member };
            self.apply_role(user, role);
        }
        if (&before.name, before.settings) != (&self.record.name, self.record.settings) {
            let (name, settings) = (self.record.name.clone(), self.record.settings);
            self.change(now, RoomDelta::Settings { name, settings }, out);
        }
        if before.settings.waiting_room && !self.record.settings.waiting_room {
            self.admit_all();
        }
        self.done(to, re, out);
    }

    /// Nobody has to wait any more: those who do come in, as far as there is room.
    fn admit_all(&mut self) {
        while let (false, Some(first)) = (self.is_full(), self.waiting.first()) {
            let Some(waiting) = self.take_waiting(first.id) else { return };
            let Waiting { session, identity, id, role, lost } = waiting;
            self.admit(session, identity, id, role, (None, None), lost);
        }
    }

    fn on_deleted(&mut self, to: SessionId, re: RequestId, out: &mut Outputs) {
        for session in self.delete() {
            self.tell_left(session, LeaveReason::RoomDeleted, out);
        }
        let mut news = self.news(Some(re), ServerMessage::Done {});
        news.membership = Membership::Out;
        out.push(RoomOutput::Tell(to, Box::new(news)));
    }

    fn apply_role(&mut self, user: UserId, role: Role) {
        for member in self.members.iter_mut().filter(|member| member.identity.user == user) {
            member.role = role;
        }
        self.roles_changed();
    }
}
