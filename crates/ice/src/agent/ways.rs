//! This side's addresses: sockets, what STUN servers say of them, and relays.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use is::Protocol;
use tokio::sync::mpsc;
use tracing::debug;

use super::interfaces;
use super::look_ups::{LookUps, LookedUp};
use super::refusals::{Asked, Refusals};
use super::sessions::Penalties;
use crate::candidate::{self, CandidateKind};
use crate::config::{IceConfig, IceServer, Policy, ServerUrl, Transport};
use crate::gather::{Answer, Questions};
use crate::relay::{self, Connector, RelayEvent, RelayHandle, RelayId, Way};
use crate::socket::Socket;
use crate::streams::{StreamEvent, Streams};
use crate::wire::{Carrier, Pair, Wire};

/// How long UDP may stay silent before relays are asked over TCP and TLS as well: one round trip to nearly everywhere. Where UDP
/// is blocked this is what a call takes longer.
const STREAMS_AFTER: Duration = Duration::from_millis(250);
/// Relays are as they were after a sleep that was shorter: permissions and channels are renewed a minute before they end.
const RELAYS_SURVIVE: Duration = Duration::from_secs(45);
/// Relays at once: two interfaces with two families, by two transports. A server has a quota for each user.
const RELAYS_MOST: usize = 8;
/// And relays with IPv6 addresses, where this machine has IPv4: they are for who has only IPv6. Otherwise two of them would be
/// preferred to one with IPv4.
const CROSSING_PENALTY: u32 = 8000;
/// How much less relays over TCP and TLS are worth than those over UDP: with TCP, what is lost holds up what comes behind it, and
/// TLS costs a little on top. More than `is` gives to a second relay.
const TCP_PENALTY: u32 = 2000;
const TLS_PENALTY: u32 = 4000;

/// A candidate of ours, and where it comes from.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) candidate: is::Candidate,
    pub(super) kind: CandidateKind,
    /// The socket, or the relay's address, that datagrams leave from.
    pub(super) base: SocketAddr,
    pub(super) server: Option<ServerUrl>,
}

#[derive(Debug)]
struct Relay {
    handle: RelayHandle,
    server: ServerUrl,
    /// The socket by which it is reached, where it is by one.
    socket: Option<SocketAddr>,
    addresses: Vec<SocketAddr>,
}

/// What has changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) added: Vec<Local>,
    pub(super) removed: Vec<Local>,
}

/// Where those report that work for the ways.
#[derive(Debug)]
pub(super) struct Reports {
    pub(super) relays: mpsc::Sender<RelayEvent>,
    pub(super) look_ups: mpsc::Sender<LookedUp>,
    pub(super) streams: mpsc::Sender<StreamEvent>,
}

/// All ways out.
#[derive(Debug)]
pub(super) struct Ways {
    config: IceConfig,
    wire: Wire,
    sockets: BTreeMap<SocketAddr, Arc<Socket>>,
    streams: Streams,
    questions: Questions,
    relays: BTreeMap<RelayId, Relay>,
    next_relay: u32,
    relay_events: mpsc::Sender<RelayEvent>,
    look_ups: LookUps,
    /// What was asked already: a server from a socket, or by a stream.
    asked: BTreeSet<Asked>,
    /// STUN servers, by the addresses that they were asked at.
    stun: BTreeMap<SocketAddr, ServerUrl>,
    refusals: Refusals,
    penalties: Penalties,
    /// Whether a server has answered over UDP.
    udp_works: bool,
    streams_at: Option<Instant>,
    pub(super) locals: Vec<Local>,
    pub(super) failures: BTreeMap<String, String>,
}

