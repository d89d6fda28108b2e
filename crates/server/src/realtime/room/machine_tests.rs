use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use ahoy_signal::{ChatText, DeviceId, Name, RoomSettings, RoomSettingsChange, StateEntry, UserId};
use proptest::prelude::*;

use super::*;
use crate::identity::{Class, GuestGrant};

const ROOM: RoomId = RoomId::from_bits(7);
const HOST: u128 = 1;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Users are numbers below 100, their sessions have the same number; guests are numbers from 100 on.
fn identity(user: u128) -> Arc<Identity> {
    let guest = (user >= 100).then_some(GuestGrant { room: ROOM, role: Role::Guest });
    Arc::new(Identity {
        user: UserId::from_bits(user),
        device: DeviceId::from_bits(user),
        handle: None,
        name: name(&format!("user {user}")),
        class: Class::Normal,
        guest,
        expires: SystemTime::UNIX_EPOCH,
    })
}

/// What somebody has been told of the room, and what they know by that.
#[derive(Default)]
struct Seat {
    told: Vec<News>,
    replica: Option<RoomState>,
    me: Option<ParticipantId>,
    deltas: usize,
}

struct Room {
    machine: RoomMachine,
    now: Instant,
    random: u128,
    re: u64,
    seats: BTreeMap<u128, Seat>,
    store_works: bool,
}

impl Room {
    fn new() -> Self {
        Self::with(RoomSettings::default())
    }

    fn with(settings: RoomSettings) -> Self {
        let host = UserId::from_bits(HOST);
        let moderators = BTreeSet::from([UserId::from_bits(2)]);
        let record = StoredRoom { room: ROOM, host, name: name("Crew"), settings, moderators };
        let machine = RoomMachine::new(record, 77);
        let (now, seats) = (Instant::now(), BTreeMap::new());
        Self { machine, now, random: 1_000, re: 0, seats, store_works: true }
    }

    fn handle(&mut self, input: RoomInput) {
        let mut out = Vec::new();
        self.machine.handle(self.now, input, &mut out);
        self.deliver(out);
    }

    fn settle(&mut self) {
        let mut out = Vec::new();
        self.machine.settle(self.now, &mut out);
        self.deliver(out);
    }

    fn deliver(&mut self, outputs: Vec<RoomOutput>) {
        for output in outputs {
            match output {
                RoomOutput::Tell(session, news) => {
                    let seat = self.seats.entry(session.bits()).or_default();
                    if let ServerMessage::Joined { participant, missed, snapshot, recovered, .. } = &news.body
                    {
                        seat.me = Some(*participant);
                        let position = news.pos.unwrap();
                        match snapshot {
                            Some(snapshot) => {
                                assert!(!recovered);
                                seat.replica = Some(RoomState::from_snapshot(position, (**snapshot).clone()));
                            }
                            None => {
                                let replica = seat.replica.as_mut().unwrap();
                                replica.apply_all(position.epoch, missed.clone()).unwrap();
                                assert_eq!(replica.position(), position);
                            }
                        }
                    }
                    seat.told.push(*news);
                }
                RoomOutput::Broadcast(sessions, text) => {
                    let envelope: ServerEnvelope = serde_json::from_str(text.as_str()).unwrap();
                    for session in sessions.iter() {
                        let seat = self.seats.get_mut(&session.bits()).unwrap();
                        let replica = seat.replica.as_mut().unwrap();
                        match envelope.body.clone() {
                            ServerMessage::Delta { delta } => {
                                seat.deltas += 1;
                                assert!(replica.apply(envelope.pos.unwrap(), delta).unwrap(), "told twice");
                            }
                            ServerMessage::Checkpoint { hash } => assert_eq!(hash, replica.hash()),
                            other => panic!("{} is not told to all", other.kind()),
                        }
                    }
                }
                RoomOutput::Snapshot(session, text) => {
                    let envelope: ServerEnvelope = serde_json::from_str(text.as_str()).unwrap();
                    let ServerMessage::Snapshot { snapshot } = envelope.body else { panic!("no snapshot") };
                    let seat = self.seats.get_mut(&session.bits()).unwrap();
                    seat.replica = Some(RoomState::from_snapshot(envelope.pos.unwrap(), *snapshot));
                }
                RoomOutput::Store(pending) => {
                    let stored = RoomInput::Stored(pending, self.store_works);
                    self.handle(stored);
                }
            }
        }
    }

