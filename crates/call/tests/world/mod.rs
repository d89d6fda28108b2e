//! Devices, the real server's machine, and networks between them, on virtual time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ahoy_call::{
    CallMachine, CallRecord, CallSnapshot, Command, CommandError, Control, Input, LinkState, Output, PeerId,
    StageName, View,
};
use ahoy_server::realtime::call::machine::{CallInput, CallMachine as Switchboard, CallOutput};
use ahoy_signal::{
    CallId, CallMedia, CallPeer, CallSignal, ClientMessage, DescriptionKind, Handle, IceGeneration, Name,
    RequestId, Sdp, ServerMessage, SessionId, UserId,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// Longest way of a message, in milliseconds.
const WAY_MOST_MS: u64 = 300;
/// How long finding a path takes.
const CONNECTING: Duration = Duration::from_millis(80);

/// A device, by its number.
pub(crate) type Device = usize;

/// What is on its way.
#[derive(Debug)]
enum Mail {
    ToServer { from: Device, session: SessionId, re: RequestId, message: ClientMessage },
    ToDevice { session: SessionId, re: Option<RequestId>, message: ServerMessage },
    Welcome { session: SessionId },
    Link { device: Device, leg: u64, state: LinkState },
    Direct { to: Device, leg: u64, message: Control },
}

/// A leg that a device has opened.
#[derive(Clone, Copy, Debug)]
struct OpenLeg {
    /// Never used twice: what was meant for a leg before goes nowhere.
    number: u64,
    peer: PeerId,
    offers: bool,
    /// The other end, once an offer was answered.
    joined: Option<(Device, u64)>,
    connected: bool,
}

struct Place {
    user: CallPeer,
    machine: CallMachine,
    session: SessionId,
    online: bool,
    requests: u64,
    asked: BTreeMap<RequestId, CallId>,
    leg: Option<OpenLeg>,
    /// Whether the devices are open.
    media: bool,
    over: Vec<CallRecord>,
    rang: usize,
    restarts: usize,
    /// How the other side shows what is sent, as it has said.
    viewed: Vec<Option<View>>,
    /// Messages arrive in order: none before this.
    sent_until: Instant,
    told_until: Instant,
}

/// All of it.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) random: Pcg64Mcg,
    switchboard: Switchboard,
    places: Vec<Place>,
    mail: Vec<(Instant, u64, Mail)>,
    order: u64,
    sessions: u128,
    calls: u128,
    legs: u64,
    /// Whether packets get from one device to another.
    pub(crate) network: bool,
}

impl World {
    /// As many users as the slice is long, each with so many devices, all online.
    pub(crate) fn new(seed: u64, devices: &[usize]) -> Self {
        let now = Instant::now();
        let mut world = Self {
            now,
            random: Pcg64Mcg::seed_from_u64(seed),
            switchboard: Switchboard::default(),
            places: Vec::new(),
            mail: Vec::new(),
            order: 0,
            sessions: 0,
            calls: 0,
            legs: 0,
            network: true,
        };
        for (number, count) in devices.iter().enumerate() {
            let name = format!("user{number}");
            let user = CallPeer {
                user: UserId::from_bits(number as u128 + 1),
                handle: Handle::new(name.clone()).unwrap(),
                name: Name::new(name).unwrap(),
            };
            for _ in 0..*count {
                world.places.push(Place {
                    user: user.clone(),
                    machine: CallMachine::default(),
                    session: SessionId::from_bits(0),
                    online: false,
                    requests: 0,
                    asked: BTreeMap::new(),
                    leg: None,
                    media: false,
                    over: Vec::new(),
                    rang: 0,
                    restarts: 0,
                    viewed: Vec::new(),
                    sent_until: now,
                    told_until: now,
                });
            }
        }
        for device in 0..world.places.len() {
            world.begin_session(device);
        }
        world.run_for(Duration::from_secs(1));
        world
    }

    pub(crate) fn user(&self, device: Device) -> CallPeer {
        self.places[device].user.clone()
    }

    pub(crate) fn snapshot(&self, device: Device) -> CallSnapshot {
        self.places[device].machine.snapshot(self.now)
    }

    /// Calls of a device that are over.
    pub(crate) fn over(&self, device: Device) -> &[CallRecord] {
        &self.places[device].over
    }

