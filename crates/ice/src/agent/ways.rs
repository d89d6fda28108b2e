//! This side's addresses: sockets, what STUN servers say of them, and relays.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use is::Protocol;
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::interfaces;
use super::sessions::Penalties;
use crate::candidate::CandidateKind;
use crate::config::{IceConfig, IceServer, Policy, ServerUrl, Transport};
use crate::gather::{Answer, Questions};
use crate::relay::{self, Connector, RelayEvent, RelayHandle, RelayId, Way};
use crate::socket::Socket;
use crate::wire::{Carrier, Pair, Wire};

/// How long UDP may stay silent before relays are asked over TCP and TLS as well: one round trip to nearly everywhere. Where UDP
/// is blocked this is what a call takes longer.
const STREAMS_AFTER: Duration = Duration::from_millis(250);
/// Relays at once: two interfaces with two families, by two transports. A server has a quota for each user.
const RELAYS_MOST: usize = 8;
/// And relays with IPv6 addresses, where this machine has IPv4: they are for who has only IPv6. Otherwise two of them would be
/// preferred to one with IPv4.
const CROSSING_PENALTY: u32 = 8000;
/// When a server that gave no relay is asked again; each time it waits twice as long.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MOST: Duration = Duration::from_secs(60);
/// How long a name may take to be looked up.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);
/// How much less relays over TCP and TLS are worth than those over UDP: with TCP, what is lost holds up what comes behind it, and
/// TLS costs a little on top. More than `is` gives to a second relay.
const TCP_PENALTY: u32 = 2000;
const TLS_PENALTY: u32 = 4000;

/// A server, from a socket or by a stream.
type Asked = (Option<SocketAddr>, String);

/// A name that was looked up.
#[derive(Debug)]
pub(super) struct LookedUp {
    url: ServerUrl,
    addresses: Result<Vec<SocketAddr>, String>,
}

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

