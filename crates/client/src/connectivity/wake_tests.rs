//! What becomes of relays when the machine has slept, with the real server's.

use std::future::poll_fn;
use std::time::Duration;

use ahoy_ice::{Credentials, Ice, IceConfig, IceEvent, IceEvents, Policy};
use ahoy_signal::account::SignUp;
use ahoy_signal::{ClientInfo, Handle, Name, Password};
use ahoy_testkit::SignalingServer;

use super::known;
use crate::account::{AccountPlace, Accounts, PlainHttp, ServerChoice, ServerUrl};
use crate::signaling::Signaling;

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// The server's relays, with credentials for somebody.
async fn relays(server: &SignalingServer) -> Vec<ahoy_ice::IceServer> {
    let folder = tempfile::tempdir().unwrap();
    let place = AccountPlace::Memory { folder: folder.path().to_owned() };
    let accounts = Accounts::open(place, "test/1").await.unwrap();
    let (name, handle) = (Name::new("Ada").unwrap(), Handle::new("ada").unwrap());
    let password = Password::new("correct horse battery").unwrap();
    let account = SignUp { handle, name: name.clone(), password, device_name: name, sign_up_code: None };
    let choice = ServerChoice::at(ServerUrl::parse(server.url(), PlainHttp::LoopbackOnly).unwrap());
    let (signed_in, _) = accounts.sign_up(&choice, &account).await.unwrap();
    let client = ClientInfo { name: "test".into(), version: "1".into() };
    let (signaling, _events) = Signaling::connect(&signed_in, client, DEADLINE).await.unwrap();
    signaling.ice_servers().await.unwrap().iter().flat_map(known).collect()
}

async fn next(events: &mut IceEvents) -> IceEvent {
    tokio::time::timeout(DEADLINE, events.recv()).await.expect("something happens").expect("it is open")
}

async fn candidate(events: &mut IceEvents) -> String {
    loop {
        if let IceEvent::Candidate(line) = next(events).await {
            return line;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_sleep_a_relay_is_asked_for_anew() {
    let server = SignalingServer::start().unwrap();
    let servers = relays(&server).await.into_iter().filter(|server| server.url.relays).take(1).collect();
    let bind = vec!["127.0.0.1:0".parse().unwrap()];
    let config = IceConfig { bind, servers, policy: Policy::RelayOnly, ..IceConfig::default() };
    let (ice, wire, mut events) = Ice::open(config, Credentials::random()).unwrap();
    // Relays answer only while somebody receives.
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 2000 * wire.most_received_at_once()];
        loop {
            poll_fn(|cx| wire.poll_recv(cx, &mut buffer)).await;
        }
    });
    let before = candidate(&mut events).await;
    assert!(before.contains(" typ relay"), "{before}");
    ice.woke(Duration::from_secs(5)).await;
    assert_eq!(ice.view().await.locals.len(), 1, "a nap changes nothing");
    ice.woke(Duration::from_secs(300)).await;
    loop {
        match next(&mut events).await {
            IceEvent::Withdrawn(line) => break assert_eq!(line, before),
            IceEvent::Candidate(line) => panic!("{line} comes before the old one is given up"),
            _ => {}
        }
    }
    let after = candidate(&mut events).await;
    assert!(after.contains(" typ relay") && after != before, "{after}");
    ice.close().await;
    reading.abort();
}
