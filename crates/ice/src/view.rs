//! What is shown of ICE: candidates, pairs, and why something is missing.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::candidate::CandidateKind;
use crate::config::Transport;

/// A candidate of this side. Its `Debug` form leaves the address out, as those of the others do.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalView {
    /// What kind of address it is.
    pub kind: CandidateKind,
    /// The address that the other side is told.
    pub address: SocketAddr,
    /// Its priority (RFC 8445 section 5.1.2).
    pub priority: u32,
    /// The server that it comes from.
    pub server: Option<String>,
    /// How a relay is reached.
    pub relay_transport: Option<Transport>,
    /// Whether it takes connections, and no datagrams.
    pub is_tcp: bool,
}

impl fmt::Debug for LocalView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalView({:?})", self.kind)
    }
}

/// A candidate of the other side.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteView {
    /// What kind of address it is.
    pub kind: CandidateKind,
    /// The address.
    pub address: SocketAddr,
    /// Its priority.
    pub priority: u32,
    /// Whether it takes connections, and no datagrams.
    pub is_tcp: bool,
}

impl fmt::Debug for RemoteView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteView({:?})", self.kind)
    }
}

/// A pair that has worked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairView {
    /// What this side's end is.
    pub local_kind: CandidateKind,
    /// Where datagrams leave from: this machine's address, or the relay's.
    pub local: SocketAddr,
    /// How the relay of this side is reached.
    pub relay_transport: Option<Transport>,
    /// What the other side's end is.
    pub remote_kind: CandidateKind,
    /// Where datagrams go to.
    pub remote: SocketAddr,
    /// Whether they go over a connection.
    pub is_tcp: bool,
    /// The last round trip measured.
    pub round_trip: Duration,
    /// Whether media goes this way.
    pub in_use: bool,
    /// Whether it has stopped working.
    pub dead: bool,
}

impl fmt::Debug for PairView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PairView({:?} to {:?}, in use: {})", self.local_kind, self.remote_kind, self.in_use)
    }
}

/// All of it, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceView {
    /// This side's candidates.
    pub locals: Vec<LocalView>,
    /// The other side's.
    pub remotes: Vec<RemoteView>,
    /// Pairs that have worked.
    pub pairs: Vec<PairView>,
    /// Whether this side's candidates are all there: no server is waited for.
    pub gathered: bool,
    /// Servers that are of no use, and why.
    pub failures: Vec<(String, String)>,
}
