//! Calls between one of our ends and Chromium: what a browser on the other side sees, hears and can do.
#![allow(clippy::print_stdout, reason = "what Chromium said belongs into the output of a test that failed")]

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::browser::media::{self, CLIP_LENGTH, OUR_TONE, THEIR_TONE, Watched};
use crate::browser::{Browser, Call, within};
use ahoy_media_types::Codec;
use ahoy_rtc::{Channel, ChannelEvent, ChannelOptions, DescriptionKind, LocalTrack, Message, Signal};
use ahoy_testkit::{Direction, LinkConfig};
use serde_json::{Value, json};

/// The longest that a key frame may take from the request to the decoded picture: a round trip, a frame's time at
/// both ends, and what a busy machine adds.
const KEY_FRAME_BOUND: Duration = Duration::from_secs(1);

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn add_camera(browser: &Browser) {
    let camera = browser.call("addCamera", json!([[media::size().width(), media::size().height()]])).await;
    assert_eq!(camera["width"], media::size().width(), "{camera}");
}

/// Media of both kinds in both directions, added at the end that is to offer first.
async fn media_flows(we_offer: bool) {
    let mut call = Call::new().await;
    if we_offer {
        for codec in [Codec::H264, Codec::Opus] {
            call.send(codec).await;
        }
        call.connected().await;
        add_camera(&call.browser).await;
        call.browser.call("addTone", json!([THEIR_TONE])).await;
    } else {
        // Chromium's first offer finds our tracks already there.
        call.let_chromium_offer();
        for codec in [Codec::H264, Codec::Opus] {
            call.send(codec).await;
        }
        call.browser.call("addTone", json!([THEIR_TONE])).await;
        add_camera(&call.browser).await;
        call.connected().await;
    }
    let first_offer_is_ours = call.said.lock().unwrap()[0].0;
    assert_eq!(first_offer_is_ours, we_offer);
    check_media(&mut call).await;
    println!("agreed on {}", call.browser.stats().await["codecs"]);
    call.close().await;
}

async fn check_media(call: &mut Call) {
    let (mut video, mut sound) = (None, None);
    while video.is_none() || sound.is_none() {
        let track = within("Chromium's tracks", call.tracks.recv()).await.unwrap();
        match track.codec() {
            Codec::H264 => video = Some(Watched::start(track, call.clock)),
            Codec::Opus => sound = Some(track),
        }
    }
    let (mut video, mut sound) = (video.unwrap(), sound.unwrap());
    media::check(&video.next(10).await, Some(CLIP_LENGTH));
    let heard = media::listen(&mut sound).await;
    assert!(media::share_of(&heard, THEIR_TONE) > 0.7, "{:.2}", media::share_of(&heard, THEIR_TONE));
    assert!(media::share_of(&heard, OUR_TONE) < 0.05);

    let (pictures, heard) = tokio::join!(
        call.browser.call("pictures", json!([0, 5, 4])),
        call.browser.call("sound", json!([48_000])),
    );
    media::check(&media::pictures_of(&pictures), None);
    let heard = media::sound_of(&heard);
    assert!(media::share_of(&heard, OUR_TONE) > 0.7, "{:.2}", media::share_of(&heard, OUR_TONE));
    assert!(media::share_of(&heard, THEIR_TONE) < 0.05);
}

#[test]
fn needs_chromium_sees_and_hears_us_and_we_it_when_we_offer() {
    tokio().block_on(media_flows(true));
}

#[test]
fn needs_chromium_sees_and_hears_us_and_we_it_when_it_offers() {
    tokio().block_on(media_flows(false));
}

