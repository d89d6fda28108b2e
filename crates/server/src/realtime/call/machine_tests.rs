use ahoy_signal::{CandidateLine, DescriptionKind, Handle, IceGeneration, Name, Sdp};
use proptest::prelude::*;

use super::*;

const ADA: UserId = UserId::from_bits(1);
const GRACE: UserId = UserId::from_bits(2);
const ADAS: SessionId = SessionId::from_bits(10);
const ADAS_OTHER: SessionId = SessionId::from_bits(11);
const GRACES: SessionId = SessionId::from_bits(20);
const GRACES_OTHER: SessionId = SessionId::from_bits(21);
const CALL: CallId = CallId::from_bits(100);
const BACK: CallId = CallId::from_bits(200);
const RE: RequestId = RequestId(1);

fn peer(user: UserId) -> CallPeer {
    CallPeer {
        user,
        handle: Handle::new(format!("user{}", user.bits())).unwrap(),
        name: Name::new("Somebody").unwrap(),
    }
}

fn sessions(user: UserId) -> Vec<SessionId> {
    if user == ADA { vec![ADAS, ADAS_OTHER] } else { vec![GRACES, GRACES_OTHER] }
}

struct Board {
    machine: CallMachine,
    now: Instant,
    told: Vec<(SessionId, ServerMessage)>,
    in_call: Vec<(UserId, bool)>,
    missed: Vec<(UserId, CallId)>,
}

impl Board {
    fn new() -> Self {
        Self {
            machine: CallMachine::default(),
            now: Instant::now(),
            told: Vec::new(),
            in_call: Vec::new(),
            missed: Vec::new(),
        }
    }

    fn handle(&mut self, input: CallInput) {
        for output in self.machine.handle(input, self.now) {
            match output {
                CallOutput::Tell { session, body, .. } => self.told.push((session, body)),
                CallOutput::InCall(user, yes) => self.in_call.push((user, yes)),
                CallOutput::Missed(missed) => self.missed.push((missed.to, missed.call)),
            }
        }
    }

    fn call(&mut self, from: UserId, session: SessionId, to: UserId, call: CallId) {
        let (media, rings) = (CallMedia::Video, sessions(to));
        self.handle(CallInput::Call { re: RE, session, call, from: peer(from), to: peer(to), media, rings });
    }

    fn accept(&mut self, session: SessionId, call: CallId) {
        self.handle(CallInput::Accept { re: RE, session, call });
    }

    fn signal(&mut self, session: SessionId, signal: CallSignal) {
        self.handle(CallInput::Signal { re: RE, session, call: CALL, signal });
    }

    /// What a session was told since the last look, by kind; `call_ended` with its reason, refusals with their code.
    fn told(&mut self, session: SessionId) -> Vec<String> {
        let (mine, others) = std::mem::take(&mut self.told).into_iter().partition(|(to, _)| *to == session);
        self.told = others;
        let described = |(_, body): (SessionId, ServerMessage)| match body {
            ServerMessage::CallEnded { reason, .. } => format!("{reason:?}"),
            ServerMessage::Error(refusal) => format!("{:?}", refusal.code),
            ServerMessage::CallSignal { signal: CallSignal::Description { revision, .. }, .. } => {
                format!("description {revision}")
            }
            ServerMessage::CallSignal { signal: CallSignal::Candidate { candidate, .. }, .. } => {
                format!("candidate {}", candidate.as_str())
            }
            other => other.kind().to_owned(),
        };
        let mine: Vec<_> = mine;
        mine.into_iter().map(described).collect()
    }
}

fn generation(name: &str) -> IceGeneration {
    IceGeneration::new(name).unwrap()
}

fn offer(revision: u32, of: &str) -> CallSignal {
    let (kind, sdp) = (DescriptionKind::Offer, Sdp::new("v=0").unwrap());
    CallSignal::Description { kind, revision, generation: generation(of), sdp }
}

fn candidate(name: &str, of: &str) -> CallSignal {
    let candidate = CandidateLine::new(name).unwrap();
    CallSignal::Candidate { candidate, sdp_mid: None, sdp_mline_index: None, generation: generation(of) }
}

