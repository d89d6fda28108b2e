//! What happens live, over real sockets: sessions that survive their connections, rooms, calls, contacts, limits.

use std::time::Duration;

use crate::support::socket::{HeldClock, Peer, closed, connect, receive};
use crate::support::{Place, Running};
use ahoy_server::config::Config;
use ahoy_signal::account::{Invite, TokenGrant};
use ahoy_signal::{CloseCode, Link, RoomId, RoomState, limits, paths};
use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// A server over SQLite, with the limits that it has by default where a test asks for that.
async fn server(change: impl FnOnce(&mut Config)) -> (Place, Running) {
    let place = Place::sqlite();
    let mut config = place.config();
    change(&mut config);
    let server = Running::start(config).await;
    (place, server)
}

async fn grant(server: &Running, handle: &str) -> TokenGrant {
    server.sign_up(handle).await.grant
}

async fn peer(server: &Running, handle: &str) -> Peer {
    Peer::hello(server, &grant(server, handle).await).await
}

fn chat(text: impl Into<String>) -> Value {
    json!({"type": "chat", "text": text.into()})
}

fn named(peer: &Peer, field: &str) -> String {
    peer.welcome[field].as_str().expect("text").to_owned()
}

/// Makes the two contacts of each other.
async fn befriend(one: &mut Peer, other: &mut Peer) {
    let asked = one.ask(None, json!({"type": "contact_add", "handle": named(other, "handle")})).await;
    assert_eq!(asked["body"]["contact"]["standing"], "asked", "{asked}");
    assert_eq!(other.news("contact").await["contact"]["standing"], "asking");
    let agreed = other.ask(None, json!({"type": "contact_add", "handle": named(one, "handle")})).await;
    assert_eq!(agreed["body"]["contact"]["standing"], "contact", "{agreed}");
    let told = one.news("contact").await;
    assert_eq!(
        (&told["contact"]["standing"], &told["contact"]["presence"]),
        (&json!("contact"), &json!("online"))
    );
}

#[tokio::test]
async fn everyone_in_a_room_sees_the_same() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    let room = ada.make_room(json!({})).await;
    let mut adas = ada.join(room).await;
    let mut graces = grace.join(room).await;
    let said = grace.ask(Some(room), chat("Land ahoy!")).await;
    assert_eq!(said["pos"]["offset"], 3, "{said}");
    grace.done(Some(room), json!({"type": "set_state", "entry": {"key": "hand", "value": true}})).await;
    for (peer, state) in [(&mut ada, &mut adas), (&mut grace, &mut graces)] {
        peer.until(room, state, |state| state.position().offset == 4).await;
    }
    assert_eq!(adas, graces);
    assert_eq!(adas.participants().len(), 2);
    assert_eq!(adas.chat().next().unwrap().text.as_str(), "Land ahoy!");
    let rooms = ada.ask(None, json!({"type": "rooms"})).await;
    assert_eq!(rooms["body"]["rooms"][0]["people"], 2, "{rooms}");
    ada.done(Some(room), json!({"type": "room_delete"})).await;
    assert_eq!(grace.news("left").await["reason"], "room_deleted");
    assert_eq!(grace.refused(Some(room), json!({"type": "join"})).await, "no_such_room");
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_done_once_and_answered_again() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    let room = ada.make_room(json!({})).await;
    let mut state = ada.join(room).await;
    grace.join(room).await;
    let lost = grace.say(Some(room), chat("once")).await;
    ada.until(room, &mut state, |state| state.chat().count() == 1).await;
    // The connection is gone before the answer was read; the client does not know whether the message came through.
    let resumed = grace.resume(&server).await;
    assert_eq!(resumed["body"]["last_request"], lost, "{resumed}");
    let again = json!({"v": 1, "id": lost, "room": room, "body": {"type": "chat", "text": "once"}});
    grace.send(again).await;
    assert_eq!(grace.answer(lost).await["body"]["type"], "done");
    grace.done(Some(room), chat("twice")).await;
    ada.until(room, &mut state, |state| state.chat().count() > 1).await;
    let said: Vec<_> = state.chat().map(|line| line.text.as_str().to_owned()).collect();
    assert_eq!(said, ["once", "twice"]);
}

