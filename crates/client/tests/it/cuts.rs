//! Networks that are cut between a client and the real server: nobody is told, nothing may be lost, nothing said twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ahoy_client::account::{AccountPlace, Accounts, PlainHttp, ServerChoice, ServerUrl};
use ahoy_client::signaling::{RoomEvent, Signaling, SignalingEvent, SignalingEvents};
use ahoy_signal::account::SignUp;
use ahoy_signal::{ChatText, ClientInfo, Handle, Name, Password, RoomId, RoomSettings};
use ahoy_testkit::SignalingServer;
use ahoy_testkit::wire::TcpGate;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Lines that each of the two says while the network is cut.
const LINES: usize = 10;
/// Longest wait for what is on its way: much more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody with a new account, online.
pub(crate) async fn meet(folder: &Path, address: &str, handle: &str) -> (Signaling, SignalingEvents) {
    let url = ServerUrl::parse(address, PlainHttp::LoopbackOnly).unwrap();
    let choice = ServerChoice::at(url);
    let place = AccountPlace::Memory { folder: folder.join(handle) };
    let accounts = Accounts::open(place, "test/1").await.unwrap();
    let account = SignUp {
        handle: Handle::new(handle).unwrap(),
        name: Name::new(handle).unwrap(),
        password: Password::new("correct horse battery").unwrap(),
        device_name: Name::new("test").unwrap(),
        sign_up_code: None,
    };
    let (signed_in, _) = accounts.sign_up(&choice, &account).await.unwrap();
    let client = ClientInfo { name: "test".into(), version: "1".into() };
    Signaling::connect(&signed_in, client, Duration::from_secs(300)).await.unwrap()
}

async fn enter(signaling: &Signaling, events: &mut SignalingEvents, room: RoomId) {
    signaling.join(room).await;
    let entered = async {
        while let Some(event) = events.next().await {
            if let SignalingEvent::Room { event: RoomEvent::Entered { .. }, .. } = event {
                return;
            }
        }
    };
    timeout(PATIENCE, entered).await.expect("one gets in");
}

/// What one saw: the lines in order, and how often the roster changed.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    lines: Vec<String>,
    roster_changes: usize,
}

/// Watches until so many lines were seen.
async fn watch(events: &mut SignalingEvents, lines: usize) -> Seen {
    let mut seen = Seen::default();
    while seen.lines.len() < lines {
        let event = timeout(Duration::from_secs(300), events.next()).await.expect("all lines come");
        match event.expect("the session goes on") {
            SignalingEvent::Room { event: RoomEvent::Chat(line), .. } => {
                seen.lines.push(line.text.as_str().to_owned());
            }
            SignalingEvent::Room { event, .. } => {
                let roster = matches!(
                    event,
                    RoomEvent::Came(_) | RoomEvent::Went(_) | RoomEvent::Changed(_) | RoomEvent::Left(_)
                );
                seen.roster_changes += usize::from(roster);
            }
            SignalingEvent::Ended(reason) => panic!("the session ended: {reason}"),
            SignalingEvent::GaveUp(trouble) => panic!("given up: {trouble}"),
            _ => {}
        }
    }
    seen
}

/// Says lines all through the cut; each must be said in the end.
async fn talk(signaling: &Arc<Signaling>, room: RoomId, who: &'static str, cut: Duration) {
    let begun = Instant::now();
    let mut lines = JoinSet::new();
    for number in 0..LINES {
        let signaling = Arc::clone(signaling);
        lines.spawn(async move {
            let part = u32::try_from(number).unwrap() + 1;
            sleep_until(begun + cut * part / u32::try_from(LINES).unwrap()).await;
            let text = ChatText::new(format!("{who} {number}")).unwrap();
            signaling.chat(room, text).await.expect("it is said");
        });
    }
    while let Some(said) = lines.join_next().await {
        said.unwrap();
    }
}

/// Cuts one of two for so long while both talk. Returns what the two saw.
async fn cut_for(cut: Duration) -> (Seen, Seen) {
    let cheap = |config: &mut ahoy_testkit::signaling_server::Config| {
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
    };
    let server = SignalingServer::start_with(cheap).unwrap();
    let gate = TcpGate::before(server.url().strip_prefix("http://").unwrap().parse().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (ada, mut adas) = meet(folder.path(), server.url(), "ada").await;
    let (grace, mut graces) = meet(folder.path(), &format!("http://{}", gate.address()), "grace").await;
    let room = ada.create_room(Name::new("Bridge").unwrap(), RoomSettings::default()).await.unwrap().room;
    let (ada, grace) = (Arc::new(ada), Arc::new(grace));
    enter(&ada, &mut adas, room).await;
    enter(&grace, &mut graces, room).await;
    // Ada has seen Grace come before the network is cut.
    let text = ChatText::new("ready").unwrap();
    grace.chat(room, text).await.unwrap();
    watch(&mut adas, 1).await;
    watch(&mut graces, 1).await;

    gate.shut();
    let mended = async {
        sleep_until(Instant::now() + cut).await;
        gate.open();
    };
    let ((), (), (), ada_saw, grace_saw) = tokio::join!(
        mended,
        talk(&ada, room, "ada", cut),
        talk(&grace, room, "grace", cut),
        watch(&mut adas, 2 * LINES),
        watch(&mut graces, 2 * LINES),
    );
    (ada_saw, grace_saw)
}

fn assert_whole(ada: &Seen, grace: &Seen) {
    assert_eq!(ada.lines, grace.lines, "both saw the same, in the same order");
    let mut lines = ada.lines.clone();
    lines.sort();
    let mut all: Vec<_> = ["ada", "grace"]
        .iter()
        .flat_map(|who| (0..LINES).map(move |number| format!("{who} {number}")))
        .collect();
    all.sort();
    assert_eq!(lines, all, "each line once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_of_less_than_five_seconds_is_seen_by_nobody_and_loses_nothing() {
    let (ada, grace) = cut_for(Duration::from_millis(4_500)).await;
    assert_whole(&ada, &grace);
    assert_eq!((ada.roster_changes, grace.roster_changes), (0, 0), "no flicker");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_a_cut_of_half_a_minute_loses_nothing() {
    let (ada, grace) = cut_for(Duration::from_secs(30)).await;
    assert_whole(&ada, &grace);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_a_cut_of_two_minutes_loses_nothing() {
    let (ada, grace) = cut_for(Duration::from_secs(120)).await;
    assert_whole(&ada, &grace);
}
