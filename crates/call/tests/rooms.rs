//! Everybody in a room finds everybody else, whatever comes late, gets lost or comes back: devices on virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ahoy_call::{Control, LegStatus, LinkState, MediaState, Output, PeerId, RoomCall, RoomInput, View};
use ahoy_signal::{
    CallSignal, ClientMessage, DescriptionKind, IceGeneration, ParticipantId, RoomId, Sdp, UserId,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// Longest way of a message.
const WAY_MOST_MS: u64 = 300;
/// How long finding a path takes.
const CONNECTING: Duration = Duration::from_millis(80);

enum Mail {
    Tell(usize, RoomInput),
    Link { device: usize, leg: u64, state: LinkState },
    Direct { device: usize, leg: u64, message: Control },
}

/// A leg that a device has opened, and the one at the other end.
#[derive(Clone, Copy, Debug)]
struct OpenLeg {
    number: u64,
    offers: bool,
    joined: Option<(usize, u64)>,
    connected: bool,
}

struct Place {
    user: UserId,
    me: ParticipantId,
    in_room: bool,
    call: RoomCall,
    media: bool,
    legs: BTreeMap<PeerId, OpenLeg>,
    /// How the others show what is sent, as they have said.
    viewed: Vec<(PeerId, Option<View>)>,
    /// Messages arrive in order: none before this.
    told_until: Instant,
}

/// A room, its people and the networks between them.
struct World {
    now: Instant,
    random: Pcg64Mcg,
    places: Vec<Place>,
    mail: Vec<(Instant, u64, Mail)>,
    order: u64,
    legs: u64,
    network: bool,
}

impl World {
    fn new(seed: u64, people: usize) -> Self {
        let now = Instant::now();
        let random = Pcg64Mcg::seed_from_u64(seed);
        let mut world =
            Self { now, random, places: Vec::new(), mail: Vec::new(), order: 0, legs: 0, network: true };
        for number in 0..people {
            let me = world.new_id();
            world.places.push(Place {
                user: UserId::from_bits(number as u128 + 1),
                me,
                in_room: false,
                call: RoomCall::new(RoomId::from_bits(7), true),
                media: false,
                legs: BTreeMap::new(),
                viewed: Vec::new(),
                told_until: now,
            });
        }
        world
    }

    fn new_id(&mut self) -> ParticipantId {
        ParticipantId::from_bits(self.random.random())
    }

    /// A device enters the room, as somebody new where it was in it before.
    fn enter(&mut self, device: usize) {
        if self.places[device].in_room {
            self.forget(device);
        }
        // What the session before was to be told goes with it.
        self.mail.retain(|(.., mail)| !matches!(mail, Mail::Tell(to, _) if *to == device));
        let me = self.new_id();
        (self.places[device].me, self.places[device].in_room) = (me, true);
        let user = self.places[device].user;
        let others: Vec<(ParticipantId, UserId)> =
            self.inside(device).map(|(_, id, user)| (id, user)).collect();
        self.tell(device, RoomInput::Entered { me, others });
        let inside: Vec<usize> = self.inside(device).map(|(other, ..)| other).collect();
        for other in inside {
            self.tell(other, RoomInput::Came(me, user));
        }
        self.carry_out(device);
    }

    /// The others in the room.
    fn inside(&self, device: usize) -> impl Iterator<Item = (usize, ParticipantId, UserId)> {
        let others =
            self.places.iter().enumerate().filter(move |(other, place)| *other != device && place.in_room);
        others.map(|(other, place)| (other, place.me, place.user))
    }

    /// The server takes a device for gone, which may still talk.
    fn forget(&mut self, device: usize) {
        self.places[device].in_room = false;
        let me = self.places[device].me;
        let inside: Vec<usize> = self.inside(device).map(|(other, ..)| other).collect();
        for other in inside {
            self.tell(other, RoomInput::Went(me));
        }
    }

    fn leave(&mut self, device: usize) {
        self.places[device].call.leave();
        self.carry_out(device);
        self.forget(device);
    }

    /// Posts what a server tells a device, in order.
    fn tell(&mut self, device: usize, input: RoomInput) {
        let way = Duration::from_millis(self.random.random_range(0..WAY_MOST_MS));
        let at = (self.now + way).max(self.places[device].told_until);
        self.places[device].told_until = at;
        self.post(at, Mail::Tell(device, input));
    }

    fn post(&mut self, at: Instant, mail: Mail) {
        self.order += 1;
        self.mail.push((at, self.order, mail));
    }

    fn carry_out(&mut self, device: usize) {
        let mut outputs = VecDeque::from(self.places[device].call.take_outputs());
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Ask(ClientMessage::RoomSignal { to, connection, signal }) => {
                    let me = self.places[device].me;
                    let Some((other, ..)) = self.inside(device).find(|(_, id, _)| *id == to) else {
                        continue;
                    };
                    if self.places[device].in_room {
                        self.tell(other, RoomInput::Signal { from: me, connection, signal });
                    }
                }
                Output::BeginMedia { .. } => {
                    assert!(!std::mem::replace(&mut self.places[device].media, true), "devices open once");
                }
                Output::EndMedia => {
                    assert!(self.places[device].legs.is_empty(), "no leg without media");
                    self.places[device].media = false;
                }
                Output::OpenLeg { peer, offers } => {
                    assert!(self.places[device].media, "no leg without media");
                    self.legs += 1;
                    let leg = OpenLeg { number: self.legs, offers, joined: None, connected: false };
                    let before = self.places[device].legs.insert(peer, leg);
                    self.part(before);
                    if offers {
                        self.describe(device, peer, DescriptionKind::Offer);
                    }
                }
                Output::CloseLeg { peer } => {
                    let leg = self.places[device].legs.remove(&peer).expect("a leg that is closed is open");
                    self.part(Some(leg));
                }
                Output::Deliver { peer, signal } => self.signalled(device, peer, &signal),
                Output::Tell { peer, message } => {
                    let joined = self.places[device].legs.get(&peer).and_then(|leg| leg.joined);
                    if let Some((other, leg)) = joined {
                        self.post(self.now, Mail::Direct { device: other, leg, message });
                    }
                }
                Output::RestartIce { peer } => {
                    if self.network
                        && let Some(leg) = self.places[device].legs.get(&peer)
                        && let Some((other, number)) = leg.joined
                    {
                        let here = leg.number;
                        for (device, leg) in [(device, here), (other, number)] {
                            let state = LinkState::Connected;
                            self.post(self.now + CONNECTING, Mail::Link { device, leg, state });
                        }
                    }
                }
                Output::View { peer, view } => self.places[device].viewed.push((peer, view)),
                Output::Hold(_) => {}
                other => panic!("not of rooms: {other:?}"),
            }
            outputs.extend(self.places[device].call.take_outputs());
        }
    }

    /// The other end of a leg that is gone hears nothing any more.
    fn part(&mut self, leg: Option<OpenLeg>) {
        if let Some((device, leg)) = leg.and_then(|leg| leg.joined) {
            let state = LinkState::Disconnected;
            self.post(self.now + Duration::from_secs(5), Mail::Link { device, leg, state });
        }
    }

    /// A leg says who it is: its number stands for its keys.
    fn describe(&mut self, device: usize, peer: PeerId, kind: DescriptionKind) {
        let number = self.places[device].legs[&peer].number;
        let generation = IceGeneration::new(format!("g{number}")).unwrap();
        let sdp = Sdp::new(format!("{device} {number}")).unwrap();
        let signal = CallSignal::Description { kind, revision: 1, generation, sdp };
        let now = self.now;
        self.places[device].call.handle(RoomInput::LocalSignal { peer, signal }, now);
    }

    fn signalled(&mut self, device: usize, peer: PeerId, signal: &CallSignal) {
        let CallSignal::Description { kind, sdp, .. } = signal else { return };
        let mut words = sdp.as_str().split(' ').map(|word| word.parse::<u64>().unwrap());
        let (other, number) = (words.next().unwrap() as usize, words.next().unwrap());
        let leg = self.places[device].legs.get_mut(&peer).expect("signals are for legs that are open");
        assert_eq!(leg.offers, *kind == DescriptionKind::Answer, "offers go to whoever answers");
        assert!(leg.joined.is_none(), "one exchange for each leg");
        leg.joined = Some((other, number));
        let here = leg.number;
        if *kind == DescriptionKind::Offer {
            self.describe(device, peer, DescriptionKind::Answer);
        } else if self.network {
            for (device, leg) in [(device, here), (other, number)] {
                let state = LinkState::Connected;
                self.post(self.now + CONNECTING, Mail::Link { device, leg, state });
            }
        }
    }

    fn deliver(&mut self, mail: Mail) {
        let now = self.now;
        let device = match mail {
            Mail::Tell(device, input) => {
                self.places[device].call.handle(input, now);
                device
            }
            Mail::Link { device, leg, state } => {
                let found = self.places[device].legs.iter_mut().find(|(_, open)| open.number == leg);
                let Some((peer, open)) = found else { return };
                open.connected = state == LinkState::Connected;
                let peer = *peer;
                self.places[device].call.handle(RoomInput::Link { peer, state }, now);
                device
            }
            Mail::Direct { device, leg, message } => {
                let found = self.places[device].legs.iter().find(|(_, open)| open.number == leg);
                let Some((peer, _)) = found else { return };
                let peer = *peer;
                self.places[device].call.handle(RoomInput::Control { peer, message }, now);
                device
            }
        };
        self.carry_out(device);
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let mail = self.mail.iter().map(|(at, order, _)| (*at, *order)).min();
            let tick = self
                .places
                .iter()
                .enumerate()
                .filter_map(|(device, place)| Some((place.call.deadline()?, device)))
                .min();
            let next = mail.map(|(at, _)| at).into_iter().chain(tick.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            match mail.filter(|(at, _)| *at == next) {
                Some((_, order)) => {
                    let place = self.mail.iter().position(|(_, known, _)| *known == order).unwrap();
                    let (.., mail) = self.mail.remove(place);
                    self.deliver(mail);
                }
                None => {
                    let (_, device) = tick.unwrap();
                    self.places[device].call.handle(RoomInput::Tick, next);
                    self.carry_out(device);
                }
            }
        }
        self.now = end;
    }

    /// Whether all who are in the room talk to each other, and to nobody else.
    #[track_caller]
    fn all_talk(&self) {
        for (device, place) in self.places.iter().enumerate().filter(|(_, place)| place.in_room) {
            let shown = place.call.snapshot().legs;
            let expected: Vec<PeerId> = {
                let mut ids: Vec<_> = self.inside(device).map(|(_, id, _)| PeerId::Participant(id)).collect();
                ids.sort();
                ids
            };
            assert_eq!(shown.iter().map(|leg| leg.peer).collect::<Vec<_>>(), expected, "{device}");
            assert!(shown.iter().all(|leg| leg.status == LegStatus::Connected), "{device}: {shown:?}");
            for leg in place.legs.values() {
                let (other, number) = leg.joined.expect("it is connected to somebody");
                let theirs = self.places[other].legs.values().find(|open| open.number == number);
                assert_eq!(theirs.and_then(|theirs| theirs.joined), Some((device, leg.number)));
            }
        }
    }
}

