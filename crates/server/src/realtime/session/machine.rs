//! Decides for one session: which messages are new, what is told again, when a connection and when the session is given up.

use std::time::{Duration, Instant};

use ahoy_signal::{
    ClientEnvelope, ClientMessage, CloseCode, DeviceId, ErrorCode, MalformedMessage, Refusal, RequestId,
    ResumeToken, RoomId, ServerEnvelope, ServerMessage, SessionId, UserId, VERSION, Welcome, limits,
};
use axum::extract::ws::Utf8Bytes;

use super::replay::Replay;
use super::strikes::Strikes;
pub use super::talk::{Request, SessionInput, SessionOutput};
use crate::realtime::limits::{Bucket, Verdict};
use crate::realtime::mailbox::{Membership, News};

/// How often clients ping.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// Silence after which a connection is given up: two heartbeats and a half.
pub const SILENCE_MOST: Duration = Duration::from_secs(25);
/// How long a session without a connection waits to be resumed.
pub const RESUME_WINDOW: Duration = Duration::from_secs(300);
/// How long a session without a connection passes for being reachable.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(20);
/// How long a session that is resumed after its token ran out has for showing a fresh one. On a bad network it may take
/// several connections, so each resume begins this anew, up to the resume window after the token ran out.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(30);
/// Messages that make no sense, in ten seconds, before the connection is closed.
pub const NONSENSE_MOST: u32 = 10;
/// Messages beyond the limits, in ten seconds, before the connection is closed.
pub const REFUSED_MOST: u32 = 200;
/// The highest number of a request: JavaScript counts exactly up to there.
const REQUEST_HIGHEST: u64 = (1 << 53) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up { heard: Instant },
    Down { since: Instant, reachable: bool },
    Over,
}

/// One session.
#[derive(Debug)]
pub struct SessionMachine {
    session: SessionId,
    user: UserId,
    device: DeviceId,
    link: Link,
    resume_token: ResumeToken,
    /// The token that was used last, while nothing shows that its successor has arrived: the connection that should have
    /// brought it may have broken.
    spare_token: Option<ResumeToken>,
    token_expires: Instant,
    /// Until when a session that was resumed after its token ran out may go on without a fresh one.
    renew_by: Option<Instant>,
    last_request: u64,
    replay: Replay,
    rooms: Vec<RoomId>,
    refused: Strikes,
    nonsense: Strikes,
}

type Outputs = Vec<SessionOutput>;

impl SessionMachine {
    /// A session whose first connection is there, and its `welcome`, which is the first thing to send.
    pub fn open(now: Instant, welcome: Welcome) -> (Self, Utf8Bytes) {
        let none = Strikes::none(now);
        let machine = Self {
            session: welcome.session,
            user: welcome.user,
            device: welcome.device,
            link: Link::Up { heard: now },
            resume_token: welcome.resume_token.clone(),
            spare_token: None,
            token_expires: now + Duration::from_secs(welcome.token_expires_in_s.into()),
            renew_by: None,
            last_request: 0,
            replay: Replay::default(),
            rooms: Vec::new(),
            refused: none,
            nonsense: none,
        };
        (machine, ServerEnvelope::new(ServerMessage::Welcome(welcome)).to_json().into())
    }

    /// Which session it is.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whose.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// On which device.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The rooms that it is in, waits for, or has asked to enter.
    pub fn rooms(&self) -> &[RoomId] {
        &self.rooms
    }

