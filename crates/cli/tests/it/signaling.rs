//! People, rooms and chat: the real `ahoy-cli` against the real server.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use crate::support::people::{PASSWORD, Person, server, server_with};
use ahoy_testkit::SignalingServer;
use serde_json::Value;

fn field<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}: {event:#}"))
}

fn create(host: &Person, arguments: &[&str]) -> String {
    let mut all = vec!["rooms", "create"];
    all.extend(arguments);
    field(&host.run(&all).one(), "/room/room").to_owned()
}

#[test]
fn two_people_meet_from_sign_up_to_sign_out() {
    let server = server();
    let ada = Person::new(server.url());
    let signed_up = ada.sign_up("ada", "Ada").one();
    assert_eq!((field(&signed_up, "/handle"), field(&signed_up, "/kept_in")), ("ada", "file"));
    assert!(signed_up["recovery_codes"].as_array().is_some_and(|codes| codes.len() >= 8), "{signed_up}");
    let grace = Person::signed_up(&server, "grace.hopper", "Grace");

    let asked = ada.run(&["contacts", "add", "grace.hopper"]).one();
    assert_eq!(field(&asked, "/contact/standing"), "asked");
    let mut watching = grace.start(&["watch"]);
    let asking = watching.until_type("contact");
    assert_eq!((field(&asking, "/contact/handle"), field(&asking, "/contact/standing")), ("ada", "asking"));
    grace.run(&["contacts", "add", "ada"]).good();
    watching.until("a contact", |event| event["contact"]["standing"] == "contact");

    let room = create(&ada, &["Family"]);
    let mut first = ada.start(&["join", "Family"]);
    let entered = first.until_type("entered");
    assert_eq!((field(&entered, "/role"), field(&entered, "/room")), ("host", room.as_str()));
    watching.until("Ada online", |event| event["contact"]["presence"] == "online");
    let mut second = grace.start(&["join", &room]);
    let entered = second.until_type("entered");
    assert_eq!(entered["state"]["participants"].as_array().map(Vec::len), Some(2));
    let came = first.until_type("came");
    assert_eq!(field(&came, "/participant/name"), "Grace");

    second.types("Land ahoy!");
    let line = first.until_chat("Land ahoy!");
    assert_eq!(field(&line, "/message/name"), "Grace");
    second.until_chat("Land ahoy!");
    second.types("/hand");
    let hand = first.until_type("state");
    assert_eq!((field(&hand, "/entry/key"), &hand["entry"]["value"]), ("hand", &Value::Bool(true)));
    let said = ada.run(&["chat", &room, "from elsewhere"]).one();
    assert_eq!(field(&said, "/type"), "said");
    second.until_chat("from elsewhere");

    second.types("/leave");
    assert_eq!(second.end().0, Some(0));
    first.until("Grace gone", |event| event["type"] == "went" && event["participant"]["name"] == "Grace");
    first.types("/leave");
    assert_eq!(first.end().0, Some(0));
    drop(watching);

    assert_eq!(field(&ada.run(&["sign-out"]).one(), "/type"), "signed_out");
    ada.run(&["rooms", "list"]).fails(3, "sign in first");
    assert!(!std::fs::read_to_string(ada.session_file()).unwrap().contains("secrets"), "nothing is left");
}

