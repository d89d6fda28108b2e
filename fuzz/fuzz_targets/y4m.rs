//! Clips that somebody else has made.
#![no_main]

use std::io::Cursor;

use ahoy_media::y4m::Y4mReader;
use ahoy_media_types::I420Buffer;
use libfuzzer_sys::fuzz_target;

/// Pictures of 4096x2304 would make each run a matter of memory bandwidth.
const MOST_SAMPLES: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Ok(mut clip) = Y4mReader::new(Cursor::new(data)) else { return };
    let size = clip.header().size;
    let passed_over = count(&mut clip, None);
    if clip.rewind().is_ok() && size.i420_len() <= MOST_SAMPLES {
        let mut picture = I420Buffer::black(size);
        // Whether pictures are looked at or not, there are equally many.
        assert_eq!(count(&mut clip, Some(&mut picture)), passed_over);
    }
});

fn count(clip: &mut Y4mReader<Cursor<&[u8]>>, mut picture: Option<&mut I420Buffer>) -> u64 {
    let mut count = 0;
    while let Ok(true) = clip.next_frame(picture.as_deref_mut()) {
        count += 1;
    }
    count
}
