//! Messages between contacts, their marks and missed calls: told to whoever is there, kept for whoever is not.

use ahoy_server::server::database;
use ahoy_server::store::InboxStore as _;
use ahoy_server::store::sql::{Retention, SqlStore};
use ahoy_signal::paths;
use serde_json::{Value, json};

use crate::support::socket::Peer;
use crate::support::{PASSWORD, Place, Running, on_both_databases};

on_both_databases! {
    a_message_reaches_all_devices_and_its_marks_come_back;
    who_was_away_finds_everything_in_order_also_after_a_restart_of_the_server;
    the_same_message_sent_twice_is_one_message;
    only_contacts_are_written_to_and_who_blocks_one_does_not_hear_it;
    calls_to_who_is_away_busy_or_does_not_answer_are_missed_calls;
    an_export_has_the_inbox_and_a_deleted_account_has_none;
    what_lies_there_too_long_is_forgotten_and_numbers_go_on;
}

/// Two contacts, and what they are called.
struct Two {
    ada: Peer,
    grace: Peer,
    grants: [ahoy_signal::account::TokenGrant; 2],
}

async fn two(server: &Running) -> Two {
    let grants = [server.sign_up("ada").await.grant, server.sign_up("grace").await.grant];
    let mut ada = Peer::hello(server, &grants[0]).await;
    let mut grace = Peer::hello(server, &grants[1]).await;
    ada.ask(None, json!({"type": "contact_add", "handle": "grace"})).await;
    grace.ask(None, json!({"type": "contact_add", "handle": "ada"})).await;
    Two { ada, grace, grants }
}

fn user(peer: &Peer) -> Value {
    peer.welcome["user"].clone()
}

fn id(number: u128) -> String {
    ahoy_signal::MessageId::from_bits(number).to_string()
}

fn message(number: u128, to: &Value, text: &str) -> Value {
    json!({"type": "message", "message": id(number), "to": to, "text": text})
}