    /// Asks, without settling.
    fn ask(&mut self, user: u128, request: RoomRequest) {
        self.re += 1;
        self.random += 1;
        self.handle(RoomInput::Request {
            from: SessionId::from_bits(user),
            identity: identity(user),
            re: RequestId(self.re),
            request,
            random: self.random,
            at_ms: 1_000,
        });
    }

    /// Asks, and returns what the session was told since the last time: kinds, codes, reasons.
    fn request(&mut self, user: u128, request: RoomRequest) -> Vec<String> {
        self.ask(user, request);
        self.settle();
        self.told(user)
    }

    fn join(&mut self, user: u128) -> Vec<String> {
        self.request(user, RoomRequest::Join(None))
    }

    fn chat(&mut self, user: u128) -> Vec<String> {
        self.request(user, RoomRequest::Chat(ChatText::new("hi").unwrap()))
    }

    fn told(&mut self, user: u128) -> Vec<String> {
        let seat = self.seats.entry(user).or_default();
        let described = |news: News| match news.body {
            ServerMessage::Error(refusal) => format!("{:?}", refusal.code),
            ServerMessage::Left { reason } => format!("left {reason:?}"),
            ServerMessage::Joined { recovered, missed, .. } => format!("joined {recovered} {}", missed.len()),
            ServerMessage::Lobby { waiting } => format!("lobby {}", waiting.len()),
            other => other.kind().to_owned(),
        };
        std::mem::take(&mut seat.told).into_iter().map(described).collect()
    }

    fn id(&self, user: u128) -> ParticipantId {
        let user = UserId::from_bits(user);
        let inside =
            self.machine.state().participants().iter().find(|one| one.user == user).map(|one| one.id);
        let waiting = || self.machine.waiting.iter().find(|one| one.identity.user == user).map(|one| one.id);
        inside.or_else(waiting).unwrap()
    }

    fn change(&mut self, user: u128, change: RoomSettingsChange) -> Vec<String> {
        self.request(user, RoomRequest::Change(change))
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.handle(RoomInput::Tick);
    }

    fn lose(&mut self, user: u128) {
        self.handle(RoomInput::Lost(SessionId::from_bits(user)));
        self.settle();
    }

    fn come_back(&mut self, user: u128) {
        self.handle(RoomInput::Back(SessionId::from_bits(user)));
        self.settle();
    }

    fn seen(&self, user: u128) -> Position {
        self.seats[&user].replica.as_ref().unwrap().position()
    }

    fn links(&self) -> Vec<(u128, Link)> {
        self.machine.state().participants().iter().map(|one| (one.user.bits(), one.link)).collect()
    }
}

const LOCK: RoomSettingsChange =
    RoomSettingsChange { locked: Some(true), name: None, capacity: None, waiting_room: None };
const WAITING_ROOM: RoomSettings = RoomSettings { capacity: 25, waiting_room: true, locked: false };

#[test]
fn everyone_in_a_room_sees_the_same() {
    let mut room = Room::new();
    for user in [HOST, 2, 3, 100] {
        assert_eq!(room.join(user), ["joined false 0"]);
    }
    assert_eq!(room.chat(100), ["done"]);
    assert_eq!(room.request(3, RoomRequest::SetState(StateEntry::Hand(true))), ["done"]);
    assert_eq!(room.request(3, RoomRequest::Leave), ["done"]);
    for user in [HOST, 2, 100] {
        assert_eq!(room.seats[&user].replica.as_ref(), Some(room.machine.state()));
    }
}