/// All ways out.
#[derive(Debug)]
pub(super) struct Ways {
    config: IceConfig,
    wire: Wire,
    sockets: BTreeMap<SocketAddr, Arc<Socket>>,
    questions: Questions,
    relays: BTreeMap<RelayId, Relay>,
    next_relay: u32,
    relay_events: mpsc::Sender<RelayEvent>,
    looking_up: BTreeSet<String>,
    looked_up: mpsc::Sender<LookedUp>,
    addresses: HashMap<String, Vec<SocketAddr>>,
    /// What was asked already: a server from a socket, or by a stream.
    asked: BTreeSet<Asked>,
    /// Servers that gave no relay: how often in a row, and when to ask again.
    refused: BTreeMap<Asked, (u32, Instant)>,
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
        relay_events: mpsc::Sender<RelayEvent>,
        looked_up: mpsc::Sender<LookedUp>,
    ) -> Self {
        Self {
            config,
            wire,
            sockets: sockets.into_iter().map(|socket| (socket.local(), socket)).collect(),
            questions: Questions::default(),
            relays: BTreeMap::new(),
            next_relay: 0,
            relay_events,
            looking_up: BTreeSet::new(),
            looked_up,
            addresses: HashMap::new(),
            asked: BTreeSet::new(),
            refused: BTreeMap::new(),
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
        }
        self.look_up();
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

    /// Looks the servers' names up.
    fn look_up(&mut self) {
        for server in &self.config.servers {
            let url = &server.url;
            let key = format!("{}:{}", url.host, url.port);
            if url.transport != Transport::Udp || self.addresses.contains_key(&key) {
                continue;
            }
            if let Ok(ip) = url.host.parse() {
                self.addresses.insert(key, vec![SocketAddr::new(ip, url.port)]);
            } else if self.looking_up.insert(key) {
                let (url, report) = (url.clone(), self.looked_up.clone());
                tokio::spawn(async move {
                    let host = (url.host.clone(), url.port);
                    let found = timeout(LOOK_UP_WITHIN, lookup_host(host)).await;
                    let addresses = match found {
                        Ok(Ok(addresses)) => Ok(addresses.collect()),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err("the name server does not answer".to_owned()),
                    };
                    let _ = report.send(LookedUp { url, addresses }).await;
                });
            }
        }
    }

    pub(super) fn on_looked_up(&mut self, LookedUp { url, addresses }: LookedUp, now: Instant) {
        let key = format!("{}:{}", url.host, url.port);
        self.looking_up.remove(&key);
        match addresses {
            Ok(addresses) => {
                self.addresses.insert(key, addresses);
                self.ask(now);
            }
            Err(error) => {
                warn!(%error, "an ICE server's name can't be looked up");
                self.failures.insert(url.to_string(), error);
            }
        }
    }

    /// Asks every server whose address is known from every socket, once.
    fn ask(&mut self, now: Instant) {
        for server in self.config.servers.clone() {
            if server.url.transport != Transport::Udp {
                continue;
            }
            let key = format!("{}:{}", server.url.host, server.url.port);
            let Some(addresses) = self.addresses.get(&key).cloned() else { continue };
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
                self.refused.remove(&(relay.socket, relay.server.to_string()));
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
                let (times, at) =
                    self.refused.entry((relay.socket, relay.server.to_string())).or_insert((0, now));
                *at = now + (AGAIN * 2_u32.saturating_pow(*times)).min(AGAIN_MOST);
                *times += 1;
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
        let base = answer.pair.local;
        if mapped == base {
            return None;
        }
        let candidate = is::Candidate::server_reflexive(mapped, base, Protocol::Udp).ok()?;
        let servers = self.config.servers.iter().map(|server| &server.url);
        let asked = servers.filter(|url| !url.relays).find(|url| url.port == answer.pair.remote.port());
        let server = asked.cloned();
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
            self.failures
                .insert(format!("stun {}", answer.pair.remote), "it does not answer over UDP".to_owned());
        }
        let due = self.refused.iter().filter(|(_, (_, at))| *at <= now);
        let due: Vec<_> = due.map(|(asked, _)| asked.clone()).collect();
        if !due.is_empty() {
            for asked in due {
                self.asked.remove(&asked);
                // Until it answers again, nothing is to be done here.
                if let Some((_, at)) = self.refused.get_mut(&asked) {
                    *at = now + AGAIN_MOST * 2;
                }
            }
            self.ask(now);
            self.ask_streams();
        }
        if self.streams_at.is_some_and(|at| at <= now) {
            self.streams_at = None;
            self.ask_streams();
        }
    }

    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        let again = self.refused.values().map(|(_, at)| *at).min();
        self.questions.next_wakeup().into_iter().chain(self.streams_at).chain(again).min()
    }

    /// Whether nothing is under way any more.
    pub(super) fn is_complete(&self) -> bool {
        self.questions.is_empty()
            && self.looking_up.is_empty()
            && self.streams_at.is_none()
            && self.relays.values().all(|relay| !relay.addresses.is_empty())
    }

    /// Other servers or credentials from now on. Relays that there are stay: they are known by the credentials that they were
    /// asked for with.
    pub(super) fn set_servers(&mut self, servers: Vec<IceServer>, now: Instant) {
        self.config.servers = servers;
        self.look_up();
        self.ask(now);
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
            self.refused.retain(|(from, _), _| *from != Some(*local));
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
                    new = true;
                }
                // A new IPv6 address is not usable until it is known that nobody else has it; a change is told then.
                Err(error) => debug!(%error, "a new address can't be used yet"),
            }
        }
        if new || !gone.is_empty() {
            self.udp_works = false;
            self.failures.clear();
            self.refused.clear();
            self.streams_at = Some(now + STREAMS_AFTER);
            self.ask(now);
        }
        changes
    }

    fn forget_base(&mut self, base: SocketAddr) -> Vec<Local> {
        self.locals.extract_if(.., |local| local.base == base).collect()
    }

    /// How datagrams leave from an address of ours.
    pub(super) fn carrier(&self, local: SocketAddr) -> Option<Carrier> {
        if let Some(socket) = self.sockets.get(&local) {
            return Some(Carrier::Socket(Arc::clone(socket)));
        }
        self.relay_at(local).map(|relay| Carrier::Relay(relay.handle.clone()))
    }

    /// How the relay with this address is reached.
    pub(super) fn relay_transport(&self, address: SocketAddr) -> Option<Transport> {
        self.relay_at(address).map(|relay| relay.server.transport)
    }

    fn relay_at(&self, address: SocketAddr) -> Option<&Relay> {
        self.relays.values().find(|relay| relay.addresses.contains(&address))
    }

    pub(super) fn send(&self, pair: Pair, datagram: &[u8]) {
        if let Some(socket) = self.sockets.get(&pair.local) {
            socket.send_now(pair.remote, datagram);
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
