//! What a relay is for, over datagrams.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use ahoy_turn::{IfTaken, Limits, Relay, RelayConfig, RelayError, Secret};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn_client_proto::api::TurnEvent;
use turn_types::AddressFamily;

use crate::caller::{Caller, Way, answer_to};
use crate::support::{LIMITS, address, config, credentials, echo, unix_s};

const V4: AddressFamily = AddressFamily::IPV4;

#[tokio::test]
async fn two_who_reach_nobody_talk_through_the_relay() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    let (ada, bob) = (credentials(&secret, "ada"), credentials(&secret, "bob"));
    let (mut ada, of_ada) =
        Caller::allocate(Way::Udp(address(&relay)), &ada, V4).await.expect("an allocation");
    let (mut bob, of_bob) =
        Caller::allocate(Way::Tcp(address(&relay)), &bob, V4).await.expect("an allocation");
    assert_eq!(of_ada.ip().to_string(), "9.9.9.9", "as others know it");
    assert!(ada.permit(of_bob.ip()).await && bob.permit(of_ada.ip()).await);
    ada.send(of_bob, b"hello bob").await;
    assert_eq!(bob.data().await, (of_ada, b"hello bob".to_vec()));
    assert!(bob.bind(of_ada).await);
    bob.send(of_ada, b"hello ada...").await;
    assert_eq!(ada.data().await, (of_bob, b"hello ada...".to_vec()));
    ada.delete().await;
    bob.delete().await;
    relay.stop().await;
}

#[tokio::test]
async fn the_machine_behind_the_relays_own_address_is_not_reached() {
    let secret = Secret::random();
    let mut config = config(&secret);
    config.external_ips = Vec::new();
    config.allow_peers = Vec::new();
    let relay = Relay::start(config).expect("a relay");
    let service = echo("127.0.0.1").await;
    let ada = credentials(&secret, "ada");
    let (mut ada, _) = Caller::allocate(Way::Udp(address(&relay)), &ada, V4).await.expect("an allocation");
    assert!(ada.permit(service.ip()).await, "others with an allocation are there");
    ada.send(service, b"who is there?").await;
    let (mut bob, of_bob) = Caller::allocate(Way::Udp(address(&relay)), &credentials(&secret, "bob"), V4)
        .await
        .expect("an allocation");
    ada.send(of_bob, b"knock").await;
    assert!(bob.permit(service.ip()).await);
    ada.send(of_bob, b"knock again").await;
    let (from, said) = bob.data().await;
    assert_eq!((from.ip(), &said[..]), (service.ip(), &b"knock again"[..]));
    bob.send(from, b"nobody else").await;
    assert_eq!(ada.data().await, (of_bob, b"nobody else".to_vec()), "the service said nothing");
    relay.stop().await;
}

#[tokio::test]
async fn credentials_that_have_expired_or_were_made_up_get_nothing() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    assert_eq!(answer_to(address(&relay), &credentials(&secret, "ada")).await, 0);
    for bad in [secret.issue("ada", unix_s() - 1), credentials(&Secret::random(), "ada")] {
        assert_eq!(answer_to(address(&relay), &bad).await, 401);
    }
    relay.stop().await;
}

#[tokio::test]
async fn a_user_has_so_many_allocations_and_another_one_after_giving_one_back() {
    let secret = Secret::random();
    let limits = Limits { allocations_per_user: 2, ..LIMITS };
    let relay = Relay::start(RelayConfig { limits, ..config(&secret) }).expect("a relay");
    let way = || Way::Udp(address(&relay));
    // Of one user, however often the user gets new credentials.
    let other = secret.issue("ada", unix_s() + 500);
    let ada = credentials(&secret, "ada");
    let (first, _) = Caller::allocate(way(), &ada, V4).await.expect("an allocation");
    let (_second, _) = Caller::allocate(way(), &other, V4).await.expect("an allocation");
    assert!(Caller::allocate(way(), &ada, V4).await.is_err());
    let (_bobs, _) = Caller::allocate(way(), &credentials(&secret, "bob"), V4).await.expect("an allocation");
    first.delete().await;
    let (_third, _) = Caller::allocate(way(), &ada, V4).await.expect("an allocation");
    relay.stop().await;
}

#[tokio::test]
async fn a_family_that_the_relay_does_not_have_is_refused() {
    let secret = Secret::random();
    let mut config = config(&secret);
    config.listen.truncate(1);
    let relay = Relay::start(config).expect("a relay");
    let ada = credentials(&secret, "ada");
    let refused = Caller::allocate(Way::Udp(address(&relay)), &ada, AddressFamily::IPV6).await;
    assert!(matches!(refused, Err(TurnEvent::AllocationCreateFailed(AddressFamily::IPV6))));
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_that_stops_frees_its_ports() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    let listened: SocketAddr = address(&relay);
    let ada = credentials(&secret, "ada");
    let (_ada, relayed) = Caller::allocate(Way::Udp(listened), &ada, V4).await.expect("an allocation");
    relay.stop().await;
    UdpSocket::bind(listened).await.expect("the port is free");
    UdpSocket::bind(("127.0.0.1", relayed.port())).await.expect("the relayed port is free");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_or_another_one_is_taken() {
    let secret = Secret::random();
    let first = Relay::start(config(&secret)).expect("a relay");
    let mut config = config(&secret);
    config.listen = vec![address(&first)];
    let refused = Relay::start(config.clone());
    assert!(matches!(refused, Err(RelayError::Listen { .. })));
    config.if_taken = IfTaken::TakeFree;
    let second = Relay::start(config).expect("a relay");
    assert_ne!(address(&second).port(), address(&first).port());
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_flood_from_made_up_senders_leaves_room_for_others() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    // An allocation without credentials (RFC 8656 section 7.1), from ports that don't wait for an answer.
    let mut request = vec![0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    request.extend([0, 0x19, 0, 4, 17, 0, 0, 0]);
    for _ in 0..500 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        socket.send_to(&request, address(&relay)).await.expect("it is sent");
    }
    let ada = credentials(&secret, "ada");
    Caller::allocate(Way::Udp(address(&relay)), &ada, V4).await.expect("an allocation");
    relay.stop().await;
}

#[tokio::test]
async fn coturns_own_client_relays_through_it() {
    let secret = Secret::random();
    let mut config = config(&secret);
    // Both ends of coturn's test are its own allocations.
    config.external_ips = Vec::new();
    config.listen.truncate(1);
    let relay = Relay::start(config).expect("a relay");
    let ada = credentials(&secret, "ada");
    let port = address(&relay).port().to_string();
    for way in [&[][..], &["-t"][..]] {
        // One client that talks to another (-y) without RTCP (-c), 20 messages of 160 bytes.
        let mut client = Command::new("turnutils_uclient");
        client.args(["-y", "-c", "-n", "20", "-l", "160", "-m", "1", "-p", &port]).args(way);
        client.args(["-u", &ada.username, "-w", &ada.password, "127.0.0.1"]);
        let done =
            timeout(Duration::from_secs(60), tokio::task::spawn_blocking(move || client.output())).await;
        let output =
            done.expect("in time").expect("no panic").expect("coturn is installed: cargo xtask setup");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("Total lost packets 0"), "{way:?}: {said}");
    }
    relay.stop().await;
}
