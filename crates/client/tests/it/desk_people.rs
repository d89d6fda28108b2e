//! The desk and other people: two desks at a real server sign up, become contacts and call each other, without a device.

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::page::{SOON, WINDOW};
use ahoy_client::account::AccountPlace;
use ahoy_client::desk::{
    CallStage, CallsView, Connection, Credentials, Desk, DeskEvent, DeskOptions, Ending, PeopleOptions,
    PeopleSnapshot,
};
use ahoy_client::{Problem, ProblemCode};
use ahoy_signal::{ClientInfo, ContactStanding, Presence};
use ahoy_testkit::SignalingServer;
use tokio::sync::mpsc;

const PASSWORD: &str = "correct horse battery";

pub(crate) struct Seat {
    pub(crate) desk: Desk,
    events: mpsc::UnboundedReceiver<DeskEvent>,
    server: String,
}

fn given(server: &str, handle: &str, password: &str) -> Credentials {
    Credentials { server: server.to_owned(), handle: handle.to_owned(), password: password.to_owned() }
}

/// A desk whose sign-ins and settings are in a folder.
pub(crate) fn options(folder: &Path) -> DeskOptions {
    std::fs::create_dir_all(folder).unwrap();
    let client = ClientInfo { name: "test".into(), version: "0.0.0".into() };
    let people = PeopleOptions { accounts: AccountPlace::File(folder.join("session.json")), client };
    DeskOptions { origins: vec![WINDOW.into()], ..DeskOptions::in_folder(folder, people) }
}

impl Seat {
    pub(crate) async fn at(folder: &Path, server: &str) -> Self {
        Self::with(options(folder), server).await
    }

    pub(crate) async fn with(options: DeskOptions, server: &str) -> Self {
        let (told, events) = mpsc::unbounded_channel();
        let told = Mutex::new(told);
        let listener = Arc::new(move |event| drop(told.lock().unwrap().send(event)));
        Self { desk: Desk::open(options, listener).await.unwrap(), events, server: server.to_owned() }
    }

    pub(crate) async fn sign_up(&mut self, handle: &str) {
        let codes = self.desk.sign_up(given(&self.server, handle, PASSWORD)).await.unwrap();
        assert!(codes.len() >= 8, "{}", codes.len());
        self.people("online", |people| people.connection == Connection::Online).await;
    }

