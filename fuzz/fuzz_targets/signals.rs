//! Session descriptions and candidates into a real peer, down to the WebRTC library's parsers.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use ahoy_media_types::{Codec, MediaClock};
use ahoy_rtc::{Peer, PeerConfig, Politeness, Signal};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime"));
/// A peer that does not answer for so long has hung.
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages in a run: each costs milliseconds.
const MOST_MESSAGES: usize = 8;

// Lines of JSON, as they come over the signaling connection.
fuzz_target!(|data: &[u8]| {
    let signals: Vec<Signal> = data
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .take(MOST_MESSAGES)
        .collect();
    if signals.is_empty() {
        return;
    }
    RUNTIME.block_on(async {
        let config = PeerConfig::loopback(Politeness::Polite);
        let (peer, _events) = Peer::new(config, MediaClock::start()).await.expect("a peer");
        peer.add_track(Codec::H264).await.expect("a track");
        for signal in signals {
            // Refused or not, it must answer.
            let _ = tokio::time::timeout(PATIENCE, peer.handle_signal(signal)).await.expect("the peer hangs");
        }
        tokio::time::timeout(PATIENCE, peer.close()).await.expect("the peer does not close");
    });
});
