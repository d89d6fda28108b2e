//! Decides who is in which call: all calls of a node, as a state machine without I/O.
//!
//! Whether two users may call each other, and which sessions they have, the caller of [`CallMachine::handle`] finds out
//! before. Everything it decides follows from the order in which it is told things, so both sides of a call always agree.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use ahoy_signal::{
    CallEnd, CallId, CallMedia, CallPeer, CallSignal, CallStage, CallSummary, ErrorCode, Refusal, RequestId,
    ServerMessage, SessionId, UserId,
};

use super::early::EarlySignals;
use super::freshness::Freshness;
use crate::realtime::inbox::MissedCall;

/// How long it rings at most: voice mail systems take over after 20 to 30 s, people who look for their phone need longer.
pub const RINGING_MOST: Duration = Duration::from_secs(50);

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum CallInput {
    /// Somebody calls somebody, whom they may call.
    Call {
        /// Their request.
        re: RequestId,
        /// Their session.
        session: SessionId,
        /// The call, new.
        call: CallId,
        /// Who calls.
        from: CallPeer,
        /// Whom.
        to: CallPeer,
        /// With pictures or without.
        media: CallMedia,
        /// The sessions of whoever is called.
        rings: Vec<SessionId>,
    },
    /// A session takes a call.
    Accept {
        /// Its request.
        re: RequestId,
        /// Which session.
        session: SessionId,
        /// Which call.
        call: CallId,
    },
    /// A session declines a call.
    Decline {
        /// Its request.
        re: RequestId,
        /// Which session.
        session: SessionId,
        /// Which call.
        call: CallId,
        /// Whether because of another call.
        busy: bool,
    },
    /// A session ends a call, or gives up calling.
    HangUp {
        /// Its request.
        re: RequestId,
        /// Which session.
        session: SessionId,
        /// Which call.
        call: CallId,
    },
    /// A session tells the other side something.
    Signal {
        /// Its request.
        re: RequestId,
        /// Which session.
        session: SessionId,
        /// Which call.
        call: CallId,
        /// What.
        signal: CallSignal,
    },
    /// A session is over for good.
    SessionOver {
        /// Which.
        session: SessionId,
    },
    /// Time has passed: [`CallMachine::deadline`].
    Tick,
}

/// What is to be done about it, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutput {
    /// Tell a session: an answer where there is a request, news otherwise.
    Tell {
        /// Which session.
        session: SessionId,
        /// The request that it answers.
        re: Option<RequestId>,
        /// What.
        body: ServerMessage,
    },
    /// A user is now in a call, or in none any more.
    InCall(UserId, bool),
    /// A user was called in vain and may want to call back.
    Missed(MissedCall),
}

#[derive(Debug)]
enum Stage {
    Ringing { at: BTreeSet<SessionId>, until: Instant, early: EarlySignals },
    Answered { session: SessionId, caller: Freshness, callee: Freshness },
}

#[derive(Debug)]
struct Call {
    media: CallMedia,
    caller: CallPeer,
    caller_session: SessionId,
    callee: CallPeer,
    stage: Stage,
}

impl Call {
    /// That whoever was called did not get to it.
    fn missed(&self, call: CallId) -> CallOutput {
        let (to, from) = (self.callee.user, self.caller.clone());
        CallOutput::Missed(MissedCall { to, call, from, media: self.media })
    }
}

/// How a user stands to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Caller,
    Callee,
}

/// All calls of a node.
#[derive(Debug, Default)]
pub struct CallMachine {
    calls: HashMap<CallId, Call>,
    by_user: HashMap<UserId, Vec<CallId>>,
    deadlines: BTreeSet<(Instant, CallId)>,
    out: Vec<CallOutput>,
}

fn refusal(code: ErrorCode, message: &str) -> ServerMessage {
    ServerMessage::Error(Refusal::new(code, message))
}

fn no_such_call() -> ServerMessage {
    refusal(ErrorCode::NoSuchCall, "This call is over, or not yours.")
}