#[tokio::test]
async fn who_resumes_is_told_what_the_room_went_through_meanwhile() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    let room = ada.make_room(json!({})).await;
    let mut adas = ada.join(room).await;
    let mut graces = grace.join(room).await;
    let _ = grace.socket.close(None).await;
    closed(&mut grace.socket).await;
    for number in 0..10 {
        ada.done(Some(room), chat(number.to_string())).await;
    }
    assert_eq!(grace.resume(&server).await["body"]["type"], "resumed");
    let synced = grace.ask(Some(room), json!({"type": "sync", "since": graces.position()})).await;
    assert_eq!(synced["body"]["recovered"], true, "{synced}");
    let missed: Vec<ahoy_signal::PositionedDelta> =
        serde_json::from_value(synced["body"]["missed"].clone()).unwrap();
    assert!(missed.len() >= 10);
    graces.apply_all(graces.position().epoch, missed).unwrap();
    ada.until(room, &mut adas, |state| state.position() == graces.position()).await;
    assert_eq!(adas, graces);
    assert_eq!(adas.participants().len(), 2, "nobody was gone");
}

#[tokio::test]
async fn a_resume_token_is_good_once_and_the_old_connection_is_replaced() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let used = ada.resume_token.clone();
    let mut old = std::mem::replace(&mut ada.socket, connect(&server).await);
    assert_eq!(ada.resume(&server).await["body"]["type"], "resumed");
    assert_eq!(closed(&mut old).await, Some(CloseCode::Replaced));
    // Until something shows that the next token has arrived, the old one is good once more.
    ada.ask(None, json!({"type": "rooms"})).await;
    let mut thief = connect(&server).await;
    let resume = json!({"v": 1, "body": {
        "type": "resume", "session": ada.session, "resume_token": used, "seq": 0,
    }});
    thief.send(Message::text(resume.to_string())).await.unwrap();
    assert_eq!(receive(&mut thief).await.unwrap()["body"]["code"], "session_gone");
    assert_eq!(closed(&mut thief).await, Some(CloseCode::HelloRefused));
    ada.ask(None, json!({"type": "rooms"})).await;
}

#[tokio::test]
async fn an_access_token_opens_one_connection() {
    let (_place, server) = server(|_| ()).await;
    let grant = grant(&server, "ada").await;
    let _first = Peer::hello(&server, &grant).await;
    let mut second = connect(&server).await;
    let hello = json!({"v": 1, "body": {
        "type": "hello", "token": grant.access_token, "client": {"name": "test", "version": "1"},
    }});
    second.send(Message::text(hello.to_string())).await.unwrap();
    assert_eq!(receive(&mut second).await.unwrap()["body"]["code"], "token_used");
    assert_eq!(closed(&mut second).await, Some(CloseCode::HelloRefused));
}

