//! Calls between two people: two real programs, the real server, real peer connections between them.

use ahoy_client::account::Fingerprint;
use ahoy_testkit::SignalingServer;
use ahoy_testkit::signaling_server::TurnMode;
use serde_json::Value;

use crate::support::people::{PASSWORD, Person, Staying, server, server_with};
use crate::support::{number, problem, samples, small, y4m};
use ahoy_measure::stamp;

/// Test pictures and chirps, small, and no device.
const MEDIA: [&str; 10] = [
    "--video",
    "pattern",
    "--size",
    "320x180",
    "--audio",
    "chirps",
    "--speaker",
    "null",
    "--bind",
    "127.0.0.1",
];

/// Two people who may call each other.
struct Two {
    server: SignalingServer,
    ada: Person,
    grace: Person,
}

fn two() -> Two {
    two_at(server())
}

fn two_at(server: SignalingServer) -> Two {
    let ada = Person::signed_up(&server, "ada", "Ada");
    let grace = Person::signed_up(&server, "grace", "Grace");
    befriend(&ada, &grace, "ada", "grace");
    Two { server, ada, grace }
}

fn befriend(one: &Person, other: &Person, handle: &str, other_handle: &str) {
    one.run(&["contacts", "add", other_handle]).good();
    other.run(&["contacts", "add", handle]).good();
}

fn calls(person: &Person, whom: &str, more: &[&str]) -> Staying {
    let mut all = vec!["call", whom];
    all.extend(MEDIA);
    all.extend(more);
    person.start(&all)
}

/// Somebody who waits for a call. Returns when they can be called.
fn answers(person: &Person, more: &[&str]) -> Staying {
    let mut all = vec!["answer"];
    all.extend(MEDIA);
    all.extend(more);
    let mut answering = person.start(&all);
    answering.until_type("waiting");
    answering
}

fn is_at(event: &Value, stage: &str) -> bool {
    event["type"] == "calls" && event["calls"]["current"]["stage"] == stage
}

fn is_connected(event: &Value) -> bool {
    is_at(event, "answered") && event["calls"]["current"]["legs"][0]["status"] == "connected"
}

impl Staying {
    #[track_caller]
    fn until_connected(&mut self) -> Value {
        self.until("a connection", is_connected)
    }

    /// Waits until pictures are shown here.
    #[track_caller]
    fn until_shown(&mut self) {
        self.until("pictures", |event| {
            event["type"] == "stats"
                && event["stats"]["video"]["fps_shown"].as_f64().is_some_and(|fps| fps > 5.0)
        });
    }

    #[track_caller]
    fn until_over(&mut self, outcome: &str) -> Value {
        let over = self.until_type("call_over");
        assert_eq!(over["call"]["outcome"], outcome, "{over:#}");
        over
    }
}

fn over(events: &[Value]) -> &Value {
    events.iter().find(|event| event["type"] == "call_over").unwrap_or_else(|| panic!("no end: {events:#?}"))
}

/// A report of a call in which everything came.
#[track_caller]
fn is_good(over: &Value, seconds: f64) {
    let report = &over["report"];
    assert_eq!((&report["ok"], &report["problems"]), (&Value::Bool(true), &Value::Array(vec![])), "{over:#}");
    let shown = number(report, "/received/frames_shown");
    assert!(shown > 15.0 * seconds, "{over:#}");
    assert_eq!(number(report, "/received/frames_numbered"), shown, "each shows its number: {over:#}");
    assert_eq!(number(report, "/received/frames_out_of_order"), 0.0);
    assert!(number(report, "/received/audio_packets") > 15.0 * seconds, "{over:#}");
    assert!(number(report, "/received/concealed_ratio") < 0.05, "{over:#}");
    assert!(report["path"]["srtp"].is_string(), "{over:#}");
}