impl CallMachine {
    /// When to come back with [`CallInput::Tick`].
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// How many calls there are: ringing, and answered.
    pub fn count(&self) -> (usize, usize) {
        (self.deadlines.len(), self.calls.len() - self.deadlines.len())
    }

    /// A user has a new session: calls that ring for them ring there as well. Returns all that it has part in, for
    /// `welcome`.
    pub fn enter(&mut self, user: UserId, session: SessionId) -> Vec<CallSummary> {
        let calls = self.by_user.get(&user).cloned().unwrap_or_default();
        let mut found = Vec::new();
        for id in calls {
            let Some(call) = self.calls.get_mut(&id) else { continue };
            let Stage::Ringing { at, .. } = &mut call.stage else { continue };
            if call.callee.user == user {
                at.insert(session);
                let (peer, media) = (call.caller.clone(), call.media);
                found.push(CallSummary { call: id, peer, media, stage: CallStage::Incoming });
            }
        }
        found
    }

    /// Tells the machine what happened; returns what is to be done about it.
    pub fn handle(&mut self, input: CallInput, now: Instant) -> Vec<CallOutput> {
        match input {
            CallInput::Call { re, session, call, from, to, media, rings } => {
                self.call(re, session, call, from, to, media, rings, now);
            }
            CallInput::Accept { re, session, call } => self.accept(re, session, call),
            CallInput::Decline { re, session, call, busy } => self.decline(re, session, call, busy),
            CallInput::HangUp { re, session, call } => self.hang_up(re, session, call),
            CallInput::Signal { re, session, call, signal } => self.signal(re, session, call, signal),
            CallInput::SessionOver { session } => self.session_over(session),
            CallInput::Tick => self.tick(now),
        }
        std::mem::take(&mut self.out)
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one input")]
    fn call(
        &mut self,
        re: RequestId,
        session: SessionId,
        id: CallId,
        from: CallPeer,
        to: CallPeer,
        media: CallMedia,
        rings: Vec<SessionId>,
        now: Instant,
    ) {
        if self.calls.contains_key(&id) || from.user == to.user {
            let body = refusal(
                ErrorCode::OutOfPlace,
                "A call has an id of its own and somebody else at its other end.",
            );
            return self.answer(session, re, body);
        }
        if let Some(theirs) = self.ringing_between(to.user, from.user) {
            // Both want the same. The call that was there first is the call, whatever the other's id is.
            self.answered(theirs, session, Some(re));
            let reason = CallEnd::Merged;
            return self.news(session, ServerMessage::CallEnded { call: id, reason });
        }
        if self.is_busy(from.user) {
            let body = refusal(ErrorCode::Busy, "You are in another call: hang up first.");
            return self.answer(session, re, body);
        }
        if self.is_busy(to.user) {
            self.answer(session, re, refusal(ErrorCode::Busy, "They are in another call."));
            return self.out.push(CallOutput::Missed(MissedCall { to: to.user, call: id, from, media }));
        }
        if rings.is_empty() {
            let body = refusal(ErrorCode::Offline, "None of their devices is connected: try again later.");
            self.answer(session, re, body);
            return self.out.push(CallOutput::Missed(MissedCall { to: to.user, call: id, from, media }));
        }
        let timeout_s = RINGING_MOST.as_secs() as u32;
        let devices = u32::try_from(rings.len()).unwrap_or(u32::MAX);
        self.answer(session, re, ServerMessage::CallRinging { call: id, devices, timeout_s });
        for ringing in &rings {
            self.news(
                *ringing,
                ServerMessage::CallIncoming { call: id, from: from.clone(), media, timeout_s },
            );
        }
        for user in [from.user, to.user] {
            self.by_user.entry(user).or_default().push(id);
        }
        let until = now + RINGING_MOST;
        self.deadlines.insert((until, id));
        let stage = Stage::Ringing { at: rings.into_iter().collect(), until, early: EarlySignals::default() };
        self.calls.insert(id, Call { media, caller: from, caller_session: session, callee: to, stage });
    }

    /// The call in which `caller` is calling `callee` and nobody has answered yet.
    fn ringing_between(&self, caller: UserId, callee: UserId) -> Option<CallId> {
        let calls = self.by_user.get(&caller)?;
        calls.iter().copied().find(|id| {
            self.calls.get(id).is_some_and(|call| {
                (call.caller.user, call.callee.user) == (caller, callee)
                    && matches!(call.stage, Stage::Ringing { .. })
            })
        })
    }

    /// Whether a user is in a call or calls somebody. Whoever is only being called is free to take it or not.
    fn is_busy(&self, user: UserId) -> bool {
        let calls = self.by_user.get(&user).into_iter().flatten();
        calls.filter_map(|id| self.calls.get(id)).any(|call| match call.stage {
            Stage::Ringing { .. } => call.caller.user == user,
            Stage::Answered { .. } => true,
        })
    }

    fn accept(&mut self, re: RequestId, session: SessionId, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return self.answer(session, re, no_such_call()) };
        let rings = matches!(&call.stage, Stage::Ringing { at, .. } if at.contains(&session));
        if !rings {
            return self.answer(session, re, no_such_call());
        }
        if self.is_busy(call.callee.user) {
            let body = refusal(ErrorCode::Busy, "You are in another call: hang up first.");
            return self.answer(session, re, body);
        }
        self.answer(session, re, ServerMessage::Done {});
        self.answered(id, session, None);
    }

