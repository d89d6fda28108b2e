use ahoy_signal::{
    ChatId, ChatMessage, ChatText, Epoch, Link, Name, Participant, PositionedDelta, RoomSettings, UserId,
};
use proptest::prelude::*;

use super::*;

const ME: ParticipantId = ParticipantId::from_bits(1);

fn at(offset: u64) -> Position {
    Position { epoch: Epoch::from_bits(1), offset }
}

fn participant(number: u128) -> Participant {
    Participant {
        id: ParticipantId::from_bits(number),
        user: UserId::from_bits(number),
        name: Name::new("Ada").unwrap(),
        role: Role::Member,
        link: Link::Online,
    }
}

fn line(number: u128) -> ChatMessage {
    ChatMessage {
        id: ChatId::from_bits(number),
        user: UserId::from_bits(1),
        name: Name::new("Ada").unwrap(),
        at_ms: 0,
        text: ChatText::new(number.to_string()).unwrap(),
    }
}

fn chat(number: u128) -> RoomDelta {
    RoomDelta::Chat { message: line(number) }
}

fn roster(numbers: &[u128]) -> RoomDelta {
    RoomDelta::Roster { participants: numbers.iter().copied().map(participant).collect() }
}

/// The room as the server has it.
struct Server {
    state: RoomState,
    log: Vec<PositionedDelta>,
}

impl Server {
    fn new() -> Self {
        let name = Name::new("Family").unwrap();
        let state = RoomState::new(Epoch::from_bits(1), name, RoomSettings::default());
        Self { state, log: Vec::new() }
    }

    fn change(&mut self, delta: RoomDelta) -> ServerEnvelope {
        let offset = self.state.position().offset + 1;
        self.state.apply(at(offset), delta.clone()).unwrap();
        self.log.push(PositionedDelta { offset, delta: delta.clone() });
        self.envelope(ServerMessage::Delta { delta })
    }

    fn envelope(&self, body: ServerMessage) -> ServerEnvelope {
        ServerEnvelope { pos: Some(self.state.position()), ..ServerEnvelope::new(body) }
    }

    fn joined(&self, me: ParticipantId, since: Option<Position>) -> ServerEnvelope {
        let missed = since.map(|since| {
            self.log.iter().filter(|delta| delta.offset > since.offset).cloned().collect::<Vec<_>>()
        });
        self.envelope(ServerMessage::Joined {
            participant: me,
            role: Role::Member,
            recovered: missed.is_some(),
            snapshot: missed.is_none().then(|| Box::new(self.state.snapshot())),
            missed: missed.unwrap_or_default(),
        })
    }

    fn checkpoint(&self) -> ServerEnvelope {
        self.envelope(ServerMessage::Checkpoint { hash: self.state.hash() })
    }
}

fn asked(out: &[RoomOutput]) -> Option<(Turn, ClientMessage)> {
    let mut follows = out.iter().filter_map(|output| match output {
        RoomOutput::Follow(turn, body) => Some((*turn, body.clone())),
        RoomOutput::Say(_) | RoomOutput::Again(..) | RoomOutput::Event(_) => None,
    });
    let first = follows.next();
    assert!(follows.next().is_none(), "one question at a time: {out:?}");
    first
}

fn events(out: Vec<RoomOutput>) -> Vec<RoomEvent> {
    out.into_iter()
        .filter_map(|output| match output {
            RoomOutput::Event(event) => Some(event),
            RoomOutput::Follow(..) | RoomOutput::Say(_) | RoomOutput::Again(..) => None,
        })
        .collect()
}

fn lines(out: Vec<RoomOutput>) -> Vec<u128> {
    events(out)
        .into_iter()
        .filter_map(|event| match event {
            RoomEvent::Chat(message) => Some(message.id.bits()),
            _ => None,
        })
        .collect()
}

/// A replica in a room with one line of chat.
fn inside() -> (Server, RoomReplica, Instant) {
    let now = Instant::now();
    let mut server = Server::new();
    server.change(roster(&[1, 2]));
    server.change(chat(1));
    let (mut replica, out) = RoomReplica::join();
    let (turn, body) = asked(&out).unwrap();
    assert_eq!(body, ClientMessage::Join { since: None });
    let out = replica.answered(turn, Ok(server.joined(ME, None)), now);
    assert!(matches!(events(out)[..], [RoomEvent::Entered { again: false, .. }]));
    assert_eq!(replica.state(), Some(&server.state));
    (server, replica, now)
}