fn ringing() -> Board {
    let mut board = Board::new();
    board.call(ADA, ADAS, GRACE, CALL);
    assert_eq!(board.told(ADAS), ["call_ringing"]);
    assert_eq!(board.told(GRACES), ["call_incoming"]);
    assert_eq!(board.told(GRACES_OTHER), ["call_incoming"]);
    board
}

fn answered() -> Board {
    let mut board = ringing();
    board.accept(GRACES, CALL);
    assert_eq!(board.told(GRACES), ["done", "call_answered"]);
    assert_eq!(board.told(ADAS), ["call_answered"]);
    board
}

#[test]
fn a_call_rings_at_all_devices_and_the_first_to_take_it_has_it() {
    let mut board = answered();
    assert_eq!(board.told(GRACES_OTHER), ["AnsweredElsewhere"]);
    assert_eq!(board.in_call, [(ADA, true), (GRACE, true)]);
    board.accept(GRACES_OTHER, CALL);
    assert_eq!(board.told(GRACES_OTHER), ["NoSuchCall"]);
}

#[test]
fn declining_a_call_stops_the_ring_on_every_device() {
    for (busy, told) in [(false, "Declined"), (true, "Busy")] {
        let mut board = ringing();
        board.handle(CallInput::Decline { re: RE, session: GRACES, call: CALL, busy });
        assert_eq!(board.told(GRACES), ["done"]);
        assert_eq!(board.told(GRACES_OTHER), ["DeclinedElsewhere"]);
        assert_eq!(board.told(ADAS), [told]);
        assert_eq!(board.machine.count(), (0, 0));
    }
}

#[test]
fn a_caller_who_gives_up_stops_the_ring() {
    let mut board = ringing();
    board.handle(CallInput::HangUp { re: RE, session: ADAS, call: CALL });
    assert_eq!(board.told(GRACES), ["Cancelled"]);
    assert_eq!(board.told(GRACES_OTHER), ["Cancelled"]);
    assert_eq!(board.machine.deadline(), None);
}

#[test]
fn nobody_answers_for_fifty_seconds() {
    let mut board = ringing();
    board.now += RINGING_MOST - Duration::from_millis(1);
    board.handle(CallInput::Tick);
    assert!(board.told.is_empty());
    board.now += Duration::from_millis(1);
    board.handle(CallInput::Tick);
    for session in [ADAS, GRACES, GRACES_OTHER] {
        assert_eq!(board.told(session), ["TimedOut"]);
    }
}

#[test]
fn an_answered_call_does_not_time_out_and_ends_when_one_hangs_up() {
    for (one, other) in [(ADAS, GRACES), (GRACES, ADAS)] {
        let mut board = answered();
        board.now += 10 * RINGING_MOST;
        board.handle(CallInput::Tick);
        board.handle(CallInput::HangUp { re: RE, session: one, call: CALL });
        assert_eq!(board.told(other), ["HungUp"]);
        assert_eq!(board.in_call, [(ADA, true), (GRACE, true), (ADA, false), (GRACE, false)]);
    }
}

#[test]
fn when_both_call_at_once_there_is_one_call() {
    for ((first, first_session), (second, second_session)) in
        [((ADA, ADAS), (GRACE, GRACES)), ((GRACE, GRACES), (ADA, ADAS))]
    {
        let mut board = Board::new();
        board.call(first, first_session, second, CALL);
        board.told.clear();
        board.call(second, second_session, first, BACK);
        assert_eq!(board.told(second_session), ["call_answered", "Merged"]);
        assert_eq!(board.told(first_session), ["call_answered"]);
        assert_eq!(board.machine.count(), (0, 1));
        let elsewhere = sessions(second)[1];
        assert_eq!(board.told(elsewhere), ["AnsweredElsewhere"]);
    }
}

#[test]
fn what_the_caller_says_early_follows_the_answer_without_what_is_stale() {
    let mut board = ringing();
    for signal in [
        candidate("overtook", "second"),
        offer(1, "first"),
        candidate("old", "first"),
        offer(2, "second"),
        candidate("new", "second"),
        offer(1, "first"),
        candidate("late", "first"),
    ] {
        board.signal(ADAS, signal);
    }
    assert_eq!(board.told(ADAS), ["done"; 7]);
    assert!(board.told.is_empty());
    board.accept(GRACES, CALL);
    assert_eq!(
        board.told(GRACES),
        ["done", "call_answered", "description 2", "candidate overtook", "candidate new"]
    );
}