#[tokio::test]
async fn a_connection_that_does_not_say_who_it_is_is_closed_after_fifteen_seconds() {
    let (_place, server) = server(|_| ()).await;
    let mut stranger = connect(&server).await;
    let asks = || Message::text(r#"{"v":1,"id":1,"body":{"type":"rooms"}}"#);
    stranger.send(asks()).await.unwrap();
    assert_eq!(receive(&mut stranger).await.unwrap()["body"]["code"], "out_of_place");
    let clock = HeldClock::hold();
    clock.advance(Duration::from_millis(14_800)).await;
    stranger.send(asks()).await.unwrap();
    assert_eq!(receive(&mut stranger).await.unwrap()["body"]["code"], "out_of_place");
    // Timers go off at the first whole millisecond after their time.
    clock.advance(Duration::from_millis(201)).await;
    assert_eq!(closed(&mut stranger).await, Some(CloseCode::HelloMissing));
}

#[tokio::test]
async fn a_session_without_a_fresh_token_is_closed_when_the_old_one_runs_out() {
    let (_place, server) = server(|config| config.auth.access_token_s = 60).await;
    for (handle, renews) in [("ada", false), ("grace", true)] {
        let signed_in = grant(&server, handle).await;
        let mut peer = Peer::hello(&server, &signed_in).await;
        let fresh = server.refresh(&signed_in).await;
        let clock = HeldClock::hold();
        let mut open_for = 0;
        let code = loop {
            if open_for == 80 {
                break None;
            }
            peer.socket.send(Message::text(r#"{"v":1,"body":{"type":"ping"}}"#)).await.unwrap();
            match receive(&mut peer.socket).await {
                Ok(pong) => assert_eq!(pong["body"]["type"], "pong", "{pong}"),
                Err(closed) => break closed,
            }
            if renews && open_for == 30 {
                // It was made with the first one, but the wall clock stands still here: it is good for a minute from now.
                peer.done(None, json!({"type": "reauth", "token": fresh.access_token})).await;
            }
            clock.advance(Duration::from_secs(5)).await;
            open_for += 5;
        };
        match renews {
            true => assert_eq!((code, open_for), (None, 80)),
            false => assert_eq!((code, open_for), (Some(CloseCode::TokenExpired), 60)),
        }
    }
}

#[tokio::test]
async fn a_session_takes_no_token_of_somebody_else() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let grace = grant(&server, "grace").await;
    let code = ada.refused(None, json!({"type": "reauth", "token": grace.access_token})).await;
    assert_eq!(code, "unauthenticated");
}

#[tokio::test]
async fn who_is_gone_is_shown_so_after_five_seconds_and_leaves_after_twenty() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    let room = ada.make_room(json!({})).await;
    let mut state = ada.join(room).await;
    grace.join(room).await;
    ada.until(room, &mut state, |state| state.participants().len() == 2).await;
    let clock = HeldClock::hold();
    // The server has noticed when it says goodbye too.
    let _ = grace.socket.close(None).await;
    closed(&mut grace.socket).await;
    clock.advance(Duration::from_millis(4_800)).await;
    ada.hears_nothing_of("delta").await;
    clock.advance(Duration::from_millis(400)).await;
    let away = |state: &RoomState| state.participants().iter().any(|one| one.link == Link::Reconnecting);
    ada.until(room, &mut state, away).await;
    clock.advance(Duration::from_millis(14_600)).await;
    ada.hears_nothing_of("delta").await;
    clock.advance(Duration::from_millis(400)).await;
    ada.until(room, &mut state, |state| state.participants().len() == 1).await;
}

#[tokio::test]
async fn an_empty_room_is_released_and_begins_another_life() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let room = ada.make_room(json!({})).await;
    let first = ada.join(room).await;
    ada.done(Some(room), chat("hi")).await;
    ada.done(Some(room), json!({"type": "leave"})).await;
    let since = json!({"type": "join", "since": first.position()});
    let again = ada.ask(Some(room), since).await;
    assert_eq!(again["body"]["recovered"], false, "{again}");
    assert_ne!(again["pos"]["epoch"], json!(first.position().epoch));
    assert_eq!(again["body"]["snapshot"]["chat"], json!([]));
}

