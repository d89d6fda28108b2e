//! The relay as a whole: started, asked where it is, and stopped.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::address::{OwnAddresses, way_out};
use crate::client::Shared;
use crate::credentials::Secret;
use crate::door::Door;
use crate::listener::datagrams::Datagrams;
use crate::listener::streams::Streams;
use crate::listener::{bind_both, bind_streams};
use crate::networks::IpNet;
use crate::policy::PeerPolicy;
use crate::ports::Ports;
use crate::quota::{Limits, Quotas};
use crate::session::House;
use crate::stopping::stopping;
use crate::strangers::Strangers;

/// How long stopping may take: no client is waited for, only tasks that are at work.
const STOPPED_WITHIN: Duration = Duration::from_secs(2);

/// Gives the certificate and key in use, for each connection anew: they may change under way.
pub type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// What to do where somebody else has a port already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfTaken {
    /// Not to start.
    Fail,
    /// To take another one that is free.
    TakeFree,
}

/// Where to listen for clients over TLS.
#[derive(Clone)]
pub struct TlsListen {
    /// The addresses and ports; port 0 is a free one.
    pub addresses: Vec<SocketAddr>,
    /// What to do where a port is taken.
    pub if_taken: IfTaken,
    /// Certificate and key.
    pub source: TlsSource,
}

impl fmt::Debug for TlsListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsListen({:?})", self.addresses)
    }
}

/// How a relay is to be.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The addresses and ports to listen at, over UDP and TCP. All of IPv6 is all of IPv4 as well. Ports 0 are one free port.
    pub listen: Vec<SocketAddr>,
    /// What to do where a port is taken.
    pub if_taken: IfTaken,
    /// Where to listen over TLS.
    pub tls: Option<TlsListen>,
    /// How others know the relay, one address of each family at most; without one, by where it listens, or by the machine's
    /// way out where that is everywhere.
    pub external_ips: Vec<IpAddr>,
    /// The ports that allocations get.
    pub relay_ports: RangeInclusive<u16>,
    /// What credentials are made with.
    pub secret: Secret,
    /// What the relay calls itself (RFC 8489 section 14.9).
    pub realm: String,
    /// Networks that may be reached although they are nobody's on the internet.
    pub allow_peers: Vec<IpNet>,
    /// How much one may have.
    pub limits: Limits,
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// There is nowhere to listen.
    #[error("it has to listen at one address at least")]
    Nowhere,
    /// Nobody can connect there.
    #[error("{addresses} can't be listened on: {error}")]
    Listen {
        /// Where.
        addresses: String,
        /// Why.
        error: io::Error,
    },
}

/// A relay that runs.
pub struct Relay {
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    own: OwnAddresses,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({:?})", self.addresses)
    }
}

/// Binds where it should, or at a free port where that is taken and may be another.
fn bind<T>(
    addresses: &[SocketAddr],
    if_taken: IfTaken,
    bind: impl Fn(&[SocketAddr]) -> io::Result<T>,
) -> Result<T, RelayError> {
    let bound = match (bind(addresses), if_taken) {
        (Err(error), IfTaken::TakeFree) if error.kind() == io::ErrorKind::AddrInUse => {
            let free: Vec<_> = addresses.iter().map(|address| SocketAddr::new(address.ip(), 0)).collect();
            bind(&free)
        }
        (bound, IfTaken::TakeFree | IfTaken::Fail) => bound,
    };
    bound.map_err(|error| {
        let named: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        RelayError::Listen { addresses: named.join(", "), error }
    })
}

fn local<'a, T: 'a>(
    sockets: impl IntoIterator<Item = &'a T>,
    address: impl Fn(&T) -> io::Result<SocketAddr>,
) -> Vec<SocketAddr> {
    sockets.into_iter().filter_map(|socket| address(socket).ok()).collect()
}

impl Relay {
    /// Starts a relay, inside a tokio runtime.
    ///
    /// # Errors
    /// [`RelayError`].
    pub fn start(config: RelayConfig) -> Result<Self, RelayError> {
        if config.listen.is_empty() {
            return Err(RelayError::Nowhere);
        }
        let both: Vec<(TcpListener, UdpSocket)> = bind(&config.listen, config.if_taken, bind_both)?;
        let encrypted = match &config.tls {
            Some(tls) => bind(&tls.addresses, tls.if_taken, bind_streams)?,
            None => Vec::new(),
        };
        let addresses = local(&both, |(listener, _)| listener.local_addr());
        let tls_addresses = local(&encrypted, TcpListener::local_addr);
        let listen: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
        let own = OwnAddresses::find(&listen, &config.external_ips, way_out);
        let policy = PeerPolicy {
            allow: config.allow_peers,
            external: own.all().map(|own| own.external).collect(),
            local: own.all().map(|own| own.local).collect(),
            listening: addresses.iter().chain(&tls_addresses).copied().collect(),
            relay_ports: config.relay_ports.clone(),
        };
        let house = House {
            door: Door::new(config.secret, config.realm),
            policy,
            quotas: Quotas::new(config.limits),
            ports: Ports::new(config.relay_ports),
        };
        let shared = Arc::new(Shared { house: Arc::new(house), own });
        let (stopping, stop) = stopping();
        let strangers = Strangers::default();
        let mut tasks = JoinSet::new();
        for (listener, socket) in both {
            tasks.spawn(Datagrams::new(socket, shared.clone()).run(stop.clone()));
            let streams = Streams::new(listener, None, shared.clone(), strangers.clone());
            tasks.spawn(streams.run(stop.clone()));
        }
        for listener in encrypted {
            let source = config.tls.as_ref().map(|tls| tls.source.clone());
            let streams = Streams::new(listener, source, shared.clone(), strangers.clone());
            tasks.spawn(streams.run(stop.clone()));
        }
        Ok(Self { addresses, tls_addresses, own, stopping, tasks })
    }

    /// Where it listens over UDP and TCP.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it listens over TLS.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
    }

    /// How others know it: an address of each family that it has.
    pub fn external_ips(&self) -> Vec<IpAddr> {
        self.own.all().map(|own| own.external).collect()
    }

    /// Stops: nothing more is relayed, and all ports are free again.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOPPED_WITHIN, ended).await.is_err() {
            tracing::warn!("the relay takes long to stop: it is ended");
            self.tasks.shutdown().await;
        }
    }
}
