//! Two peers on this machine, with the signals between them carried by the test.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::sync::Arc;
use std::time::Duration;

use ahoy_media_types::{Codec, EncodedFrame, MediaClock, MediaTime};
use ahoy_rtc::{
    Channel, ConnectionState, FirstOffer, LocalTrack, Path, Peer, PeerConfig, PeerEvent, PeerEvents, Phase,
    Politeness, RemoteTrack, RemoteTrackEvent, Signal,
};
use ahoy_testkit::UdpRelay;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What a test waits for at most. Nothing here takes more than a second on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a signal's way does to it: change it, or drop it by returning nothing.
pub type Carry = Box<dyn FnMut(Signal) -> Vec<Signal> + Send>;

/// Sends everything that `from` says by way of `relay`.
pub fn carry_over(relay: &Arc<UdpRelay>, from: ahoy_testkit::Side) -> Carry {
    let relay = Arc::clone(relay);
    Box::new(move |signal| match signal {
        Signal::Description { kind, sdp } => {
            vec![Signal::Description { kind, sdp: relay.rewrite_sdp(from, &sdp).unwrap() }]
        }
        Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag } => {
            let rewritten = relay.rewrite_candidate(from, &candidate).unwrap();
            let over = |candidate| Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag };
            rewritten.map(over).into_iter().collect()
        }
    })
}

/// Awaits `future` or fails the test.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// One side of a [`Pair`].
pub struct Side {
    pub peer: Peer,
    pub tracks: mpsc::UnboundedReceiver<RemoteTrack>,
    pub channels: mpsc::UnboundedReceiver<Channel>,
    pub states: mpsc::UnboundedReceiver<ConnectionState>,
    pub phases: mpsc::UnboundedReceiver<(Phase, MediaTime)>,
    pub paths: mpsc::UnboundedReceiver<Path>,
    /// Every signal that left this side.
    pub said: mpsc::UnboundedReceiver<Signal>,
}

impl Side {
    pub async fn reaches(&mut self, wanted: ConnectionState) {
        within(&format!("{wanted:?}"), async {
            while self.states.recv().await.expect("the peer still lives") != wanted {}
        })
        .await;
    }

    pub async fn track(&mut self, codec: Codec) -> RemoteTrack {
        let track = within("a track", self.tracks.recv()).await.expect("the peer still lives");
        assert_eq!(track.codec(), codec);
        track
    }

    pub async fn channel(&mut self) -> Channel {
        within("a channel", self.channels.recv()).await.expect("the peer still lives")
    }

    /// Everything said so far.
    pub fn said_so_far(&mut self) -> Vec<Signal> {
        std::iter::from_fn(|| self.said.try_recv().ok()).collect()
    }
}

/// Two peers whose signals reach each other.
pub struct Pair {
    pub clock: MediaClock,
    pub polite: Side,
    pub impolite: Side,
}

pub async fn pair() -> Pair {
    pair_through(Box::new(|s| vec![s]), Box::new(|s| vec![s])).await
}

/// A pair whose signals go through `to_impolite` and `to_polite` on their way.
pub async fn pair_through(to_impolite: Carry, to_polite: Carry) -> Pair {
    pair_of(PeerConfig::loopback(Politeness::Polite), to_impolite, to_polite).await
}

/// A pair whose polite side leaves the first offer to the other.
pub async fn pair_that_answers() -> Pair {
    let config = PeerConfig { first_offer: FirstOffer::Theirs, ..PeerConfig::loopback(Politeness::Polite) };
    pair_of(config, Box::new(|s| vec![s]), Box::new(|s| vec![s])).await
}

async fn pair_of(polite: PeerConfig, to_impolite: Carry, to_polite: Carry) -> Pair {
    pair_of_both(polite, PeerConfig::loopback(Politeness::Impolite), to_impolite, to_polite).await
}

