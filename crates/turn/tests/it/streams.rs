//! Clients that come over TCP and TLS, because nothing else is let through where they are.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ahoy_turn::{Relay, RelayConfig, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use turn_types::AddressFamily;

use crate::caller::{Caller, Way, encrypt};
use crate::support::{OPEN_PEER, address, certificate, config, credentials, echo, tls};

const V4: AddressFamily = AddressFamily::IPV4;

async fn talks(way: Way, secret: &Secret) {
    let peer = echo(OPEN_PEER).await;
    let (mut ada, _) = Caller::allocate(way, &credentials(secret, "ada"), V4).await.expect("an allocation");
    assert!(ada.permit(peer.ip()).await);
    ada.send(peer, b"by an indication").await;
    assert_eq!(ada.data().await, (peer, b"by an indication".to_vec()));
    assert!(ada.bind(peer).await);
    for length in [4, 1_200, 8_000] {
        // A multiple of four: this client does not pad channels on streams.
        ada.send(peer, &vec![7; length]).await;
        assert_eq!(ada.data().await, (peer, vec![7; length]));
    }
    ada.delete().await;
}

#[tokio::test]
async fn a_client_over_tcp_is_relayed() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    talks(Way::Tcp(address(&relay)), &secret).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_client_over_tls_is_relayed() {
    let secret = Secret::random();
    let (trusted, shown) = certificate();
    let tls = Some(tls(move || shown.clone()));
    let relay = Relay::start(RelayConfig { tls, ..config(&secret) }).expect("a relay");
    talks(Way::Tls(relay.tls_addresses()[0], trusted), &secret).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_exchanged_is_shown_to_whoever_comes_next() {
    let secret = Secret::random();
    let (first, shown) = certificate();
    let active = Arc::new(Mutex::new(shown));
    let source = active.clone();
    let tls = Some(tls(move || source.lock().expect("no panic").clone()));
    let relay = Relay::start(RelayConfig { tls, ..config(&secret) }).expect("a relay");
    let connect = || TcpStream::connect(relay.tls_addresses()[0]);
    encrypt(connect().await.expect("it listens"), first.clone()).await.expect("the first");
    let (second, shown) = certificate();
    *active.lock().expect("no panic") = shown;
    encrypt(connect().await.expect("it listens"), second).await.expect("the second");
    encrypt(connect().await.expect("it listens"), first).await.expect_err("not the first any more");
    relay.stop().await;
}

#[tokio::test]
async fn a_channel_is_padded_on_a_stream_both_ways() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    let mut stream = TcpStream::connect(address(&relay)).await.expect("it listens");
    // Data in a channel that nobody has, five bytes and padding, then a binding request: it is found where it begins.
    stream.write_all(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]).await.expect("it is sent");
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([9; 12]);
    stream.write_all(&request).await.expect("it is sent");
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!((&answer[..2], &answer[8..]), (&[1, 1][..], &[9; 12][..]));
    relay.stop().await;
}

#[tokio::test]
async fn whoever_speaks_something_else_is_hung_up_on() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    let mut stream = TcpStream::connect(address(&relay)).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n").await.expect("it is sent");
    let mut nothing = Vec::new();
    let closed = timeout(Duration::from_secs(10), stream.read_to_end(&mut nothing)).await;
    let closed = closed.expect("in time");
    assert!(closed.is_ok() || closed.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset));
    assert!(nothing.is_empty());
    relay.stop().await;
}

#[tokio::test]
async fn only_so_many_who_show_nothing_are_let_in_from_one_place() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    let mut crowd = Vec::new();
    for _ in 0..64 {
        crowd.push(TcpStream::connect(address(&relay)).await.expect("it listens"));
    }
    let mut last = TcpStream::connect(address(&relay)).await.expect("it listens");
    let closed = timeout(Duration::from_secs(10), last.read(&mut [0])).await.expect("in time");
    assert!(matches!(closed, Ok(0) | Err(_)), "it is closed at once");
    relay.stop().await;
}
