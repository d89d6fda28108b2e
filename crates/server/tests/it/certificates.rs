//! TLS: certificates are exchanged under way, and nobody who is connected notices.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::Place;
#[cfg(target_os = "linux")]
use crate::support::kernel::waits_for_acknowledgements;
use ahoy_server::config::Config;
use ahoy_server::server::{Server, StartError};
use rcgen::CertifiedKey;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

type Certificate = CertifiedKey<rcgen::KeyPair>;

fn certificate() -> Certificate {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn write(config: &Config, certificate: &Certificate) {
    fs::write(&config.tls.key, certificate.signing_key.serialize_pem()).unwrap();
    fs::write(&config.tls.certificate, certificate.cert.pem()).unwrap();
}

fn config(place: &Place) -> Config {
    let mut config = place.config();
    config.tls.certificate = place.folder.path().join("certificate.pem");
    config.tls.key = place.folder.path().join("key.pem");
    config
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

/// Connects as someone who trusts this certificate alone.
fn connect(address: SocketAddr, trusted: &Certificate) -> io::Result<Connection> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Asks on an open connection whether the server lives.
fn is_answered(connection: &mut Connection) -> io::Result<bool> {
    connection.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"live\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        answer.extend(byte);
    }
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

/// Waits until whoever trusts this certificate alone can connect.
fn until_shown(address: SocketAddr, certificate: &Certificate) -> Connection {
    let begun = Instant::now();
    loop {
        match connect(address, certificate) {
            Ok(connection) => return connection,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_exchanged_without_dropping_a_connection() {
    let place = Place::sqlite();
    let config = config(&place);
    let (first, second, third) = (certificate(), certificate(), certificate());
    write(&config, &first);
    let server = Server::start(config.clone()).await.unwrap();
    assert!(server.url().starts_with("https://"));
    let address = server.addr();
    let mut early = connect(address, &first).unwrap();
    assert!(is_answered(&mut early).unwrap());
    assert!(connect(address, &second).is_err(), "it shows the first one only");

    // An operator says so (SIGHUP).
    write(&config, &second);
    server.reload();
    let mut later = until_shown(address, &second);
    assert!(connect(address, &first).is_err());
    assert!(is_answered(&mut early).unwrap() && is_answered(&mut later).unwrap());

    // The files alone say so.
    write(&config, &third);
    let mut last = until_shown(address, &third);
    for connection in [&mut early, &mut later, &mut last] {
        assert!(is_answered(connection).unwrap());
    }

    // A file that is half written changes nothing.
    fs::write(&config.tls.certificate, "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    server.reload();
    let mut still = connect(address, &third).unwrap();
    assert!(is_answered(&mut still).unwrap());
    drop((early, later, last, still));
    server.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn small_messages_are_not_held_back() {
    let place = Place::sqlite();
    let plain = place.start().await;
    let mut client = TcpStream::connect(plain.server.addr()).unwrap();
    client.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    client.read_exact(&mut [0]).unwrap();
    assert!(!waits_for_acknowledgements(client.local_addr().unwrap()), "without TLS");

    let place = Place::sqlite();
    let config = config(&place);
    let certificate = certificate();
    write(&config, &certificate);
    let server = Server::start(config).await.unwrap();
    let mut client = connect(server.addr(), &certificate).unwrap();
    assert!(is_answered(&mut client).unwrap());
    assert!(!waits_for_acknowledgements(client.sock.local_addr().unwrap()), "with TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_can_not_be_used_keeps_the_server_from_starting() {
    let place = Place::sqlite();
    let config = config(&place);
    let refused = async |expected: &str| match Server::start(config.clone()).await {
        Err(StartError::Tls(error)) => assert!(error.to_string().contains(expected), "{error}"),
        other => panic!("{other:?}"),
    };
    refused("certificate.pem can't be read").await;
    write(&config, &certificate());
    fs::write(&config.tls.key, certificate().signing_key.serialize_pem()).unwrap();
    refused("certificate and key can't be used").await;
    fs::write(&config.tls.certificate, "nothing").unwrap();
    refused("there is no certificate in it").await;
    assert!(!Path::new(&config.data_dir).exists(), "nothing was made");
}