#[test]
fn each_role_may_what_it_may_and_no_more() {
    type Ask = fn(&Room) -> RoomRequest;
    let asks: [(&str, Ask, [bool; 4]); 9] = [
        ("chat", |_| RoomRequest::Chat(ChatText::new("hi").unwrap()), [true, true, true, true]),
        ("state", |_| RoomRequest::SetState(StateEntry::Hand(true)), [true, true, true, true]),
        ("mute a member", |room| RoomRequest::Mute(room.id(50)), [false, false, true, true]),
        ("mute the host", |room| RoomRequest::Mute(room.id(HOST)), [false, false, false, true]),
        ("lock", |_| RoomRequest::Change(LOCK), [false, false, true, true]),
        (
            "make a moderator",
            |room| RoomRequest::SetRole(room.id(50), Role::Moderator),
            [false, false, false, true],
        ),
        ("remove a member", |room| RoomRequest::Remove(room.id(50)), [false, false, true, true]),
        ("remove the host", |room| RoomRequest::Remove(room.id(HOST)), [false, false, false, false]),
        ("delete", |_| RoomRequest::Delete, [false, false, false, true]),
    ];
    for (what, ask, may) in asks {
        for (user, may) in [100, 3, 2, HOST].into_iter().zip(may) {
            let mut room = Room::new();
            for someone in [HOST, 2, 3, 50, 100] {
                room.join(someone);
            }
            let request = ask(&room);
            let told = room.request(user, request);
            let done = told.iter().any(|told| told == "done");
            assert_eq!(done, may, "{what} by {user}: {told:?}");
            assert_eq!(told.iter().any(|told| told == "Forbidden"), !may, "{what} by {user}: {told:?}");
        }
    }
}

#[test]
fn who_is_not_in_the_room_can_do_nothing_there() {
    let mut room = Room::new();
    room.join(HOST);
    let host = room.id(HOST);
    for request in [
        RoomRequest::Chat(ChatText::new("hi").unwrap()),
        RoomRequest::SetState(StateEntry::Hand(true)),
        RoomRequest::Sync(None),
        RoomRequest::Leave,
        RoomRequest::Mute(host),
        RoomRequest::Remove(host),
        RoomRequest::Admit(host),
        RoomRequest::SetRole(host, Role::Member),
    ] {
        assert_eq!(room.request(3, request), ["NotInRoom"]);
    }
    assert_eq!(room.change(3, LOCK), ["Forbidden"]);
    assert_eq!(room.machine.state().position().offset, 1);
}

#[test]
fn a_guest_enters_only_the_room_of_the_invite() {
    let mut room = Room::new();
    let other = GuestGrant { room: RoomId::from_bits(8), role: Role::Guest };
    let stranger = Arc::new(Identity { guest: Some(other), ..(*identity(100)).clone() });
    let (from, re, request) = (SessionId::from_bits(100), RequestId(1), RoomRequest::Join(None));
    room.handle(RoomInput::Request { from, identity: stranger, re, request, random: 1, at_ms: 0 });
    assert_eq!(room.told(100), ["NoSuchRoom"]);
}

#[test]
fn who_waits_comes_in_when_someone_lets_them_in_and_not_otherwise() {
    let mut room = Room::with(WAITING_ROOM);
    assert_eq!(room.join(HOST), ["joined false 0"]);
    assert_eq!(room.join(2), ["joined false 0"], "moderators do not wait");
    assert_eq!(room.join(3), ["waiting"]);
    assert_eq!(room.join(100), ["waiting"]);
    assert_eq!(room.told(HOST), ["lobby 1", "lobby 2"]);
    assert_eq!(room.chat(3), ["NotInRoom"]);
    let (three, guest) = (room.id(3), room.id(100));
    assert_eq!(room.request(2, RoomRequest::Admit(three)).last().unwrap(), "lobby 1");
    assert_eq!(room.told(3), ["joined false 0"]);
    assert_eq!(room.chat(3), ["done"]);
    assert_eq!(room.request(3, RoomRequest::Admit(guest)), ["Forbidden"]);
    room.request(HOST, RoomRequest::Remove(guest));
    assert_eq!(room.told(100), ["left NotAdmitted"]);
    assert_eq!(room.join(100), ["NotAdmitted"]);
}

