use std::time::{Duration, Instant};

use ahoy_signal::{
    AccessToken, ChatText, ClientInfo, ClientMessage, CloseCode, DeviceId, ErrorCode, Name, Refusal,
    RequestId, ResumeToken, RoomId, ServerEnvelope, ServerMessage, SessionId, UserId, Welcome,
    read_client_message,
};

use super::*;
use crate::ReachError;
use crate::session::{LONGEST_WAIT, OUTSTANDING_MOST, PATIENCE, Tag};

const ROOM: RoomId = RoomId::from_bits(7);

fn token() -> AccessToken {
    AccessToken::new("a-token-for-tests").unwrap()
}

fn resume_token(number: u64) -> ResumeToken {
    ResumeToken::new(format!("resume-token-{number:04}")).unwrap()
}

fn chat(text: &str) -> ClientMessage {
    ClientMessage::Chat { text: ChatText::new(text).unwrap() }
}

fn done() -> ServerMessage {
    ServerMessage::Done {}
}

/// A machine and a clock.
struct Bench {
    machine: SessionMachine,
    now: Instant,
    start: Instant,
    next_tag: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with_seed(1)
    }

    fn with_seed(seed: u64) -> Self {
        let now = Instant::now();
        let client = ClientInfo { name: "test".into(), version: "1".into() };
        let options = SessionOptions { client, patience: PATIENCE };
        Self { machine: SessionMachine::new(options, seed, now), now, start: now, next_tag: 0 }
    }

    /// A machine that is online in a new session.
    fn online() -> Self {
        let mut bench = Self::new();
        bench.go_online();
        bench
    }

    fn give(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle(input, self.now)
    }

    fn say(&mut self, envelope: &ServerEnvelope) -> Vec<Output> {
        self.give(Input::Text(envelope.to_json()))
    }

    fn tell(&mut self, body: ServerMessage) -> Vec<Output> {
        self.say(&ServerEnvelope::new(body))
    }

    /// Lets time pass, with every tick that the machine asks for.
    fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut out = Vec::new();
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            out.extend(self.give(Input::Tick));
        }
        self.now = end;
        out
    }

    /// Goes on to the next attempt.
    fn until_due(&mut self) -> Vec<Output> {
        let due = self.machine.deadline().expect("something is due");
        self.pass(due.saturating_duration_since(self.now))
    }

    fn ask(&mut self, body: ClientMessage) -> (Tag, Vec<Output>) {
        self.next_tag += 1;
        let tag = Tag(self.next_tag);
        (tag, self.give(Input::Ask(Request { tag, room: Some(ROOM), body })))
    }

    fn go_online(&mut self) {
        assert_eq!(self.until_due(), [Output::NeedToken(TokenUse::Open)]);
        assert_eq!(self.give(Input::Token(token(), Duration::from_secs(600))), [Output::Connect]);
        let hello = self.give(Input::Opened);
        assert!(matches!(
            sent(&hello)[..],
            [ClientEnvelope { body: ClientMessage::Hello { .. }, id: None, .. }]
        ));
        let began = self.tell(welcome(600));
        assert!(matches!(began[..], [Output::Event(SessionEvent::Began(_))]), "{began:?}");
        assert_eq!(self.give(Input::First(Vec::new())), []);
    }

    /// Loses the connection, comes back and resumes, up to the server's answer.
    fn come_back(&mut self) -> ClientEnvelope {
        self.give(Input::Closed(None));
        assert_eq!(self.until_due(), [Output::Connect]);
        sent(&self.give(Input::Opened)).remove(0)
    }

    fn resumed(&mut self, last_request: u64) -> Vec<Output> {
        self.tell(ServerMessage::Resumed {
            resume_token: resume_token(2),
            token_expires_in_s: 600,
            last_request,
        })
    }
}

