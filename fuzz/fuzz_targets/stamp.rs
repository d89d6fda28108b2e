//! Pictures that carry something like a stamp.
#![no_main]

use ahoy_fuzz::Parts;
use ahoy_measure::stamp;
use ahoy_media_types::{FrameSize, I420Buffer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = Parts::of(data);
    let (Some(width), Some(height)) = (parts.word(), parts.word()) else { return };
    let Ok(size) = FrameSize::new(u64::from(width % 512), u64::from(height % 128)) else { return };
    let mut picture = I420Buffer::black(size);
    let samples = parts.rest();
    if samples.is_empty() {
        return;
    }
    // The input is repeated: a picture is far larger than the inputs that a fuzzer likes.
    for (sample, value) in picture.packed_mut().iter_mut().zip(samples.iter().cycle()) {
        *sample = *value;
    }
    if let Some(found) = stamp::read(&picture) {
        assert!(stamp::draw(&mut picture, found.id, found.at));
        assert_eq!(stamp::read(&picture), Some(found));
    }
    assert!(stamp::masked_rows(size).end <= size.height());
});