pub async fn pair_of_both(
    polite: PeerConfig,
    impolite: PeerConfig,
    to_impolite: Carry,
    to_polite: Carry,
) -> Pair {
    let clock = MediaClock::start();
    let (polite, polite_events) = Peer::new(polite, clock).await.unwrap();
    let (impolite, impolite_events) = Peer::new(impolite, clock).await.unwrap();
    let polite = side(polite, polite_events, impolite.clone(), to_impolite);
    let impolite = side(impolite, impolite_events, polite.peer.clone(), to_polite);
    Pair { clock, polite, impolite }
}

fn side(peer: Peer, mut events: PeerEvents, other: Peer, mut carry: Carry) -> Side {
    let (to_tracks, tracks) = mpsc::unbounded_channel();
    let (to_channels, channels) = mpsc::unbounded_channel();
    let (to_states, states) = mpsc::unbounded_channel();
    let (to_phases, phases) = mpsc::unbounded_channel();
    let (to_paths, paths) = mpsc::unbounded_channel();
    let (to_said, said) = mpsc::unbounded_channel();
    let (to_wire, mut wire) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(signal) = wire.recv().await {
            // A closed peer takes no more signals, and a hostile one is what some tests are about.
            let _ = other.handle_signal(signal).await;
        }
    });
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                PeerEvent::Signal(signal) => {
                    let _ = to_said.send(signal.clone());
                    for carried in carry(signal) {
                        let _ = to_wire.send(carried);
                    }
                }
                PeerEvent::State(state) => drop(to_states.send(state)),
                PeerEvent::PhaseReached(phase, at) => drop(to_phases.send((phase, at))),
                PeerEvent::SelectedPath(path) => drop(to_paths.send(path)),
                PeerEvent::Track(track) => drop(to_tracks.send(track)),
                PeerEvent::Channel(channel) => drop(to_channels.send(channel)),
            }
        }
    });
    Side { peer, tracks, channels, states, phases, paths, said }
}

impl Pair {
    pub async fn connected(&mut self) {
        self.polite.reaches(ConnectionState::Connected).await;
        self.impolite.reaches(ConnectionState::Connected).await;
    }

    pub async fn close(&self) {
        self.polite.peer.close().await;
        self.impolite.peer.close().await;
    }
}

/// A frame that is not decodable but is packetized like one: its payload tells `number`.
pub fn frame(codec: Codec, number: u32, length: usize, clock: &MediaClock) -> EncodedFrame {
    let (rate, header): (u32, &[u8]) = match codec {
        Codec::H264 => (30, &[0, 0, 0, 1, 0x65]),
        Codec::Opus => (50, &[0x78]),
    };
    let mut data = header.to_vec();
    data.extend(number.to_be_bytes().map(|b| b | 0x80));
    data.resize(length.max(data.len()), 0xAA);
    EncodedFrame {
        codec,
        data: data.into(),
        rtp_timestamp: number.wrapping_mul(codec.clock_rate() / rate),
        duration: Duration::from_secs(1) / rate,
        keyframe: true,
        time: clock.now(),
    }
}

/// Sends frames until dropped.
pub struct Sender {
    task: tokio::task::JoinHandle<()>,
}

impl Sender {
    pub fn start(track: &LocalTrack, clock: MediaClock, length: usize) -> Self {
        let track = track.clone();
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            for number in 0.. {
                tick.tick().await;
                let mut next = frame(track.codec(), number, length, &clock);
                // What is older than a key frame is not repeated.
                next.keyframe = track.codec() == Codec::Opus || track.stats().frames_sent == 0;
                if track.send(next).await.is_err() {
                    return;
                }
            }
        });
        Self { task }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The next packet of a track.
pub async fn packet(track: &mut RemoteTrack) -> ahoy_media_types::RtpPacket {
    within("a packet", async {
        loop {
            match track.next_event().await {
                Some(RemoteTrackEvent::Packet(packet)) => return packet,
                Some(RemoteTrackEvent::SenderReport(_)) => {}
                Some(RemoteTrackEvent::Ended) | None => panic!("the track ended"),
            }
        }
    })
    .await
}
