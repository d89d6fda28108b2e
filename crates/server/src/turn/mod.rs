//! Help for calls whose two sides can't reach each other: a relay in this program, and what clients are told of it and of
//! others.

mod list;
mod secret;
mod urls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ahoy_turn::{IfTaken, IpNet, Limits, Relay, RelayConfig, RelayError, Secret, TlsListen};

pub use list::IceList;

use crate::config::{Config, TurnMode};
use crate::tls::Certificate;

/// The ports of STUN and TURN, without and with TLS (RFC 8489 section 18.6).
const PORT: u16 = 3_478;
const TLS_PORT: u16 = 5_349;
/// What the relay calls itself where this server has no name.
const REALM: &str = "ahoy";
/// What a relay that listens on loopback alone may reach: it could reach nothing else.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The relay does not start.
    #[error("turn.listen: {0}")]
    Relay(#[from] RelayError),
    /// The secret can't be kept.
    #[error("{path} can't be used: {error}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// What clients are told, and the relay of this program, if it is one.
pub(crate) fn start(
    config: &Config,
    certificate: Option<&Certificate>,
) -> Result<(IceList, Option<Relay>), TurnError> {
    let turn = &config.turn;
    let lasts_s = u32::try_from(turn.credential_s).unwrap_or(u32::MAX);
    let given = Secret::new(turn.secret.as_str());
    match turn.mode {
        TurnMode::Off => Ok((IceList::none(lasts_s), None)),
        TurnMode::External => Ok((IceList::new(given, lasts_s, &[], &turn.other_servers()), None)),
        TurnMode::Embedded => {
            let secret = match turn.secret.is_empty() {
                true => secret::load_or_make(&config.data_dir)?,
                false => given,
            };
            let relay = Relay::start(relay_config(config, certificate, secret.clone()))?;
            tell(config, &relay);
            let own = match is_behind_a_proxy(&config.http.public_url, &relay) {
                true => Vec::new(),
                false => urls::of_relay(&config.http.public_url, &relay),
            };
            Ok((IceList::new(secret, lasts_s, &own, &turn.other_servers()), Some(relay)))
        }
    }
}

fn relay_config(config: &Config, certificate: Option<&Certificate>, secret: Secret) -> RelayConfig {
    let turn = &config.turn;
    let here = config.http.listen.ip();
    let listen = turn.listen_address();
    let if_taken = |named: Option<SocketAddr>| match named {
        Some(_) => IfTaken::Fail,
        None => IfTaken::TakeFree,
    };
    let tls_listen = turn.tls_listen_address();
    let tls = certificate.map(|certificate| {
        let certificate = certificate.clone();
        TlsListen {
            addresses: vec![tls_listen.unwrap_or(SocketAddr::new(here, TLS_PORT))],
            if_taken: if_taken(tls_listen),
            source: Arc::new(move || certificate.active().get_inner()),
        }
    });
    let address = listen.unwrap_or(SocketAddr::new(here, PORT));
    let is_loopback = |address: &SocketAddr| address.ip().is_loopback();
    let alone = is_loopback(&address) && tls.iter().flat_map(|tls| &tls.addresses).all(is_loopback);
    let mut allow_peers = turn.networks();
    if alone {
        allow_peers.extend(LOOPBACK.iter().filter_map(|net| net.parse::<IpNet>().ok()));
    }
    let realm = urls::host_of(&config.http.public_url).unwrap_or(REALM);
    RelayConfig {
        listen: vec![address],
        if_taken: if_taken(listen),
        tls,
        external_ips: turn.external_ip.clone(),
        relay_ports: turn.ports(),
        secret,
        realm: realm.to_owned(),
        allow_peers,
        limits: Limits {
            allocations_per_user: turn.allocations_per_user,
            allocations: turn.allocations,
            allocation_bytes_per_s: turn.allocation_bytes_per_s,
            user_bytes_per_s: turn.user_bytes_per_s,
        },
    }
}

/// Whether a proxy passes HTTP on to this machine alone, where nobody else reaches the relay.
fn is_behind_a_proxy(public_url: &str, relay: &Relay) -> bool {
    let named = urls::host_of(public_url).is_some_and(|host| {
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback())
    });
    let mut listening = relay.addresses().iter().chain(relay.tls_addresses());
    named && listening.all(|address| address.ip().is_loopback())
}

/// Says in the log where the relay is, and what about that may be a surprise.
fn tell(config: &Config, relay: &Relay) {
    let (addresses, tls_addresses) = (relay.addresses(), relay.tls_addresses());
    let external: Vec<IpAddr> = relay.external_ips();
    tracing::info!(?addresses, ?tls_addresses, ?external, "the relay listens");
    if is_behind_a_proxy(&config.http.public_url, relay) {
        tracing::warn!(
            "nobody else reaches the relay, so nobody is told of it: proxies pass on no TURN, set turn.listen"
        );
    }
    let elsewhere = |addresses: &[SocketAddr], port| addresses.iter().any(|address| address.port() != port);
    if config.turn.listen.is_empty() && elsewhere(addresses, PORT) {
        tracing::warn!(
            "port {PORT} is taken: the relay listens at another one, because turn.listen names none"
        );
    }
    if config.turn.tls_listen.is_empty() && elsewhere(tls_addresses, TLS_PORT) {
        tracing::warn!(
            "port {TLS_PORT} is taken: the relay listens at another one, because turn.tls_listen names none"
        );
    }
}
