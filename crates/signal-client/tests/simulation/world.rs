//! Clients, the network and the server, and time that passes for them.

use std::time::{Duration, Instant};

use ahoy_signal::RoomId;
use ahoy_signal_client::session::Input;
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

use crate::client::{Client, Outcome};
use crate::network::{Happening, Network, Time};
use crate::server::{CALM, Server, user};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// Connections stall for up to two minutes, break, and go silent; one client's network is good.
    BadNetworks,
    /// The same for everyone, and the server is killed now and then.
    BadServers,
}

const CLIENTS: usize = 4;
const ROOM: RoomId = RoomId::from_bits(7);
/// For how long things go wrong.
const TROUBLE: Time = 500_000;
/// Longest cut. With a session's window of five minutes, nothing may be lost in it.
const LONGEST_CUT: Time = 120_000;

pub(crate) struct World {
    luck: Luck,
    start: Instant,
    network: Network,
    server: Server,
    clients: Vec<Client>,
}

impl World {
    pub(crate) fn new(seed: u64, luck: Luck) -> Self {
        let start = Instant::now();
        let mut network = Network::new(Pcg64Mcg::seed_from_u64(seed), CLIENTS);
        let clients = (0..CLIENTS).map(|index| Client::new(index, ROOM, start, &mut network)).collect();
        for client in 0..CLIENTS {
            let at = network.pick(0..20_000);
            network.at(at, Happening::Say(client));
        }
        let first = network.pick(5_000..40_000);
        network.at(first, Happening::Fault);
        Self { luck, start, network, server: Server::new(ROOM), clients }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.network.now)
    }

    fn since_start(&self, at: Instant) -> Time {
        // Rounded up: whoever waits must not be asked too early again and again.
        let span = at.saturating_duration_since(self.start);
        u64::try_from(span.as_nanos().div_ceil(1_000_000)).expect("no run is that long")
    }

    pub(crate) fn run(mut self) {
        self.pass_time(TROUBLE + LONGEST_CUT + CALM.as_millis() as Time);
        self.everyone_sees_the_same();
        self.every_line_was_said_as_its_sayer_knows();
        let now = self.now();
        for client in &mut self.clients {
            client.leave(now, &mut self.network);
        }
        self.pass_time(self.network.now + 30_000);
        assert!(self.clients.iter().all(|client| client.is_over), "who leaves is gone");
        // Sessions that were lost with their client's memory of them wait out their window.
        self.pass_time(self.network.now + 330_000);
        assert_eq!(self.server.sessions(), 0, "no session stays");
        assert!(self.server.state().is_none(), "an empty room is released");
    }

    fn pass_time(&mut self, until: Time) {
        loop {
            let deadlines = self.clients.iter().filter_map(Client::deadline).chain(self.server.deadline());
            let deadline = deadlines.min().map(|at| self.since_start(at));
            let Some(next) = [self.network.next_at(), deadline].into_iter().flatten().min() else { return };
            if next > until {
                self.network.now = until;
                return;
            }
            self.network.now = self.network.now.max(next);
            let now = self.now();
            while let Some(what) = self.network.due() {
                self.happens(what, now);
            }
            self.server.tick(now, &mut self.network);
            for client in &mut self.clients {
                client.tick(now, &mut self.network);
            }
        }
    }

    fn happens(&mut self, what: Happening, now: Instant) {
        let network = &mut self.network;
        match what {
            Happening::Reached(line) => self.server.reached(line, network),
            Happening::ToServer(line, text) => self.server.hears(line, &text, now, network),
            Happening::OverForServer(line) => self.server.over(line, now, network),
            Happening::Settle => self.server.settle(now, network),
            Happening::Opened(line) => self.on_line(line, Input::Opened, now),
            Happening::ToClient(line, text) => self.on_line(line, Input::Text(text), now),
            Happening::OverForClient(line, code) => self.on_line(line, Input::Closed(code), now),
            Happening::Token(client, token) => self.clients[client].token(token, now, network),
            Happening::Say(client) => {
                if network.now < TROUBLE {
                    self.clients[client].say(now, network);
                    let next = network.now + if network.chance(4) { 1 } else { network.pick(200..15_000) };
                    network.at(next, Happening::Say(client));
                }
            }
            Happening::Fault => self.fault(),
        }
    }

    fn on_line(&mut self, line: u64, input: Input, now: Instant) {
        if let Some(client) = self.network.client_of(line) {
            self.clients[client].on_line(line, input, now, &mut self.network);
        }
    }

    fn fault(&mut self) {
        let network = &mut self.network;
        if network.now > TROUBLE {
            return;
        }
        let next = network.now + network.pick(500..60_000);
        network.at(next, Happening::Fault);
        let spared = u64::from(self.luck == Luck::BadNetworks);
        let client = network.pick(spared..CLIENTS as u64) as usize;
        let length = match network.pick(0..3) {
            0 => network.pick(100..5_000),
            1 => network.pick(5_000..30_000),
            _ => network.pick(30_000..LONGEST_CUT),
        };
        // One cut after the other would be one that is longer than a session waits.
        let can_be_cut = self.clients[client].is_online();
        match network.pick(0..if self.luck == Luck::BadServers { 5 } else { 4 }) {
            0 => network.reset(client),
            1 => network.silence(client),
            2 if can_be_cut => network.weather[client].cut_until = network.now + length,
            3 if can_be_cut => {
                network.silence(client);
                network.weather[client].cut_until = network.now + length;
            }
            2 | 3 => {}
            _ => self.server.kill(network),
        }
    }

    fn everyone_sees_the_same(&self) {
        let state = self.server.state().expect("the room lives");
        let mut users: Vec<_> = state.participants().iter().map(|participant| participant.user).collect();
        users.sort_unstable();
        let all: Vec<_> = (0..CLIENTS).map(user).collect();
        assert_eq!(users, all, "everyone is there once");
        for (index, client) in self.clients.iter().enumerate() {
            assert!(client.is_online(), "client {index} is online");
            let seen = client.replica.state().expect("the room is known");
            assert_eq!(seen.position(), state.position(), "client {index} has seen everything");
            assert_eq!(seen.hash(), state.hash(), "client {index} sees the same room");
        }
    }

    fn every_line_was_said_as_its_sayer_knows(&self) {
        for client in &self.clients {
            for (line, outcome) in &client.outcomes {
                let said = self.server.said.contains(line);
                match outcome {
                    Outcome::Said => assert!(said, "{line:?} was lost"),
                    Outcome::NotSaid => assert!(!said, "{line:?} was said all the same"),
                    Outcome::Unknown => {
                        assert!(self.luck == Luck::BadServers, "nobody knows what became of {line:?}");
                    }
                }
            }
        }
        if self.luck == Luck::BadNetworks {
            for (index, client) in self.clients.iter().enumerate() {
                assert_eq!(client.seen, self.server.said, "client {index} has seen every line, in order");
            }
        }
    }
}
