//! The task that owns the library's connection: the only place that calls into it.

mod channels;
mod ice;
mod tracks;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ahoy_ice::{IceEvent, IceEvents, IceState};
use ahoy_media_types::{MediaClock, MediaTime};
use rtc::statistics::StatsSelector;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::{debug, error, info, warn};
use webrtc::data_channel::{DataChannel, RTCDataChannelId};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, RTCConfigurationBuilder, RTCPeerConnectionState,
    RTCSessionDescription,
};

use self::ice::{IceSide, combined};
use self::tracks::Sending;
use super::bridge::{Bridge, LIBRARY_QUEUE, LibraryEvent};
use super::{Command, ConnectionState, PeerEvent, Phase};
use crate::bulk::Awaited;
use crate::channels::Channel;
use crate::config::{self, PeerConfig};
use crate::error::{LibraryError, RtcError, no_port};
use crate::interceptors::{LocalStreams, RemoteStream, RemoteStreams, SendControl, stages};
use crate::negotiation::{Action, Input, Negotiation, attribute};
use crate::signal::Signal;
use crate::stand_in::remote_ice;
use crate::stats::{Path, PeerStats, from_report};

pub(super) struct Actor {
    config: PeerConfig,
    clock: MediaClock,
    connection: Arc<dyn PeerConnection>,
    library: mpsc::Receiver<LibraryEvent>,
    events: mpsc::Sender<PeerEvent>,
    negotiation: Negotiation,
    local_streams: Arc<LocalStreams>,
    remote_streams: Arc<RemoteStreams>,
    control: Arc<SendControl>,
    sending: Vec<Sending>,
    /// Channels that this side opened.
    own_channels: HashSet<RTCDataChannelId>,
    /// Those of them that the library has announced as the other side's.
    misannounced: Vec<Arc<dyn DataChannel>>,
    /// See `offer_channels`.
    placeholder: Option<Arc<dyn DataChannel>>,
    /// Streams whose packets have come but whose track the library has not announced yet.
    arrived: HashMap<u32, RemoteStream>,
    ice: IceSide,
    ice_events: IceEvents,
    first_section: Option<String>,
    phases: Vec<(Phase, MediaTime)>,
    state: ConnectionState,
    /// What the library says of itself.
    library_state: ConnectionState,
    path: Option<Path>,
    overrun: bool,
}

