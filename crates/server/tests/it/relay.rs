//! Relays for calls: the server is one, tells of it, and makes credentials that it takes.

use std::process::Command;
use std::time::Duration;

use ahoy_server::config::{Config, TurnMode};
use ahoy_server::server::{Server, StartError};
use ahoy_signal::account::{Invite, TokenGrant};
use ahoy_signal::{IceServer, paths};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::socket::Peer;
use crate::support::{Place, Running};

async fn server(change: impl FnOnce(&mut Config)) -> (Place, Running) {
    let place = Place::sqlite();
    let mut config = place.config();
    change(&mut config);
    let running = Running::start(config).await;
    (place, running)
}

async fn servers(peer: &mut Peer) -> Vec<IceServer> {
    let answer: Value = peer.ask(None, json!({"type": "ice_servers"})).await;
    assert_eq!(
        (&answer["body"]["type"], &answer["body"]["expires_in_s"]),
        (&json!("ice_servers"), &json!(300))
    );
    serde_json::from_value(answer["body"]["servers"].clone()).unwrap()
}

fn urls(server: &IceServer) -> Vec<&str> {
    server.urls.iter().map(|url| url.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_configuration_two_clients_on_one_machine_are_relayed_with_what_they_are_told() {
    let (_place, server) = server(|_| ()).await;
    let port = server.server.relay().unwrap().addresses()[0].port();
    let mut ada = Peer::hello(&server, &server.sign_up("ada").await.grant).await;
    let told = servers(&mut ada).await;
    let [stun, relay] = &told[..] else { panic!("{told:?}") };
    assert_eq!(urls(stun), [format!("stun:127.0.0.1:{port}")]);
    let ways = ["udp", "tcp"].map(|way| format!("turn:127.0.0.1:{port}?transport={way}"));
    assert_eq!(urls(relay), ways);
    let username = relay.username.as_ref().unwrap().as_str().to_owned();
    assert_eq!(username.split_once(':').unwrap().1, ada.welcome["user"]);
    let mut client = Command::new("turnutils_uclient");
    client.args(["-y", "-c", "-n", "10", "-m", "1", "-l", "160", "-p", &port.to_string()]);
    client.args(["-u", &username, "-w", relay.credential.as_ref().unwrap().as_str(), "127.0.0.1"]);
    let done = timeout(Duration::from_secs(60), tokio::task::spawn_blocking(move || client.output())).await;
    let output = done.expect("in time").unwrap().expect("coturn is installed: cargo xtask setup");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Total lost packets 0"), "{said}");
    server.server.stop().await;
}

#[tokio::test]
async fn guests_are_told_as_well() {
    let (_place, server) = server(|_| ()).await;
    let host = server.sign_up("ada").await.grant;
    let mut ada = Peer::hello(&server, &host).await;
    let room = ada.make_room(json!({})).await;
    let invite: Invite =
        server.post(paths::INVITES, Some(&server.refresh(&host).await), &json!({"room": room})).await.read();
    let asked = json!({"invite": invite.token, "name": "Passer-by"});
    let guest: TokenGrant = server.post(paths::GUESTS, None, &asked).await.read();
    let mut guest = Peer::hello(&server, &guest).await;
    let told = servers(&mut guest).await;
    let username = told[1].username.as_ref().unwrap().as_str();
    assert_eq!(username.split_once(':').unwrap().1, guest.welcome["user"]);
}

#[tokio::test]
async fn a_server_without_relays_tells_of_none() {
    let (_place, server) = server(|config| config.turn.mode = TurnMode::Off).await;
    assert!(server.server.relay().is_none());
    let mut ada = Peer::hello(&server, &server.sign_up("ada").await.grant).await;
    assert_eq!(servers(&mut ada).await, []);
}

#[tokio::test]
async fn another_relay_is_told_of_with_credentials_that_it_takes() {
    let (_place, server) = server(|config| {
        config.turn.mode = TurnMode::External;
        config.turn.secret = "north".into();
        config.turn.urls =
            vec!["stun:turn.example.org".into(), "turns:turn.example.org:443?transport=tcp".into()];
    })
    .await;
    assert!(server.server.relay().is_none());
    let mut ada = Peer::hello(&server, &server.sign_up("ada").await.grant).await;
    let told = servers(&mut ada).await;
    assert_eq!(urls(&told[0]), ["stun:turn.example.org"]);
    assert_eq!(urls(&told[1]), ["turns:turn.example.org:443?transport=tcp"]);
    let credentials = ahoy_turn::Credentials {
        username: told[1].username.as_ref().unwrap().as_str().to_owned(),
        password: told[1].credential.as_ref().unwrap().as_str().to_owned(),
    };
    let now_s = ahoy_server::clock::unix_ms() / 1_000;
    let user = ahoy_turn::Secret::new("north").check(&credentials, now_s).map(ToOwned::to_owned);
    assert_eq!(json!(user.unwrap()), ada.welcome["user"]);
}

#[tokio::test]
async fn a_relay_that_a_proxy_leaves_out_of_reach_is_not_told_of() {
    let (_place, server) = server(|config| config.http.public_url = "https://ahoy.example.org".into()).await;
    let mut ada = Peer::hello(&server, &server.sign_up("ada").await.grant).await;
    assert_eq!(servers(&mut ada).await, []);
}

#[tokio::test]
async fn several_servers_on_one_machine_relay_at_ports_of_their_own() {
    let (_place, first) = server(|_| ()).await;
    let (_other, second) = server(|_| ()).await;
    let port = |running: &Running| running.server.relay().unwrap().addresses()[0].port();
    assert_ne!(port(&first), port(&second));
}

#[tokio::test]
async fn a_port_that_was_named_and_is_taken_keeps_the_server_from_starting() {
    let (_place, first) = server(|_| ()).await;
    let place = Place::sqlite();
    let mut config = place.config();
    config.turn.listen = first.server.relay().unwrap().addresses()[0].to_string();
    match Server::start(config).await {
        Err(StartError::Turn(error)) => assert!(error.to_string().contains("turn.listen"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn with_a_certificate_the_relay_listens_over_tls_as_well() {
    let place = Place::sqlite();
    let mut config = place.config();
    config.tls.certificate = place.folder.path().join("certificate.pem");
    config.tls.key = place.folder.path().join("key.pem");
    config.http.public_url = "https://ahoy.example.org".into();
    let made = rcgen::generate_simple_self_signed(["ahoy.example.org".to_owned()]).unwrap();
    std::fs::write(&config.tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&config.tls.key, made.signing_key.serialize_pem()).unwrap();
    let server = Server::start(config).await.unwrap();
    let relay = server.relay().unwrap();
    assert_eq!((relay.addresses().len(), relay.tls_addresses().len()), (1, 1));
    server.stop().await;
}
