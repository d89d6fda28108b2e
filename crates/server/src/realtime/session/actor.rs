//! Carries out what a session's machine decides. One task for each session; it owns the connection while there is one.
//!
//! While the connection takes nothing, the task takes nothing out of its mailbox, where changes of rooms then give way to a
//! snapshot. Everything that waits goes out in one write.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::time::{Duration, Instant, SystemTime};

use ahoy_signal::{
    AccessToken, CallPeer, ClientMessage, CloseCode, ErrorCode, MalformedMessage, Refusal, ResumeToken,
    ServerEnvelope, ServerMessage, SessionId, read_client_message,
};
use axum::extract::ws::{Message, Utf8Bytes};
use futures_util::{FutureExt, Sink, StreamExt};
use tokio::time::{Sleep, sleep, sleep_until};

use super::machine::{Request, SessionInput, SessionMachine, SessionOutput};
use crate::clock::unix_ms;
use crate::identity::Identity;
use crate::realtime::Shared;
use crate::realtime::call::switchboard::{CallRequest, Party};
use crate::realtime::connection::{Connection, finish, random_token};
use crate::realtime::limits::{Bucket, Budget, Verdict};
use crate::realtime::links::{Links, Saying};
use crate::realtime::mailbox::{Letter, Mailbox, Membership, News, Orders};
use crate::realtime::room::RoomRequest;
use crate::realtime::room::directory::RoomCommand;

/// How long a connection may take nothing before it is closed.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// Messages that are read before everything they brought about is written.
const READ_AT_ONCE: usize = 32;
/// A queue that has grown beyond this is given back when it is empty.
const KEPT_CAPACITY: usize = 32;

/// One session.
pub(crate) struct SessionActor {
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    machine: SessionMachine,
    mailbox: Arc<Mailbox>,
    budget: Budget,
    connection: Option<Connection>,
    /// A connection that wants the session, while the machine decides.
    taking_over: Option<Connection>,
    /// Where what it says about connections beside calls goes, once it has said something.
    links: Option<Links>,
    outgoing: VecDeque<Message>,
    letters: VecDeque<Letter>,
    outputs: VecDeque<SessionOutput>,
    scratch: Vec<SessionOutput>,
    stopping: bool,
}