#[tokio::test]
async fn who_waits_is_let_in_and_guests_stay_where_they_were_invited() {
    let (_place, server) = server(|_| ()).await;
    let host = grant(&server, "ada").await;
    let mut ada = Peer::hello(&server, &host).await;
    let room = ada.make_room(json!({"waiting_room": true})).await;
    let other = ada.make_room(json!({})).await;
    ada.join(room).await;
    let invite: Invite =
        server.post(paths::INVITES, Some(&server.refresh(&host).await), &json!({"room": room})).await.read();
    let asked = json!({"invite": invite.token, "name": "Passer-by"});
    let guest: TokenGrant = server.post(paths::GUESTS, None, &asked).await.read();
    let mut guest = Peer::hello(&server, &guest).await;
    let waiting = guest.ask(Some(room), json!({"type": "join"})).await;
    assert_eq!(waiting["body"]["type"], "waiting", "{waiting}");
    let lobby = ada.news("lobby").await;
    assert_eq!(
        (&lobby["waiting"][0]["name"], &lobby["waiting"][0]["guest"]),
        (&json!("Passer-by"), &json!(true))
    );
    let participant = &lobby["waiting"][0]["id"];
    ada.done(Some(room), json!({"type": "admit", "participant": participant})).await;
    assert_eq!(guest.news("joined").await["role"], "guest");
    guest.done(Some(room), chat("hello")).await;
    assert_eq!(guest.refused(Some(other), json!({"type": "join"})).await, "no_such_room");
    assert_eq!(
        guest.refused(Some(room), json!({"type": "room_change", "change": {"locked": true}})).await,
        "forbidden"
    );
    for body in [
        json!({"type": "room_create", "name": "Mine"}),
        json!({"type": "contacts"}),
        json!({"type": "call", "call": "c_00000000000000000000000001", "to": ada.welcome["user"], "media": "audio"}),
    ] {
        assert_eq!(guest.refused(None, body).await, "forbidden");
    }
    ada.done(Some(room), json!({"type": "remove", "participant": participant})).await;
    assert_eq!(guest.news("left").await["reason"], "removed");
    assert_eq!(guest.refused(Some(room), json!({"type": "join"})).await, "not_admitted");
}

