//! The page for operators says what the server measures.

use std::collections::BTreeSet;
use std::path::Path;

/// The names in a text that begin as metrics do.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let names = text.match_indices("ahoy_").filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        matches!(before, Some('"' | '`'))
    });
    names
        .map(|(at, _)| text[at..].chars().take_while(|c| is_part(*c)).collect::<String>())
        .filter(|name| !matches!(&**name, "ahoy_server" | "ahoy_signal" | "ahoy_turn"))
        .collect()
}

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, text),
            false => text.push_str(&std::fs::read_to_string(path).unwrap()),
        }
    }
}

#[test]
fn every_metric_is_explained_and_none_that_is_not_there() {
    let mut code = String::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut code);
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../turn/src")), &mut code);
    let page = include_str!("../../../../docs/server.md");
    let (measured, explained) = (metrics(&code), metrics(page));
    assert!(measured.len() > 10, "{measured:?}");
    assert_eq!(measured, explained);
}
