//! What the server says, and what it means for the session.

use std::time::{Duration, Instant};

use ahoy_signal::{ErrorCode, Refusal, RequestId, ServerEnvelope, ServerMessage, VERSION, Welcome};
use serde::Deserialize;

use super::ledger::Owner;
use super::machine::{RENEW_AGAIN, SessionMachine, renew_at};
use super::state::{Heartbeat, Opening, Session, State, Token};
use super::{EndReason, Output, RequestError, SessionEvent, Trouble};

/// No server is obeyed that asks to wait for longer than this.
const SERVER_WAIT_LONGEST: Duration = Duration::from_secs(120);
/// Messages that the server keeps for us before they are acknowledged without waiting for the next ping: it keeps 512, and
/// a session whose store overflows can't be resumed.
const UNACKED_MESSAGES: u64 = 64;
/// The same in bytes, of 128 KiB.
const UNACKED_BYTES: usize = 32 * 1024;

impl SessionMachine {
    pub(super) fn text(&mut self, text: &str, now: Instant) {
        match self.state {
            State::Opening { .. } | State::Online { .. } | State::Leaving { .. } => {}
            State::Offline { .. }
            | State::Authorizing { .. }
            | State::Connecting { .. }
            | State::GaveUp
            | State::Ended => return,
        }
        if let State::Online { heartbeat, .. } = &mut self.state {
            heartbeat.pong_until = None;
        }
        let read = match serde_json::from_str::<ServerEnvelope>(text) {
            Ok(envelope) if envelope.v == VERSION => Ok(envelope),
            Ok(_) | Err(_) => match serde_json::from_str::<Outer>(text) {
                Ok(outer) => Err(outer),
                Err(_) => return self.lose_connection(Trouble::Garbled, now),
            },
        };
        let seq = match &read {
            Ok(envelope) => envelope.seq,
            Err(outer) => outer.seq,
        };
        if let State::Opening { opening, .. } = &self.state {
            let opening = opening.clone();
            return match read {
                Ok(envelope) => self.open(opening, envelope.body, now),
                Err(_) => self.lose_connection(Trouble::Garbled, now),
            };
        }
        if let Some(seq) = seq {
            match self.count(seq, text.len()) {
                Count::New => {}
                Count::Repeated => return,
                Count::Missing => return self.miss(now),
            }
        }
        match read {
            Ok(envelope) => self.message(envelope, now),
            Err(Outer { re: Some(id), .. }) => self.answer(id, Err(RequestError::Garbled), now),
            // News of a kind that this version does not know.
            Err(Outer { re: None, .. }) => {}
        }
        self.acknowledge_early(now);
    }

    /// The answer to `hello` or `resume`.
    fn open(&mut self, opening: Opening, body: ServerMessage, now: Instant) {
        match (opening, body) {
            (Opening::Hello(_), ServerMessage::Welcome(welcome)) => self.begin(welcome, now),
            (Opening::Resume, ServerMessage::Resumed { resume_token, token_expires_in_s, last_request }) => {
                let Some(session) = &mut self.session else { return };
                (session.resume_token, session.lost_at) = (resume_token, None);
                (session.acked, session.unacked_bytes) = (session.seen, 0);
                let heartbeat = session.heartbeat;
                self.ledger.resume(last_request);
                self.go_online(heartbeat, token_expires_in_s, now);
                self.out.push(Output::Event(SessionEvent::Resumed));
                self.send_unsent();
            }
            (opening, ServerMessage::Error(refusal)) => self.not_let_in(&opening, refusal, now),
            (_, ServerMessage::Reconnect { after_ms }) => self.stay_away(after_ms),
            (_, ServerMessage::Pong {}) => {}
            (_, _) => self.lose_connection(Trouble::Garbled, now),
        }
    }

    fn begin(&mut self, welcome: Welcome, now: Instant) {
        let heartbeat = Duration::from_secs(welcome.heartbeat_s.max(1).into());
        self.session = Some(Session {
            id: welcome.session,
            resume_token: welcome.resume_token.clone(),
            window: Duration::from_secs(welcome.resume_window_s.into()),
            heartbeat,
            seen: 0,
            acked: 0,
            unacked_bytes: 0,
            lost_at: None,
            gap: false,
        });
        self.go_online(heartbeat, welcome.token_expires_in_s, now);
        self.out.push(Output::Event(SessionEvent::Began(welcome)));
    }