#[tokio::test]
async fn messages_without_sense_are_answered_and_too_many_close_the_connection() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    assert_eq!(ada.refused(None, json!({"type": "dance"})).await, "unknown_type");
    assert_eq!(ada.refused(None, chat("where?")).await, "envelope_incomplete");
    for _ in 0..20 {
        ada.socket.send(Message::text("{")).await.unwrap();
    }
    assert_eq!(closed(&mut ada.socket).await, Some(CloseCode::ProtocolViolation));
    assert_eq!(ada.resume(&server).await["body"]["type"], "resumed", "the session is still there");

    let mut binary = connect(&server).await;
    binary.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(receive(&mut binary).await.unwrap()["body"]["code"], "bad_message");
    let mut early = connect(&server).await;
    for _ in 0..4 {
        early.send(Message::text(r#"{"v":1,"id":1,"body":{"type":"rooms"}}"#)).await.unwrap();
        assert_eq!(receive(&mut early).await.unwrap()["body"]["code"], "out_of_place");
    }
    assert_eq!(
        closed(&mut early).await,
        Some(CloseCode::ProtocolViolation),
        "strangers have less patience given"
    );
    let mut foreign = connect(&server).await;
    foreign.send(Message::text(r#"{"v":2,"body":{"type":"ping"}}"#)).await.unwrap();
    assert_eq!(receive(&mut foreign).await.unwrap()["body"]["code"], "unsupported_version");
    assert_eq!(closed(&mut foreign).await, Some(CloseCode::UnsupportedVersion));
}

#[tokio::test]
async fn a_message_that_is_too_long_closes_the_connection() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let long = Message::text("x".repeat(limits::MESSAGE_LONGEST + 1));
    ada.socket.send(long.clone()).await.unwrap();
    assert_eq!(closed(&mut ada.socket).await, Some(CloseCode::MessageTooLarge));
    let mut stranger = connect(&server).await;
    stranger.send(long).await.unwrap();
    assert_eq!(closed(&mut stranger).await, Some(CloseCode::MessageTooLarge));
}

#[tokio::test]
async fn a_flood_is_throttled_and_then_closed_while_others_are_served() {
    let (_place, server) = server(|config| config.limits.normal_per_minute = 100).await;
    let mut flood = peer(&server, "ada").await;
    let mut calm = peer(&server, "grace").await;
    let room = flood.make_room(json!({})).await;
    let mut state = calm.join(room).await;
    flood.join(room).await;
    let mut code = None;
    for number in 0..1_000_u64 {
        let message =
            json!({"v": 1, "id": number + 3, "room": room, "body": {"type": "chat", "text": "flood"}});
        if flood.socket.send(Message::text(message.to_string())).await.is_err() {
            break;
        }
    }
    let mut refused = 0;
    while code.is_none() {
        match receive(&mut flood.socket).await {
            Ok(message) if message["body"]["code"] == "rate_limited" => {
                assert!(message["body"]["retry_after_ms"].as_u64().unwrap() > 0);
                refused += 1;
            }
            Ok(_) => (),
            Err(closed) => code = Some(closed),
        }
    }
    assert_eq!(code, Some(Some(CloseCode::Flood)));
    assert!((200..=210).contains(&refused), "{refused}");
    calm.done(Some(room), chat("calm")).await;
    calm.until(room, &mut state, |state| state.chat().any(|line| line.text.as_str() == "calm")).await;
}

/// Fills whatever lies between the server and somebody who does not read: with what the kernel takes, several megabytes.
async fn talk(speaker: &mut Peer, room: RoomId, lines: u64) {
    let text = "x".repeat(limits::CHAT_LONGEST);
    for batch in 0..lines / 50 {
        let mut asked = Vec::new();
        for number in 0..50 {
            asked.push(
                speaker
                    .say(Some(room), chat(format!("{} {text}", batch * 50 + number).split_at(3_999).0))
                    .await,
            );
        }
        for id in asked {
            assert_eq!(speaker.answer(id).await["body"]["type"], "done");
        }
        speaker.inbox.clear();
    }
}

#[tokio::test]
async fn who_reads_too_slowly_is_caught_up_by_a_snapshot() {
    let (_place, server) = server(|_| ()).await;
    let mut slow = peer(&server, "ada").await;
    let mut speaker = peer(&server, "grace").await;
    let room = slow.make_room(json!({})).await;
    let mut state = slow.join(room).await;
    speaker.join(room).await;
    talk(&mut speaker, room, 3_000).await;
    speaker.done(Some(room), chat("over")).await;
    let mut snapshots = 0;
    while state.chat().last().is_none_or(|line| line.text.as_str() != "over") {
        let message = slow.find(|message| message["room"] == json!(room)).await;
        snapshots += u32::from(message["body"]["type"] == "snapshot");
        crate::support::socket::apply(&mut state, message);
    }
    assert!(snapshots >= 1, "everything fitted in between: talk more");
    slow.done(Some(room), chat("there")).await;
}

#[tokio::test]
async fn who_reads_nothing_is_closed_while_others_are_served() {
    let (_place, server) = server(|_| ()).await;
    let mut slow = peer(&server, "ada").await;
    let mut speaker = peer(&server, "grace").await;
    let room = slow.make_room(json!({})).await;
    slow.join(room).await;
    speaker.join(room).await;
    talk(&mut speaker, room, 3_000).await;
    // Nothing moves any more but time.
    let clock = HeldClock::hold();
    clock.advance(Duration::from_secs(12)).await;
    speaker.done(Some(room), chat("still here")).await;
    assert_eq!(closed(&mut slow.socket).await, Some(CloseCode::SlowConsumer));
    assert_eq!(slow.resume(&server).await["body"]["type"], "resumed");
    let synced = slow.ask(Some(room), json!({"type": "sync"})).await;
    assert_eq!(synced["body"]["recovered"], false);
}

#[tokio::test]
async fn a_stopping_server_tells_everyone_when_to_come_back() {
    let (_place, server) = server(|_| ()).await;
    let mut peers = Vec::new();
    for number in 0..10 {
        peers.push(peer(&server, &format!("peer{number}")).await);
    }
    let mut silent = connect(&server).await;
    let stop = tokio::spawn(server.server.stop());
    let mut delays = std::collections::BTreeSet::new();
    for peer in &mut peers {
        let delay = peer.news("reconnect").await["after_ms"].as_u64().unwrap();
        assert!(delay <= 5_000);
        delays.insert(delay);
        assert_eq!(closed(&mut peer.socket).await, Some(CloseCode::ServerStopping));
    }
    assert!(delays.len() > 1, "all at once: {delays:?}");
    assert_eq!(closed(&mut silent).await, Some(CloseCode::ServerStopping));
    stop.await.unwrap();
}

/// As when a computer hosts a call and its person hangs up: the room ends, and at once the server.
#[tokio::test]
async fn what_waits_for_somebody_is_told_before_a_stopping_server_lets_them_go() {
    let (_place, server) = server(|_| ()).await;
    let mut host = peer(&server, "ada").await;
    let mut slow = peer(&server, "grace").await;
    let room = host.make_room(json!({})).await;
    host.join(room).await;
    slow.join(room).await;
    talk(&mut host, room, 3_000).await;
    host.done(Some(room), json!({"type": "room_delete"})).await;
    let stop = tokio::spawn(server.server.stop());
    assert_eq!(slow.news("left").await["reason"], "room_deleted");
    assert_eq!(closed(&mut slow.socket).await, Some(CloseCode::ServerStopping));
    stop.await.unwrap();
}

const CALL: &str = "c_00000000000000000000000001";
const OTHER_CALL: &str = "c_00000000000000000000000002";

fn call(call: &str, to: &Peer) -> Value {
    json!({"type": "call", "call": call, "to": to.welcome["user"], "media": "video"})
}

fn offer(call: &str) -> Value {
    json!({"type": "call_signal", "call": call, "signal": {
        "type": "description", "kind": "offer", "revision": 1, "generation": "abcd", "sdp": "v=0\r\n",
    }})
}

fn candidate(call: &str, name: &str) -> Value {
    json!({"type": "call_signal", "call": call, "signal": {
        "type": "candidate", "candidate": name, "generation": "abcd",
    }})
}

#[tokio::test]
async fn a_call_rings_everywhere_and_what_was_said_early_follows_the_answer() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    let mut phone = Peer::hello(&server, &server.sign_in("grace").await).await;
    befriend(&mut ada, &mut grace).await;
    // All in one go: what belongs to the call waits until it is known whether the call may be.
    let asked = ada.say(None, call(CALL, &grace)).await;
    let mut said = vec![ada.say(None, candidate(CALL, "early")).await, ada.say(None, offer(CALL)).await];
    said.push(ada.say(None, candidate(CALL, "late")).await);
    let ringing = ada.answer(asked).await;
    assert_eq!((&ringing["body"]["type"], &ringing["body"]["devices"]), (&json!("call_ringing"), &json!(2)));
    for id in said {
        assert_eq!(ada.answer(id).await["body"]["type"], "done");
    }
    assert_eq!(grace.news("call_incoming").await["from"]["handle"], "ada");
    phone.news("call_incoming").await;
    let late = Peer::hello(&server, &server.sign_in("grace").await).await;
    assert_eq!(late.welcome["calls"][0]["stage"], "incoming", "{}", late.welcome);
    grace.hears_nothing_of("call_signal").await;
    phone.done(None, json!({"type": "call_accept", "call": CALL})).await;
    assert_eq!(phone.news("call_answered").await["offers"], false);
    assert_eq!(ada.news("call_answered").await["offers"], true);
    assert_eq!(grace.news("call_ended").await["reason"], "answered_elsewhere");
    assert_eq!(phone.news("call_signal").await["signal"]["type"], "description");
    assert_eq!(phone.news("call_signal").await["signal"]["candidate"], "early");
    assert_eq!(phone.news("call_signal").await["signal"]["candidate"], "late");
    assert_eq!(ada.news("contact").await["contact"]["presence"], "in_call");
    assert_eq!(grace.refused(None, candidate(CALL, "none of mine")).await, "no_such_call");
    phone.done(None, json!({"type": "call_hang_up", "call": CALL})).await;
    assert_eq!(ada.news("call_ended").await["reason"], "hung_up");
    assert_eq!(ada.news("contact").await["contact"]["presence"], "online");
}

#[tokio::test]
async fn two_who_call_each_other_are_in_one_call() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    befriend(&mut ada, &mut grace).await;
    let adas = ada.say(None, call(CALL, &grace)).await;
    let graces = grace.say(None, call(OTHER_CALL, &ada)).await;
    let adas = ada.answer(adas).await["body"].clone();
    let graces = grace.answer(graces).await["body"].clone();
    // Whoever was first rings, and is told by news that it is answered; the other one is told so at once.
    let (first, id, first_peer, second, second_peer) = match adas["type"] == "call_ringing" {
        true => (adas, CALL, &mut ada, graces, &mut grace),
        false => (graces, OTHER_CALL, &mut grace, adas, &mut ada),
    };
    assert_eq!(first["type"], "call_ringing");
    assert_eq!((&second["type"], &second["call"]), (&json!("call_answered"), &json!(id)));
    assert_eq!(second_peer.news("call_ended").await["reason"], "merged");
    let answered = first_peer.news("call_answered").await;
    assert_eq!((&answered["call"], &answered["offers"]), (&json!(id), &json!(true)));
    first_peer.done(None, offer(id)).await;
    assert_eq!(second_peer.news("call_signal").await["signal"]["kind"], "offer");
}