#[test]
fn everybody_who_comes_talks_to_everybody() {
    for seed in 0..200 {
        let mut world = World::new(seed, 4);
        for device in 0..4 {
            world.enter(device);
            let pause = world.random.random_range(0..400);
            world.run_for(Duration::from_millis(pause));
        }
        world.run_for(Duration::from_secs(10));
        world.all_talk();
        world.leave(2);
        world.run_for(Duration::from_secs(2));
        world.all_talk();
        assert!(world.places[2].legs.is_empty() && !world.places[2].media);
    }
}

#[test]
fn who_is_gone_from_the_room_for_want_of_a_server_is_talked_to_until_nothing_comes() {
    let mut world = World::new(1, 2);
    world.enter(0);
    world.enter(1);
    world.run_for(Duration::from_secs(5));
    world.forget(1);
    world.run_for(Duration::from_secs(60));
    assert!(world.places[0].call.snapshot().legs.iter().all(|leg| leg.status == LegStatus::Connected));
    // They come back as somebody new, whom nobody mistakes for a third.
    world.enter(1);
    world.run_for(Duration::from_secs(5));
    world.all_talk();
}

#[test]
fn with_its_server_gone_a_call_goes_on_until_nobody_else_is_there() {
    let mut world = World::new(4, 2);
    (0..2).for_each(|device| world.enter(device));
    world.run_for(Duration::from_secs(5));
    (0..2).for_each(|device| world.tell(device, RoomInput::ServerGone));
    world.run_for(Duration::from_secs(60));
    world.all_talk();
    assert!(!world.places[1].call.is_over());
    world.leave(0);
    world.run_for(Duration::from_secs(2));
    assert!(world.places[1].call.is_over());
    // As for somebody who waits alone, whose server goes.
    let mut alone = World::new(5, 1);
    alone.enter(0);
    alone.run_for(Duration::from_secs(1));
    assert!(!alone.places[0].call.is_over(), "somebody may come");
    alone.tell(0, RoomInput::ServerGone);
    alone.run_for(Duration::from_secs(1));
    assert!(alone.places[0].call.is_over());
}

