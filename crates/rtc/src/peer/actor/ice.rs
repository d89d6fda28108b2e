//! The peer's side of ICE: which credentials are in effect, what the other side was told, and how connected that makes it.

use std::sync::Arc;

use ahoy_ice::{Credentials, Ice, IceConfig, IceEvents, IceState};

use crate::bulk::{Awaited, BulkSide};
use crate::config::PeerConfig;
use crate::error::RtcError;
use crate::hello::Hello;
use crate::peer::ConnectionState;
use crate::runtime::CallRuntime;
use crate::signal::Signal;
use crate::stand_in::{RemoteIce, StandIn, to_peer};

/// ICE of one peer.
pub(super) struct IceSide {
    pub(super) ice: Ice,
    pub(super) stand_in: Arc<StandIn>,
    pub(super) hello: Arc<Hello>,
    /// The connection for what is large, where one is wanted.
    bulk: Option<BulkSide>,
    pub(super) state: IceState,
    /// What the other side knows this one by.
    current: Credentials,
    /// What it will know it by when it has accepted an offer that restarts ICE (RFC 9429 section 3.5.1).
    staged: Option<Credentials>,
    /// The other side's username fragment.
    remote: Option<String>,
    /// Whether this side decides which pair is used: the one that made the first offer (RFC 8445 section 6.1.1).
    controlling: Option<bool>,
    /// The lines of our candidates.
    candidates: Vec<String>,
    /// The generation in which they were told.
    told: Option<String>,
}

impl IceSide {
    /// Opens the sockets and begins to gather.
    pub(super) fn open(
        config: &PeerConfig,
    ) -> Result<(Self, IceEvents, CallRuntime, Option<Awaited>), RtcError> {
        let current = Credentials::random();
        let ice_config = IceConfig {
            bind: config.bind.clone(),
            servers: config.ice_servers.clone(),
            policy: config.policy,
            tunnel: config.tunnel.clone(),
            tls: config.tls.clone(),
        };
        let (ice, wire, events) = Ice::open(ice_config, current.clone())?;
        let local = wire.any_local().unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let stand_in = Arc::new(StandIn::new(local));
        let hello = Arc::new(Hello::new());
        let bulk = match config.bulk {
            true => BulkSide::new(wire.bulk(), config.uplink.clone(), config.role).map(Some).unwrap_or_else(
                |error| {
                    tracing::warn!(%error, "no certificate for QUIC");
                    None
                },
            ),
            false => None,
        };
        let (bulk, awaited) = bulk.unzip();
        let side = Self {
            ice,
            stand_in: Arc::clone(&stand_in),
            hello: Arc::clone(&hello),
            bulk,
            state: IceState::New,
            current,
            staged: None,
            remote: None,
            controlling: None,
            candidates: Vec::new(),
            told: None,
        };
        Ok((side, events, CallRuntime::new(wire, stand_in, hello, config.uplink.clone()), awaited))
    }

    /// The other side is to know that this one ends.
    pub(super) async fn close_bulk(&mut self) {
        if let Some(bulk) = self.bulk.take() {
            bulk.end().await;
        }
    }

    /// The next offer asks for a new generation.
    pub(super) fn stage(&mut self) {
        // Before there has been an exchange there is nothing to begin anew.
        if self.remote.is_some() {
            self.staged = Some(Credentials::random());
        }
    }

    /// An offer has come to nothing.
    pub(super) fn unstage(&mut self) {
        self.staged = None;
    }

    /// The library's description as the other side is to know it.
    pub(super) fn describe(&self, sdp: &str) -> String {
        let bulk = self.bulk.as_ref().map(BulkSide::line).unwrap_or_default();
        to_peer(sdp, self.staged.as_ref().unwrap_or(&self.current), &(self.hello.line() + &bulk))
    }

    /// Takes in what the other side's description says that the library does not know.
    pub(super) fn told(&mut self, sdp: &str) {
        self.hello.told(sdp);
        if let Some(bulk) = &mut self.bulk {
            bulk.told(sdp);
        }
    }

    /// There is a way.
    pub(super) fn connected(&mut self) {
        if let Some(bulk) = &mut self.bulk {
            bulk.connected();
        }
    }

    /// The other side's offer is about to be answered: where it begins anew, so does this side.
    pub(super) async fn answering(&mut self, theirs: &RemoteIce) {
        self.staged = None;
        let begins_anew = self.remote.as_ref().is_some_and(|known| *known != theirs.credentials.ufrag);
        if begins_anew {
            self.current = Credentials::random();
            self.ice.restart(self.current.clone()).await;
        }
        self.controlling.get_or_insert(theirs.is_lite);
    }

    /// The other side has answered our offer.
    pub(super) async fn answered(&mut self) {
        if let Some(staged) = self.staged.take() {
            self.current = staged;
            self.ice.restart(self.current.clone()).await;
        }
        self.controlling.get_or_insert(true);
    }

    /// An exchange is complete: checks with the other side begin, if they have not.
    pub(super) async fn meet(&mut self, theirs: RemoteIce) {
        if self.remote.as_ref() != Some(&theirs.credentials.ufrag) {
            self.remote = Some(theirs.credentials.ufrag.clone());
            self.ice.set_remote(theirs.credentials, self.controlling.unwrap_or(theirs.is_lite)).await;
        }
        for line in theirs.candidates {
            // One that can't be used is no reason to refuse the others.
            let _ = self.ice.add_remote_candidate(&line).await;
        }
    }

    /// A candidate of ours is new. What is to be told, if the other side knows of this generation already.
    pub(super) fn found(&mut self, line: String, section: Option<&str>) -> Option<Signal> {
        self.candidates.push(line.clone());
        let told = self.told.clone()?;
        Some(signal(line, section, told))
    }

    pub(super) fn withdrawn(&mut self, line: &str) {
        self.candidates.retain(|known| known != line);
    }

    /// A description of this generation was sent: what is to be told with it.
    pub(super) fn described(&mut self, generation: Option<&str>, section: Option<&str>) -> Vec<Signal> {
        let Some(generation) = generation.filter(|generation| self.told.as_deref() != Some(generation))
        else {
            return Vec::new();
        };
        self.told = Some(generation.to_owned());
        let lines = self.candidates.iter().cloned();
        lines.map(|line| signal(line, section, generation.to_owned())).collect()
    }
}

fn signal(candidate: String, section: Option<&str>, generation: String) -> Signal {
    Signal::Candidate {
        candidate,
        sdp_mid: section.map(str::to_owned),
        sdp_mline_index: Some(0),
        ufrag: Some(generation),
    }
}

/// How connected the keys and the way make a connection. The library's own ICE agent only ever meets the stand-in.
pub(super) fn combined(library: ConnectionState, ice: IceState) -> ConnectionState {
    match (library, ice) {
        (ConnectionState::Closed, _) => ConnectionState::Closed,
        (ConnectionState::Failed, _) | (_, IceState::Failed) => ConnectionState::Failed,
        (_, IceState::New) => ConnectionState::New,
        (ConnectionState::Connected, IceState::Disconnected) => ConnectionState::Disconnected,
        (ConnectionState::Connected, IceState::Checking | IceState::Connected) => ConnectionState::Connected,
        (ConnectionState::New | ConnectionState::Connecting | ConnectionState::Disconnected, _) => {
            ConnectionState::Connecting
        }
    }
}