    pub(super) fn go_online(&mut self, every: Duration, token_expires_in_s: u32, now: Instant) {
        self.asked_wait = None;
        let valid = Duration::from_secs(token_expires_in_s.into());
        self.state = State::Online {
            since: now,
            heartbeat: Heartbeat { next_ping: now + every, pong_until: None },
            token: Token::Due(renew_at(valid, now)),
        };
    }

    fn not_let_in(&mut self, opening: &Opening, refusal: Refusal, now: Instant) {
        self.asked_wait = asked_wait(&refusal);
        let code = refusal.code;
        let trouble = Trouble::Refused(refusal);
        match (opening, code) {
            (_, ErrorCode::UnsupportedVersion) => self.end(EndReason::UnsupportedVersion),
            (Opening::Hello(_), ErrorCode::SignedOut) => self.end(EndReason::SignedOut),
            (_, ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::ShuttingDown) => {
                self.lose_connection(trouble, now);
            }
            (Opening::Resume, _) => {
                self.out.push(Output::Close);
                self.refused_to_open(trouble, now);
            }
            (Opening::Hello(_), _) => self.lose_connection(trouble, now),
        }
    }

    fn message(&mut self, envelope: ServerEnvelope, now: Instant) {
        if let Some(id) = envelope.re {
            let answer = match envelope.body {
                ServerMessage::Error(refusal) => Err(RequestError::Refused(refusal)),
                _ => Ok(envelope),
            };
            return self.answer(id, answer, now);
        }
        match envelope.body {
            ServerMessage::Pong {} => {}
            ServerMessage::Reconnect { after_ms } => self.stay_away(after_ms),
            // About something that had no number, so nobody waits for it.
            ServerMessage::Error(_) | ServerMessage::Done {} => {}
            _ => self.out.push(Output::Event(SessionEvent::News(envelope))),
        }
    }

    fn answer(&mut self, id: RequestId, answer: Result<ServerEnvelope, RequestError>, now: Instant) {
        match self.ledger.answer(id) {
            Some(Owner::Caller(tag)) => self.out.push(Output::Answer(tag, answer)),
            Some(Owner::Reauth) => {
                if let State::Online { token: token @ Token::Telling { .. }, .. } = &mut self.state {
                    let next = match *token {
                        Token::Telling { next } => next,
                        Token::Due(at) | Token::Fetching(at) => at,
                    };
                    *token = Token::Due(if answer.is_ok() { next } else { now + RENEW_AGAIN });
                }
            }
            Some(Owner::Bye) => {
                self.out.push(Output::Close);
                self.end(EndReason::Left);
            }
            None => {}
        }
    }

    fn stay_away(&mut self, after_ms: u64) {
        self.asked_wait = Some(Duration::from_millis(after_ms).min(SERVER_WAIT_LONGEST));
    }

    fn count(&mut self, seq: u64, bytes: usize) -> Count {
        let Some(session) = &mut self.session else { return Count::Repeated };
        if seq <= session.seen {
            return Count::Repeated;
        }
        if seq > session.seen + 1 {
            return Count::Missing;
        }
        session.seen = seq;
        session.unacked_bytes += bytes;
        session.gap = false;
        Count::New
    }

    /// A message of the session is missing. The server has it still: it comes again when the session is resumed. If it does
    /// not, the session is worth nothing.
    fn miss(&mut self, now: Instant) {
        let again = self.session.as_mut().is_some_and(|session| std::mem::replace(&mut session.gap, true));
        if again {
            self.lose_session();
        }
        self.lose_connection(Trouble::Garbled, now);
    }

    fn acknowledge_early(&mut self, now: Instant) {
        let much = self.session.as_ref().is_some_and(|session| {
            session.seen - session.acked >= UNACKED_MESSAGES || session.unacked_bytes >= UNACKED_BYTES
        });
        if much {
            self.ping(now);
        }
    }
}

/// What a message's number says.
enum Count {
    New,
    Repeated,
    Missing,
}

/// What can be read of a message that this version does not know.
#[derive(Deserialize)]
struct Outer {
    #[serde(default)]
    re: Option<RequestId>,
    #[serde(default)]
    seq: Option<u64>,
}

/// How long a refusal asks to wait.
pub(super) fn asked_wait(refusal: &Refusal) -> Option<Duration> {
    refusal.retry_after_ms.map(|ms| Duration::from_millis(ms).min(SERVER_WAIT_LONGEST))
}