#[test]
fn a_guest_with_a_link_waits_until_the_host_lets_them_in() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let room = create(&ada, &["Tea", "--waiting-room"]);
    let mut host = ada.start(&["join", &room]);
    host.until_type("entered");
    let invite = ada.run(&["rooms", "invite", "Tea", "--uses", "2"]).one();
    let link = field(&invite, "/invite/link").to_owned();

    let stranger = Person::new(server.url());
    stranger.run(&["join", &link]).fails(3, "--name");
    let mut guest = stranger.start(&["join", &link, "--name", "Charles"]);
    guest.until_type("waiting");
    host.until("Charles waits", |event| event["type"] == "lobby" && event["waiting"][0]["name"] == "Charles");
    host.types("/admit Nobody");
    host.types("/admit Charles");
    let entered = guest.until_type("entered");
    assert_eq!(field(&entered, "/role"), "guest");
    host.until("Charles came", |event| event["type"] == "came" && event["participant"]["name"] == "Charles");
    guest.types("Good afternoon");
    host.until_chat("Good afternoon");
    host.types("/mute Charles");
    guest.until_type("mute_requested");
    host.until("Charles muted", |event| event["entry"]["key"] == "muted" && event["entry"]["value"] == true);
    host.types("/remove Charles");
    let left = guest.until_type("left");
    assert_eq!(field(&left, "/reason"), "removed");
    assert_eq!(guest.end().0, Some(1));
    assert!(!stranger.session_file().exists(), "guests leave nothing behind");

    let id = field(&ada.run(&["rooms", "invites", &room]).one(), "/invite/invite").to_owned();
    ada.run(&["rooms", "revoke", &id]).good();
    stranger.run(&["join", &link, "--name", "Charles"]).fails(1, "invite");
}

#[test]
fn rooms_are_listed_changed_and_deleted() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    assert_eq!(ada.run(&["rooms", "list"]).good(), Vec::<Value>::new());
    let room = create(&ada, &["Crew", "--capacity", "3"]);
    ada.run(&["rooms", "change", "Crew", "--name", "Officers", "--locked", "on"]).good();
    let listed = ada.run(&["rooms", "list"]).one();
    assert_eq!(
        (field(&listed, "/room/name"), &listed["room"]["settings"]["capacity"]),
        ("Officers", &3.into())
    );
    let grace = Person::signed_up(&server, "grace", "Grace");
    let refused = grace.run(&["join", &room]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("room_locked"), "{refused:?}");
    grace.run(&["rooms", "delete", &room]).fails(1, "");
    ada.run(&["rooms", "delete", "Officers"]).good();
    ada.run(&["join", "Officers"]).fails(3, "no room called");
}

#[test]
fn contacts_are_removed_and_blocked() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let grace = Person::signed_up(&server, "grace", "Grace");
    ada.run(&["contacts", "add", "grace"]).good();
    grace.run(&["contacts", "add", "ada"]).good();
    assert_eq!(field(&ada.run(&["contacts", "list"]).one(), "/contact/standing"), "contact");
    assert_eq!(field(&grace.run(&["contacts", "block", "ada"]).one(), "/contact/standing"), "blocked");
    grace.run(&["contacts", "remove", "ada"]).good();
    assert_eq!(grace.run(&["contacts", "list"]).good(), Vec::<Value>::new());
    grace.run(&["contacts", "remove", "ada"]).fails(3, "none of your contacts");
    ada.run(&["contacts", "add", "nobody.at.all"]).fails(1, "");
}

#[test]
fn an_account_is_looked_after_and_deleted() {
    let server = server();
    let ada = Person::new(server.url());
    let code = field(&ada.sign_up("ada", "Ada").one(), "/recovery_codes/0").to_owned();
    let laptop = Person::new(server.url());
    let sign_in = ["sign-in", "ada", "--server", server.url(), "--password-stdin", "--device-name", "Laptop"];
    laptop.typing(&sign_in, &format!("{PASSWORD}\n")).good();

    let devices = ada.run(&["account", "devices"]).good();
    assert_eq!(devices.len(), 2);
    let other = devices.iter().find(|line| line["device"]["name"] == "Laptop").expect("the laptop is listed");
    ada.run(&["account", "revoke", field(other, "/device/device")]).good();
    laptop.run(&["contacts", "list"]).fails(3, "signed out");

    let changed = ada
        .typing(&["account", "password", "--password-stdin"], &format!("{PASSWORD}\nanother one entirely\n"));
    changed.good();
    laptop.typing(&sign_in, &format!("{PASSWORD}\n")).fails(1, "");
    let recover = ["sign-in", "ada", "--recover", "--server", server.url(), "--password-stdin"];
    laptop.typing(&recover, &format!("{code}\nthe third one by now\n")).good();
    ada.run(&["contacts", "list"]).fails(3, "signed out");
    let codes =
        laptop.typing(&["account", "recovery-codes", "--password-stdin"], "the third one by now\n").one();
    assert!(codes["recovery_codes"].as_array().is_some_and(|codes| !codes.is_empty()));
    assert!(!laptop.run(&["account", "log"]).good().is_empty());
    assert!(laptop.run(&["account", "export"]).one().to_string().contains("ada"));
    laptop.typing(&["account", "delete", "--password-stdin"], "the third one by now\n").good();
    laptop.run(&["account", "show"]).fails(3, "not signed in");
    Person::new(server.url()).typing(&sign_in, "the third one by now\n").fails(1, "");
}

