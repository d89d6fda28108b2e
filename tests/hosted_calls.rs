//! Calls on this computer at the desk, with the program's own server and without a window: whoever has the link comes in at
//! once, whoever finds the call on the network waits, and with the call everything is gone.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ahoy_app::host::OwnServer;
use ahoy_client::account::AccountPlace;
use ahoy_client::desk::{
    CallStage, CallsView, Desk, DeskEvent, DeskOptions, Ending, HostOptions, PeopleOptions, PersonCall,
};
use ahoy_client::host::{NearbyCall, Network};
use ahoy_client::{Problem, ProblemCode};
use ahoy_signal::ClientInfo;
use tokio::sync::mpsc;

/// Longer than anything takes, also on a machine under load.
const SOON: Duration = Duration::from_secs(30);

struct Seat {
    desk: Desk,
    events: mpsc::UnboundedReceiver<DeskEvent>,
}

impl Seat {
    async fn at(folder: &Path, network: Network) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let client = ClientInfo { name: "test".into(), version: "0.0.0".into() };
        let people = PeopleOptions { accounts: AccountPlace::File(folder.join("session.json")), client };
        let host = HostOptions { runner: Some(Arc::new(OwnServer::new(folder.to_owned()))), network };
        let options = DeskOptions { host, ..DeskOptions::in_folder(folder, people) };
        let (told, events) = mpsc::unbounded_channel();
        let told = Mutex::new(told);
        let listener = Arc::new(move |event| drop(told.lock().unwrap().send(event)));
        Self { desk: Desk::open(options, listener).await.unwrap(), events }
    }

    async fn until<T>(&mut self, what: &str, pick: impl Fn(DeskEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = pick(self.events.recv().await.expect("the desk is there")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("never came: {what}"))
    }

    async fn call(&mut self, what: &str, is_so: impl Fn(&PersonCall) -> bool) -> PersonCall {
        let pick = |event| match event {
            DeskEvent::Calls(CallsView { current: Some(call), .. }) if is_so(&call) => Some(call),
            _ => None,
        };
        self.until(what, pick).await
    }

    async fn connected(&mut self) -> PersonCall {
        self.call("connected", |call| call.stage == CallStage::Connected).await
    }

    async fn link(&mut self) -> String {
        self.call("the link", |call| call.link.is_some()).await.link.unwrap().url
    }

    async fn ending(&mut self) -> Ending {
        let pick = |event| match event {
            DeskEvent::Ended(summary) => Some(summary.with.expect("it was with somebody").how),
            DeskEvent::Over(ending) => Some(ending.how),
            _ => None,
        };
        self.until("the call ends", pick).await
    }

    async fn nearby(&mut self, is_so: impl Fn(&[NearbyCall]) -> bool) -> Vec<NearbyCall> {
        let pick = |event| match event {
            DeskEvent::Nearby(calls) if is_so(&calls) => Some(calls),
            _ => None,
        };
        self.until("calls on the network", pick).await
    }

    async fn join(&self, link: &str) -> Result<(), Problem> {
        self.desk.join_link(link, "Guest", true).await.map_err(Problem::from)
    }
}

/// A port that no other test uses at this time.
fn network() -> Network {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    Network::Loopback(socket.local_addr().unwrap().port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_server_somebody_with_the_link_is_in_the_call_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let network = network();
    let mut ada = Seat::at(&folder.path().join("ada"), network).await;
    let mut grace = Seat::at(&folder.path().join("grace"), network).await;
    ada.desk.start_hosted_call("Ada", true).await.unwrap();
    let link = ada.link().await;
    assert!(link.starts_with("https://") && link.contains("&pin="), "{link}");
    assert!(ada.desk.calls().current.unwrap().hosted);
    grace.join(&link).await.unwrap();
    ada.connected().await;
    assert_eq!(grace.connected().await.name, "Ada");
    // Another certificate than the link's is another computer.
    let other = format!("{}AAA", &link[..link.len() - 3]);
    let late = Seat::at(&folder.path().join("late"), network).await;
    assert_eq!(late.join(&other).await.unwrap_err().code, ProblemCode::ServerUnreachable);
    ada.desk.hang_up().await;
    assert_eq!(grace.ending().await, Ending::HungUp);
    assert_eq!(ada.ending().await, Ending::HungUp);
    // The server is gone with the call; the next one has the same certificate and knows nothing of the last.
    ada.desk.start_hosted_call("Ada", false).await.unwrap();
    let next = ada.link().await;
    let pin = |link: &str| link.split_once("&pin=").unwrap().1.to_owned();
    assert_eq!(pin(&next), pin(&link));
    assert!(late.join(&link).await.is_err());
    ada.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_finds_the_call_on_the_network_waits_until_they_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let network = network();
    let mut ada = Seat::at(&folder.path().join("ada"), network).await;
    let mut grace = Seat::at(&folder.path().join("grace"), network).await;
    grace.desk.look_nearby().await.unwrap();
    ada.desk.start_hosted_call("Ada", true).await.unwrap();
    let found = grace.nearby(|calls| !calls.is_empty()).await.remove(0);
    assert_eq!(found.name, "Ada");
    for admit in [false, true] {
        grace.join(&found.link).await.unwrap();
        grace.call("she waits", |call| call.stage == CallStage::Waiting).await;
        let guest = ada.call("she is seen", |call| !call.lobby.is_empty()).await.lobby.remove(0);
        assert_eq!(guest.name, "Guest");
        ada.desk.answer_lobby(&guest.participant, admit).await.unwrap();
        if !admit {
            assert_eq!(grace.ending().await, Ending::NotAdmitted);
        }
    }
    ada.connected().await;
    grace.connected().await;
    ada.desk.hang_up().await;
    assert_eq!(grace.ending().await, Ending::HungUp);
    grace.nearby(<[_]>::is_empty).await;
    for seat in [ada, grace] {
        seat.desk.close().await;
    }
}