#[test]
fn a_path_that_is_found_late_is_found() {
    let mut world = World::new(2, 3);
    world.network = false;
    (0..3).for_each(|device| world.enter(device));
    world.run_for(Duration::from_secs(50));
    world.network = true;
    world.run_for(Duration::from_secs(60));
    world.all_talk();
}

#[test]
fn muting_and_holding_are_seen_by_everybody() {
    let mut world = World::new(3, 3);
    (0..3).for_each(|device| world.enter(device));
    world.run_for(Duration::from_secs(5));
    let media = MediaState { microphone: false, camera: true, paused: false };
    world.places[0].call.set_media(media);
    world.places[0].call.hold(true);
    world.carry_out(0);
    world.run_for(Duration::from_secs(1));
    let me = PeerId::Participant(world.places[0].me);
    for other in [1, 2] {
        let legs = world.places[other].call.snapshot().legs;
        let leg = legs.into_iter().find(|leg| leg.peer == me).unwrap();
        assert_eq!((leg.media, leg.held), (Some(media), true));
    }
}

#[test]
fn each_of_the_others_hears_how_they_are_shown_and_so_does_who_comes_back() {
    let mut world = World::new(5, 3);
    (0..3).for_each(|device| world.enter(device));
    world.run_for(Duration::from_secs(5));
    let small = Some(View { width: 640, height: 368 });
    let show = |world: &mut World, other: usize, view| {
        let peer = PeerId::Participant(world.places[other].me);
        world.places[0].call.set_view(peer, view);
        world.carry_out(0);
        world.run_for(Duration::from_secs(1));
    };
    let heard = |world: &mut World, other: usize| std::mem::take(&mut world.places[other].viewed);
    for (other, view) in [(1, small), (2, None), (1, small), (2, None)] {
        show(&mut world, other, view);
    }
    let me = PeerId::Participant(world.places[0].me);
    assert_eq!((heard(&mut world, 1), heard(&mut world, 2)), (vec![(me, small)], vec![(me, None)]));
    world.enter(1);
    world.run_for(Duration::from_secs(20));
    show(&mut world, 1, small);
    assert_eq!(heard(&mut world, 1), [(me, small)], "their leg is another one");
}

#[test]
fn whatever_people_and_networks_do_everybody_talks_in_the_end() {
    for seed in 0..1_000 {
        let mut world = World::new(seed, 3);
        for _ in 0..20 {
            let device = world.random.random_range(0..3);
            match world.random.random_range(0..4) {
                0 | 1 => world.enter(device),
                2 if world.places[device].in_room => world.forget(device),
                2 => {}
                _ => world.network = !world.network,
            }
            let pause = world.random.random_range(0..8_000);
            world.run_for(Duration::from_millis(pause));
        }
        world.network = true;
        for device in 0..3 {
            if !world.places[device].in_room {
                world.enter(device);
            }
        }
        world.run_for(Duration::from_secs(120));
        world.all_talk();
    }
}