#[test]
fn a_flood_of_early_candidates_is_bounded() {
    let mut board = ringing();
    for number in 0..1_000 {
        board.signal(ADAS, candidate(&number.to_string(), "only"));
    }
    board.told.clear();
    board.accept(GRACES, CALL);
    assert_eq!(board.told(GRACES).len(), 2 + ahoy_signal::limits::EARLY_CANDIDATES_MOST);
}

#[test]
fn stale_signals_of_a_running_call_are_dropped() {
    let mut board = answered();
    for signal in [
        offer(1, "a"),
        candidate("1", "a"),
        offer(2, "b"),
        candidate("2", "a"),
        candidate("3", "c"),
        offer(2, "x"),
    ] {
        board.signal(ADAS, signal);
    }
    assert_eq!(board.told(GRACES), ["description 1", "candidate 1", "description 2", "candidate 3"]);
    // The other side counts for itself.
    board.signal(GRACES, offer(1, "z"));
    assert_eq!(board.told(ADAS).last().unwrap(), "description 1");
}

#[test]
fn only_those_who_are_in_a_call_may_signal_in_it() {
    let mut board = ringing();
    for session in [GRACES, ADAS_OTHER, SessionId::from_bits(99)] {
        board.signal(session, offer(1, "a"));
        assert_eq!(board.told(session), ["NoSuchCall"]);
    }
    let mut board = answered();
    board.told.clear();
    for session in [GRACES_OTHER, ADAS_OTHER] {
        board.signal(session, offer(1, "a"));
        board.handle(CallInput::HangUp { re: RE, session, call: CALL });
        assert_eq!(board.told(session), ["NoSuchCall", "NoSuchCall"]);
    }
    assert!(board.told.is_empty());
}

#[test]
fn calls_that_whoever_was_called_did_not_get_to_are_missed_and_no_others() {
    let missed = |act: &dyn Fn(&mut Board)| {
        let mut board = Board::new();
        board.call(ADA, ADAS, GRACE, CALL);
        act(&mut board);
        board.missed
    };
    let hers = vec![(GRACE, CALL)];
    assert_eq!(missed(&|board| board.handle(CallInput::HangUp { re: RE, session: ADAS, call: CALL })), hers);
    assert_eq!(missed(&|board| board.handle(CallInput::SessionOver { session: ADAS })), hers);
    let too_late = |board: &mut Board| {
        board.now += RINGING_MOST;
        board.handle(CallInput::Tick);
    };
    assert_eq!(missed(&too_late), hers);
    let decline = |busy| CallInput::Decline { re: RE, session: GRACES, call: CALL, busy };
    assert_eq!(missed(&|board| board.handle(decline(true))), hers);
    assert_eq!(missed(&|board| board.handle(decline(false))), []);
    let talked = |board: &mut Board| {
        board.accept(GRACES, CALL);
        board.handle(CallInput::HangUp { re: RE, session: ADAS, call: CALL });
    };
    assert_eq!(missed(&talked), []);
    let busy = |board: &mut Board| {
        board.accept(GRACES, CALL);
        board.call(UserId::from_bits(3), SessionId::from_bits(30), GRACE, BACK);
    };
    assert_eq!(missed(&busy), [(GRACE, BACK)]);
    let both = |board: &mut Board| board.call(GRACE, GRACES, ADA, BACK);
    assert_eq!(missed(&both), [], "they are in one call");
}

#[test]
fn whoever_is_in_a_call_or_calls_is_busy_but_whoever_is_called_is_not() {
    let third = UserId::from_bits(3);
    let thirds = SessionId::from_bits(30);
    let mut board = ringing();
    board.call(third, thirds, ADA, BACK);
    assert_eq!(board.told(thirds), ["Busy"]);
    board.call(third, thirds, GRACE, BACK);
    assert_eq!(board.told(thirds), ["call_ringing"]);
    board.accept(GRACES, CALL);
    board.told.clear();
    board.accept(GRACES, BACK);
    assert_eq!(board.told(GRACES), ["Busy"]);
}

