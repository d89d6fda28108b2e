//! Two peers over a link that loses packets, and what can be read on that link.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ahoy_media_types::Codec;
use ahoy_rtc::{ChannelEvent, ChannelOptions, LocalTrackEvent, RemoteTrackEvent, Signal};
use ahoy_testkit::wire::{TappedPacket, WireKind};
use ahoy_testkit::{Direction, LinkConfig, LinkHandle, Side, UdpRelay};
use common::{Pair, Sender, carry_over, frame, packet, pair_through, within};

/// A link with the delay of a call within a country.
fn link(loss: f64, seed: u64) -> LinkConfig {
    LinkConfig::builder().delay(Duration::from_millis(20)).random_loss(loss).seed(seed).build().unwrap()
}

/// A pair with a relay in between; the polite side is A.
async fn pair_over(forward: LinkConfig, backward: LinkConfig) -> (Pair, Arc<UdpRelay>) {
    let relay = Arc::new(UdpRelay::start(forward, backward).unwrap());
    let pair = pair_through(carry_over(&relay, Side::A), carry_over(&relay, Side::B)).await;
    (pair, relay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_link_every_loss_is_repaired_and_sent_again_about_once() {
    let (mut pair, relay) = pair_over(link(0.0, 1), link(0.0, 2)).await;
    let handle = relay.handle();
    let track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let sender = Sender::start(&track, pair.clock, 16_000);
    let mut remote = pair.impolite.track(Codec::H264).await;
    packet(&mut remote).await;
    handle.set(Direction::AToB, link(0.03, 3));
    let lost_before = lost(&handle);
    let (sent_before, repeated_before) = (track.stats().packets_sent, repeated(&pair).await);
    let requested_before = track.stats().packets_requested_again;

    let mut seen = HashSet::new();
    let mut first = None;
    let newest = within("four thousand packets", async {
        loop {
            let packet = packet(&mut remote).await;
            let first = *first.get_or_insert(packet.sequence.0);
            let number = packet.sequence.0.wrapping_sub(first);
            // What was on its way before the first one that was counted.
            if number < 0x8000 {
                seen.insert(number);
            }
            if number >= 4_000 {
                return number;
            }
        }
    })
    .await;
    // The last repairs come on a link that loses nothing more.
    handle.set(Direction::AToB, link(0.0, 4));
    within("the last repairs", async {
        let mut latest = newest;
        while latest.wrapping_sub(newest) < 200 {
            let number = packet(&mut remote).await.sequence.0.wrapping_sub(first.unwrap());
            seen.insert(number);
            latest = latest.max(number);
        }
    })
    .await;
    drop(sender);
    let missing = (0..newest).filter(|number| !seen.contains(number)).count();
    let lost = lost(&handle) - lost_before;
    let requested = track.stats().packets_requested_again - requested_before;
    let repeated = repeated(&pair).await - repeated_before;
    let sent = track.stats().packets_sent - sent_before;
    assert!(lost > 60, "the link lost {lost} packets");
    assert_eq!(missing, 0, "packets that never came");
    assert!(requested <= 2 * lost, "{requested} requests for {lost} lost packets");
    assert!(repeated <= 2 * lost, "{repeated} packets sent again for {lost} lost ones");
    assert!(repeated * 10 < sent, "3 % of loss cost {repeated} packets beside {sent}");
    assert!(remote.stats().packets_repaired > 0);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_link_where_asking_again_takes_long_lost_packets_are_made_from_repair_data() {
    let long = |loss: f64, seed: u64| {
        LinkConfig::builder().delay(Duration::from_millis(150)).random_loss(loss).seed(seed).build().unwrap()
    };
    // From the beginning: a way that gets longer looks like a queue for a while.
    let (mut pair, relay) = pair_over(long(0.0, 1), long(0.0, 2)).await;
    let handle = relay.handle();
    let track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let sender = Sender::start(&track, pair.clock, 6_000);
    let mut remote = pair.impolite.track(Codec::H264).await;
    packet(&mut remote).await;
    handle.set(Direction::AToB, long(0.05, 3));
    within("packets to be made", async {
        while remote.stats().packets_recovered < 10 {
            let packet = packet(&mut remote).await;
            assert!(holds(&packet.payload, &MARK), "what was made is what was sent");
        }
    })
    .await;
    drop(sender);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_link_sound_that_is_lost_comes_with_later_packets_and_none_comes_twice() {
    let (mut pair, relay) = pair_over(link(0.0, 1), link(0.0, 2)).await;
    let handle = relay.handle();
    let track = pair.polite.peer.add_track(Codec::Opus).await.unwrap();
    let sender = Sender::start(&track, pair.clock, 80);
    let mut remote = pair.impolite.track(Codec::Opus).await;
    packet(&mut remote).await;
    assert_eq!(track.copies(), 0, "nothing is repeated where nothing is lost");
    handle.set(Direction::AToB, link(0.1, 3));
    within("losses to be known", async {
        while track.copies() < 2 {
            packet(&mut remote).await;
        }
    })
    .await;
    let (lost_before, first) = (lost(&handle), packet(&mut remote).await);
    let mut seen = HashSet::new();
    let all = 600;
    within("six hundred packets", async {
        loop {
            let packet = packet(&mut remote).await;
            let ahead = packet.sequence.0.wrapping_sub(first.sequence.0);
            assert_eq!(packet.timestamp.wrapping_sub(first.timestamp), u32::from(ahead) * 960);
            assert_eq!(packet.payload.len(), 80, "it comes as it was sent");
            assert!(seen.insert(ahead), "packet {ahead} came twice");
            if ahead > all {
                return;
            }
        }
    })
    .await;
    drop(sender);
    let missing = (1..all).filter(|number| !seen.contains(number)).count();
    let lost = lost(&handle) - lost_before;
    assert!(lost > 30, "the link lost {lost} packets");
    // Of two copies one in a thousand is lost with them.
    assert!(missing <= 6, "{missing} packets never came");
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_link_who_does_not_know_repeated_sound_gets_none() {
    let relay = Arc::new(UdpRelay::start(link(0.1, 1), link(0.0, 2)).unwrap());
    let mut to_impolite = carry_over(&relay, Side::A);
    let without = Box::new(move |signal| to_impolite(without_repeated_sound(signal)));
    let mut pair = pair_through(without, carry_over(&relay, Side::B)).await;
    let track = pair.polite.peer.add_track(Codec::Opus).await.unwrap();
    let sender = Sender::start(&track, pair.clock, 80);
    let mut remote = pair.impolite.track(Codec::Opus).await;
    let network = track.network();
    within("losses to be known", async {
        while network.borrow().loss < 0.05 {
            assert_eq!(packet(&mut remote).await.payload.len(), 80);
        }
    })
    .await;
    assert_eq!(track.copies(), 0);
    drop(sender);
    pair.close().await;
}

/// The description of somebody who knows of sound only that it is sent once.
fn without_repeated_sound(signal: Signal) -> Signal {
    let Signal::Description { kind, sdp } = signal else { return signal };
    let known =
        |line: &&str| !["a=rtpmap:63 ", "a=fmtp:63 ", "a=rtcp-fb:63 "].iter().any(|of| line.starts_with(of));
    let lines = sdp.split_inclusive('\n').filter(known);
    let sdp =
        lines.map(|line| if line.starts_with("m=audio") { line.replace(" 63", "") } else { line.to_owned() });
    Signal::Description { kind, sdp: sdp.collect() }
}

fn lost(handle: &LinkHandle) -> u64 {
    handle.counters(Direction::AToB).lost
}

async fn repeated(pair: &Pair) -> u64 {
    pair.polite.peer.stats().await.outbound.iter().map(|stream| stream.packets_retransmitted).sum()
}

/// Loss at which every call must still be set up, each way.
const SET_UP_LOSS: f64 = 0.05;
/// Links that are tried, each with its own losses.
const SEEDS: u64 = 24;
/// A lost packet of the DTLS handshake costs a second. The slowest set-up that was looked at took 2.3 s.
const SET_UP_BOUND: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_link_every_call_is_set_up_over_a_lossy_network() {
    let calls = (0..SEEDS).map(|seed| {
        tokio::spawn(async move {
            let (mut pair, relay) = pair_over(link(SET_UP_LOSS, seed), link(SET_UP_LOSS, seed + 1000)).await;
            let start = pair.clock.now();
            let _track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
            pair.connected().await;
            let took = pair.clock.now() - start;
            pair.close().await;
            drop(relay);
            (seed, took)
        })
    });
    let mut times = vec![];
    for call in calls.collect::<Vec<_>>() {
        times.push(call.await.unwrap());
    }
    times.sort_by_key(|(_, took)| *took);
    let (seed, slowest) = times[times.len() - 1];
    assert!(slowest < SET_UP_BOUND, "seed {seed} took {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_flight_of_either_side_of_the_handshake_is_repeated() {
    // The relay swallows everything of one direction from one moment of the handshake to its first repeat, so that the
    // repeats of both sides cross.
    for direction in Direction::BOTH {
        // The first one of each side goes through: until it does, the ways are still being tried.
        for flights in 1..=2 {
            let (mut pair, relay) = pair_over(link(0.0, 1), link(0.0, 2)).await;
            let handle = relay.handle();
            handle.start_tap();
            let _track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
            let handshakes = |handle: &LinkHandle| {
                let tapped = handle.tapped().packets;
                let dtls = |packet: &&TappedPacket| {
                    packet.direction == direction && WireKind::of(&packet.data) == WireKind::Dtls
                };
                tapped.iter().filter(dtls).count()
            };
            within("the flight before", async {
                while handshakes(&handle) < flights {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            handle.block(direction);
            let before = handshakes(&handle);
            within("a flight to be swallowed", async {
                while handshakes(&handle) == before {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            handle.unblock(direction);
            pair.connected().await;
            pair.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_frame_request_that_is_repeated_over_loss_is_answered_by_a_key_frame() {
    let (mut pair, _relay) = pair_over(link(0.05, 11), link(0.05, 12)).await;
    let track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    // What an encoder does: a key frame when one is asked for, else none.
    let encoder = {
        let (track, clock) = (track.clone(), pair.clock);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(33));
            for number in 0.. {
                let mut wanted = false;
                loop {
                    tokio::select! {
                        biased;
                        event = track.next_event() => match event {
                            Some(LocalTrackEvent::KeyframeRequested) => wanted = true,
                            None => return,
                        },
                        _ = tick.tick() => break,
                    }
                }
                let mut frame = frame(Codec::H264, number, 3_000, &clock);
                frame.keyframe = wanted;
                if !wanted {
                    let mut data = frame.data.to_vec();
                    data[4] = 0x61;
                    frame.data = data.into();
                }
                if track.send(frame).await.is_err() {
                    return;
                }
            }
        })
    };
    let mut remote = pair.impolite.track(Codec::H264).await;
    within("the first key frame", key_frame(&mut remote)).await;
    for _ in 0..5 {
        within("an answer", async {
            let mut ask = tokio::time::interval(Duration::from_millis(300));
            loop {
                tokio::select! {
                    () = key_frame(&mut remote) => return,
                    _ = ask.tick() => {}
                }
                remote.request_keyframe().await.unwrap();
            }
        })
        .await;
    }
    pair.close().await;
    encoder.await.unwrap();
}

/// Waits for a packet that begins or continues a key frame (RFC 6184 section 5.3). Cancel-safe.
async fn key_frame(remote: &mut ahoy_rtc::RemoteTrack) {
    loop {
        match remote.next_event().await {
            Some(RemoteTrackEvent::Packet(packet)) => {
                let nal = match packet.payload[0] & 31 {
                    28 => packet.payload[1] & 31,
                    kind => kind,
                };
                if nal == 5 {
                    return;
                }
            }
            Some(RemoteTrackEvent::SenderReport(_)) => {}
            Some(RemoteTrackEvent::Ended) | None => panic!("the track ended"),
        }
    }
}

/// What tests write into media and messages; no packet on the wire may hold it.
const MARK: [u8; 16] = [0xAA; 16];
const TEXT: &str = "the quick brown fox jumps over the lazy dog";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_said_can_be_read_on_the_wire() {
    let (mut pair, relay) = pair_over(link(0.0, 1), link(0.0, 2)).await;
    let handle = relay.handle();
    handle.start_tap();
    let mut senders = vec![];
    for side in [&pair.polite, &pair.impolite] {
        for codec in [Codec::H264, Codec::Opus] {
            senders.push(Sender::start(&side.peer.add_track(codec).await.unwrap(), pair.clock, 500));
        }
    }
    let channel = pair.polite.peer.open_channel("label", ChannelOptions::default()).await.unwrap();
    assert_eq!(within("opening", channel.next_event()).await, Some(ChannelEvent::Open));
    channel.send_text(TEXT).await.unwrap();
    for side in [&mut pair.polite, &mut pair.impolite] {
        for _ in 0..2 {
            let mut track = within("a track", side.tracks.recv()).await.unwrap();
            for _ in 0..50 {
                let packet = packet(&mut track).await;
                assert!(holds(&packet.payload, &MARK), "what is searched for is in each packet");
            }
        }
    }
    drop(senders);
    pair.close().await;
    let tapped = handle.stop_tap();
    assert_eq!(tapped.missed, 0);
    let mut media = 0;
    for packet in &tapped.packets {
        let data = &packet.data;
        assert!(!holds(data, &MARK[..8]) && !holds(data, TEXT.as_bytes()) && !holds(data, b"label"));
        match WireKind::of(data) {
            WireKind::Rtp => {
                media += 1;
                let random = looks_random(&data[HEADER..]);
                assert!(random, "a media packet of {} bytes is not encrypted", data.len());
            }
            WireKind::Stun | WireKind::Dtls | WireKind::Rtcp => {}
            WireKind::TurnChannel | WireKind::Unknown => {
                panic!("what is this: {:?}", &data[..data.len().min(4)])
            }
        }
    }
    assert!(media > 200, "{media} media packets");
}

/// RTP header with its extensions, rounded up; it stays readable (RFC 3711 section 3.1).
const HEADER: usize = 32;

fn holds(data: &[u8], what: &[u8]) -> bool {
    data.windows(what.len()).any(|window| window == what)
}

/// Whether no byte takes more than a tenth of `data`, as in what a cipher makes.
fn looks_random(data: &[u8]) -> bool {
    let mut counts = [0usize; 256];
    data.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    data.len() < 100 || counts.iter().all(|&count| count * 10 < data.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_ours_agree_on_keys_without_asking_for_a_cookie() {
    /// Types of handshake messages (RFC 6347 section 4.3.2), which stand behind the record's header.
    const CLIENT_HELLO: u8 = 1;
    const HELLO_VERIFY_REQUEST: u8 = 3;
    let (mut pair, relay) = pair_over(link(0.0, 1), link(0.0, 2)).await;
    let handle = relay.handle();
    handle.start_tap();
    let _track = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    pair.connected().await;
    let tapped = handle.stop_tap();
    let kinds = tapped.packets.iter().filter(|packet| packet.data.first() == Some(&22));
    let kinds: Vec<_> = kinds.map(|packet| packet.data[13]).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == CLIENT_HELLO).count(), 1, "{kinds:?}");
    assert!(!kinds.contains(&HELLO_VERIFY_REQUEST), "{kinds:?}");
    pair.close().await;
}
