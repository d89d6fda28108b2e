//! Relays to talk to, and peers to be reached.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ahoy_turn::{Credentials, IfTaken, Limits, Relay, RelayConfig, Secret, TlsListen};
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::UdpSocket;

pub(crate) const LIMITS: Limits = Limits {
    allocations_per_user: 12,
    allocations: 100,
    allocation_bytes_per_s: 10_000_000,
    user_bytes_per_s: 10_000_000,
};

/// The one peer that relays of these tests may reach beside each other: on this machine, where nothing else is.
pub(crate) const OPEN_PEER: &str = "127.0.0.2";

/// Now, in seconds since 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Credentials that are good for ten minutes.
pub(crate) fn credentials(secret: &Secret, user: &str) -> Credentials {
    secret.issue(user, unix_s() + 600)
}

/// A relay on loopback, known to others by addresses of the internet, as behind an address translation.
pub(crate) fn config(secret: &Secret) -> RelayConfig {
    let local = ["127.0.0.1:0", "[::1]:0"].map(|address| address.parse().expect("an address"));
    RelayConfig {
        listen: local.into(),
        if_taken: IfTaken::Fail,
        tls: None,
        external_ips: ["9.9.9.9", "2620:fe::fe"].map(|ip| ip.parse().expect("an address")).into(),
        relay_ports: 49_152..=65_535,
        secret: secret.clone(),
        realm: "ahoy.example".into(),
        allow_peers: vec![OPEN_PEER.parse().expect("a network")],
        limits: LIMITS,
    }
}

/// The relay's address over UDP and TCP.
pub(crate) fn address(relay: &Relay) -> SocketAddr {
    *relay.addresses().first().expect("it listens")
}

/// A certificate for `localhost`, and what a server needs to show it.
pub(crate) fn certificate() -> (CertificateDer<'static>, Arc<ServerConfig>) {
    let CertifiedKey { cert, signing_key } = named("localhost");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("they belong together");
    // As the server has it, for WebSockets.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    (cert.der().clone(), Arc::new(config))
}

/// A certificate and its key.
pub(crate) fn named(name: &str) -> CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate")
}

/// Somewhere to listen over TLS with what `source` gives.
pub(crate) fn tls(source: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> TlsListen {
    TlsListen {
        addresses: vec!["127.0.0.1:0".parse().expect("an address")],
        if_taken: IfTaken::Fail,
        source: Arc::new(source),
    }
}

/// Somebody who says everything back that is said to them.
pub(crate) async fn echo(ip: &str) -> SocketAddr {
    let ip: IpAddr = ip.parse().expect("an address");
    let socket = UdpSocket::bind((ip, 0)).await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..length], from).await;
        }
    });
    address
}
