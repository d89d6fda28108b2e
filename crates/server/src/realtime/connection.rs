//! Connections: from `hello` or `resume` to the session, and their end.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ahoy_signal::{
    ClientMessage, CloseCode, ErrorCode, Refusal, ResumeToken, ServerEnvelope, ServerMessage, SessionId,
    Welcome, read_client_message,
};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Shared;
use super::mailbox::{Mailbox, Takeover};
use super::session::actor::{SessionActor, is_too_long, now, refuse, write_all};
use super::session::directory::NoPlace;
use super::session::machine::{HEARTBEAT, RESUME_WINDOW, SessionMachine};

/// How long a connection may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(15);
/// Messages that make no sense before `hello`. Whoever has a session may make more mistakes; strangers cost those who have one.
const NONSENSE_MOST: u32 = 3;
/// How long closing a connection may take.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// How long the other side has for reading the last message where nothing more can be read from it.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// A connection that is counted for as long as it is there.
pub(crate) struct Connection {
    pub(crate) socket: WebSocket,
    _counted: Counted,
}

struct Counted(watch::Sender<usize>);

impl Connection {
    pub(crate) fn new(socket: WebSocket, count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        metrics::gauge!("ahoy_connections").increment(1.0);
        Self { socket, _counted: Counted(count.clone()) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
        metrics::gauge!("ahoy_connections").decrement(1.0);
    }
}

/// Writes what is left, closes, and waits a little for the other side to do the same: a connection that is cut while
/// something is on its way loses it (RFC 6455 section 7.1.1).
pub(crate) fn finish(mut connection: Connection, mut outgoing: VecDeque<Message>, code: CloseCode) {
    metrics::counter!("ahoy_closes_total", "code" => code.reason()).increment(1);
    let frame = CloseFrame { code: code.number(), reason: code.reason().into() };
    outgoing.push_back(Message::Close(Some(frame)));
    tokio::spawn(timeout(CLOSED_WITHIN, async move {
        if write_all(&mut connection, &mut outgoing).await.is_err() {
            return;
        }
        loop {
            match connection.socket.next().await {
                // What was sent before the other side knew goes nowhere, and is in nobody's way.
                Some(Ok(_)) => tokio::task::yield_now().await,
                None => return,
                // What is left unread makes the kernel cut the connection at once; give the other side time to read the rest.
                Some(Err(_)) => return tokio::time::sleep(READ_WITHIN).await,
            }
        }
    }));
}

/// 256 random bits, in letters and digits that need no escapes.
pub(crate) fn random_token() -> String {
    let bits: [u128; 2] = [rand::random(), rand::random()];
    format!("{:032x}{:032x}", bits[0], bits[1])
}

/// What a connection turned out to be.
enum Opening {
    /// It has a session of its own now.
    Session(Box<SessionActor>),
    /// It was handed to its session, or closed.
    Over,
}

/// Serves a connection, and its session if it opens one.
pub(crate) async fn serve(shared: Arc<Shared>, socket: WebSocket, address: IpAddr) {
    let connection = shared.connection(socket);
    match Box::pin(open(shared, connection, address)).await {
        Opening::Session(actor) => Box::pin(actor.run()).await,
        Opening::Over => {}
    }
}

fn close(connection: Connection, code: CloseCode) -> Opening {
    finish(connection, VecDeque::new(), code);
    Opening::Over
}

fn say(refusal: Refusal) -> Message {
    Message::Text(ServerEnvelope::new(ServerMessage::Error(refusal)).to_json().into())
}

async fn open(shared: Arc<Shared>, mut connection: Connection, address: IpAddr) -> Opening {
    let deadline = tokio::time::Instant::now() + HELLO_WITHIN;
    let mut nonsense = 0;
    loop {
        let message = tokio::select! {
            message = connection.socket.next() => message,
            () = tokio::time::sleep_until(deadline) => return close(connection, CloseCode::HelloMissing),
            () = shared.stopped() => return close(connection, CloseCode::ServerStopping),
        };
        let refusal = match message {
            Some(Ok(Message::Text(text))) => match read_client_message(text.as_str()) {
                Ok(envelope) => match envelope.body {
                    ClientMessage::Hello { token, client } => {
                        tracing::debug!(%address, client = client.name, version = client.version, "hello");
                        return hello(shared, connection, &token).await;
                    }
                    ClientMessage::Resume { session, resume_token, seq } => {
                        return resume(&shared, connection, session, resume_token, seq);
                    }
                    _ => Refusal::new(ErrorCode::OutOfPlace, "Say hello first."),
                },
                Err(malformed) => malformed.refusal,
            },
            Some(Ok(Message::Binary(_))) => Refusal::new(ErrorCode::BadMessage, "Messages are text."),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Err(error)) if is_too_long(&error) => return close(connection, CloseCode::MessageTooLarge),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Opening::Over,
        };
        let code = match refusal.code {
            ErrorCode::UnsupportedVersion => Some(CloseCode::UnsupportedVersion),
            ErrorCode::MessageTooLarge => Some(CloseCode::MessageTooLarge),
            _ => None,
        };
        metrics::counter!("ahoy_malformed_messages_total").increment(1);
        nonsense += 1;
        let code = code.or_else(|| (nonsense > NONSENSE_MOST).then_some(CloseCode::ProtocolViolation));
        let mut outgoing = VecDeque::from([say(refusal)]);
        if let Some(code) = code {
            finish(connection, outgoing, code);
            return Opening::Over;
        }
        let written = tokio::time::timeout_at(deadline, write_all(&mut connection, &mut outgoing)).await;
        // A stranger who has sent a pile of nonsense waits in line for each piece: what people say to each other goes first.
        tokio::task::yield_now().await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Opening::Over,
            Err(_) => return close(connection, CloseCode::HelloMissing),
        }
    }
}

