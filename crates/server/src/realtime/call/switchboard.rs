//! Carries out what the machine of all calls decides. One task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use ahoy_signal::{
    CallId, CallMedia, CallPeer, CallSignal, CallSummary, ErrorCode, Refusal, RequestId, ServerMessage,
    SessionId, UserId,
};
use tokio::sync::{mpsc, oneshot};

use super::machine::{CallInput, CallMachine, CallOutput};
use crate::realtime::bus::Bus;
use crate::realtime::contacts::{Callee, ContactBook};
use crate::realtime::herald::Herald;
use crate::realtime::inbox::{Inboxes, MissedCall};
use crate::realtime::mailbox::{Membership, News};
use crate::realtime::presence::Presence;

/// Requests that wait at most. With more, the next ones are refused (`unavailable`).
const COMMANDS_MOST: usize = 4_096;

/// A session that asks for something, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) session: SessionId,
    pub(crate) peer: CallPeer,
}

/// What is asked of a call.
#[derive(Clone, Debug)]
pub(crate) enum CallRequest {
    Call(UserId, CallMedia),
    Accept,
    Decline { busy: bool },
    HangUp,
    Signal(CallSignal),
}

/// A call that is made as soon as it is known whether it may be.
struct Wanted {
    from: Party,
    re: RequestId,
    call: CallId,
    to: UserId,
    media: CallMedia,
}

impl Wanted {
    fn missed(&self) -> MissedCall {
        MissedCall { to: self.to, call: self.call, from: self.from.peer.clone(), media: self.media }
    }
}

enum Command {
    Request(Party, RequestId, CallId, Box<CallRequest>),
    Checked(Box<Wanted>, Result<Callee, Refusal>),
    Opened(SessionId, UserId, oneshot::Sender<Vec<CallSummary>>),
    Gone(SessionId),
}

/// All calls have more to do than can wait.
#[derive(Debug)]
pub(crate) struct SwitchboardBusy;

/// Where calls are asked for.
#[derive(Clone)]
pub(crate) struct Switchboard {
    commands: mpsc::Sender<Command>,
}

/// What a session has asked about a call.
type Held = (Party, RequestId, CallId, Box<CallRequest>);

/// Whom calls are told to.
pub(crate) struct Lines {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) contacts: Arc<ContactBook>,
    pub(crate) inboxes: Arc<Inboxes>,
    pub(crate) herald: Herald,
}

struct Actor {
    machine: CallMachine,
    lines: Lines,
    commands: mpsc::WeakSender<Command>,
    /// Sessions whose call is being looked up, with what they have said since. Their budgets bound how much that is.
    held: HashMap<SessionId, Vec<Held>>,
}

impl Switchboard {
    /// Starts the task, which ends with the last handle.
    pub(crate) fn start(lines: Lines) -> Self {
        let (commands, receiver) = mpsc::channel(COMMANDS_MOST);
        let (machine, weak) = (CallMachine::default(), commands.downgrade());
        let actor = Actor { machine, lines, commands: weak, held: HashMap::new() };
        tokio::spawn(actor.run(receiver));
        Self { commands }
    }

    /// Asks something.
    pub(crate) fn request(
        &self,
        from: Party,
        re: RequestId,
        call: CallId,
        request: CallRequest,
    ) -> Result<(), SwitchboardBusy> {
        let command = Command::Request(from, re, call, Box::new(request));
        self.commands.try_send(command).map_err(|_| SwitchboardBusy)
    }

    /// A session is open: from now on it rings with the user's others. Returns the calls that it has part in.
    pub(crate) async fn opened(&self, session: SessionId, user: UserId) -> Vec<CallSummary> {
        let (answer, answered) = oneshot::channel();
        // Both fail only while the server stops.
        let _ = self.commands.send(Command::Opened(session, user, answer)).await;
        answered.await.unwrap_or_default()
    }

