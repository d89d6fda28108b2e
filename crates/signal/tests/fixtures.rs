//! The golden messages that other implementations may be tested with, and the page that explains them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ahoy_signal::{ClientMessage, CloseCode, ErrorCode, ServerEnvelope, ServerMessage, read_client_message};
use serde_json::Value;

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn fixtures(side: &str) -> Vec<Value> {
    let text = fs::read_to_string(path("fixtures").join(side)).expect("fixtures are there");
    serde_json::from_str(&text).expect("fixtures are JSON")
}

/// The types of messages of `side`, in its fixtures.
fn types(side: &str) -> BTreeSet<String> {
    fixtures(side)
        .iter()
        .map(|message| message["body"]["type"].as_str().expect("a type").to_owned())
        .collect()
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn snake_case<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value).expect("plain data").as_str().expect("a name").to_owned()
}

#[test]
fn what_clients_say_is_read_and_written_as_in_the_fixtures() {
    for golden in fixtures("client.json") {
        let read =
            read_client_message(&golden.to_string()).unwrap_or_else(|error| panic!("{golden}: {error:?}"));
        assert_eq!(serde_json::from_str::<Value>(&read.to_json()).expect("JSON"), golden);
    }
}

#[test]
fn what_the_server_says_is_read_and_written_as_in_the_fixtures() {
    for golden in fixtures("server.json") {
        let read: ServerEnvelope =
            serde_json::from_value(golden.clone()).unwrap_or_else(|error| panic!("{golden}: {error}"));
        assert_eq!(serde_json::from_str::<Value>(&read.to_json()).expect("JSON"), golden);
    }
}

#[test]
fn every_message_has_a_fixture() {
    assert_eq!(types("client.json"), named(ClientMessage::TYPES));
    assert_eq!(types("server.json"), named(ServerMessage::TYPES));
}

#[test]
fn fixtures_with_fields_of_tomorrow_are_read_alike() {
    for mut golden in fixtures("client.json") {
        let today = read_client_message(&golden.to_string()).expect("a fixture");
        golden["tomorrow"] = true.into();
        golden["body"]["tomorrow"] = true.into();
        assert_eq!(read_client_message(&golden.to_string()).expect("unknown fields are ignored"), today);
    }
}

#[test]
fn the_page_explains_every_message_and_every_code() {
    let page = fs::read_to_string(path("../../docs/signaling.md")).expect("docs/signaling.md is there");
    let codes = ErrorCode::ALL.iter().map(snake_case);
    let closes = CloseCode::ALL.iter().map(|code| code.number().to_string());
    let types = ClientMessage::TYPES.iter().chain(ServerMessage::TYPES).map(|name| (*name).to_owned());
    for name in codes.chain(closes).chain(types) {
        assert!(page.contains(&format!("`{name}`")), "docs/signaling.md does not explain `{name}`");
    }
}