impl Actor {
    pub(super) async fn start(
        config: PeerConfig,
        clock: MediaClock,
        events: mpsc::Sender<PeerEvent>,
    ) -> Result<(Self, Option<Awaited>), RtcError> {
        let (ice, ice_events, runtime, bulk) = IceSide::open(&config)?;
        let local = runtime.local();
        let (to_actor, library) = mpsc::channel(LIBRARY_QUEUE);
        let bridge = Bridge(to_actor);
        let local_streams = Arc::new(LocalStreams::default());
        let remote_streams = Arc::new(RemoteStreams::default());
        let control = Arc::new(SendControl::new(config.limits, config.uplink.clone()));
        let announce = bridge.clone();
        let announce = move |stream| announce.pass(LibraryEvent::Stream(stream));
        let registry =
            config::interceptors(stages(clock, &local_streams, &remote_streams, &control, announce));
        let crypto = ice.hello.crypto().map_err(RtcError::Setup)?;
        let built = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::default().build())
            .with_media_engine(config::media_engine().map_err(RtcError::Setup)?)
            .with_interceptor_registry(registry)
            .with_setting_engine(config::setting_engine(&config, crypto))
            .with_runtime(Arc::new(runtime))
            .with_handler(Arc::new(bridge))
            // It binds a socket, gives it up at once, and nothing ever passes through it.
            .with_udp_addrs(vec![SocketAddr::new(local, 0)])
            .with_data_channel_send_buffer_limit(config.channel_send_buffer)
            .build()
            .await;
        let connection: Arc<dyn PeerConnection> = match built {
            Ok(connection) => Arc::new(connection),
            Err(error) => return Err(no_port(local).unwrap_or(RtcError::Setup(error))),
        };
        let actor = Self {
            negotiation: Negotiation::new(config.role, config.first_offer),
            config,
            clock,
            connection,
            library,
            events,
            local_streams,
            remote_streams,
            control,
            sending: Vec::new(),
            own_channels: HashSet::new(),
            misannounced: Vec::new(),
            placeholder: None,
            arrived: HashMap::new(),
            ice,
            ice_events,
            first_section: None,
            phases: Vec::new(),
            state: ConnectionState::New,
            library_state: ConnectionState::New,
            path: None,
            overrun: false,
        };
        Ok((actor, bulk))
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while !self.overrun {
            let wakeup = self.negotiation.next_wakeup().map(|at| self.clock.instant(at));
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Close) | None => break,
                    Some(command) => self.on_command(command).await,
                },
                event = self.library.recv() => match event {
                    Some(event) => self.on_library(event).await,
                    None => break,
                },
                () = sleep_until(wakeup.unwrap_or_else(Instant::now).into()), if wakeup.is_some() => {
                    let _ = self.negotiate(Input::Timeout).await;
                }
                Some(event) = self.ice_events.recv() => self.on_ice(event).await,
            }
            self.overrun |= self.library.len() == LIBRARY_QUEUE;
        }
        // While there is a way to say so.
        self.ice.close_bulk().await;
        self.close().await;
        // Until here, so that whoever waits for the end of the commands finds everything given back.
        drop(commands);
    }

    async fn close(mut self) {
        for sending in &self.sending {
            sending.binding.close();
        }
        self.local_streams.clear();
        self.remote_streams.clear();
        if let Err(error) = self.connection.close().await {
            debug!(%error, "the library complained when the connection was closed");
        }
        self.ice.ice.close().await;
        self.set_state(ConnectionState::Closed);
    }

    fn now(&self) -> MediaTime {
        self.clock.now()
    }

    fn emit(&mut self, event: PeerEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            error!("the call is closed because its owner does not listen to it");
            self.overrun = true;
        }
    }

    async fn on_command(&mut self, command: Command) {
        // A caller that has gone away does not need its answer.
        match command {
            Command::AddTrack(codec, reply) => {
                let _ = reply.send(self.add_track(codec).await);
            }
            Command::OpenChannel(label, options, reply) => {
                let _ = reply.send(self.open_channel(label, options).await);
            }
            Command::Signal(signal, reply) => {
                let _ = reply.send(self.negotiate(Input::Remote(signal)).await);
            }
            Command::RestartIce => {
                let _ = self.negotiate(Input::RestartIce).await;
            }
            Command::NetworkChanged => self.ice.ice.network_changed().await,
            Command::Woke(slept) => self.ice.ice.woke(slept).await,
            Command::IceServers(servers) => self.ice.ice.set_servers(servers).await,
            Command::Stats(reply) => {
                let _ = reply.send(self.stats().await);
            }
            Command::Close => {}
        }
    }

    async fn on_library(&mut self, event: LibraryEvent) {
        match event {
            LibraryEvent::NegotiationNeeded => {
                let _ = self.negotiate(Input::Changed).await;
            }
            LibraryEvent::Connection(state) => self.on_connection_state(state),
            LibraryEvent::Stream(stream) => {
                self.arrived.insert(stream.ssrc.0, stream);
            }
            LibraryEvent::Track(track) => self.on_track(track).await,
            // One of our own that was answered before the library listened to it; see `Channel::opened_here`. Dropping
            // this handle would make the library deaf to the other one.
            LibraryEvent::Channel(inner) if self.own_channels.contains(&inner.id()) => {
                self.misannounced.push(inner);
            }
            LibraryEvent::Channel(inner) => {
                let label = inner.label().await.unwrap_or_default();
                let limit = self.config.max_message_size as usize;
                self.emit(PeerEvent::Channel(Channel::new(inner, label, None, limit)));
            }
        }
    }

    fn on_connection_state(&mut self, state: RTCPeerConnectionState) {
        self.library_state = match state {
            RTCPeerConnectionState::Connecting => ConnectionState::Connecting,
            RTCPeerConnectionState::Connected => ConnectionState::Connected,
            RTCPeerConnectionState::Disconnected => ConnectionState::Disconnected,
            RTCPeerConnectionState::Failed => ConnectionState::Failed,
            RTCPeerConnectionState::Closed => ConnectionState::Closed,
            _ => ConnectionState::New,
        };
        self.combine_states();
    }

    async fn on_ice(&mut self, event: IceEvent) {
        match event {
            IceEvent::Candidate(line) => {
                let told = self.ice.found(line, self.first_section.as_deref());
                told.into_iter().for_each(|signal| self.emit(PeerEvent::Signal(signal)));
            }
            IceEvent::Withdrawn(line) => self.ice.withdrawn(&line),
            IceEvent::Gathered => self.reach(Phase::Gathered),
            IceEvent::State(state) => {
                self.ice.state = state;
                if state == IceState::Connected {
                    self.reach(Phase::IceConnected);
                    self.ice.connected();
                }
                self.combine_states();
            }
            IceEvent::Path(pair) => {
                let path = Path::from(&pair);
                if self.path.as_ref() != Some(&path) {
                    // The first one is what all began with.
                    if self.path.is_some() {
                        self.control.path_changed();
                        self.ice.connected();
                    }
                    self.path = Some(path.clone());
                    self.emit(PeerEvent::SelectedPath(path));
                }
            }
        }
    }

    fn combine_states(&mut self) {
        let state = combined(self.library_state, self.ice.state);
        self.set_state(state);
        match state {
            ConnectionState::Connected => {
                self.reach(Phase::IceConnected);
                self.reach(Phase::DtlsConnected);
                self.sending.iter().for_each(|s| s.binding.connected(true));
            }
            ConnectionState::Failed => self.sending.iter().for_each(|s| s.binding.connected(false)),
            // An interrupted path may come back: media keeps trying.
            ConnectionState::New
            | ConnectionState::Connecting
            | ConnectionState::Disconnected
            | ConnectionState::Closed => {}
        }
    }

    fn set_state(&mut self, state: ConnectionState) {
        if state != self.state {
            info!(?state, "connection");
            self.state = state;
            self.emit(PeerEvent::State(state));
        }
    }

    fn reach(&mut self, phase: Phase) {
        if self.phases.iter().all(|(reached, _)| *reached != phase) {
            let now = self.now();
            self.phases.push((phase, now));
            self.emit(PeerEvent::PhaseReached(phase, now));
        }
    }

    async fn stats(&self) -> PeerStats {
        let report = self.connection.get_stats(Instant::now(), StatsSelector::None).await;
        from_report(&report, self.ice.ice.view().await, self.phases.clone())
    }

    /// Gives `input` to the negotiation and does what it says. The error is that of the first action that failed; all are
    /// logged.
    async fn negotiate(&mut self, input: Input) -> Result<(), RtcError> {
        self.negotiation.handle(input, self.clock.now());
        let mut outcome = Ok(());
        while let Some(action) = self.negotiation.poll() {
            let done = self.carry_out(action).await;
            if let Err(error) = &done {
                warn!(%error, "negotiation");
            }
            outcome = outcome.and(done);
        }
        outcome
    }

    async fn carry_out(&mut self, action: Action) -> Result<(), RtcError> {
        let (input, outcome) = match action {
            Action::Offer { restart_ice } => match self.offer(restart_ice).await {
                Ok(sdp) => (Input::Offered { sdp }, Ok(())),
                Err(error) => (Input::OfferFailed, Err(RtcError::LocalDescription(error))),
            },
            Action::Answer { sdp } => match self.answer(sdp).await {
                Ok(sdp) => (Input::Answered { sdp }, Ok(())),
                Err(error) => {
                    self.forget_remote_offer().await;
                    (Input::OfferRefused, Err(RtcError::RemoteDescription(error)))
                }
            },
            Action::Accept { sdp } => match self.accept(sdp.clone()).await {
                Ok(()) => (Input::Accepted { sdp }, Ok(())),
                Err(error) => (Input::OfferFailed, Err(RtcError::RemoteDescription(error))),
            },
            Action::Rollback => {
                self.ice.unstage();
                return self.rollback().await.map_err(RtcError::LocalDescription);
            }
            Action::AddCandidate(signal) => return self.add_candidate(signal).await,
            Action::Send(signal) => {
                // A description comes before the candidates that belong to it.
                let candidates = self.ice.described(signal.generation(), self.first_section.as_deref());
                self.emit(PeerEvent::Signal(signal));
                candidates.into_iter().for_each(|signal| self.emit(PeerEvent::Signal(signal)));
                return Ok(());
            }
            Action::Settled => {
                self.bind_tracks().await;
                return Ok(());
            }
        };
        self.negotiation.handle(input, self.clock.now());
        outcome
    }

    async fn offer(&mut self, restart_ice: bool) -> Result<String, LibraryError> {
        if restart_ice {
            self.ice.stage();
        }
        let offer = self.connection.create_offer(None).await?;
        self.describe(offer).await
    }

    async fn answer(&mut self, offer: String) -> Result<String, LibraryError> {
        self.ice.told(&offer);
        let seen = self.ice.stand_in.to_library(&offer);
        self.connection.set_remote_description(RTCSessionDescription::offer(seen)?).await?;
        let theirs = remote_ice(&offer);
        if let Some(theirs) = &theirs {
            self.ice.answering(theirs).await;
        }
        let answer = self.connection.create_answer(None).await?;
        let answer = self.describe(answer).await?;
        if let Some(theirs) = theirs {
            self.ice.meet(theirs).await;
        }
        Ok(answer)
    }

    async fn accept(&mut self, answer: String) -> Result<(), LibraryError> {
        self.ice.told(&answer);
        let seen = self.ice.stand_in.to_library(&answer);
        self.connection.set_remote_description(RTCSessionDescription::answer(seen)?).await?;
        if let Some(theirs) = remote_ice(&answer) {
            self.ice.answered().await;
            self.ice.meet(theirs).await;
        }
        Ok(())
    }

    /// Sets our description and returns it as the other side is to know it.
    async fn describe(&mut self, description: RTCSessionDescription) -> Result<String, LibraryError> {
        let sdp = self.ice.describe(&description.sdp);
        self.first_section = attribute(&sdp, "mid").map(str::to_owned);
        self.connection.set_local_description(description).await?;
        Ok(sdp)
    }

    async fn rollback(&self) -> Result<(), LibraryError> {
        self.connection.set_local_description(RTCSessionDescription::rollback(None)?).await
    }

    /// Leaves the state in which a remote offer that can't be answered has put the library.
    async fn forget_remote_offer(&self) {
        if let Ok(rollback) = RTCSessionDescription::rollback(None)
            && let Err(error) = self.connection.set_remote_description(rollback).await
        {
            debug!(%error, "nothing to roll back");
        }
    }

    async fn add_candidate(&self, signal: Signal) -> Result<(), RtcError> {
        let Signal::Candidate { candidate, .. } = signal else { return Ok(()) };
        self.ice.ice.add_remote_candidate(&candidate).await.map_err(RtcError::RemoteCandidate)
    }
}
