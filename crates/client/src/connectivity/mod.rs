//! What helps two sides reach each other: the servers that the signaling server names, and news of this machine's network.

mod servers;
mod watch;

pub(crate) use servers::{KnownServers, known};
pub(crate) use watch::NetworkWatch;