#[tokio::test]
async fn a_call_outlives_a_lost_connection_but_not_its_session() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    befriend(&mut ada, &mut grace).await;
    ada.ask(None, call(CALL, &grace)).await;
    grace.done(None, json!({"type": "call_accept", "call": CALL})).await;
    let _ = grace.socket.close(None).await;
    closed(&mut grace.socket).await;
    ada.done(None, offer(CALL)).await;
    assert_eq!(grace.resume(&server).await["body"]["type"], "resumed");
    assert_eq!(grace.news("call_signal").await["signal"]["kind"], "offer");
    ada.hears_nothing_of("call_ended").await;
    grace.say(None, json!({"type": "bye"})).await;
    assert_eq!(closed(&mut grace.socket).await, Some(CloseCode::Goodbye));
    assert_eq!(ada.news("call_ended").await["reason"], "peer_gone");
}

#[tokio::test]
async fn only_contacts_can_be_called_and_only_while_they_are_there() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    assert_eq!(ada.refused(None, call(CALL, &grace)).await, "not_a_contact");
    befriend(&mut ada, &mut grace).await;
    grace.say(None, json!({"type": "bye"})).await;
    assert_eq!(ada.news("contact").await["contact"]["presence"], "offline");
    assert_eq!(ada.refused(None, call(CALL, &grace)).await, "offline");
    assert_eq!(ada.refused(None, json!({"type": "call_hang_up", "call": CALL})).await, "no_such_call");
}

