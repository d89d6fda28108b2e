//! Speech and the real clip. Needs espeak-ng, sox and the clip.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;

use ahoy_testkit::lab::{Clip, speak};

#[test]
fn speech_is_mono_48_khz_loud_enough_and_always_the_same() {
    let files = tempfile::tempdir().unwrap();
    let (one, two) = (files.path().join("one.wav"), files.path().join("two.wav"));
    let text = "The quick brown fox jumps over the lazy dog.";
    speak(text, &one).unwrap();
    speak(text, &two).unwrap();
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    let mut wav = hound::WavReader::open(&one).unwrap();
    let format = wav.spec();
    assert_eq!((format.sample_rate, format.channels, format.bits_per_sample), (48_000, 1, 16));
    let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
    assert!((48_000..480_000).contains(&samples.len()), "{} samples", samples.len());
    let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    // 3 dB below full scale.
    assert!((23_000..23_400).contains(&loudest), "{loudest}");
}

#[test]
fn the_clip_is_there_with_its_pictures_and_its_sound() {
    let clip = Clip::find().unwrap();
    let mut header = [0; 64];
    fs::File::open(&clip.pictures).unwrap().read_exact(&mut header).unwrap();
    let header = String::from_utf8_lossy(&header).into_owned();
    assert!(header.starts_with("YUV4MPEG2 W1280 H720 F25:1 "), "{header}");
    let sound = hound::WavReader::open(&clip.sound).unwrap();
    assert_eq!((sound.spec().sample_rate, sound.spec().channels), (48_000, 1));
}