/// How writing ended.
enum Written {
    All,
    /// Something has to be done before anything else.
    Interrupted,
    Stuck,
    Broken,
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl SessionActor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        identity: Arc<Identity>,
        (machine, welcome): (SessionMachine, Utf8Bytes),
        mailbox: Arc<Mailbox>,
        connection: Connection,
    ) -> Self {
        let budget = shared.budgets.budget(identity.user, identity.class);
        Self {
            shared,
            identity,
            machine,
            mailbox,
            budget,
            connection: Some(connection),
            taking_over: None,
            links: None,
            outgoing: VecDeque::from([Message::Text(welcome)]),
            letters: VecDeque::new(),
            outputs: VecDeque::new(),
            scratch: Vec::new(),
            stopping: false,
        }
    }

    /// Runs the session until it is over.
    pub(crate) async fn run(mut self: Box<Self>) {
        let mut timer = Box::pin(sleep_until(now().into()));
        while !self.machine.is_over() && !self.stopping {
            if let Some(orders) = self.mailbox.take_orders() {
                // These are rare and need more room than everything else.
                Box::pin(self.on_orders(orders)).await;
                continue;
            }
            if self.outgoing.is_empty() {
                self.take_letters().await;
            }
            if !self.outgoing.is_empty() {
                match self.write().await {
                    // What came in meanwhile is written before anything is waited for.
                    Written::All | Written::Interrupted => {}
                    Written::Stuck => self.handle(SessionInput::Stuck).await,
                    Written::Broken => self.handle(SessionInput::Disconnected).await,
                }
                continue;
            }
            self.shrink();
            self.wait(timer.as_mut()).await;
        }
        for takeover in self.mailbox.close() {
            let refusal = Refusal::new(ErrorCode::SessionGone, "The session is over: say hello.");
            refuse(self.shared.connection(takeover.socket), refusal);
        }
        self.shared.sessions.remove(self.mailbox.session());
        self.shared.bus.detach(self.mailbox.session());
        let (shared, user) = (self.shared.clone(), self.identity.user);
        // The user's budget is forgotten with the last session that shares it.
        drop(self);
        shared.budgets.forget(user);
    }

    /// Waits for whatever comes next: letters, a message, time.
    async fn wait(&mut self, mut timer: Pin<&mut Sleep>) {
        if let Some(deadline) = self.machine.deadline() {
            // Deadlines that move on, as with every message, need no new timer: it looks again when it has run out.
            let deadline = tokio::time::Instant::from_std(deadline);
            if timer.is_elapsed() || deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
        }
        let mailbox = self.mailbox.clone();
        let message = tokio::select! {
            () = mailbox.changed() => return,
            message = next(&mut self.connection) => message,
            () = timer => return self.handle(SessionInput::Tick).await,
        };
        self.on_message(message).await;
        for _ in 1..READ_AT_ONCE {
            match next(&mut self.connection).now_or_never() {
                Some(message) => self.on_message(message).await,
                None => return,
            }
        }
    }

    fn shrink(&mut self) {
        if self.outgoing.capacity() > KEPT_CAPACITY {
            self.outgoing = VecDeque::new();
        }
        if self.letters.capacity() > KEPT_CAPACITY {
            self.letters = VecDeque::new();
        }
        if self.outputs.capacity() > KEPT_CAPACITY {
            self.outputs = VecDeque::new();
        }
        if self.scratch.capacity() > KEPT_CAPACITY {
            self.scratch = Vec::new();
        }
    }

    async fn on_orders(&mut self, orders: Orders) {
        if orders.sign_out {
            self.handle(SessionInput::SignOut).await;
        }
        if orders.overflowed {
            self.handle(SessionInput::Overflowed).await;
        }
        for takeover in orders.takeovers {
            let connection = self.shared.connection(takeover.socket);
            if self.machine.is_over() {
                let refusal = Refusal::new(ErrorCode::SessionGone, "The session is over: say hello.");
                refuse(connection, refusal);
                continue;
            }
            self.taking_over = Some(connection);
            let (token, seq) = (takeover.token, takeover.seq);
            let Some(next_token) = next_token() else { continue };
            self.handle(SessionInput::Resume { token, seq, next_token }).await;
        }
        if let Some(after_ms) = orders.stop_after_ms {
            // Rooms are not told: everyone in them goes at the same time, and comes back. What happened before is told all the
            // same: a call that has ended with its server has ended for good.
            self.stopping = true;
            self.take_letters().await;
            self.handle(SessionInput::Stop(after_ms)).await;
        }
    }

    async fn take_letters(&mut self) {
        let mut letters = std::mem::take(&mut self.letters);
        self.mailbox.take(&mut letters);
        let mut deliveries = 0;
        for letter in letters.drain(..) {
            match letter {
                Letter::Room { text, .. } => {
                    if self.connection.is_some() {
                        deliveries += 1;
                        self.outgoing.push_back(Message::Text(text));
                    }
                }
                Letter::Behind { room } => {
                    let command = RoomCommand::CatchUp(self.mailbox.session());
                    self.shared.rooms.tell(room, command).await;
                }
                Letter::News(news) => self.handle(SessionInput::Tell(news)).await,
            }
        }
        if deliveries > 0 {
            metrics::counter!("ahoy_deliveries_total").increment(deliveries);
        }
        self.letters = letters;
    }

    async fn on_message(&mut self, message: Option<Result<Message, axum::Error>>) {
        let input = match message {
            Some(Ok(Message::Text(text))) => match read_client_message(text.as_str()) {
                Ok(envelope) => {
                    metrics::counter!("ahoy_messages_total").increment(1);
                    let verdict = self.budget.ask(self.machine.bucket(&envelope));
                    SessionInput::Said(Box::new(envelope), verdict)
                }
                Err(malformed) => self.malformed(malformed),
            },
            Some(Ok(Message::Binary(_))) => {
                let refusal = Refusal::new(ErrorCode::BadMessage, "Messages are text.");
                self.malformed(MalformedMessage { id: None, refusal })
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => match self.budget.ask(Bucket::Noise) {
                Verdict::Allowed => SessionInput::Heard,
                Verdict::Refused { .. } => return,
            },
            Some(Ok(Message::Close(_))) | None => SessionInput::Disconnected,
            Some(Err(error)) if is_too_long(&error) => SessionInput::TooLong,
            Some(Err(_)) => SessionInput::Disconnected,
        };
        self.handle(input).await;
    }

    /// What makes no sense costs as much as what does.
    fn malformed(&self, malformed: MalformedMessage) -> SessionInput {
        self.budget.ask(Bucket::Noise);
        SessionInput::Malformed(malformed)
    }

    async fn handle(&mut self, input: SessionInput) {
        self.machine.handle(now(), input, &mut self.scratch);
        self.outputs.extend(self.scratch.drain(..));
        while let Some(output) = self.outputs.pop_front() {
            self.carry_out(output).await;
        }
    }

    async fn carry_out(&mut self, output: SessionOutput) {
        match output {
            SessionOutput::Send(text) => self.outgoing.push_back(Message::Text(text)),
            SessionOutput::Perform(request) => {
                if let Some(news) = self.perform(*request) {
                    self.machine.handle(now(), SessionInput::Tell(Box::new(news)), &mut self.scratch);
                    self.outputs.extend(self.scratch.drain(..));
                }
            }
            SessionOutput::Renew(re, token) => {
                let renewed = SessionInput::Renewed(re, self.renew(&token));
                self.machine.handle(now(), renewed, &mut self.scratch);
                self.outputs.extend(self.scratch.drain(..));
            }
            SessionOutput::TakeOver => {
                self.outgoing.clear();
                self.connection = self.taking_over.take();
                metrics::counter!("ahoy_resumes_total").increment(1);
            }
            SessionOutput::RefuseTakeOver(refusal) => {
                if let Some(connection) = self.taking_over.take() {
                    refuse(connection, refusal);
                }
            }
            SessionOutput::Close(code) => {
                let outgoing = std::mem::take(&mut self.outgoing);
                if let Some(connection) = self.connection.take() {
                    tracing::debug!(session = %self.mailbox.session(), ?code, "a connection is closed");
                    finish(connection, outgoing, code);
                }
            }
            SessionOutput::Lost => {
                self.connection = None;
                self.outgoing.clear();
                if !self.stopping {
                    self.tell_rooms(RoomCommand::Lost).await;
                }
            }
            SessionOutput::Back => self.tell_rooms(RoomCommand::Back).await,
            SessionOutput::Reachable(yes) => {
                let (user, session) = (self.identity.user, self.mailbox.session());
                if self.shared.presence.reach(user, session, yes).is_some() {
                    self.shared.herald.changed(user);
                }
            }
            SessionOutput::Ended => {
                self.connection = None;
                self.tell_rooms(RoomCommand::Gone).await;
                self.shared.leave(&self.identity, self.mailbox.session()).await;
            }
        }
    }

    async fn tell_rooms(&mut self, command: fn(SessionId) -> RoomCommand) {
        for room in self.machine.rooms().to_vec() {
            self.shared.rooms.tell(room, command(self.mailbox.session())).await;
        }
    }

    fn renew(&self, token: &AccessToken) -> Result<Instant, Refusal> {
        let identity = self.shared.tokens.renew(token)?;
        if (identity.user, identity.device) != (self.identity.user, self.identity.device) {
            let why = "This token is of another user or device.";
            return Err(Refusal::new(ErrorCode::Unauthenticated, why));
        }
        let left = identity.expires.duration_since(SystemTime::now()).unwrap_or_default();
        Ok(now() + left)
    }

    /// Passes a request to whoever does it; an answer that is known already comes back.
    fn perform(&mut self, request: Request) -> Option<News> {
        let re = request.re;
        let room = request.room;
        let refused = |code, why: &str, membership| {
            let body = ServerMessage::Error(Refusal::new(code, why));
            Some(News { re: Some(re), room, pos: None, body, membership })
        };
        let busy = "The server has too much to do: try again later.";
        let body = match (RoomRequest::read(request.body), room) {
            (Ok(asked), Some(room)) => {
                let joins = matches!(asked, RoomRequest::Join(_));
                let (from, identity) = (self.mailbox.clone(), self.identity.clone());
                let command = RoomCommand::Request { from, identity, re, request: Box::new(asked) };
                return match self.shared.rooms.request(room, command) {
                    Ok(()) => None,
                    Err(_) => {
                        let membership = if joins { Membership::Out } else { Membership::Same };
                        refused(ErrorCode::Unavailable, busy, membership)
                    }
                };
            }
            (Ok(_), None) => {
                let why = "This message needs a room.";
                return refused(ErrorCode::EnvelopeIncomplete, why, Membership::Same);
            }
            (Err(body), _) => *body,
        };
        if let ClientMessage::IceServers {} = body {
            let body = self.shared.ice.answer(self.identity.user, unix_ms() / 1_000);
            return Some(News { re: Some(re), room, pos: None, body, membership: Membership::Same });
        }
        let Some(handle) = self.identity.handle.clone().filter(|_| self.identity.guest.is_none()) else {
            let why = "Guests can only be in the room that they were invited to.";
            return refused(ErrorCode::Forbidden, why, Membership::Same);
        };
        if let ClientMessage::Link { to, end, at, said } = body {
            let (shared, mailbox) = (self.shared.clone(), self.mailbox.clone());
            let peer = || CallPeer { user: self.identity.user, handle, name: self.identity.name.clone() };
            let links = self.links.get_or_insert_with(|| Links::start(shared, mailbox, peer()));
            return match links.say(Saying { re, to, end, at, said }) {
                Ok(()) => None,
                Err(_) => refused(ErrorCode::Unavailable, busy, Membership::Same),
            };
        }
        let (call, asked) = match body {
            ClientMessage::Call { call, to, media } => (call, CallRequest::Call(to, media)),
            ClientMessage::CallAccept { call } => (call, CallRequest::Accept),
            ClientMessage::CallDecline { call, busy } => (call, CallRequest::Decline { busy }),
            ClientMessage::CallHangUp { call } => (call, CallRequest::HangUp),
            ClientMessage::CallSignal { call, signal } => (call, CallRequest::Signal(signal)),
            body => {
                let rooms = self.machine.rooms().to_vec();
                let request = Request { re, room, body };
                return match self.shared.desk.take(&self.shared, &self.mailbox, rooms, request) {
                    true => None,
                    false => refused(ErrorCode::Unavailable, busy, Membership::Same),
                };
            }
        };
        let peer = CallPeer { user: self.identity.user, handle, name: self.identity.name.clone() };
        let from = Party { session: self.mailbox.session(), peer };
        match self.shared.switchboard.request(from, re, call, asked) {
            Ok(()) => None,
            Err(_) => refused(ErrorCode::Unavailable, busy, Membership::Same),
        }
    }

    /// Writes everything that waits. On a connection that takes it, that is one write and no timer.
    async fn write(&mut self) -> Written {
        let Some(connection) = &mut self.connection else {
            self.outgoing.clear();
            return Written::All;
        };
        match write_all(connection, &mut self.outgoing).now_or_never() {
            Some(Ok(())) => return Written::All,
            Some(Err(_)) => return Written::Broken,
            None => {}
        }
        loop {
            let left = self.outgoing.len();
            let stuck = sleep(STUCK_AFTER);
            tokio::select! {
                written = write_all(connection, &mut self.outgoing) => {
                    return if written.is_ok() { Written::All } else { Written::Broken };
                }
                () = urgent(&self.mailbox) => return Written::Interrupted,
                () = stuck => if self.outgoing.len() == left { return Written::Stuck },
            }
        }
    }
}

