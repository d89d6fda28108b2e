//! The real program is killed and started again while people are in a room.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::support::Place;
use crate::support::program::Program;
use ahoy_signal::account::SignUp;
use ahoy_signal::{
    ChatText, ClientInfo, ClientMessage, Handle, Name, Password, RoomId, RoomSettings, ServerMessage,
};
use ahoy_signal_client::{
    Client, ClientEvent, ClientOptions, Http, MemoryVault, PlainHttp, ServerUrl, TokenKeeper, Trust,
};
use rustix::process::Signal;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout};

/// How long everyone may take to be back once the server is.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for everything else: much more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Someone with the real client.
struct Someone {
    client: Client,
    events: Receiver<ClientEvent>,
}

impl Someone {
    async fn signed_up(address: &str, handle: &str) -> Self {
        let url = ServerUrl::parse(&format!("http://{address}"), PlainHttp::LoopbackOnly).unwrap();
        let client = ClientInfo { name: "test".into(), version: "1".into() };
        let http = Http::new(url, &Trust::system(), "test/1").unwrap();
        let account = SignUp {
            handle: Handle::new(handle).unwrap(),
            name: Name::new(handle).unwrap(),
            password: Password::new("correct horse battery").unwrap(),
            device_name: Name::new("test").unwrap(),
            sign_up_code: None,
        };
        let grant = http.sign_up(&account).await.unwrap().grant;
        let vault = Arc::new(MemoryVault::new(grant.refresh_token.clone()));
        let tokens = Arc::new(TokenKeeper::signed_in(http, vault, grant));
        let options = ClientOptions { client, patience: PATIENCE, trust: Trust::system(), tokens };
        let (client, events) = Client::start(options).unwrap();
        Self { client, events }
    }

    async fn creates(&self, name: &str) -> RoomId {
        let create =
            ClientMessage::RoomCreate { name: Name::new(name).unwrap(), settings: RoomSettings::default() };
        match self.client.ask(None, create).await.unwrap().body {
            ServerMessage::Room { room } => room.room,
            other => panic!("{other:?} instead of a room"),
        }
    }

    async fn says(&self, room: RoomId, text: &str) {
        let line = ClientMessage::Chat { text: ChatText::new(text).unwrap() };
        self.client.ask(Some(room), line).await.expect("it is said");
    }

    /// Who is in the room, as far as they know.
    async fn sees(&self, room: RoomId) -> BTreeSet<String> {
        let view = self.client.room(room).await;
        let here = view.filter(|view| view.me.is_some()).map(|view| view.room.participants);
        here.into_iter().flatten().map(|who| who.name.as_str().to_owned()).collect()
    }

    /// Waits until they see exactly these.
    async fn until_seen(&mut self, room: RoomId, names: &[&str]) {
        let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let seen = async {
            while self.sees(room).await != names {
                self.events.recv().await.expect("the session goes on");
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{names:?} are not seen"));
    }
}

/// Kills the server under two people who are in a room, and one who does not come back.
async fn everyone_is_back_after_the_server_was_killed(place: Place) {
    let database = place.database();
    let listening = |address: &str| {
        let mut environment = vec![("AHOY_SERVER__HTTP__LISTEN".to_owned(), address.to_owned())];
        environment.extend(database.clone().map(|url| ("AHOY_SERVER__DATABASE__URL".to_owned(), url)));
        environment
    };
    let start = |address: &str| {
        let environment = listening(address);
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        tokio::task::block_in_place(|| Program::start_with(place.folder.path(), &environment))
    };
    let program = start("127.0.0.1:0");
    let address = program.address.clone();
    let mut ada = Someone::signed_up(&address, "ada").await;
    let room = ada.creates("Bridge").await;
    let mut grace = Someone::signed_up(&address, "grace").await;
    let mut gone = Someone::signed_up(&address, "gone").await;
    for who in [&mut ada, &mut grace, &mut gone] {
        who.client.join(room).await;
    }
    for who in [&mut ada, &mut grace, &mut gone] {
        who.until_seen(room, &["ada", "gone", "grace"]).await;
    }
    ada.says(room, "before").await;

    program.signal(Signal::KILL);
    assert!(!tokio::task::block_in_place(|| program.end()).0);
    // The third ends in the same moment, and can tell nobody.
    drop(gone);
    let program = start(&address);
    let back = Instant::now();
    for who in [&mut ada, &mut grace] {
        who.until_seen(room, &["ada", "grace"]).await;
    }
    assert!(back.elapsed() < BACK_WITHIN, "it took {:?}", back.elapsed());
    grace.says(room, "after").await;

    // Whoever comes now is told of no ghost, and none appears.
    let mut late = Someone::signed_up(&program.address, "late").await;
    late.client.join(room).await;
    late.until_seen(room, &["ada", "grace", "late"]).await;
    sleep(Duration::from_secs(20).saturating_sub(back.elapsed())).await;
    for who in [&ada, &grace, &late] {
        let three = ["ada", "grace", "late"].map(str::to_owned);
        assert_eq!(who.sees(room).await, BTreeSet::from(three));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_comes_back_after_the_server_was_killed() {
    everyone_is_back_after_the_server_was_killed(Place::sqlite()).await;
}

mod needs_postgres {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn long_everyone_comes_back_after_the_server_was_killed() {
        everyone_is_back_after_the_server_was_killed(Place::postgres()).await;
    }
}