    pub(crate) async fn until<T>(&mut self, what: &str, pick: impl Fn(DeskEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = pick(self.events.recv().await.expect("the desk is there")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("never came: {what}"))
    }

    async fn people(&mut self, what: &str, is_so: impl Fn(&PeopleSnapshot) -> bool) -> PeopleSnapshot {
        let pick = |event| match event {
            DeskEvent::People(people) if is_so(&people) => Some(people),
            _ => None,
        };
        self.until(what, pick).await
    }

    pub(crate) async fn calls(&mut self, what: &str, is_so: impl Fn(&CallsView) -> bool) -> CallsView {
        let pick = |event| match event {
            DeskEvent::Calls(calls) if is_so(&calls) => Some(calls),
            _ => None,
        };
        self.until(what, pick).await
    }

    pub(crate) async fn ending(&mut self) -> Ending {
        let pick = |event| match event {
            DeskEvent::Ended(summary) => Some(summary.with.expect("it was with somebody").how),
            DeskEvent::Over(ending) => Some(ending.how),
            _ => None,
        };
        self.until("the call ends", pick).await
    }

    pub(crate) async fn connected(&mut self) {
        self.calls("connected", |calls| {
            calls.current.as_ref().is_some_and(|call| call.stage == CallStage::Connected)
        })
        .await;
    }
}

pub(crate) fn server() -> SignalingServer {
    SignalingServer::start_with(|config| {
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
        // Nobody calls as often as these tests do.
        (config.limits.normal_per_minute, config.limits.call_signals_per_minute) = (100_000, 100_000);
    })
    .unwrap()
}

/// Two desks whose people may call each other.
pub(crate) async fn two(folder: &Path, server: &SignalingServer) -> (Seat, Seat) {
    let (ada_home, grace_home) = (folder.join("ada"), folder.join("grace"));
    [&ada_home, &grace_home].into_iter().for_each(|home| std::fs::create_dir_all(home).unwrap());
    let (mut ada, mut grace) =
        (Seat::at(&ada_home, server.url()).await, Seat::at(&grace_home, server.url()).await);
    ada.sign_up("ada").await;
    grace.sign_up("grace").await;
    ada.desk.add_contact("grace").await.unwrap();
    let asks = |people: &PeopleSnapshot| {
        people.contacts.iter().any(|contact| contact.standing == ContactStanding::Asking)
    };
    grace.people("asked", asks).await;
    grace.desk.add_contact("ada").await.unwrap();
    let online =
        |people: &PeopleSnapshot| people.contacts.iter().any(|contact| contact.presence == Presence::Online);
    ada.people("Grace online", online).await;
    (ada, grace)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_sign_up_and_call_each_other_at_their_desks() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    ada.desk.call("grace", true).await.unwrap();
    let rings = grace.calls("it rings", |calls| !calls.ringing.is_empty()).await.ringing.remove(0);
    assert_eq!((rings.handle.as_str(), rings.video), ("ada", true));
    grace.desk.accept(&rings.call, true).await.unwrap();
    ada.connected().await;
    grace.connected().await;
    assert!(matches!(
        ada.desk.start_test_call().await.map_err(Problem::from),
        Err(Problem { code: ProblemCode::CallRunning, .. })
    ));
    ada.desk.set_muted(true).await.unwrap();
    grace.calls("Ada is muted", |calls| calls.current.as_ref().is_some_and(|call| call.muted_there)).await;
    ada.desk.set_held(true).await.unwrap();
    grace.calls("on hold", |calls| calls.current.as_ref().is_some_and(|call| call.held_there)).await;
    ada.desk.hang_up().await;
    assert_eq!(ada.ending().await, Ending::HungUp);
    assert_eq!(grace.ending().await, Ending::HungUp);
    assert_eq!((ada.desk.calls(), grace.desk.calls()), (CallsView::default(), CallsView::default()));
    // The devices are free again.
    ada.desk.start_test_call().await.unwrap();
    ada.desk.close().await;
    grace.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_call_is_told_to_both() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    ada.desk.call("grace", false).await.unwrap();
    let rings = grace.calls("it rings", |calls| !calls.ringing.is_empty()).await.ringing.remove(0);
    assert!(!rings.video);
    grace.desk.decline(&rings.call).await.unwrap();
    assert_eq!(grace.ending().await, Ending::DeclinedHere);
    assert_eq!(ada.ending().await, Ending::Declined);
    ada.desk.close().await;
    grace.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_signed_in_still_is_at_the_next_start_until_they_sign_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let mut ada = Seat::at(folder.path(), server.url()).await;
    ada.sign_up("ada").await;
    ada.desk.close().await;
    let mut again = Seat::at(folder.path(), server.url()).await;
    assert_eq!(again.desk.people().me, None);
    again.desk.resume_sign_in().await.unwrap();
    let people = again.people("online", |people| people.connection == Connection::Online).await;
    assert_eq!(people.me.map(|me| me.handle), Some("ada".to_owned()));
    again.desk.sign_out().await.unwrap();
    assert_eq!(again.desk.people(), PeopleSnapshot::default());
    let last = Seat::at(folder.path(), server.url()).await;
    last.desk.resume_sign_in().await.unwrap();
    assert_eq!(last.desk.people(), PeopleSnapshot::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_wrong_has_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let mut ada = Seat::at(folder.path(), server.url()).await;
    ada.sign_up("ada").await;
    let other_home = folder.path().join("other");
    std::fs::create_dir_all(&other_home).unwrap();
    let other = Seat::at(&other_home, server.url()).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let url = server.url();
    for (server, handle, password, code) in [
        (url, "ada", "not this one", ProblemCode::WrongCredentials),
        (url, "Not A Handle", PASSWORD, ProblemCode::HandleRefused),
        (url, "ada", "short", ProblemCode::PasswordRefused),
        ("not an address", "ada", PASSWORD, ProblemCode::AddressRefused),
        (nobody.as_str(), "ada", PASSWORD, ProblemCode::ServerUnreachable),
    ] {
        let problem = Problem::from(other.desk.sign_in(given(server, handle, password)).await.unwrap_err());
        assert_eq!(problem.code, code, "{}", problem.message);
    }
    let taken = other.desk.sign_up(given(url, "ada", PASSWORD)).await.unwrap_err();
    assert_eq!(Problem::from(taken).code, ProblemCode::HandleTaken);
    let nobody = other.desk.call("ada", true).await.unwrap_err();
    assert_eq!(Problem::from(nobody).code, ProblemCode::NobodyFound);
    let unknown = ada.desk.add_contact("nobody.at.all").await.unwrap_err();
    assert_eq!(Problem::from(unknown).code, ProblemCode::NobodyFound);
    assert_eq!(other.desk.people(), PeopleSnapshot::default());
}

/// Both call at the same time, again and again: each time that is one call, which both are in and which ends for both.
async fn both_call_at_once(rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    for round in 0..rounds {
        let (here, there) = tokio::join!(ada.desk.call("grace", false), grace.desk.call("ada", false));
        // Whoever is later may find that the other's call rings already, and is in it by calling back.
        here.unwrap_or_else(|error| panic!("round {round}: {error}"));
        there.unwrap_or_else(|error| panic!("round {round}: {error}"));
        ada.connected().await;
        grace.connected().await;
        if round % 2 == 0 {
            ada.desk.hang_up().await
        } else {
            grace.desk.hang_up().await
        };
        assert_eq!(
            (ada.ending().await, grace.ending().await),
            (Ending::HungUp, Ending::HungUp),
            "round {round}"
        );
        assert_eq!((ada.desk.calls(), grace.desk.calls()), (CallsView::default(), CallsView::default()));
    }
    ada.desk.close().await;
    grace.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_calling_at_once_is_one_call() {
    both_call_at_once(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_both_calling_at_once_is_one_call_a_thousand_times() {
    both_call_at_once(1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_by_link_gives_way_to_somebody_who_calls_and_never_disturbs_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    ada.desk.start_link_call(true).await.unwrap();
    let waits = ada.calls("the link", |calls| calls.current.is_some()).await.current.unwrap();
    assert!(waits.user.is_empty() && waits.link.unwrap().url.contains("/join/r_"));
    grace.desk.call("ada", true).await.unwrap();
    let rings = ada.calls("it rings", |calls| !calls.ringing.is_empty()).await.ringing.remove(0);
    ada.desk.accept(&rings.call, true).await.unwrap();
    let is_with_grace = |calls: &CallsView| {
        calls
            .current
            .as_ref()
            .is_some_and(|call| call.handle == "grace" && call.stage == CallStage::Connected)
    };
    ada.calls("the call with Grace", is_with_grace).await;
    grace.connected().await;
    assert!(matches!(
        ada.desk.start_link_call(true).await.map_err(Problem::from),
        Err(Problem { code: ProblemCode::CallRunning, .. })
    ));
    assert!(is_with_grace(&ada.desk.calls()), "{:?}", ada.desk.calls());
    ada.desk.set_muted(true).await.unwrap();
    grace.calls("Ada is muted", |calls| calls.current.as_ref().is_some_and(|call| call.muted_there)).await;
    ada.desk.hang_up().await;
    assert_eq!(grace.ending().await, Ending::HungUp);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_blocked_finds_nobody_there_and_is_told_no_more_than_that() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    grace.desk.block_contact("ada").await.unwrap();
    let standing = |people: &PeopleSnapshot| people.contacts.first().map(|contact| contact.standing);
    grace.people("blocked", |people| standing(people) == Some(ContactStanding::Blocked)).await;
    match ada.desk.call("grace", true).await.map_err(Problem::from) {
        // Where the list still has her: as if she were away. That one is blocked is nobody's business but hers.
        Ok(()) => assert_eq!(ada.ending().await, Ending::Offline),
        Err(problem) => assert_eq!(problem.code, ProblemCode::NobodyFound),
    }
    assert_eq!((ada.desk.calls(), grace.desk.calls()), (CallsView::default(), CallsView::default()));
    ada.desk.start_test_call().await.unwrap();
    ada.desk.close().await;
    grace.desk.close().await;
}

/// The time itself is what is tested: an access token of the shortest kind expires, and its successor, while the two talk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_a_call_does_not_notice_that_access_tokens_expire() {
    const TOKEN: std::time::Duration = std::time::Duration::from_secs(60);
    let folder = tempfile::tempdir().unwrap();
    let server = SignalingServer::start_with(|config| {
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
        config.auth.access_token_s = TOKEN.as_secs();
    })
    .unwrap();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    ada.desk.call("grace", false).await.unwrap();
    let rings = grace.calls("it rings", |calls| !calls.ringing.is_empty()).await.ringing.remove(0);
    grace.desk.accept(&rings.call, false).await.unwrap();
    ada.connected().await;
    grace.connected().await;
    let changed = |seat: &mut Seat| {
        let mut news = Vec::new();
        while let Ok(event) = seat.events.try_recv() {
            match event {
                DeskEvent::People(people) if people.connection != Connection::Online => {
                    news.push(format!("{:?}", people.connection));
                }
                DeskEvent::Calls(calls)
                    if calls.current.as_ref().is_none_or(|call| call.stage != CallStage::Connected) =>
                {
                    news.push(format!("{calls:?}"));
                }
                _ => {}
            }
        }
        news
    };
    tokio::time::sleep(2 * TOKEN + TOKEN / 4).await;
    assert_eq!((changed(&mut ada), changed(&mut grace)), (Vec::<String>::new(), Vec::<String>::new()));
    // The session is good as ever.
    ada.desk.set_held(true).await.unwrap();
    grace.calls("on hold", |calls| calls.current.as_ref().is_some_and(|call| call.held_there)).await;
    let unknown = ada.desk.add_contact("nobody.at.all").await.unwrap_err();
    assert_eq!(Problem::from(unknown).code, ProblemCode::NobodyFound);
    ada.desk.hang_up().await;
    assert_eq!((ada.ending().await, grace.ending().await), (Ending::HungUp, Ending::HungUp));
    ada.desk.close().await;
    grace.desk.close().await;
}
