//! A small client: a WebSocket that says what it is told to, and looks at what comes back.

use std::collections::VecDeque;
use std::time::Duration;

use ahoy_signal::account::TokenGrant;
use ahoy_signal::{CloseCode, RoomId, RoomState, ServerEnvelope, ServerMessage, paths};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::Running;

/// How long anything may take that is to happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// The clock of the test and its server, which only the test moves. Messages need no time.
pub(crate) struct HeldClock {
    /// While a blocking task runs, tokio's clock does not move by itself.
    _running: std::sync::mpsc::Sender<()>,
}

impl HeldClock {
    /// Holds the clock until it is dropped.
    pub(crate) fn hold() -> Self {
        let (running, ended) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || ended.recv());
        tokio::time::pause();
        Self { _running: running }
    }

    /// Moves it, in steps that let everything happen in its order.
    pub(crate) async fn advance(&self, span: Duration) {
        let step = Duration::from_millis(100);
        let mut left = span;
        while !left.is_zero() {
            tokio::time::advance(left.min(step)).await;
            left = left.saturating_sub(step);
        }
    }
}

impl Drop for HeldClock {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}

/// A connection with its session, and what came and nobody has looked at yet.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) welcome: Value,
    pub(crate) session: String,
    pub(crate) resume_token: String,
    pub(crate) requests: u64,
    pub(crate) seq: u64,
    pub(crate) inbox: VecDeque<Value>,
}

/// A connection that has said nothing yet.
pub(crate) async fn connect(server: &Running) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(server.server.addr()).await.expect("a connection");
    let url = format!("ws://{}{}", server.server.addr(), paths::SOCKET);
    tokio_tungstenite::client_async(url, stream).await.expect("a WebSocket").0
}

/// The next message; the close code at the end.
pub(crate) async fn receive(socket: &mut WebSocketStream<TcpStream>) -> Result<Value, Option<CloseCode>> {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("something within time") {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
            Some(Ok(Message::Close(frame))) => {
                return Err(frame.and_then(|frame| CloseCode::from_number(frame.code.into())));
            }
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => (),
            Some(Err(_)) | None => return Err(None),
        }
    }
}

/// How the server closes a connection, whatever it says before.
pub(crate) async fn closed(socket: &mut WebSocketStream<TcpStream>) -> Option<CloseCode> {
    loop {
        if let Err(code) = receive(socket).await {
            return code;
        }
    }
}

impl Peer {
    /// Opens a session.
    pub(crate) async fn hello(server: &Running, grant: &TokenGrant) -> Self {
        let mut socket = connect(server).await;
        let hello = json!({"v": 1, "body": {
            "type": "hello", "token": grant.access_token, "client": {"name": "test", "version": "1"},
        }});
        socket.send(Message::text(hello.to_string())).await.expect("hello is sent");
        let welcome = receive(&mut socket).await.expect("a welcome");
        let body = welcome["body"].clone();
        assert_eq!(body["type"], "welcome", "{welcome}");
        let text = |field: &str| body[field].as_str().expect("text").to_owned();
        let (session, resume_token) = (text("session"), text("resume_token"));
        Self { socket, welcome: body, session, resume_token, requests: 0, seq: 0, inbox: VecDeque::new() }
    }

    /// Takes the session up on a new connection; returns the answer.
    pub(crate) async fn resume(&mut self, server: &Running) -> Value {
        let mut socket = connect(server).await;
        let resume = json!({"v": 1, "body": {
            "type": "resume", "session": self.session, "resume_token": self.resume_token, "seq": self.seq,
        }});
        socket.send(Message::text(resume.to_string())).await.expect("resume is sent");
        self.socket = socket;
        let answer = receive(&mut self.socket).await.expect("an answer");
        if let Some(token) = answer["body"]["resume_token"].as_str() {
            self.resume_token = token.to_owned();
        }
        answer
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("it is sent");
    }

    /// Sends a request without waiting for its answer; returns its number.
    pub(crate) async fn say(&mut self, room: Option<RoomId>, body: Value) -> u64 {
        self.requests += 1;
        let id = self.requests;
        let mut message = json!({"v": 1, "id": id, "ack": self.seq, "body": body});
        if let Some(room) = room {
            message["room"] = json!(room);
        }
        self.send(message).await;
        id
    }

