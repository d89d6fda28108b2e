//! A second connection on the way of media, for what is large and may wait: QUIC (RFC 9000), which fills ways that are long, or lose
//! packets, where the data channels' SCTP does not.
//!
//! Both sides say in their descriptions that they take it, and which certificate they have ([`identity`]). The one that keeps its
//! offers connects as soon as there is a way. Where that does not come about within [`WITHIN`], there is none: what would have
//! gone over it goes over data channels.

mod control;
mod identity;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use ahoy_ice::Bulk as Datagrams;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use self::control::{Factory, Shared};
pub(crate) use self::identity::Identity;
use self::socket::{Socket, THERE};
use crate::config::Politeness;
use crate::uplink::Uplink;

pub use quinn::{ReadExactError, RecvStream, SendStream, WriteError};

/// How long it may take to come about, once there is a way.
const WITHIN: Duration = Duration::from_secs(3);
/// Streams that carry one piece each, at most at once.
const PIECES: u32 = 256;
/// Bytes of one stream, and of all, that may wait here to be read: 100 Mb/s over more than a second.
const STREAM_WINDOW: u32 = 256 * 1024;
const WINDOW: u32 = 16 * 1024 * 1024;
/// How long it stays without a word of the other side: less than those who use it wait for an answer before they stop, and as long
/// as ICE looks for another way.
const IDLE: Duration = Duration::from_secs(30);
/// How often it is asked whether the other side is there, while there is nothing to say.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// How long the good-bye may take.
const FAREWELL: Duration = Duration::from_millis(200);
/// Bytes of a connection that asks to be taken, of which there is one.
const ASKING: u64 = 64 * 1024;
/// What a question may take before anything is known of the way.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

/// How far it is.
#[derive(Clone, Debug)]
enum State {
    Pending,
    None,
    Open(Bulk),
}

/// The connection. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Bulk {
    connection: Connection,
    endpoint: Endpoint,
    control: Arc<Shared>,
}

