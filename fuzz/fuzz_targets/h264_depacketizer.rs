//! Payloads of one compressed picture, as RTP carries them.
#![no_main]

use ahoy_fuzz::Parts;
use ahoy_media::playout::H264Depacketizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = Parts::of(data);
    let mut depacketizer = H264Depacketizer::new();
    while let Some(payload) = parts.chunk() {
        if depacketizer.push(payload).is_err() {
            depacketizer.reset();
        }
        // An empty payload ends the picture here; in RTP it is padding.
        if payload.is_empty()
            && let Ok(unit) = depacketizer.finish()
        {
            assert!(unit.data.starts_with(&[0, 0, 0, 1]) && unit.data.len() > 4);
        }
    }
    let _ = depacketizer.finish();
});
