//! The task: what comes in is told to whom it concerns, and what follows from it is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use is::Protocol;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::{debug, info};

use super::look_ups::LookedUp;
use super::names;
use super::sessions::{Meaning, Penalties, Session, is_request, number_of};
use super::ways::{Changes, Local, Reports, Ways};
use super::{Command, IceEvent, IceState};
use crate::candidate::{Candidate, CandidateKind, Line};
use crate::config::{Credentials, IceConfig};
use crate::paths::{Media, Paths};
use crate::relay::{self, RelayEvent};
use crate::socket::Socket;
use crate::streams::{self, StreamEvent};
use crate::view::{IceView, LocalView, PairView, RemoteView};
use crate::wire::{Arrival, Carrier, Pair, Wire};

/// Candidates that the other side may have: more make more pairs than anybody checks.
const REMOTES_MOST: usize = 64;
/// Names that may be asked for at once. Each is a question to the whole network.
const NAMES_MOST: usize = 8;
/// Without a sign of the other side for this long there is no way.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(3);
/// And for this long, it is to be told to people.
const FAILED_AFTER: Duration = Duration::from_secs(15);
/// When media comes another way, the pair in use has to be silent for 50 ms before that means anything.
const LOOK_AFTER_MOVE: Duration = Duration::from_millis(60);
/// The longest that nothing is looked at while something may change by itself.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Actor {
    ways: Ways,
    penalties: Penalties,
    wire: Wire,
    events: mpsc::Sender<IceEvent>,
    relay_events: mpsc::Receiver<RelayEvent>,
    stream_events: mpsc::Receiver<StreamEvent>,
    looked_up: mpsc::Receiver<LookedUp>,
    /// Addresses behind names, as candidates' lines.
    named: (mpsc::Sender<String>, mpsc::Receiver<String>),
    current: Session,
    previous: Option<Session>,
    paths: Paths,
    in_use: Option<Pair>,
    /// Where to begin, when the check that came from there is answered.
    beginning: Option<Pair>,
    /// When to look again whether it has moved.
    look_at: Option<Instant>,
    /// Where the other side has just moved to.
    following: Option<Pair>,
    /// What has not been told yet.
    outbox: Vec<IceEvent>,
    state: IceState,
    gathered: bool,
    /// Since when the other side is looked for without a sign.
    searching_since: Option<Instant>,
}

