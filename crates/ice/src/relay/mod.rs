//! Relays: addresses at TURN servers (RFC 8656), each kept by a task of its own.
//!
//! The task owns the protocol's state (`turn-client-proto`) and the way to its server: a socket that others use as well, or a
//! stream that is its alone. Everyone else has a [`RelayHandle`].

mod framing;
mod stream;
mod task;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::mpsc;

pub(crate) use framing::next_message;
pub(crate) use stream::Connector;

use crate::config::IceServer;
use crate::socket::Socket;
use crate::wire::{Pair, Wire};

/// What waits for a relay's task. Datagrams that find it full are lost, as anywhere on their way.
const COMMANDS: usize = 512;
/// What relays report and nobody has taken yet. Each reports a few times in its life.
pub(crate) const EVENTS: usize = 64;

/// Which relay, within one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RelayId(pub(crate) u32);

#[derive(Debug)]
enum Command {
    /// To be sent to the other side.
    Send { to: SocketAddr, datagram: Bytes },
    /// Came from the server, over a socket that is not the relay's alone.
    Arrived(Bytes),
    /// The other side may send from this address.
    Permit(IpAddr),
    /// Much will be sent there: four bytes of header instead of 36 (RFC 8656 section 12).
    Bind(SocketAddr),
}

/// A relay, as others see it. When the last one is dropped, also by [`Wire`], the address is given back.
#[derive(Clone, Debug)]
pub(crate) struct RelayHandle {
    commands: mpsc::Sender<Command>,
    mapped: Arc<OnceLock<SocketAddr>>,
}

impl RelayHandle {
    pub(crate) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        self.tell(Command::Send { to, datagram: Bytes::copy_from_slice(datagram) });
    }

    pub(crate) fn arrived(&self, datagram: Bytes) {
        self.tell(Command::Arrived(datagram));
    }

    pub(crate) fn permit(&self, ip: IpAddr) {
        self.tell(Command::Permit(ip));
    }

    pub(crate) fn bind(&self, to: SocketAddr) {
        self.tell(Command::Bind(to));
    }

    /// Where the server sees whoever asked for the relay (RFC 8656 section 7.3); `None` until it has answered.
    pub(crate) fn mapped(&self) -> Option<SocketAddr> {
        self.mapped.get().copied()
    }

    fn tell(&self, command: Command) {
        let _ = self.commands.try_send(command);
    }
}

/// Why there is no relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayFailure {
    /// The server can't be connected to.
    #[error("the relay can't be reached: {0}")]
    Unreachable(String),
    /// It does not answer.
    #[error("the relay does not answer")]
    Silent,
    /// It refuses, with this code (RFC 8489 section 14.8, RFC 8656 section 19).
    #[error("the relay refuses: error {0}")]
    Refused(u16),
}

/// What a relay reports.
#[derive(Debug)]
pub(crate) enum RelayEvent {
    /// There are addresses now, one of each family at most.
    Allocated(RelayId, Vec<SocketAddr>),
    /// There is none, or none any more.
    Gone(RelayId, RelayFailure),
}

/// How the server is reached.
#[derive(Debug)]
pub(crate) enum Way {
    /// Over this socket.
    Socket { socket: Arc<Socket>, server: SocketAddr },
    /// Over a connection of the relay's own.
    Stream(Connector),
}

/// Asks for a relay. Its task reports to `events` and hands what comes out of it to `wire`.
pub(crate) fn allocate(
    id: RelayId,
    server: &IceServer,
    way: Way,
    wire: Wire,
    events: mpsc::Sender<RelayEvent>,
) -> RelayHandle {
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let handle = RelayHandle { commands, mapped: Arc::default() };
    if let Way::Socket { socket, server } = &way {
        let pair = Pair { local: socket.local(), remote: *server };
        wire.add_relay(pair, handle.clone());
    }
    let task = task::Task::new(id, server, wire, events, Arc::clone(&handle.mapped));
    tokio::spawn(task.run(way, inbox));
    handle
}