#[test]
fn two_people_see_and_hear_each_other_until_one_hangs_up() {
    let Two { server: _server, ada, grace } = two();
    let take = grace.home().join("take");
    let mut callee = answers(&grace, &["--auto", "--record", take.to_str().unwrap()]);
    let mut caller = calls(&ada, "grace", &["--seconds", "4"]);
    let rings = callee.until_type("rings");
    assert_eq!((&rings["call"]["peer"]["handle"], &rings["call"]["media"]), (&"ada".into(), &"video".into()));
    caller.until_connected();
    let connected = callee.until_connected();
    assert_eq!(connected["calls"]["current"]["direction"], "incoming");
    let (code, told) = caller.end();
    assert_eq!(code, Some(0), "{told:#?}");
    let ended = over(&told);
    assert_eq!(
        (&ended["call"]["outcome"], &ended["call"]["direction"]),
        (&"hung_up_here".into(), &"outgoing".into())
    );
    is_good(ended, 4.0);
    let (code, told) = callee.end();
    assert_eq!(code, Some(0), "{told:#?}");
    let ended = over(&told);
    assert_eq!(ended["call"]["outcome"], "hung_up_there");
    is_good(ended, 4.0);

    // What was recorded is what Ada sent.
    let pictures = y4m(&take.with_added_extension("y4m"), small());
    let numbers: Vec<u32> = pictures.iter().filter_map(stamp::read).map(|stamp| stamp.id.0).collect();
    assert!(numbers.len() == pictures.len() && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let sound = samples(&take.with_added_extension("wav"));
    let loudest = sound.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest > 0.05, "chirps are heard: {loudest}");
}

#[test]
fn a_declined_call_says_so() {
    let Two { server: _server, ada, grace } = two();
    let mut callee = answers(&grace, &[]);
    let mut caller = calls(&ada, "grace", &[]);
    callee.until_type("rings");
    callee.types("n");
    caller.until_over("declined");
    assert_eq!(caller.end().0, Some(1));
    callee.until_over("declined_here");
}

#[test]
fn a_caller_who_gives_up_leaves_a_missed_call() {
    let Two { server: _server, ada, grace } = two();
    let mut callee = answers(&grace, &[]);
    let mut caller = calls(&ada, "grace", &[]);
    callee.until_type("rings");
    caller.types("q");
    caller.until_over("cancelled");
    assert_eq!(caller.end().0, Some(130));
    callee.until_over("missed");
}

#[test]
fn a_call_that_one_device_takes_rings_at_the_other_no_longer() {
    let Two { server, ada, grace } = two();
    let phone = Person::new(server.url());
    let sign_in = ["sign-in", "grace", "--server", server.url(), "--password-stdin"];
    phone.typing(&sign_in, &format!("{}\n", crate::support::people::PASSWORD)).good();
    let mut callee = answers(&grace, &[]);
    let mut other = answers(&phone, &[]);
    let mut caller = calls(&ada, "grace", &[]);
    other.until_type("rings");
    callee.until_type("rings");
    callee.types("y");
    other.until_over("answered_elsewhere");
    caller.until_connected();
    caller.types("q");
    caller.until_over("hung_up_here");
    callee.until_over("hung_up_there");
}

#[test]
fn whoever_is_in_a_call_is_busy_for_a_third() {
    let Two { server, ada, grace } = two();
    let charles = Person::signed_up(&server, "charles", "Charles");
    befriend(&charles, &grace, "charles", "grace");
    let mut callee = answers(&grace, &["--auto"]);
    let mut caller = calls(&ada, "grace", &[]);
    caller.until_connected();
    callee.until_connected();
    let mut third = calls(&charles, "grace", &[]);
    third.until_over("busy");
    assert_eq!(third.end().0, Some(1));
    caller.types("q");
    callee.until_over("hung_up_there");
}

#[test]
fn a_call_goes_on_and_ends_well_while_the_server_restarts() {
    let Two { mut server, ada, grace } = two();
    let mut callee = answers(&grace, &["--auto", "--stats"]);
    let mut caller = calls(&ada, "grace", &["--stats"]);
    caller.until_shown();
    callee.until_shown();
    server.stop();
    caller.until_type("offline");
    callee.until_type("offline");
    caller.until_shown();
    server.start_again().expect("the server starts again");
    caller.until_type("online");
    callee.until_type("online");
    caller.until_shown();
    callee.until_shown();
    caller.types("q");
    let ended = caller.until_over("hung_up_here");
    is_good(&ended, 2.0);
    assert_eq!(number(&ended, "/report/received/freezes"), 0.0, "{ended:#}");
    let ended = callee.until_over("hung_up_there");
    is_good(&ended, 2.0);
    assert_eq!(number(&ended, "/report/received/freezes"), 0.0, "{ended:#}");
}