fn resume(
    shared: &Shared,
    connection: Connection,
    session: SessionId,
    token: ResumeToken,
    seq: u64,
) -> Opening {
    let gone = || Refusal::new(ErrorCode::SessionGone, "The session is over: say hello.");
    let Some(mailbox) = shared.sessions.get(session) else {
        refuse(connection, gone());
        return Opening::Over;
    };
    let Connection { socket, _counted } = connection;
    if let Err(takeover) = mailbox.take_over(Takeover { socket, token, seq }) {
        refuse(shared.connection(takeover.socket), gone());
    }
    Opening::Over
}

async fn hello(shared: Arc<Shared>, connection: Connection, token: &ahoy_signal::AccessToken) -> Opening {
    let identity = match shared.tokens.open(token).await {
        Ok(identity) => Arc::new(identity),
        Err(refusal) => {
            metrics::counter!("ahoy_hellos_refused_total").increment(1);
            refuse(connection, refusal);
            return Opening::Over;
        }
    };
    let session = SessionId::from_bits(rand::random());
    let mailbox = Mailbox::new(session, identity.user, identity.device);
    if let Err(no_place) = shared.sessions.add(mailbox.clone()) {
        match no_place {
            NoPlace::TooMany => {
                let why = "Too many programs are connected in your name: close one first.";
                refuse(connection, Refusal::new(ErrorCode::TooMany, why));
            }
            NoPlace::Stopping => {
                finish(connection, VecDeque::new(), CloseCode::ServerStopping);
            }
        }
        return Opening::Over;
    }
    shared.bus.attach(mailbox.clone());
    if shared.presence.enter(identity.user, session).is_some() && identity.guest.is_none() {
        shared.herald.changed(identity.user);
    }
    let calls = shared.switchboard.opened(session, identity.user).await;
    let left = identity.expires.duration_since(SystemTime::now()).unwrap_or_default();
    let Ok(resume_token) = ResumeToken::new(random_token()) else {
        return close(connection, CloseCode::ServerFault);
    };
    let welcome = Welcome {
        session,
        resume_token,
        resume_window_s: whole_seconds(RESUME_WINDOW),
        heartbeat_s: whole_seconds(HEARTBEAT),
        token_expires_in_s: whole_seconds(left),
        user: identity.user,
        device: identity.device,
        handle: identity.handle.clone(),
        name: identity.name.clone(),
        server: concat!("ahoy-server ", env!("CARGO_PKG_VERSION")).to_owned(),
        calls,
    };
    let opened = SessionMachine::open(now(), welcome);
    Opening::Session(Box::new(SessionActor::new(shared, identity, opened, mailbox, connection)))
}

fn whole_seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}
