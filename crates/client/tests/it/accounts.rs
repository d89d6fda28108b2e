//! Sign-ins against the real server, where they are kept in this process or a file.

use std::path::Path;
use std::time::Duration;

use ahoy_client::account::{
    AccountError, AccountPlace, Accounts, Keeping, PlainHttp, ServerChoice, ServerUrl, SignedIn,
};
use ahoy_client::signaling::{EndReason, RoomEvent, Signaling, SignalingEvent, SignalingEvents};
use ahoy_signal::account::{SignIn, SignUp};
use ahoy_signal::{ChatText, ClientInfo, Handle, Name, Password, RoomSettings};
use ahoy_testkit::SignalingServer;

fn server() -> SignalingServer {
    let cheap = |config: &mut ahoy_testkit::signaling_server::Config| {
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
    };
    SignalingServer::start_with(cheap).expect("the server starts")
}

fn choice(server: &SignalingServer) -> ServerChoice {
    let url = ServerUrl::parse(server.url(), PlainHttp::LoopbackOnly).expect("an address");
    ServerChoice::at(url)
}

async fn in_memory(folder: &Path) -> Accounts {
    let place = AccountPlace::Memory { folder: folder.to_owned() };
    Accounts::open(place, "test/1").await.expect("memory is there")
}

fn password() -> Password {
    Password::new("correct horse battery").expect("it keeps to the rules")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("it keeps to the rules")
}

async fn sign_up(accounts: &Accounts, server: &SignalingServer, handle: &str) -> SignedIn {
    let account = SignUp {
        handle: Handle::new(handle).expect("it keeps to the rules"),
        name: name("Ada"),
        password: password(),
        device_name: name("test"),
        sign_up_code: None,
    };
    accounts.sign_up(&choice(server), &account).await.expect("she signs up").0
}

async fn connect(signed_in: &SignedIn) -> (Signaling, SignalingEvents) {
    let client = ClientInfo { name: "test".into(), version: "1".into() };
    Signaling::connect(signed_in, client, Duration::from_secs(20)).await.expect("she is online")
}

#[tokio::test]
async fn without_a_keyring_one_is_signed_in_until_the_program_ends() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let accounts = in_memory(folder.path()).await;
    assert_eq!(accounts.keeping(), Keeping::Memory);
    accounts.check().await.unwrap();
    sign_up(&accounts, &server, "ada").await;
    let again = accounts.signed_in(None).unwrap();
    assert_eq!(again.devices().await.unwrap().len(), 1);
    let remembered = std::fs::read_to_string(folder.path().join("account.json")).unwrap();
    assert!(remembered.contains("ada") && !remembered.contains("secrets"), "{remembered}");

    // The next program knows who it was, and that they have to sign in.
    let next = in_memory(folder.path()).await.signed_in(None).unwrap();
    assert!(matches!(next.devices().await, Err(AccountError::SignedOut { .. })));
}

#[tokio::test]
async fn signing_in_again_leaves_no_device_behind() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let accounts = in_memory(folder.path()).await;
    let first = sign_up(&accounts, &server, "ada").await;
    let credentials =
        SignIn { handle: Handle::new("ada").unwrap(), password: password(), device_name: name("test") };
    let second = accounts.sign_in(&choice(&server), &credentials).await.unwrap();
    assert_eq!(second.devices().await.unwrap().len(), 1);
    assert!(matches!(first.devices().await, Err(AccountError::SignedOut { .. })));
}

#[tokio::test]
async fn a_server_that_can_not_be_asked_signs_nobody_out() {
    let (mut server, folder) = (server(), tempfile::tempdir().unwrap());
    let accounts = in_memory(folder.path()).await;
    sign_up(&accounts, &server, "ada").await;
    server.stop();
    assert!(matches!(accounts.sign_out(None).await, Err(AccountError::Reach(_))));
    server.start_again().expect("it starts where it was");
    accounts.sign_out(None).await.unwrap();
    assert!(matches!(accounts.signed_in(None), Err(AccountError::NotSignedIn { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_while_the_server_is_away_is_said_once_it_is_back() {
    let (mut server, folder) = (server(), tempfile::tempdir().unwrap());
    let accounts = in_memory(folder.path()).await;
    let signed_in = sign_up(&accounts, &server, "ada").await;
    let (signaling, mut events) = connect(&signed_in).await;
    let room = signaling.create_room(name("Bridge"), RoomSettings::default()).await.unwrap().room;
    signaling.join(room).await;
    let entered = |event: &SignalingEvent| {
        matches!(event, SignalingEvent::Room { event: RoomEvent::Entered { .. }, .. })
    };
    while !entered(&events.next().await.expect("she enters")) {}
    tokio::task::block_in_place(|| server.stop());
    while !matches!(events.next().await, Some(SignalingEvent::Offline { .. })) {}
    let text = ChatText::new("is anybody there?").unwrap();
    let said = signaling.chat(room, text.clone());
    let restart = async {
        tokio::task::block_in_place(|| server.start_again()).expect("it starts where it was");
    };
    let (said, ()) = tokio::join!(said, restart);
    said.expect("it is said after all");
    let mut lines = 0;
    signaling.end().await;
    loop {
        match events.next().await {
            Some(SignalingEvent::Room { event: RoomEvent::Chat(line), .. }) if line.text == text => {
                lines += 1
            }
            Some(SignalingEvent::Ended(reason)) => break assert_eq!(reason, EndReason::Left),
            Some(_) => {}
            None => panic!("it ends with a word"),
        }
    }
    assert_eq!(lines, 1);
}