#[test]
fn opening_the_waiting_room_lets_everyone_in() {
    let mut room = Room::with(WAITING_ROOM);
    for user in [HOST, 3, 4] {
        room.join(user);
    }
    room.change(HOST, RoomSettingsChange { waiting_room: Some(false), ..RoomSettingsChange::default() });
    assert_eq!(room.told(3), ["waiting", "joined false 0"][1..]);
    assert_eq!(room.told(4), ["joined false 0"]);
}

#[test]
fn a_locked_room_lets_in_its_host_and_who_lost_the_connection_but_nobody_new() {
    let mut room = Room::new();
    room.join(2);
    room.join(4);
    assert_eq!(room.change(2, LOCK), ["done"]);
    assert_eq!(room.join(3), ["RoomLocked"]);
    assert_eq!(room.join(HOST), ["joined false 0"]);
    room.lose(4);
    room.wait(20_000);
    assert_eq!(room.told(4), ["left ConnectionLost"]);
    assert_eq!(room.join(4), ["joined false 0"]);
    room.request(4, RoomRequest::Leave);
    assert_eq!(room.join(4), ["RoomLocked"], "who leaves of their own will is new");
}

#[test]
fn a_room_holds_no_more_people_than_it_may() {
    let mut room = Room::with(RoomSettings { capacity: 2, ..RoomSettings::default() });
    room.join(3);
    room.join(4);
    assert_eq!(room.join(5), ["RoomFull"]);
    assert_eq!(room.join(HOST), ["joined false 0"], "a host can always look after the room");
    room.request(3, RoomRequest::Leave);
    room.request(4, RoomRequest::Leave);
    assert_eq!(room.join(5), ["joined false 0"]);
}

#[test]
fn who_was_removed_can_not_come_back_while_the_room_lives() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    let three = room.id(3);
    assert_eq!(room.request(HOST, RoomRequest::Remove(three)), ["done"]);
    assert_eq!(room.told(3), ["left Removed"]);
    assert_eq!(room.links(), [(HOST, Link::Online)]);
    assert_eq!(room.join(3), ["NotAdmitted"]);
    let mut next_life = Room::new();
    assert_eq!(next_life.join(3), ["joined false 0"]);
}

#[test]
fn who_comes_back_is_told_exactly_what_they_missed() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    room.lose(3);
    let seen = room.seen(3);
    for _ in 0..5 {
        room.chat(HOST);
    }
    room.come_back(3);
    room.chat(HOST);
    assert_eq!(room.seats[&3].deltas, 0, "nothing is told before they have said what they have seen");
    assert_eq!(room.request(3, RoomRequest::Sync(Some(seen))), ["joined true 6"]);
    assert_eq!(room.seats[&3].replica.as_ref(), Some(room.machine.state()));
    room.chat(HOST);
    assert_eq!(room.seats[&3].replica.as_ref(), Some(room.machine.state()));
}

#[test]
fn what_the_room_has_forgotten_is_told_as_a_snapshot() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    room.lose(3);
    let seen = room.seen(3);
    for _ in 0..=super::super::log::REMEMBERED_MOST {
        room.chat(HOST);
    }
    room.come_back(3);
    assert_eq!(room.request(3, RoomRequest::Sync(Some(seen))), ["joined false 0"]);
    let other_life = Position { epoch: Epoch::from_bits(1), offset: 3 };
    assert_eq!(room.request(3, RoomRequest::Sync(Some(other_life))), ["joined false 0"]);
    let future = Position { offset: 1_000_000, ..seen };
    assert_eq!(room.request(3, RoomRequest::Sync(Some(future))), ["joined false 0"]);
}

