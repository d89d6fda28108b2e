//! All users of a load in one thread, around one epoll: requests go out to the microsecond, and what comes is looked at as
//! little as possible.

mod hearing;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ahoy_signal::{ClientEnvelope, ClientMessage, RequestId, RoomId, ServerEnvelope};
use rand::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::client::{Awaited, Client, Opening, Seat, Stage};
use crate::error::LoadError;
use crate::frame;
use crate::ledger::{Ledger, Members};
use crate::link::{Flow, Link};
use crate::schedule::Saying;
use crate::text;

/// Connections looked at before it is seen whether a request is due: a fraction of a millisecond's work.
const EVENTS_AT_ONCE: usize = 64;
/// Read from a connection at once.
const READ_AT_ONCE: usize = 64 * 1024;
/// As the server's `welcome` asks for.
const HEARTBEAT: Duration = Duration::from_secs(10);
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Whom the users talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `ahoy-server`.
    Ahoy,
    /// The peer: sends each text to everybody in the room, the sender too.
    Hub,
}

/// What a flood came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flooded {
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// All users.
pub(crate) struct Fleet {
    server: SocketAddr,
    dialect: Dialect,
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// Who is in each room and reads.
    readers: Vec<Members>,
    beats: VecDeque<(Instant, usize)>,
    random: Pcg64Mcg,
    scratch: Vec<u8>,
    line: Vec<u8>,
    events: Vec<epoll::Event>,
    ready: usize,
    entered: usize,
    pub(crate) ledger: Ledger,
    /// How long it was at work instead of waiting.
    pub(crate) worked: Duration,
    pub(crate) flooded: Flooded,
    /// Changes of rooms that were skipped without a snapshot.
    pub(crate) gaps: u64,
    /// Snapshots in place of changes.
    pub(crate) snapshots: u64,
    /// What ended connections, and what was refused where it should not be.
    pub(crate) faults: Vec<String>,
}