impl Ways {
    pub(super) fn new(
        config: IceConfig,
        sockets: Vec<Arc<Socket>>,
        wire: Wire,
        penalties: Penalties,
        reports: Reports,
    ) -> Self {
        Self {
            config,
            streams: Streams::new(wire.clone(), reports.streams),
            wire,
            sockets: sockets.into_iter().map(|socket| (socket.local(), socket)).collect(),
            questions: Questions::default(),
            relays: BTreeMap::new(),
            next_relay: 0,
            relay_events: reports.relays,
            look_ups: LookUps::new(reports.look_ups),
            asked: BTreeSet::new(),
            stun: BTreeMap::new(),
            refusals: Refusals::default(),
            penalties,
            udp_works: false,
            streams_at: None,
            locals: Vec::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Begins to gather: tells the addresses that need no asking, and asks for the others.
    pub(super) fn gather(&mut self, now: Instant) -> Changes {
        let mut changes = Changes::default();
        for local in self.sockets.keys().copied().collect::<Vec<_>>() {
            changes.added.extend(self.host(local));
            changes.added.extend(self.listen(local.ip()));
        }
        self.ask(now);
        let has_udp = self.config.servers.iter().any(|server| server.url.transport == Transport::Udp);
        let patience = if has_udp { STREAMS_AFTER } else { Duration::ZERO };
        self.streams_at = Some(now + patience);
        changes
    }

    fn host(&self, local: SocketAddr) -> Option<Local> {
        if self.config.policy == Policy::RelayOnly {
            return None;
        }
        let candidate = is::Candidate::host(local, Protocol::Udp).ok()?;
        Some(Local { candidate, kind: CandidateKind::Host, base: local, server: None })
    }

    /// Takes connections at an address of this machine.
    fn listen(&mut self, ip: IpAddr) -> Option<Local> {
        if self.config.policy == Policy::RelayOnly {
            return None;
        }
        let sockets = &self.sockets;
        let base = self.streams.listen(ip, |local| sockets.contains_key(&local))?;
        let candidate = candidate::of_listener(base)?;
        Some(Local { candidate, kind: CandidateKind::Host, base, server: None })
    }

    pub(super) fn on_stream(&mut self, event: StreamEvent, now: Instant) {
        self.streams.on_event(event, now);
    }

    pub(super) fn on_looked_up(&mut self, looked_up: LookedUp, now: Instant) {
        match self.look_ups.on_looked_up(looked_up, now) {
            Ok(()) => self.ask(now),
            Err((url, error)) => drop(self.failures.insert(url.to_string(), error)),
        }
    }

    /// Asks every server whose address is known from every socket, once. The others are looked up.
    fn ask(&mut self, now: Instant) {
        for server in self.config.servers.clone() {
            if server.url.transport != Transport::Udp {
                continue;
            }
            let Some(addresses) = self.look_ups.addresses(&server.url, now) else { continue };
            for (local, socket) in self.sockets.clone() {
                let Some(address) = addresses.iter().find(|address| address.is_ipv4() == local.is_ipv4())
                else {
                    continue;
                };
                if !self.asked.insert((Some(local), server.url.to_string())) {
                    continue;
                }
                if server.url.relays {
                    self.allocate(&server, Some(local), Way::Socket { socket, server: *address });
                } else if self.config.policy == Policy::All {
                    self.stun.insert(*address, server.url.clone());
                    self.questions.ask(Pair { local, remote: *address }, now);
                }
            }
        }
    }

    /// Asks relays over TCP and TLS, where UDP has not answered by now.
    fn ask_streams(&mut self) {
        if self.udp_works {
            return;
        }
        for server in self.config.servers.clone() {
            let url = &server.url;
            if url.transport == Transport::Udp || !self.asked.insert((None, url.to_string())) {
                continue;
            }
            let connector = Connector {
                url: url.clone(),
                tunnel: self.config.tunnel.clone(),
                tls: self.config.tls.clone(),
            };
            self.allocate(&server, None, Way::Stream(connector));
        }
    }

    fn allocate(&mut self, server: &IceServer, socket: Option<SocketAddr>, way: Way) {
        if self.relays.len() == RELAYS_MOST {
            debug!("no more relays are asked for");
            return;
        }
        let id = RelayId(self.next_relay);
        self.next_relay += 1;
        let handle = relay::allocate(id, server, way, self.wire.clone(), self.relay_events.clone());
        let relay = Relay { handle, server: server.url.clone(), socket, addresses: Vec::new() };
        self.relays.insert(id, relay);
    }

    pub(super) fn on_relay(&mut self, event: RelayEvent, now: Instant) -> Changes {
        let mut changes = Changes::default();
        match event {
            RelayEvent::Allocated(id, addresses) => {
                let Some(relay) = self.relays.get_mut(&id) else { return changes };
                self.udp_works |= relay.server.transport == Transport::Udp;
                self.failures.remove(&relay.server.to_string());
                self.refusals.remove(&(relay.socket, relay.server.to_string()));
                for address in addresses {
                    if relay.addresses.contains(&address) {
                        continue;
                    }
                    relay.addresses.push(address);
                    let transport = match relay.server.transport {
                        Transport::Udp => 0,
                        Transport::Tcp => TCP_PENALTY,
                        Transport::Tls => TLS_PENALTY,
                    };
                    let crosses = address.is_ipv6() && self.sockets.keys().any(SocketAddr::is_ipv4);
                    let penalty = transport + if crosses { CROSSING_PENALTY } else { 0 };
                    let mut penalties =
                        self.penalties.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    penalties.insert(address, penalty);
                    let local = relay.socket.unwrap_or(address);
                    let Ok(candidate) = is::Candidate::relayed(address, local, Protocol::Udp) else {
                        continue;
                    };
                    let server = Some(relay.server.clone());
                    changes.added.push(Local {
                        candidate,
                        kind: CandidateKind::Relay,
                        base: address,
                        server,
                    });
                }
            }
            RelayEvent::Gone(id, failure) => {
                let Some(relay) = self.relays.remove(&id) else { return changes };
                self.failures.insert(relay.server.to_string(), failure.to_string());
                self.refusals.add((relay.socket, relay.server.to_string()), now);
                let had_some = !relay.addresses.is_empty();
                for address in relay.addresses {
                    changes.removed.extend(self.forget_base(address));
                }
                // One that was there is not any more: others may do what it did.
                if had_some && !self.has_relay() {
                    self.udp_works = false;
                    self.streams_at.get_or_insert(now);
                }
            }
        }
        changes
    }

    fn has_relay(&self) -> bool {
        self.relays.values().any(|relay| !relay.addresses.is_empty())
    }

    /// Takes in what may be an answer of a STUN server; `None` if it is none.
    pub(super) fn handle(&mut self, pair: Pair, datagram: &[u8], now: Instant) -> Option<Changes> {
        let answer = self.questions.handle(pair, datagram, now)?;
        let mut changes = Changes::default();
        changes.added.extend(self.on_answer(answer));
        Some(changes)
    }

    fn on_answer(&mut self, answer: Answer) -> Option<Local> {
        let mapped = answer.mapped?;
        self.udp_works = true;
        if let Some(url) = self.stun.get(&answer.pair.remote) {
            self.failures.remove(&url.to_string());
            self.refusals.remove(&(Some(answer.pair.local), url.to_string()));
        }
        let base = answer.pair.local;
        if mapped == base {
            return None;
        }
        let candidate = is::Candidate::server_reflexive(mapped, base, Protocol::Udp).ok()?;
        let server = self.stun.get(&answer.pair.remote).cloned();
        Some(Local { candidate, kind: CandidateKind::ServerReflexive, base, server })
    }

    /// Lets time pass.
    pub(super) fn drive(&mut self, now: Instant) {
        let sockets = &self.sockets;
        let silent = self.questions.poll(now, |pair, message| {
            if let Some(socket) = sockets.get(&pair.local) {
                socket.send_now(pair.remote, message);
            }
        });
        for answer in silent {
            if let Some(url) = self.stun.get(&answer.pair.remote) {
                self.failures.insert(url.to_string(), "it does not answer over UDP".to_owned());
                self.refusals.add((Some(answer.pair.local), url.to_string()), now);
            }
        }
        self.look_ups.drive(now);
        let due = self.refusals.due(now);
        self.ask_again(due, now);
        if self.streams_at.is_some_and(|at| at <= now) {
            self.streams_at = None;
            self.ask_streams();
        }
    }

    /// Asks servers that were asked before.
    fn ask_again(&mut self, servers: Vec<Asked>, now: Instant) {
        if servers.is_empty() {
            return;
        }
        for asked in servers {
            self.asked.remove(&asked);
        }
        self.ask(now);
        self.ask_streams();
    }

    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        let again = self.refusals.next_wakeup();
        [self.questions.next_wakeup(), self.look_ups.next_wakeup(), self.streams_at, again]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether nothing is under way any more.
    pub(super) fn is_complete(&self) -> bool {
        self.questions.is_empty()
            && !self.look_ups.are_pending()
            && self.streams_at.is_none()
            && self.relays.values().all(|relay| !relay.addresses.is_empty())
    }

    /// Other servers or credentials from now on. Relays that there are stay: they are known by the credentials that they were
    /// asked for with.
    pub(super) fn set_servers(&mut self, servers: Vec<IceServer>, now: Instant) {
        self.config.servers = servers;
        self.ask(now);
    }

    /// The machine has slept: relays give up what they have not been asked to keep (RFC 8656 section 9: permissions last five
    /// minutes), and the clock by which that is asked for stood still. So they are all asked for anew.
    pub(super) fn on_wake(&mut self, slept: Duration, now: Instant) -> Changes {
        let mut changes = Changes::default();
        if slept < RELAYS_SURVIVE {
            return changes;
        }
        self.look_ups.forget();
        for (_, relay) in std::mem::take(&mut self.relays) {
            self.refusals.soon((relay.socket, relay.server.to_string()), now);
            for address in relay.addresses {
                changes.removed.extend(self.forget_base(address));
            }
        }
        self.wire.forget_relays();
        self.udp_works = false;
        changes
    }

    /// Looks which addresses this machine has now.
    pub(super) fn on_network(&mut self, now: Instant) -> Changes {
        let wanted: BTreeSet<_> =
            interfaces::addresses(&self.config.bind).iter().map(SocketAddr::ip).collect();
        let gone: Vec<_> =
            self.sockets.keys().copied().filter(|local| !wanted.contains(&local.ip())).collect();
        let mut changes = Changes::default();
        for local in &gone {
            self.sockets.remove(local);
            self.questions.forget(*local);
            self.asked.retain(|(from, _)| *from != Some(*local));
            self.refusals.forget(*local);
            changes.removed.extend(self.forget_base(*local));
            // Streams follow their interface: nobody tells by which they left, so all are asked for again.
            let lost = |relay: &Relay| relay.socket.is_none_or(|socket| socket == *local);
            let lost: Vec<_> =
                self.relays.iter().filter(|(_, relay)| lost(relay)).map(|(id, _)| *id).collect();
            for id in lost {
                let Some(relay) = self.relays.remove(&id) else { continue };
                self.asked.remove(&(relay.socket, relay.server.to_string()));
                for address in relay.addresses {
                    changes.removed.extend(self.forget_base(address));
                }
            }
            self.wire.remove_local(*local);
        }
        for local in self.streams.forget(|ip| !wanted.contains(&ip)) {
            changes.removed.extend(self.forget_base(local));
            self.wire.remove_local(local);
        }
        let bound: BTreeSet<_> = self.sockets.keys().map(SocketAddr::ip).collect();
        let mut new = false;
        for ip in wanted.difference(&bound) {
            match Socket::bind(SocketAddr::new(*ip, 0)) {
                Ok(socket) => {
                    let socket = Arc::new(socket);
                    let local = socket.local();
                    self.wire.add_socket(Arc::clone(&socket));
                    self.sockets.insert(local, socket);
                    changes.added.extend(self.host(local));
                    changes.added.extend(self.listen(*ip));
                    new = true;
                }
                // A new IPv6 address is not usable until it is known that nobody else has it; a change is told then.
                Err(error) => debug!(%error, "a new address can't be used yet"),
            }
        }
        if new || !gone.is_empty() {
            self.udp_works = false;
            self.failures.clear();
            self.look_ups.forget();
            for asked in self.refusals.take() {
                self.asked.remove(&asked);
            }
            self.streams_at = Some(now + STREAMS_AFTER);
            self.ask(now);
        }
        changes
    }

    fn forget_base(&mut self, base: SocketAddr) -> Vec<Local> {
        self.locals.extract_if(.., |local| local.base == base).collect()
    }

    /// How datagrams get to the other end of a pair.
    pub(super) fn carrier(&self, pair: Pair) -> Option<Carrier> {
        if let Some(socket) = self.sockets.get(&pair.local) {
            return Some(Carrier::Socket(Arc::clone(socket)));
        }
        if self.is_tcp(pair.local) {
            return self.streams.handle(pair).map(Carrier::Stream);
        }
        self.relay_at(pair.local).map(|relay| Carrier::Relay(relay.handle.clone()))
    }

    /// Whether an address of ours takes connections, and no datagrams.
    pub(super) fn is_tcp(&self, local: SocketAddr) -> bool {
        self.streams.listens_at(local)
    }

    /// How the relay with this address is reached.
    pub(super) fn relay_transport(&self, address: SocketAddr) -> Option<Transport> {
        self.relay_at(address).map(|relay| relay.server.transport)
    }

    fn relay_at(&self, address: SocketAddr) -> Option<&Relay> {
        self.relays.values().find(|relay| relay.addresses.contains(&address))
    }

    pub(super) fn send(&mut self, pair: Pair, datagram: &[u8], now: Instant) {
        if let Some(socket) = self.sockets.get(&pair.local) {
            socket.send_now(pair.remote, datagram);
        } else if self.streams.listens_at(pair.local) {
            self.streams.send(pair, datagram, now);
        } else if let Some(relay) = self.relay_at(pair.local) {
            relay.handle.send(pair.remote, datagram);
        }
    }

    /// Lets relays take what comes from an address of the other side. Without a check on the way there, it would be dropped.
    pub(super) fn permit(&self, remote: SocketAddr) {
        for relay in self.relays.values() {
            if relay.addresses.iter().any(|address| address.is_ipv4() == remote.is_ipv4()) {
                relay.handle.permit(remote.ip());
            }
        }
    }
}
