//! A call to oneself works from source to sink, and its report tells the truth about what happened to it.

use std::time::Duration;

use crate::support::{Emulated, call_over, names, small_call};
use ahoy_client::loopback::DirectPath;
use ahoy_client::{AudioSourceSpec, ProblemCode, VideoSourceSpec};
use ahoy_testkit::wire::WireKind;
use ahoy_testkit::{Direction, LinkConfig};

#[test]
fn loopback_delivers_pictures_and_sound_from_source_to_sink() {
    let report = call_over(&small_call(4.0), &mut DirectPath, |_| {});
    let video = report.video.as_ref().unwrap();
    let audio = report.audio.as_ref().unwrap();
    assert!(report.path.as_ref().unwrap().local.starts_with("127.0.0.1:"), "{report:#?}");
    assert!(video.frames_sent > 60, "{video:#?}");
    assert!(video.frames_rendered + 3 >= video.frames_sent, "{video:#?}");
    assert!(video.psnr_y_db.unwrap() > 30.0 && video.ssim.unwrap() > 0.9, "{video:#?}");
    assert!(video.ssim_seen.unwrap() > video.ssim.unwrap() - 0.05, "nearly all is seen: {video:#?}");
    assert!(video.latency_ms.count >= video.frames_rendered - 1, "nearly every stamp is read: {video:#?}");
    assert!(audio.delay_ms.count >= 4, "chirps are found: {audio:#?}");
    assert!(audio.packets_received + 3 >= audio.packets_sent, "{audio:#?}");
    assert!(
        !names(&report, ProblemCode::NotConnected) && !names(&report, ProblemCode::NoMedia),
        "{report:#?}"
    );
}

#[test]
fn loopback_report_shows_the_packets_that_a_lossy_link_took() {
    let clean = LinkConfig::builder().delay(Duration::from_millis(10)).build().unwrap();
    let lossy = clean.to_builder().random_loss(0.05).seed(7).build().unwrap();
    let mut path = Emulated::new(clean);
    let handle = path.handle();
    let mut is_lossy = false;
    let report = call_over(&small_call(5.0), &mut path, |_| {
        // From the first moment of the call on, so that the losses are media's and not the handshake's.
        if !is_lossy {
            is_lossy = true;
            handle.set(Direction::AToB, lossy.clone());
        }
    });
    let video = report.video.as_ref().unwrap();
    assert!(handle.counters(Direction::AToB).lost > 10);
    assert!(video.packets_retransmitted > 0, "{video:#?}");
    assert!(
        video.packets_retransmitted < video.packets_sent / 5,
        "losses are repaired, not repeated: {video:#?}"
    );
}

#[test]
fn loopback_report_is_not_ok_when_a_leg_is_killed() {
    let mut path = Emulated::new(LinkConfig::builder().build().unwrap());
    let handle = path.handle();
    let report = call_over(&small_call(4.0), &mut path, |elapsed| {
        if elapsed > Duration::from_secs(1) {
            handle.block(Direction::AToB);
        }
    });
    let video = report.video.as_ref().unwrap();
    assert!(!report.ok, "{report:#?}");
    assert!(names(&report, ProblemCode::FramesLost) && names(&report, ProblemCode::Freezes), "{report:#?}");
    assert!(video.frames_rendered < video.frames_sent / 2 + 10, "{video:#?}");
    assert!(video.freeze_ms > 2000.0, "the picture stood still to the end: {video:#?}");
    assert!(video.ssim_seen.unwrap() < video.ssim.unwrap() - 0.1, "which is what was seen: {video:#?}");
}

#[test]
fn loopback_report_shows_a_freeze_and_a_gap_in_the_sound_and_that_the_picture_came_back() {
    let mut path = Emulated::new(LinkConfig::builder().build().unwrap());
    let handle = path.handle();
    let report = call_over(&small_call(6.0), &mut path, |elapsed| {
        let gone = (2000..3000).contains(&elapsed.as_millis());
        if gone { handle.block(Direction::AToB) } else { handle.unblock(Direction::AToB) }
    });
    let (video, audio) = (report.video.as_ref().unwrap(), report.audio.as_ref().unwrap());
    // Of a second the next packet has copies of 60 ms at most (RFC 2198); the rest stays lost.
    assert!(audio.packets_lost > 0 && audio.concealed_ratio > 0.0, "{audio:#?}");
    assert!(video.freezes >= 1 && (500.0..2500.0).contains(&video.freeze_ms), "{video:#?}");
    assert!(video.frames_rendered > 80, "the picture came back: {video:#?}");
}

#[test]
fn loopback_puts_nothing_readable_on_the_wire() {
    let mut config = small_call(2.0);
    config.audio = Some(AudioSourceSpec::Tone);
    let mut path = Emulated::new(LinkConfig::builder().build().unwrap());
    let handle = path.handle();
    handle.start_tap();
    let report = call_over(&config, &mut path, |_| {});
    let tap = handle.stop_tap();
    assert!(report.video.unwrap().frames_rendered > 0);
    let rtp: Vec<_> = tap.packets.iter().filter(|p| WireKind::of(&p.data) == WireKind::Rtp).collect();
    assert!(rtp.len() > 100, "media was captured: {} packets", rtp.len());
    // Plain H.264 opens every parameter set and fragment with one of few bytes; under SRTP all values come up.
    let first_bytes: std::collections::HashSet<u8> =
        rtp.iter().filter_map(|p| p.data.get(p.data.len() / 2)).copied().collect();
    assert!(first_bytes.len() > 50, "payload bytes look encrypted: {} values", first_bytes.len());
    // A coded black-and-white stamp repeats byte runs; ciphertext has no run of five equal bytes in 200 packets but by
    // a chance of one in a million.
    let runs = rtp
        .iter()
        .filter(|p| p.data[40.min(p.data.len())..].windows(6).any(|w| w.iter().all(|b| *b == w[0])));
    assert_eq!(runs.count(), 0);
}

#[test]
fn loopback_without_sound_or_without_pictures_is_a_call_too() {
    let mut silent = small_call(1.5);
    silent.audio = None;
    let report = call_over(&silent, &mut DirectPath, |_| {});
    assert!(report.audio.is_none() && report.video.unwrap().frames_rendered > 20);
    let mut blind = small_call(1.5);
    blind.video = None;
    let report = call_over(&blind, &mut DirectPath, |_| {});
    assert!(report.video.is_none() && report.audio.unwrap().packets_received > 40);
}

#[test]
fn loopback_goes_on_with_sound_when_the_clip_is_missing() {
    let mut config = small_call(1.5);
    config.video = Some(VideoSourceSpec::File("/nowhere/clip.y4m".into()));
    let report = call_over(&config, &mut DirectPath, |_| {});
    assert!(!report.ok);
    let problem = report
        .problems
        .iter()
        .find(|p| p.code == ProblemCode::ClipUnusable)
        .expect("the missing clip is named");
    assert!(problem.message.contains("/nowhere/clip.y4m"), "{problem:?}");
    assert!(report.audio.unwrap().packets_received > 40);
}
