//! The connection to one other participant, as a task: it owns the peer and the control channel.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ahoy_call::{CONTROL_LONGEST, Control, PeerId};
use ahoy_media_types::{Codec, MediaClock, MediaTime};
use ahoy_rtc::{
    Channel, ChannelEvent, ChannelOptions, ConnectionState, FirstOffer, IceServer, IceView, LocalTrack,
    Message, Path, Peer, PeerConfig, PeerEvent, PeerEvents, PeerStats, Phase, Policy, Politeness,
    RemoteTrack, RtcError, Signal, Uplink,
};
use ahoy_signal::CallSignal;
use ahoy_tunnel::Tunnel;
use rustls::ClientConfig;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::wire;
use crate::connectivity::NetworkNews;
use crate::transfers::FileChannels;

/// Commands that wait for the leg, each for a few milliseconds at most; a browser's candidates come in dozens. When it is full,
/// the command is dropped and the log says so: no peer that means well says that much.
const COMMANDS: usize = 256;
/// Messages that wait for the control channel to open. A side that says more before that has no such channel; then the oldest
/// go.
const UNSENT: usize = 16;
/// How long what was told last may take to arrive before the connection is closed: a good-bye over half a second of round
/// trip, twice.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often it is looked whether it has.
const FAREWELL_TICK: Duration = Duration::from_millis(10);
/// How often it is told which ways there are. People look at it; nothing depends on it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a leg may take to tell its figures: it is asked when a call ends, which must not wait.
const STATS_WITHIN: Duration = Duration::from_millis(200);

/// What a leg reports.
#[derive(Debug)]
pub(super) struct LegEvent {
    pub(super) peer: PeerId,
    /// Which leg to that peer: one that was replaced has nothing to say any more.
    pub(super) number: u64,
    pub(super) news: LegNews,
}

#[derive(Debug)]
pub(super) enum LegNews {
    /// To be carried to the other side.
    Signal(Signal),
    State(ConnectionState),
    Phase(Phase, MediaTime),
    Path(Path),
    /// All ways that there are at the moment.
    Ways(Box<IceView>),
    Track(RemoteTrack),
    Control(Control),
}

enum Command {
    Deliver(CallSignal),
    RestartIce,
    Network(NetworkNews),
    IceServers(Vec<IceServer>),
    Tell(Control),
    Stats(oneshot::Sender<PeerStats>),
}

/// Whose leg, and how it connects.
#[derive(Clone, Debug)]
pub(super) struct LegPlan {
    pub(super) peer: PeerId,
    pub(super) number: u64,
    /// Whether this side makes the first offer.
    pub(super) offers: bool,
    /// Whether sound and pictures go over it.
    pub(super) media: bool,
    /// Whether files do.
    pub(super) files: bool,
    /// By which ways.
    pub(super) ways: Ways,
}

/// The ways that a leg may take.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    /// Local addresses; all if empty.
    pub(super) bind: Vec<SocketAddr>,
    /// STUN and TURN servers.
    pub(super) servers: Vec<IceServer>,
    pub(super) policy: Policy,
    pub(super) tunnel: Tunnel,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// What all legs leave by.
    pub(super) uplink: Uplink,
}

/// What a leg sends on.
pub(super) struct Tracks {
    pub(super) audio: LocalTrack,
    pub(super) video: LocalTrack,
}

/// What can be sent over a leg.
pub(super) struct Carries {
    pub(super) tracks: Option<Tracks>,
    /// As soon as there is a connection.
    pub(super) files: Option<FileChannels>,
}

/// A leg. Dropping it lets it say what it was told to, and closes it.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) number: u64,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Leg {
    /// Opens sockets and begins to connect. Sound and picture can both be sent from the beginning, so that turning the
    /// camera on later needs no new offer.
    pub(super) async fn open(
        plan: LegPlan,
        clock: MediaClock,
        events: mpsc::Sender<LegEvent>,
    ) -> Result<(Self, Carries), RtcError> {
        let (role, first_offer) = if plan.offers {
            (Politeness::Impolite, FirstOffer::Either)
        } else {
            (Politeness::Polite, FirstOffer::Theirs)
        };
        let Ways { bind, servers, policy, tunnel, tls, uplink } = plan.ways;
        let mut config = PeerConfig { first_offer, policy, tunnel, tls, uplink, ..PeerConfig::new(role) };
        config.ice_servers = servers;
        config.bulk = plan.files;
        if !bind.is_empty() {
            config.bind = bind;
        }
        let (peer, peer_events) = Peer::new(config, clock).await?;
        let tracks = match plan.media {
            true => Some(Tracks {
                audio: peer.add_track(Codec::Opus).await?,
                video: peer.add_track(Codec::H264).await?,
            }),
            false => None,
        };
        let channel = if plan.offers {
            Some(peer.open_channel(Control::CHANNEL, ChannelOptions::default()).await?)
        } else {
            None
        };
        let files = if plan.files { Some(FileChannels::open(&peer).await?) } else { None };
        let (commands, to_do) = mpsc::channel(COMMANDS);
        let task = Task {
            peer: plan.peer,
            number: plan.number,
            connection: peer,
            channel,
            channel_open: false,
            unsent: VecDeque::new(),
            incoming: wire::Incoming::default(),
            events,
        };
        let task = tokio::spawn(task.run(to_do, peer_events));
        let carries = Carries { tracks, files };
        Ok((Self { number: plan.number, commands, task }, carries))
    }

    /// Closes it; the task ends when what was told last has arrived and the sockets are given back.
    pub(super) fn close(self) -> JoinHandle<()> {
        self.task
    }

    pub(super) fn deliver(&self, signal: CallSignal) {
        self.command(Command::Deliver(signal));
    }

    pub(super) fn restart_ice(&self) {
        self.command(Command::RestartIce);
    }

    pub(super) fn on_network(&self, news: NetworkNews) {
        self.command(Command::Network(news));
    }

    pub(super) fn set_ice_servers(&self, servers: Vec<IceServer>) {
        self.command(Command::IceServers(servers));
    }

    pub(super) fn tell(&self, message: Control) {
        self.command(Command::Tell(message));
    }

    /// Figures as of now; empty where it is closed, or waits itself for whoever asks.
    pub(super) async fn stats(&self) -> PeerStats {
        let (answer, stats) = oneshot::channel();
        self.command(Command::Stats(answer));
        timeout(STATS_WITHIN, stats).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    fn command(&self, command: Command) {
        match self.commands.try_send(command) {
            Ok(()) => {}
            // A leg that is over has closed by itself; its state says so.
            Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => tracing::warn!("a leg has too much to do; something was dropped"),
        }
    }
}

