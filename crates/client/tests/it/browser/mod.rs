//! A call between one of our peers and Chromium, which `tests/interop/browser_peer.mjs` drives.
#![allow(clippy::print_stdout, reason = "what Chromium said belongs into the output of a test that failed")]

pub(crate) mod media;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ahoy_media_types::{Codec, MediaClock};
use ahoy_rtc::{
    Channel, ConnectionState, LocalTrack, Peer, PeerConfig, PeerEvent, PeerEvents, Politeness, RemoteTrack,
    Signal,
};
use ahoy_testkit::{LinkConfig, LinkHandle, Side, UdpRelay};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};

/// What a test waits for at most. The slowest answer, Chromium's start, takes three seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Awaits `future` or fails the test.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

type Answer = oneshot::Sender<Result<Value, String>>;

/// Chromium with one page that holds one end of a call.
#[derive(Clone)]
pub(crate) struct Browser {
    lines: mpsc::UnboundedSender<String>,
    waiting: Arc<Mutex<HashMap<u64, Answer>>>,
    next: Arc<AtomicU64>,
}

impl Browser {
    /// Starts Chromium with `clip` for a camera; what its end says comes out of the receiver.
    async fn start(clip: &Path) -> (Self, mpsc::UnboundedReceiver<Signal>, Child) {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut child = Command::new("node")
            .arg(root.join("tests/interop/browser_peer.mjs"))
            .arg("--clip")
            .arg(clip)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js is installed: cargo xtask setup --for test");
        let (lines, to_write) = mpsc::unbounded_channel();
        let (signals, said) = mpsc::unbounded_channel();
        let waiting: Arc<Mutex<HashMap<u64, Answer>>> = Arc::default();
        let (ready, is_ready) = oneshot::channel();
        waiting.lock().unwrap().insert(0, ready);
        tokio::spawn(write(child.stdin.take().unwrap(), to_write));
        tokio::spawn(read(child.stdout.take().unwrap(), Arc::clone(&waiting), signals));
        let version = within("Chromium to start", is_ready).await;
        let version = version.expect("tests/interop has its packages and Chromium runs").unwrap();
        println!("Chromium {version}");
        (Self { lines, waiting, next: Arc::new(AtomicU64::new(1)) }, said, child)
    }

    /// Calls a method of the page's `peer`.
    pub(crate) async fn call(&self, method: &str, arguments: Value) -> Value {
        match within(method, self.try_call(method, arguments)).await {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// The same; the call is on its way when this returns.
    fn try_call(
        &self,
        method: &str,
        arguments: Value,
    ) -> impl Future<Output = Result<Value, String>> + use<> {
        let id = self.next.fetch_add(1, Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, answer);
        let line = json!({ "id": id, "call": method, "arguments": arguments });
        let sent = self.lines.send(format!("{line}\n"));
        async move {
            sent.map_err(|_| "Chromium has ended".to_owned())?;
            answered.await.map_err(|_| "Chromium has ended".to_owned())?
        }
    }

    /// Its statistics, in the form that the page gives them.
    pub(crate) async fn stats(&self) -> Value {
        self.call("stats", json!([])).await
    }
}

async fn write(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(
    stdout: ChildStdout,
    waiting: Arc<Mutex<HashMap<u64, Answer>>>,
    signals: mpsc::UnboundedSender<Signal>,
) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut said: Value = serde_json::from_str(&line).expect("the page speaks JSON");
        if let Some(signal) = said.get_mut("signal") {
            let _ = signals.send(serde_json::from_value(signal.take()).expect("a signal of ours"));
            continue;
        }
        let Some(answer) = waiting.lock().unwrap().remove(&said["id"].as_u64().unwrap()) else { continue };
        let _ = answer.send(match said["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(said["result"].take()),
        });
    }
    waiting.lock().unwrap().clear();
}

/// A call between `peer`, ours, and `browser`.
pub(crate) struct Call {
    pub(crate) peer: Peer,
    pub(crate) browser: Browser,
    pub(crate) clock: MediaClock,
    pub(crate) tracks: mpsc::UnboundedReceiver<RemoteTrack>,
    pub(crate) channels: mpsc::UnboundedReceiver<Channel>,
    /// Every description and candidate, ours marked with `true`.
    pub(crate) said: Arc<Mutex<Vec<(bool, Signal)>>>,
    /// Whether what we say is lost for now.
    muted: Arc<AtomicBool>,
    state: watch::Receiver<ConnectionState>,
    relay: Option<Arc<UdpRelay>>,
    child: Child,
    _clip: tempfile::TempDir,
}

impl Call {
    /// Two ends that have said nothing yet. We are the polite one and side A.
    pub(crate) async fn new() -> Self {
        Self::over(None).await
    }