#[test]
fn changes_are_told_as_what_they_mean() {
    let (mut server, mut replica, now) = inside();
    let out = replica.news(server.change(roster(&[1, 3])), now);
    assert_eq!(events(out), [RoomEvent::Went(participant(2)), RoomEvent::Came(participant(3))]);
    assert_eq!(lines(replica.news(server.change(chat(2)), now)), [2]);
    let hand = StateEntry::Hand(true);
    let delta = RoomDelta::State { participant: ParticipantId::from_bits(3), entry: hand.clone() };
    let out = replica.news(server.change(delta), now);
    assert_eq!(events(out), [RoomEvent::State { participant: participant(3), entry: hand }]);
    assert_eq!(replica.state(), Some(&server.state));
}

#[test]
fn a_gap_is_asked_for_once_and_filled_without_telling_anything_twice() {
    let (mut server, mut replica, now) = inside();
    server.change(chat(2));
    let out = replica.news(server.change(chat(3)), now);
    let (turn, body) = asked(&out).unwrap();
    assert_eq!(body, ClientMessage::Sync { since: Some(at(2)) });
    assert_eq!(replica.news(server.change(chat(4)), now), [], "asked already");
    let out = replica.answered(turn, Ok(server.joined(ME, Some(at(2)))), now);
    assert_eq!(lines(out), [2, 3, 4]);
    assert_eq!(replica.state(), Some(&server.state));
}

#[test]
fn a_room_in_a_new_life_is_taken_over_whole() {
    let (_, mut replica, now) = inside();
    let name = Name::new("Family").unwrap();
    let mut state = RoomState::new(Epoch::from_bits(2), name, RoomSettings::default());
    let position = Position { epoch: Epoch::from_bits(2), offset: 1 };
    state.apply(position, roster(&[1])).unwrap();
    let server = Server { state, log: Vec::new() };
    let out = replica.news(server.envelope(ServerMessage::Delta { delta: roster(&[1]) }), now);
    let (turn, _) = asked(&out).unwrap();
    replica.answered(turn, Ok(server.joined(ME, None)), now);
    assert_eq!(replica.state(), Some(&server.state));
}

#[test]
fn another_hash_leads_to_a_whole_snapshot() {
    let (mut server, mut replica, now) = inside();
    assert_eq!(replica.news(server.checkpoint(), now), []);
    // Something went wrong on the server's side: one line came out differently.
    replica.news(server.change(chat(2)), now);
    let snapshot = RoomSnapshot { chat: vec![line(1), line(9)], ..server.state.snapshot() };
    server.state = RoomState::from_snapshot(server.state.position(), snapshot);
    let out = replica.news(server.checkpoint(), now);
    let (turn, body) = asked(&out).unwrap();
    assert_eq!(body, ClientMessage::Sync { since: None });
    let out = replica.answered(turn, Ok(server.joined(ME, None)), now);
    assert_eq!(lines(out), [9]);
    assert_eq!(replica.state(), Some(&server.state));
    assert_eq!(replica.news(server.checkpoint(), now), []);
}

#[test]
fn a_checkpoint_ahead_shows_that_something_is_missing() {
    let (mut server, mut replica, now) = inside();
    server.change(chat(2));
    let out = replica.news(server.checkpoint(), now);
    assert_eq!(asked(&out).unwrap().1, ClientMessage::Sync { since: Some(at(2)) });
}

#[test]
fn a_snapshot_that_took_the_place_of_changes_tells_each_line_once() {
    let (mut server, mut replica, now) = inside();
    server.change(chat(2));
    server.change(chat(3));
    let snapshot = server.envelope(ServerMessage::Snapshot { snapshot: Box::new(server.state.snapshot()) });
    assert_eq!(lines(replica.news(snapshot, now)), [2, 3]);
    assert_eq!(lines(replica.news(server.change(chat(4)), now)), [4]);
}

#[test]
fn a_resumed_session_asks_for_what_was_missed() {
    let (mut server, mut replica, now) = inside();
    server.change(chat(2));
    let (turn, body) = asked(&replica.resumed()).unwrap();
    assert_eq!(body, ClientMessage::Sync { since: Some(at(2)) });
    let out = replica.answered(turn, Ok(server.joined(ME, Some(at(2)))), now);
    assert_eq!(lines(out), [2]);
}

