//! The WebSocket: whole text messages each way, and nothing else.
//!
//! One address after the other is tried; where the system says so, a proxy is asked.

use std::sync::Arc;

use ahoy_signal::{Refusal, limits};
use ahoy_tunnel::{Tunnel, TunnelError};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::address::ServerUrl;
use crate::reach::ReachError;
use crate::session::OUTSTANDING_MOST;

/// Messages on their way to the network. The session has at most this many unanswered; if the network does not take them,
/// the connection is given up, and the session goes on on the next.
const OUTGOING: usize = OUTSTANDING_MOST + 64;
/// Messages from the network that the session has not looked at. When it is full nothing more is read, and the server sees
/// a slow connection.
const INCOMING: usize = 64;
/// Messages are short: what is read and written at once.
const BUFFER: usize = 16 * 1024;

/// What comes out of a connection.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// The server says something.
    Text(String),
    /// It is over, with this close code. Nothing follows.
    Closed(Option<u16>),
}

/// A connection that is open. Dropping it closes it at once.
#[derive(Debug)]
pub(crate) struct Connection {
    outgoing: mpsc::Sender<String>,
    incoming: mpsc::Receiver<Arrived>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sent something that the connection does not take any more.
#[derive(Debug)]
pub(crate) struct Stuck;

impl Connection {
    /// Opens a connection. Takes as long as it takes: the caller bounds it.
    pub(crate) async fn open(
        server: &ServerUrl,
        tls: Arc<ClientConfig>,
        tunnel: &Tunnel,
    ) -> Result<Self, ReachError> {
        let name = server.to_string();
        let unreachable = |error: std::io::Error| ReachError::of(&name, &error);
        let tcp = match tunnel.connect(server.host(), server.port()).await {
            Ok(tcp) => tcp,
            Err(TunnelError::Host(error)) => return Err(unreachable(error)),
            Err(error) => return Err(ReachError::Unreachable { server: name, cause: error.to_string() }),
        };
        if !server.is_encrypted() {
            return Self::shake_hands(server, tcp).await;
        }
        let host = ServerName::try_from(server.host().to_owned())
            .map_err(|error| ReachError::Unreachable { server: name.clone(), cause: error.to_string() })?;
        let encrypted = TlsConnector::from(tls).connect(host, tcp).await.map_err(unreachable)?;
        Self::shake_hands(server, encrypted).await
    }

    async fn shake_hands<S>(server: &ServerUrl, stream: S) -> Result<Self, ReachError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let name = server.to_string();
        let not_ahoy = |cause: String| ReachError::NotAhoy { server: name.clone(), cause };
        let request = server.socket().into_client_request().map_err(|error| not_ahoy(error.to_string()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .max_message_size(Some(limits::SERVER_MESSAGE_LONGEST))
            .max_frame_size(Some(limits::SERVER_MESSAGE_LONGEST));
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let socket = match opened {
            Ok((socket, _)) => socket,
            Err(Error::Http(response)) => {
                let refusal = response.body().as_ref().and_then(|body| read_refusal(body));
                return Err(match refusal {
                    Some(refusal) => ReachError::Refused(refusal),
                    None => not_ahoy(format!("it answers {}", response.status())),
                });
            }
            Err(Error::Io(error)) => return Err(ReachError::of(&name, &error)),
            Err(other) => return Err(not_ahoy(other.to_string())),
        };
        let (outgoing, to_send) = mpsc::channel(OUTGOING);
        let (arrived, incoming) = mpsc::channel(INCOMING);
        let task = tokio::spawn(carry(socket, to_send, arrived));
        Ok(Self { outgoing, incoming, task })
    }

    /// Sends a message.
    pub(crate) fn send(&self, text: String) -> Result<(), Stuck> {
        self.outgoing.try_send(text).map_err(|_| Stuck)
    }

    /// The next message, or the end.
    pub(crate) async fn next(&mut self) -> Arrived {
        self.incoming.recv().await.unwrap_or(Arrived::Closed(None))
    }
}

fn read_refusal(body: &[u8]) -> Option<Refusal> {
    serde_json::from_slice(body).ok()
}

/// Carries messages both ways until one of them ends.
async fn carry<S>(
    socket: WebSocketStream<S>,
    mut to_send: mpsc::Receiver<String>,
    arrived: mpsc::Sender<Arrived>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    let sending = async {
        while let Some(text) = to_send.recv().await {
            let mut fed = sink.feed(Message::text(text)).await;
            while let (Ok(()), Ok(text)) = (&fed, to_send.try_recv()) {
                fed = sink.feed(Message::text(text)).await;
            }
            if fed.is_err() || sink.flush().await.is_err() {
                break;
            }
        }
        // What the server said last, such as why it closes, is still to be read: reading ends by itself.
        std::future::pending::<Option<u16>>().await
    };
    let receiving = async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    if arrived.send(Arrived::Text(text.as_str().to_owned())).await.is_err() {
                        return None;
                    }
                }
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                // Nothing that the server says is binary or too long.
                Some(Ok(Message::Binary(_) | Message::Frame(_)) | Err(_)) | None => return None,
            }
        }
    };
    let code = tokio::select! { code = receiving => code, code = sending => code };
    // Nobody listens any more where the session has let go of the connection.
    let _ = arrived.send(Arrived::Closed(code)).await;
}