fn welcome(token_expires_in_s: u32) -> ServerMessage {
    ServerMessage::Welcome(Welcome {
        session: SessionId::from_bits(1),
        resume_token: resume_token(1),
        resume_window_s: 300,
        heartbeat_s: 10,
        token_expires_in_s,
        user: UserId::from_bits(1),
        device: DeviceId::from_bits(1),
        handle: None,
        name: Name::new("Ada").unwrap(),
        server: "test".into(),
        calls: Vec::new(),
    })
}

fn answer(re: u64, seq: u64, body: ServerMessage) -> ServerEnvelope {
    ServerEnvelope { re: Some(RequestId(re)), seq: Some(seq), ..ServerEnvelope::new(body) }
}

fn news(seq: u64) -> ServerEnvelope {
    let body = ServerMessage::ContactGone { user: UserId::from_bits(seq.into()) };
    ServerEnvelope { seq: Some(seq), ..ServerEnvelope::new(body) }
}

fn sent(out: &[Output]) -> Vec<ClientEnvelope> {
    let texts = out.iter().filter_map(|output| match output {
        Output::Send(text) => Some(read_client_message(text).expect("the server understands it")),
        _ => None,
    });
    texts.collect()
}

fn ids(out: &[Output]) -> Vec<u64> {
    sent(out).iter().filter_map(|envelope| Some(envelope.id?.0)).collect()
}

fn answered(out: &[Output]) -> Vec<(Tag, Result<ServerMessage, RequestError>)> {
    let answers = out.iter().filter_map(|output| match output {
        Output::Answer(tag, answer) => Some((*tag, answer.clone().map(|envelope| envelope.body))),
        _ => None,
    });
    answers.collect()
}

fn refusal(code: ErrorCode) -> Refusal {
    Refusal::new(code, "no")
}

#[test]
fn requests_are_numbered_without_gaps_and_answered_by_their_tags() {
    let mut bench = Bench::online();
    let (first, out) = bench.ask(chat("one"));
    assert_eq!(ids(&out), [1]);
    let (second, out) = bench.ask(chat("two"));
    assert_eq!(ids(&out), [2]);
    assert_eq!(answered(&bench.say(&answer(2, 1, done()))), [(second, Ok(done()))]);
    let error = ServerMessage::Error(refusal(ErrorCode::NotInRoom));
    let expected = Err(RequestError::Refused(refusal(ErrorCode::NotInRoom)));
    assert_eq!(answered(&bench.say(&answer(1, 2, error))), [(first, expected)]);
}

#[test]
fn what_is_asked_before_there_is_a_session_waits_for_it_behind_what_comes_first() {
    let mut bench = Bench::new();
    let (_, out) = bench.ask(chat("early"));
    assert_eq!(out, []);
    bench.until_due();
    bench.give(Input::Token(token(), Duration::from_secs(600)));
    bench.give(Input::Opened);
    assert_eq!(sent(&bench.tell(welcome(600))), []);
    let join = Request { tag: Tag(99), room: Some(ROOM), body: ClientMessage::Join { since: None } };
    let out = bench.give(Input::First(vec![join]));
    let kinds: Vec<_> = sent(&out).iter().map(|envelope| envelope.body.kind()).collect();
    assert_eq!((ids(&out), kinds), (vec![1, 2], vec!["join", "chat"]));
}

#[test]
fn after_a_resume_only_what_the_server_does_not_have_is_sent_again_in_order() {
    let mut bench = Bench::online();
    let tags: Vec<_> = ["a", "b", "c"].map(|text| bench.ask(chat(text)).0).into();
    bench.say(&news(1));
    let resume = bench.come_back();
    assert!(matches!(resume.body, ClientMessage::Resume { seq: 1, .. }), "{resume:?}");
    let (late, out) = bench.ask(chat("d"));
    assert_eq!(out, []);
    let out = bench.resumed(1);
    assert_eq!(out[0], Output::Event(SessionEvent::Resumed));
    assert_eq!(ids(&out), [2, 3, 4]);
    // The answer to the first was lost; it is among what the server sends again.
    assert_eq!(answered(&bench.say(&answer(1, 2, done()))), [(tags[0], Ok(done()))]);
    for (id, tag) in [(2, tags[1]), (3, tags[2]), (4, late)] {
        assert_eq!(answered(&bench.say(&answer(id, id + 1, done()))), [(tag, Ok(done()))]);
    }
}