#[test]
fn a_new_session_enters_again_and_says_again_what_one_had_said() {
    let (mut server, mut replica, now) = inside();
    replica.say(StateEntry::Hand(true));
    replica.say(StateEntry::Muted(true));
    server.change(chat(2));
    let (turn, body) = asked(&replica.began()).unwrap();
    assert_eq!(body, ClientMessage::Join { since: Some(at(2)) });
    let other = ParticipantId::from_bits(5);
    let out = replica.answered(turn, Ok(server.joined(other, Some(at(2)))), now);
    let said = out.iter().filter(|output| matches!(output, RoomOutput::Say(ClientMessage::SetState { .. })));
    assert_eq!(said.count(), 2);
    let told = events(out);
    assert!(matches!(told[0], RoomEvent::Entered { again: true, participant, .. } if participant == other));
    assert_eq!(told[1], RoomEvent::Chat(line(2)));
}

#[test]
fn a_join_that_the_session_repeats_is_not_asked_twice() {
    let (mut replica, out) = RoomReplica::join();
    assert!(asked(&out).is_some());
    assert_eq!(replica.began(), []);
}

#[test]
fn who_was_put_out_for_want_of_a_connection_comes_back_but_not_in_a_hurry() {
    let (server, mut replica, now) = inside();
    let left = || ServerEnvelope::new(ServerMessage::Left { reason: LeaveReason::ConnectionLost });
    let (turn, body) = asked(&replica.news(left(), now)).unwrap();
    assert_eq!(body, ClientMessage::Join { since: Some(at(2)) });
    replica.answered(turn, Ok(server.joined(ME, Some(at(2)))), now);
    assert_eq!(replica.news(left(), now), []);
    assert_eq!(replica.deadline(), Some(now + BACK_AT_MOST_EVERY));
    assert!(asked(&replica.tick(now + BACK_AT_MOST_EVERY)).is_some());
}

#[test]
fn who_was_removed_stays_out() {
    for reason in [LeaveReason::Removed, LeaveReason::NotAdmitted, LeaveReason::RoomDeleted] {
        let (mut server, mut replica, now) = inside();
        let out = replica.news(ServerEnvelope::new(ServerMessage::Left { reason }), now);
        assert_eq!(events(out), [RoomEvent::Left(reason)]);
        assert!(replica.is_over());
        assert_eq!(replica.news(server.change(chat(5)), now), []);
        assert_eq!((replica.began(), replica.resumed()), (vec![], vec![]));
    }
}

#[test]
fn a_room_that_can_not_be_entered_says_why_and_a_busy_server_is_asked_again() {
    let now = Instant::now();
    let (mut replica, out) = RoomReplica::join();
    let (turn, _) = asked(&out).unwrap();
    let busy = Refusal { retry_after_ms: Some(1_200), ..Refusal::new(ErrorCode::RateLimited, "wait") };
    assert_eq!(replica.answered(turn, Err(RequestError::Refused(busy)), now), []);
    let due = replica.deadline().unwrap();
    assert_eq!(due - now, Duration::from_millis(1_200));
    let (turn, _) = asked(&replica.tick(due)).unwrap();
    let locked = Refusal::new(ErrorCode::RoomLocked, "locked");
    let out = replica.answered(turn, Err(RequestError::Refused(locked.clone())), now);
    assert_eq!(events(out), [RoomEvent::Refused(locked)]);
    assert!(replica.is_over());
}

#[test]
fn a_sync_out_of_a_room_one_is_not_in_enters_it_and_its_late_answer_is_nothing() {
    let (server, mut replica, now) = inside();
    let (turn, _) = asked(&replica.resumed()).unwrap();
    let out =
        replica.news(ServerEnvelope::new(ServerMessage::Left { reason: LeaveReason::ConnectionLost }), now);
    let (join, _) = asked(&out).unwrap();
    let gone = Refusal::new(ErrorCode::NotInRoom, "not in it");
    assert_eq!(replica.answered(turn, Err(RequestError::Refused(gone)), now), []);
    let out = replica.answered(join, Ok(server.joined(ME, Some(at(2)))), now);
    assert!(matches!(events(out)[0], RoomEvent::Entered { again: true, .. }));
}