    pub(crate) fn restarts(&self, device: Device) -> usize {
        self.places[device].restarts
    }

    /// Takes what a device was told of how it is shown.
    pub(crate) fn take_views(&mut self, device: Device) -> Vec<Option<View>> {
        std::mem::take(&mut self.places[device].viewed)
    }

    /// Whether both ends of a device's leg are connected to each other, in the same call.
    pub(crate) fn talks(&self, device: Device) -> bool {
        let Some(leg) = self.places[device].leg.filter(|leg| leg.connected) else { return false };
        let Some((other, number)) = leg.joined else { return false };
        let theirs = self.places[other].leg.filter(|leg| leg.number == number && leg.connected);
        let call = |device| self.snapshot(device).current.map(|current| (current.call, current.stage));
        let here = call(device);
        theirs.is_some_and(|theirs| theirs.joined == Some((device, leg.number)))
            && here == call(other)
            && here.is_some_and(|(_, stage)| stage == StageName::Answered)
    }

    /// How many calls the server knows: ringing, and answered.
    pub(crate) fn known_to_server(&self) -> (usize, usize) {
        self.switchboard.count()
    }

    pub(crate) fn command(&mut self, device: Device, command: Command) -> Result<(), CommandError> {
        let done = self.places[device].machine.command(command, self.now);
        self.carry_out(device);
        done
    }

    /// Calls the user of another device.
    pub(crate) fn call(&mut self, device: Device, to: Device) -> CallId {
        self.calls += 1;
        let call = CallId::from_bits(self.calls << 64 | self.random.random::<u64>() as u128);
        let peer = self.user(to);
        self.command(device, Command::Call { call, peer, media: CallMedia::Video }).expect("it can call");
        call
    }

    /// Takes the oldest call that rings.
    pub(crate) fn answer(&mut self, device: Device) {
        let call = self.snapshot(device).incoming.first().expect("it rings").call;
        self.command(device, Command::Accept { call, media: CallMedia::Video }).expect("it rings");
    }

    /// The server forgets everything; everybody comes back with a new session.
    pub(crate) fn restart_server(&mut self) {
        self.switchboard = Switchboard::default();
        self.mail.retain(|(_, _, mail)| matches!(mail, Mail::Link { .. } | Mail::Direct { .. }));
        for device in 0..self.places.len() {
            self.begin_session(device);
        }
    }

    /// A device ends without a word.
    pub(crate) fn kill(&mut self, device: Device) {
        let session = self.places[device].session;
        self.places[device].online = false;
        let joined = self.places[device].leg.take().and_then(|leg| leg.joined);
        if let Some((other, leg)) = joined {
            let state = LinkState::Disconnected;
            self.post(Duration::from_secs(5), Mail::Link { device: other, leg, state });
        }
        let outputs = self.switchboard.handle(CallInput::SessionOver { session }, self.now);
        self.serve(outputs);
    }

    /// Nothing gets from device to device any more, or does again.
    pub(crate) fn set_network(&mut self, works: bool) {
        self.network = works;
        let state = if works { LinkState::Connected } else { LinkState::Disconnected };
        for device in 0..self.places.len() {
            if let Some(leg) = self.places[device].leg.filter(|leg| leg.joined.is_some()) {
                self.post(CONNECTING, Mail::Link { device, leg: leg.number, state });
            }
        }
    }

