//! Packets of video in any order and at any time.
#![no_main]

use ahoy_fuzz::packets;
use ahoy_media::playout::{VideoJitterBuffer, VideoJitterConfig, VideoOut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut buffer = VideoJitterBuffer::new(VideoJitterConfig::default());
    let mut is_decodable = false;
    for arrival in packets(data) {
        buffer.push(arrival.packet, arrival.now);
        for _ in 0..arrival.polls {
            match buffer.poll(arrival.now) {
                Some(VideoOut::Frame(frame)) => {
                    assert!(frame.data.starts_with(&[0, 0, 0, 1]));
                    assert!(frame.first_arrival <= frame.last_arrival && frame.last_arrival <= arrival.now);
                    // Nothing that refers to a picture that never came.
                    assert!(is_decodable || frame.keyframe);
                    is_decodable = true;
                }
                Some(VideoOut::NeedKeyframe) => {}
                None => break,
            }
        }
        let _ = buffer.next_wakeup(arrival.now);
    }
    let _ = buffer.stats();
});