    /// Whether it has a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.link == Link::Over
    }

    /// How many messages are kept for it.
    pub fn kept(&self) -> usize {
        self.replay.len()
    }

    /// The highest request that it has.
    pub fn last_request(&self) -> u64 {
        self.last_request
    }

    /// When time itself is something that happens.
    pub fn deadline(&self) -> Option<Instant> {
        match self.link {
            Link::Up { heard } => Some((heard + SILENCE_MOST).min(self.authorized_until())),
            Link::Down { since, reachable: true } => Some(since + UNREACHABLE_AFTER),
            Link::Down { since, reachable: false } => Some(since + RESUME_WINDOW),
            Link::Over => None,
        }
    }

    fn authorized_until(&self) -> Instant {
        self.renew_by.map_or(self.token_expires, |grace| grace.max(self.token_expires))
    }

    /// Which budget a message comes out of: repeats of what was accepted come out of the connection's.
    pub fn bucket(&self, envelope: &ClientEnvelope) -> Bucket {
        match envelope.id {
            Some(RequestId(id)) if id > self.last_request => Bucket::of(&envelope.body),
            Some(_) | None => Bucket::Noise,
        }
    }

    /// Decides; what is to be done is added to `out`.
    pub fn handle(&mut self, now: Instant, input: SessionInput, out: &mut Outputs) {
        if self.is_over() {
            return;
        }
        match input {
            SessionInput::Resume { token, seq, next_token } => {
                self.on_resume(now, &token, seq, next_token, out)
            }
            SessionInput::Said(envelope, verdict) => self.on_said(now, *envelope, verdict, out),
            SessionInput::Malformed(malformed) => self.on_malformed(now, malformed, out),
            SessionInput::TooLong => self.close(now, CloseCode::MessageTooLarge, out),
            SessionInput::Heard => self.heard(now),
            SessionInput::Tell(news) => self.tell(*news, out),
            SessionInput::Renewed(re, outcome) => self.on_renewed(re, outcome, out),
            SessionInput::Disconnected => self.lose(now, out),
            SessionInput::Stuck => self.close(now, CloseCode::SlowConsumer, out),
            SessionInput::Overflowed => self.end(Some(CloseCode::SlowConsumer), out),
            SessionInput::SignOut => self.end(Some(CloseCode::SignedOut), out),
            SessionInput::Stop(after_ms) => {
                let reconnect = ServerEnvelope::new(ServerMessage::Reconnect { after_ms }).to_json();
                if self.is_connected() {
                    out.push(SessionOutput::Send(reconnect.into()));
                }
                self.close(now, CloseCode::ServerStopping, out);
            }
            SessionInput::Tick => self.on_tick(now, out),
        }
    }

    fn heard(&mut self, now: Instant) {
        if let Link::Up { heard } = &mut self.link {
            *heard = now;
        }
    }

    fn on_resume(
        &mut self,
        now: Instant,
        token: &ResumeToken,
        seq: u64,
        next_token: ResumeToken,
        out: &mut Outputs,
    ) {
        let gone = |why: &str| SessionOutput::RefuseTakeOver(Refusal::new(ErrorCode::SessionGone, why));
        if *token != self.resume_token && Some(token) != self.spare_token.as_ref() {
            return out.push(gone("This token does not resume the session: say hello."));
        }
        let latest = self.token_expires + RESUME_WINDOW;
        if now >= latest {
            out.push(gone("The session had no fresh access token for too long: say hello."));
            return self.end(Some(CloseCode::TokenExpired), out);
        }
        if seq < self.replay.forgotten() || !self.replay.acknowledge(seq) {
            out.push(gone("More has happened than the server remembers: say hello."));
            return self.end(Some(CloseCode::Replaced), out);
        }
        self.spare_token = Some(token.clone());
        self.resume_token = next_token;
        if now >= self.token_expires {
            self.renew_by = Some(latest.min(now + RENEWAL_GRACE));
        }
        match self.link {
            Link::Up { .. } => out.extend([SessionOutput::Close(CloseCode::Replaced), SessionOutput::Lost]),
            Link::Down { reachable: false, .. } => out.push(SessionOutput::Reachable(true)),
            Link::Down { reachable: true, .. } | Link::Over => {}
        }
        self.link = Link::Up { heard: now };
        out.extend([SessionOutput::TakeOver, SessionOutput::Back]);
        let left = self.token_expires.saturating_duration_since(now).as_secs();
        let resumed = ServerEnvelope::new(ServerMessage::Resumed {
            resume_token: self.resume_token.clone(),
            token_expires_in_s: u32::try_from(left).unwrap_or(u32::MAX),
            last_request: self.last_request,
        });
        out.push(SessionOutput::Send(resumed.to_json().into()));
        out.extend(self.replay.iter().cloned().map(SessionOutput::Send));
    }

    fn on_said(&mut self, now: Instant, envelope: ClientEnvelope, verdict: Verdict, out: &mut Outputs) {
        if !self.is_connected() {
            return;
        }
        self.heard(now);
        // Clients say nothing before they have read `resumed`.
        self.spare_token = None;
        let malformed =
            |why: &str| MalformedMessage { id: None, refusal: Refusal::new(ErrorCode::BadMessage, why) };
        if envelope.ack.is_some_and(|ack| !self.replay.acknowledge(ack)) {
            return self.on_malformed(now, malformed("More is acknowledged than was sent."), out);
        }
        let Some(re) = envelope.id else { return self.on_unnumbered(now, envelope.body, verdict, out) };
        if re.0 == 0 || re.0 > REQUEST_HIGHEST {
            return self.on_malformed(now, malformed("Requests are numbered 1, 2, 3 and so on."), out);
        }
        if re.0 <= self.last_request {
            metrics::counter!("ahoy_repeated_requests_total").increment(1);
            return match verdict {
                Verdict::Allowed => {}
                Verdict::Refused { .. } => self.strike(now, out),
            };
        }
        self.last_request = re.0;
        match verdict {
            Verdict::Allowed => self.on_request(now, re, envelope.room, envelope.body, out),
            Verdict::Refused { retry_after_ms } => {
                let mut refusal = Refusal::new(ErrorCode::RateLimited, "Too many requests: wait a moment.");
                refusal.retry_after_ms = Some(retry_after_ms);
                self.tell(News::answer(re, ServerMessage::Error(refusal)), out);
                metrics::counter!("ahoy_rate_limited_total").increment(1);
                self.strike(now, out);
            }
        }
    }

    fn on_unnumbered(&mut self, now: Instant, body: ClientMessage, verdict: Verdict, out: &mut Outputs) {
        match (body, verdict) {
            (ClientMessage::Ping {}, Verdict::Allowed) => {
                out.push(SessionOutput::Send(Utf8Bytes::from_static(PONG)));
            }
            (ClientMessage::Ping {}, Verdict::Refused { .. }) => self.strike(now, out),
            (_, Verdict::Allowed | Verdict::Refused { .. }) => {
                let refusal = Refusal::new(ErrorCode::EnvelopeIncomplete, "This message needs an id.");
                self.on_malformed(now, MalformedMessage { id: None, refusal }, out);
            }
        }
    }

    fn on_request(
        &mut self,
        now: Instant,
        re: RequestId,
        room: Option<RoomId>,
        body: ClientMessage,
        out: &mut Outputs,
    ) {
        let refuse = |code, why: &str| News::answer(re, ServerMessage::Error(Refusal::new(code, why)));
        match (&body, room) {
            (ClientMessage::Hello { .. } | ClientMessage::Resume { .. }, _) => {
                self.tell(refuse(ErrorCode::OutOfPlace, "The session is open already."), out);
            }
            (ClientMessage::Ping {}, _) => out.push(SessionOutput::Send(Utf8Bytes::from_static(PONG))),
            (ClientMessage::Bye {}, _) => self.end(Some(CloseCode::Goodbye), out),
            (ClientMessage::Reauth { token }, _) => out.push(SessionOutput::Renew(re, token.clone())),
            (ClientMessage::Join { .. }, Some(room)) if !self.rooms.contains(&room) => {
                if self.rooms.len() >= limits::ROOMS_JOINED_MOST {
                    let why = "One can be in eight rooms at once: leave one first.";
                    return self.tell(refuse(ErrorCode::TooMany, why), out);
                }
                self.rooms.push(room);
                out.push(SessionOutput::Perform(Box::new(Request { re, room: Some(room), body })));
            }
            (
                ClientMessage::Join { .. }
                | ClientMessage::RoomChange { .. }
                | ClientMessage::RoomDelete {}
                | ClientMessage::Leave {}
                | ClientMessage::Sync { .. }
                | ClientMessage::Admit { .. }
                | ClientMessage::Remove { .. }
                | ClientMessage::SetRole { .. }
                | ClientMessage::SetState { .. }
                | ClientMessage::Mute { .. }
                | ClientMessage::RoomSignal { .. }
                | ClientMessage::Chat { .. },
                None,
            ) => {
                let refusal = Refusal::new(ErrorCode::EnvelopeIncomplete, "This message needs a room.");
                // The number was new when it came here; it is answered once.
                self.tell(News::answer(re, ServerMessage::Error(refusal)), out);
                self.count_nonsense(now, out);
            }
            (_, room) => out.push(SessionOutput::Perform(Box::new(Request { re, room, body }))),
        }
    }

    fn on_malformed(&mut self, now: Instant, malformed: MalformedMessage, out: &mut Outputs) {
        if !self.is_connected() {
            return;
        }
        self.heard(now);
        metrics::counter!("ahoy_malformed_messages_total").increment(1);
        if malformed.refusal.code == ErrorCode::MessageTooLarge {
            return self.close(now, CloseCode::MessageTooLarge, out);
        }
        let other_version = malformed.refusal.code == ErrorCode::UnsupportedVersion;
        let answer = ServerMessage::Error(malformed.refusal);
        match malformed.id {
            Some(re) if re.0 > self.last_request && re.0 <= REQUEST_HIGHEST => {
                self.last_request = re.0;
                self.tell(News::answer(re, answer), out);
            }
            // A repeat: its answer is kept, or was received.
            Some(re) if re.0 != 0 && re.0 <= self.last_request => {}
            Some(_) | None => out.push(SessionOutput::Send(ServerEnvelope::new(answer).to_json().into())),
        }
        if other_version {
            return self.close(now, CloseCode::UnsupportedVersion, out);
        }
        self.count_nonsense(now, out);
    }

    fn count_nonsense(&mut self, now: Instant, out: &mut Outputs) {
        if self.nonsense.strike(now) > NONSENSE_MOST {
            self.close(now, CloseCode::ProtocolViolation, out);
        }
    }

    fn strike(&mut self, now: Instant, out: &mut Outputs) {
        if self.refused.strike(now) > REFUSED_MOST {
            metrics::counter!("ahoy_floods_total").increment(1);
            self.refused = Strikes::none(now);
            self.close(now, CloseCode::Flood, out);
        }
    }

    fn on_renewed(&mut self, re: RequestId, outcome: Result<Instant, Refusal>, out: &mut Outputs) {
        let body = match outcome {
            Ok(expires) => {
                self.token_expires = self.token_expires.max(expires);
                self.renew_by = None;
                ServerMessage::Done {}
            }
            Err(refusal) => ServerMessage::Error(refusal),
        };
        self.tell(News::answer(re, body), out);
    }

    /// Numbers, keeps and sends.
    fn tell(&mut self, news: News, out: &mut Outputs) {
        if let (Membership::Out, Some(room)) = (news.membership, news.room) {
            self.rooms.retain(|joined| *joined != room);
        }
        let envelope = ServerEnvelope {
            v: VERSION,
            re: news.re,
            seq: Some(self.replay.next_seq()),
            room: news.room,
            pos: news.pos,
            body: news.body,
        };
        let text = Utf8Bytes::from(envelope.to_json());
        self.replay.keep(text.clone());
        if self.is_connected() {
            out.push(SessionOutput::Send(text));
        }
    }

    fn on_tick(&mut self, now: Instant, out: &mut Outputs) {
        match self.link {
            Link::Up { .. } if now >= self.authorized_until() => {
                self.close(now, CloseCode::TokenExpired, out)
            }
            Link::Up { heard } if now >= heard + SILENCE_MOST => {
                self.close(now, CloseCode::HeartbeatMissed, out);
            }
            Link::Down { since, .. } if now >= since + RESUME_WINDOW => self.end(None, out),
            Link::Down { since, reachable: true } if now >= since + UNREACHABLE_AFTER => {
                self.link = Link::Down { since, reachable: false };
                out.push(SessionOutput::Reachable(false));
            }
            Link::Up { .. } | Link::Down { .. } | Link::Over => {}
        }
    }

    fn close(&mut self, now: Instant, code: CloseCode, out: &mut Outputs) {
        if self.is_connected() {
            out.push(SessionOutput::Close(code));
            self.lose(now, out);
        }
    }

    fn lose(&mut self, now: Instant, out: &mut Outputs) {
        if self.is_connected() {
            self.link = Link::Down { since: now, reachable: true };
            out.push(SessionOutput::Lost);
        }
    }

    fn end(&mut self, code: Option<CloseCode>, out: &mut Outputs) {
        if let (true, Some(code)) = (self.is_connected(), code) {
            out.push(SessionOutput::Close(code));
        }
        self.link = Link::Over;
        out.push(SessionOutput::Ended);
    }
}

/// The answer to a ping, as it is sent.
const PONG: &str = r#"{"v":1,"body":{"type":"pong"}}"#;

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
