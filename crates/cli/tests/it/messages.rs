//! Messages and past calls: the real `ahoy-cli` against the real server.

use serde_json::{Value, json};

use crate::support::people::{PASSWORD, Person, server};
use ahoy_testkit::SignalingServer;

fn contacts(server: &SignalingServer) -> (Person, Person) {
    let ada = Person::signed_up(server, "ada", "Ada");
    let grace = Person::signed_up(server, "grace", "Grace");
    ada.run(&["contacts", "add", "grace"]).good();
    grace.run(&["contacts", "add", "ada"]).good();
    (ada, grace)
}

fn text_and_state(message: &Value) -> (&str, &str) {
    let field = |name: &str| message["message"][name].as_str().unwrap_or_else(|| panic!("{message}"));
    (field("text"), field("state"))
}

fn texts(messages: &[Value]) -> Vec<(&str, &str)> {
    messages.iter().map(text_and_state).collect()
}

#[test]
fn who_was_away_reads_later_and_whoever_wrote_learns_of_it() {
    let server = server();
    let (ada, grace) = contacts(&server);
    for words in ["Land ahoy!", "Where are you?"] {
        let sent = ada.run(&["message", "grace", words]).one();
        assert_eq!((&sent["type"], &sent["state"]), (&json!("message"), &json!("sent")), "{sent}");
    }
    let found = grace.run(&["messages"]).one();
    let conversation = &found["conversation"];
    assert_eq!((&conversation["with"]["handle"], &conversation["unread"]), (&json!("ada"), &json!(2)));
    assert_eq!(conversation["last"]["text"], "Where are you?");
    let state = |person: &Person, of: &str| person.run(&["messages", of, "--peek"]).good();
    assert_eq!(
        texts(&state(&ada, "grace")),
        [("Land ahoy!", "delivered"), ("Where are you?", "delivered")],
        "a device of hers has them"
    );
    let read = grace.run(&["messages", "ada"]).good();
    assert_eq!(texts(&read), [("Land ahoy!", "received"), ("Where are you?", "received")]);
    assert_eq!(texts(&state(&ada, "grace")), [("Land ahoy!", "read"), ("Where are you?", "read")]);
    assert_eq!(grace.run(&["messages"]).one()["conversation"]["unread"], 0);
    // A device that comes later finds it all.
    let phone = Person::new(server.url());
    phone
        .typing(&["sign-in", "ada", "--server", server.url(), "--password-stdin"], &format!("{PASSWORD}\n"))
        .good();
    assert_eq!(texts(&state(&phone, "grace")), [("Land ahoy!", "read"), ("Where are you?", "read")]);
}

#[test]
fn who_watches_sees_messages_come_and_marks_go() {
    let server = server();
    let (ada, grace) = contacts(&server);
    let mut watching = grace.start(&["watch"]);
    watching.until("contacts", |event| event["contact"]["handle"] == "ada");
    ada.run(&["message", "grace", "Look up"]).one();
    let told = watching.until_type("inbox");
    assert_eq!(told["entry"]["item"]["text"], "Look up", "{told}");
    let mut adas = ada.start(&["watch"]);
    adas.until("contacts", |event| event["contact"]["handle"] == "grace");
    ada.run(&["message", "grace", "And down"]).one();
    adas.until("a mark", |event| {
        let item = &event["entry"]["item"];
        item["type"] == "marked" && item["mark"] == "delivered" && item["sent"] == true
    });
}

#[test]
fn calls_of_both_sides_are_remembered() {
    let server = server();
    let (ada, grace) = contacts(&server);
    let called = ada.run(&["call", "grace", "--video", "none", "--audio", "tone", "--speaker", "null"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    let past = ada.run(&["calls"]).one();
    let call = &past["call"];
    assert_eq!((&call["outcome"], &call["outgoing"]), (&json!("offline"), &json!(true)), "{past}");
    let past = grace.run(&["calls"]).one();
    let call = &past["call"];
    assert_eq!((&call["outcome"], &call["with"]["handle"]), (&json!("missed"), &json!("ada")), "{past}");
    assert_eq!((&call["seen"], &call["video"]), (&json!(false), &json!(false)));
    assert_eq!(grace.run(&["calls"]).one()["call"]["seen"], true, "they were looked at");
}

#[test]
fn who_is_no_contact_is_not_written_to() {
    let server = server();
    let (ada, grace) = contacts(&server);
    Person::signed_up(&server, "eve", "Eve");
    ada.run(&["message", "eve", "hello"]).fails(3, "none of your contacts");
    ada.run(&["message", "grace", "a last word"]).good();
    grace.run(&["contacts", "remove", "ada"]).good();
    ada.run(&["message", "grace", "one more"]).fails(3, "none of your contacts");
    let kept = ada.run(&["messages", "grace", "--peek"]).good();
    assert_eq!(texts(&kept), [("a last word", "sent")], "what was written is still there");
}

#[test]
fn people_read_messages_and_calls_as_lines() {
    let server = server();
    let (ada, grace) = contacts(&server);
    ada.run(&["message", "grace", "Land ahoy!"]).good();
    let shown = grace.words(&["messages"]);
    assert!(shown.contains("<Ada> Land ahoy!  (1 new)"), "{shown}");
    let shown = ada.words(&["messages", "grace"]);
    assert!(shown.contains("<you> Land ahoy! (delivered)"), "{shown}");
    let shown = ada.words(&["calls"]);
    assert!(shown.contains("No calls yet"), "{shown}");
}
