//! Whom a relay may reach: the same for the relay in the server and for coturn with the configuration that comes with Ahoy.

use std::net::{IpAddr, SocketAddr};

use ahoy_turn::{Relay, Secret};
use turn_types::AddressFamily;

use crate::caller::{Caller, Way};
use crate::coturn::Coturn;
use crate::support::{OPEN_PEER, address, config, credentials, echo};

/// What no relay may reach.
const CLOSED_V4: &[&str] = &[
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.251",
    "255.255.255.255",
];
const CLOSED_V6: &[&str] = &[
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "2002:a00:1::1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "2001:db8::1",
];

/// The one test, whatever the relay.
async fn reaches_only_what_it_may(relay: SocketAddr, secret: &Secret) {
    let ada = credentials(secret, "ada");
    let (mut v4, _) =
        Caller::allocate(Way::Udp(relay), &ada, AddressFamily::IPV4).await.expect("an allocation");
    let (mut v6, _) =
        Caller::allocate(Way::Udp(relay), &ada, AddressFamily::IPV6).await.expect("an allocation");
    for (caller, closed) in [(&mut v4, CLOSED_V4), (&mut v6, CLOSED_V6)] {
        for peer in closed {
            let ip: IpAddr = peer.parse().expect("an address");
            assert!(!caller.permit(ip).await, "a permission for {peer}");
            assert!(!caller.bind(SocketAddr::new(ip, 5_000)).await, "a channel to {peer}");
        }
    }
    let peer = echo(OPEN_PEER).await;
    assert!(v4.permit(peer.ip()).await, "a permission for an open peer");
    v4.send(peer, b"by an indication").await;
    assert_eq!(v4.data().await, (peer, b"by an indication".to_vec()));
    assert!(v4.bind(peer).await, "a channel to an open peer");
    v4.send(peer, b"by a channel").await;
    assert_eq!(v4.data().await, (peer, b"by a channel".to_vec()));
    v4.delete().await;
    v6.delete().await;
}

#[tokio::test]
async fn the_servers_relay_reaches_only_what_it_may() {
    let secret = Secret::random();
    let relay = Relay::start(config(&secret)).expect("a relay");
    reaches_only_what_it_may(address(&relay), &secret).await;
    relay.stop().await;
}

#[tokio::test]
async fn coturn_as_configured_reaches_only_what_it_may() {
    let secret = Secret::random();
    let coturn = Coturn::start(&secret);
    reaches_only_what_it_may(coturn.address, &secret).await;
}
