//! A user of the load: what it has said, and what it knows of its session and its room.

use std::collections::VecDeque;

use ahoy_signal::{AccessToken, Position, ResumeToken, RoomId, SessionId};
use rustix::event::epoll::EventFlags;

use crate::link::Link;

/// How a connection is opened once it is a WebSocket.
#[derive(Clone, Debug)]
pub(crate) enum Opening {
    /// With a token, as a new session.
    Hello(AccessToken),
    /// The session of before goes on.
    Resume,
    /// The peer asks nothing.
    Nothing,
}

/// How far a connection is.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// There is none.
    Gone,
    /// Asked to become a WebSocket.
    Upgrading(Opening),
    /// Said who it is.
    Greeting,
    /// Can be used.
    Ready,
    /// The server has said that it is over, but it is still there.
    Closing,
}

/// What an answer will be to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// A request of the ledger, by its marker.
    Request(u64),
    /// `room_create`.
    Room,
    /// `join` or `sync`.
    Entry,
    /// One of a flood.
    Flood,
}

/// Where a user sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Number of the room.
    pub(crate) room: usize,
    /// Number within the room.
    pub(crate) member: usize,
}

/// A user.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) seat: Seat,
    pub(crate) stage: Stage,
    pub(crate) link: Option<Link>,
    /// What is waited for on the link.
    pub(crate) interest: EventFlags,
    /// Does not read.
    pub(crate) paused: bool,
    pub(crate) session: Option<(SessionId, ResumeToken)>,
    /// The last request's number.
    pub(crate) requests: u64,
    /// The last `seq` received.
    pub(crate) seq: u64,
    pub(crate) awaited: VecDeque<(u64, Awaited)>,
    pub(crate) room: Option<RoomId>,
    /// What it has seen of its room; absent while it is not in it.
    pub(crate) seen: Option<Position>,
    /// Whether its next ping is planned.
    pub(crate) beats: bool,
    /// Does what a server has to close its connection for.
    pub(crate) misbehaves: bool,
    /// With which code the server closed the connection.
    pub(crate) closed: Option<u16>,
}

impl Client {
    pub(crate) fn new(seat: Seat) -> Self {
        Self {
            seat,
            stage: Stage::Gone,
            link: None,
            interest: EventFlags::empty(),
            paused: false,
            misbehaves: false,
            session: None,
            requests: 0,
            seq: 0,
            awaited: VecDeque::new(),
            room: None,
            seen: None,
            beats: false,
            closed: None,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    /// Takes what waits for the answer to request `re`. Answers come in the order of requests, nearly.
    pub(crate) fn answered(&mut self, re: u64) -> Option<Awaited> {
        let place = self.awaited.iter().position(|(id, _)| *id == re)?;
        self.awaited.remove(place).map(|(_, awaited)| awaited)
    }
}