fn link(to: &Peer, said: Value) -> Value {
    let (end, at) = ("l_00000000000000000000000001", "l_00000000000000000000000002");
    json!({"type": "link", "to": to.welcome["user"], "end": end, "at": at, "said": said})
}

#[tokio::test]
async fn what_contacts_say_about_a_connection_beside_calls_reaches_all_their_programs_in_order() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    assert_eq!(ada.refused(None, link(&grace, json!({"type": "knock"}))).await, "not_a_contact");
    let mut phone = Peer::hello(&server, &server.sign_in("grace").await).await;
    befriend(&mut ada, &mut grace).await;
    let mut asked = vec![ada.say(None, link(&grace, json!({"type": "knock"}))).await];
    for name in ["first", "second", "third"] {
        let candidate = json!({"type": "candidate", "candidate": name, "generation": "abcd"});
        asked.push(ada.say(None, link(&grace, json!({"type": "signal", "signal": candidate}))).await);
    }
    for id in asked {
        assert_eq!(ada.answer(id).await["body"]["type"], "done");
    }
    for program in [&mut grace, &mut phone] {
        let knock = program.news("link").await;
        assert_eq!((&knock["from"]["handle"], &knock["said"]["type"]), (&json!("ada"), &json!("knock")));
        assert_eq!(knock["at"], "l_00000000000000000000000002");
        for name in ["first", "second", "third"] {
            assert_eq!(program.news("link").await["said"]["signal"]["candidate"], name);
        }
    }
}