#[test]
fn a_lost_connection_is_told_after_five_seconds_and_given_up_after_twenty() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    let deltas = room.seats[&HOST].deltas;
    room.lose(3);
    room.wait(4_999);
    assert_eq!(room.seats[&HOST].deltas, deltas, "no flicker");
    room.wait(1);
    assert_eq!(room.links(), [(HOST, Link::Online), (3, Link::Reconnecting)]);
    assert_eq!(room.seats[&HOST].deltas, deltas + 1);
    room.wait(14_999);
    assert_eq!(room.links().len(), 2);
    room.wait(1);
    assert_eq!(room.links(), [(HOST, Link::Online)]);
    assert_eq!(room.told(3).last().unwrap(), "left ConnectionLost");
    assert_eq!(room.seats[&HOST].replica.as_ref(), Some(room.machine.state()));
}

#[test]
fn who_is_back_within_five_seconds_was_never_gone() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    let position = room.seen(HOST);
    for _ in 0..10 {
        room.lose(3);
        room.wait(4_999);
        room.come_back(3);
    }
    assert_eq!(room.machine.state().position(), position);
}

#[test]
fn who_is_back_later_is_online_again() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    room.lose(3);
    room.wait(10_000);
    room.come_back(3);
    assert_eq!(room.links(), [(HOST, Link::Online), (3, Link::Online)]);
    room.wait(60_000);
    assert_eq!(room.links().len(), 2);
}

#[test]
fn who_waits_and_loses_the_connection_waits_no_longer() {
    let mut room = Room::with(WAITING_ROOM);
    room.join(HOST);
    room.join(3);
    room.lose(3);
    room.wait(20_000);
    assert_eq!(room.told(HOST).last().unwrap(), "lobby 0");
    assert!(room.machine.waiting.is_empty());
}

#[test]
fn a_session_that_is_over_leaves_no_ghost() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    room.handle(RoomInput::Gone(SessionId::from_bits(3)));
    room.settle();
    assert_eq!(room.links(), [(HOST, Link::Online)]);
    room.handle(RoomInput::Gone(SessionId::from_bits(HOST)));
    room.settle();
    assert!(room.machine.is_empty());
    assert!(room.machine.deadline().is_none() || room.machine.unchecked_since.is_some());
}

#[test]
fn who_comes_in_together_is_told_together() {
    let mut room = Room::new();
    room.join(HOST);
    let deltas = room.seats[&HOST].deltas;
    for user in 3..23 {
        room.ask(user, RoomRequest::Join(None));
    }
    room.settle();
    assert_eq!(room.seats[&HOST].deltas, deltas + 1);
    for user in 3..23 {
        assert_eq!(room.told(user), ["joined false 0"]);
        assert_eq!(room.seats[&user].replica.as_ref(), Some(room.machine.state()));
    }
}

#[test]
fn moderators_are_stored_and_told_who_waits() {
    let mut room = Room::with(WAITING_ROOM);
    room.join(HOST);
    room.join(3);
    let three = room.id(3);
    room.request(HOST, RoomRequest::Admit(three));
    room.join(4);
    room.told(3);
    room.request(HOST, RoomRequest::SetRole(three, Role::Moderator));
    assert_eq!(room.told(3), ["lobby 1"]);
    assert!(room.machine.record().moderators.contains(&UserId::from_bits(3)));
    assert_eq!(room.request(HOST, RoomRequest::SetRole(three, Role::Host)), ["Forbidden"]);
    assert_eq!(room.request(HOST, RoomRequest::SetRole(three, Role::Guest)), ["Forbidden"]);
    room.request(HOST, RoomRequest::SetRole(three, Role::Member));
    assert!(!room.machine.record().moderators.contains(&UserId::from_bits(3)));
}

