//! The decisions of a session.

use std::time::{Duration, Instant};

use ahoy_signal::{
    AccessToken, ClientEnvelope, ClientMessage, CloseCode, RequestId, RoomId, VERSION, limits,
};

use super::backoff::Backoff;
use super::incoming::asked_wait;
use super::ledger::{Failed, Ledger, Owner};
use super::state::{Opening, Session, State, Token};
use super::{
    CONNECT_WITHIN, EndReason, GOOD_AFTER, Input, NoToken, OPEN_WITHIN, Output, PONG_WITHIN, Request,
    RequestError, SessionEvent, SessionOptions, TOKEN_WITHIN, TokenUse, Trouble,
};

/// A session that the server has not seen for its window, and for this much longer, is not asked for any more.
const WINDOW_GRACE: Duration = Duration::from_secs(15);
/// How long the server asks flooding clients to stay away.
const FLOOD_WAIT: Duration = Duration::from_secs(60);
/// How long the answer to `bye` is waited for.
const BYE_WITHIN: Duration = Duration::from_secs(2);
/// When getting a fresh token failed, it is tried again after this.
pub(super) const RENEW_AGAIN: Duration = Duration::from_secs(5);
/// Longest time before a token's end at which a fresh one is asked for.
const RENEW_BEFORE: Duration = Duration::from_secs(60);
/// See the [module](super).
#[derive(Debug)]
pub struct SessionMachine {
    pub(super) options: SessionOptions,
    pub(super) state: State,
    pub(super) session: Option<Session>,
    pub(super) ledger: Ledger,
    pub(super) backoff: Backoff,
    /// Since when there has been no success.
    pub(super) trying_since: Instant,
    /// The last thing that went wrong.
    pub(super) trouble: Trouble,
    /// How long the server asks to stay away.
    pub(super) asked_wait: Option<Duration>,
    pub(super) out: Vec<Output>,
}

impl SessionMachine {
    /// A session that connects at its first [`Input::Tick`]. Machines with different seeds wait differently.
    pub fn new(options: SessionOptions, seed: u64, now: Instant) -> Self {
        Self {
            options,
            state: State::Offline { until: now },
            session: None,
            ledger: Ledger::default(),
            backoff: Backoff::new(seed),
            trying_since: now,
            trouble: Trouble::Lost,
            asked_wait: None,
            out: Vec::new(),
        }
    }

    /// When to come back with [`Input::Tick`]; `None` when only something else can change anything.
    pub fn deadline(&self) -> Option<Instant> {
        let give_up = self.trying_since + self.options.patience;
        match &self.state {
            State::Offline { until }
            | State::Authorizing { until }
            | State::Connecting { until, .. }
            | State::Opening { until, .. } => Some(give_up.min(*until)),
            State::Leaving { until } => Some(*until),
            State::Online { since, heartbeat, token } => {
                let token = match token {
                    Token::Due(at) | Token::Fetching(at) => Some(*at),
                    Token::Telling { .. } => None,
                };
                let good = (self.backoff.attempts() > 0).then_some(*since + GOOD_AFTER);
                [Some(heartbeat.next_ping), heartbeat.pong_until, token, good].into_iter().flatten().min()
            }
            State::GaveUp | State::Ended => None,
        }
    }