impl Actor {
    pub(super) fn new(
        config: IceConfig,
        credentials: Credentials,
        sockets: Vec<Arc<Socket>>,
        wire: Wire,
        events: mpsc::Sender<IceEvent>,
    ) -> Self {
        let penalties = Penalties::default();
        let (relays, relay_events) = mpsc::channel(relay::EVENTS);
        let (look_ups, looked_up) = mpsc::channel(relay::EVENTS);
        let (streams, stream_events) = mpsc::channel(streams::EVENTS);
        let reports = Reports { relays, look_ups, streams };
        Self {
            ways: Ways::new(config, sockets, wire.clone(), Arc::clone(&penalties), reports),
            current: Session::new(&credentials, &penalties),
            penalties,
            wire,
            events,
            relay_events,
            stream_events,
            looked_up,
            named: mpsc::channel(NAMES_MOST),
            previous: None,
            paths: Paths::default(),
            in_use: None,
            beginning: None,
            look_at: None,
            following: None,
            outbox: Vec::new(),
            state: IceState::New,
            gathered: false,
            searching_since: None,
        }
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut arrivals: mpsc::Receiver<Arrival>,
    ) {
        let changes = self.ways.gather(Instant::now());
        self.apply(changes);
        loop {
            let now = Instant::now();
            self.drive(now);
            for event in std::mem::take(&mut self.outbox) {
                // An owner that has dropped the events is about to drop the handle.
                let _ = self.events.send(event).await;
            }
            let wakeup = self.next_wakeup(now);
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Close) | None => break,
                    Some(command) => self.on_command(command),
                },
                Some(arrival) = arrivals.recv() => self.on_arrival(&arrival),
                Some(event) = self.relay_events.recv() => {
                    let changes = self.ways.on_relay(event, Instant::now());
                    self.apply(changes);
                }
                Some(looked_up) = self.looked_up.recv() => self.ways.on_looked_up(looked_up, Instant::now()),
                Some(event) = self.stream_events.recv() => self.ways.on_stream(event, Instant::now()),
                Some(line) = self.named.1.recv() => self.on_named(&line),
                () = sleep_until(wakeup.into()) => {}
            }
        }
        self.wire.close();
        // Until here, so that whoever waits for the end of the commands finds everything given back.
        drop(self);
        drop(commands);
    }

    fn on_command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Remote { credentials, controlling } => {
                self.current.set_remote(credentials, controlling);
                self.searching_since.get_or_insert(now);
                self.current.nudge(now);
            }
            Command::Restart(credentials) => self.restart(&credentials, now),
            Command::Candidate(candidate) => self.add_remote(candidate, now),
            Command::Name { name, line } => self.look_for(name, line),
            Command::Woke(slept) => {
                let changes = self.ways.on_wake(slept, now);
                self.apply(changes);
                self.on_command(Command::NetworkChanged);
            }
            Command::NetworkChanged => {
                let changes = self.ways.on_network(now);
                if !changes.added.is_empty() || !changes.removed.is_empty() {
                    info!(
                        new = changes.added.len(),
                        gone = changes.removed.len(),
                        "this machine's addresses changed"
                    );
                    self.gathered = false;
                }
                self.apply(changes);
            }
            Command::Servers(servers) => self.ways.set_servers(servers, now),
            Command::View(reply) => drop(reply.send(self.view())),
            Command::Close => {}
        }
    }

    fn restart(&mut self, credentials: &Credentials, now: Instant) {
        let session = Session::new(credentials, &self.penalties);
        let past = std::mem::replace(&mut self.current, session);
        // Two restarts in a row: the last one that had a way is worth more than one that never had.
        if past.nominated.is_some() || self.previous.is_none() {
            self.previous = Some(past);
        }
        for local in &self.ways.locals {
            self.current.add_local(local.candidate.clone());
        }
        self.searching_since = Some(now);
    }

    fn add_remote(&mut self, candidate: Candidate, now: Instant) {
        if self.current.remotes.len() >= REMOTES_MOST {
            debug!("the other side has too many addresses");
            return;
        }
        if !candidate.is_tcp() {
            self.ways.permit(candidate.address());
        }
        self.current.add_remote(candidate);
        self.current.nudge(now);
    }

    fn look_for(&self, name: String, line: String) {
        let found = self.named.0.clone();
        // One place in the queue for each question, so that the answer has one.
        let Ok(place) = found.try_reserve_owned() else { return };
        tokio::spawn(async move {
            if let Some(address) = names::resolve(&name).await {
                place.send(line.replacen(&name, &address.to_string(), 1));
            }
        });
    }

    fn on_named(&mut self, line: &str) {
        if let Ok(Line::Candidate(candidate)) = Candidate::read(line) {
            self.add_remote(candidate, Instant::now());
        }
    }

    fn on_arrival(&mut self, Arrival { pair, datagram }: &Arrival) {
        let now = Instant::now();
        if datagram.is_empty() {
            // Media has begun to come another way. Whether that means something is seen a little later as well.
            self.look_at = Some(now + LOOK_AFTER_MOVE);
            return;
        }
        if let Some(changes) = self.ways.handle(*pair, datagram, now) {
            self.apply(changes);
            return;
        }
        let proto = if self.ways.is_tcp(pair.local) { Protocol::Tcp } else { Protocol::Udp };
        let mut meaning = self.current.handle(*pair, proto, datagram, now);
        if meaning == Meaning::None
            && let Some(previous) = &mut self.previous
        {
            meaning = previous.handle(*pair, proto, datagram, now);
        }
        match meaning {
            Meaning::Check => {
                self.wire.recognise(*pair, now);
                // The other side is there and wants to be answered: the DTLS handshake may begin before the way back is proven,
                // which takes half a round trip more. Only those who know our password get it.
                if self.in_use.is_none() && self.current.has_remote() {
                    self.beginning = Some(*pair);
                }
            }
            Meaning::Answer { number, mapped } => {
                self.wire.recognise(*pair, now);
                let cost = self.cost_of(*pair);
                if self.paths.answered(*pair, number, mapped, cost, now) {
                    debug!(cost, "a pair works");
                }
            }
            Meaning::None => {}
        }
    }

    /// What a pair costs beyond its time: relays are a detour, and over TCP what is lost holds up what comes behind it.
    fn cost_of(&self, pair: Pair) -> u8 {
        const RELAY: u8 = 2;
        const TCP: u8 = 1;
        u8::from(self.ways.relay_transport(pair.local).is_some()) * RELAY
            + u8::from(self.remote_kind(pair) == CandidateKind::Relay) * RELAY
            + u8::from(self.ways.is_tcp(pair.local)) * TCP
    }

    /// Lets time pass.
    fn drive(&mut self, now: Instant) {
        self.ways.drive(now);
        let (ways, paths) = (&mut self.ways, &mut self.paths);
        let mut send = |pair: Pair, message: &[u8]| {
            if is_request(message)
                && let Some(number) = number_of(message)
            {
                paths.asked(pair, number, now);
            }
            ways.send(pair, message, now);
        };
        self.current.drive(now, &mut send);
        if let Some(previous) = &mut self.previous {
            previous.drive(now, &mut send);
        }
        if let Some(pair) = self.beginning.take().filter(|_| self.in_use.is_none()) {
            self.use_pair(pair);
        }
        let heard = |pair| self.wire.heard(pair);
        for pair in self.paths.due(self.in_use, heard, now) {
            let session =
                if self.current.nominated.is_some() { Some(&self.current) } else { self.previous.as_ref() };
            if let Some(check) = session.unwrap_or(&self.current).check()
                && let Some(number) = number_of(&check)
            {
                self.paths.asked(pair, number, now);
                self.ways.send(pair, &check, now);
            }
        }
        self.choose(now);
        self.judge(now);
        if !self.gathered && self.ways.is_complete() {
            self.gathered = true;
            self.outbox.push(IceEvent::Gathered);
        }
    }

    fn choose(&mut self, now: Instant) {
        if self.current.nominated.is_some() && self.previous.take().is_some() {
            debug!("the new session has a way");
        }
        let nominated =
            self.current.nominated.or(self.previous.as_ref().and_then(|previous| previous.nominated));
        let heard = |pair| self.wire.heard(pair);
        let media = |pair| self.wire.media(pair).map(|(last, since)| Media { last, since });
        let chosen = self.paths.choose(nominated, self.in_use, heard, now);
        self.following = match self.following.filter(|pair| self.paths.follows(*pair, media, now)) {
            Some(pair) => Some(pair),
            None => self.paths.moved(self.in_use, media, now),
        };
        if let Some(chosen) = self.following.or(chosen)
            && (self.in_use != Some(chosen) || self.state != IceState::Connected)
        {
            self.use_pair(chosen);
        }
    }

    fn use_pair(&mut self, pair: Pair) {
        let Some(carrier) = self.ways.carrier(pair) else { return };
        if self.in_use != Some(pair) {
            if let Carrier::Relay(relay) = &carrier {
                relay.bind(pair.remote);
            }
            self.wire.set_route(pair, carrier);
            self.in_use = Some(pair);
        }
        if self.paths.get(&pair).is_some() {
            let view = self.pair_view(pair);
            info!(path = ?view, "path in use");
            self.outbox.extend(view.map(IceEvent::Path));
        }
    }

    /// Whether there is a way.
    fn judge(&mut self, now: Instant) {
        let working = self.in_use.and_then(|pair| self.paths.get(&pair)).is_some_and(|path| !path.is_dead());
        let state = if working {
            self.searching_since = None;
            IceState::Connected
        } else {
            match (self.state, self.searching_since) {
                (IceState::New, None) => IceState::New,
                (IceState::Connected, None) => {
                    self.searching_since = Some(self.last_sign().unwrap_or(now));
                    IceState::Connected
                }
                (state, None) => state,
                (state, Some(since)) => match now.saturating_duration_since(since) {
                    long if long >= FAILED_AFTER => IceState::Failed,
                    long if long >= DISCONNECTED_AFTER && state == IceState::Connected => {
                        IceState::Disconnected
                    }
                    _ if state == IceState::New => IceState::Checking,
                    _ => state,
                },
            }
        };
        if state != self.state {
            info!(?state, "ICE");
            self.state = state;
            self.outbox.push(IceEvent::State(state));
        }
    }

    /// When the other side was heard of last, on any pair.
    fn last_sign(&self) -> Option<Instant> {
        self.paths.iter().filter_map(|(pair, _)| self.wire.heard(*pair)).max()
    }

    fn next_wakeup(&mut self, now: Instant) -> Instant {
        let heard = |pair| self.wire.heard(pair);
        let previous = self.previous.as_mut().and_then(Session::next_wakeup);
        let wakeups = [
            self.current.next_wakeup(),
            previous,
            self.ways.next_wakeup(),
            self.paths.next_wakeup(self.in_use, heard),
            self.look_at.filter(|at| *at > now),
            Some(now + LOOK_EVERY),
        ];
        wakeups.into_iter().flatten().min().unwrap_or(now + LOOK_EVERY)
    }

    fn apply(&mut self, changes: Changes) {
        for local in changes.removed {
            self.remove(local);
        }
        for local in changes.added {
            if let Some(previous) = &mut self.previous {
                previous.add_local(local.candidate.clone());
            }
            // What there is already is not told again, such as what two servers see alike.
            if let Some(known) = self.current.add_local(local.candidate.clone()) {
                self.outbox.push(IceEvent::Candidate(line_of(&known)));
                if local.kind == CandidateKind::Relay {
                    for remote in self.current.remotes.iter().filter(|remote| !remote.is_tcp()) {
                        self.ways.permit(remote.address());
                    }
                }
                self.ways.locals.push(Local { candidate: known, ..local });
            }
        }
        self.current.nudge(Instant::now());
    }

    fn remove(&mut self, local: Local) {
        self.outbox.push(IceEvent::Withdrawn(line_of(&local.candidate)));
        self.current.remove_local(&local.candidate);
        if let Some(previous) = &mut self.previous {
            previous.remove_local(&local.candidate);
        }
        self.paths.forget_local(local.base);
        if self.in_use.is_some_and(|pair| pair.local == local.base) {
            self.in_use = None;
            self.wire.drop_route();
        }
    }

    fn remote_kind(&self, pair: Pair) -> CandidateKind {
        let sessions = [Some(&self.current), self.previous.as_ref()];
        let remotes = sessions.into_iter().flatten().flat_map(|session| &session.remotes);
        let known = remotes.filter(|remote| remote.address() == pair.remote).map(Candidate::kind);
        known.min().unwrap_or(CandidateKind::PeerReflexive)
    }

    fn local_kind(&self, pair: Pair) -> CandidateKind {
        if self.ways.relay_transport(pair.local).is_some() {
            return CandidateKind::Relay;
        }
        let mapped = self.paths.get(&pair).and_then(|path| path.mapped).unwrap_or(pair.local);
        // Connections leave from ports of their own.
        if self.ways.is_tcp(pair.local) && mapped.ip() == pair.local.ip() {
            return CandidateKind::Host;
        }
        let known = self.ways.locals.iter().filter(|local| local.candidate.addr() == mapped);
        known.map(|local| local.kind).min().unwrap_or(CandidateKind::PeerReflexive)
    }

    fn pair_view(&self, pair: Pair) -> Option<PairView> {
        let path = self.paths.get(&pair)?;
        Some(PairView {
            local_kind: self.local_kind(pair),
            local: pair.local,
            relay_transport: self.ways.relay_transport(pair.local),
            remote_kind: self.remote_kind(pair),
            remote: pair.remote,
            is_tcp: self.ways.is_tcp(pair.local),
            round_trip: path.round_trip,
            in_use: self.in_use == Some(pair),
            dead: path.is_dead(),
        })
    }

    fn view(&self) -> IceView {
        let locals = self.ways.locals.iter().map(|local| LocalView {
            kind: local.kind,
            address: local.candidate.addr(),
            priority: local.candidate.prio(),
            server: local.server.as_ref().map(ToString::to_string),
            relay_transport: self.ways.relay_transport(local.candidate.addr()),
            is_tcp: local.candidate.proto() == Protocol::Tcp,
        });
        let remotes = self.current.remotes.iter().map(|remote| RemoteView {
            kind: remote.kind(),
            address: remote.address(),
            priority: remote.inner.prio(),
            is_tcp: remote.is_tcp(),
        });
        IceView {
            locals: locals.collect(),
            remotes: remotes.collect(),
            pairs: self.paths.iter().filter_map(|(pair, _)| self.pair_view(*pair)).collect(),
            gathered: self.ways.is_complete(),
            failures: self.ways.failures.clone().into_iter().collect(),
        }
    }
}

/// A candidate's line, without the session that it belongs to: it may be told again in another.
fn line_of(candidate: &is::Candidate) -> String {
    let line = candidate.to_sdp_string();
    line.split(" ufrag ").next().unwrap_or_default().to_owned()
}