    /// The same over an emulated link, alike in both directions.
    pub(crate) async fn over(link: Option<LinkConfig>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clip = directory.path().join("stamped.y4m");
        media::write_clip(&clip);
        let clock = MediaClock::start();
        let (browser, from_browser, child) = Browser::start(&clip).await;
        browser.call("start", json!([false])).await;
        let (peer, events) = Peer::new(PeerConfig::loopback(Politeness::Polite), clock).await.unwrap();
        let relay = link.map(|link| Arc::new(UdpRelay::start(link.clone(), link).unwrap()));
        let said = Arc::new(Mutex::new(Vec::new()));
        let (to_tracks, tracks) = mpsc::unbounded_channel();
        let (to_channels, channels) = mpsc::unbounded_channel();
        let (to_state, state) = watch::channel(ConnectionState::New);
        let sinks = Sinks { tracks: to_tracks, channels: to_channels, state: to_state };
        let muted = Arc::new(AtomicBool::new(false));
        let ways = Ways { relay: relay.clone(), said: Arc::clone(&said), muted: Arc::clone(&muted) };
        tokio::spawn(carry_ours(events, browser.clone(), sinks, ways.clone()));
        tokio::spawn(carry_theirs(from_browser, peer.clone(), ways));
        Self { peer, browser, clock, tracks, channels, said, muted, state, relay, child, _clip: directory }
    }

    /// Loses what we say until Chromium has made the first offer.
    pub(crate) fn let_chromium_offer(&self) {
        self.muted.store(true, Relaxed);
    }

    pub(crate) async fn connected(&mut self) {
        within("the connection", self.state.wait_for(|state| *state == ConnectionState::Connected))
            .await
            .unwrap();
    }

    pub(crate) fn link(&self) -> LinkHandle {
        self.relay.as_ref().expect("the call goes over a link").handle()
    }

    /// The next remote track of this codec; those of others wait.
    pub(crate) async fn track(&mut self, codec: Codec) -> RemoteTrack {
        within("a remote track", async {
            loop {
                let track = self.tracks.recv().await.unwrap();
                if track.codec() == codec {
                    return track;
                }
            }
        })
        .await
    }

    pub(crate) async fn channel(&mut self) -> Channel {
        within("a channel", self.channels.recv()).await.unwrap()
    }

    /// Starts to send pictures or a tone of 440 Hz.
    pub(crate) async fn send(&self, codec: Codec) -> LocalTrack {
        let track = self.peer.add_track(codec).await.unwrap();
        match codec {
            Codec::H264 => drop(tokio::spawn(media::send_pictures(track.clone(), self.clock))),
            Codec::Opus => drop(tokio::spawn(media::send_tone(track.clone(), self.clock))),
        }
        track
    }

    /// Ends both ends, and Chromium.
    pub(crate) async fn close(mut self) {
        self.peer.close().await;
        self.browser.call("close", json!([])).await;
        drop(self.browser);
        within("Chromium to end", self.child.wait()).await.unwrap();
    }
}

struct Sinks {
    tracks: mpsc::UnboundedSender<RemoteTrack>,
    channels: mpsc::UnboundedSender<Channel>,
    state: watch::Sender<ConnectionState>,
}

#[derive(Clone)]
struct Ways {
    relay: Option<Arc<UdpRelay>>,
    said: Arc<Mutex<Vec<(bool, Signal)>>>,
    muted: Arc<AtomicBool>,
}

async fn carry_ours(mut events: PeerEvents, browser: Browser, sinks: Sinks, ways: Ways) {
    while let Some(event) = events.recv().await {
        match event {
            PeerEvent::Signal(_) if ways.muted.load(Relaxed) => {}
            PeerEvent::Signal(signal) => {
                ways.said.lock().unwrap().push((true, signal.clone()));
                if let Some(signal) = over(ways.relay.as_deref(), Side::A, signal) {
                    let done = browser.try_call("signal", json!([signal]));
                    // The page keeps the order; its answers hold up nothing.
                    tokio::spawn(async move {
                        if let Err(error) = done.await {
                            println!("Chromium refuses {signal:?}: {error}");
                        }
                    });
                }
            }
            PeerEvent::State(state) => drop(sinks.state.send(state)),
            PeerEvent::Track(track) => drop(sinks.tracks.send(track)),
            PeerEvent::Channel(channel) => drop(sinks.channels.send(channel)),
            PeerEvent::PhaseReached(..) | PeerEvent::SelectedPath(_) => {}
        }
    }
}

async fn carry_theirs(mut signals: mpsc::UnboundedReceiver<Signal>, peer: Peer, ways: Ways) {
    while let Some(signal) = signals.recv().await {
        ways.said.lock().unwrap().push((false, signal.clone()));
        ways.muted.store(false, Relaxed);
        if let Some(signal) = over(ways.relay.as_deref(), Side::B, signal)
            && let Err(error) = peer.handle_signal(signal.clone()).await
        {
            println!("our end refuses {signal:?}: {error} ({:?})", std::error::Error::source(&error));
        }
    }
}

fn over(relay: Option<&UdpRelay>, from: Side, signal: Signal) -> Option<Signal> {
    let Some(relay) = relay else { return Some(signal) };
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
