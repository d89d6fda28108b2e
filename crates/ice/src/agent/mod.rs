//! The task that owns everything ICE knows, and the handle to it.

mod actor;
pub(crate) mod interfaces;
mod look_ups;
mod names;
mod refusals;
mod sessions;
mod ways;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::sessions::Session;
use crate::candidate::{Candidate, CandidateError, Line};
use crate::config::{Credentials, IceConfig, IceError, IceServer};
use crate::view::{IceView, PairView};
use crate::wire::Wire;

/// Commands that wait for the task. A caller that finds it full waits.
const COMMANDS: usize = 64;
/// Events that wait for the owner: some dozens of candidates, and what changes in a call. When it is full the task waits, and
/// ICE with it.
const EVENTS: usize = 256;

/// Whether there is a way to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IceState {
    /// Nothing is known of the other side yet.
    New,
    /// A way is being looked for.
    Checking,
    /// There is one.
    Connected,
    /// There was one, and nothing has come for a while. It may come back by itself.
    Disconnected,
    /// There is none. Looking goes on.
    Failed,
}

/// What ICE tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IceEvent {
    /// The line of a candidate, to be told to the other side.
    Candidate(String),
    /// A candidate that is none any more: it is not to be told to anybody who does not know it.
    Withdrawn(String),
    /// All candidates of the addresses that this machine has now are known.
    Gathered,
    /// The state has changed.
    State(IceState),
    /// Media goes another way now.
    Path(PairView),
}

/// The events of an [`Ice`].
#[derive(Debug)]
pub struct IceEvents {
    events: mpsc::Receiver<IceEvent>,
}

impl IceEvents {
    /// The next event; `None` once ICE is closed and all has been told.
    pub async fn recv(&mut self) -> Option<IceEvent> {
        self.events.recv().await
    }
}

#[derive(Debug)]
enum Command {
    Remote { credentials: Credentials, controlling: bool },
    Restart(Credentials),
    Candidate(Candidate),
    Name { name: String, line: String },
    NetworkChanged,
    Woke(Duration),
    Servers(Vec<IceServer>),
    View(oneshot::Sender<IceView>),
    Close,
}

/// ICE of one connection. When the last clone is dropped it closes.
#[derive(Clone, Debug)]
pub struct Ice {
    commands: mpsc::Sender<Command>,
}

impl Ice {
    /// Binds the sockets, begins to gather, and starts the task on the current tokio runtime. The other side will know this one
    /// by `credentials`.
    ///
    /// # Errors
    /// [`IceError::NoSocket`] if none of the addresses can be bound.
    pub fn open(config: IceConfig, credentials: Credentials) -> Result<(Self, Wire, IceEvents), IceError> {
        let sockets = interfaces::bind(&config.bind)?;
        let sockets: Vec<_> = sockets.into_iter().map(Arc::new).collect();
        let (wire, arrivals) = Wire::new(sockets.clone());
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (outbox, events) = mpsc::channel(EVENTS);
        let actor = actor::Actor::new(config, credentials, sockets, wire.clone(), outbox);
        tokio::spawn(actor.run(inbox, arrivals));
        Ok((Self { commands }, wire, IceEvents { events }))
    }

    /// What the other side is known by, and whether this side decides which pair to use (RFC 8445 section 6.1.1). Checks begin.
    pub async fn set_remote(&self, credentials: Credentials, controlling: bool) {
        self.tell(Command::Remote { credentials, controlling }).await;
    }

    /// Begins anew under other credentials (RFC 8445 section 9); media goes on as it did until a way is found. All candidates
    /// have to be told again. [`Self::set_remote`] follows.
    pub async fn restart(&self, credentials: Credentials) {
        self.tell(Command::Restart(credentials)).await;
    }

    /// Takes in the line of a candidate of the other side.
    ///
    /// # Errors
    /// [`CandidateError`].
    pub async fn add_remote_candidate(&self, line: &str) -> Result<(), CandidateError> {
        match Candidate::read(line)? {
            Line::Candidate(candidate) => self.tell(Command::Candidate(candidate)).await,
            Line::Name { name, line } => self.tell(Command::Name { name, line }).await,
            Line::Unused => {}
        }
        Ok(())
    }

    /// The machine's addresses may have changed: looks, and uses what there is.
    pub async fn network_changed(&self) {
        self.tell(Command::NetworkChanged).await;
    }

    /// The machine has slept for so long: relays that have not heard of it may be gone, and its addresses may have changed.
    pub async fn woke(&self, slept: Duration) {
        self.tell(Command::Woke(slept)).await;
    }

    /// Other servers, or other credentials for them, for what is gathered from now on.
    pub async fn set_servers(&self, servers: Vec<IceServer>) {
        self.tell(Command::Servers(servers)).await;
    }

    /// What is known as of now; empty once closed.
    pub async fn view(&self) -> IceView {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::View(reply)).await;
        answer.await.unwrap_or_default()
    }

    /// Gives sockets and relays back. May be called any number of times.
    pub async fn close(&self) {
        self.tell(Command::Close).await;
        self.commands.closed().await;
    }

    async fn tell(&self, command: Command) {
        // A task that is gone needs to know nothing.
        let _ = self.commands.send(command).await;
    }
}
