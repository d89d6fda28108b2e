//! Two peers over loopback: media, channels, and what set-up promises.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use ahoy_media_types::Codec;
use ahoy_rtc::{Channel, ChannelEvent, ChannelOptions, LocalTrackEvent, Message, RemoteTrackEvent};
use common::{Sender, frame, packet, pair, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_and_video_flow_both_ways_with_their_own_timestamps() {
    let mut pair = pair().await;
    let mut senders = Vec::new();
    for side in [&pair.polite, &pair.impolite] {
        for codec in [Codec::H264, Codec::Opus] {
            let track = side.peer.add_track(codec).await.unwrap();
            senders.push(Sender::start(
                &track,
                pair.clock,
                3000 / (1 + 20 * usize::from(codec == Codec::Opus)),
            ));
        }
    }
    pair.connected().await;
    for side in [&mut pair.polite, &mut pair.impolite] {
        let mut seen = vec![];
        for _ in 0..2 {
            let mut track = within("a track", side.tracks.recv()).await.unwrap();
            let step = match track.codec() {
                Codec::H264 => 90_000 / 30,
                Codec::Opus => 48_000 / 50,
            };
            for _ in 0..20 {
                let packet = packet(&mut track).await;
                assert_eq!(packet.ssrc, track.ssrc());
                assert_eq!(packet.timestamp % step, 0, "the sender's timestamps arrive unchanged");
                assert!(packet.arrived_at <= pair.clock.now());
            }
            seen.push(track.codec());
        }
        seen.sort_by_key(|codec| codec.clock_rate());
        assert_eq!(seen, [Codec::Opus, Codec::H264]);
    }
    drop(senders);
    pair.close().await;
}

async fn message(channel: &Channel) -> Message {
    within("a message", async {
        loop {
            match channel.next_event().await {
                Some(ChannelEvent::Message(message)) => return message,
                Some(ChannelEvent::Open | ChannelEvent::BufferedAmountLow) => {}
                Some(ChannelEvent::Closed) | None => panic!("the channel is closed"),
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_carry_text_and_bytes_in_order_and_large_messages_whole() {
    let mut pair = pair().await;
    let ours = pair.polite.peer.open_channel("chat", ChannelOptions::default()).await.unwrap();
    let theirs = pair.impolite.channel().await;
    assert_eq!(theirs.label(), "chat");
    assert_eq!(within("opening", ours.next_event()).await, Some(ChannelEvent::Open));
    let echo = tokio::spawn(async move {
        while let Some(event) = theirs.next_event().await {
            match event {
                ChannelEvent::Message(Message::Text(text)) => theirs.send_text(&text).await.unwrap(),
                ChannelEvent::Message(Message::Binary(bytes)) => theirs.send(&bytes).await.unwrap(),
                ChannelEvent::Open | ChannelEvent::BufferedAmountLow | ChannelEvent::Closed => {}
            }
        }
    });
    let large: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    for number in 0..100 {
        ours.send_text(&format!("message {number}")).await.unwrap();
    }
    ours.send(&large).await.unwrap();
    for number in 0..100 {
        assert_eq!(message(&ours).await, Message::Text(format!("message {number}")));
    }
    assert!(message(&ours).await == Message::Binary(large.into()), "the large message is another one");
    let too_long = ours.send(&vec![0; 256 * 1024 + 1]).await.unwrap_err();
    assert!(too_long.to_string().contains("262145"), "{too_long}");
    pair.close().await;
    within("the end of the echo", echo).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_frame_is_asked_for_when_the_way_opens_and_whenever_the_receiver_wants_one() {
    let mut pair = pair().await;
    let track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let opened = within("the way to open", track.next_event()).await;
    assert_eq!(opened, Some(LocalTrackEvent::KeyframeRequested));
    let mut delta = frame(Codec::H264, 0, 100, &pair.clock);
    delta.keyframe = false;
    track.send(delta).await.unwrap();
    assert_eq!(track.stats().frames_discarded, 1, "nothing can be decoded before a key frame");
    track.send(frame(Codec::H264, 1, 100, &pair.clock)).await.unwrap();
    let remote = pair.impolite.track(Codec::H264).await;
    remote.request_keyframe().await.unwrap();
    assert_eq!(within("the request", track.next_event()).await, Some(LocalTrackEvent::KeyframeRequested));
    assert_eq!(track.stats().keyframe_requests, 1);
    pair.close().await;
    assert_eq!(within("the end", track.next_event()).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sender_reports_reach_the_receiver() {
    let mut pair = pair().await;
    let track = pair.polite.peer.add_track(Codec::Opus).await.unwrap();
    let _sender = Sender::start(&track, pair.clock, 80);
    let mut remote = pair.impolite.track(Codec::Opus).await;
    let report = within("a report", async {
        loop {
            match remote.next_event().await {
                Some(RemoteTrackEvent::SenderReport(report)) => return report,
                Some(RemoteTrackEvent::Packet(_)) => {}
                Some(RemoteTrackEvent::Ended) | None => panic!("the track ended"),
            }
        }
    })
    .await;
    assert_eq!(report.ssrc, track.ssrc());
    assert!(report.ntp > 0);
    pair.close().await;
}
