//! What the sources and documents have to look like, beyond what the compiler and Clippy see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

/// Lines of a source file up to its tests: what a reader has to hold in mind at once.
const MOST_LINES: usize = 500;

/// Packages whose decisions run on the time they are given. `MediaClock` is where time comes in.
const ON_GIVEN_TIME: &[&str] = &[
    "crates/media-types/src",
    "crates/measure/src",
    "crates/media/src/playout",
    "crates/congestion/src",
    "crates/call/src",
    "crates/power/src/policy.rs",
    "crates/transfer/src",
    "crates/signal/src",
    "crates/signal-client/src/room",
    "crates/signal-client/src/session",
];
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "thread::sleep", "time::sleep"];
const MAY_READ_A_CLOCK: &[&str] = &["crates/media-types/src/time.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the root")
}

/// Files below `folder` with one of `extensions`, named from the root.
fn sources(folder: &str, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let skipped = ["node_modules", "dist", "target", "gen", "bindings"];
            if !path.file_name().is_some_and(|name| skipped.iter().any(|skipped| name == *skipped)) {
                open.extend(
                    fs::read_dir(&path).expect("readable").map(|entry| entry.expect("readable").path()),
                );
            }
        } else if extensions.iter().any(|extension| path.extension().is_some_and(|found| found == *extension))
        {
            let name: &PathBuf = &path.strip_prefix(root()).expect("below the root").to_path_buf();
            found.push(name.to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("sources are text")
}

/// Whether a file holds nothing but tests.
fn is_tests(name: &str) -> bool {
    name.contains("/tests/") || name.contains(".test.") || name.ends_with("tests.rs")
}

/// The file without its tests, which stand at its end.
fn production(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"))
}

#[test]
fn files_stay_short_enough_to_be_read_at_once() {
    let files = ["crates", "xtask/src", "src-tauri", "ui/src"]
        .iter()
        .flat_map(|folder| sources(folder, &["rs", "ts", "svelte"]));
    let files: Vec<_> = files.filter(|name| !is_tests(name)).collect();
    assert!(files.len() > 10, "the sources were not found");
    let long: Vec<_> = files
        .iter()
        .map(|name| (read(name), name))
        // What our code generates is as long as what it is made from.
        .filter(|(text, _)| !text.starts_with("// Generated from "))
        .map(|(text, name)| (production(&text).count(), name))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, name)| format!("{name} has {lines} lines: what is in it that has a job of its own?"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn decisions_run_on_the_time_they_are_given() {
    let mut wrong = Vec::new();
    for name in ON_GIVEN_TIME.iter().flat_map(|folder| sources(folder, &["rs"])) {
        if MAY_READ_A_CLOCK.contains(&name.as_str()) || is_tests(&name) {
            continue;
        }
        for (number, line) in production(&read(&name)).enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if CLOCKS.iter().any(|clock| code.contains(clock)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "These read a clock or sleep; they should take `now`:\n{}", wrong.join("\n"));
}

#[test]
fn every_direct_dependency_is_explained() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs in the workspace");
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for dependency in metadata.packages.iter().flat_map(|package| &package.dependencies) {
        if dependency.path.is_none() {
            used.insert(dependency.name.clone(), dependency.req.to_string());
        }
    }
    let page = read("docs/dependencies.md");
    let mut wrong = Vec::new();
    let mut explained: BTreeMap<&str, &str> = BTreeMap::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, rest) = row.split_once('`').expect("the name ends with a backtick");
        let pin = rest.split('|').nth(1).unwrap_or_default().trim();
        if explained.insert(name, pin).is_some() {
            wrong.push(format!("docs/dependencies.md explains {name} twice"));
        }
    }
    for (name, version) in &used {
        match explained.get(name.as_str()) {
            None => wrong.push(format!("docs/dependencies.md does not say why {name} is there")),
            // A pin has a reason that belongs to that version.
            Some(told) if version.starts_with('=') && told != version => {
                wrong.push(format!("{name} is pinned to {version}; docs/dependencies.md says \"{told}\""));
            }
            Some(_) => {}
        }
    }
    let used: BTreeSet<&str> = used.keys().map(String::as_str).collect();
    for name in explained.keys().filter(|name| !used.contains(*name)) {
        wrong.push(format!("docs/dependencies.md explains {name}, which no package uses"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
