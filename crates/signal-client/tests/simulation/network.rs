//! Connections that keep the order of what is sent, until they stall, break, or go silent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use ahoy_signal::AccessToken;
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

/// Milliseconds since the beginning.
pub(crate) type Time = u64;
/// Which connection.
pub(crate) type Line = u64;

/// What happens at some time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    /// A client's wish for a connection reaches the server.
    Reached(Line),
    /// The client learns that its connection is open.
    Opened(Line),
    /// What a client sent arrives.
    ToServer(Line, String),
    /// What the server sent arrives.
    ToClient(Line, String),
    /// The server learns that a connection is over.
    OverForServer(Line),
    /// The client learns that a connection is over.
    OverForClient(Line, Option<u16>),
    /// A client gets an access token, or none.
    Token(usize, Option<String>),
    /// A client wants to say something.
    Say(usize),
    /// Something breaks.
    Fault,
    /// Whoever came and went is told.
    Settle,
}

/// How a client's network is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Nothing gets through until then.
    pub(crate) cut_until: Time,
}

#[derive(Debug)]
struct Wire {
    client: usize,
    /// Nothing gets through any more, and nobody is told.
    silent: bool,
    to_server_at: Time,
    to_client_at: Time,
}

/// All connections, and everything that is on its way.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Time,
    rng: Pcg64Mcg,
    order: u64,
    happenings: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    wires: BTreeMap<Line, Wire>,
    next_line: Line,
    pub(crate) weather: Vec<Weather>,
}

impl Network {
    pub(crate) fn new(rng: Pcg64Mcg, clients: usize) -> Self {
        Self {
            now: 0,
            rng,
            order: 0,
            happenings: BinaryHeap::new(),
            wires: BTreeMap::new(),
            next_line: 0,
            weather: vec![Weather::default(); clients],
        }
    }

    pub(crate) fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    pub(crate) fn pick(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.rng.random_range(range)
    }

    pub(crate) fn bits(&mut self) -> u128 {
        self.rng.random()
    }

    pub(crate) fn at(&mut self, time: Time, what: Happening) {
        self.order += 1;
        self.happenings.push(Reverse((time, self.order, what)));
    }

    /// The time of the next happening.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.happenings.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The next happening that is due now.
    pub(crate) fn due(&mut self) -> Option<Happening> {
        let due = self.next_at().is_some_and(|at| at <= self.now);
        due.then(|| self.happenings.pop()).flatten().map(|Reverse((_, _, what))| what)
    }

    fn delay(&mut self) -> Time {
        if self.chance(20) { self.pick(200..1_500) } else { self.pick(1..120) }
    }

    /// A client wants a connection.
    pub(crate) fn connect(&mut self, client: usize) -> Line {
        self.next_line += 1;
        let line = self.next_line;
        let wire = Wire { client, silent: false, to_server_at: self.now, to_client_at: self.now };
        self.wires.insert(line, wire);
        // Who is cut off while connecting is not answered at all, and gives up by itself.
        if self.weather[client].cut_until <= self.now {
            let at = self.now + self.delay();
            self.at(at, Happening::Reached(line));
        }
        line
    }

    pub(crate) fn client_of(&self, line: Line) -> Option<usize> {
        self.wires.get(&line).map(|wire| wire.client)
    }

    /// Puts something on a wire, behind what is on it already. TCP sends again what a cut swallowed.
    fn put(&mut self, line: Line, to_server: bool, what: Happening) {
        let delay = self.delay();
        let Some(wire) = self.wires.get_mut(&line) else { return };
        if wire.silent {
            return;
        }
        let clear = self.weather[wire.client].cut_until.max(self.now);
        let last = if to_server { &mut wire.to_server_at } else { &mut wire.to_client_at };
        *last = (*last).max(clear + delay);
        let at = *last;
        self.at(at, what);
    }

    pub(crate) fn send_up(&mut self, line: Line, text: String) {
        self.put(line, true, Happening::ToServer(line, text));
    }

    pub(crate) fn send_down(&mut self, line: Line, text: String) {
        self.put(line, false, Happening::ToClient(line, text));
    }

    pub(crate) fn opened(&mut self, line: Line) {
        self.put(line, false, Happening::Opened(line));
    }

    /// The client lets go of its connection.
    pub(crate) fn closed_by_client(&mut self, line: Line) {
        self.put(line, true, Happening::OverForServer(line));
    }

    /// The server closes a connection.
    pub(crate) fn closed_by_server(&mut self, line: Line, code: Option<u16>) {
        self.put(line, false, Happening::OverForClient(line, code));
    }

    /// A client's connections go silent: nothing that is on its way arrives, and nobody is told.
    pub(crate) fn silence(&mut self, client: usize) {
        let lines: Vec<_> = self.lines_of(client);
        for line in lines {
            self.drop_all(line);
            if let Some(wire) = self.wires.get_mut(&line) {
                wire.silent = true;
            }
        }
    }

    /// A client's connections break: what is on its way is lost, and both sides are told.
    pub(crate) fn reset(&mut self, client: usize) {
        for line in self.lines_of(client) {
            self.drop_all(line);
            self.closed_by_client(line);
            self.closed_by_server(line, None);
            if let Some(wire) = self.wires.get_mut(&line) {
                wire.silent = true;
            }
        }
    }

    /// The server is gone: what is on its way is lost, and the clients are told.
    pub(crate) fn server_gone(&mut self) {
        for line in self.wires.keys().copied().collect::<Vec<_>>() {
            self.drop_all(line);
            self.closed_by_server(line, None);
            if let Some(wire) = self.wires.get_mut(&line) {
                wire.silent = true;
            }
        }
    }

    fn lines_of(&self, client: usize) -> Vec<Line> {
        self.wires
            .iter()
            .filter(|(_, wire)| wire.client == client && !wire.silent)
            .map(|(line, _)| *line)
            .collect()
    }

    fn drop_all(&mut self, gone: Line) {
        self.happenings.retain(|Reverse((_, _, what))| match what {
            Happening::Reached(line)
            | Happening::Opened(line)
            | Happening::ToServer(line, _)
            | Happening::ToClient(line, _)
            | Happening::OverForServer(line)
            | Happening::OverForClient(line, _) => *line != gone,
            Happening::Token(..) | Happening::Say(_) | Happening::Fault | Happening::Settle => true,
        });
    }

    /// A client asks for an access token, over a connection of its own.
    pub(crate) fn fetch_token(&mut self, client: usize) {
        let at = self.now + self.delay();
        let token = (self.weather[client].cut_until <= self.now)
            .then(|| format!("token-{client}-{:032x}", self.bits()));
        self.at(at, Happening::Token(client, token));
    }
}

/// Which client an access token was given to.
pub(crate) fn owner(token: &AccessToken) -> usize {
    token.as_str().split('-').nth(1).and_then(|client| client.parse().ok()).expect("a token of this network")
}
