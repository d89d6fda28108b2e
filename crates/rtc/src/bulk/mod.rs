//! A second connection on the way of media, for what is large and may wait: QUIC (RFC 9000), which fills ways that are long, or lose
//! packets, where the data channels' SCTP does not.
//!
//! Both sides say in their descriptions that they take it, and which certificate they have ([`identity`]). The one that keeps its
//! offers connects as soon as there is a way. Where that does not come about within [`WITHIN`], there is none: what would have
//! gone over it goes over data channels.

mod identity;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use ahoy_ice::Bulk as Datagrams;
use quinn::congestion::BbrConfig;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use tokio::sync::watch;
use tokio::time::timeout;

pub(crate) use self::identity::Identity;
use self::socket::{Socket, THERE};
use crate::config::Politeness;

pub use quinn::{ReadExactError, ReadToEndError, RecvStream, SendStream, WriteError};

/// How long it may take to come about, once there is a way.
const WITHIN: Duration = Duration::from_secs(3);
/// Streams that carry one piece each, at most at once.
const PIECES: u32 = 256;
/// Bytes of one stream, and of all, that may wait here to be read: 100 Mb/s over more than a second.
const STREAM_WINDOW: u32 = 256 * 1024;
const WINDOW: u32 = 16 * 1024 * 1024;
/// ICE finds out that the other side is gone, and may find another way to it; until then this stays.
const IDLE: Duration = Duration::from_secs(120);
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

    /// The round trip as measured last.
    pub fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// Whether this side has connected to the other: then it opens what there is one of.
    pub fn is_client(&self) -> bool {
        self.connection.side().is_client()
    }

    /// Ends it. What has not arrived does not arrive any more.
    pub fn close(&self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }

    /// Waits until it is gone.
    pub async fn closed(&self) {
        self.connection.closed().await;
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
    identity: Arc<Identity>,
    role: Politeness,
    theirs: Option<identity::Fingerprint>,
    begun: bool,
    state: Arc<watch::Sender<State>>,
}

impl BulkSide {
    pub(crate) fn new(datagrams: Datagrams, role: Politeness) -> Result<(Self, Awaited), rcgen::Error> {
        let (state, known) = watch::channel(State::Pending);
        let identity = Arc::new(Identity::new()?);
        let side = Self { datagrams, identity, role, theirs: None, begun: false, state: Arc::new(state) };
        Ok((side, Awaited(known)))
    }

    /// The line of a description that tells of it.
    pub(crate) fn line(&self) -> String {
        self.identity.line()
    }

    /// Takes in the other side's description.
    pub(crate) fn told(&mut self, sdp: &str) {
        if !self.begun {
            self.theirs = identity::told(sdp);
        }
    }

    /// There is a way: connects over it, once.
    pub(crate) fn connected(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let Some(theirs) = self.theirs else {
            self.state.send_replace(State::None);
            return;
        };
        let (datagrams, identity, role) = (self.datagrams.clone(), Arc::clone(&self.identity), self.role);
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            let connecting = timeout(WITHIN, connect(datagrams, &identity, role, theirs));
            let outcome = match connecting.await {
                Ok(Ok(connection)) => State::Open(Bulk { connection }),
                Ok(Err(error)) => {
                    tracing::info!(error, "files go over data channels");
                    State::None
                }
                Err(_) => {
                    tracing::info!("files go over data channels: QUIC is not answered");
                    State::None
                }
            };
            state.send_replace(outcome);
        });
    }
}

impl Drop for BulkSide {
    fn drop(&mut self) {
        if let State::Open(bulk) = &*self.state.borrow() {
            bulk.close();
        }
    }
}

async fn connect(
    datagrams: Datagrams,
    identity: &Identity,
    role: Politeness,
    theirs: identity::Fingerprint,
) -> Result<Connection, String> {
    let mut options = EndpointConfig::default();
    // It tells these datagrams from others.
    options.grease_quic_bit(false);
    let transport = Arc::new(transport());
    let server = match role {
        Politeness::Impolite => None,
        Politeness::Polite => {
            let crypto = identity.server(theirs).map_err(|error| error.to_string())?;
            let mut config = ServerConfig::with_crypto(Arc::new(crypto));
            // The way is ICE's business.
            config.transport_config(Arc::clone(&transport)).migration(false);
            Some(config)
        }
    };
    let is_server = server.is_some();
    let socket = Arc::new(Socket(datagrams));
    let endpoint = Endpoint::new_with_abstract_socket(options, server, socket, Arc::new(TokioRuntime))
        .map_err(|error| error.to_string())?;
    let connection = if is_server {
        let incoming = endpoint.accept().await.ok_or("it was closed")?;
        incoming.await
    } else {
        let crypto = identity.client(theirs).map_err(|error| error.to_string())?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport);
        endpoint.connect_with(config, THERE, identity::NAME).map_err(|error| error.to_string())?.await
    };
    connection.map_err(|error| error.to_string())
}

fn transport() -> TransportConfig {
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
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    transport
}