    /// A session is over.
    pub(crate) async fn gone(&self, session: SessionId) {
        let _ = self.commands.send(Command::Gone(session)).await;
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let deadline = self.machine.deadline();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                () = until(deadline) => self.handle(CallInput::Tick),
            }
            let (ringing, answered) = self.machine.count();
            metrics::gauge!("ahoy_calls", "stage" => "ringing").set(ringing as f64);
            metrics::gauge!("ahoy_calls", "stage" => "answered").set(answered as f64);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Request(from, re, call, request) => match self.held.get_mut(&from.session) {
                Some(held) => held.push((from, re, call, request)),
                None => self.on_request(from, re, call, *request),
            },
            Command::Checked(wanted, outcome) => self.on_checked(*wanted, outcome),
            Command::Opened(session, user, answer) => {
                // Whoever asked may be gone.
                let _ = answer.send(self.machine.enter(user, session));
            }
            Command::Gone(session) => {
                self.held.remove(&session);
                self.handle(CallInput::SessionOver { session });
            }
        }
    }

    fn on_request(&mut self, from: Party, re: RequestId, call: CallId, request: CallRequest) {
        let session = from.session;
        let input = match request {
            CallRequest::Call(to, media) => {
                self.held.insert(session, Vec::new());
                return self.check(Wanted { from, re, call, to, media });
            }
            CallRequest::Accept => CallInput::Accept { re, session, call },
            CallRequest::Decline { busy } => CallInput::Decline { re, session, call, busy },
            CallRequest::HangUp => CallInput::HangUp { re, session, call },
            CallRequest::Signal(signal) => CallInput::Signal { re, session, call, signal },
        };
        self.handle(input);
    }

    /// Asks the store whether the call may be, beside everything else; what the session says meanwhile waits for that.
    fn check(&self, wanted: Wanted) {
        let (contacts, inboxes) = (self.lines.contacts.clone(), self.lines.inboxes.clone());
        let commands = self.commands.clone();
        tokio::spawn(async move {
            let outcome = contacts.callee(wanted.from.peer.user, wanted.to).await;
            if outcome.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::Offline) {
                // Whoever is told that nobody is there can rely on it that they will hear of the call.
                keep_missed(&inboxes, wanted.missed()).await;
            }
            if let Some(commands) = commands.upgrade() {
                // It fails only while the server stops.
                let _ = commands.send(Command::Checked(Box::new(wanted), outcome)).await;
            }
        });
    }

    fn on_checked(&mut self, wanted: Wanted, outcome: Result<Callee, Refusal>) {
        let Wanted { from, re, call, media, .. } = wanted;
        let session = from.session;
        // A session that is gone meanwhile calls nobody.
        let Some(held) = self.held.remove(&session) else { return };
        match outcome {
            Ok(Callee { peer: to, sessions: rings }) => {
                self.handle(CallInput::Call { re, session, call, from: from.peer, to, media, rings });
            }
            Err(refusal) => self.tell(session, Some(re), ServerMessage::Error(refusal)),
        }
        let mut held = held.into_iter();
        while let Some((from, re, call, request)) = held.next() {
            self.on_request(from, re, call, *request);
            // It may have been another call, which the rest waits for.
            if let Some(again) = self.held.get_mut(&session) {
                again.extend(held);
                return;
            }
        }
    }

    fn tell(&self, session: SessionId, re: Option<RequestId>, body: ServerMessage) {
        self.lines.bus.tell(session, News { re, room: None, pos: None, body, membership: Membership::Same });
    }

    /// Puts a missed call into the inbox of whoever missed it, beside everything else.
    fn missed(&self, missed: MissedCall) {
        let inboxes = self.lines.inboxes.clone();
        tokio::spawn(async move { keep_missed(&inboxes, missed).await });
    }

    fn handle(&mut self, input: CallInput) {
        for output in self.machine.handle(input, now()) {
            match output {
                CallOutput::Tell { session, re, body } => self.tell(session, re, body),
                CallOutput::InCall(user, yes) => {
                    if self.lines.presence.in_call(user, yes).is_some() {
                        self.lines.herald.changed(user);
                    }
                }
                CallOutput::Missed(missed) => self.missed(missed),
            }
        }
    }
}

async fn keep_missed(inboxes: &Inboxes, missed: MissedCall) {
    if let Err(refusal) = inboxes.missed(missed).await {
        tracing::warn!(%refusal, "a missed call could not be kept");
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