impl Fleet {
    pub(crate) fn new(server: SocketAddr, dialect: Dialect) -> Result<Self, LoadError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(LoadError::system("epoll"))?;
        Ok(Self {
            server,
            dialect,
            epoll,
            clients: Vec::new(),
            readers: Vec::new(),
            beats: VecDeque::new(),
            random: Pcg64Mcg::seed_from_u64(1),
            scratch: vec![0; READ_AT_ONCE],
            line: Vec::new(),
            events: Vec::with_capacity(EVENTS_AT_ONCE),
            ready: 0,
            entered: 0,
            ledger: Ledger::new(0, Instant::now()),
            worked: Duration::ZERO,
            flooded: Flooded::default(),
            gaps: 0,
            snapshots: 0,
            faults: Vec::new(),
        })
    }

    /// A new user, not connected.
    pub(crate) fn add(&mut self, seat: Seat) -> usize {
        self.clients.push(Client::new(seat));
        self.clients.len() - 1
    }

    pub(crate) fn client(&self, user: usize) -> &Client {
        &self.clients[user]
    }

    /// Whether something can be sent for the user, wanted or not.
    pub(crate) fn is_connected(&self, user: usize) -> bool {
        self.clients[user].link.is_some()
    }

    /// Users whose connection can be used.
    pub(crate) fn ready(&self) -> usize {
        self.ready
    }

    /// Times that a user has entered its room or come up to date in it.
    pub(crate) fn entered(&self) -> usize {
        self.entered
    }

    /// Begins to connect a user. `little_room` as in [`Link::connect`].
    pub(crate) fn connect(
        &mut self,
        user: usize,
        opening: Opening,
        little_room: bool,
    ) -> Result<(), LoadError> {
        let room = self.clients[user].seat.room;
        let path = match self.dialect {
            Dialect::Ahoy => ahoy_signal::paths::SOCKET.to_owned(),
            Dialect::Hub => format!("/rooms/{room}"),
        };
        let server = self.server;
        let mut link = Link::connect(server, little_room).map_err(LoadError::system("connecting"))?;
        link.send(|out| frame::write_upgrade(out, server, &path)).map_err(LoadError::system("connecting"))?;
        let interest = wanted(&link, false);
        let data = epoll::EventData::new_u64(user as u64);
        epoll::add(&self.epoll, link.stream(), data, interest).map_err(LoadError::system("epoll"))?;
        let client = &mut self.clients[user];
        (client.stage, client.interest, client.link) = (Stage::Upgrading(opening), interest, Some(link));
        (client.paused, client.closed) = (false, None);
        Ok(())
    }

    /// Cuts a user's connection, as when its cable is.
    pub(crate) fn cut(&mut self, user: usize) -> Result<(), LoadError> {
        if let Some(link) = &self.clients[user].link {
            link.break_when_dropped().map_err(LoadError::system("cutting"))?;
        }
        self.gone(user);
        Ok(())
    }

    fn gone(&mut self, user: usize) {
        let client = &mut self.clients[user];
        self.ready -= usize::from(client.is_ready());
        client.stage = Stage::Gone;
        client.link = None;
    }

    /// A user stops reading, or goes on.
    pub(crate) fn pause(&mut self, user: usize, paused: bool) -> Result<(), LoadError> {
        let client = &mut self.clients[user];
        client.paused = paused;
        client.misbehaves |= paused;
        let Seat { room, member } = client.seat;
        let readers = &mut self.readers[room];
        *readers = if paused { readers.without(member) } else { readers.with(member) };
        self.update_interest(user)
    }

    fn update_interest(&mut self, user: usize) -> Result<(), LoadError> {
        let client = &mut self.clients[user];
        let Some(link) = &client.link else { return Ok(()) };
        let interest = wanted(link, client.paused);
        if interest != client.interest {
            client.interest = interest;
            let data = epoll::EventData::new_u64(user as u64);
            epoll::modify(&self.epoll, link.stream(), data, interest).map_err(LoadError::system("epoll"))?;
        }
        Ok(())
    }

    /// Asks something of the protocol. Requests are numbered here.
    pub(crate) fn ask(
        &mut self,
        user: usize,
        body: ClientMessage,
        awaited: Awaited,
    ) -> Result<(), LoadError> {
        let client = &mut self.clients[user];
        client.requests += 1;
        client.awaited.push_back((client.requests, awaited));
        let mut envelope = ClientEnvelope::new(body);
        (envelope.id, envelope.ack, envelope.room) =
            (Some(RequestId(client.requests)), Some(client.seq), client.room);
        self.line = envelope.to_json().into_bytes();
        self.send_line(user)
    }

    /// The user's room is this from now on.
    pub(crate) fn set_room(&mut self, user: usize, room: RoomId) {
        self.clients[user].room = Some(room);
    }

    /// What is said in the user's room is to reach the user from now on.
    pub(crate) fn count_on(&mut self, user: usize) {
        let Seat { room, member } = self.clients[user].seat;
        if self.readers.len() <= room {
            self.readers.resize(room + 1, Members::default());
        }
        self.readers[room] = self.readers[room].with(member);
    }

    /// Says something that is counted from `intended` on. A user who is not connected does not say it.
    pub(crate) fn say(&mut self, user: usize, saying: Saying, intended: Instant) -> Result<(), LoadError> {
        let client = &self.clients[user];
        let (true, Some(_)) = (client.is_ready(), client.room) else { return Ok(()) };
        let Seat { room, member } = client.seat;
        let expected = self.readers[room].without(member);
        let marker = self.ledger.send(intended, expected);
        self.request(user, saying, marker, Awaited::Request(marker))
    }

    /// Says something that is not counted as a request of the load.
    pub(crate) fn flood(&mut self, user: usize) -> Result<(), LoadError> {
        self.flooded.sent += 1;
        self.clients[user].misbehaves = true;
        self.request(user, Saying::Chat, 0xFF_FFFF_FFFF, Awaited::Flood)
    }

    fn request(
        &mut self,
        user: usize,
        saying: Saying,
        marker: u64,
        awaited: Awaited,
    ) -> Result<(), LoadError> {
        let client = &mut self.clients[user];
        let Some(room) = client.room else { return Ok(()) };
        client.requests += 1;
        client.awaited.push_back((client.requests, awaited));
        text::request(&mut self.line, client.requests, client.seq, &room, saying, marker);
        self.send_line(user)
    }

    /// Sends `self.line` as a message.
    fn send_line(&mut self, user: usize) -> Result<(), LoadError> {
        let mask = self.random.next_u32().to_ne_bytes();
        let line = &self.line;
        if let Some(link) = &mut self.clients[user].link
            && let Err(error) = link.send(|out| frame::write_text(out, line, mask))
        {
            self.fault(user, &error.to_string());
        }
        self.update_interest(user)
    }

    fn fault(&mut self, user: usize, what: &str) {
        self.faults.push(format!("user {user}: {what}"));
        self.gone(user);
    }

    /// Sends pings that are due, waits for at most `timeout`, and takes what has come.
    pub(crate) fn turn(&mut self, timeout: Duration) -> Result<(), LoadError> {
        self.beat()?;
        let wait = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(LoadError::system("epoll")(error)),
        }
        if !events.is_empty() {
            let begin = Instant::now();
            for event in &events {
                self.handle(event.data.u64() as usize, event.flags)?;
            }
            self.worked += begin.elapsed();
        }
        self.events = events;
        Ok(())
    }

    /// Goes on until `done`.
    pub(crate) fn until(
        &mut self,
        what: &'static str,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), LoadError> {
        let deadline = Instant::now() + limit;
        while !done(self) {
            if Instant::now() >= deadline {
                let state = format!("{} connected, last fault: {:?}", self.ready, self.faults.last());
                return Err(LoadError::TimedOut { what, seconds: limit.as_secs(), state });
            }
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// Goes on for some time.
    pub(crate) fn rest(&mut self, time: Duration) -> Result<(), LoadError> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    fn beat(&mut self) -> Result<(), LoadError> {
        let Some((due, _)) = self.beats.front() else { return Ok(()) };
        let now = Instant::now();
        if *due > now {
            return Ok(());
        }
        while let Some((due, user)) = self.beats.front().copied().filter(|(due, _)| *due <= now) {
            self.beats.pop_front();
            let client = &mut self.clients[user];
            if client.is_ready() {
                text::ping(&mut self.line, client.seq);
                self.beats.push_back((due + HEARTBEAT, user));
                self.send_line(user)?;
            } else {
                client.beats = false;
            }
        }
        Ok(())
    }

    fn handle(&mut self, user: usize, flags: epoll::EventFlags) -> Result<(), LoadError> {
        let Some(mut link) = self.clients[user].link.take() else { return Ok(()) };
        if flags.contains(epoll::EventFlags::OUT)
            && let Err(error) = link.flush()
        {
            self.fault(user, &error.to_string());
            return Ok(());
        }
        let mut outcome = Ok(Flow::Open);
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            let now = Instant::now();
            let mut scratch = std::mem::take(&mut self.scratch);
            outcome = link.read(&mut scratch, |link, bytes| self.take(user, link, bytes, now));
            self.scratch = scratch;
        }
        match outcome {
            Ok(Flow::Open) => self.clients[user].link = Some(link),
            Ok(Flow::Ended) => match self.clients[user].closed {
                Some(_) if self.clients[user].misbehaves => self.gone(user),
                Some(code) => self.fault(user, &format!("the server closed the connection with {code}")),
                None => self.fault(user, "the connection broke"),
            },
            Err(broken) => self.fault(user, &broken.to_string()),
        }
        self.update_interest(user)
    }
}

fn wanted(link: &Link, paused: bool) -> epoll::EventFlags {
    let read = if paused { epoll::EventFlags::empty() } else { epoll::EventFlags::IN };
    if link.has_unsent() { read | epoll::EventFlags::OUT } else { read }
}

fn read(text: &[u8]) -> Result<ServerEnvelope, Broken> {
    serde_json::from_slice(text).map_err(Broken::Unreadable)
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Frame(#[from] frame::FrameError),
    #[error("no WebSocket: {0}")]
    Upgrade(String),
    #[error("a message that is none of the protocol: {0}")]
    Unreadable(serde_json::Error),
    #[error("not let in: {0}")]
    Refused(String),
    #[error("there is no session to resume")]
    NoSession,
}
