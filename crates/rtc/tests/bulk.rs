//! The connection for what is large, beside data channels on the same way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use ahoy_rtc::{Bulk, ChannelEvent, ChannelOptions, PeerConfig, Politeness, Signal};
use ahoy_testkit::{LinkConfig, RateSchedule, Side, UdpRelay};
use common::{Carry, Pair, carry_over, pair_of_both, within};

fn same() -> Carry {
    Box::new(|signal| vec![signal])
}

async fn pair(polite: bool, impolite: bool, to_impolite: Carry, to_polite: Carry) -> Pair {
    let config = |role, bulk| PeerConfig { bulk, ..PeerConfig::loopback(role) };
    let (polite, impolite) = (config(Politeness::Polite, polite), config(Politeness::Impolite, impolite));
    let pair = pair_of_both(polite, impolite, to_impolite, to_polite).await;
    // Something to connect for.
    pair.impolite.peer.open_channel("said", ChannelOptions::default().on_stream(1000)).await.unwrap();
    pair
}

async fn both(pair: &Pair) -> [Option<Bulk>; 2] {
    let both = async { tokio::join!(pair.polite.peer.bulk(), pair.impolite.peer.bulk()).into() };
    within("an outcome", both).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_go_both_ways_beside_a_channel_and_end_with_the_peer() {
    let pair = pair(true, true, same(), same()).await;
    let [polite, impolite] = both(&pair).await.map(Option::unwrap);
    assert!(impolite.is_client() && !polite.is_client());
    let (mut said, mut heard) = impolite.open_pair().await.unwrap();
    said.write_all(b"there").await.unwrap();
    let (mut answer, mut question) = within("a stream", polite.accept_pair()).await.unwrap();
    let mut word = [0; 5];
    question.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"there");
    answer.write_all(b"again").await.unwrap();
    heard.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"again");

    let channel =
        pair.polite.peer.open_channel("said", ChannelOptions::default().on_stream(1000)).await.unwrap();
    assert_eq!(within("the channel", channel.next_event()).await, Some(ChannelEvent::Open));
    pair.impolite.peer.close().await;
    within("the end", polite.closed()).await;
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_arrive_whole_and_all_of_them() {
    const PIECES: usize = 1000;
    const LONG: usize = 64 * 1024 + 61;
    let pair = pair(true, true, same(), same()).await;
    let [polite, impolite] = both(&pair).await.map(Option::unwrap);
    let sending = tokio::spawn(async move {
        for number in 0..PIECES {
            let mut stream = polite.open().await.unwrap();
            stream.write_all(&vec![number as u8; LONG]).await.unwrap();
            stream.finish().unwrap();
        }
        polite
    });
    let began = std::time::Instant::now();
    let mut seen = vec![0; 256];
    for _ in 0..PIECES {
        let mut stream = within("a piece", impolite.accept()).await.unwrap();
        let piece = stream.read_to_end(LONG).await.unwrap();
        assert!(piece.len() == LONG && piece.iter().all(|byte| *byte == piece[0]));
        seen[usize::from(piece[0])] += 1;
    }
    println!("{:.0} MB/s", (PIECES * LONG) as f64 / began.elapsed().as_secs_f64() / 1e6);
    assert!(
        seen.iter()
            .enumerate()
            .all(|(number, count)| *count == PIECES / 256 + usize::from(number < PIECES % 256))
    );
    let _polite = sending.await.unwrap();
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_none_where_one_side_does_not_take_it() {
    for (polite, impolite) in [(true, false), (false, true), (false, false)] {
        let pair = pair(polite, impolite, same(), same()).await;
        assert!(both(&pair).await.iter().all(Option::is_none));
        pair.close().await;
    }
}

/// Of what is on its way nothing is acknowledged any more then, so that there is no room for anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_bye_passes_what_fills_the_way() {
    let link = LinkConfig::builder()
        .rate(RateSchedule::constant(20_000_000))
        .delay(Duration::from_millis(5))
        .build()
        .unwrap();
    let relay = Arc::new(UdpRelay::start(link.clone(), link).unwrap());
    let (to_impolite, to_polite) = (carry_over(&relay, Side::A), carry_over(&relay, Side::B));
    let pair = pair(true, true, to_impolite, to_polite).await;
    let [polite, impolite] = both(&pair).await.map(Option::unwrap);
    let sending = polite.clone();
    let sending = tokio::spawn(async move {
        let mut stream = sending.open().await.unwrap();
        while stream.write_all(&[7; 65_536]).await.is_ok() {}
    });
    let mut stream = within("a stream", impolite.accept()).await.unwrap();
    let mut start = vec![0; 1_000_000];
    within("the start", stream.read_exact(&mut start)).await.unwrap();
    polite.close();
    let why = within("the end", impolite.closed()).await;
    assert!(why.to_string().contains("closed by peer"), "{why}");
    sending.await.unwrap();
    pair.close().await;
}

/// Whoever carries signals can change them, for DTLS as well; but whoever only answers on the way is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_another_certificate_than_the_description_says_is_nobody() {
    let other: Carry = Box::new(|signal| match signal {
        Signal::Description { kind, sdp } => {
            let lines = sdp.split_inclusive('\n').map(|line| match line.strip_prefix("a=x-ahoy-quic:") {
                Some(_) => format!("a=x-ahoy-quic:{}\r\n", "17".repeat(32)),
                None => line.to_owned(),
            });
            vec![Signal::Description { kind, sdp: lines.collect() }]
        }
        candidate => vec![candidate],
    });
    let pair = pair(true, true, other, same()).await;
    assert!(both(&pair).await.iter().all(Option::is_none));
    pair.close().await;
}
