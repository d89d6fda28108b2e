//! People without the program: Chromium opens an invite link, and is in a call with somebody who has it.

use std::time::{Duration, Instant};

use ahoy_measure::stamp;
use serde_json::{Value, json};

use crate::guest::{Guest, write_clip};
use crate::support::people::{Person, Staying, server};
use crate::support::{number, small, y4m};

/// A room of somebody's, who talks in it, and a link to it.
struct Room {
    link: String,
    host: Staying,
}

const MEDIA: [&str; 8] =
    ["--video", "pattern", "--size", "320x180", "--audio", "chirps", "--speaker", "null"];

fn room(ada: &Person, settings: &[&str], more: &[&str]) -> Room {
    let create = [&["rooms", "create", "Bridge"], settings].concat();
    let room = ada.run(&create).one()["room"]["room"].as_str().expect("a room").to_owned();
    let link =
        ada.run(&["rooms", "invite", &room]).one()["invite"]["link"].as_str().expect("a link").to_owned();
    let mut host = ada.start(&[&["call", &room][..], &MEDIA, more].concat());
    host.until_type("entered");
    Room { link, host }
}

fn connected(event: &Value) -> bool {
    event["type"] == "room_call" && event["room_call"]["legs"][0]["status"] == "connected"
}

#[test]
fn needs_chromium_a_guest_in_a_browser_sees_hears_and_writes_whichever_side_offers() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let clip = ada.home().join("clip.y4m");
    write_clip(&clip, small());
    let mut guest = Guest::start(&["--clip", clip.to_str().expect("a path")]);
    let mut seen = [false, false];
    for round in 0.. {
        assert!(round < 40, "ids are random: one side can't have the lower one for ever");
        let take = ada.home().join(format!("take-{round}"));
        let Room { link, mut host } =
            room(&ada, &["--capacity", "2"], &["--record", take.to_str().expect("a path")]);
        guest.joins(&link, "Charles");
        let came = host.until_type("came");
        let theirs = came["participant"]["id"].as_str().expect("an id").to_owned();
        let mine = host.seen_first("entered")["participant"].as_str().expect("an id").to_owned();
        let guest_offers = theirs < mine;
        host.until("a connection", connected);
        if std::mem::replace(&mut seen[usize::from(guest_offers)], true) {
            guest.press("Hang up");
            guest.until("You have left the call");
            host.types("q");
            continue;
        }
        let stamps = guest.stamps("Ada", 12);
        assert!(stamps.len() > 8 && stamps.windows(2).all(|pair| pair[0].id < pair[1].id), "{stamps:?}");
        guest.hears_something();
        assert_eq!(guest.does("sound", json!([])), json!(["red/48000/2"]), "each packet has the one before");
        guest.does("screenshot", json!([ada.home().join("guest-call.png")]));

        guest.press("Messages");
        guest.does("fill", json!(["Message", "Land ahoy!"]));
        guest.press("Send");
        host.until_chat("Land ahoy!");
        host.types("Where?");
        guest.until("Where\\?");
        guest.press("Messages");

        host.types("m");
        guest.until("Microphone is off");
        guest.press("Turn camera off");
        host.until("the camera off", |event| event["room_call"]["legs"][0]["media"]["camera"] == false);
        guest.press("Turn camera on");
        host.until("the camera on", |event| event["room_call"]["legs"][0]["media"]["camera"] == true);

        guest.press("Hang up");
        guest.until("You have left the call");
        host.until("the guest gone", |event| event["type"] == "went");
        host.types("q");
        let over = host.until_type("room_over");
        let received = &over["report"]["received"];
        assert!(number(received, "/frames") > 20.0 && number(received, "/audio_packets") > 20.0, "{over:#}");
        let pictures = y4m(&take.with_added_extension("y4m"), small());
        let known = pictures.iter().filter_map(stamp::read).count();
        assert!(known > 10, "{known} of {} pictures are those of the guest's camera", pictures.len());
        if seen == [true, true] {
            break;
        }
    }
}

#[test]
fn needs_chromium_a_guest_waits_to_be_let_in_and_can_be_removed() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let Room { link, mut host } = room(&ada, &["--waiting-room"], &[]);
    let mut guest = Guest::start(&[]);
    guest.joins(&link, "Charles");
    guest.until("Somebody will let you in");
    host.until("Charles waits", |event| event["type"] == "lobby" && event["waiting"][0]["name"] == "Charles");
    host.types("/admit Charles");
    host.until("a connection", connected);
    host.types("/mute Charles");
    guest.until("Turn microphone on|Microphone is off");
    host.types("/remove Charles");
    guest.until("You were removed from the call");
}

#[test]
fn needs_chromium_what_is_wrong_with_an_invitation_is_said_and_nothing_else() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let Room { link, host: _host } = room(&ada, &["--capacity", "2"], &[]);
    let mut guest = Guest::start(&[]);
    let (bare, _) = link.split_once('#').expect("a secret");
    guest.does("open", json!([bare]));
    guest.until("This link is not complete");
    // The rest of it is put where the half was.
    guest.does("follow", json!([format!("{link}x")]));
    guest.until("You are invited to a call");
    guest.does("fill", json!(["Your name", "Charles"]));
    guest.press("Join");
    guest.until("This invitation is not good any more");
    let invites = ada.run(&["rooms", "invites", "Bridge"]).good();
    let invite = invites[0]["invite"]["invite"].as_str();
    let second = ada.start(&["join", "Bridge"]);
    guest.joins(&link, "Charles");
    guest.until("Nobody else fits in right now");
    drop(second);
    ada.run(&["rooms", "revoke", invite.unwrap_or_else(|| panic!("{invites:?}"))]).good();
    guest.joins(&link, "Charles");
    guest.until("This invitation is not good any more");
}

#[test]
fn needs_chromium_a_guest_who_may_not_use_the_camera_is_told_and_sees_and_hears_all_the_same() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let Room { link, mut host } = room(&ada, &["--capacity", "2"], &[]);
    let mut guest = Guest::start(&["--deny"]);
    guest.joins(&link, "Charles");
    host.until("a connection", connected);
    let stamps = guest.stamps("Ada", 6);
    assert!(stamps.len() > 3, "{stamps:?}");
    guest.hears_something();
    let text = guest.does("text", json!([]));
    assert!(text.as_str().expect("text").contains("Allow it at the address bar"), "{text}");
}

#[test]
fn needs_chromium_a_browser_without_h264_hears_and_says_why_there_is_no_picture() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let Room { link, mut host } = room(&ada, &["--capacity", "2"], &[]);
    let mut guest = Guest::start(&["--no-h264"]);
    guest.joins(&link, "Charles");
    host.until("a connection", connected);
    guest.until("No pictures in this browser");
    guest.hears_something();
}

#[test]
fn needs_chromium_a_guest_who_closes_the_tab_is_gone_at_once() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let Room { link, mut host } = room(&ada, &["--capacity", "2"], &[]);
    let mut guest = Guest::start(&[]);
    guest.joins(&link, "Charles");
    host.until("a connection", connected);
    guest.does("close", json!([]));
    let closed = Instant::now();
    let (mut leg, mut listed) = (true, true);
    while leg || listed {
        host.until("the guest gone", |event| {
            match event["type"].as_str() {
                Some("went") => listed = false,
                Some("room_call") => leg = event["room_call"]["legs"] != json!([]),
                _ => return false,
            }
            true
        });
    }
    // The server waits 20 s for those who have not said good-bye.
    assert!(closed.elapsed() < Duration::from_secs(10), "{:?}", closed.elapsed());
}
