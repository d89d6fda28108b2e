//! What happens between two peers when either side changes its mind, at any time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use ahoy_media_types::Codec;
use ahoy_rtc::{
    ChannelEvent, ChannelOptions, ConnectionState, DescriptionKind, Message, Peer, PeerConfig, Politeness,
    RtcError, Signal,
};
use common::{Sender, packet, pair, pair_that_answers, pair_through, within};

fn is_offer(signal: &Signal) -> bool {
    matches!(signal, Signal::Description { kind: DescriptionKind::Offer, .. })
}

/// A value of the first `a=name:` line of a description.
fn attribute(signal: &Signal, name: &str) -> Option<String> {
    let Signal::Description { sdp, .. } = signal else { return None };
    let prefix = format!("a={name}:");
    sdp.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
}

async fn text_passes(from: &ahoy_rtc::Channel, to: &ahoy_rtc::Channel, text: &str) {
    from.send_text(text).await.unwrap();
    let expected = ChannelEvent::Message(Message::Text(text.to_owned()));
    within("the text", async { while to.next_event().await.expect("the channel is open") != expected {} })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_video_is_added_during_the_call() {
    let mut pair = pair().await;
    let first = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let _one = Sender::start(&first, pair.clock, 500);
    let mut seen = pair.impolite.track(Codec::H264).await;
    packet(&mut seen).await;
    let second = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let _two = Sender::start(&second, pair.clock, 500);
    let mut other = pair.impolite.track(Codec::H264).await;
    assert_eq!(packet(&mut other).await.ssrc, second.ssrc());
    assert_eq!(packet(&mut seen).await.ssrc, first.ssrc(), "the first goes on");
    // And the other side adds one of its own.
    let back = pair.impolite.peer.add_track(Codec::H264).await.unwrap();
    let _three = Sender::start(&back, pair.clock, 500);
    let mut back_seen = pair.polite.track(Codec::H264).await;
    assert_eq!(packet(&mut back_seen).await.ssrc, back.ssrc());
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_first_opened_during_the_call_from_either_side() {
    let mut pair = pair().await;
    let track = pair.polite.peer.add_track(Codec::Opus).await.unwrap();
    let _sender = Sender::start(&track, pair.clock, 80);
    packet(&mut pair.impolite.track(Codec::Opus).await).await;
    let theirs = pair.impolite.peer.open_channel("theirs", ChannelOptions::default()).await.unwrap();
    let seen = pair.polite.channel().await;
    text_passes(&theirs, &seen, "from the side that answered").await;
    let ours = pair.polite.peer.open_channel("ours", ChannelOptions::default()).await.unwrap();
    let seen = pair.impolite.channel().await;
    text_passes(&ours, &seen, "from the side that offered").await;
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_that_cross_resolve_and_everything_flows() {
    // Both offers are held back until both are out, so they cross for certain.
    let crossing = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let held = |crossing: &std::sync::Arc<tokio::sync::Semaphore>| {
        let crossing = std::sync::Arc::clone(crossing);
        Box::new(move |signal: Signal| {
            if is_offer(&signal) {
                crossing.add_permits(1);
                let both = crossing.acquire_many(2);
                let out = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(both));
                assert!(out.is_ok(), "nobody closes it");
            }
            vec![signal]
        }) as common::Carry
    };
    let mut pair = pair_through(held(&crossing), held(&crossing)).await;
    let ours = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let theirs = pair.impolite.peer.add_track(Codec::H264).await.unwrap();
    let sound = pair.impolite.peer.add_track(Codec::Opus).await.unwrap();
    let _senders = [&ours, &theirs, &sound].map(|track| Sender::start(track, pair.clock, 300));
    pair.connected().await;
    let mut video = pair.impolite.track(Codec::H264).await;
    assert_eq!(packet(&mut video).await.ssrc, ours.ssrc());
    let mut ssrcs = vec![];
    for _ in 0..2 {
        let mut track = within("a track", pair.polite.tracks.recv()).await.unwrap();
        ssrcs.push(packet(&mut track).await.ssrc);
    }
    ssrcs.sort();
    let mut expected = vec![theirs.ssrc(), sound.ssrc()];
    expected.sort();
    assert_eq!(ssrcs, expected);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_answers_first_sends_what_it_has_with_one_offer_and_the_rest_with_another() {
    let mut pair = pair_that_answers().await;
    let ours = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let sound = pair.polite.peer.add_track(Codec::Opus).await.unwrap();
    let second = pair.polite.peer.add_track(Codec::H264).await.unwrap();
    let theirs = pair.impolite.peer.add_track(Codec::H264).await.unwrap();
    let their_sound = pair.impolite.peer.add_track(Codec::Opus).await.unwrap();
    let _senders =
        [&ours, &sound, &second, &theirs, &their_sound].map(|track| Sender::start(track, pair.clock, 300));
    pair.connected().await;
    let mut seen = vec![];
    for _ in 0..3 {
        let mut track = within("a track", pair.impolite.tracks.recv()).await.unwrap();
        seen.push(packet(&mut track).await.ssrc);
    }
    seen.sort();
    let mut expected = vec![ours.ssrc(), sound.ssrc(), second.ssrc()];
    expected.sort();
    assert_eq!(seen, expected, "also the second video, for which the first offer had no section");
    for _ in 0..2 {
        within("a track", pair.polite.tracks.recv()).await.unwrap();
    }
    let first_said = pair.polite.said_so_far().into_iter().find(|s| matches!(s, Signal::Description { .. }));
    assert!(!is_offer(&first_said.unwrap()), "the first offer was the other side's");
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn negotiation_comes_to_rest() {
    let mut pair = pair().await;
    for side in [&pair.polite, &pair.impolite] {
        for codec in [Codec::H264, Codec::Opus] {
            side.peer.add_track(codec).await.unwrap();
        }
    }
    let ours = pair.polite.peer.open_channel("a", ChannelOptions::default()).await.unwrap();
    let theirs = pair.impolite.channel().await;
    for number in 0..20 {
        text_passes(&ours, &theirs, &format!("{number}")).await;
        text_passes(&theirs, &ours, &format!("{number}")).await;
    }
    let offers = |said: Vec<Signal>| said.iter().filter(|s| is_offer(s)).count();
    let made = offers(pair.polite.said_so_far()) + offers(pair.impolite.said_so_far());
    assert!((1..=4).contains(&made), "{made} offers");
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ice_restarts_from_either_side_keep_the_call_and_the_dtls_roles() {
    let mut pair = pair().await;
    let ours = pair.polite.peer.open_channel("a", ChannelOptions::default()).await.unwrap();
    let theirs = pair.impolite.channel().await;
    pair.connected().await;
    text_passes(&ours, &theirs, "before").await;
    let first: Vec<Signal> =
        pair.polite.said_so_far().into_iter().chain(pair.impolite.said_so_far()).collect();
    let answer =
        first.iter().find(|s| matches!(s, Signal::Description { kind: DescriptionKind::Answer, .. }));
    assert_eq!(attribute(answer.unwrap(), "setup").as_deref(), Some("active"));
    let mut generation = first.iter().find(|s| is_offer(s)).and_then(|s| attribute(s, "ice-ufrag"));

    // The side that offered first now answers: it waited for the DTLS handshake and must go on saying so.
    for restarts_here in [false, true] {
        let (offerer, answerer) = if restarts_here {
            (&mut pair.polite, &mut pair.impolite)
        } else {
            (&mut pair.impolite, &mut pair.polite)
        };
        offerer.peer.restart_ice().await.unwrap();
        let offer = within("the offer", async {
            loop {
                let signal = offerer.said.recv().await.unwrap();
                if is_offer(&signal) {
                    return signal;
                }
            }
        })
        .await;
        let answer = within("the answer", async {
            loop {
                let signal = answerer.said.recv().await.unwrap();
                if matches!(signal, Signal::Description { .. }) {
                    return signal;
                }
            }
        })
        .await;
        assert_ne!(attribute(&offer, "ice-ufrag"), generation, "a new generation");
        generation = attribute(&offer, "ice-ufrag");
        let role = if restarts_here { "active" } else { "passive" };
        assert_eq!(attribute(&answer, "setup").as_deref(), Some(role));
        // A restart tells all addresses again, in its own generation.
        within("an address", async {
            loop {
                let signal = offerer.said.recv().await.unwrap();
                if matches!(signal, Signal::Candidate { .. }) {
                    assert_eq!(signal.generation(), generation.as_deref());
                    return;
                }
            }
        })
        .await;
        text_passes(&ours, &theirs, "there").await;
        text_passes(&theirs, &ours, "and back").await;
    }
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_that_come_before_their_description_are_used() {
    // Descriptions wait until a candidate has overtaken them.
    let overtaken = || {
        let mut waiting: Option<Vec<Signal>> = Some(vec![]);
        Box::new(move |signal: Signal| match &mut waiting {
            Some(queue) => match signal {
                Signal::Candidate { .. } => {
                    let mut all = vec![signal];
                    all.extend(waiting.take().into_iter().flatten());
                    all
                }
                Signal::Description { .. } => {
                    queue.push(signal);
                    vec![]
                }
            },
            None => vec![signal],
        }) as common::Carry
    };
    let mut pair = pair_through(overtaken(), overtaken()).await;
    let _channel = pair.polite.peer.open_channel("a", ChannelOptions::default()).await.unwrap();
    pair.connected().await;
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_other_side_says_can_be_wrong_without_ending_the_call() {
    let mut pair = pair().await;
    let ours = pair.polite.peer.open_channel("a", ChannelOptions::default()).await.unwrap();
    let theirs = pair.impolite.channel().await;
    pair.connected().await;
    let description = |kind, sdp: &str| Signal::Description { kind, sdp: sdp.to_owned() };
    let candidate = |line: &str| Signal::Candidate {
        candidate: line.to_owned(),
        sdp_mid: None,
        sdp_mline_index: None,
        ufrag: None,
    };
    let peer = &pair.polite.peer;
    for nonsense in ["", "v=0", "hello", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "m=audio 9 X Y"]
    {
        let refused = peer.handle_signal(description(DescriptionKind::Offer, nonsense)).await;
        assert!(matches!(refused, Err(RtcError::RemoteDescription(_))), "{nonsense:?}: {refused:?}");
        // Nobody waits for an answer, so it is as if it had not come.
        peer.handle_signal(description(DescriptionKind::Answer, nonsense)).await.unwrap();
    }
    let refused = peer.handle_signal(candidate("candidate:what is this")).await;
    assert!(matches!(refused, Err(RtcError::RemoteCandidate(_))), "{refused:?}");
    let long = "x".repeat(1 << 20);
    let refused = peer.handle_signal(description(DescriptionKind::Offer, &long)).await;
    assert!(matches!(refused, Err(RtcError::SignalTooLong { .. })), "{refused:?}");
    text_passes(&ours, &theirs, "still here").await;
    // And negotiation still works.
    let track = pair.polite.peer.add_track(Codec::Opus).await.unwrap();
    let _sender = Sender::start(&track, pair.clock, 80);
    let mut remote = pair.impolite.track(Codec::Opus).await;
    packet(&mut remote).await;
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_peer_says_so() {
    let clock = ahoy_media_types::MediaClock::start();
    let (peer, mut events) = Peer::new(PeerConfig::loopback(Politeness::Polite), clock).await.unwrap();
    peer.close().await;
    peer.close().await;
    assert!(matches!(peer.add_track(Codec::Opus).await, Err(RtcError::Closed)));
    let mut last = None;
    while let Some(event) = within("the end of events", events.recv()).await {
        last = Some(event);
    }
    assert!(matches!(last, Some(ahoy_rtc::PeerEvent::State(ConnectionState::Closed))), "{last:?}");
}
