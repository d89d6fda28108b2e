//! The other side of a file transfer that says whatever it likes, in any order, to an end that gives and takes.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use ahoy_transfer::{
    Chunks, Command, Entry, GivenRecord, HashTree, Input, Job, Link, Manifest, Moment, Outcome, Output, TransferId,
};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// What is given: the other side can name it as 32 times the digit 1.
const GIVEN: TransferId = TransferId::from_bytes([0x11; 16]);
const SIZE: u64 = 200_000;

fn given() -> Arc<Manifest> {
    let file = |name: &str| Entry { name: name.to_owned(), folder: None, size: Some(SIZE), modified: None };
    Arc::new(Manifest::new(vec![file("one"), file("two")]).expect("good names"))
}

/// A disk that does everything at once, and holds zeros.
fn done(link: &Link, job: Job) -> Option<Outcome> {
    Some(match job {
        Job::Read { id, file, number } => {
            let chunks = Chunks::of(SIZE);
            let content = Bytes::from(vec![0; chunks.length(number)]);
            let value = chunks.value(number, &content);
            Outcome::Read { id, file, number, result: Ok((content, value)) }
        }
        Job::Begin { id, .. } => Outcome::Begun { id, result: Ok(()) },
        Job::Write(chunk) => Outcome::Written {
            id: chunk.id,
            file: chunk.file,
            number: chunk.number,
            bytes: chunk.content.len() as u64,
            result: Ok(chunk.value),
        },
        Job::Check { id, file, chunks } => {
            let size = link.manifest(id).and_then(|manifest| manifest.size(file)).unwrap_or_default();
            Outcome::Checked { id, file, damaged: chunks, tree: HashTree::new(Chunks::of(size)) }
        }
        Job::Finish { id, file } => Outcome::Finished { id, file, result: Ok(()) },
        Job::Anew { .. } | Job::GiveUp { .. } | Job::Ended { .. } | Job::Forget { .. } => return None,
    })
}

fuzz_target!(|data: &[u8]| {
    let mut now = Moment::ZERO;
    let given = GivenRecord { id: GIVEN, manifest: given(), ends: Default::default() };
    let mut link = Link::new([given], []);
    let mut rest = data;
    // A kind of event, and the length of what it says in two bytes.
    while let Some((&[kind, high, low], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (payload, next) = after.split_at(length);
        rest = next;
        let input = match kind % 8 {
            0 => Input::Connected,
            1 => Input::Lost,
            2 => Input::Chunk(Bytes::copy_from_slice(payload)),
            3 => {
                now += Duration::from_millis(u64::from(high) * 100);
                Input::Room(u64::from(low) * 1_000)
            }
            _ => Input::Said(Bytes::copy_from_slice(payload)),
        };
        // What is no message is ignored.
        let _ = link.handle(input, now);
        let mut outputs = 0;
        while let Some(output) = link.poll(now) {
            outputs += 1;
            assert!(outputs < 100_000, "no message sets off so much");
            let input = match output {
                Output::Disk(job) => done(&link, job).map(Input::Disk),
                Output::Offered(id) => Some(Input::Command(Command::Accept { id, files: None })),
                Output::Say(_) | Output::Send(_) | Output::Changed(_) | Output::Forgotten(_) => None,
            };
            if let Some(input) = input {
                link.handle(input, now).expect("what is done here is understood");
            }
        }
    }
});