    /// A call that rings is taken at `session`, which is told in answer to `re`, where it asked for the call itself.
    fn answered(&mut self, id: CallId, session: SessionId, re: Option<RequestId>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let next = Stage::Answered { session, caller: Freshness::default(), callee: Freshness::default() };
        let Stage::Ringing { at, until, early } = std::mem::replace(&mut call.stage, next) else { return };
        let (caller, callee, caller_session) =
            (call.caller.clone(), call.callee.clone(), call.caller_session);
        let mut signals = Vec::new();
        if let Stage::Answered { caller: said, .. } = &mut call.stage {
            signals.extend(early.into_signals().filter(|signal| said.admits(signal)));
        }
        self.deadlines.remove(&(until, id));
        for elsewhere in at.into_iter().filter(|ringing| *ringing != session) {
            self.news(elsewhere, ServerMessage::CallEnded { call: id, reason: CallEnd::AnsweredElsewhere });
        }
        let users = [caller.user, callee.user];
        let told = ServerMessage::CallAnswered { call: id, peer: caller, offers: false };
        self.out.push(CallOutput::Tell { session, re, body: told });
        self.news(caller_session, ServerMessage::CallAnswered { call: id, peer: callee, offers: true });
        for signal in signals {
            self.news(session, ServerMessage::CallSignal { call: id, signal });
        }
        self.out.extend(users.map(|user| CallOutput::InCall(user, true)));
    }

    fn decline(&mut self, re: RequestId, session: SessionId, id: CallId, busy: bool) {
        let rings = self
            .calls
            .get(&id)
            .is_some_and(|call| matches!(&call.stage, Stage::Ringing { at, .. } if at.contains(&session)));
        if !rings {
            return self.answer(session, re, no_such_call());
        }
        self.answer(session, re, ServerMessage::Done {});
        let Some(call) = self.forget(id) else { return };
        let reason = if busy { CallEnd::Busy } else { CallEnd::Declined };
        self.news(call.caller_session, ServerMessage::CallEnded { call: id, reason });
        if busy {
            self.out.push(call.missed(id));
        }
        if let Stage::Ringing { at, .. } = call.stage {
            for other in at.into_iter().filter(|ringing| *ringing != session) {
                self.news(other, ServerMessage::CallEnded { call: id, reason: CallEnd::DeclinedElsewhere });
            }
        }
    }

    fn hang_up(&mut self, re: RequestId, session: SessionId, id: CallId) {
        let bound = self.part(session, id).is_some();
        if !bound {
            return self.answer(session, re, no_such_call());
        }
        self.answer(session, re, ServerMessage::Done {});
        self.end(id, session, CallEnd::HungUp);
    }