#[test]
fn what_can_not_be_stored_does_not_happen() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    room.store_works = false;
    let before = room.machine.state().clone();
    let three = room.id(3);
    assert_eq!(room.change(HOST, LOCK), ["Unavailable"]);
    assert_eq!(room.request(HOST, RoomRequest::SetRole(three, Role::Moderator)), ["Unavailable"]);
    assert_eq!(room.request(HOST, RoomRequest::Delete), ["Unavailable"]);
    assert_eq!(room.machine.state(), &before);
    assert_eq!(room.chat(3), ["done"], "what needs no store goes on");
}

#[test]
fn a_deleted_room_is_over_for_everyone() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    assert_eq!(room.request(HOST, RoomRequest::Delete), ["left RoomDeleted", "done"]);
    assert_eq!(room.told(3), ["left RoomDeleted"]);
    assert!(room.machine.is_empty());
    assert_eq!(room.machine.deadline(), None);
    assert_eq!(room.join(3), ["NoSuchRoom"]);
}

#[test]
fn a_host_looks_after_the_room_from_outside() {
    let mut room = Room::new();
    room.join(3);
    assert_eq!(room.change(HOST, LOCK), ["done"]);
    assert!(room.seats[&3].replica.as_ref().unwrap().settings().locked);
    assert_eq!(
        room.change(2, RoomSettingsChange { name: Some(name("Deck")), ..Default::default() }),
        ["done"]
    );
    assert_eq!(room.machine.record().name, name("Deck"));
}

#[test]
fn whoever_falls_behind_gets_one_snapshot() {
    let mut room = Room::new();
    room.join(HOST);
    room.join(3);
    let stale = room.seats[&3].replica.clone();
    room.chat(HOST);
    room.seats.get_mut(&3).unwrap().replica = stale;
    room.handle(RoomInput::CatchUp(SessionId::from_bits(3)));
    assert_eq!(room.seats[&3].replica.as_ref(), Some(room.machine.state()));
    room.handle(RoomInput::CatchUp(SessionId::from_bits(99)));
    assert_eq!(room.told(99), [""; 0]);
}

#[test]
fn the_state_is_checked_after_many_changes_or_some_time_and_never_in_an_idle_room() {
    let mut room = Room::new();
    room.join(HOST);
    for _ in 0..CHECKED_AFTER_CHANGES - 2 {
        room.chat(HOST);
    }
    assert!(room.machine.deadline().is_some());
    room.chat(HOST);
    assert_eq!(room.machine.deadline(), None, "checked by number");
    room.chat(HOST);
    room.wait(29_999);
    assert!(room.machine.deadline().is_some());
    room.wait(1);
    assert_eq!(room.machine.deadline(), None, "checked by time");
}

#[derive(Clone, Debug)]
enum Step {
    Join(u128, bool),
    Leave(u128),
    Chat(u128),
    Hand(u128, bool),
    Lose(u128),
    Back(u128, bool),
    Gone(u128),
    Remove(u128, u128),
    Admit(u128, u128),
    Waiting(bool),
    Wait(u64),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let user = || prop_oneof![1_u128..6, Just(100), Just(101)];
    prop_oneof![
        4 => (user(), any::<bool>()).prop_map(|(user, since)| Step::Join(user, since)),
        1 => user().prop_map(Step::Leave),
        4 => user().prop_map(Step::Chat),
        2 => (user(), any::<bool>()).prop_map(|(user, up)| Step::Hand(user, up)),
        3 => user().prop_map(Step::Lose),
        3 => (user(), any::<bool>()).prop_map(|(user, since)| Step::Back(user, since)),
        1 => user().prop_map(Step::Gone),
        1 => (1_u128..3, user()).prop_map(|(by, whom)| Step::Remove(by, whom)),
        2 => (1_u128..3, user()).prop_map(|(by, whom)| Step::Admit(by, whom)),
        1 => any::<bool>().prop_map(Step::Waiting),
        3 => (1_u64..8_000).prop_map(Step::Wait),
        4 => Just(Step::Settle),
    ]
}

