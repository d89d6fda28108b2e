//! A session as the client sees it: it outlives its connections.
//!
//! [`SessionMachine`] decides, and does nothing: it is told what happens and when ([`Input`]), says what is to be done
//! ([`Output`]), and names the time at which it wants to be asked again ([`SessionMachine::deadline`]). It is pure, so that
//! hours of bad networks can be tested in milliseconds. It compares no clocks: the server tells durations only.

mod backoff;
mod incoming;
mod ledger;
mod machine;
mod state;

use std::time::Duration;

use ahoy_signal::{
    AccessToken, ClientInfo, ClientMessage, CloseCode, Refusal, RoomId, ServerEnvelope, Welcome,
};

pub use self::backoff::{FIRST_WAIT, LONGEST_WAIT};
pub use self::ledger::OUTSTANDING_MOST;
pub use self::machine::SessionMachine;
use crate::reach::ReachError;

/// After a ping that nothing answered for this long, the connection is dead. More than the heartbeat, so that one lost
/// packet, which TCP repeats after seconds, does not end it.
pub const PONG_WITHIN: Duration = Duration::from_secs(12);
/// How long a connection may take to open, with name look-up and TLS.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the server may take to answer `hello` or `resume`.
pub const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// How long a fresh access token may take: a refresh is repeated for up to 25 s.
pub const TOKEN_WITHIN: Duration = Duration::from_secs(40);
/// A connection that held for this long was good: the next one that is lost starts with short waits again.
pub const GOOD_AFTER: Duration = Duration::from_secs(30);
/// How long is tried without success before giving up.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What its user calls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// Something to ask the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Comes back with the answer.
    pub tag: Tag,
    /// The room that it is about.
    pub room: Option<RoomId>,
    /// What.
    pub body: ClientMessage,
}

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Which program this is.
    pub client: ClientInfo,
    /// How long is tried without success before giving up; [`PATIENCE`] unless there is a reason.
    pub patience: Duration,
}

/// What an access token is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// Opening a session: one that has opened none.
    Open,
    /// Prolonging the session: one that is good for longer than the last.
    Renew,
}

/// Why there is no access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// The device is signed out: there will be none.
    SignedOut,
    /// Not now.
    Later(Trouble),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The time that [`SessionMachine::deadline`] named has come. Comes too early without harm.
    Tick,
    /// Somebody wants to try now: the network is back, or a button was pressed.
    Retry,
    /// The token that [`Output::NeedToken`] asked for, with how long it is good.
    Token(AccessToken, Duration),
    /// There is none.
    NoToken(NoToken),
    /// The connection is open.
    Opened,
    /// The connection could not be opened.
    NotOpened(ReachError),
    /// The server says something.
    Text(String),
    /// The connection is over, with this close code.
    Closed(Option<u16>),
    /// Something to ask.
    Ask(Request),
    /// What comes before everything else in the new session that [`SessionEvent::Began`] told of: joining rooms again. Must
    /// follow each of them, even if there is nothing.
    First(Vec<Request>),
    /// The session is to end.
    Leave,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Get an access token, and tell by [`Input::Token`] or [`Input::NoToken`].
    NeedToken(TokenUse),
    /// Open a connection, and tell by [`Input::Opened`] or [`Input::NotOpened`].
    Connect,
    /// Send this on the connection.
    Send(String),
    /// Let go of the connection, or of opening one. Nothing more of it is to be told.
    Close,
    /// A request is answered, or will not be.
    Answer(Tag, Result<ServerEnvelope, RequestError>),
    /// Tell this.
    Event(SessionEvent),
}

/// What the user of a session is told.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// A new session has begun: one is in no room. Answer with [`Input::First`].
    Began(Welcome),
    /// The session goes on, on a new connection: ask for what was missed of rooms.
    Resumed,
    /// The server says something that answers nothing.
    News(ServerEnvelope),
    /// There is no connection; another attempt follows.
    Waiting {
        /// What went wrong.
        trouble: Trouble,
        /// Attempts since the last good connection.
        attempt: u32,
        /// How long until the next one.
        wait: Duration,
    },
    /// Nothing is tried any more, until [`Input::Retry`].
    GaveUp(Trouble),
    /// The session is over for good.
    Ended(EndReason),
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The server was not reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The connection broke.
    #[error("the connection to the server was lost")]
    Lost,
    /// The server did not answer for too long.
    #[error("the server has stopped answering")]
    Silent,
    /// The server closed the connection.
    #[error("the server closed the connection ({})", code.reason())]
    Closed {
        /// Why.
        code: CloseCode,
    },
    /// The server did not let one in.
    #[error("{0}")]
    Refused(Refusal),
    /// What the server said made no sense.
    #[error("what the server says makes no sense to this version: update the older side")]
    Garbled,
    /// The computer's store of secrets, which tokens come from, can't be used.
    #[error("{0}")]
    Secrets(String),
}

/// Why a session is over for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// One wanted it.
    #[error("signed off")]
    Left,
    /// The device was signed out, or its account deleted.
    #[error("this device was signed out: sign in again")]
    SignedOut,
    /// The session goes on elsewhere.
    #[error("the session was taken up by another connection")]
    Replaced,
    /// The server speaks another language.
    #[error("this version of Ahoy and the server don't understand each other: update the older one")]
    UnsupportedVersion,
    /// A bug on this side.
    #[error("the server did not understand this program ({}): please report it", code.reason())]
    Fault {
        /// What the server complains about.
        code: CloseCode,
    },
}

/// Why a request was not answered, or not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The server does not do it.
    #[error("{0}")]
    Refused(Refusal),
    /// The session was lost before its answer came.
    #[error(
        "the connection was lost for too long: whether it was done is not known, so look before you try again"
    )]
    OutcomeUnknown,
    /// It was never sent.
    #[error("there is no connection to the server: it was not done")]
    NotConnected,
    /// Too much waits for an answer.
    #[error("{OUTSTANDING_MOST} requests wait for an answer already: wait for some")]
    TooMany,
    /// It is longer than the server takes.
    #[error("this is longer than the server takes: shorten it")]
    TooLong,
    /// The answer was not understood.
    #[error("the server's answer makes no sense to this version: update the older side")]
    Garbled,
}