    /// Lets so much time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let mail = self.mail.iter().map(|(at, order, _)| (*at, *order)).min();
            let ticks = self.places.iter().filter_map(|place| place.machine.deadline());
            let tick = ticks.chain(self.switchboard.deadline()).min();
            let next = mail.map(|(at, _)| at).into_iter().chain(tick).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            match mail.filter(|(at, _)| *at <= next) {
                Some(first) => {
                    let place = self.mail.iter().position(|(at, order, _)| (*at, *order) == first).unwrap();
                    let (_, _, mail) = self.mail.swap_remove(place);
                    self.arrive(mail);
                }
                None => self.tick(),
            }
        }
        self.now = end;
    }

    fn tick(&mut self) {
        let outputs = self.switchboard.handle(CallInput::Tick, self.now);
        self.serve(outputs);
        for device in 0..self.places.len() {
            if self.places[device].machine.deadline().is_some_and(|at| at <= self.now) {
                self.tell(device, Input::Tick);
                let left = self.places[device].machine.deadline();
                assert!(left.is_none_or(|at| at > self.now), "a deadline that is never met");
            }
        }
    }

    fn post(&mut self, after: Duration, mail: Mail) {
        self.order += 1;
        self.mail.push((self.now + after, self.order, mail));
    }

    fn begin_session(&mut self, device: Device) {
        self.sessions += 1;
        let session = SessionId::from_bits(self.sessions);
        let place = &mut self.places[device];
        (place.session, place.online) = (session, true);
        place.asked.clear();
        let way = Duration::from_millis(self.random.random_range(0..WAY_MOST_MS));
        self.post(way, Mail::Welcome { session });
    }

    fn tell(&mut self, device: Device, input: Input) {
        self.places[device].machine.handle(input, self.now);
        self.carry_out(device);
    }

    fn carry_out(&mut self, device: Device) {
        for output in self.places[device].machine.take_outputs() {
            match output {
                Output::Ask(message) => self.ask(device, message),
                Output::BeginMedia { .. } => {
                    assert!(!std::mem::replace(&mut self.places[device].media, true), "devices open once");
                }
                Output::EndMedia => {
                    assert!(self.places[device].leg.is_none(), "no leg without media");
                    assert!(std::mem::replace(&mut self.places[device].media, false), "devices close once");
                }
                Output::OpenLeg { peer, offers } => {
                    assert!(self.places[device].media, "no leg without media");
                    self.legs += 1;
                    let number = self.legs;
                    let (joined, connected) = (None, false);
                    self.places[device].leg = Some(OpenLeg { number, peer, offers, joined, connected });
                    if offers {
                        self.describe(device, DescriptionKind::Offer);
                    }
                }
                Output::CloseLeg { .. } => {
                    let leg = self.places[device].leg.take().expect("a leg that is closed is open");
                    if let Some((other, number)) = leg.joined {
                        let state = LinkState::Disconnected;
                        self.post(Duration::from_secs(5), Mail::Link { device: other, leg: number, state });
                    }
                }
                Output::Deliver { signal, .. } => self.signalled(device, &signal),
                Output::Tell { message, .. } => {
                    let joined = self.places[device].leg.and_then(|leg| leg.joined);
                    if let Some((to, leg)) = joined.filter(|_| self.network) {
                        self.post(Duration::from_millis(20), Mail::Direct { to, leg, message });
                    }
                }
                Output::RestartIce { .. } => {
                    self.places[device].restarts += 1;
                    let there = |leg: &OpenLeg| {
                        let (other, number) = leg.joined?;
                        self.places[other].leg.filter(|leg| leg.number == number)
                    };
                    let reachable = |leg: &OpenLeg| self.network && there(leg).is_some();
                    if let Some(leg) = self.places[device].leg.filter(reachable) {
                        let state = LinkState::Connected;
                        self.post(CONNECTING, Mail::Link { device, leg: leg.number, state });
                    }
                }
                Output::View { view, .. } => self.places[device].viewed.push(view),
                Output::Hold(_) => {}
                Output::Rings(_) => self.places[device].rang += 1,
                Output::Over(record) => self.places[device].over.push(record),
            }
        }
    }

    /// Tells the other side which leg this is: its number is the ICE generation.
    fn describe(&mut self, device: Device, kind: DescriptionKind) {
        let Some(leg) = self.places[device].leg else { return };
        let signal = CallSignal::Description {
            kind,
            revision: 1,
            generation: IceGeneration::new(format!("leg{}", leg.number)).unwrap(),
            sdp: Sdp::new(format!("v=0 device={device} leg={}", leg.number)).unwrap(),
        };
        self.tell(device, Input::LocalSignal { peer: leg.peer, signal });
    }

    fn signalled(&mut self, device: Device, signal: &CallSignal) {
        let CallSignal::Description { kind, sdp, .. } = signal else { return };
        let mut numbers = sdp.as_str().split(['=', ' ']).filter_map(|word| word.parse::<u64>().ok()).skip(1);
        let (other, number) = (numbers.next().unwrap() as usize, numbers.next().unwrap());
        let Some(leg) = &mut self.places[device].leg else { return };
        let fits =
            matches!((kind, leg.offers), (DescriptionKind::Offer, false) | (DescriptionKind::Answer, true));
        assert!(fits, "an offer met an offer, or an answer an answer");
        leg.joined = Some((other, number));
        let number = leg.number;
        if *kind == DescriptionKind::Offer {
            self.describe(device, DescriptionKind::Answer);
        }
        if self.network {
            self.post(CONNECTING, Mail::Link { device, leg: number, state: LinkState::Connected });
        }
    }

    fn ask(&mut self, device: Device, message: ClientMessage) {
        if !self.places[device].online {
            return;
        }
        let way = Duration::from_millis(self.random.random_range(0..WAY_MOST_MS));
        let place = &mut self.places[device];
        place.requests += 1;
        let re = RequestId(place.requests);
        let call = match &message {
            ClientMessage::Call { call, .. }
            | ClientMessage::CallAccept { call }
            | ClientMessage::CallDecline { call, .. }
            | ClientMessage::CallHangUp { call }
            | ClientMessage::CallSignal { call, .. } => *call,
            other => panic!("{other:?} is not about calls"),
        };
        place.asked.insert(re, call);
        let at = (self.now + way).max(place.sent_until);
        place.sent_until = at;
        let session = place.session;
        self.post(at - self.now, Mail::ToServer { from: device, session, re, message });
    }

    fn arrive(&mut self, mail: Mail) {
        match mail {
            Mail::ToServer { from, session, re, message } => {
                if self.places[from].session == session {
                    let input = self.understood(from, session, re, message);
                    let outputs = self.switchboard.handle(input, self.now);
                    self.serve(outputs);
                }
            }
            Mail::Welcome { session } => {
                let Some(device) = self.device_of(session) else { return };
                let user = self.places[device].user.user;
                let calls = self.switchboard.enter(user, session);
                self.tell(device, Input::SessionBegan { calls });
            }
            Mail::ToDevice { session, re, message } => {
                let Some(device) = self.device_of(session) else { return };
                let call = re.and_then(|re| self.places[device].asked.remove(&re));
                let input = match (message, call) {
                    (ServerMessage::Error(refusal), Some(call)) => {
                        Some(Input::Refused { call, code: refusal.code })
                    }
                    (message, _) => Input::of_server(message),
                };
                if let Some(input) = input {
                    self.tell(device, input);
                }
            }
            Mail::Link { device, leg, state } => {
                let Some(open) = &mut self.places[device].leg else { return };
                if open.number == leg {
                    open.connected = state == LinkState::Connected;
                    let peer = open.peer;
                    self.tell(device, Input::Link { peer, state });
                }
            }
            Mail::Direct { to, leg, message } => {
                let open = self.places[to].leg.filter(|open| open.number == leg);
                if let Some(peer) = open.map(|open| open.peer) {
                    self.tell(to, Input::Control { peer, message });
                }
            }
        }
    }

    fn device_of(&self, session: SessionId) -> Option<Device> {
        self.places.iter().position(|place| place.online && place.session == session)
    }

    fn understood(
        &self,
        from: Device,
        session: SessionId,
        re: RequestId,
        message: ClientMessage,
    ) -> CallInput {
        match message {
            ClientMessage::Call { call, to, media } => {
                let called = || self.places.iter().filter(|place| place.user.user == to);
                let rings = called().filter(|place| place.online).map(|place| place.session).collect();
                let to = called().next().expect("a user").user.clone();
                CallInput::Call { re, session, call, from: self.user(from), to, media, rings }
            }
            ClientMessage::CallAccept { call } => CallInput::Accept { re, session, call },
            ClientMessage::CallDecline { call, busy } => CallInput::Decline { re, session, call, busy },
            ClientMessage::CallHangUp { call } => CallInput::HangUp { re, session, call },
            ClientMessage::CallSignal { call, signal } => CallInput::Signal { re, session, call, signal },
            other => panic!("{other:?} is not about calls"),
        }
    }

    fn serve(&mut self, outputs: Vec<CallOutput>) {
        for output in outputs {
            let CallOutput::Tell { session, re, body } = output else { continue };
            let Some(device) = self.device_of(session) else { continue };
            let way = Duration::from_millis(self.random.random_range(0..WAY_MOST_MS));
            let at = (self.now + way).max(self.places[device].told_until);
            self.places[device].told_until = at;
            self.post(at - self.now, Mail::ToDevice { session, re, message: body });
        }
    }
}
