//! What the fuzzer begins with, and what lies around it.

use std::path::Path;

use ahoy_turn::fuzzing::client_stream;
use proptest::prelude::*;

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/relay");
    let files = std::fs::read_dir(folder).expect("the seeds are there");
    files.map(|file| std::fs::read(file.expect("readable").path()).expect("readable")).collect()
}

#[test]
fn a_whole_call_gets_past_the_door() {
    let most = seeds().iter().map(|stream| client_stream(stream)).max();
    // Answered: allocation, permission, channel, refresh, and giving back. Passed on: two messages out, some in.
    assert!(most >= Some(9), "{most:?}");
}

proptest! {
    #[test]
    fn no_change_to_what_clients_send_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        for mut stream in seeds() {
            for (at, value) in &changes {
                *at.get_mut(&mut stream[..]) = *value;
            }
            client_stream(&stream);
        }
    }
}