    /// Takes in the next message.
    async fn take_in(&mut self) {
        let message = receive(&mut self.socket).await.unwrap_or_else(|code| panic!("closed with {code:?}"));
        if let Some(seq) = message["seq"].as_u64() {
            assert_eq!(seq, self.seq + 1, "a gap: {message}");
            self.seq = seq;
        }
        self.inbox.push_back(message);
    }

    /// The first message that fits, of those that came and those that come; others stay.
    pub(crate) async fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let mut looked = 0;
        loop {
            while looked < self.inbox.len() {
                if fits(&self.inbox[looked]) {
                    return self.inbox.remove(looked).expect("it is there");
                }
                looked += 1;
            }
            self.take_in().await;
        }
    }

    /// The answer to a request.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        self.find(|message| message["re"] == id).await
    }

    /// Asks, and returns the answer.
    pub(crate) async fn ask(&mut self, room: Option<RoomId>, body: Value) -> Value {
        let id = self.say(room, body).await;
        self.answer(id).await
    }

    /// Asks for something that is done.
    pub(crate) async fn done(&mut self, room: Option<RoomId>, body: Value) {
        let answer = self.ask(room, body).await;
        assert_eq!(answer["body"]["type"], "done", "{answer}");
    }

    /// Asks for something that is refused; returns the code.
    pub(crate) async fn refused(&mut self, room: Option<RoomId>, body: Value) -> String {
        let answer = self.ask(room, body).await;
        assert_eq!(answer["body"]["type"], "error", "{answer}");
        answer["body"]["code"].as_str().expect("a code").to_owned()
    }

    /// The next news of a type, without what it is about.
    pub(crate) async fn news(&mut self, kind: &str) -> Value {
        let news = self.find(|message| message["re"].is_null() && message["body"]["type"] == kind).await;
        news["body"].clone()
    }

    /// That nothing of a type came. What is on its way is waited for: a `ping` comes back after it.
    pub(crate) async fn hears_nothing_of(&mut self, kind: &str) {
        self.send(json!({"v": 1, "body": {"type": "ping"}})).await;
        self.find(|message| message["body"]["type"] == "pong").await;
        let heard = self.inbox.iter().find(|message| message["body"]["type"] == kind);
        assert!(heard.is_none(), "{heard:?}");
    }

    /// Makes a room.
    pub(crate) async fn make_room(&mut self, settings: Value) -> RoomId {
        let made = self.ask(None, json!({"type": "room_create", "name": "Crew", "settings": settings})).await;
        serde_json::from_value(made["body"]["room"]["room"].clone()).unwrap_or_else(|_| panic!("{made}"))
    }

    /// Joins a room and keeps its state.
    pub(crate) async fn join(&mut self, room: RoomId) -> RoomState {
        let joined = self.ask(Some(room), json!({"type": "join"})).await;
        assert_eq!(joined["body"]["type"], "joined", "{joined}");
        state_of(joined)
    }

    /// Applies all that came and comes of a room, until its state is as it should be.
    pub(crate) async fn until(
        &mut self,
        room: RoomId,
        state: &mut RoomState,
        fits: impl Fn(&RoomState) -> bool,
    ) {
        while !fits(state) {
            let message =
                self.find(|message| message["room"] == json!(room) && message["re"].is_null()).await;
            apply(state, message);
        }
    }
}

/// The state that a `joined` with its snapshot tells of.
pub(crate) fn state_of(joined: Value) -> RoomState {
    let envelope: ServerEnvelope = serde_json::from_value(joined).expect("an envelope");
    let ServerMessage::Joined { snapshot: Some(snapshot), .. } = envelope.body else { panic!("no snapshot") };
    RoomState::from_snapshot(envelope.pos.expect("a position"), *snapshot)
}

/// Applies a message about a room to its state.
pub(crate) fn apply(state: &mut RoomState, message: Value) {
    let envelope: ServerEnvelope = serde_json::from_value(message).expect("an envelope");
    match (envelope.body, envelope.pos) {
        (ServerMessage::Delta { delta }, Some(position)) => {
            state.apply(position, delta).expect("it follows");
        }
        (ServerMessage::Snapshot { snapshot }, Some(position)) => {
            *state = RoomState::from_snapshot(position, *snapshot);
        }
        (ServerMessage::Checkpoint { hash }, Some(position)) => {
            assert_eq!(position, state.position());
            assert_eq!(hash, state.hash());
        }
        _ => (),
    }
}