/// Refuses a connection that wanted a session.
pub(crate) fn refuse(connection: Connection, refusal: Refusal) {
    let error = ServerEnvelope::new(ServerMessage::Error(refusal)).to_json();
    finish(connection, VecDeque::from([Message::Text(error.into())]), CloseCode::HelloRefused);
}

fn next_token() -> Option<ResumeToken> {
    ResumeToken::new(random_token()).ok()
}

/// The next message; never, without a connection.
async fn next(connection: &mut Option<Connection>) -> Option<Result<Message, axum::Error>> {
    match connection {
        Some(connection) => connection.socket.next().await,
        None => pending().await,
    }
}

/// Waits until something has to be done before anything else.
async fn urgent(mailbox: &Mailbox) {
    while !mailbox.is_urgent() {
        mailbox.changed().await;
    }
}

/// Feeds all messages and flushes them. It can be given up and begun again at any time: what was fed is not in the queue.
pub(crate) async fn write_all(
    connection: &mut Connection,
    outgoing: &mut VecDeque<Message>,
) -> Result<(), axum::Error> {
    poll_fn(|context| {
        let mut socket = Pin::new(&mut connection.socket);
        while !outgoing.is_empty() {
            ready!(socket.as_mut().poll_ready(context))?;
            if let Some(message) = outgoing.pop_front() {
                socket.as_mut().start_send(message)?;
            }
        }
        socket.poll_flush(context).map_err(Into::into)
    })
    .await
}

/// Whether a message was longer than any may be. The WebSocket library tells it in words only: its error type is not passed
/// on by axum.
pub(crate) fn is_too_long(error: &axum::Error) -> bool {
    error.to_string().starts_with("Space limit exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, F: Future>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_a_session_is_small() {
        let (task, actor) = (size_of_future(SessionActor::run), size_of::<SessionActor>());
        assert!(task + actor <= 4 * 1024, "{task} and {actor} bytes");
    }
}