#[test]
fn messages_that_come_twice_are_told_once() {
    let mut bench = Bench::online();
    assert_eq!(bench.say(&news(1)).len(), 1);
    assert_eq!(bench.say(&news(1)), []);
    assert_eq!(bench.say(&news(2)).len(), 1);
    bench.come_back();
    bench.resumed(0);
    assert_eq!(bench.say(&news(2)), [], "sent again by the server");
    assert_eq!(bench.say(&news(3)).len(), 1);
}

#[test]
fn a_missing_message_is_fetched_by_resuming_and_the_session_dropped_if_that_does_not_help() {
    let mut bench = Bench::online();
    let (tag, _) = bench.ask(chat("x"));
    let out = bench.say(&news(2));
    assert_eq!(out[0], Output::Close);
    bench.until_due();
    let resume = sent(&bench.give(Input::Opened)).remove(0);
    assert!(matches!(resume.body, ClientMessage::Resume { seq: 0, .. }));
    bench.resumed(1);
    let out = bench.say(&news(2));
    assert_eq!(answered(&out), [(tag, Err(RequestError::OutcomeUnknown))]);
    assert_eq!(bench.until_due(), [Output::NeedToken(TokenUse::Open)]);
}

#[test]
fn a_session_that_is_gone_is_followed_by_a_new_one_at_once() {
    let mut bench = Bench::online();
    let (unknown, _) = bench.ask(chat("did it arrive?"));
    let (twice, _) = bench.ask(ClientMessage::Rooms {});
    bench.come_back();
    let (unsent, _) = bench.ask(chat("never sent"));
    let out = bench.tell(ServerMessage::Error(refusal(ErrorCode::SessionGone)));
    assert_eq!(answered(&out), [(unknown, Err(RequestError::OutcomeUnknown))]);
    assert_eq!(out.last(), Some(&Output::NeedToken(TokenUse::Open)));
    bench.give(Input::Token(token(), Duration::from_secs(600)));
    bench.give(Input::Opened);
    bench.tell(welcome(600));
    let out = bench.give(Input::First(Vec::new()));
    assert_eq!(ids(&out), [1, 2], "numbers begin anew");
    assert_eq!(answered(&bench.say(&answer(1, 1, done())))[0].0, twice);
    assert_eq!(answered(&bench.say(&answer(2, 2, done())))[0].0, unsent);
}

#[test]
fn a_resume_that_is_refused_by_the_close_code_alone_leads_to_a_new_session_too() {
    let mut bench = Bench::online();
    bench.come_back();
    let out = bench.give(Input::Closed(Some(CloseCode::HelloRefused.number())));
    assert_eq!(out, [Output::NeedToken(TokenUse::Open)]);
}

#[test]
fn a_session_older_than_its_window_is_not_asked_for() {
    let mut bench = Bench::online();
    bench.give(Input::Closed(None));
    bench.machine.options.patience = Duration::from_secs(3600);
    while bench.now < bench.start + Duration::from_secs(330) {
        bench.until_due();
        let error = ReachError::TimedOut { server: "x".into() };
        bench.give(Input::NotOpened(error.clone()));
        bench.give(Input::NoToken(NoToken::Later(Trouble::Reach(error))));
    }
    assert!(bench.machine.session.is_none());
}