#[test]
fn a_wrong_password_and_a_taken_handle_are_refused_with_what_is_wrong() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let other = Person::new(server.url());
    let sign_in = ["sign-in", "ada", "--server", server.url(), "--password-stdin"];
    other.typing(&sign_in, "not this one\n").fails(1, "assword");
    other.sign_up("ada", "Another Ada").fails(1, "");
    other.typing(&sign_in, "short\n").fails(3, "at least 8 characters");
    other.typing(&sign_in, "").fails(3, "no line for the password");
    other.run(&["sign-in", "ada", "--server", server.url()]).fails(3, "--password-stdin");
    other.run(&["rooms", "list"]).fails(3, "sign in first");
    ada.run(&["rooms", "list"]).good();
}

#[test]
fn a_server_that_is_not_there_or_is_no_ahoy_server_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let ada = Person::new(&nobody);
    ada.sign_up("ada", "Ada").fails(3, &format!("{nobody} can't be reached"));

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let other = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]).expect("a request");
            let page = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            stream.write_all(page.as_bytes()).expect("it reads the page");
        }
    });
    let ada = Person::new(&other);
    ada.sign_up("ada", "Ada").fails(3, "is not an Ahoy server");
    let plain = Person::new("http://192.0.2.1");
    plain.sign_up("ada", "Ada").fails(3, "in the open");
    ada.run(&["sign-in", "ada", "--server", "https://"]).fails(3, "is not the address of a server");
}

#[test]
fn without_a_keyring_it_says_so_before_it_asks_for_a_password() {
    let person = Person::with_keyring("http://127.0.0.1:9", Vec::new());
    let said = person.run(&["sign-in", "ada", "--server", "http://127.0.0.1:9"]);
    said.fails(3, "there is no keyring");
    said.fails(3, "--session-file");
}

#[test]
fn a_restarted_server_has_everybody_back_in_the_room() {
    let mut server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let grace = Person::signed_up(&server, "grace", "Grace");
    let room = create(&ada, &["Bridge"]);
    let mut first = ada.start(&["join", &room]);
    first.until_type("entered");
    first.types("/hand");
    first.until_type("state");
    let mut second = grace.start(&["join", &room]);
    second.until_type("entered");
    server.start_again().expect("it starts where it was");
    for one in [&mut first, &mut second] {
        one.until_type("offline");
        one.until_type("online");
        let entered = one.until_type("entered");
        assert_eq!(entered["again"], true);
    }
    first.types("still here");
    second.until_chat("still here");
    second.types("me too");
    first.until_chat("me too");
    let third = Person::signed_up(&server, "third", "Third");
    let mut third = third.start(&["join", &room]);
    let entered = third.until_type("entered");
    assert_eq!(entered["state"]["participants"].as_array().map(Vec::len), Some(3), "{entered:#}");
    let hands = entered["state"]["states"].to_string();
    assert!(hands.contains(r#"{"key":"hand","value":true}"#), "{hands}");
}

#[test]
fn several_programs_share_a_sign_in() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let room = create(&ada, &["Office"]);
    let mut staying = ada.start(&["join", &room]);
    staying.until_type("entered");
    // Each of them refreshes the tokens, which takes the others' refresh token away.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    ada.run(&["account", "devices"]).good();
                }
            });
        }
    });
    staying.types("after all of that");
    staying.until_chat("after all of that");
    assert_eq!(ada.run(&["account", "devices"]).good().len(), 1, "still the one sign-in");
}