#[test]
fn hanging_up_without_a_server_is_heard_at_the_other_end() {
    let Two { mut server, ada, grace } = two();
    let mut callee = answers(&grace, &["--auto"]);
    let mut caller = calls(&ada, "grace", &[]);
    caller.until_connected();
    callee.until_connected();
    server.stop();
    callee.types("q");
    caller.until_over("hung_up_there");
}

#[test]
fn a_side_that_is_killed_is_noticed_in_seconds_and_named() {
    let Two { server: _server, ada, grace } = two();
    let mut callee = answers(&grace, &["--auto"]);
    let mut caller = calls(&ada, "grace", &[]);
    caller.until_connected();
    callee.until_connected();
    // It is killed.
    drop(callee);
    let killed = std::time::Instant::now();
    caller.until("the loss", |event| {
        event["type"] == "calls" && event["calls"]["current"]["legs"][0]["status"] == "reconnecting"
    });
    assert!(killed.elapsed().as_secs() < 8, "{:?}", killed.elapsed());
    caller.until_over("connection_lost");
    assert_eq!(caller.end().0, Some(1));
}

#[test]
fn muting_holding_and_the_camera_are_seen_at_the_other_side() {
    let Two { server: _server, ada, grace } = two();
    let mut callee = answers(&grace, &["--auto", "--stats"]);
    let mut caller = calls(&ada, "grace", &[]);
    callee.until_shown();
    let leg = |event: &Value, field: &str| event["calls"]["current"]["legs"][0].pointer(field).cloned();
    for (typed, field, expected) in [
        ("m", "/media/microphone", false),
        ("m", "/media/microphone", true),
        ("c", "/media/camera", false),
        ("c", "/media/camera", true),
        ("h", "/held", true),
        ("h", "/held", false),
    ] {
        caller.types(typed);
        callee.until(field, |event| leg(event, field) == Some(Value::Bool(expected)));
    }
    callee.until_shown();
    caller.types("q");
    let ended = callee.until_over("hung_up_there");
    // A picture that was turned off is no freeze.
    assert_eq!(number(&ended, "/report/received/freezes"), 0.0, "{ended:#}");
}

#[test]
fn calling_without_a_camera_is_a_call_with_sound_and_says_what_is_missing() {
    let Two { server: _server, ada, grace } = two();
    let mut callee = answers(&grace, &["--auto"]);
    let arguments = [
        "call",
        "grace",
        "--video",
        "camera:/nonexistent",
        "--audio",
        "chirps",
        "--speaker",
        "null",
        "--bind",
        "127.0.0.1",
        "--seconds",
        "2",
    ];
    let caller = ada.start(&arguments);
    callee.until_connected();
    let (code, told) = caller.end();
    assert_eq!(code, Some(0), "{told:#?}");
    let ended = over(&told);
    assert!(!problem(&ended["report"], "camera_not_connected").is_empty());
    let ended = callee.until_over("hung_up_there");
    assert!(number(&ended, "/report/received/audio_packets") > 30.0, "{ended:#}");
    assert_eq!(number(&ended, "/report/received/frames"), 0.0, "{ended:#}");
}

#[test]
fn who_hides_behind_a_relay_that_there_is_not_is_told_so_at_once() {
    let Two { server: _server, ada, grace } = two_at(server_with(|config| config.turn.mode = TurnMode::Off));
    let _callee = answers(&grace, &["--auto"]);
    let mut caller = calls(&ada, "grace", &["--relay-only"]);
    let told = caller.until("what is missing", |event| {
        event["type"] == "media" && event["media"]["problems"].to_string().contains("no_relay")
    });
    assert!(problem(&told["media"], "no_relay").contains("ask whoever runs the server"), "{told:#}");
}

