//! What a session's machine is told, and what it wants done.

use std::time::Instant;

use ahoy_signal::{
    AccessToken, ClientEnvelope, ClientMessage, CloseCode, MalformedMessage, Refusal, RequestId, ResumeToken,
    RoomId,
};
use axum::extract::ws::Utf8Bytes;

use crate::realtime::limits::Verdict;
use crate::realtime::mailbox::News;

/// A request that is new and may be performed.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its number, for the answer.
    pub re: RequestId,
    /// The room that it is about.
    pub room: Option<RoomId>,
    /// What is asked.
    pub body: ClientMessage,
}

/// What happens to a session.
#[derive(Debug)]
pub enum SessionInput {
    /// Another connection wants it.
    Resume {
        /// The token that it showed.
        token: ResumeToken,
        /// The last message that it has seen.
        seq: u64,
        /// The token for the next time, random.
        next_token: ResumeToken,
    },
    /// The client said something; the verdict is on [`SessionMachine::bucket`](super::machine::SessionMachine::bucket) of it.
    Said(Box<ClientEnvelope>, Verdict),
    /// The client said something that makes no sense.
    Malformed(MalformedMessage),
    /// The client said something longer than anything may be.
    TooLong,
    /// A sign of life that says nothing.
    Heard,
    /// There is something to tell.
    Tell(Box<News>),
    /// A fresh token was checked; it is good until then.
    Renewed(RequestId, Result<Instant, Refusal>),
    /// The connection is gone.
    Disconnected,
    /// The connection takes nothing any more.
    Stuck,
    /// More was to be told than could wait: the session has missed something.
    Overflowed,
    /// The right to be there has ended.
    SignOut,
    /// The server is stopping; the client comes back after so many milliseconds.
    Stop(u64),
    /// Time has passed: [`SessionMachine::deadline`](super::machine::SessionMachine::deadline).
    Tick,
}

/// What is to be done about it, in order.
#[derive(Debug, PartialEq)]
pub enum SessionOutput {
    /// Send this on the connection.
    Send(Utf8Bytes),
    /// Do what is asked.
    Perform(Box<Request>),
    /// Check this token: [`SessionInput::Renewed`].
    Renew(RequestId, AccessToken),
    /// The connection that wants the session gets it.
    TakeOver,
    /// The connection that wants the session does not get it.
    RefuseTakeOver(Refusal),
    /// Close the connection; what was to be sent is sent before.
    Close(CloseCode),
    /// Tell the rooms that the session has no connection.
    Lost,
    /// Tell the rooms that it has one again.
    Back,
    /// Whether contacts can reach the session has changed.
    Reachable(bool),
    /// The session is over: leave rooms, hang up, forget it. Nothing comes after this.
    Ended,
}
