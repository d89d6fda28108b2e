//! The window's pictures over a real WebSocket: who gets them, and how they keep pace with the page.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::page::{SOON, connect, hear, hello, say, socket};
use ahoy_client::picture_socket::{
    Access, Area, PageEvent, Picture, PictureFormat, PictureSender, PictureSocket, StreamName,
};
use ahoy_media_types::{ColorMatrix, MediaTime};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Error, Message};

fn open(socket: &PictureSocket) -> (PictureSender, Receiver<PageEvent>) {
    let (events_tx, events) = channel();
    let events_tx = Mutex::new(events_tx);
    let listener = move |event| {
        let _ = events_tx.lock().unwrap().send(event);
    };
    (socket.open(StreamName::Remote, Box::new(listener)), events)
}

fn picture(keyframe: bool, text: &'static [u8]) -> Picture {
    Picture::Encoded { data: Bytes::from_static(text), keyframe, color: ColorMatrix::default() }
}

fn next(events: &Receiver<PageEvent>) -> PageEvent {
    tokio::task::block_in_place(|| events.recv_timeout(SOON)).expect("the page's word comes soon")
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_reach_the_page_and_it_reports_what_it_has_drawn() {
    let socket = socket().await;
    let (sender, events) = open(&socket);
    let mut page = hello(&socket.access(), "remote").await;
    assert_eq!(next(&events), PageEvent::Attached(PictureFormat::H264));
    say(&mut page, r#"{"type": "credit", "pictures": 2}"#).await;
    let first = sender.send(picture(true, b"key"), MediaTime::from_micros(33));
    sender.send(picture(false, b"delta"), MediaTime::from_micros(66));
    let message = hear(&mut page).await.unwrap();
    assert_eq!((&message[24..], message[16]), (&b"key"[..], 33));
    assert_eq!(&hear(&mut page).await.unwrap()[24..], b"delta");
    let before = Instant::now();
    say(&mut page, &format!(r#"{{"type": "shown", "picture": {first}}}"#)).await;
    let shown = next(&events);
    let just_now = before..=Instant::now();
    assert!(matches!(shown, PageEvent::Shown(number, at) if number == first && just_now.contains(&at)));
    say(&mut page, r#"{"type": "keyframe"}"#).await;
    assert_eq!(next(&events), PageEvent::KeyframeWanted);
    say(&mut page, r#"{"type": "size", "width": 1280, "height": 720}"#).await;
    assert_eq!(next(&events), PageEvent::Size(Area { width: 1_280, height: 720 }));
    drop(page);
    assert_eq!(next(&events), PageEvent::Detached);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_window_may_connect() {
    let socket = socket().await;
    let (_sender, events) = open(&socket);
    for origin in [None, Some("https://evil.example"), Some("null"), Some("tauri://localhost.evil.example")] {
        let refused = connect(&socket.access(), origin).await.unwrap_err();
        let Error::Http(response) = *refused else { panic!("{refused:?}") };
        assert_eq!(response.status(), 403, "{origin:?}");
    }
    drop(socket);
    assert!(events.try_recv().is_err(), "nobody was attached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_needed_and_good_once() {
    let socket = socket().await;
    let (_sender, events) = open(&socket);
    let access = socket.access();
    let forged = Access { token: "0".repeat(64), ..access.clone() };
    assert_eq!(hear(&mut hello(&forged, "remote").await).await, Err(4401));
    let _page = hello(&access, "remote").await;
    // Of two that come at the same time either could be the first.
    assert_eq!(next(&events), PageEvent::Attached(PictureFormat::H264));
    assert_eq!(hear(&mut hello(&access, "remote").await).await, Err(4401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_comes_before_the_stream_waits_for_it_and_sees_its_first_picture() {
    let socket = socket().await;
    let mut page = hello(&socket.access(), "remote").await;
    say(&mut page, r#"{"type": "credit", "pictures": 1}"#).await;
    // The answer to the ping shows that the server has heard what came before.
    page.send(Message::Ping(Bytes::from_static(b"heard?"))).await.unwrap();
    let answer = tokio::time::timeout(SOON, page.next()).await.expect("an answer comes soon");
    assert!(matches!(answer, Some(Ok(Message::Pong(_)))), "{answer:?}");
    let (sender, events) = open(&socket);
    assert_eq!(next(&events), PageEvent::Attached(PictureFormat::H264));
    sender.send(picture(true, b"key"), MediaTime::ZERO);
    assert_eq!(&hear(&mut page).await.unwrap()[24..], b"key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_is_closed_and_can_be_waited_for_again() {
    let socket = socket().await;
    let (sender, events) = open(&socket);
    let mut page = hello(&socket.access(), "remote").await;
    assert_eq!(next(&events), PageEvent::Attached(PictureFormat::H264));
    drop(sender);
    assert_eq!(hear(&mut page).await, Err(4404));
    let _page = hello(&socket.access(), "remote").await;
    let (_sender, events) = open(&socket);
    assert_eq!(next(&events), PageEvent::Attached(PictureFormat::H264));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_none_of_the_protocol_end_the_connection() {
    let socket = socket().await;
    let (_sender, _events) = open(&socket);
    for nonsense in ["", "{}", "[[[[", r#"{"type": "credit"}"#] {
        let mut page = hello(&socket.access(), "remote").await;
        say(&mut page, nonsense).await;
        assert_eq!(hear(&mut page).await, Err(4400), "{nonsense}");
    }
    let mut page = hello(&socket.access(), "remote").await;
    page.send(Message::binary(vec![0; 10])).await.unwrap();
    assert_eq!(hear(&mut page).await, Err(4400));
    // Longer than any message of the protocol: the server hangs up without a word.
    let mut page = hello(&socket.access(), "remote").await;
    let _ = page.send(Message::text("x".repeat(1 << 20))).await;
    let last = tokio::time::timeout(SOON, page.next()).await.expect("the server hangs up");
    assert!(!matches!(last, Some(Ok(Message::Binary(_)))), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_loaded_again_takes_the_stream_over() {
    let socket = socket().await;
    let (sender, events) = open(&socket);
    let mut before = hello(&socket.access(), "remote").await;
    assert_eq!(next(&events), PageEvent::Attached(PictureFormat::H264));
    let mut now = hello(&socket.access(), "remote").await;
    assert_eq!(next(&events), PageEvent::Attached(PictureFormat::H264));
    assert_eq!(hear(&mut before).await, Err(4409));
    say(&mut now, r#"{"type": "credit", "pictures": 1}"#).await;
    sender.send(picture(true, b"key"), MediaTime::ZERO);
    assert_eq!(&hear(&mut now).await.unwrap()[24..], b"key");
}
