//! Packets of sound in any order and at any time, down to the samples.
#![no_main]

use ahoy_fuzz::{REPEATED, packets};
use ahoy_media::codec::OpusDecoder;
use ahoy_media::playout::{AudioJitterBuffer, AudioJitterConfig};
use ahoy_rtc::Unwrapper;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let decoder = OpusDecoder::new().expect("a decoder");
    let mut buffer = AudioJitterBuffer::new(AudioJitterConfig::default(), Box::new(decoder));
    let mut unwrapper = Unwrapper::new(REPEATED);
    for arrival in packets(data) {
        for packet in unwrapper.push(arrival.packet).packets {
            buffer.push(packet, arrival.now);
        }
        for _ in 0..arrival.polls {
            let block = buffer.pull(arrival.now);
            assert!(block.samples.iter().all(|sample| (-1.0..=1.0).contains(sample)));
        }
    }
    let stats = buffer.stats();
    assert!((0.0..=1.0).contains(&stats.concealed_ratio()));
});
