//! One end of a call: the handle that its owner holds, and what it says back.

mod actor;
mod bridge;

use std::time::Duration;

use ahoy_ice::IceServer;
use ahoy_media_types::{Codec, MediaClock, MediaTime};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::bulk::{Awaited, Bulk};
use crate::channels::{Channel, ChannelOptions};
use crate::config::PeerConfig;
use crate::error::RtcError;
use crate::signal::Signal;
use crate::stats::{Path, PeerStats};
use crate::tracks::{LocalTrack, RemoteTrack};

/// Whether media can flow (W3C WebRTC section 4.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// Nothing has been tried yet.
    New,
    /// A path is being looked for or the keys are being agreed on.
    Connecting,
    /// Media can flow.
    Connected,
    /// Nothing has come for a while; it may come back by itself.
    Disconnected,
    /// There is no path. [`Peer::restart_ice`] looks for another.
    Failed,
    /// Over for good.
    Closed,
}

/// A phase of the set-up that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// All local addresses are known.
    Gathered,
    /// A path to the other side is found.
    IceConnected,
    /// The keys are agreed on: media can flow.
    DtlsConnected,
}

/// What a peer tells its owner.
#[derive(Debug)]
pub enum PeerEvent {
    /// To be carried to the other side, in order.
    Signal(Signal),
    /// The state of the connection has changed.
    State(ConnectionState),
    /// A phase of the set-up is over, for the first time.
    PhaseReached(Phase, MediaTime),
    /// Packets take this way now.
    SelectedPath(Path),
    /// The other side sends a track; its first packet is here.
    Track(RemoteTrack),
    /// The other side has opened a channel.
    Channel(Channel),
}

/// Events that wait for the owner. A call makes some dozens over its life; an owner that lets this many wait has stopped
/// listening, and the peer closes.
const EVENT_QUEUE: usize = 256;
/// Commands that wait for the peer. A caller that finds it full waits.
const COMMAND_QUEUE: usize = 32;

/// The longest description or candidate accepted from the other side, in bytes. A session of a dozen videos takes a
/// tenth of it.
const MAX_SIGNAL: usize = 256 * 1024;

/// The events of a [`Peer`].
#[derive(Debug)]
pub struct PeerEvents {
    events: mpsc::Receiver<PeerEvent>,
}

impl PeerEvents {
    /// The next event; `None` once the peer is closed and all has been told.
    pub async fn recv(&mut self) -> Option<PeerEvent> {
        self.events.recv().await
    }
}

enum Command {
    AddTrack(Codec, Reply<LocalTrack>),
    OpenChannel(String, ChannelOptions, Reply<Channel>),
    Signal(Signal, Reply<()>),
    RestartIce,
    NetworkChanged,
    Woke(Duration),
    IceServers(Vec<IceServer>),
    Stats(oneshot::Sender<PeerStats>),
    Close,
}

type Reply<T> = oneshot::Sender<Result<T, RtcError>>;

/// One end of a call. Cloning shares it; when the last clone is dropped the connection closes.
///
/// It negotiates by itself: after a change, [`PeerEvent::Signal`]s come out for the other side's
/// [`Peer::handle_signal`].
#[derive(Clone, Debug)]
pub struct Peer {
    commands: mpsc::Sender<Command>,
    bulk: Option<Awaited>,
}

impl Peer {
    /// Opens the sockets and starts the connection's task on the current tokio runtime.
    ///
    /// Times in events and packets are on `clock`.
    ///
    /// # Errors
    ///
    /// [`RtcError::NoUdpPort`] if none of the addresses can be bound, [`RtcError::Setup`] if the library fails.
    pub async fn new(config: PeerConfig, clock: MediaClock) -> Result<(Peer, PeerEvents), RtcError> {
        let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
        let (outbox, events) = mpsc::channel(EVENT_QUEUE);
        let (actor, bulk) = actor::Actor::start(config, clock, outbox).await?;
        tokio::spawn(actor.run(inbox));
        Ok((Peer { commands, bulk }, PeerEvents { events }))
    }

    /// Adds a track for frames in `codec`. It can send once the other side has agreed and the connection stands.
    pub async fn add_track(&self, codec: Codec) -> Result<LocalTrack, RtcError> {
        self.ask(|reply| Command::AddTrack(codec, reply)).await
    }

    /// Opens a data channel. Messages can be sent after [`crate::ChannelEvent::Open`].
    pub async fn open_channel(
        &self,
        label: impl Into<String>,
        options: ChannelOptions,
    ) -> Result<Channel, RtcError> {
        let label = label.into();
        self.ask(|reply| Command::OpenChannel(label, options, reply)).await
    }

    /// Waits until it is known whether there is a connection for what is large ([`PeerConfig::bulk`]): `None` where there is none,
    /// at the latest three seconds after a way to the other side was found.
    pub async fn bulk(&self) -> Option<Bulk> {
        self.bulk.as_ref()?.known().await
    }

    /// Takes in what the other side's [`PeerEvent::Signal`] said, in order.
    ///
    /// # Errors
    ///
    /// What can't be used has no effect, and the call goes on: [`RtcError::RemoteDescription`],
    /// [`RtcError::RemoteCandidate`], [`RtcError::SignalTooLong`].
    pub async fn handle_signal(&self, signal: Signal) -> Result<(), RtcError> {
        let (Signal::Description { sdp: text, .. } | Signal::Candidate { candidate: text, .. }) = &signal;
        if text.len() > MAX_SIGNAL {
            return Err(RtcError::SignalTooLong { length: text.len(), limit: MAX_SIGNAL });
        }
        self.ask(|reply| Command::Signal(signal, reply)).await
    }

    /// Looks for a new path to the other side; media keeps the old one for as long as it works.
    pub async fn restart_ice(&self) -> Result<(), RtcError> {
        self.commands.send(Command::RestartIce).await.map_err(|_| RtcError::Closed)
    }

    /// The machine's addresses may have changed, or it has slept: looks, and uses what there is.
    pub async fn network_changed(&self) {
        let _ = self.commands.send(Command::NetworkChanged).await;
    }

    /// This machine has slept for so long: what others keep for it for a while only may be gone.
    pub async fn woke(&self, slept: Duration) {
        let _ = self.commands.send(Command::Woke(slept)).await;
    }

    /// Other STUN and TURN servers, or other credentials for them, for what is gathered from now on.
    pub async fn set_ice_servers(&self, servers: Vec<IceServer>) {
        let _ = self.commands.send(Command::IceServers(servers)).await;
    }

    /// Figures as of now; empty once the peer is closed.
    pub async fn stats(&self) -> PeerStats {
        let (reply, answer) = oneshot::channel();
        let _ = self.commands.send(Command::Stats(reply)).await;
        answer.await.unwrap_or_default()
    }

    /// Closes the connection and waits until its sockets are given back. May be called any number of times.
    pub async fn close(&self) {
        let _ = self.commands.send(Command::Close).await;
        self.commands.closed().await;
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, RtcError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| RtcError::Closed)?;
        answer.await.map_err(|_| RtcError::Closed)?
    }
}
