//! What helps two sides reach each other: the servers that the signaling server names, and news of this machine's network.

mod servers;
#[cfg(test)]
mod wake_tests;
mod watch;

pub(crate) use servers::{KnownServers, known};
pub(crate) use watch::{NetworkNews, NetworkWatch};