#[test]
fn whom_one_can_not_call_is_said() {
    let Two { server, ada, grace } = two();
    ada.run(&["call", "nobody"]).fails(3, "none of your contacts");
    // Nobody waits for calls there.
    let mut caller = calls(&ada, "grace", &[]);
    caller.until_over("offline");
    assert_eq!(caller.end().0, Some(1));
    grace.run(&["contacts", "block", "ada"]).good();
    let waiting = answers(&grace, &["--auto"]);
    let mut caller = calls(&ada, "grace", &[]);
    let over = caller.until_type("call_over");
    assert_eq!(over["call"]["outcome"], "offline", "who is blocked is not told: {over:#}");
    drop((waiting, server));
}

#[test]
fn a_call_is_hung_up_from_another_terminal() {
    let Two { server: _server, ada, grace } = two();
    ada.alone(&["hang-up"]).fails(3, "no call to hang up");
    let mut callee = answers(&grace, &["--auto"]);
    let mut caller = calls(&ada, "grace", &[]);
    caller.until_connected();
    callee.until_connected();
    let hung_up = ada.alone(&["hang-up"]).one();
    assert_eq!((&hung_up["type"], &hung_up["with"]), (&"hung_up".into(), &"grace".into()));
    caller.until_over("hung_up_here");
    assert_eq!(caller.end().0, Some(0));
    callee.until_over("hung_up_there");
    ada.alone(&["hang-up"]).fails(3, "no call to hang up");
}

#[test]
fn a_guest_with_a_link_talks_with_whoever_is_in_the_room() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let room = ada.run(&["rooms", "create", "Tea", "--capacity", "2"]).one()["room"]["room"].clone();
    let room = room.as_str().expect("a room has an id");
    let link = ada.run(&["rooms", "invite", "Tea"]).one()["invite"]["link"].clone();
    let link = link.as_str().expect("an invite is a link");
    let mut host = calls(&ada, room, &["--stats"]);
    host.until("an empty room", |event| {
        event["type"] == "room_call" && event["room_call"]["legs"] == Value::Array(vec![])
    });
    let charles = Person::new(server.url());
    let mut guest = calls(&charles, link, &["--name", "Charles", "--stats"]);
    guest.until_shown();
    host.until_shown();
    // A third does not fit.
    let edith = Person::new(server.url());
    let mut third = calls(&edith, link, &["--name", "Edith"]);
    let over = third.until_type("room_over");
    assert_eq!(over["reason"], "room_full", "{over:#}");
    assert_eq!(third.end().0, Some(1));
    guest.types("q");
    let over = guest.until_type("room_over");
    is_good(&over, 0.5);
    assert_eq!(guest.end().0, Some(0));
    host.until("nobody", |event| {
        event["type"] == "room_call" && event["room_call"]["legs"] == Value::Array(vec![])
    });
    host.types("q");
    is_good(&host.until_type("room_over"), 0.5);
}

#[test]
fn a_link_that_names_the_certificate_needs_no_authority_and_leads_nowhere_else() {
    let files = tempfile::tempdir().expect("the temporary folder takes a folder");
    let (chain, key) = (files.path().join("chain.pem"), files.path().join("key.pem"));
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(&chain, cert.pem()).expect("it is written");
    std::fs::write(&key, signing_key.serialize_pem()).expect("it is written");
    let server = server_with(|config| {
        config.tls.certificate.clone_from(&chain);
        config.tls.key.clone_from(&key);
    });
    let ada = Person::new(server.url());
    let chain = chain.to_str().expect("a path");
    let sign_up =
        ["sign-up", "ada", "--name", "Ada", "--server", server.url(), "--password-stdin", "--ca-file", chain];
    ada.typing(&sign_up, &format!("{PASSWORD}\n")).good();
    let room = ada.run(&["rooms", "create", "Tea", "--capacity", "2"]).one()["room"]["room"].clone();
    let link = ada.run(&["rooms", "invite", "Tea"]).one()["invite"]["link"].clone();
    let link = link.as_str().expect("an invite is a link");
    let mut host = calls(&ada, room.as_str().expect("a room has an id"), &["--stats"]);
    host.until_type("entered");

    let charles = Person::new(server.url());
    let pinned = |der: &[u8]| format!("{link}&pin={}", Fingerprint::of(der));
    let comes = |link: &str| charles.run(&["join", link, "--name", "Charles"]);
    comes(link).fails(3, "certificate");
    comes(&pinned(b"another")).fails(3, "certificate");
    let mut guest = calls(&charles, &pinned(cert.der()), &["--name", "Charles", "--stats"]);
    guest.until_shown();
    host.until_shown();
    for mut one in [guest, host] {
        one.types("q");
        one.until_type("room_over");
    }
}

