//! The session for those who use it.

use std::sync::Arc;
use std::time::Duration;

use ahoy_signal::{
    ClientInfo, ClientMessage, ParticipantId, Role, RoomId, RoomSnapshot, ServerEnvelope, ServerMessage,
    StateEntry, Welcome,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::room::RoomEvent;
use crate::runner::Runner;
use crate::session::{EndReason, RequestError, SessionMachine, SessionOptions, Trouble};
use crate::tokens::TokenKeeper;
use crate::trust::{Trust, TrustError};

/// Events that were not taken yet. When it is full the task reads nothing more from the network until some are taken; the
/// server then waits for a while, and after that the session goes on on another connection, without a loss.
const EVENTS: usize = 1024;
/// Commands that the task has not looked at. When it is full, whoever commands waits.
const COMMANDS: usize = 64;

/// What a client is told.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// A session has begun: the first, or one that takes the place of a lost one. Rooms are entered again by themselves.
    Began(Box<Welcome>),
    /// The session goes on after the connection was lost. Nothing is missing.
    Resumed,
    /// There is no connection, and another attempt follows.
    Waiting {
        /// What went wrong.
        trouble: Trouble,
        /// Attempts since the last good connection.
        attempt: u32,
        /// How long until the next one.
        wait: Duration,
    },
    /// Nothing is tried any more, until [`Client::retry`].
    GaveUp(Trouble),
    /// The session is over for good. Nothing follows.
    Ended(EndReason),
    /// Something happened in a room.
    Room(RoomId, RoomEvent),
    /// The server told something that is about no room: contacts and calls.
    News(Box<ServerMessage>),
    /// The answer to [`Client::post`], in order with everything else that the server says.
    Answered(PostId, Box<Result<ServerEnvelope, RequestError>>),
}

/// Tells the answers to what was posted apart. Whoever posts chooses it.
pub type PostId = u64;

/// How a client behaves.
#[derive(Clone)]
pub struct ClientOptions {
    /// Which program this is.
    pub client: ClientInfo,
    /// How long is tried without success before giving up.
    pub patience: Duration,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Where tokens come from, and for which server they are.
    pub tokens: Arc<TokenKeeper>,
}

/// A room, and who one is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomView {
    /// One's place and role, while one is in it.
    pub me: Option<(ParticipantId, Role)>,
    /// The room.
    pub room: RoomSnapshot,
}

/// What a handle asks its task for.
pub(crate) enum Command {
    Ask { room: Option<RoomId>, body: Box<ClientMessage>, answer: Answer },
    Join(RoomId),
    Leave(RoomId, Answer),
    Say(RoomId, StateEntry, Answer),
    Look(RoomId, oneshot::Sender<Option<RoomView>>),
    Retry,
    End,
}

/// Where the answer to a request goes.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To somebody who waits for it.
    Caller(oneshot::Sender<Result<ServerEnvelope, RequestError>>),
    /// Among the events.
    Event(PostId),
}

/// A handle on a session. Cloning shares it; the session ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
}

impl Client {
    /// Begins to connect. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn start(options: ClientOptions) -> Result<(Self, mpsc::Receiver<ClientEvent>), TrustError> {
        let tls = options.trust.tls(options.tokens.http().server().is_encrypted())?;
        let (commands, to_do) = mpsc::channel(COMMANDS);
        let (events, told) = mpsc::channel(EVENTS);
        let session = SessionOptions { client: options.client, patience: options.patience };
        let machine = SessionMachine::new(session, rand::random(), Instant::now().into_std());
        tokio::spawn(Runner::new(machine, tls, options.tokens).run(to_do, events));
        Ok((Self { commands }, told))
    }

    /// Asks the server. While there is no connection this waits for the next one.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn ask(
        &self,
        room: Option<RoomId>,
        body: ClientMessage,
    ) -> Result<ServerEnvelope, RequestError> {
        self.command(|answer| Command::Ask { room, body: Box::new(body), answer }).await
    }

    /// Asks the server without waiting: what is posted one after the other reaches the server in this order, and the answers
    /// come as [`ClientEvent::Answered`], none before what the server has said earlier.
    ///
    /// # Errors
    /// [`RequestError::NotConnected`] where the session is over.
    pub async fn post(
        &self,
        room: Option<RoomId>,
        body: ClientMessage,
        id: PostId,
    ) -> Result<(), RequestError> {
        let command = Command::Ask { room, body: Box::new(body), answer: Answer::Event(id) };
        self.commands.send(command).await.map_err(|_| RequestError::NotConnected)
    }

    /// Enters a room and stays in it, whatever happens to the connection, until one leaves or is made to. Events tell how it
    /// goes.
    pub async fn join(&self, room: RoomId) {
        // A session that has ended has said so.
        let _ = self.commands.send(Command::Join(room)).await;
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn leave(&self, room: RoomId) -> Result<(), RequestError> {
        self.command(|answer| Command::Leave(room, answer)).await.map(|_| ())
    }

    /// Leaves a room without waiting, like [`post`](Self::post).
    ///
    /// # Errors
    /// [`RequestError::NotConnected`] where the session is over.
    pub async fn post_leave(&self, room: RoomId, id: PostId) -> Result<(), RequestError> {
        let command = Command::Leave(room, Answer::Event(id));
        self.commands.send(command).await.map_err(|_| RequestError::NotConnected)
    }

    /// Says something about oneself in a room. It is said again whenever one enters the room anew.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn say(&self, room: RoomId, entry: StateEntry) -> Result<(), RequestError> {
        self.command(|answer| Command::Say(room, entry, answer)).await.map(|_| ())
    }

    /// A room that was joined, as it is now.
    pub async fn room(&self, room: RoomId) -> Option<RoomView> {
        let (answer, view) = oneshot::channel();
        self.commands.send(Command::Look(room, answer)).await.ok()?;
        view.await.ok().flatten()
    }

    /// Tries to connect now, also after having given up.
    pub async fn retry(&self) {
        // A session that has ended has said so.
        let _ = self.commands.send(Command::Retry).await;
    }

    /// Ends the session in good order: leaves rooms, hangs up. [`ClientEvent::Ended`] follows.
    pub async fn end(&self) {
        // A session that has ended has said so.
        let _ = self.commands.send(Command::End).await;
    }

    async fn command(&self, command: impl FnOnce(Answer) -> Command) -> Result<ServerEnvelope, RequestError> {
        let (answer, answered) = oneshot::channel();
        let command = command(Answer::Caller(answer));
        self.commands.send(command).await.map_err(|_| RequestError::NotConnected)?;
        answered.await.unwrap_or(Err(RequestError::NotConnected))
    }
}
