//! Files between two real ends: peer connections, channels, threads, disks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ahoy_client::transfers::{
    FileChannels, FileStage, Person, Stage, TransferId, TransferView, Transfers, TransfersEvent, scan,
};
use ahoy_media_types::MediaClock;
use ahoy_rtc::{Peer, PeerConfig, PeerEvent, Politeness, Signal};
use ahoy_testkit::{LinkConfig, RateSchedule, Side, UdpRelay};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What a test waits for at most. Nothing here takes more than some seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the two, with all that is on its disk.
struct End {
    transfers: Transfers,
    events: mpsc::Receiver<TransfersEvent>,
    /// What it remembers, what it has, and where what comes goes.
    remembers: TempDir,
    has: TempDir,
    gets: TempDir,
}

impl End {
    async fn new() -> Self {
        let [remembers, has, gets] = [0; 3].map(|_| tempfile::tempdir().unwrap());
        let (transfers, events) = Transfers::open(other(), remembers.path().to_owned()).await.unwrap();
        Self { transfers, events, remembers, has, gets }
    }

    /// The program ends, and is started again.
    async fn restart(&mut self) {
        self.transfers.close().await;
        let folder = self.remembers.path().to_owned();
        (self.transfers, self.events) = Transfers::open(other(), folder).await.unwrap();
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.has.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn give(&self, paths: &[PathBuf]) -> TransferId {
        let scanned = scan(paths, |_| true).unwrap();
        assert!(scanned.left_out.is_empty(), "{:?}", scanned.left_out);
        self.transfers.give(&other(), scanned.sources)
    }

    /// Awaits a transfer that somebody has to decide about.
    async fn offered(&mut self) -> TransferView {
        self.until("an offer", |event| match event {
            TransfersEvent::Offered(view) => Some(*view),
            TransfersEvent::Changed(_) => None,
        })
        .await
    }

    async fn takes(&mut self) -> TransferId {
        let id = self.offered().await.id.parse().unwrap();
        self.transfers.accept(id, None, self.gets.path().to_owned()).unwrap();
        id
    }

    /// Awaits the end of a transfer.
    async fn ends(&mut self, id: TransferId) -> TransferView {
        self.becomes(id, |view| view.stage == Stage::Ended).await
    }

    async fn becomes(&mut self, id: TransferId, is_it: impl Fn(&TransferView) -> bool) -> TransferView {
        let id = id.to_string();
        self.until("a transfer to change", |event| match event {
            TransfersEvent::Changed(view) if view.id == id && is_it(&view) => Some(*view),
            TransfersEvent::Changed(_) | TransfersEvent::Offered(_) => None,
        })
        .await
    }

    async fn until<T>(&mut self, what: &str, mut is_it: impl FnMut(TransfersEvent) -> Option<T>) -> T {
        within(what, async {
            loop {
                let event = self.events.recv().await.expect("it still lives");
                if let Some(it) = is_it(event) {
                    return it;
                }
            }
        })
        .await
    }
}

/// Each end knows one other.
fn other() -> Person {
    Person("the other one".to_owned())
}

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// A connection between two ends.
struct Connection {
    peers: [Peer; 2],
    _relay: Arc<UdpRelay>,
}

/// What is said, so that packets go over the relay.
fn over(relay: &UdpRelay, from: Side, signal: Signal) -> Option<Signal> {
    Some(match signal {
        Signal::Description { kind, sdp } => {
            Signal::Description { kind, sdp: relay.rewrite_sdp(from, &sdp).unwrap() }
        }
        Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag } => {
            let candidate = relay.rewrite_candidate(from, &candidate).unwrap()?;
            Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag }
        }
    })
}

impl Connection {
    async fn of(one: &End, two: &End) -> Self {
        Self::over(one, two, LinkConfig::default()).await
    }

    /// One that is slow enough for something to happen meanwhile.
    async fn slow(one: &End, two: &End) -> Self {
        let rate = LinkConfig::builder()
            .rate(RateSchedule::constant(40_000_000))
            .delay(Duration::from_millis(5))
            .build()
            .unwrap();
        Self::over(one, two, rate).await
    }

    async fn over(one: &End, two: &End, link: LinkConfig) -> Self {
        Self::by([true; 2], one, two, link).await
    }

    /// One whose ends take QUIC, or do not.
    async fn by(bulk: [bool; 2], one: &End, two: &End, link: LinkConfig) -> Self {
        let relay = Arc::new(UdpRelay::start(link.clone(), link).unwrap());
        let clock = MediaClock::start();
        let config = |role, bulk| PeerConfig { bulk, ..PeerConfig::loopback(role) };
        let (first, first_events) = Peer::new(config(Politeness::Polite, bulk[0]), clock).await.unwrap();
        let (second, second_events) = Peer::new(config(Politeness::Impolite, bulk[1]), clock).await.unwrap();
        // As in calls, before anything is heard from the other side.
        let to_one = FileChannels::open(&first).await.unwrap();
        let to_two = FileChannels::open(&second).await.unwrap();
        for (other, mut events, side) in [(&second, first_events, Side::A), (&first, second_events, Side::B)]
        {
            let (there, relay) = (other.clone(), Arc::clone(&relay));
            tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    if let PeerEvent::Signal(signal) = event
                        && let Some(signal) = over(&relay, side, signal)
                    {
                        let _ = there.handle_signal(signal).await;
                    }
                }
            });
        }
        one.transfers.connected(&other(), to_one);
        two.transfers.connected(&other(), to_two);
        Self { peers: [first, second], _relay: relay }
    }

    async fn lose(self) {
        for peer in &self.peers {
            peer.close().await;
        }
    }
}

