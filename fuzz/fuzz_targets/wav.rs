//! Sound files that somebody else has made.
#![no_main]

use std::io::Cursor;

use ahoy_media::audio::WavReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = WavReader::new(Cursor::new(data), data.len() as u64) else { return };
    assert!((1..=1_000_000).contains(&file.rate()));
    let mut samples = Vec::new();
    // Twice around for all but the longest.
    for _ in 0..4 {
        let before = samples.len();
        file.read_looped(&mut samples).expect("what the header was accepted for is there");
        assert!(samples.len() > before, "each read gives sound");
    }
    assert!(samples.iter().all(|sample| (-1.0..=1.0).contains(sample)));
});