#[test]
fn pings_are_sent_every_heartbeat_and_silence_ends_the_connection_after_twelve_seconds() {
    let mut bench = Bench::online();
    let out = bench.pass(Duration::from_secs(10));
    assert!(matches!(sent(&out)[..], [ClientEnvelope { body: ClientMessage::Ping {}, id: None, .. }]));
    assert_eq!(bench.tell(ServerMessage::Pong {}), []);
    let out = bench.pass(Duration::from_secs(10));
    assert_eq!(sent(&out).len(), 1);
    // A second unanswered ping does not put off the end.
    let out = bench.pass(Duration::from_millis(11_999));
    assert!(!out.contains(&Output::Close), "{out:?}");
    let out = bench.pass(Duration::from_millis(1));
    assert_eq!(out[0], Output::Close);
    assert!(matches!(out[1], Output::Event(SessionEvent::Waiting { trouble: Trouble::Silent, .. })));
}

#[test]
fn what_was_received_is_acknowledged_with_the_next_message_and_early_when_it_is_much() {
    let mut bench = Bench::online();
    for seq in 1..=3 {
        assert_eq!(sent(&bench.say(&news(seq))), []);
    }
    assert_eq!(sent(&bench.ask(chat("x")).1)[0].ack, Some(3));
    assert_eq!(sent(&bench.ask(chat("y")).1)[0].ack, None, "nothing new");
    let mut early = Vec::new();
    for seq in 4..=67 {
        early = sent(&bench.say(&news(seq)));
    }
    assert!(matches!(early[..], [ClientEnvelope { ack: Some(67), body: ClientMessage::Ping {}, .. }]));
}

#[test]
fn a_fresh_token_is_told_before_the_old_one_ends() {
    let mut bench = Bench::online();
    let mut asked_at = None;
    while asked_at.is_none() {
        bench.tell(ServerMessage::Pong {});
        if bench.until_due().contains(&Output::NeedToken(TokenUse::Renew)) {
            asked_at = Some(bench.now - bench.start);
        }
    }
    assert_eq!(asked_at, Some(Duration::from_secs(540)));
    let out = bench.give(Input::Token(token(), Duration::from_secs(600)));
    let reauth = sent(&out).remove(0);
    assert!(matches!(reauth.body, ClientMessage::Reauth { .. }));
    assert_eq!(
        answered(&bench.say(&answer(reauth.id.unwrap().0, 1, done()))),
        [],
        "nobody else asked for it"
    );
}

#[test]
fn a_token_that_can_not_be_had_is_tried_for_again_and_one_that_never_will_ends_it() {
    let mut bench = Bench::new();
    bench.go_online();
    if let State::Online { token, .. } = &mut bench.machine.state {
        *token = Token::Due(bench.now);
    }
    assert!(bench.until_due().contains(&Output::NeedToken(TokenUse::Renew)));
    bench.give(Input::NoToken(NoToken::Later(Trouble::Lost)));
    let out = bench.pass(RENEW_AGAIN);
    assert!(out.contains(&Output::NeedToken(TokenUse::Renew)), "{out:?}");
    let out = bench.give(Input::NoToken(NoToken::SignedOut));
    assert_eq!(out, [Output::Close, Output::Event(SessionEvent::Ended(EndReason::SignedOut))]);
    assert_eq!(bench.machine.deadline(), None);
}

#[test]
fn short_tokens_are_renewed_in_time() {
    let now = Instant::now();
    for valid in [1, 3, 6, 60, 180, 600].map(Duration::from_secs) {
        let at = renew_at(valid, now) - now;
        assert!(at < valid && at >= valid / 2, "{valid:?}: {at:?}");
    }
}

#[test]
fn waits_stay_within_their_bounds_and_a_good_connection_shortens_them_again() {
    let mut bench = Bench::online();
    let mut waits = Vec::new();
    bench.give(Input::Closed(None));
    for _ in 0..15 {
        let due = bench.machine.deadline().unwrap();
        waits.push(due - bench.now);
        bench.until_due();
        bench.give(Input::NotOpened(ReachError::TimedOut { server: "x".into() }));
    }
    assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > LONGEST_WAIT / 4), "{waits:?}");
    bench.until_due();
    bench.give(Input::Opened);
    bench.resumed(0);
    assert!(bench.machine.backoff.attempts() > 10);
    for _ in 0..4 {
        bench.pass(Duration::from_secs(10));
        bench.tell(ServerMessage::Pong {});
    }
    assert_eq!(bench.machine.backoff.attempts(), 0);
}

