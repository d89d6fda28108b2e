use ahoy_signal::{ChatText, Name, Position, read_client_message};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::realtime::session::replay::{KEPT_BYTES_MOST, KEPT_MOST};

const ROOM: RoomId = RoomId::from_bits(5);

struct Session {
    machine: SessionMachine,
    now: Instant,
    tokens: u32,
}

fn token(number: u32) -> ResumeToken {
    ResumeToken::new(format!("resume-token-{number}")).unwrap()
}

impl Session {
    fn open() -> Self {
        let now = Instant::now();
        let welcome = Welcome {
            session: SessionId::from_bits(1),
            resume_token: token(0),
            resume_window_s: 300,
            heartbeat_s: 10,
            token_expires_in_s: 600,
            user: UserId::from_bits(1),
            device: DeviceId::from_bits(1),
            handle: None,
            name: Name::new("Ada").unwrap(),
            server: "test".to_owned(),
            calls: Vec::new(),
        };
        let (machine, welcome) = SessionMachine::open(now, welcome);
        assert!(welcome.as_str().contains(r#""type":"welcome""#));
        Self { machine, now, tokens: 0 }
    }

    /// What comes of it, one word each: `perform chat`, `close Flood`, `lost`; messages by type and numbers.
    fn handle(&mut self, input: SessionInput) -> Vec<String> {
        let mut out = Vec::new();
        self.machine.handle(self.now, input, &mut out);
        out.into_iter().map(described).collect()
    }

    fn say(&mut self, message: &Value) -> Vec<String> {
        self.judged(message, Verdict::Allowed)
    }

    fn judged(&mut self, message: &Value, verdict: Verdict) -> Vec<String> {
        match read_client_message(&message.to_string()) {
            Ok(envelope) => self.handle(SessionInput::Said(Box::new(envelope), verdict)),
            Err(malformed) => self.handle(SessionInput::Malformed(malformed)),
        }
    }

    fn chat(&mut self, id: u64) -> Vec<String> {
        self.say(&json!({"v": 1, "id": id, "room": ROOM, "body": {"type": "chat", "text": "hi"}}))
    }

    fn ping(&mut self) -> Vec<String> {
        self.say(&json!({"v": 1, "body": {"type": "ping"}}))
    }

    fn answer(&mut self, re: u64) -> Vec<String> {
        self.handle(SessionInput::Tell(Box::new(News::answer(RequestId(re), ServerMessage::Done {}))))
    }

    fn resume_with(&mut self, number: u32, seq: u64) -> Vec<String> {
        self.tokens += 1;
        let next_token = token(self.tokens);
        self.handle(SessionInput::Resume { token: token(number), seq, next_token })
    }

    fn resume(&mut self, seq: u64) -> Vec<String> {
        self.resume_with(self.tokens, seq)
    }

    fn wait(&mut self, span: Duration) -> Vec<String> {
        self.now += span;
        self.handle(SessionInput::Tick)
    }
}

fn described(output: SessionOutput) -> String {
    match output {
        SessionOutput::Send(text) => {
            let message: Value = serde_json::from_str(text.as_str()).unwrap();
            let number = |field: &str| message[field].as_u64().map(|number| format!(" {field} {number}"));
            let code = message["body"]["code"].as_str().map(|code| format!(" {code}"));
            let kind = message["body"]["type"].as_str().unwrap();
            let parts = [number("re"), number("seq"), code].into_iter().flatten().collect::<String>();
            format!("{kind}{parts}")
        }
        SessionOutput::Perform(request) => format!("perform {} {}", request.body.kind(), request.re.0),
        SessionOutput::Renew(re, _) => format!("renew {}", re.0),
        SessionOutput::TakeOver => "take over".to_owned(),
        SessionOutput::RefuseTakeOver(refusal) => format!("refuse {:?}", refusal.code),
        SessionOutput::Close(code) => format!("close {code:?}"),
        SessionOutput::Lost => "lost".to_owned(),
        SessionOutput::Back => "back".to_owned(),
        SessionOutput::Reachable(yes) => format!("reachable {yes}"),
        SessionOutput::Ended => "ended".to_owned(),
    }
}

#[test]
fn a_request_that_is_repeated_is_performed_once() {
    let mut session = Session::open();
    assert_eq!(session.chat(1), ["perform chat 1"]);
    assert_eq!(session.chat(1), [""; 0]);
    assert_eq!(session.chat(2), ["perform chat 2"]);
    assert_eq!(session.chat(1), [""; 0]);
}

#[test]
fn whoever_resumes_is_told_again_what_they_have_not_seen() {
    let mut session = Session::open();
    for id in 1..=3 {
        session.chat(id);
        assert_eq!(session.answer(id), [format!("done re {id} seq {id}")]);
    }
    assert_eq!(session.handle(SessionInput::Disconnected), ["lost"]);
    session.chat(4);
    assert_eq!(session.machine.last_request(), 3, "a session without a connection hears nothing");
    assert_eq!(session.answer(9), [""; 0]);
    assert_eq!(
        session.resume(1),
        ["take over", "back", "resumed", "done re 2 seq 2", "done re 3 seq 3", "done re 9 seq 4"]
    );
}

#[test]
fn a_resume_token_is_good_once() {
    let mut session = Session::open();
    session.handle(SessionInput::Disconnected);
    assert_eq!(session.resume_with(0, 0), ["take over", "back", "resumed"]);
    session.ping();
    session.handle(SessionInput::Disconnected);
    assert_eq!(session.resume_with(0, 0), ["refuse SessionGone"]);
    assert_eq!(session.resume_with(1, 0), ["take over", "back", "resumed"]);
}

#[test]
fn a_resume_whose_answer_was_lost_can_be_repeated() {
    let mut session = Session::open();
    session.answer(1);
    for _ in 0..3 {
        session.handle(SessionInput::Disconnected);
        assert_eq!(session.resume_with(0, 0), ["take over", "back", "resumed", "done re 1 seq 1"]);
    }
    session.ping();
    assert_eq!(session.resume_with(0, 0), ["refuse SessionGone"]);
}

#[test]
fn a_session_that_is_resumed_while_it_is_connected_leaves_the_old_connection() {
    let mut session = Session::open();
    assert_eq!(session.resume(0), ["close Replaced", "lost", "take over", "back", "resumed"]);
    assert!(session.machine.is_connected());
}

#[test]
fn what_is_acknowledged_is_forgotten() {
    let mut session = Session::open();
    for id in 1..=5 {
        session.answer(id);
    }
    assert_eq!(session.machine.kept(), 5);
    session.say(&json!({"v": 1, "ack": 3, "body": {"type": "ping"}}));
    assert_eq!(session.machine.kept(), 2);
    assert_eq!(
        session.say(&json!({"v": 1, "ack": 6, "body": {"type": "ping"}})),
        ["error bad_message"],
        "more than was sent"
    );
    session.handle(SessionInput::Disconnected);
    assert_eq!(session.resume(2), ["refuse SessionGone", "ended"], "it has said that it had seen three");
}

#[test]
fn a_session_that_missed_more_than_is_kept_can_not_be_resumed() {
    let mut many = Session::open();
    let mut large = Session::open();
    for id in 1..=KEPT_MOST as u64 + 1 {
        many.answer(id);
    }
    let text = "x".repeat(KEPT_BYTES_MOST / 2);
    for _ in 0..3 {
        let news = News::event(ServerMessage::Error(Refusal::new(ErrorCode::Internal, text.clone())));
        large.handle(SessionInput::Tell(Box::new(news)));
    }
    for session in [&mut many, &mut large] {
        session.handle(SessionInput::Disconnected);
        assert_eq!(session.resume(0), ["refuse SessionGone", "ended"]);
    }
}

#[test]
fn whoever_has_seen_what_was_forgotten_can_resume() {
    let mut session = Session::open();
    for id in 1..=KEPT_MOST as u64 + 100 {
        session.answer(id);
    }
    session.handle(SessionInput::Disconnected);
    assert_eq!(session.resume(100).len(), 3 + KEPT_MOST);
}

#[test]
fn a_session_waits_five_minutes_to_be_resumed_and_is_unreachable_after_twenty_seconds() {
    let mut session = Session::open();
    session.handle(SessionInput::Disconnected);
    assert_eq!(session.wait(Duration::from_millis(19_999)), [""; 0]);
    assert_eq!(session.wait(Duration::from_millis(1)), ["reachable false"]);
    assert_eq!(session.wait(Duration::from_millis(279_999)), [""; 0]);
    assert_eq!(session.wait(Duration::from_millis(1)), ["ended"]);
    assert!(session.machine.is_over());
    assert_eq!(session.machine.deadline(), None);

    let mut session = Session::open();
    session.handle(SessionInput::Disconnected);
    session.wait(UNREACHABLE_AFTER);
    assert_eq!(session.resume(0), ["reachable true", "take over", "back", "resumed"]);
}

#[test]
fn a_silent_connection_is_given_up_after_two_heartbeats_and_a_half() {
    let mut session = Session::open();
    session.wait(Duration::from_secs(24));
    assert_eq!(session.ping(), ["pong"]);
    assert_eq!(session.wait(Duration::from_millis(24_999)), [""; 0]);
    assert_eq!(session.wait(Duration::from_millis(1)), ["close HeartbeatMissed", "lost"]);
}

#[test]
fn a_connection_is_closed_when_its_token_runs_out_unless_a_fresh_one_came() {
    for fresh in [false, true] {
        let mut session = Session::open();
        let mut closed = Vec::new();
        for second in 0..610 {
            session.now += Duration::from_secs(1);
            session.ping();
            if fresh && second == 500 {
                let asked = json!({"v": 1, "id": 1, "body": {"type": "reauth", "token": "a-fresh-token"}});
                assert_eq!(session.say(&asked), ["renew 1"]);
                let expires = session.now + Duration::from_secs(600);
                let renewed = SessionInput::Renewed(RequestId(1), Ok(expires));
                assert_eq!(session.handle(renewed), ["done re 1 seq 1"]);
            }
            closed.extend(session.handle(SessionInput::Tick));
        }
        let expected: &[&str] = if fresh { &[] } else { &["close TokenExpired", "lost"] };
        assert_eq!(closed, expected);
    }
}

#[test]
fn whoever_resumes_after_the_token_ran_out_has_half_a_minute_for_a_fresh_one_on_each_connection() {
    let mut session = Session::open();
    session.now += Duration::from_secs(590);
    session.handle(SessionInput::Disconnected);
    session.now += Duration::from_secs(20);
    for _ in 0..5 {
        assert_eq!(session.resume(0).last().unwrap(), "resumed");
        session.wait(Duration::from_secs(20));
        session.ping();
        assert_eq!(session.wait(Duration::from_millis(9_999)), [""; 0]);
        assert_eq!(session.wait(Duration::from_millis(1)), ["close TokenExpired", "lost"]);
    }
    session.now += Duration::from_secs(140);
    assert_eq!(session.resume(0), ["refuse SessionGone", "ended"], "five minutes after it ran out");
}

#[test]
fn a_message_without_sense_is_answered_by_its_number_and_too_many_close_the_connection() {
    let mut session = Session::open();
    let nonsense = |id: u64| json!({"v": 1, "id": id, "body": {"type": "chat", "text": 7}});
    assert_eq!(session.say(&nonsense(1)), ["error re 1 seq 1 bad_message"]);
    assert_eq!(session.say(&nonsense(1)), [""; 0], "it was answered");
    assert_eq!(
        session.say(&json!({"v": 1, "body": {"type": "chat", "text": "x"}})),
        ["error envelope_incomplete"]
    );
    assert_eq!(
        session.say(&json!({"v": 1, "id": 2, "body": {"type": "chat", "text": "x"}})),
        ["error re 2 seq 2 envelope_incomplete"]
    );
    let mut last = Vec::new();
    for id in 3..=9 {
        last = session.say(&nonsense(id));
    }
    assert_eq!(last, ["error re 9 seq 9 bad_message", "close ProtocolViolation", "lost"]);

    let mut patient = Session::open();
    for id in 1..100 {
        patient.now += Duration::from_secs(2);
        assert_eq!(patient.say(&nonsense(id)).len(), 1, "now and then is no reason to close");
    }
}

#[test]
fn other_versions_and_messages_that_are_too_long_close_the_connection() {
    let mut session = Session::open();
    let other = json!({"v": 2, "id": 1, "body": {"type": "ping"}});
    assert_eq!(
        session.say(&other),
        ["error re 1 seq 1 unsupported_version", "close UnsupportedVersion", "lost"]
    );
    assert_eq!(Session::open().handle(SessionInput::TooLong), ["close MessageTooLarge", "lost"]);
}

#[test]
fn a_flood_is_answered_with_refusals_and_then_closed() {
    let mut session = Session::open();
    let refused = Verdict::Refused { retry_after_ms: 600 };
    let chat = |id: u64| json!({"v": 1, "id": id, "room": ROOM, "body": {"type": "chat", "text": "hi"}});
    for id in 1..=REFUSED_MOST.into() {
        assert_eq!(session.judged(&chat(id), refused), [format!("error re {id} seq {id} rate_limited")]);
    }
    let last = session.judged(&chat(201), refused);
    assert_eq!(last[1..], ["close Flood", "lost"]);
    assert_eq!(session.resume(201).last().unwrap(), "resumed", "the session itself goes on");
}

#[test]
fn a_session_can_be_in_eight_rooms() {
    let mut session = Session::open();
    let join = |number: u128, id: u64| json!({"v": 1, "id": id, "room": RoomId::from_bits(number), "body": {"type": "join"}});
    for number in 1..=8_u64 {
        assert_eq!(session.say(&join(number.into(), number)), [format!("perform join {number}")]);
    }
    assert_eq!(session.say(&join(9, 9)), ["error re 9 seq 1 too_many"]);
    assert_eq!(session.say(&join(8, 10)), ["perform join 10"], "it is there already");
    let mut news = News::event(ServerMessage::Left { reason: ahoy_signal::LeaveReason::Removed });
    (news.room, news.membership) = (Some(RoomId::from_bits(3)), Membership::Out);
    session.handle(SessionInput::Tell(Box::new(news)));
    assert_eq!(session.say(&join(9, 11)), ["perform join 11"]);
}

#[test]
fn whoever_says_goodbye_is_gone() {
    let mut session = Session::open();
    assert_eq!(session.say(&json!({"v": 1, "id": 1, "body": {"type": "bye"}})), ["close Goodbye", "ended"]);
    assert_eq!(session.resume(0), [""; 0]);
}

#[test]
fn a_stopping_server_says_when_to_come_back() {
    let mut session = Session::open();
    assert_eq!(session.handle(SessionInput::Stop(1_234)), ["reconnect", "close ServerStopping", "lost"]);
}

#[test]
fn signing_out_ends_the_session_with_or_without_connection() {
    assert_eq!(Session::open().handle(SessionInput::SignOut), ["close SignedOut", "ended"]);
    let mut session = Session::open();
    session.handle(SessionInput::Disconnected);
    assert_eq!(session.handle(SessionInput::SignOut), ["ended"]);
}

#[test]
fn hello_inside_a_session_is_out_of_place() {
    let mut session = Session::open();
    let hello = json!({"v": 1, "id": 1, "body": {
        "type": "hello", "token": "a-good-token", "client": {"name": "test", "version": "1"},
    }});
    assert_eq!(session.say(&hello), ["error re 1 seq 1 out_of_place"]);
}

/// What a client has read, over all its connections.
#[derive(Default)]
struct Reader {
    seen: u64,
    answers: Vec<u64>,
}

impl Reader {
    /// Reads so many numbered messages and loses the rest. Whether nothing was lost.
    fn read(&mut self, outputs: Vec<SessionOutput>, most: usize) -> bool {
        let texts = outputs.into_iter().filter_map(|output| match output {
            SessionOutput::Send(text) => Some(text),
            _ => None,
        });
        let messages = texts.map(|text| serde_json::from_str::<Value>(text.as_str()).unwrap());
        let numbered: Vec<_> = messages.filter(|message| message["seq"].is_u64()).collect();
        for message in numbered.iter().take(most) {
            let seq = message["seq"].as_u64().unwrap();
            if seq > self.seen {
                assert_eq!(seq, self.seen + 1, "a gap");
                self.seen = seq;
                self.answers.push(message["re"].as_u64().unwrap());
            }
        }
        numbered.len() <= most
    }
}

impl Session {
    /// What is to be done when a client asks, with what it has seen.
    fn asked(&mut self, id: u64, seen: u64) -> Vec<SessionOutput> {
        let mut out = Vec::new();
        let body = ClientMessage::Chat { text: ChatText::new("hi").unwrap() };
        let (id, ack) = (Some(RequestId(id)), Some(seen));
        let envelope = ClientEnvelope { v: VERSION, id, ack, room: Some(ROOM), body };
        let said = SessionInput::Said(Box::new(envelope), Verdict::Allowed);
        self.machine.handle(self.now, said, &mut out);
        out
    }
}

proptest! {
    /// A client that keeps to the protocol, a network that cuts the connection whenever it likes, losing what was on its way
    /// in both directions: every request is performed once and in order, and every answer arrives once and in order.
    #[test]
    fn whatever_the_network_loses_everything_happens_once(
        cuts in prop::collection::vec((1_u64..8, 0_usize..6, 0_usize..6), 1..40),
    ) {
        let mut session = Session::open();
        let (mut wanted, mut performed, mut reader) = (0, Vec::new(), Reader::default());
        let mut intact = true;
        for (requests, heard, read) in cuts {
            wanted += requests;
            let first = session.machine.last_request() + 1;
            let mut told = Vec::new();
            for id in (first..=wanted).take(heard) {
                for output in session.asked(id, reader.seen) {
                    if let SessionOutput::Perform(request) = output {
                        performed.push(request.re.0);
                        let news = Box::new(News::answer(request.re, ServerMessage::Done {}));
                        session.machine.handle(session.now, SessionInput::Tell(news), &mut told);
                    }
                }
            }
            // What comes after something that was lost is lost too, up to the end of the connection.
            if intact {
                reader.read(told, read);
            }
            session.handle(SessionInput::Disconnected);
            session.tokens += 1;
            let (used, next_token) = (token(session.tokens - 1), token(session.tokens));
            let resume = SessionInput::Resume { token: used, seq: reader.seen, next_token };
            let mut told = Vec::new();
            session.machine.handle(session.now, resume, &mut told);
            intact = reader.read(told, read);
        }
        prop_assert_eq!(&performed, &(1..=performed.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!(&reader.answers[..], &performed[..reader.answers.len()]);
        session.handle(SessionInput::Disconnected);
        let rest = session.resume(reader.seen).into_iter().filter(|told| told.starts_with("done")).count();
        prop_assert_eq!(reader.answers.len() + rest, performed.len());
    }
}

#[test]
fn joining_says_what_was_seen_before() {
    // The position passes through untouched.
    let mut session = Session::open();
    let mut out = Vec::new();
    let since = Some(Position { epoch: ahoy_signal::Epoch::from_bits(7), offset: 19 });
    let mut envelope = ClientEnvelope::new(ClientMessage::Join { since });
    (envelope.id, envelope.room) = (Some(RequestId(1)), Some(ROOM));
    let said = SessionInput::Said(Box::new(envelope.clone()), Verdict::Allowed);
    session.machine.handle(session.now, said, &mut out);
    let [SessionOutput::Perform(request)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(request.body, envelope.body);
}