/// The connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection for files is gone: {0}")]
pub struct BulkLost(#[from] quinn::ConnectionError);

impl Bulk {
    /// Opens a stream in both directions, for what has to keep its order. The other side hears of it with the first bytes.
    ///
    /// # Errors
    /// [`BulkLost`], as with everything here.
    pub async fn open_pair(&self) -> Result<(SendStream, RecvStream), BulkLost> {
        Ok(self.connection.open_bi().await?)
    }

    /// The next stream in both directions that the other side opens.
    ///
    /// # Errors
    /// [`BulkLost`].
    pub async fn accept_pair(&self) -> Result<(SendStream, RecvStream), BulkLost> {
        Ok(self.connection.accept_bi().await?)
    }

    /// Opens a stream for one piece; waits while there are as many as the other side takes at once.
    ///
    /// # Errors
    /// [`BulkLost`].
    pub async fn open(&self) -> Result<SendStream, BulkLost> {
        Ok(self.connection.open_uni().await?)
    }

    /// The next piece of the other side.
    ///
    /// # Errors
    /// [`BulkLost`].
    pub async fn accept(&self) -> Result<RecvStream, BulkLost> {
        Ok(self.connection.accept_uni().await?)
    }

    /// Whether this side has connected to the other: then it opens what there is one of.
    pub fn is_client(&self) -> bool {
        self.connection.side().is_client()
    }

    /// Ends it. What has not arrived does not arrive any more.
    pub fn close(&self) {
        self.control.close();
        self.connection.close(VarInt::from_u32(0), b"");
    }

    /// There is another way: what was sent over the one before may be lost, and need not be waited for.
    fn go_on(&self, socket: Socket) {
        if let Err(error) = self.endpoint.rebind_abstract(Arc::new(socket)) {
            tracing::debug!(%error, "QUIC does not go on at once");
        }
    }

    /// Waits until it is gone, and tells why it is.
    pub async fn closed(&self) -> BulkLost {
        self.connection.closed().await.into()
    }
}

/// Where others hear whether there is such a connection.
#[derive(Clone, Debug)]
pub(crate) struct Awaited(watch::Receiver<State>);

impl Awaited {
    /// Waits until it is known; `None` where there will be none.
    pub(crate) async fn known(&self) -> Option<Bulk> {
        let mut state = self.0.clone();
        let known = state.wait_for(|state| !matches!(state, State::Pending)).await;
        match known.map(|state| state.clone()) {
            Ok(State::Open(bulk)) => Some(bulk),
            Ok(State::None | State::Pending) | Err(_) => None,
        }
    }
}

/// This side of what is to come about.
#[derive(Debug)]
pub(crate) struct BulkSide {
    datagrams: Datagrams,
    control: Arc<Shared>,
    identity: Arc<Identity>,
    role: Politeness,
    theirs: Option<identity::Fingerprint>,
    connecting: Option<AbortHandle>,
    state: Arc<watch::Sender<State>>,
}

impl BulkSide {
    pub(crate) fn new(
        datagrams: Datagrams,
        uplink: Uplink,
        role: Politeness,
    ) -> Result<(Self, Awaited), rcgen::Error> {
        let (state, known) = watch::channel(State::Pending);
        let identity = Arc::new(Identity::new()?);
        let (state, control) = (Arc::new(state), Shared::new(uplink));
        let side = Self { datagrams, control, identity, role, theirs: None, connecting: None, state };
        Ok((side, Awaited(known)))
    }

    /// The line of a description that tells of it.
    pub(crate) fn line(&self) -> String {
        self.identity.line()
    }

    /// Takes in the other side's description.
    pub(crate) fn told(&mut self, sdp: &str) {
        if self.connecting.is_none() {
            self.theirs = identity::told(sdp);
        }
    }

    /// Ends it, while there is a way to say so.
    pub(crate) async fn end(self) {
        let open = match &*self.state.borrow() {
            State::Open(bulk) => Some(bulk.clone()),
            State::Pending | State::None => None,
        };
        if let Some(bulk) = open {
            bulk.close();
            // Gone when the other side has had time to hear it.
            let _ = timeout(FAREWELL, bulk.endpoint.wait_idle()).await;
        }
    }

    /// There is a way, or another one: connects over it, or has the connection go on there.
    pub(crate) fn connected(&mut self) {
        if let State::Open(bulk) = &*self.state.borrow() {
            bulk.go_on(Socket::new(self.datagrams.clone(), Arc::clone(&self.control)));
        }
        if self.connecting.is_some() {
            return;
        }
        let Some(theirs) = self.theirs else {
            self.datagrams.end();
            self.state.send_replace(State::None);
            return;
        };
        let (datagrams, identity, role) = (self.datagrams.clone(), Arc::clone(&self.identity), self.role);
        let control = Arc::clone(&self.control);
        let state = Arc::clone(&self.state);
        let connecting = tokio::spawn(async move {
            let connecting = timeout(WITHIN, connect(datagrams.clone(), control, &identity, role, theirs));
            let outcome = match connecting.await {
                Ok(Ok(bulk)) => State::Open(bulk),
                Ok(Err(error)) => {
                    tracing::info!(%error, "files go over data channels");
                    State::None
                }
                Err(_) => {
                    tracing::info!("files go over data channels: QUIC is not answered");
                    State::None
                }
            };
            match &outcome {
                State::Open(bulk) => {
                    let Bulk { connection, endpoint, .. } = bulk.clone();
                    state.send_replace(outcome);
                    connection.closed().await;
                    // A good-bye that was lost is said again to whoever goes on.
                    endpoint.wait_idle().await;
                }
                State::None | State::Pending => drop(state.send_replace(outcome)),
            }
            // Nobody takes them any more.
            datagrams.end();
        });
        self.connecting = Some(connecting.abort_handle());
    }
}

impl Drop for BulkSide {
    fn drop(&mut self) {
        if let Some(connecting) = &self.connecting {
            connecting.abort();
        }
        self.datagrams.end();
        if let State::Open(bulk) = &*self.state.borrow() {
            bulk.close();
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum NotConnected {
    #[error(transparent)]
    Identity(#[from] identity::Unusable),
    #[error(transparent)]
    Socket(#[from] std::io::Error),
    #[error(transparent)]
    Asked(#[from] quinn::ConnectError),
    #[error(transparent)]
    Lost(#[from] quinn::ConnectionError),
    #[error("it was closed")]
    Closed,
}

async fn connect(
    datagrams: Datagrams,
    control: Arc<Shared>,
    identity: &Identity,
    role: Politeness,
    theirs: identity::Fingerprint,
) -> Result<Bulk, NotConnected> {
    let mut options = EndpointConfig::default();
    // It tells these datagrams from others.
    options.grease_quic_bit(false);
    let transport = Arc::new(transport(Arc::clone(&control)));
    let server = match role {
        Politeness::Impolite => None,
        Politeness::Polite => {
            let crypto = identity.server(theirs)?;
            let mut config = ServerConfig::with_crypto(Arc::new(crypto));
            // The way is ICE's business.
            config.transport_config(Arc::clone(&transport)).migration(false);
            config.max_incoming(1).incoming_buffer_size(ASKING).incoming_buffer_size_total(ASKING);
            Some(config)
        }
    };
    let is_server = server.is_some();
    let socket = Arc::new(Socket::new(datagrams, Arc::clone(&control)));
    let endpoint = Endpoint::new_with_abstract_socket(options, server, socket, Arc::new(TokioRuntime))?;
    let connection = if is_server {
        let incoming = endpoint.accept().await.ok_or(NotConnected::Closed)?;
        endpoint.set_server_config(None);
        incoming.await?
    } else {
        let crypto = identity.client(theirs)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport);
        endpoint.connect_with(config, THERE, identity::NAME)?.await?
    };
    Ok(Bulk { connection, endpoint, control })
}

fn transport(control: Arc<Shared>) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(4))
        .max_concurrent_uni_streams(VarInt::from_u32(PIECES))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        // Pieces one after the other, so that each is there as early as it can be.
        .send_fairness(false)
        .initial_rtt(FIRST_ROUND_TRIP)
        .max_idle_timeout(IDLE.try_into().ok())
        .keep_alive_interval(Some(ASK_EVERY))
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(Factory(control)));
    transport
}