proptest! {
    /// Whatever happens: everyone who is told changes has the room's state (each replica refuses gaps and repeats), nobody
    /// who lost their connection stays for longer than twenty seconds, and the room is never too full.
    #[test]
    fn whatever_happens_everyone_sees_the_same_and_no_ghost_stays(steps in prop::collection::vec(step(), 1..120)) {
        let mut room = Room::with(RoomSettings { capacity: 4, ..RoomSettings::default() });
        let mut lost: BTreeMap<u128, Instant> = BTreeMap::new();
        for step in steps {
            let since = |room: &Room, user: u128, told: bool| {
                let replica = room.seats.get(&user).and_then(|seat| seat.replica.as_ref());
                replica.filter(|_| told).map(RoomState::position)
            };
            let id = |room: &Room, user: u128| {
                let of = UserId::from_bits(user);
                let members = room.machine.members.iter().map(|one| (one.identity.user, one.id));
                let waiting = room.machine.waiting.iter().map(|one| (one.identity.user, one.id));
                members.chain(waiting).find(|(user, _)| *user == of).map(|(_, id)| id)
            };
            match step {
                Step::Join(user, told) if !lost.contains_key(&user) => {
                    let since = since(&room, user, told);
                    room.ask(user, RoomRequest::Join(since));
                }
                Step::Leave(user) => room.ask(user, RoomRequest::Leave),
                Step::Chat(user) => room.ask(user, RoomRequest::Chat(ChatText::new("hi").unwrap())),
                Step::Hand(user, up) => room.ask(user, RoomRequest::SetState(StateEntry::Hand(up))),
                Step::Lose(user) => {
                    if room.machine.knows(SessionId::from_bits(user)) {
                        lost.entry(user).or_insert(room.now);
                    }
                    room.handle(RoomInput::Lost(SessionId::from_bits(user)));
                }
                Step::Back(user, told) => {
                    lost.remove(&user);
                    room.handle(RoomInput::Back(SessionId::from_bits(user)));
                    let since = since(&room, user, told);
                    room.ask(user, RoomRequest::Sync(since));
                }
                Step::Gone(user) => {
                    lost.remove(&user);
                    room.handle(RoomInput::Gone(SessionId::from_bits(user)));
                }
                Step::Remove(by, whom) => {
                    if let Some(id) = id(&room, whom) {
                        room.ask(by, RoomRequest::Remove(id));
                    }
                }
                Step::Admit(by, whom) => {
                    if let Some(id) = id(&room, whom) {
                        room.ask(by, RoomRequest::Admit(id));
                    }
                }
                Step::Waiting(waiting_room) => {
                    let change = RoomSettingsChange { waiting_room: Some(waiting_room), ..Default::default() };
                    room.ask(HOST, RoomRequest::Change(change));
                }
                Step::Wait(ms) => {
                    room.now += Duration::from_millis(ms);
                    while room.machine.deadline().is_some_and(|deadline| deadline <= room.now) {
                        room.handle(RoomInput::Tick);
                    }
                }
                Step::Settle | Step::Join(..) => room.settle(),
            }
            lost.retain(|user, _| room.machine.knows(SessionId::from_bits(*user)));
            for (user, since) in &lost {
                prop_assert!(room.now < *since + GIVEN_UP_AFTER, "{user} is a ghost");
            }
            let others = room.machine.members.iter().filter(|member| member.role < Role::Host);
            prop_assert!(others.count() <= 4);
        }
        room.settle();
        for member in room.machine.members.iter().filter(|member| member.listens) {
            let replica = room.seats[&member.session.bits()].replica.as_ref();
            prop_assert_eq!(replica, Some(room.machine.state()));
        }
        let roster: Vec<_> = room.machine.state().participants().iter().map(|one| one.id).collect();
        let members: Vec<_> = room.machine.members.iter().map(|one| one.id).collect();
        prop_assert_eq!(roster, members);
    }
}
