//! The WebSocket server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_media_types::MediaClock;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

use super::access::{Access, Tokens};
use super::stream::{Next, PageListener, PictureSender, Stream};
use super::wire::{FromPage, Hello, LONGEST_FROM_PAGE, StreamName, read};

/// Connections at the same time: the window needs two. Others wait to be accepted, so that nobody can use up memory.
const MOST_CONNECTIONS: usize = 8;
/// How long a connection may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// The token is not good, or no longer.
const BAD_TOKEN: u16 = 4401;
/// The stream has ended.
const ENDED: u16 = 4404;
/// Another page draws the stream now.
const TAKEN_OVER: u16 = 4409;
/// The message is none of the protocol.
const BAD_MESSAGE: u16 = 4400;

/// Why there are no pictures in the window.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nothing can be listened on.
    #[error(
        "the window can't be given pictures ({0}): is a firewall in the way of connections within this machine?"
    )]
    Listen(io::Error),
}

/// The server; dropping it ends it and all connections.
#[derive(Debug)]
pub struct PictureSocket {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

struct Shared {
    /// By which tokens become too old.
    clock: MediaClock,
    origins: Vec<String>,
    tokens: Tokens,
    local: Arc<Stream>,
    remote: Arc<Stream>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("origins", &self.origins).finish_non_exhaustive()
    }
}

impl PictureSocket {
    /// Listens on a free port of 127.0.0.1 for pages from one of `origins`, such as `tauri://localhost`. Must be called on
    /// a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError::Listen`].
    pub async fn start(origins: Vec<String>) -> Result<Self, SocketError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(SocketError::Listen)?;
        let address = listener.local_addr().map_err(SocketError::Listen)?;
        let shared = Arc::new(Shared {
            clock: MediaClock::start(),
            origins,
            tokens: Tokens::default(),
            local: Arc::default(),
            remote: Arc::default(),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// What a page needs for one connection.
    pub fn access(&self) -> Access {
        let token = self.shared.tokens.issue(self.shared.clock.now());
        Access { url: format!("ws://{}/", self.address), token }
    }

    /// Opens a stream, in place of one of the same name. `listener` is told what the page says about it.
    pub fn open(&self, name: StreamName, listener: PageListener) -> PictureSender {
        self.shared.stream(name).open(listener)
    }
}

impl Drop for PictureSocket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Aborted with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((socket, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    shared.connection(socket).await;
                    drop(place);
                });
            }
            // Of the one connection, not of the listener.
            Err(error) => tracing::debug!(%error, "a connection for pictures was not accepted"),
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

impl Shared {
    async fn connection(&self, socket: TcpStream) {
        // Each picture is one message and should not wait for the next.
        let _ = socket.set_nodelay(true);
        let Ok(Ok(mut socket)) = timeout(PATIENCE, self.handshake(socket)).await else { return };
        let hello = match timeout(PATIENCE, self.hello(&mut socket)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(code)) => return close(socket, code).await,
            Err(_) => return close(socket, BAD_MESSAGE).await,
        };
        let stream = self.stream(hello.stream);
        let (id, changed) = stream.attach(hello.accepts);
        let code = self.pictures(&mut socket, stream, id, &changed).await;
        stream.detach(id);
        if let Some(code) = code {
            close(socket, code).await;
        }
    }

    /// Browsers always say which page a connection is from, and pages can't change it.
    async fn handshake(&self, socket: TcpStream) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LONGEST_FROM_PAGE))
            .max_frame_size(Some(LONGEST_FROM_PAGE));
        #[expect(clippy::result_large_err, reason = "the library's error is as large as it is")]
        let check = |request: &Request, response: Response| {
            let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
            if origin.is_some_and(|origin| self.origins.iter().any(|allowed| allowed == origin)) {
                return Ok(response);
            }
            let mut refusal = ErrorResponse::new(Some("This port belongs to Ahoy's window.".into()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            Err(refusal)
        };
        tokio_tungstenite::accept_hdr_async_with_config(socket, check, Some(config)).await
    }

    fn stream(&self, name: StreamName) -> &Arc<Stream> {
        match name {
            StreamName::Local => &self.local,
            StreamName::Remote => &self.remote,
        }
    }

    /// What a page that may have pictures wants, or the code to close with.
    async fn hello(&self, socket: &mut Socket) -> Result<Hello, u16> {
        let Some(Ok(Message::Text(text))) = socket.next().await else { return Err(BAD_MESSAGE) };
        let hello: Hello = read(&text).ok_or(BAD_MESSAGE)?;
        if !self.tokens.redeem(&hello.token, self.clock.now()) {
            return Err(BAD_TOKEN);
        }
        Ok(hello)
    }

    /// Sends pictures until the page or the stream is gone. Returns the code to close with, if the page is still there.
    async fn pictures(&self, socket: &mut Socket, stream: &Stream, id: u64, changed: &Notify) -> Option<u16> {
        loop {
            match stream.next(id) {
                Next::Send(number, at, picture) => {
                    socket.send(Message::Binary(picture.to_message(number, at))).await.ok()?;
                    continue;
                }
                Next::Wait => {}
                Next::Ended => return Some(ENDED),
                Next::TakenOver => return Some(TAKEN_OVER),
            }
            tokio::select! {
                () = changed.notified() => {}
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => match read::<FromPage>(&text) {
                        Some(message) => stream.on_message(id, &message, Instant::now()),
                        None => return Some(BAD_MESSAGE),
                    },
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Binary(_) | Message::Frame(_))) => return Some(BAD_MESSAGE),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                },
            }
        }
    }
}

/// Closes with the page's consent: a socket that is dropped while the page still talks is reset, and the page never learns
/// why (RFC 6455 section 7.1.1).
async fn close(mut socket: Socket, code: u16) {
    let frame = CloseFrame { code: code.into(), reason: "".into() };
    let farewell = async {
        if socket.close(Some(frame)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // Whoever is at the other end may be gone.
    let _ = timeout(PATIENCE, farewell).await;
}