    /// How a session is bound to a call: as the one that calls, or as the one that took it.
    fn part(&self, session: SessionId, id: CallId) -> Option<Part> {
        let call = self.calls.get(&id)?;
        match &call.stage {
            Stage::Ringing { .. } if call.caller_session == session => Some(Part::Caller),
            Stage::Answered { .. } if call.caller_session == session => Some(Part::Caller),
            Stage::Answered { session: callee, .. } if *callee == session => Some(Part::Callee),
            Stage::Ringing { .. } | Stage::Answered { .. } => None,
        }
    }

    /// Ends a call because of `session`, which is bound to it; the others are told.
    fn end(&mut self, id: CallId, session: SessionId, reason: CallEnd) {
        let Some(call) = self.forget(id) else { return };
        match call.stage {
            Stage::Ringing { ref at, .. } => {
                for ringing in at {
                    self.news(*ringing, ServerMessage::CallEnded { call: id, reason: CallEnd::Cancelled });
                }
                self.out.push(call.missed(id));
            }
            Stage::Answered { session: callee, .. } => {
                let other = if callee == session { call.caller_session } else { callee };
                self.news(other, ServerMessage::CallEnded { call: id, reason });
            }
        }
    }

    fn signal(&mut self, re: RequestId, session: SessionId, id: CallId, signal: CallSignal) {
        let Some(part) = self.part(session, id) else { return self.answer(session, re, no_such_call()) };
        self.answer(session, re, ServerMessage::Done {});
        let Some(call) = self.calls.get_mut(&id) else { return };
        let to = match (&mut call.stage, part) {
            (Stage::Ringing { early, .. }, _) => return early.keep(signal),
            (Stage::Answered { session, caller, .. }, Part::Caller) => {
                caller.admits(&signal).then_some(*session)
            }
            (Stage::Answered { callee, .. }, Part::Callee) => {
                callee.admits(&signal).then_some(call.caller_session)
            }
        };
        if let Some(to) = to {
            self.news(to, ServerMessage::CallSignal { call: id, signal });
        }
    }

    fn session_over(&mut self, session: SessionId) {
        let mut bound = Vec::new();
        for (id, call) in &mut self.calls {
            match &mut call.stage {
                Stage::Ringing { at, .. } => {
                    // It goes on ringing: they may come back with another session before it is over.
                    at.remove(&session);
                    if call.caller_session == session {
                        bound.push(*id);
                    }
                }
                Stage::Answered { session: callee, .. } => {
                    if call.caller_session == session || *callee == session {
                        bound.push(*id);
                    }
                }
            }
        }
        bound.sort_unstable();
        for id in bound {
            self.end(id, session, CallEnd::PeerGone);
        }
    }

    fn tick(&mut self, now: Instant) {
        while let Some((until, id)) = self.deadlines.first().copied() {
            if until > now {
                break;
            }
            let Some(call) = self.forget(id) else { break };
            let told = ServerMessage::CallEnded { call: id, reason: CallEnd::TimedOut };
            self.news(call.caller_session, told.clone());
            self.out.push(call.missed(id));
            if let Stage::Ringing { at, .. } = call.stage {
                for ringing in at {
                    self.news(ringing, told.clone());
                }
            }
        }
    }

    /// Takes a call out, with everything that knows it.
    fn forget(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        for user in [call.caller.user, call.callee.user] {
            if let Some(calls) = self.by_user.get_mut(&user) {
                calls.retain(|known| *known != id);
                if calls.is_empty() {
                    self.by_user.remove(&user);
                }
            }
        }
        match &call.stage {
            Stage::Ringing { until, .. } => {
                self.deadlines.remove(&(*until, id));
            }
            Stage::Answered { .. } => {
                let users = [call.caller.user, call.callee.user];
                self.out.extend(users.map(|user| CallOutput::InCall(user, false)));
            }
        }
        Some(call)
    }

    fn answer(&mut self, session: SessionId, re: RequestId, body: ServerMessage) {
        self.out.push(CallOutput::Tell { session, re: Some(re), body });
    }

    fn news(&mut self, session: SessionId, body: ServerMessage) {
        self.out.push(CallOutput::Tell { session, re: None, body });
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
