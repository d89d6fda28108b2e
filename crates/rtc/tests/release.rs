//! Closing a call gives everything back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use ahoy_media_types::{Codec, MediaClock};
use ahoy_rtc::{ChannelOptions, Peer, PeerConfig, Politeness, RtcError};
use common::{Sender, packet, pair};

/// These tests count what the whole process holds, so only one runs at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Entries of a directory of this process in `/proc`.
fn held(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

async fn call() {
    let mut pair = pair().await;
    let mut senders = vec![];
    for side in [&pair.polite, &pair.impolite] {
        for codec in [Codec::H264, Codec::Opus] {
            senders.push(Sender::start(&side.peer.add_track(codec).await.unwrap(), pair.clock, 1000));
        }
    }
    let channel = pair.polite.peer.open_channel("chat", ChannelOptions::default()).await.unwrap();
    let mut track = common::within("a track", pair.impolite.tracks.recv()).await.unwrap();
    packet(&mut track).await;
    pair.close().await;
    // Handles that are still held must not keep anything alive.
    drop(senders);
    drop(channel);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_gives_back_its_sockets_and_threads() {
    let _alone = ALONE.lock().await;
    call().await;
    let before = (held("fd"), held("task"));
    for _ in 0..20 {
        call().await;
    }
    // The last sockets are closed by tasks that end a moment after the connection.
    common::within("all to be given back", async {
        while held("fd") > before.0 || held("task") > before.1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_peer_gives_back_its_sockets() {
    let _alone = ALONE.lock().await;
    let before = held("fd");
    let (peer, mut events) =
        Peer::new(PeerConfig::loopback(Politeness::Polite), MediaClock::start()).await.unwrap();
    assert!(held("fd") > before);
    drop(peer);
    while common::within("the end", events.recv()).await.is_some() {}
    assert_eq!(held("fd"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_free_port_is_told_clearly() {
    let _alone = ALONE.lock().await;
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = PeerConfig::loopback(Politeness::Polite);
    config.bind = vec![taken.local_addr().unwrap()];
    let error = Peer::new(config, MediaClock::start()).await.unwrap_err();
    assert!(matches!(error, RtcError::NoUdpPort { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("no UDP port") && text.contains("in use"), "{text}");
}