#[test]
fn a_session_that_is_gone_for_good_ends_its_calls() {
    let mut board = answered();
    board.handle(CallInput::SessionOver { session: GRACES });
    assert_eq!(board.told(ADAS), ["PeerGone"]);
    let mut board = ringing();
    board.handle(CallInput::SessionOver { session: ADAS });
    assert_eq!(board.told(GRACES), ["Cancelled"]);
}

#[test]
fn a_device_that_comes_while_it_rings_rings_too() {
    let mut board = ringing();
    let late = SessionId::from_bits(22);
    let calls = board.machine.enter(GRACE, late);
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].call, calls[0].stage), (CALL, CallStage::Incoming));
    board.accept(late, CALL);
    assert_eq!(board.told(GRACES), ["AnsweredElsewhere"]);
    assert!(board.machine.enter(GRACE, SessionId::from_bits(23)).is_empty());
}

#[test]
fn nobody_is_called_who_has_no_device_and_nobody_calls_themselves() {
    let mut board = Board::new();
    let (from, media) = (peer(ADA), CallMedia::Audio);
    board.handle(CallInput::Call {
        re: RE,
        session: ADAS,
        call: CALL,
        from: from.clone(),
        to: peer(GRACE),
        media,
        rings: Vec::new(),
    });
    board.handle(CallInput::Call {
        re: RE,
        session: ADAS,
        call: CALL,
        from,
        to: peer(ADA),
        media,
        rings: vec![ADAS],
    });
    assert_eq!(board.told(ADAS), ["Offline", "OutOfPlace"]);
    assert_eq!(board.machine.count(), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Call { ada: bool, id: u128 },
    Accept { session: usize, id: u128 },
    Decline { session: usize, id: u128 },
    HangUp { session: usize, id: u128 },
    Gone { session: usize },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let (session, id) = (0_usize..4, 0_u128..3);
    prop_oneof![
        (any::<bool>(), id.clone()).prop_map(|(ada, id)| Step::Call { ada, id }),
        (session.clone(), id.clone()).prop_map(|(session, id)| Step::Accept { session, id }),
        (session.clone(), id.clone()).prop_map(|(session, id)| Step::Decline { session, id }),
        (session.clone(), id).prop_map(|(session, id)| Step::HangUp { session, id }),
        session.prop_map(|session| Step::Gone { session }),
        Just(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_two_users_share_at_most_one_call_and_both_are_told_of_its_end(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let all = [ADAS, ADAS_OTHER, GRACES, GRACES_OTHER];
        let mut board = Board::new();
        for step in steps {
            match step {
                Step::Call { ada: true, id } => board.call(ADA, ADAS, GRACE, CallId::from_bits(id)),
                Step::Call { ada: false, id } => board.call(GRACE, GRACES, ADA, CallId::from_bits(id)),
                Step::Accept { session, id } => board.accept(all[session], CallId::from_bits(id)),
                Step::Decline { session, id } => board.handle(CallInput::Decline {
                    re: RE, session: all[session], call: CallId::from_bits(id), busy: false,
                }),
                Step::HangUp { session, id } => board.handle(CallInput::HangUp {
                    re: RE, session: all[session], call: CallId::from_bits(id),
                }),
                Step::Gone { session } => board.handle(CallInput::SessionOver { session: all[session] }),
                Step::Wait => {
                    board.now += RINGING_MOST;
                    board.handle(CallInput::Tick);
                }
            }
            let (ringing, running) = board.machine.count();
            prop_assert!(ringing + running <= 1);
            prop_assert_eq!(board.machine.by_user.is_empty(), ringing + running == 0);
            prop_assert_eq!(board.machine.deadlines.len(), ringing);
        }
        // Of every call that a session was told is answered it was told the end, unless it goes on or the session is gone.
        let count = |user, yes| board.in_call.iter().filter(|change| **change == (user, yes)).count();
        let (_, running) = board.machine.count();
        prop_assert_eq!(count(ADA, true), count(ADA, false) + running);
        prop_assert_eq!(count(GRACE, true), count(GRACE, false) + running);
    }
}
