//! Two ends that a worker each would run, with files in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use ahoy_transfer::{Stage, TransferId, TransferView};
use ahoy_transfer_web::{End, Input, NewEntry, Output};
use bytes::Bytes;

const ID: TransferId = TransferId::from_bytes([5; 16]);

/// What a worker does.
struct Worker {
    end: End,
    has: Vec<Vec<u8>>,
    parts: BTreeMap<u32, Vec<u8>>,
    got: BTreeMap<String, Vec<u8>>,
    view: Option<TransferView>,
    /// What waits for the other one, and whether it is a chunk.
    to_other: Vec<(bool, Bytes)>,
    /// Why something was not given.
    refused: Option<String>,
    /// The disk takes nothing.
    full: bool,
}

impl Worker {
    fn new(has: Vec<Vec<u8>>) -> Self {
        let end = End::new("other".to_owned());
        let (parts, got, to_other) = Default::default();
        Self { end, has, parts, got, view: None, to_other, refused: None, full: false }
    }

    fn tell(&mut self, input: Input, bytes: Bytes, now: Duration) {
        self.end.handle(input, bytes, now);
        while let Some((output, bytes)) = self.end.poll() {
            let (answer, bytes) = match output {
                Output::Say => {
                    self.to_other.push((false, bytes));
                    continue;
                }
                Output::Send => {
                    self.to_other.push((true, bytes));
                    continue;
                }
                Output::Read { id, file, number, start, length } => {
                    let from = start as usize;
                    let content = self.has[file as usize][from..from + length].to_vec();
                    (Input::Read { id: id.parse().unwrap(), file, number, failed: None }, content.into())
                }
                Output::Begin { id, .. } => {
                    let failed = self.full.then_some(ahoy_transfer::Reason::NoSpace);
                    (Input::Begun { id: id.parse().unwrap(), failed }, Bytes::new())
                }
                Output::Write { id, file, number, start } => {
                    let part = self.parts.entry(file).or_default();
                    let end = start as usize + bytes.len();
                    part.resize(part.len().max(end), 0);
                    part[start as usize..end].copy_from_slice(&bytes);
                    (Input::Written { id: id.parse().unwrap(), file, number, failed: None }, Bytes::new())
                }
                Output::Finish { id, file, path, .. } => {
                    let part = self.parts.remove(&file).unwrap_or_default();
                    self.got.insert(path, part);
                    (Input::Finished { id: id.parse().unwrap(), file, failed: None }, Bytes::new())
                }
                Output::Remove { file, .. } => {
                    self.parts.remove(&file);
                    continue;
                }
                Output::Changed { view } => {
                    self.view = Some(*view);
                    continue;
                }
                Output::NotGiven { why, .. } => {
                    self.refused = Some(why);
                    continue;
                }
                Output::Forget { .. } | Output::Files { .. } => continue,
            };
            self.end.handle(answer, bytes, now);
        }
    }

    fn stage(&self) -> Option<Stage> {
        self.view.as_ref().map(|view| view.stage)
    }
}

/// Carries what both say to each other for so many rounds of 50 ms. `damage` may change a chunk on its way.
fn carry(workers: &mut [Worker; 2], now: &mut Duration, rounds: u32, mut damage: impl FnMut(&mut Vec<u8>)) {
    for _ in 0..rounds {
        *now += Duration::from_millis(50);
        for index in 0..2 {
            for (is_chunk, bytes) in std::mem::take(&mut workers[index].to_other) {
                let mut bytes = bytes.to_vec();
                if is_chunk {
                    damage(&mut bytes);
                }
                let input = if is_chunk { Input::Chunk } else { Input::Said };
                workers[1 - index].tell(input, bytes.into(), *now);
            }
            workers[index].tell(Input::Room { bytes: 1 << 20 }, Bytes::new(), *now);
            workers[index].tell(Input::Wake, Bytes::new(), *now);
        }
    }
}

fn entry(name: &str, folder: Option<u32>, size: Option<usize>) -> NewEntry {
    NewEntry { name: name.to_owned(), folder, size: size.map(|size| size as u64), modified: None }
}