    /// Whether requests are sent at once.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. })
    }

    /// Takes in what happened, and says what to do. Times must not go backwards.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match input {
            Input::Tick => self.tick(now),
            Input::Retry => self.retry(now),
            Input::Token(token, valid) => self.token(token, valid, now),
            Input::NoToken(NoToken::SignedOut) => self.no_token_ever(),
            Input::NoToken(NoToken::Later(trouble)) => self.no_token_now(trouble, now),
            Input::Opened => self.opened(now),
            Input::NotOpened(error) => self.not_opened(error, now),
            Input::Text(text) => self.text(&text, now),
            Input::Closed(code) => self.closed(code, now),
            Input::Ask(request) => self.ask(request),
            Input::First(requests) => self.first(requests),
            Input::Leave => self.leave(now),
        }
        std::mem::take(&mut self.out)
    }

    fn tick(&mut self, now: Instant) {
        if self.is_trying() && now >= self.trying_since + self.options.patience {
            return self.give_up();
        }
        match self.state.clone() {
            State::Offline { until } if now >= until => self.attempt(now),
            State::Authorizing { until } | State::Connecting { until, .. } | State::Opening { until, .. }
                if now >= until =>
            {
                self.lose_connection(Trouble::Silent, now);
            }
            State::Leaving { until } if now >= until => self.end(EndReason::Left),
            State::Online { since, heartbeat, token } => {
                if heartbeat.pong_until.is_some_and(|until| now >= until) {
                    return self.lose_connection(Trouble::Silent, now);
                }
                if now >= since + GOOD_AFTER {
                    self.backoff.reset();
                }
                if now >= heartbeat.next_ping {
                    self.ping(now);
                }
                self.renew(token, now);
            }
            State::Offline { .. }
            | State::Authorizing { .. }
            | State::Connecting { .. }
            | State::Opening { .. }
            | State::Leaving { .. }
            | State::GaveUp
            | State::Ended => {}
        }
    }

    fn is_trying(&self) -> bool {
        match self.state {
            State::Offline { .. }
            | State::Authorizing { .. }
            | State::Connecting { .. }
            | State::Opening { .. } => true,
            State::Online { .. } | State::Leaving { .. } | State::GaveUp | State::Ended => false,
        }
    }

    fn retry(&mut self, now: Instant) {
        match self.state {
            State::GaveUp | State::Offline { .. } => {
                self.trying_since = now;
                self.attempt(now);
            }
            State::Authorizing { .. }
            | State::Connecting { .. }
            | State::Opening { .. }
            | State::Online { .. }
            | State::Leaving { .. }
            | State::Ended => {}
        }
    }

    /// Goes on with the session where that is possible, and begins a new one otherwise.
    pub(super) fn attempt(&mut self, now: Instant) {
        let expired = self.session.as_ref().is_some_and(|session| {
            session.lost_at.is_some_and(|lost| now > lost + session.window + WINDOW_GRACE)
        });
        if expired {
            self.lose_session();
        }
        if self.session.is_some() {
            self.connect(Opening::Resume, now);
        } else {
            self.state = State::Authorizing { until: now + TOKEN_WITHIN };
            self.out.push(Output::NeedToken(TokenUse::Open));
        }
    }

    fn connect(&mut self, opening: Opening, now: Instant) {
        self.state = State::Connecting { until: now + CONNECT_WITHIN, opening };
        self.out.push(Output::Connect);
    }

    fn token(&mut self, token: AccessToken, valid: Duration, now: Instant) {
        match &mut self.state {
            State::Authorizing { .. } => self.connect(Opening::Hello(token), now),
            State::Online { token: state @ Token::Fetching(_), .. } => {
                *state = Token::Telling { next: renew_at(valid, now) };
                self.ledger.push(Owner::Reauth, None, ClientMessage::Reauth { token });
                self.send_unsent();
            }
            // It comes too late: whoever gives out tokens knows which of them were used.
            State::Online { .. }
            | State::Offline { .. }
            | State::Connecting { .. }
            | State::Opening { .. }
            | State::Leaving { .. }
            | State::GaveUp
            | State::Ended => {}
        }
    }

    fn no_token_ever(&mut self) {
        match self.state {
            State::GaveUp | State::Ended => {}
            State::Offline { .. }
            | State::Authorizing { .. }
            | State::Connecting { .. }
            | State::Opening { .. }
            | State::Online { .. }
            | State::Leaving { .. } => self.end(EndReason::SignedOut),
        }
    }

    fn no_token_now(&mut self, trouble: Trouble, now: Instant) {
        match &mut self.state {
            State::Authorizing { .. } => self.wait(trouble, now),
            State::Online { token: state @ Token::Fetching(_), .. } => *state = Token::Due(now + RENEW_AGAIN),
            State::Online { .. }
            | State::Offline { .. }
            | State::Connecting { .. }
            | State::Opening { .. }
            | State::Leaving { .. }
            | State::GaveUp
            | State::Ended => {}
        }
    }

    fn opened(&mut self, now: Instant) {
        let State::Connecting { opening, .. } = &self.state else { return };
        let opening = opening.clone();
        let body = match (&opening, &self.session) {
            (Opening::Resume, Some(session)) => ClientMessage::Resume {
                session: session.id,
                resume_token: session.resume_token.clone(),
                seq: session.seen,
            },
            (Opening::Hello(token), _) => {
                ClientMessage::Hello { token: token.clone(), client: self.options.client.clone() }
            }
            (Opening::Resume, None) => return self.lose_connection(Trouble::Lost, now),
        };
        self.out.push(Output::Send(ClientEnvelope::new(body).to_json()));
        self.state = State::Opening { until: now + OPEN_WITHIN, opening };
    }

    fn not_opened(&mut self, error: crate::ReachError, now: Instant) {
        if let State::Connecting { .. } = self.state {
            if let crate::ReachError::Refused(refusal) = &error {
                self.asked_wait = asked_wait(refusal);
            }
            self.wait(Trouble::Reach(error), now);
        }
    }

    fn closed(&mut self, code: Option<u16>, now: Instant) {
        let code = code.and_then(CloseCode::from_number);
        match self.state {
            State::Connecting { .. } | State::Opening { .. } | State::Online { .. } => {}
            State::Leaving { .. } => return self.end(EndReason::Left),
            State::Offline { .. } | State::Authorizing { .. } | State::GaveUp | State::Ended => return,
        }
        match code {
            None => self.wait(Trouble::Lost, now),
            Some(code @ CloseCode::HelloRefused) => self.refused_to_open(Trouble::Closed { code }, now),
            Some(code @ CloseCode::Flood) => {
                let spread = self.backoff.part_of(FLOOD_WAIT / 4);
                self.asked_wait = Some(FLOOD_WAIT + spread);
                self.wait(Trouble::Closed { code }, now);
            }
            Some(
                code @ (CloseCode::ServerStopping
                | CloseCode::HeartbeatMissed
                | CloseCode::SlowConsumer
                | CloseCode::TokenExpired
                | CloseCode::HelloMissing
                | CloseCode::ServerFault),
            ) => self.wait(Trouble::Closed { code }, now),
            Some(CloseCode::UnsupportedVersion) => self.end(EndReason::UnsupportedVersion),
            Some(CloseCode::SignedOut) => self.end(EndReason::SignedOut),
            Some(CloseCode::Replaced) => self.end(EndReason::Replaced),
            Some(code @ (CloseCode::ProtocolViolation | CloseCode::MessageTooLarge)) => {
                self.end(EndReason::Fault { code });
            }
            Some(CloseCode::Goodbye) => self.end(EndReason::Left),
        }
    }

    /// A session that can't be resumed is followed by a new one at once; a refused `hello` by another after a while.
    pub(super) fn refused_to_open(&mut self, trouble: Trouble, now: Instant) {
        let State::Opening { opening: Opening::Resume, .. } = self.state else {
            return self.wait(trouble, now);
        };
        self.lose_session();
        self.trouble = trouble;
        self.attempt(now);
    }

    fn ask(&mut self, request: Request) {
        let Request { tag, room, body } = request;
        let refused = match self.state {
            State::GaveUp | State::Ended | State::Leaving { .. } => Some(RequestError::NotConnected),
            State::Offline { .. }
            | State::Authorizing { .. }
            | State::Connecting { .. }
            | State::Opening { .. }
            | State::Online { .. } => self.ledger.is_full().then_some(RequestError::TooMany),
        };
        let longest = ClientEnvelope {
            v: VERSION,
            id: Some(RequestId(u64::MAX)),
            ack: Some(u64::MAX),
            room,
            body: body.clone(),
        };
        let too_long = (longest.to_json().len() > limits::MESSAGE_LONGEST).then_some(RequestError::TooLong);
        if let Some(error) = refused.or(too_long) {
            return self.out.push(Output::Answer(tag, Err(error)));
        }
        self.ledger.push(Owner::Caller(tag), room, body);
        self.send_unsent();
    }

    fn first(&mut self, requests: Vec<Request>) {
        if self.session.is_some() {
            self.ledger.begin(requests);
            self.send_unsent();
        }
    }

    pub(super) fn send_unsent(&mut self) {
        if let State::Online { .. } | State::Leaving { .. } = self.state {
            for (id, room, body) in self.ledger.take_unsent() {
                self.send(Some(id), room, body);
            }
        }
    }

    fn send(&mut self, id: Option<RequestId>, room: Option<RoomId>, body: ClientMessage) {
        let ack = self.session.as_mut().and_then(|session| {
            let news = session.seen > session.acked;
            (session.acked, session.unacked_bytes) = (session.seen, 0);
            news.then_some(session.seen)
        });
        let envelope = ClientEnvelope { v: VERSION, id, ack, room, body };
        self.out.push(Output::Send(envelope.to_json()));
    }

    pub(super) fn ping(&mut self, now: Instant) {
        let Some(every) = self.session.as_ref().map(|session| session.heartbeat) else { return };
        if let State::Online { heartbeat, .. } = &mut self.state {
            heartbeat.next_ping = now + every;
            heartbeat.pong_until.get_or_insert(now + PONG_WITHIN);
            self.send(None, None, ClientMessage::Ping {});
        }
    }

    fn renew(&mut self, token: Token, now: Instant) {
        let next = match token {
            Token::Due(at) if now >= at => Token::Fetching(now + TOKEN_WITHIN),
            Token::Fetching(until) if now >= until => Token::Due(now + RENEW_AGAIN),
            Token::Due(_) | Token::Fetching(_) | Token::Telling { .. } => return,
        };
        if let Token::Fetching(_) = next {
            self.out.push(Output::NeedToken(TokenUse::Renew));
        }
        if let State::Online { token, .. } = &mut self.state {
            *token = next;
        }
    }

    fn leave(&mut self, now: Instant) {
        match self.state {
            State::Online { .. } => {
                self.state = State::Leaving { until: now + BYE_WITHIN };
                self.ledger.push(Owner::Bye, None, ClientMessage::Bye {});
                self.send_unsent();
            }
            State::Offline { .. }
            | State::Authorizing { .. }
            | State::Connecting { .. }
            | State::Opening { .. }
            | State::GaveUp => self.end(EndReason::Left),
            State::Leaving { .. } | State::Ended => {}
        }
    }

    /// Lets go of a connection that is of no use, and waits for the next.
    pub(super) fn lose_connection(&mut self, trouble: Trouble, now: Instant) {
        self.out.push(Output::Close);
        self.wait(trouble, now);
    }

    /// There is no connection: waits for the next attempt.
    pub(super) fn wait(&mut self, trouble: Trouble, now: Instant) {
        if self.is_online() {
            self.trying_since = now;
        }
        if let Some(session) = &mut self.session {
            session.lost_at.get_or_insert(now);
        }
        let own = self.backoff.next();
        let wait = self.asked_wait.take().unwrap_or_default().max(own);
        self.trouble = trouble.clone();
        self.state = State::Offline { until: now + wait };
        let attempt = self.backoff.attempts();
        self.out.push(Output::Event(SessionEvent::Waiting { trouble, attempt, wait }));
    }

    pub(super) fn lose_session(&mut self) {
        self.session = None;
        let failed = self.ledger.lose();
        self.fail(failed);
    }

    fn fail(&mut self, failed: Vec<Failed>) {
        for (owner, error) in failed {
            if let Owner::Caller(tag) = owner {
                self.out.push(Output::Answer(tag, Err(error)));
            }
        }
    }

    fn give_up(&mut self) {
        self.out.push(Output::Close);
        self.session = None;
        self.state = State::GaveUp;
        let failed = self.ledger.fail_all();
        self.fail(failed);
        self.out.push(Output::Event(SessionEvent::GaveUp(self.trouble.clone())));
    }

    pub(super) fn end(&mut self, reason: EndReason) {
        self.out.push(Output::Close);
        self.session = None;
        self.state = State::Ended;
        let failed = self.ledger.fail_all();
        self.fail(failed);
        self.out.push(Output::Event(SessionEvent::Ended(reason)));
    }
}

/// When to ask for a fresh token, while the old one is good for `valid`.
pub(super) fn renew_at(valid: Duration, now: Instant) -> Instant {
    now + valid.saturating_sub(RENEW_BEFORE.min(valid / 3))
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