#[test]
fn the_server_s_wish_to_wait_is_obeyed() {
    let mut bench = Bench::online();
    bench.tell(ServerMessage::Reconnect { after_ms: 3_100 });
    let out = bench.give(Input::Closed(Some(CloseCode::ServerStopping.number())));
    let Output::Event(SessionEvent::Waiting { wait, .. }) = &out[0] else { panic!("{out:?}") };
    assert_eq!(*wait, Duration::from_millis(3_100));
    bench.until_due();
    bench.give(Input::Opened);
    let limited = Refusal { retry_after_ms: Some(9_000), ..refusal(ErrorCode::RateLimited) };
    let out = bench.tell(ServerMessage::Error(limited));
    assert!(out.iter().any(|output| matches!(
        output,
        Output::Event(SessionEvent::Waiting { wait, .. }) if *wait == Duration::from_secs(9)
    )));
    bench.until_due();
    bench.give(Input::Opened);
    bench.resumed(0);
    let out = bench.give(Input::Closed(Some(CloseCode::Flood.number())));
    let Output::Event(SessionEvent::Waiting { wait, .. }) = &out[0] else { panic!("{out:?}") };
    assert!(*wait >= Duration::from_secs(60), "{wait:?}");
}

#[test]
fn it_gives_up_visibly_after_five_minutes_and_tries_again_when_asked() {
    let mut bench = Bench::online();
    bench.pass(Duration::from_secs(5));
    let (sent_before, _) = bench.ask(chat("sent"));
    bench.give(Input::Closed(None));
    let lost = bench.now;
    let (never_sent, _) = bench.ask(chat("not sent"));
    let end = loop {
        let out = bench.until_due();
        if let Some(Output::Event(SessionEvent::GaveUp(trouble))) = out.last() {
            break (out.clone(), trouble.clone());
        }
        let error = ReachError::TimedOut { server: "x".into() };
        bench.give(Input::NotOpened(error.clone()));
        bench.give(Input::NoToken(NoToken::Later(Trouble::Reach(error))));
    };
    assert_eq!(bench.now - lost, PATIENCE);
    assert_eq!(end.1, Trouble::Reach(ReachError::TimedOut { server: "x".into() }));
    assert_eq!(
        answered(&end.0),
        [(sent_before, Err(RequestError::OutcomeUnknown)), (never_sent, Err(RequestError::NotConnected))]
    );
    assert_eq!(bench.machine.deadline(), None);
    let (refused, out) = bench.ask(chat("x"));
    assert_eq!(answered(&out), [(refused, Err(RequestError::NotConnected))]);
    assert_eq!(bench.give(Input::Retry), [Output::NeedToken(TokenUse::Open)]);
    assert_eq!(bench.give(Input::Token(token(), Duration::from_secs(600))), [Output::Connect]);
}

#[test]
fn every_close_code_in_every_state_leads_on_or_ends_it_and_nothing_panics() {
    let steps: [fn(&mut Bench); 6] = [
        |_| {},
        |bench| drop(bench.until_due()),
        |bench| drop(bench.give(Input::Token(token(), Duration::from_secs(60)))),
        |bench| drop(bench.give(Input::Opened)),
        |bench| drop(bench.tell(welcome(60))),
        |bench| drop(bench.give(Input::Leave)),
    ];
    let codes = CloseCode::ALL.iter().map(|code| Some(code.number())).chain([None, Some(1000), Some(1006)]);
    for code in codes {
        for reached in 0..=steps.len() {
            let mut bench = Bench::new();
            steps[..reached].iter().for_each(|step| step(&mut bench));
            let open = (3..=5).contains(&reached);
            let out = bench.give(Input::Closed(code));
            let ends = code.and_then(CloseCode::from_number).is_some_and(|code| !code.reconnects());
            let ended = out.iter().any(|output| matches!(output, Output::Event(SessionEvent::Ended(_))));
            match (open, ends, reached) {
                (true, true, _) => assert!(ended, "{code:?} after {reached} steps: {out:?}"),
                (true, false, _) => assert!(bench.machine.deadline().is_some(), "{code:?} {reached}"),
                (false, _, 6) => assert!(ended, "{out:?}"),
                (false, _, _) => assert_eq!(out, [], "{code:?} after {reached} steps"),
            }
        }
    }
}