#[test]
fn who_talks_in_a_room_lets_people_in_and_chats_with_them() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let room = ada.run(&["rooms", "create", "Tea", "--waiting-room"]).one()["room"]["room"].clone();
    let room = room.as_str().expect("a room has an id");
    let link = ada.run(&["rooms", "invite", "Tea"]).one()["invite"]["link"].clone();
    let link = link.as_str().expect("an invite is a link");
    let mut host = calls(&ada, room, &["--stats"]);
    host.until_type("room_call");
    let charles = Person::new(server.url());
    let mut guest = calls(&charles, link, &["--name", "Charles", "--stats"]);
    guest.until_type("waiting");
    host.until("Charles waits", |event| event["type"] == "lobby" && event["waiting"][0]["name"] == "Charles");
    host.types("/admit Charles");
    guest.until_shown();
    host.until_shown();
    guest.types("Hello, Ada!");
    let said = host.until_type("chat");
    assert_eq!(
        (&said["message"]["name"], &said["message"]["text"]),
        (&"Charles".into(), &"Hello, Ada!".into()),
        "{said:#}"
    );
    host.types("/mute Charles");
    guest.until_type("mute_requested");
    guest.until("muted", |event| event["type"] == "media" && event["media"]["muted"] == true);
    // Whatever is typed, a program reads JSON only.
    guest.types("?");
    host.types("/remove Charles");
    let over = guest.until_type("room_over");
    assert_eq!(over["reason"], "removed", "{over:#}");
    assert_eq!(guest.end().0, Some(1));
    host.types("/leave");
    is_good(&host.until_type("room_over"), 0.5);
    assert_eq!(host.end().0, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn long_a_hundred_calls_in_a_row_leave_no_threads_files_or_memory_behind() {
    // Nobody calls, and signs in for it, as often as this.
    let server = crate::support::people::server_with(|config| {
        (config.limits.strangers_per_minute, config.limits.sockets_per_minute) = (100_000, 100_000);
        config.limits.normal_per_minute = 100_000;
    });
    let Two { server: _server, ada, grace } = two_at(server);
    let mut callee = answers(&grace, &["--auto", "--keep"]);
    let mut before = None;
    for round in 0..105 {
        let (code, told) = calls(&ada, "grace", &["--seconds", "0.5"]).end();
        assert_eq!(code, Some(0), "call {round}: {told:#?}");
        callee.until_over("hung_up_there");
        callee.until_type("waiting");
        // The first calls fill pools.
        if round == 4 {
            before = Some(callee.usage());
        }
    }
    let (before, after) = (before.expect("it was looked at"), callee.usage());
    assert_eq!((before.threads, before.files), (after.threads, after.files));
    let grown = after.memory_kb.saturating_sub(before.memory_kb);
    assert!(grown < 8 * 1024, "{} kB became {} kB", before.memory_kb, after.memory_kb);
}

#[test]
fn a_device_that_is_started_while_it_rings_rings_as_well() {
    let Two { server, ada, grace } = two();
    let mut callee = answers(&grace, &[]);
    let mut caller = calls(&ada, "grace", &[]);
    callee.until_type("rings");
    let phone = Person::new(server.url());
    let sign_in = ["sign-in", "grace", "--server", server.url(), "--password-stdin"];
    phone.typing(&sign_in, &format!("{}\n", crate::support::people::PASSWORD)).good();
    let mut later = answers(&phone, &["--auto"]);
    later.until_type("rings");
    later.until_connected();
    callee.until_over("answered_elsewhere");
    caller.types("q");
    later.until_over("hung_up_there");
}
