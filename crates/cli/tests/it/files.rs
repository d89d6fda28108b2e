//! Files between two people: two real programs, the real server, a real connection between them, real disks.

use std::fs;
use std::path::{Path, PathBuf};

use ahoy_testkit::SignalingServer;
use serde_json::Value;

use crate::support::people::{Person, Staying, server};

/// Two people who may send each other files, and where what comes goes.
struct Two {
    _server: SignalingServer,
    ada: Person,
    grace: Person,
    into: tempfile::TempDir,
}

fn two() -> Two {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let grace = Person::signed_up(&server, "grace", "Grace");
    ada.run(&["contacts", "add", "grace"]).good();
    grace.run(&["contacts", "add", "ada"]).good();
    Two { _server: server, ada, grace, into: tempfile::tempdir().unwrap() }
}

impl Two {
    fn receives(&self, more: &[&str]) -> Staying {
        let into = self.into.path().to_str().unwrap();
        let arguments = [&["receive", "--into", into, "--bind", "127.0.0.1"], more].concat();
        let mut receiving = self.grace.start(&arguments);
        receiving.until_type("waiting");
        receiving
    }

    fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.ada.home().join("goods").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content: Vec<u8> =
            (0..size).map(|at| (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[5]).collect();
        fs::write(&path, content).unwrap();
        path
    }
}

fn sends(path: &Path) -> Vec<&str> {
    vec!["send", path.to_str().unwrap(), "--to", "grace", "--bind", "127.0.0.1"]
}

fn is_over(event: &Value) -> bool {
    event["type"] == "transfer" && event["transfer"]["stage"] == "ended"
}

fn has_moved(event: &Value, bytes: u64) -> bool {
    event["type"] == "transfer" && event["transfer"]["moved"].as_u64().is_some_and(|moved| moved >= bytes)
}

fn same(one: &Path, other: &Path) {
    assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{} is something else", other.display());
}

#[test]
fn a_folder_goes_from_one_program_to_the_other_without_a_call() {
    let two = two();
    let files =
        ["album/one.bin", "album/deep/two.bin", "album/empty.txt"].map(|name| (name, name.len() * 70_000));
    for (name, size) in files {
        two.file(name, if name.ends_with("txt") { 0 } else { size });
    }
    let mut receiving = two.receives(&["--yes"]);
    let album = two.ada.home().join("goods/album");
    let sent = two.ada.run(&sends(&album)).good();
    assert_eq!(sent.last().unwrap()["transfer"]["done"], 3, "{sent:#?}");
    let offered = receiving.until_type("offered");
    assert_eq!(
        (&offered["transfer"]["files"], &offered["transfer"]["names"][0]),
        (&3.into(), &"album".into())
    );
    receiving.until("the end", is_over);
    assert_eq!(receiving.end().0, Some(0));
    for (name, _) in files {
        same(&two.ada.home().join("goods").join(name), &two.into.path().join(name));
    }
    assert_eq!(fs::read_dir(two.into.path()).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn whoever_sends_waits_for_the_other_and_is_told_when_it_is_not_wanted() {
    let two = two();
    let path = two.file("note.txt", 10);
    let mut sending = two.ada.start(&sends(&path));
    sending.until("an offer", |event| event["type"] == "transfer" && event["transfer"]["stage"] == "offered");
    let mut receiving = two.receives(&[]);
    receiving.until_type("offered");
    receiving.types("n");
    let over = sending.until("the end", is_over);
    assert_eq!(over["transfer"]["trouble"], "declined", "{over}");
    assert_eq!((sending.end().0, receiving.end().0), (Some(1), Some(1)));
    assert_eq!(fs::read_dir(two.into.path()).unwrap().count(), 0);
}

#[test]
fn a_transfer_goes_on_after_either_program_was_killed() {
    let two = two();
    let path = two.file("large.bin", 250_000_000);
    let sending = two.ada.start(&sends(&path));
    let mut receiving = two.receives(&["--yes"]);
    receiving.until("some of it", |event| has_moved(event, 5_000_000));
    drop(receiving);
    let mut receiving = two.receives(&["--yes"]);
    let after = receiving.until("a connection", |event| event["transfer"]["connected"] == true);
    assert!(has_moved(&after, 5_000_000), "{after}");
    receiving.until("more of it", |event| has_moved(event, 20_000_000));
    drop(sending);
    let mut sending = two.ada.start(&["send", "--resume", "--bind", "127.0.0.1"]);
    sending.until("the end", is_over);
    receiving.until("the end", is_over);
    assert_eq!((sending.end().0, receiving.end().0), (Some(0), Some(0)));
    same(&path, &two.into.path().join("large.bin"));
}

#[test]
fn what_can_not_be_sent_is_said_before_anybody_is_bothered() {
    let two = two();
    let missing = two.ada.home().join("nothing");
    two.ada.run(&sends(&missing)).fails(3, "there is nothing to send");
    two.ada.run(&["send", "--resume"]).fails(3, "nothing to go on with");
    let path = two.file("note.txt", 1);
    let stranger = ["send", path.to_str().unwrap(), "--to", "nobody"];
    two.ada.run(&stranger).fails(3, "none of your contacts");
    two.grace.run(&["receive", "--into", "/nonexistent"]).fails(3, "can't be used");
}
