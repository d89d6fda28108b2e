//! Channels on streams that both sides agreed on beforehand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use ahoy_rtc::{Channel, ChannelEvent, ChannelOptions, Message, Reliability};
use common::{Pair, pair, pair_that_answers, within};

/// As long as a chunk of a file with what is said about it.
const LONG: usize = 64 * 1024 + 61;

/// The same two channels at both ends, before there is a connection.
async fn agreed(pair: &Pair) -> [[Channel; 2]; 2] {
    let open = |peer: &ahoy_rtc::Peer| {
        let peer = peer.clone();
        async move {
            let said = ChannelOptions::default().on_stream(1000);
            let data = ChannelOptions::unordered().on_stream(1001);
            [peer.open_channel("said", said).await.unwrap(), peer.open_channel("data", data).await.unwrap()]
        }
    };
    [open(&pair.polite.peer).await, open(&pair.impolite.peer).await]
}

async fn message(channel: &Channel) -> Message {
    within("a message", async {
        loop {
            match channel.next_event().await.expect("the channel is open") {
                ChannelEvent::Message(message) => return message,
                ChannelEvent::Open | ChannelEvent::BufferedAmountLow => {}
                ChannelEvent::Closed => panic!("the channel is closed"),
            }
        }
    })
    .await
}

async fn opened(channel: &Channel) {
    assert_eq!(within("opening", channel.next_event()).await, Some(ChannelEvent::Open));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agreed_channels_open_at_both_ends_and_carry_messages_both_ways() {
    for pair in [pair().await, pair_that_answers().await] {
        let [ours, theirs] = agreed(&pair).await;
        for channel in ours.iter().chain(&theirs) {
            opened(channel).await;
        }
        for (one, other) in ours.iter().zip(&theirs) {
            one.send_text("there").await.unwrap();
            other.send_text("and back").await.unwrap();
            assert_eq!(message(other).await, Message::Text("there".to_owned()));
            assert_eq!(message(one).await, Message::Text("and back".to_owned()));
        }
        let [said, data] = &theirs;
        assert!(said.options().is_some_and(|options| options.ordered));
        assert!(
            data.options()
                .is_some_and(|options| { !options.ordered && options.reliability == Reliability::Reliable })
        );
        let mut pair = pair;
        assert!(pair.polite.channels.try_recv().is_err(), "nothing is announced");
        pair.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_64_kib_without_order_arrive_whole_and_all_of_them() {
    const MESSAGES: usize = 200;
    let pair = pair().await;
    let [[_, ours], [_, theirs]] = agreed(&pair).await;
    opened(&ours).await;
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES {
            ours.send(&vec![number as u8; LONG]).await.unwrap();
        }
        ours
    });
    let mut arrived = BTreeSet::new();
    for _ in 0..MESSAGES {
        let Message::Binary(bytes) = message(&theirs).await else { panic!("bytes were sent") };
        assert!(bytes.len() == LONG && bytes.iter().all(|byte| *byte == bytes[0]));
        arrived.insert(bytes[0]);
    }
    assert_eq!(arrived.len(), MESSAGES);
    let _ours = sending.await.unwrap();
    pair.close().await;
}