fn offered(now: &mut Duration) -> [Worker; 2] {
    let content =
        |length: usize, seed: u8| (0..length).map(|n| (n as u8).wrapping_mul(seed)).collect::<Vec<_>>();
    let has = vec![Vec::new(), content(300_000, 7), content(10, 3), Vec::new()];
    let mut workers = [Worker::new(has), Worker::new(Vec::new())];
    for worker in &mut workers {
        worker.tell(Input::Connected, Bytes::new(), *now);
    }
    let entries = vec![
        entry("pictures", None, None),
        entry("large.bin", Some(0), Some(300_000)),
        entry("small.txt", Some(0), Some(10)),
        entry("empty", None, Some(0)),
    ];
    workers[0].tell(Input::Give { id: ID, entries }, Bytes::new(), *now);
    carry(&mut workers, now, 10, |_| {});
    assert_eq!(workers[1].stage(), Some(Stage::Offered));
    workers
}

#[test]
fn files_and_folders_arrive_as_they_were_given() {
    let mut now = Duration::ZERO;
    let mut workers = offered(&mut now);
    workers[1].tell(Input::Accept { id: ID, files: None }, Bytes::new(), now);
    carry(&mut workers, &mut now, 60, |_| {});
    let [gives, takes] = &workers;
    assert_eq!((gives.stage(), takes.stage()), (Some(Stage::Ended), Some(Stage::Ended)));
    assert_eq!(takes.got.keys().collect::<Vec<_>>(), ["empty", "pictures/large.bin", "pictures/small.txt"]);
    assert_eq!(takes.got["pictures/large.bin"], gives.has[1]);
    assert_eq!(takes.got["pictures/small.txt"], gives.has[2]);
}

#[test]
fn what_was_damaged_on_the_way_comes_once_more() {
    let mut now = Duration::ZERO;
    let mut workers = offered(&mut now);
    workers[1].tell(Input::Accept { id: ID, files: Some(vec![1]) }, Bytes::new(), now);
    let mut chunks = 0;
    carry(&mut workers, &mut now, 100, |chunk| {
        chunks += 1;
        if chunks == 2 {
            *chunk.last_mut().unwrap() ^= 1;
        }
    });
    assert_eq!(chunks, 6, "five and one of them again");
    assert_eq!(workers[1].got["pictures/large.bin"], workers[0].has[1]);
    assert_eq!(workers[1].got.len(), 1, "only what was wanted");
}

#[test]
fn a_transfer_goes_on_where_it_was_when_the_connection_comes_back() {
    let mut now = Duration::ZERO;
    let mut workers = offered(&mut now);
    workers[1].tell(Input::Accept { id: ID, files: None }, Bytes::new(), now);
    carry(&mut workers, &mut now, 1, |_| {});
    for worker in &mut workers {
        worker.to_other.clear();
        worker.tell(Input::Lost, Bytes::new(), now);
    }
    assert!(!workers[1].view.as_ref().unwrap().connected);
    for worker in &mut workers {
        worker.tell(Input::Connected, Bytes::new(), now);
    }
    carry(&mut workers, &mut now, 100, |_| {});
    assert_eq!(workers[1].stage(), Some(Stage::Ended));
    assert_eq!(workers[1].got["pictures/large.bin"], workers[0].has[1]);
}

#[test]
fn a_disk_without_space_stops_it_and_both_know_why() {
    let mut now = Duration::ZERO;
    let mut workers = offered(&mut now);
    workers[1].full = true;
    workers[1].tell(Input::Accept { id: ID, files: None }, Bytes::new(), now);
    carry(&mut workers, &mut now, 20, |_| {});
    for worker in &workers {
        assert_eq!(worker.view.as_ref().unwrap().trouble.as_deref(), Some("no_space"));
    }
}

#[test]
fn what_can_not_be_given_is_not_offered() {
    let mut workers = [Worker::new(Vec::new()), Worker::new(Vec::new())];
    let mut now = Duration::ZERO;
    for worker in &mut workers {
        worker.tell(Input::Connected, Bytes::new(), now);
    }
    let entries = vec![entry("good", None, Some(3)), entry("../up", None, Some(3))];
    workers[0].tell(Input::Give { id: ID, entries }, Bytes::new(), now);
    carry(&mut workers, &mut now, 10, |_| {});
    assert_eq!(workers[1].stage(), None);
    let why = workers[0].refused.as_deref().unwrap();
    assert!(why.starts_with("entry 1"), "{why}");
}
