//! Pictures are made for whoever sees them: two people in a room, one of whom has a window.

use std::sync::Arc;
use std::time::Duration;

use crate::cuts::meet;
use crate::page::{hello, say, socket};
use ahoy_client::calls::{CallScreen, Calls, CallsEvent, CallsOptions, MediaOptions};
use ahoy_client::loopback::{CallStats, Cause};
use ahoy_client::{AudioSinkSpec, VideoFormat, VideoSourceSpec};
use ahoy_media_types::{FrameRate, FrameSize};
use ahoy_signal::{CallMedia, Name, RoomSettings};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything: much more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// With the test pattern for a camera, and nobody's devices.
fn options(screen: CallScreen) -> CallsOptions {
    let media = MediaOptions {
        camera: VideoSourceSpec::Pattern,
        format: VideoFormat { size: FrameSize::new(640, 360).unwrap(), rate: FrameRate::FPS_30 },
        microphone: None,
        speaker: AudioSinkSpec::Null,
        screen,
        ..MediaOptions::default()
    };
    CallsOptions { media, bind: vec!["127.0.0.1:0".parse().unwrap()], ..CallsOptions::default() }
}

async fn until(
    what: &str,
    events: &mut mpsc::Receiver<CallsEvent>,
    is_so: impl Fn(&CallStats) -> bool,
) -> CallStats {
    let found = async {
        loop {
            match events.recv().await.expect("the session goes on") {
                CallsEvent::Stats(stats) if is_so(&stats) => return *stats,
                _ => {}
            }
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never came: {what}"))
}

/// Height of the pictures that are made, and what limits them; no height where none are.
fn made(stats: &CallStats) -> Option<(Option<u32>, Cause)> {
    let sending = stats.sending.as_ref()?;
    Some((sending.picture.as_ref().map(|picture| picture.height), sending.limited_by?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_made_for_the_size_that_it_is_shown_in_and_not_at_all_where_nobody_looks() {
    let (server, folder) = (crate::desk_people::server(), tempfile::tempdir().unwrap());
    let window = Arc::new(socket().await);
    let (ada, adas) = meet(folder.path(), server.url(), "ada").await;
    let (grace, graces) = meet(folder.path(), server.url(), "grace").await;
    let room = ada.create_room(Name::new("Bridge").unwrap(), RoomSettings::default()).await.unwrap().room;
    let (adas_calls, mut adas_events) = Calls::start(&ada, adas, options(CallScreen::Counted));
    let screen = CallScreen::Window(Arc::clone(&window));
    let (graces_calls, _graces_events) = Calls::start(&grace, graces, options(screen));

    let mut page = hello(&window.access(), "remote").await;
    say(&mut page, r#"{"type": "size", "width": 320, "height": 192}"#).await;
    adas_calls.enter(room, CallMedia::Video).await.unwrap();
    graces_calls.enter(room, CallMedia::Audio).await.unwrap();
    let small = |stats: &CallStats| made(stats) == Some((Some(180), Cause::Viewer));
    until("pictures as small as the window's", &mut adas_events, small).await;

    say(&mut page, r#"{"type": "size", "width": 0, "height": 0}"#).await;
    let none = |stats: &CallStats| made(stats) == Some((None, Cause::Viewer)) && stats.video.fps_sent == 0.0;
    until("no pictures for a window that is minimised", &mut adas_events, none).await;

    say(&mut page, r#"{"type": "size", "width": 640, "height": 368}"#).await;
    let large = |stats: &CallStats| {
        made(stats).is_some_and(|(height, _)| height == Some(360)) && stats.video.fps_sent > 0.0
    };
    until("pictures as large as the window's", &mut adas_events, large).await;
    adas_calls.hang_up().await.unwrap();
    graces_calls.hang_up().await.unwrap();
}
