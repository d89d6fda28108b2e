//! The link model between real packets: [`UdpRelay`] stands between two sockets on this machine, `TunLink` (Linux, root)
//! between two network namespaces. [`TcpGate`] stands before a server and can be shut.
//!
//! Each runs on a thread of its own that sleeps with microsecond resolution, so a delay is met to about 0.1 ms on a
//! machine that is not overloaded.

mod candidate;
mod handle;
mod pump;
mod relay;
mod tap;
mod tcp_gate;
#[cfg(target_os = "linux")]
mod tun;

pub use handle::{LinkHandle, Punctuality};
pub use relay::{RelayError, UdpRelay};
pub use tap::{TAP_CAPACITY, TapReport, TappedPacket, WireHeader, WireKind};
pub use tcp_gate::TcpGate;
#[cfg(target_os = "linux")]
pub use tun::{TunCable, TunError, TunLink, TunUnavailable};

/// One of the two ends that a link connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end where packets of [`Direction::AToB`] come from.
    A,
    /// The other one.
    B,
}

impl Side {
    /// The opposite end.
    pub const fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From A to B: the forward direction.
    AToB,
    /// From B to A: the backward direction.
    BToA,
}

impl Direction {
    /// Both directions.
    pub const BOTH: [Direction; 2] = [Direction::AToB, Direction::BToA];

    /// The direction of packets that come from `side`.
    pub const fn from(side: Side) -> Direction {
        match side {
            Side::A => Direction::AToB,
            Side::B => Direction::BToA,
        }
    }
}

/// A packet inside a link.
#[derive(Clone, Debug)]
struct Carried {
    data: Box<[u8]>,
    /// Size as an IP packet: what takes up the bottleneck's rate.
    wire_bytes: usize,
    route: Route,
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// From the front `via` to the address that the front `to` stands for.
    Front { via: usize, to: usize },
    /// Through the device at the other end.
    Device,
}