#[test]
fn leaving_says_good_bye_and_ends_also_without_an_answer() {
    let mut bench = Bench::online();
    let out = bench.give(Input::Leave);
    let bye = sent(&out).remove(0);
    assert_eq!(bye.body, ClientMessage::Bye {});
    let out = bench.say(&answer(bye.id.unwrap().0, 1, done()));
    assert!(out.contains(&Output::Event(SessionEvent::Ended(EndReason::Left))), "{out:?}");

    let mut bench = Bench::online();
    bench.give(Input::Leave);
    let out = bench.pass(BYE_WITHIN);
    assert!(out.contains(&Output::Event(SessionEvent::Ended(EndReason::Left))), "{out:?}");
}

#[test]
fn too_many_and_too_long_requests_are_refused_here() {
    let mut bench = Bench::online();
    for _ in 0..OUTSTANDING_MOST {
        bench.ask(chat("x"));
    }
    let (tag, out) = bench.ask(chat("x"));
    assert_eq!(answered(&out), [(tag, Err(RequestError::TooMany))]);

    let mut bench = Bench::online();
    let sdp = ahoy_signal::Sdp::new("\n".repeat(limits::SDP_LONGEST)).unwrap();
    let body = ClientMessage::CallSignal {
        call: ahoy_signal::CallId::from_bits(1),
        signal: ahoy_signal::CallSignal::Description {
            kind: ahoy_signal::DescriptionKind::Offer,
            revision: 1,
            generation: ahoy_signal::IceGeneration::new("a").unwrap(),
            sdp,
        },
    };
    let (tag, out) = bench.ask(body);
    assert_eq!(answered(&out), [(tag, Err(RequestError::TooLong))]);
    assert_eq!(ids(&bench.ask(chat("x")).1), [1], "it took no number");
}

#[test]
fn news_of_tomorrow_are_counted_and_skipped() {
    let mut bench = Bench::online();
    assert_eq!(bench.give(Input::Text(r#"{"v":1,"seq":1,"body":{"type":"dance"}}"#.into())), []);
    assert_eq!(bench.say(&news(2)).len(), 1, "no gap");
    let (tag, _) = bench.ask(chat("x"));
    let out = bench.give(Input::Text(r#"{"v":1,"re":1,"seq":3,"body":{"type":"dance"}}"#.into()));
    assert_eq!(answered(&out), [(tag, Err(RequestError::Garbled))]);
    let out = bench.give(Input::Text("no JSON".into()));
    assert_eq!(out[0], Output::Close);
}

#[test]
fn late_words_of_a_connection_that_is_gone_change_nothing() {
    let mut bench = Bench::online();
    bench.give(Input::Closed(None));
    assert_eq!(bench.say(&news(1)), []);
    assert_eq!(bench.give(Input::Opened), []);
    assert_eq!(bench.give(Input::Token(token(), Duration::from_secs(600))), []);
    let resume = bench.until_due();
    assert_eq!(resume, [Output::Connect]);
}

#[test]
fn a_hello_that_is_never_answered_is_given_up_and_repeated() {
    let mut bench = Bench::new();
    bench.until_due();
    bench.give(Input::Token(token(), Duration::from_secs(600)));
    bench.give(Input::Opened);
    let out = bench.pass(OPEN_WITHIN);
    assert_eq!(out[0], Output::Close);
    let out = bench.pass(LONGEST_WAIT);
    assert!(out.contains(&Output::NeedToken(TokenUse::Open)));
}
