//! The stream to a relay that is reached by TCP or TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ahoy_tunnel::{Stream, Tunnel};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::RelayFailure;
use crate::config::{ServerUrl, Transport};

/// How long a connection may take: three tries of the system to open one (1, 2 and 4 seconds apart).
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// What is written and read.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Opens the stream to a server.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) url: ServerUrl,
    pub(crate) tunnel: Tunnel,
    /// Whose certificates are believed.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.url)
    }
}

/// A stream that is open, and its two ends. Behind a proxy the remote end is the proxy's.
pub(crate) struct Open {
    pub(crate) stream: Box<dyn Duplex>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl Connector {
    pub(crate) async fn open(&self) -> Result<Open, RelayFailure> {
        match timeout(CONNECT_WITHIN, self.try_to_open()).await {
            Ok(opened) => opened,
            Err(_) => Err(RelayFailure::Unreachable("no connection in time".to_owned())),
        }
    }

    async fn try_to_open(&self) -> Result<Open, RelayFailure> {
        let unreachable = |error: std::io::Error| RelayFailure::Unreachable(error.to_string());
        let failed = |error: ahoy_tunnel::TunnelError| RelayFailure::Unreachable(error.to_string());
        let stream: Stream = self.tunnel.connect(&self.url.host, self.url.port).await.map_err(failed)?;
        let local = stream.local_addr().map_err(unreachable)?;
        let remote = stream.peer_addr().map_err(unreachable)?;
        let stream: Box<dyn Duplex> = match (self.url.transport, &self.tls) {
            (Transport::Tls, Some(tls)) => {
                let name = ServerName::try_from(self.url.host.clone())
                    .map_err(|error| RelayFailure::Unreachable(error.to_string()))?;
                let connector = TlsConnector::from(Arc::clone(tls));
                Box::new(connector.connect(name, stream).await.map_err(unreachable)?)
            }
            (Transport::Tls, None) => {
                return Err(RelayFailure::Unreachable("no certificates are known here".to_owned()));
            }
            (Transport::Tcp | Transport::Udp, _) => Box::new(stream),
        };
        Ok(Open { stream, local, remote })
    }
}