/// All entries after one, and the number of the newest.
async fn inbox(peer: &mut Peer, after: u64) -> (Vec<Value>, u64) {
    let answer = peer.ask(None, json!({"type": "inbox", "after": after})).await;
    let entries = answer["body"]["entries"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
    (entries, answer["body"]["last"].as_u64().expect("a number"))
}

async fn a_message_reaches_all_devices_and_its_marks_come_back(place: Place) {
    let server = place.start().await;
    let Two { mut ada, mut grace, .. } = two(&server).await;
    let mut phone = Peer::hello(&server, &server.sign_in("grace").await).await;
    let mut laptop = Peer::hello(&server, &server.sign_in("ada").await).await;
    let sent = ada.ask(None, message(1, &user(&grace), "Land ahoy!")).await;
    let entry = &sent["body"]["entry"];
    assert_eq!((&entry["number"], &entry["item"]["sent"]), (&json!(1), &json!(true)), "{sent}");
    assert_eq!(laptop.news("inbox_entry").await["entry"], *entry);
    for peer in [&mut grace, &mut phone] {
        let item = &peer.news("inbox_entry").await["entry"]["item"];
        assert_eq!((&item["text"], &item["with"]["handle"]), (&json!("Land ahoy!"), &json!("ada")));
    }
    ada.hears_nothing_of("inbox_entry").await;

    phone.done(None, json!({"type": "message_mark", "message": id(1), "mark": "delivered"})).await;
    grace.done(None, json!({"type": "message_mark", "message": id(1), "mark": "delivered"})).await;
    let item = ada.news("inbox_entry").await["entry"]["item"].clone();
    assert_eq!((&item["mark"], &item["sent"]), (&json!("delivered"), &json!(true)), "{item}");
    grace.done(None, json!({"type": "message_mark", "message": id(1), "mark": "read"})).await;
    assert_eq!(ada.news("inbox_entry").await["entry"]["item"]["mark"], "read");
    ada.hears_nothing_of("inbox_entry").await;
    let read = phone.news("inbox_entry").await["entry"]["item"].clone();
    assert_eq!((&read["mark"], &read["sent"]), (&json!("read"), &json!(false)), "{read}");
}

async fn who_was_away_finds_everything_in_order_also_after_a_restart_of_the_server(place: Place) {
    let server = place.start().await;
    let Two { mut ada, mut grace, grants } = two(&server).await;
    let to = user(&grace);
    grace.send(json!({"v": 1, "id": 99, "body": {"type": "bye"}})).await;
    crate::support::socket::closed(&mut grace.socket).await;
    for number in 1..=250 {
        let sent = ada.ask(None, message(number, &to, &format!("line {number}"))).await;
        assert_eq!(sent["body"]["type"], "inbox_entry", "{sent}");
    }
    drop(ada);
    server.server.stop().await;
    let server = place.start().await;
    let mut grace = Peer::hello(&server, &server.refresh(&grants[1]).await).await;
    let mut texts = Vec::new();
    let mut after = 0;
    loop {
        let (entries, last) = inbox(&mut grace, after).await;
        texts.extend(entries.iter().map(|entry| entry["item"]["text"].as_str().expect("text").to_owned()));
        after = entries.last().expect("something")["number"].as_u64().expect("a number");
        if after == last {
            break;
        }
    }
    assert_eq!(texts, (1..=250).map(|number| format!("line {number}")).collect::<Vec<_>>());
}

async fn the_same_message_sent_twice_is_one_message(place: Place) {
    let server = place.start().await;
    let Two { mut ada, mut grace, grants } = two(&server).await;
    let to = user(&grace);
    let first = ada.ask(None, message(1, &to, "once")).await;
    // Another session does not know whether the first one was heard.
    let mut again = Peer::hello(&server, &server.refresh(&grants[0]).await).await;
    let second = again.ask(None, message(1, &to, "once")).await;
    assert_eq!(first["body"], second["body"]);
    grace.news("inbox_entry").await;
    grace.hears_nothing_of("inbox_entry").await;
    assert_eq!(inbox(&mut grace, 0).await.1, 1);
}

async fn only_contacts_are_written_to_and_who_blocks_one_does_not_hear_it(place: Place) {
    let server = place.start().await;
    let Two { mut ada, mut grace, .. } = two(&server).await;
    let mut eve = Peer::hello(&server, &server.sign_up("eve").await.grant).await;
    assert_eq!(eve.refused(None, message(1, &user(&ada), "hello?")).await, "not_a_contact");
    let hers = json!({"type": "message_mark", "message": id(1), "mark": "read"});
    assert_eq!(eve.refused(None, hers.clone()).await, "no_such_message");
    grace.ask(None, json!({"type": "contact_block", "user": user(&ada)})).await;
    let sent = ada.ask(None, message(2, &user(&grace), "are you there?")).await;
    assert_eq!(sent["body"]["type"], "inbox_entry", "{sent}");
    grace.hears_nothing_of("inbox_entry").await;
    assert_eq!(inbox(&mut grace, 0).await.1, 0);
}

#[tokio::test]
async fn a_mark_of_somebody_who_has_blocked_one_tells_nothing() {
    let place = Place::sqlite();
    let server = place.start().await;
    let Two { mut ada, mut grace, .. } = two(&server).await;
    ada.ask(None, message(1, &user(&grace), "hello")).await;
    grace.news("inbox_entry").await;
    grace.ask(None, json!({"type": "contact_block", "user": user(&ada)})).await;
    grace.done(None, json!({"type": "message_mark", "message": id(1), "mark": "read"})).await;
    ada.hears_nothing_of("inbox_entry").await;
}

async fn calls_to_who_is_away_busy_or_does_not_answer_are_missed_calls(place: Place) {
    let server = place.start().await;
    let Two { mut ada, mut grace, grants } = two(&server).await;
    let call = |number: u128| ahoy_signal::CallId::from_bits(number).to_string();
    let calls =
        |number: u128, to: &Value| json!({"type": "call", "call": call(number), "to": to, "media": "video"});
    let to = user(&grace);
    ada.ask(None, calls(1, &to)).await;
    ada.done(None, json!({"type": "call_hang_up", "call": call(1)})).await;
    let missed = grace.news("inbox_entry").await["entry"]["item"].clone();
    assert_eq!(missed["type"], "missed_call");
    assert_eq!((&missed["call"], &missed["from"]["handle"]), (&json!(call(1)), &json!("ada")));
    ada.ask(None, calls(2, &to)).await;
    grace.done(None, json!({"type": "call_decline", "call": call(2), "busy": false})).await;
    grace.hears_nothing_of("inbox_entry").await;
    ada.ask(None, calls(3, &to)).await;
    grace.done(None, json!({"type": "call_decline", "call": call(3), "busy": true})).await;
    assert_eq!(grace.news("inbox_entry").await["entry"]["item"]["call"], call(3));
    grace.send(json!({"v": 1, "id": 99, "body": {"type": "bye"}})).await;
    crate::support::socket::closed(&mut grace.socket).await;
    assert_eq!(ada.refused(None, calls(4, &to)).await, "offline");
    let mut grace = Peer::hello(&server, &server.refresh(&grants[1]).await).await;
    // It is put there beside the refusal.
    let entries = loop {
        let (entries, last) = inbox(&mut grace, 0).await;
        if last == 3 {
            break entries;
        }
    };
    assert_eq!(entries[2]["item"]["call"], call(4));
}

async fn an_export_has_the_inbox_and_a_deleted_account_has_none(place: Place) {
    let server = place.start().await;
    let Two { mut ada, grace, grants } = two(&server).await;
    ada.ask(None, message(1, &user(&grace), "to be exported")).await;
    let export: Value = server.get(paths::EXPORT, &grants[1]).await.read();
    assert_eq!(export["inbox"][0]["item"]["text"], "to be exported", "{export}");
    server.post(paths::DELETE_ACCOUNT, Some(&grants[1]), &json!({"password": PASSWORD})).await.done();
    let store = SqlStore::open(&database(&place.config())).await.expect("the database");
    let gone = serde_json::from_value(user(&grace)).expect("a user");
    assert_eq!(store.inbox(gone, 0).await.expect("read"), (Vec::new(), 0));
    let (adas, _) = inbox(&mut ada, 0).await;
    assert_eq!(adas[0]["item"]["text"], "to be exported", "what one wrote is one's own");
}

async fn what_lies_there_too_long_is_forgotten_and_numbers_go_on(place: Place) {
    let server = place.start().await;
    let Two { mut ada, mut grace, .. } = two(&server).await;
    let to = user(&grace);
    ada.ask(None, message(1, &to, "old")).await;
    let store = SqlStore::open(&database(&place.config())).await.expect("the database");
    let everything = Retention { now_ms: 0, audit_ms: 0, rooms_ms: 0, inbox_ms: u64::MAX };
    assert_eq!(store.sweep(&everything).await.expect("swept").rows, 2);
    ada.ask(None, message(2, &to, "new")).await;
    let (entries, last) = inbox(&mut grace, 0).await;
    assert_eq!((entries.len(), last), (1, 2));
    assert_eq!(entries[0]["item"]["text"], "new");
}