#[test]
fn long_a_stay_outlives_its_tokens_without_a_break() {
    let server = server_with(|config| config.auth.access_token_s = 60);
    let ada = Person::signed_up(&server, "ada", "Ada");
    let room = create(&ada, &["Office"]);
    let mut staying = ada.start(&["join", &room, "--seconds", "100"]);
    staying.until_type("entered");
    let (code, seen) = staying.end();
    assert_eq!(code, Some(0), "{seen:#?}");
    assert!(!seen.iter().any(|event| event["type"] == "offline"), "{seen:#?}");
}

/// Somebody ten minutes ahead of the server, and somebody ten minutes behind.
fn people_whose_clocks_are_wrong(server: &SignalingServer) -> (Person, Person) {
    let seconds = |command: &mut Command| {
        let output = command.arg("+%s").output().expect("faketime is there (`cargo xtask setup --for test`)");
        String::from_utf8_lossy(&output.stdout).trim().parse::<i64>().expect("seconds")
    };
    let right = seconds(&mut Command::new("date"));
    let people = [600, -600].map(|ahead| {
        let person = Person::with_clock(server.url(), ahead);
        let off = seconds(&mut person.with_their_clock("date")) - right;
        assert!((off - i64::from(ahead)).abs() < 60, "their clock is {off} s ahead");
        person
    });
    let [ahead, behind] = people;
    ahead.sign_up("ada", "Ada").good();
    behind.sign_up("grace", "Grace").good();
    (ahead, behind)
}

#[test]
fn people_whose_clocks_are_wrong_meet_and_talk() {
    let server = server();
    let (ada, grace) = people_whose_clocks_are_wrong(&server);
    let room = create(&ada, &["Office"]);
    let mut first = ada.start(&["join", &room]);
    first.until_type("entered");
    let mut second = grace.start(&["join", &room]);
    second.until_type("entered");
    first.types("is it noon?");
    second.until_chat("is it noon?");
    second.types("not yet");
    first.until_chat("not yet");
    // Another program of each signs in with what the first has kept.
    for person in [&ada, &grace] {
        assert_eq!(person.run(&["account", "devices"]).good().len(), 1);
    }
    let invite = ada.run(&["rooms", "invite", &room]).one();
    let guest = Person::with_clock(server.url(), -600);
    let mut guest = guest.start(&["join", field(&invite, "/invite/link"), "--name", "Guest"]);
    guest.until_type("entered");
}

#[test]
fn long_tokens_are_renewed_in_time_by_clocks_that_are_wrong() {
    let server = server_with(|config| config.auth.access_token_s = 60);
    let (ada, grace) = people_whose_clocks_are_wrong(&server);
    let room = create(&ada, &["Office"]);
    let mut staying = [&ada, &grace].map(|person| person.start(&["join", &room, "--seconds", "100"]));
    staying.iter_mut().for_each(|person| drop(person.until_type("entered")));
    for person in staying {
        let (code, seen) = person.end();
        assert_eq!(code, Some(0), "{seen:#?}");
        assert!(!seen.iter().any(|event| event["type"] == "offline"), "{seen:#?}");
    }
}

#[test]
fn help_is_there_for_every_command() {
    let person = Person::new("http://127.0.0.1:9");
    for command in ["sign-up", "sign-in", "sign-out", "account", "contacts", "rooms", "join", "chat", "watch"]
    {
        let output = person.command(&[command, "--help"]).output().expect("ahoy-cli runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Usage:") && text.contains("Exit codes:"), "{command}: {text}");
    }
}