#[tokio::test]
async fn presence_is_told_to_contacts_and_to_nobody_else() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut grace = peer(&server, "grace").await;
    let mut stranger = peer(&server, "stranger").await;
    befriend(&mut ada, &mut grace).await;
    let asked = stranger.ask(None, json!({"type": "contact_add", "handle": "grace"})).await;
    assert_eq!(asked["body"]["contact"]["presence"], "offline", "not before she agrees");
    grace.news("contact").await;
    grace.say(None, json!({"type": "bye"})).await;
    assert_eq!(ada.news("contact").await["contact"]["presence"], "offline");
    let mut grace = Peer::hello(&server, &server.sign_in("grace").await).await;
    assert_eq!(ada.news("contact").await["contact"]["presence"], "online");
    let contacts = grace.ask(None, json!({"type": "contacts"})).await;
    let listed = contacts["body"]["contacts"].as_array().unwrap();
    let seen: Vec<_> = listed
        .iter()
        .map(|one| (one["handle"].as_str().unwrap(), one["presence"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [("ada", "online"), ("stranger", "offline")]);
    stranger.hears_nothing_of("contact").await;
}

#[tokio::test]
async fn who_is_blocked_learns_nothing() {
    let (_place, server) = server(|_| ()).await;
    let mut ada = peer(&server, "ada").await;
    let mut pest = peer(&server, "pest").await;
    befriend(&mut ada, &mut pest).await;
    let blocked = ada.ask(None, json!({"type": "contact_block", "user": pest.welcome["user"]})).await;
    assert_eq!(blocked["body"]["contact"]["standing"], "blocked", "{blocked}");
    // It looks as if she had gone offline, and stays so.
    let told = pest.news("contact").await;
    assert_eq!(
        (&told["contact"]["standing"], &told["contact"]["presence"]),
        (&json!("contact"), &json!("offline"))
    );
    let contacts = pest.ask(None, json!({"type": "contacts"})).await;
    assert_eq!(contacts["body"]["contacts"][0]["presence"], "offline");
    assert_eq!(pest.refused(None, call(CALL, &ada)).await, "offline");
    pest.ask(None, json!({"type": "contact_add", "handle": "ada"})).await;
    ada.hears_nothing_of("contact").await;
    let _second = Peer::hello(&server, &server.sign_in("ada").await).await;
    ada.say(None, json!({"type": "bye"})).await;
    pest.hears_nothing_of("contact").await;
}

#[tokio::test]
async fn signing_out_closes_the_sessions_of_that_device_only() {
    let (_place, server) = server(|_| ()).await;
    let first = grant(&server, "ada").await;
    let mut one = Peer::hello(&server, &first).await;
    let mut other = Peer::hello(&server, &server.sign_in("ada").await).await;
    let fresh = server.refresh(&first).await;
    server.delete(paths::CURRENT_SESSION, &fresh).await.done();
    assert_eq!(closed(&mut one.socket).await, Some(CloseCode::SignedOut));
    assert_eq!(one.resume(&server).await["body"]["code"], "session_gone");
    other.ask(None, json!({"type": "rooms"})).await;
}
