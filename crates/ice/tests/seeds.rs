//! What the fuzzer begins with, and what little changes make of it, on every run of the tests.

use std::path::Path;

#[test]
fn the_fuzzers_seeds_and_their_neighbours_are_read_without_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/ways");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("the seeds are there") {
        let bytes = std::fs::read(file.expect("it is listed").path()).expect("it can be read");
        let take = |bytes: &[u8]| {
            ahoy_ice::fuzzing::lines(&String::from_utf8_lossy(bytes));
            ahoy_ice::fuzzing::stream(bytes);
            ahoy_ice::fuzzing::connection(bytes);
        };
        take(&bytes);
        for at in 0..bytes.len() {
            for value in [0, 1, 0x40, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                take(&changed);
            }
            take(&bytes[at..]);
            count += 1;
        }
    }
    assert!(count > 200, "there are seeds");
}
