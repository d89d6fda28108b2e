//! A page as the window's: a WebSocket client of the picture socket.

use std::time::Duration;

use ahoy_client::picture_socket::{Access, PictureSocket};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) const WINDOW: &str = "tauri://localhost";
/// Nothing here takes long; a test that waits longer than this has failed.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) type Page = WebSocketStream<TcpStream>;

pub(crate) async fn socket() -> PictureSocket {
    PictureSocket::start(vec![WINDOW.into()]).await.unwrap()
}

pub(crate) async fn connect(access: &Access, origin: Option<&'static str>) -> Result<Page, Box<Error>> {
    let mut request = access.url.as_str().into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_static(origin));
    }
    let address = access.url.trim_start_matches("ws://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.map(|(page, _)| page).map_err(Box::new)
}

pub(crate) async fn say(page: &mut Page, text: &str) {
    page.send(Message::text(text)).await.unwrap();
}

pub(crate) async fn hello(access: &Access, stream: &str) -> Page {
    hello_with(access, stream, "h264").await
}

pub(crate) async fn hello_with(access: &Access, stream: &str, format: &str) -> Page {
    let mut page = connect(access, Some(WINDOW)).await.unwrap();
    let token = &access.token;
    say(&mut page, &format!(r#"{{"token": "{token}", "stream": "{stream}", "accepts": "{format}"}}"#)).await;
    page
}

/// The next message, or the code with which the server closes.
pub(crate) async fn hear(page: &mut Page) -> Result<Bytes, u16> {
    match tokio::time::timeout(SOON, page.next()).await.expect("an answer comes soon") {
        Some(Ok(Message::Binary(picture))) => Ok(picture),
        Some(Ok(Message::Close(Some(frame)))) => Err(frame.code.into()),
        other => panic!("{other:?}"),
    }
}