async fn next_message(channel: &Channel) -> Message {
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

/// Sends text and bytes to the page, which sends them back, and lets the page speak first.
async fn talk(call: &Call, channel: &Channel, large: usize) {
    let label = channel.label();
    channel.send_text("hello").await.unwrap();
    assert_eq!(next_message(channel).await, Message::Text("hello".to_owned()));
    for number in 0..20 {
        channel.send_text(&number.to_string()).await.unwrap();
    }
    let mut back = vec![];
    for _ in 0..20 {
        back.push(next_message(channel).await);
    }
    let expected: Vec<_> = (0..20).map(|number: u32| Message::Text(number.to_string())).collect();
    assert_eq!(back, expected);
    channel.send(&vec![7; large]).await.unwrap();
    assert!(next_message(channel).await == Message::Binary(vec![7; large].into()));
    let received = call.browser.call("received", json!([label])).await;
    assert_eq!(received.as_array().unwrap().last(), Some(&json!(large)));
    call.browser.call("sendText", json!([label, "you there"])).await;
    assert_eq!(next_message(channel).await, Message::Text("you there".to_owned()));
    call.browser.call("sendBytes", json!([label, large])).await;
    assert!(next_message(channel).await == Message::Binary(vec![7; large].into()));
}

#[test]
fn needs_chromium_and_we_exchange_messages_on_channels_of_every_kind() {
    tokio().block_on(async {
        let mut call = Call::new().await;
        for (label, options, theirs) in [
            ("ordered", ChannelOptions::default(), json!({ "ordered": true, "maxRetransmits": null })),
            ("unordered", ChannelOptions::unreliable(), json!({ "ordered": false, "maxRetransmits": 0 })),
        ] {
            let ours = call.peer.open_channel(label, options).await.unwrap();
            assert_eq!(within("opening", ours.next_event()).await, Some(ChannelEvent::Open));
            assert_eq!(call.browser.call("channel", json!([label])).await, theirs);
            talk(&call, &ours, if options.ordered { 200_000 } else { 1_000 }).await;
        }
        for (label, init, large) in [
            ("theirs", json!({}), 200_000),
            ("their unordered", json!({ "ordered": false, "maxRetransmits": 0 }), 1_000),
        ] {
            call.browser.call("openChannel", json!([label, init])).await;
            let seen = call.channel().await;
            assert_eq!(seen.label(), label);
            call.browser.call("channel", json!([label])).await;
            talk(&call, &seen, large).await;
        }
        // Opened while the connection is busy, when the answer may overtake what the library does for a new channel.
        for number in 0..20 {
            let label = format!("another {number}");
            let ours = call.peer.open_channel(label, ChannelOptions::default()).await.unwrap();
            assert_eq!(within("opening", ours.next_event()).await, Some(ChannelEvent::Open));
            ours.send_text("hello").await.unwrap();
            assert_eq!(next_message(&ours).await, Message::Text("hello".to_owned()));
        }
        assert!(call.channels.try_recv().is_err(), "none of ours is taken for one of Chromium's");
        call.close().await;
    });
}

/// One number of a stream of the page's statistics, summed over all of them.
fn sum(stats: &Value, direction: &str, field: &str) -> u64 {
    let streams = stats[direction].as_array().unwrap().iter();
    streams.filter(|one| one["kind"] == "video").map(|one| one[field].as_u64().unwrap()).sum()
}

async fn both_send_video(call: &mut Call) -> (LocalTrack, Watched) {
    let ours = call.send(Codec::H264).await;
    add_camera(&call.browser).await;
    call.connected().await;
    let mut theirs = Watched::start(call.track(Codec::H264).await, call.clock);
    theirs.next(5).await;
    media::check(&media::pictures_of(&call.browser.call("pictures", json!([0, 2, 1])).await), None);
    (ours, theirs)
}

#[test]
fn needs_chromium_and_we_get_key_frames_from_each_other_on_request() {
    tokio().block_on(async {
        let mut call = Call::new().await;
        let (ours, mut theirs) = both_send_video(&mut call).await;
        for _ in 0..3 {
            let took = theirs.key_frame(&call.clock).await;
            println!("Chromium's key frame came after {took:?}");
            assert!(took < KEY_FRAME_BOUND, "{took:?}");
        }
        for _ in 0..3 {
            let (before, requests) = (call.browser.stats().await, ours.stats().keyframe_requests);
            let asked = call.clock.now();
            call.browser.call("requestKeyframe", json!([0])).await;
            within("our key frame at Chromium", async {
                loop {
                    let stats = call.browser.stats().await;
                    if sum(&stats, "inbound", "key_frames") > sum(&before, "inbound", "key_frames") {
                        return;
                    }
                }
            })
            .await;
            let took = call.clock.now() - asked;
            println!("ours came after {took:?}");
            assert!(took < KEY_FRAME_BOUND, "{took:?}");
            assert!(ours.stats().keyframe_requests > requests);
        }
        call.close().await;
    });
}

#[test]
fn needs_chromium_and_we_repair_each_others_losses() {
    tokio().block_on(async {
        let link = |loss| {
            LinkConfig::builder().delay(Duration::from_millis(15)).random_loss(loss).seed(5).build().unwrap()
        };
        let mut call = Call::over(Some(link(0.0))).await;
        let (ours, mut theirs) = both_send_video(&mut call).await;
        let before = call.browser.stats().await;
        let frames = theirs.frames.load(Relaxed);
        let lost = |call: &Call| Direction::BOTH.map(|way| call.link().counters(way).lost);
        for way in Direction::BOTH {
            call.link().set(way, link(0.03));
        }
        within("losses both ways", async {
            while lost(&call).into_iter().any(|lost| lost < 15) {
                theirs.next(5).await;
            }
        })
        .await;
        for way in Direction::BOTH {
            call.link().set(way, link(0.0));
        }
        media::check(&theirs.next(10).await, Some(CLIP_LENGTH));
        media::check(&media::pictures_of(&call.browser.call("pictures", json!([0, 5, 2])).await), None);
        let after = call.browser.stats().await;
        let grown = |direction, field| sum(&after, direction, field) - sum(&before, direction, field);
        let [to_them, to_us] = lost(&call);
        println!(
            "lost to Chromium {to_them}, to us {to_us}; it repaired {}, sent again {}, froze {}; we sent {} again",
            grown("inbound", "repaired"),
            grown("outbound", "repeated"),
            grown("inbound", "freezes"),
            ours.stats().packets_requested_again,
        );
        assert!(ours.stats().packets_requested_again > 0, "Chromium asks again");
        assert!(grown("outbound", "nacks") > 0, "we ask again");
        assert!(grown("outbound", "repeated") <= 2 * to_us, "and not more than twice for each loss");
        let decoded = theirs.frames.load(Relaxed) - frames;
        let encoded = grown("outbound", "encoded");
        assert!(decoded * 10 >= encoded * 9, "{decoded} of {encoded} of Chromium's pictures arrived");
        let sent = grown("inbound", "decoded");
        assert!(sent * 10 >= encoded * 8, "{sent} of our pictures arrived while it made {encoded}");
        call.close().await;
    });
}

/// Samples of sound that Chromium has played, and how many of them it made up.
async fn played(browser: &Browser) -> (f64, f64) {
    let stats = browser.stats().await;
    let of = |field: &str| -> f64 {
        let streams = stats["inbound"].as_array().unwrap().iter();
        streams.filter(|one| one["kind"] == "audio").filter_map(|one| one[field].as_f64()).sum()
    };
    (of("samples"), of("made_up"))
}

#[test]
fn needs_chromium_and_we_hear_what_was_said_although_a_tenth_of_it_is_lost() {
    tokio().block_on(async {
        let delayed = || LinkConfig::builder().delay(Duration::from_millis(15)).seed(5);
        let mut call = Call::over(Some(delayed().build().unwrap())).await;
        call.send(Codec::Opus).await;
        call.browser.call("addTone", json!([THEIR_TONE, true])).await;
        call.connected().await;
        let mut theirs = call.track(Codec::Opus).await;
        for way in Direction::BOTH {
            call.link().set(way, delayed().random_loss(0.1).build().unwrap());
        }
        // In the first seconds nobody knows of the losses yet.
        let mut heard_before = (0.0, 0.0);
        within("sound for twelve seconds", async {
            loop {
                for _ in 0..25 {
                    theirs.next_event().await.unwrap();
                }
                let heard = played(&call.browser).await;
                if heard.0 < 4.0 * 48_000.0 {
                    heard_before = heard;
                }
                if heard.0 > 12.0 * 48_000.0 {
                    break;
                }
            }
        })
        .await;
        let (samples, made_up) = played(&call.browser).await;
        let share = (made_up - heard_before.1) / (samples - heard_before.0);
        let (got, [_, lost]) = (theirs.stats(), Direction::BOTH.map(|way| call.link().counters(way).lost));
        println!("Chromium made up {:.1} %; {lost} packets to us were lost: {got:?}", share * 100.0);
        assert!(share < 0.03, "Chromium made up {share} of what it played");
        // Reports are lost as well, and of two packets in a row the first is not in a third.
        assert!(got.packets_recovered * 2 > lost, "{} of {lost}", got.packets_recovered);
        call.close().await;
    });
}

#[test]
fn needs_chromium_a_second_video_is_added_from_either_end() {
    tokio().block_on(async {
        let mut call = Call::new().await;
        let (_ours, mut theirs) = both_send_video(&mut call).await;
        call.send(Codec::H264).await;
        media::check(&media::pictures_of(&call.browser.call("pictures", json!([1, 3, 2])).await), None);
        add_camera(&call.browser).await;
        let mut second = Watched::start(call.track(Codec::H264).await, call.clock);
        media::check(&second.next(5).await, Some(CLIP_LENGTH));
        // The first ones go on.
        media::check(&theirs.next(5).await, Some(CLIP_LENGTH));
        media::check(&media::pictures_of(&call.browser.call("pictures", json!([0, 3, 2])).await), None);
        call.close().await;
    });
}

fn attribute(sdp: &str, name: &str) -> Option<String> {
    sdp.lines()
        .find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
        .map(str::to_owned)
}

#[test]
fn needs_chromium_media_goes_on_through_ice_restarts_from_either_end() {
    tokio().block_on(async {
        // Whoever offered first, whoever restarts: the roles in DTLS stay.
        for we_offered in [true, false] {
            let mut call = Call::new().await;
            if !we_offered {
                call.let_chromium_offer();
                call.browser.call("openChannel", json!(["first", {}])).await;
                call.connected().await;
            }
            let (_ours, mut theirs) = both_send_video(&mut call).await;
            for we_restart in [false, true, false] {
                let said = call.said.lock().unwrap().len();
                if we_restart {
                    call.peer.restart_ice().await.unwrap();
                } else {
                    call.browser.call("restartIce", json!([])).await;
                }
                let answer = within("the answer", async {
                    loop {
                        let answer =
                            call.said.lock().unwrap()[said..].iter().find_map(
                                |(ours, signal)| match signal {
                                    Signal::Description { kind: DescriptionKind::Answer, sdp }
                                        if *ours != we_restart =>
                                    {
                                        Some(sdp.clone())
                                    }
                                    Signal::Description { .. } | Signal::Candidate { .. } => None,
                                },
                            );
                        if let Some(answer) = answer {
                            return answer;
                        }
                        theirs.next(1).await;
                    }
                })
                .await;
                // The one that answered first connects.
                let connects = we_offered == we_restart;
                let role = if connects { "active" } else { "passive" };
                assert_eq!(attribute(&answer, "setup").as_deref(), Some(role), "{we_offered} {we_restart}");
                let frames = theirs.frames.load(Relaxed);
                media::check(&theirs.next(15).await, Some(CLIP_LENGTH));
                assert!(theirs.frames.load(Relaxed) >= frames + 15);
                media::check(
                    &media::pictures_of(&call.browser.call("pictures", json!([0, 5, 3])).await),
                    None,
                );
                assert_eq!(call.browser.call("state", json!([])).await, "connected");
            }
            call.close().await;
        }
    });
}