#[test]
fn what_is_refused_while_one_was_put_out_is_put_off_until_one_is_back_in_order() {
    let (server, mut replica, now) = inside();
    let text = |text: &str| ClientMessage::Chat { text: ChatText::new(text).unwrap() };
    let out = replica.put_off(Tag(1), text("one")).unwrap();
    let (turn, body) = asked(&out).unwrap();
    assert_eq!(body, ClientMessage::Join { since: Some(at(2)) });
    assert_eq!(replica.put_off(Tag(2), text("two")), Some(Vec::new()), "asked already");
    let out = replica.answered(turn, Ok(server.joined(ME, Some(at(2)))), now);
    let again: Vec<_> = out.iter().filter(|output| matches!(output, RoomOutput::Again(..))).collect();
    assert_eq!(again, [&RoomOutput::Again(Tag(1), text("one")), &RoomOutput::Again(Tag(2), text("two"))]);
    replica.leave();
    assert_eq!(replica.put_off(Tag(3), text("three")), None);
}

#[test]
fn what_is_put_off_is_bounded_and_given_back_when_the_room_is_over() {
    let (_, mut replica, now) = inside();
    let body = || ClientMessage::Chat { text: ChatText::new("x").unwrap() };
    for tag in 0..PUT_OFF_MOST as u64 {
        assert!(replica.put_off(Tag(tag), body()).is_some());
    }
    assert_eq!(replica.put_off(Tag(99), body()), None);
    replica.news(ServerEnvelope::new(ServerMessage::Left { reason: LeaveReason::Removed }), now);
    assert!(replica.is_over());
    assert_eq!(replica.take_put_off().count(), PUT_OFF_MOST);
}

#[test]
fn who_waits_is_told_and_enters_when_let_in() {
    let now = Instant::now();
    let mut server = Server::new();
    let (mut replica, out) = RoomReplica::join();
    let (turn, _) = asked(&out).unwrap();
    let waiting = ServerEnvelope::new(ServerMessage::Waiting { participant: ME });
    assert_eq!(events(replica.answered(turn, Ok(waiting), now)), [RoomEvent::Waiting]);
    server.change(roster(&[1]));
    let out = replica.news(server.joined(ME, None), now);
    assert!(matches!(events(out)[..], [RoomEvent::Entered { again: false, .. }]));
}

proptest! {
    /// Deltas get lost, come twice and come with answers in between: in the end both sides agree, and no line of chat was
    /// lost or told twice.
    #[test]
    fn whatever_is_lost_the_replica_agrees_in_the_end(
        fates in prop::collection::vec((0_u8..10, 0_u8..4), 1..120),
    ) {
        let (mut server, mut replica, now) = inside();
        let mut told = Vec::new();
        let mut next_line = 2;
        let mut question = None;
        for (fate, kind) in fates {
            let delta = match kind {
                0 => roster(&[1, 2, 3][..1 + usize::from(fate) % 3]),
                1 => RoomDelta::State { participant: ME, entry: StateEntry::Hand(fate % 2 == 0) },
                _ => { next_line += 1; chat(next_line - 1) }
            };
            let envelope = server.change(delta);
            let mut out = match fate {
                0..=2 => Vec::new(),
                3 => [replica.news(envelope.clone(), now), replica.news(envelope, now)].concat(),
                4 => replica.news(server.checkpoint(), now),
                _ => replica.news(envelope, now),
            };
            if let Some(asked) = asked(&out) { question = Some(asked); }
            if fate % 4 == 1 && let Some((turn, ClientMessage::Sync { since })) = question.take() {
                out.extend(replica.answered(turn, Ok(server.joined(ME, since)), now));
            }
            told.extend(lines(out));
        }
        for _ in 0..3 {
            let mut out = replica.news(server.checkpoint(), now);
            if let Some(asked) = asked(&out) { question = Some(asked); }
            if let Some((turn, ClientMessage::Sync { since })) = question.take() {
                out.extend(replica.answered(turn, Ok(server.joined(ME, since)), now));
            }
            told.extend(lines(out));
        }
        prop_assert_eq!(replica.state(), Some(&server.state));
        prop_assert_eq!(told, (2..next_line).collect::<Vec<_>>());
    }
}