fn random(size: usize, seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..size).map(|_| rng.random()).collect()
}

/// All files below a folder, with what is in them.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(folder).unwrap().to_owned();
            if path.is_dir() {
                tree.insert(below, None);
                folders.push(path);
            } else {
                tree.insert(below, Some(fs::read(&path).unwrap()));
            }
        }
    }
    tree
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_arrives_as_it_was_with_its_times_and_nothing_is_left_over() {
    let (mut gives, mut takes) = (End::new().await, End::new().await);
    let sizes = [0, 1, 65_535, 65_536, 65_537, 3_000_000];
    for (number, size) in sizes.into_iter().enumerate() {
        gives.write(&format!("album/part {number}/ä {size}.bin"), &random(size, size as u64));
    }
    fs::create_dir(gives.has.path().join("album/empty")).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_123);
    let file = fs::File::options().write(true).open(gives.has.path().join("album/part 1/ä 1.bin")).unwrap();
    file.set_modified(old).unwrap();
    let id = gives.give(&[gives.has.path().join("album")]);
    let connection = Connection::of(&gives, &takes).await;
    let offer = takes.offered().await;
    assert_eq!((offer.names, offer.tops, offer.files), (vec!["album".to_owned()], 1, 6));
    assert_eq!(offer.bytes, sizes.iter().sum::<usize>() as u64);
    takes.transfers.accept(id, None, takes.gets.path().to_owned()).unwrap();
    let (given, taken) = (gives.ends(id).await, takes.ends(id).await);
    assert_eq!((given.done, taken.done, given.moved), (6, 6, given.bytes));
    assert_eq!(tree(gives.has.path()), tree(takes.gets.path()));
    let arrived = fs::metadata(takes.gets.path().join("album/part 1/ä 1.bin")).unwrap();
    assert_eq!(arrived.modified().unwrap(), old);
    connection.lose().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_side_does_not_take_quic_files_go_over_data_channels() {
    for bulk in [[true, false], [false, true], [false, false]] {
        let (mut gives, mut takes) = (End::new().await, End::new().await);
        let content = random(3_000_000, 4);
        let id = gives.give(&[gives.write("large.bin", &content)]);
        let connection = Connection::by(bulk, &gives, &takes, LinkConfig::default()).await;
        takes.takes().await;
        assert_eq!((gives.ends(id).await.done, takes.ends(id).await.done), (1, 1), "{bulk:?}");
        assert!(fs::read(takes.gets.path().join("large.bin")).unwrap() == content);
        connection.lose().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_quic_is_lost_and_the_connection_is_not_data_channels_go_on() {
    let (mut gives, mut takes) = (End::new().await, End::new().await);
    let content = random(6_000_000, 5);
    let id = gives.give(&[gives.write("large.bin", &content)]);
    let connection = Connection::slow(&gives, &takes).await;
    takes.takes().await;
    takes.becomes(id, |view| view.moved > 1_000_000).await;
    connection.peers[0].bulk().await.expect("QUIC").close();
    assert_eq!((gives.ends(id).await.done, takes.ends(id).await.done), (1, 1));
    assert!(fs::read(takes.gets.path().join("large.bin")).unwrap() == content);
    connection.lose().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_goes_on_while_ice_begins_anew() {
    for bulk in [[true; 2], [false; 2]] {
        let (mut gives, mut takes) = (End::new().await, End::new().await);
        let content = random(6_000_000, 8);
        let id = gives.give(&[gives.write("large.bin", &content)]);
        let link = LinkConfig::builder().bps(40_000_000).delay(Duration::from_millis(5)).build().unwrap();
        let connection = Connection::by(bulk, &gives, &takes, link).await;
        takes.takes().await;
        takes.becomes(id, |view| view.moved > 1_000_000).await;
        connection.peers[1].restart_ice().await.unwrap();
        takes.becomes(id, |view| view.moved > 3_000_000).await;
        connection.peers[0].restart_ice().await.unwrap();
        let (given, taken) = (gives.ends(id).await, takes.ends(id).await);
        assert_eq!((given.done, taken.done), (1, 1), "{bulk:?}");
        assert!(fs::read(takes.gets.path().join("large.bin")).unwrap() == content);
        connection.lose().await;
    }
}

/// A packet in a hundred is lost, which data channels take for a jam.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_arrive_whole_over_a_link_that_loses_packets() {
    let (mut gives, mut takes) = (End::new().await, End::new().await);
    let content = random(6_000_000, 6);
    let id = gives.give(&[gives.write("large.bin", &content)]);
    let link = LinkConfig::builder()
        .rate(RateSchedule::constant(100_000_000))
        .delay(Duration::from_millis(20))
        .random_loss(0.02)
        .build()
        .unwrap();
    let connection = Connection::over(&gives, &takes, link).await;
    takes.takes().await;
    assert_eq!((gives.ends(id).await.done, takes.ends(id).await.done), (1, 1));
    assert!(fs::read(takes.gets.path().join("large.bin")).unwrap() == content);
    connection.lose().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_connection_is_lost_need_not_be_sent_again() {
    let (mut gives, mut takes) = (End::new().await, End::new().await);
    let content = random(6_000_000, 1);
    let id = gives.give(&[gives.write("large.bin", &content)]);
    let connection = Connection::slow(&gives, &takes).await;
    takes.takes().await;
    takes.becomes(id, |view| view.moved > 1_000_000).await;
    connection.lose().await;
    let before = takes.becomes(id, |view| !view.connected).await;
    let connection = Connection::slow(&gives, &takes).await;
    let again = takes.becomes(id, |view| view.connected).await;
    assert!(again.moved >= before.moved && again.stage == Stage::Going, "{before:?} {again:?}");
    assert_eq!(gives.ends(id).await.done, 1);
    assert_eq!(fs::read(takes.gets.path().join("large.bin")).unwrap(), content);
    connection.lose().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_goes_on_after_either_program_was_started_again() {
    let (mut gives, mut takes) = (End::new().await, End::new().await);
    let content = random(6_000_000, 2);
    let id = gives.give(&[gives.write("large.bin", &content)]);
    let connection = Connection::slow(&gives, &takes).await;
    takes.takes().await;
    takes.becomes(id, |view| view.moved > 1_000_000).await;
    takes.restart().await;
    connection.lose().await;
    let connection = Connection::slow(&gives, &takes).await;
    let after = takes.becomes(id, |view| view.connected).await;
    assert!(after.moved > 1_000_000, "{after:?}");
    takes.becomes(id, |view| view.moved > 3_000_000).await;
    gives.restart().await;
    connection.lose().await;
    let connection = Connection::slow(&gives, &takes).await;
    let (given, taken) = (gives.ends(id).await, takes.ends(id).await);
    assert_eq!((given.done, taken.done), (1, 1));
    assert_eq!(fs::read(takes.gets.path().join("large.bin")).unwrap(), content);
    connection.lose().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_already_stays_and_what_comes_gets_a_number() {
    let (gives, mut takes) = (End::new().await, End::new().await);
    fs::write(takes.gets.path().join("note.txt"), "mine").unwrap();
    let id = gives.give(&[gives.write("note.txt", b"yours")]);
    let connection = Connection::of(&gives, &takes).await;
    takes.takes().await;
    takes.ends(id).await;
    assert_eq!(fs::read(takes.gets.path().join("note.txt")).unwrap(), b"mine");
    assert_eq!(fs::read(takes.gets.path().join("note (2).txt")).unwrap(), b"yours");
    connection.lose().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_learn_that_files_were_not_wanted_or_have_changed() {
    let (mut gives, mut takes) = (End::new().await, End::new().await);
    let declined = gives.give(&[gives.write("no.txt", b"?")]);
    let connection = Connection::of(&gives, &takes).await;
    let offer = takes.offered().await;
    takes.transfers.decline(offer.id.parse().unwrap()).unwrap();
    let given = gives.ends(declined).await;
    assert_eq!(given.trouble.as_deref(), Some("declined"));
    let [changed, stays] = ["changes.txt", "stays.txt"].map(|name| gives.write(name, b"before"));
    let id = gives.give(&[changed.clone(), stays]);
    fs::write(&changed, "after that").unwrap();
    takes.takes().await;
    let (given, taken) = (gives.ends(id).await, takes.ends(id).await);
    for view in [given, taken] {
        assert_eq!((view.done, view.failed, view.trouble.as_deref()), (1, 1, Some("changed")));
    }
    assert_eq!(tree(takes.gets.path()).len(), 1);
    connection.lose().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_stands_still_while_it_is_paused_and_leaves_nothing_when_it_is_cancelled() {
    let (mut gives, mut takes) = (End::new().await, End::new().await);
    let id = gives.give(&[gives.write("large.bin", &random(6_000_000, 3))]);
    let connection = Connection::slow(&gives, &takes).await;
    takes.takes().await;
    takes.becomes(id, |view| view.moved > 500_000).await;
    takes.transfers.pause(id, None).unwrap();
    gives.becomes(id, |view| view.paused_there).await;
    let files = takes.transfers.files(id).await.unwrap();
    assert_eq!((files[0].path.as_str(), files[0].stage), ("large.bin", FileStage::Moving));
    takes.transfers.resume(id, None).unwrap();
    gives.becomes(id, |view| !view.paused_there).await;
    gives.transfers.cancel(id, None).unwrap();
    let taken = takes.ends(id).await;
    assert_eq!((taken.failed, taken.trouble.as_deref()), (1, Some("cancelled")));
    gives.ends(id).await;
    takes.transfers.close().await;
    assert!(tree(takes.gets.path()).is_empty());
    connection.lose().await;
}
