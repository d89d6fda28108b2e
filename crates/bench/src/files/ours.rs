//! Our own: two ends as two programs have them, in this one.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_client::transfers::{
    FileChannels, Person, Stage, TransferId, TransferView, Transfers, TransfersEvent, scan,
};
use ahoy_media_types::MediaClock;
use ahoy_rtc::{Peer, PeerConfig, PeerEvent, Politeness, Signal, Uplink};
use ahoy_testkit::{Side, UdpRelay};
use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

use super::{Arrived, GIVE_UP};

/// How often it is looked how much memory there is in use.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Sends a file, and looks whether it is the same afterwards.
pub(super) fn send(path: &Path, relay: Option<UdpRelay>) -> Result<Arrived> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(sent(path, relay.map(Arc::new)))
}

async fn sent(path: &Path, relay: Option<Arc<UdpRelay>>) -> Result<Arrived> {
    let mut ends = Ends::connect(relay, Uplink::default(), true).await?;
    let idle = resident()?;
    let id = ends.offer(path).await?;
    let began = Instant::now();
    ends.accept(id)?;
    let mut most = idle;
    let mut look = interval(LOOK_EVERY);
    let mut last: Option<TransferView> = None;
    let over = timeout(GIVE_UP, async {
        loop {
            tokio::select! {
                view = ends.changed() => {
                    let view = view?;
                    let ended = view.stage == Stage::Ended;
                    last = Some(view);
                    if ended {
                        return anyhow::Ok(());
                    }
                },
                _ = look.tick() => most = most.max(resident()?),
            }
        }
    })
    .await;
    let took = began.elapsed();
    let last = last.context("nothing was told")?;
    if let Ok(over) = over {
        over?;
        if last.done != 1 {
            bail!("it did not arrive: {last:?}");
        }
        let name = path.file_name().context("a name")?;
        if !same(path, &ends.inbox.path().join(name))? {
            bail!("another one arrived");
        }
    }
    let (bytes, memory) = (last.moved, Some(most - idle));
    ends.close().await;
    Ok(Arrived { bytes, took, memory })
}

/// Two who are connected for files.
pub(super) struct Ends {
    gives: Transfers,
    takes: Transfers,
    taken: mpsc::Receiver<TransfersEvent>,
    peers: [Peer; 2],
    inbox: TempDir,
    _remembers: [TempDir; 2],
}

fn other() -> Person {
    Person("other".to_owned())
}

impl Ends {
    /// The first end, of those that the relay connects, is the one that gives.
    pub(super) async fn connect(relay: Option<Arc<UdpRelay>>, uplink: Uplink, bulk: bool) -> Result<Self> {
        let [here, there, inbox] = [tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?];
        let (gives, given) = Transfers::open(other(), here.path().to_owned()).await?;
        let (takes, taken) = Transfers::open(other(), there.path().to_owned()).await?;
        tokio::spawn(drain(given));
        let clock = MediaClock::start();
        let config = |role| PeerConfig { bulk, ..PeerConfig::loopback(role) };
        let first = PeerConfig { uplink, ..config(Politeness::Polite) };
        let (first, first_events) = Peer::new(first, clock).await?;
        let (second, second_events) = Peer::new(config(Politeness::Impolite), clock).await?;
        let (to_one, to_two) = (FileChannels::open(&first).await?, FileChannels::open(&second).await?);
        for (there, mut events, side) in
            [(second.clone(), first_events, Side::A), (first.clone(), second_events, Side::B)]
        {
            let relay = relay.clone();
            tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    if let PeerEvent::Signal(signal) = event
                        && let Some(signal) = over(relay.as_deref(), side, signal)
                    {
                        let _ = there.handle_signal(signal).await;
                    }
                }
            });
        }
        gives.connected(&other(), to_one);
        takes.connected(&other(), to_two);
        Ok(Self { gives, takes, taken, peers: [first, second], inbox, _remembers: [here, there] })
    }

    /// Offers a file, and waits until the other side knows of it.
    pub(super) async fn offer(&mut self, path: &Path) -> Result<TransferId> {
        self.gives.give(&other(), scan(&[path.to_owned()], |_| true)?.sources);
        loop {
            if let TransfersEvent::Offered(view) = self.taken.recv().await.context("it has ended")? {
                return Ok(view.id.parse()?);
            }
        }
    }

    pub(super) fn accept(&self, id: TransferId) -> Result<()> {
        Ok(self.takes.accept(id, None, self.inbox.path().to_owned())?)
    }

    /// The next change at the side that takes.
    pub(super) async fn changed(&mut self) -> Result<TransferView> {
        loop {
            if let TransfersEvent::Changed(view) = self.taken.recv().await.context("it has ended")? {
                return Ok(*view);
            }
        }
    }

    pub(super) async fn close(self) {
        self.gives.close().await;
        self.takes.close().await;
        for peer in self.peers {
            peer.close().await;
        }
    }
}

/// Nobody looks at the giving side.
async fn drain(mut events: mpsc::Receiver<TransfersEvent>) {
    while events.recv().await.is_some() {}
}

fn over(relay: Option<&UdpRelay>, from: Side, signal: Signal) -> Option<Signal> {
    let Some(relay) = relay else { return Some(signal) };
    Some(match signal {
        Signal::Description { kind, sdp } => {
            Signal::Description { kind, sdp: relay.rewrite_sdp(from, &sdp).ok()? }
        }
        Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag } => {
            let candidate = relay.rewrite_candidate(from, &candidate).ok()??;
            Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag }
        }
    })
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let mut left = fs::metadata(one)?.len();
    if fs::metadata(other)?.len() != left {
        return Ok(false);
    }
    let (mut one, mut other) = (fs::File::open(one)?, fs::File::open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    while left > 0 {
        let next = left.min(a.len() as u64) as usize;
        one.read_exact(&mut a[..next])?;
        other.read_exact(&mut b[..next])?;
        if a[..next] != b[..next] {
            return Ok(false);
        }
        left -= next as u64;
    }
    Ok(true)
}

/// Bytes of memory of this program.
fn resident() -> Result<u64> {
    let status = procfs::process::Process::myself()?.status()?;
    // The kernel says kB and means 1,024 bytes.
    Ok(status.rssanon.context("the system does not tell how much memory is used")? * 1024)
}
