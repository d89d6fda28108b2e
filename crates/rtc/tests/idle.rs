//! A call that says nothing costs nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use ahoy_measure::process;
use ahoy_media_types::Codec;
use ahoy_rtc::{ChannelEvent, ChannelOptions};
use common::{pair, within};

/// How long the processor's time is taken.
const WATCHED: Duration = Duration::from_secs(3);
/// What two silent peers may use of it. They took 1.5 ms of each second; one task that spins takes all of it.
const ALLOWED: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_quiet_connected_peers_with_nothing_to_say_hardly_run() {
    let mut pair = pair().await;
    let _track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let channel = pair.polite.peer.open_channel("a", ChannelOptions::default()).await.unwrap();
    assert_eq!(within("opening", channel.next_event()).await, Some(ChannelEvent::Open));
    pair.connected().await;
    let before = process::usage().unwrap().cpu;
    tokio::time::sleep(WATCHED).await;
    let used = process::usage().unwrap().cpu - before;
    assert!(used < ALLOWED, "{used:?} of {WATCHED:?}");
    pair.close().await;
}