struct Task {
    peer: PeerId,
    number: u64,
    connection: Peer,
    channel: Option<Channel>,
    channel_open: bool,
    unsent: VecDeque<Control>,
    incoming: wire::Incoming,
    events: mpsc::Sender<LegEvent>,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut peer_events: PeerEvents) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let channel = self.channel.clone();
            let from_channel = async {
                match &channel {
                    Some(channel) => channel.next_event().await,
                    None => None,
                }
            };
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => break,
                },
                event = peer_events.recv() => match event {
                    Some(event) => self.on_peer(event).await,
                    None => break,
                },
                _ = look.tick() => {
                    let view = self.connection.stats().await.ice;
                    self.report(LegNews::Ways(Box::new(view))).await;
                }
                event = from_channel, if channel.is_some() => match event {
                    Some(event) => self.on_channel(event).await,
                    None => self.channel = None,
                },
            }
        }
        // A side that is gone takes nothing any more.
        let _ = timeout(FAREWELL, self.farewell()).await;
        self.connection.close().await;
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Deliver(signal) => {
                let Some(signal) = self.incoming.unpack(signal) else { return };
                // What the other side says and can't be used has no effect; the peer has logged it.
                let _ = self.connection.handle_signal(signal).await;
            }
            Command::RestartIce => {
                let _ = self.connection.restart_ice().await;
            }
            Command::Network(NetworkNews::Changed) => self.connection.network_changed().await,
            Command::Network(NetworkNews::Slept(slept)) => self.connection.woke(slept).await,
            Command::IceServers(servers) => self.connection.set_ice_servers(servers).await,
            Command::Tell(message) => {
                if self.unsent.len() == UNSENT {
                    self.unsent.pop_front();
                }
                self.unsent.push_back(message);
                self.send_unsent().await;
            }
            Command::Stats(answer) => {
                let _ = answer.send(self.connection.stats().await);
            }
        }
    }

    async fn on_peer(&mut self, event: PeerEvent) {
        let news = match event {
            PeerEvent::Signal(signal) => LegNews::Signal(signal),
            PeerEvent::State(state) => LegNews::State(state),
            PeerEvent::PhaseReached(phase, at) => LegNews::Phase(phase, at),
            PeerEvent::SelectedPath(path) => LegNews::Path(path),
            PeerEvent::Track(track) => LegNews::Track(track),
            PeerEvent::Channel(channel) if channel.label() == Control::CHANNEL && self.channel.is_none() => {
                // The other side has opened it, so this one need not wait.
                (self.channel, self.channel_open) = (Some(channel), true);
                return self.send_unsent().await;
            }
            // Not one of ours. It is closed when it goes.
            PeerEvent::Channel(_) => return,
        };
        self.report(news).await;
    }

    async fn on_channel(&mut self, event: ChannelEvent) {
        match event {
            ChannelEvent::Open => {
                self.channel_open = true;
                self.send_unsent().await;
            }
            ChannelEvent::Message(message) => {
                let read = match &message {
                    Message::Text(text) => Control::read(text.as_bytes()),
                    Message::Binary(bytes) => Control::read(bytes),
                };
                match read {
                    Ok(control) => self.report(LegNews::Control(control)).await,
                    Err(error) => tracing::debug!(%error, limit = CONTROL_LONGEST, "control channel"),
                }
            }
            ChannelEvent::BufferedAmountLow => {}
            ChannelEvent::Closed => (self.channel, self.channel_open) = (None, false),
        }
    }

    async fn send_unsent(&mut self) {
        let Some(channel) = self.channel.as_ref().filter(|_| self.channel_open) else { return };
        while let Some(message) = self.unsent.pop_front() {
            if let Err(error) = channel.send_text(&message.to_json()).await {
                tracing::debug!(%error, "a control message was not sent");
            }
        }
    }

    /// Says what is unsaid, and waits until it has arrived.
    async fn farewell(&mut self) {
        self.send_unsent().await;
        let Some(channel) = self.channel.as_ref().filter(|_| self.channel_open) else { return };
        while channel.buffered_amount().await.is_ok_and(|waiting| waiting > 0) {
            sleep(FAREWELL_TICK).await;
        }
    }

    async fn report(&self, news: LegNews) {
        // Nobody listens any more when the program ends.
        let _ = self.events.send(LegEvent { peer: self.peer, number: self.number, news }).await;
    }
}
