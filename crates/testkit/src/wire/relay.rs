//! A link between two UDP peers on this machine.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use ahoy_media_types::MediaClock;
use socket2::{Domain, Protocol, Socket, Type};

use super::candidate::Candidate;
use super::handle::{LinkHandle, Shared};
use super::pump::{self, Received, Wire};
use super::{Carried, Direction, Route, Side};
use crate::link::LinkConfig;

/// Asked of the kernel for each socket, so that no packet is lost but by the link's own decision: a second at 30 Mb/s.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Addresses that one relay stands in for. More are refused: a test's two peers have a few each.
const MAX_FRONTS: usize = 128;

/// Why a relay can't do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The operating system gave no socket or no thread.
    #[error(
        "the relay could not get a socket or a thread: {0}; free some UDP ports or raise the limit on open files"
    )]
    Io(#[from] io::Error),
    /// The line given is not a candidate.
    #[error("this is not an ICE candidate line: give the text that begins with \"candidate:\"")]
    NotACandidate,
    /// Too many addresses.
    #[error("the relay stands in for {MAX_FRONTS} addresses already: give it fewer candidates")]
    TooManyFronts,
}

/// Relays datagrams between peers A and B through an emulated link in each direction.
///
/// For each address of one peer the relay opens a *front*, a loopback socket that the other peer sends to instead. What
/// comes in at a front from the other peer goes through the link and leaves from the front of its sender, so both peers
/// see only fronts. Dropping the relay closes all of them.
#[derive(Debug)]
pub struct UdpRelay {
    handle: LinkHandle,
    shared: Arc<Shared>,
    fronts: Arc<Fronts>,
    thread: Option<JoinHandle<()>>,
}

impl UdpRelay {
    /// Starts a relay with one link for packets from A to B and one for the way back.
    pub fn start(forward: LinkConfig, backward: LinkConfig) -> Result<UdpRelay, RelayError> {
        Self::start_with_clock(MediaClock::start(), forward, backward)
    }

    /// The same with a given clock, so that the packet log and other records share their timeline.
    pub fn start_with_clock(
        clock: MediaClock,
        forward: LinkConfig,
        backward: LinkConfig,
    ) -> Result<UdpRelay, RelayError> {
        Ok(Self::over(Shared::new(clock, forward, backward)?, |wire| wire)?)
    }

    /// A relay whose packets go over `shared`, carried by what `with` makes of its wire.
    pub(super) fn over<W: Wire>(shared: Arc<Shared>, with: impl FnOnce(RelayWire) -> W) -> io::Result<Self> {
        let fronts = Arc::new(Fronts::default());
        let wire = RelayWire { fronts: Arc::clone(&fronts), version: 0, known: Vec::new() };
        let thread = pump::start("ahoy-relay", Arc::clone(&shared), with(wire))?;
        Ok(Self { handle: LinkHandle::new(Arc::clone(&shared)), shared, fronts, thread: Some(thread) })
    }

    /// Control over the links, to be kept or sent elsewhere.
    pub fn handle(&self) -> LinkHandle {
        self.handle.clone()
    }

    /// The address that the other peer is to use in place of `real`, an address of `side`. Always the same for the same
    /// `real`.
    pub fn front_for(&self, side: Side, real: SocketAddr) -> Result<SocketAddr, RelayError> {
        let (index, new) = self.fronts.find_or_open(side, real)?;
        if new {
            self.shared.waker().wake();
        }
        Ok(self.fronts.list().entries[index].address)
    }

    /// The address that B is to send to in order to reach `real`, an address of A.
    pub fn front_for_a(&self, real: SocketAddr) -> Result<SocketAddr, RelayError> {
        self.front_for(Side::A, real)
    }

    /// The address that A is to send to in order to reach `real`, an address of B.
    pub fn front_for_b(&self, real: SocketAddr) -> Result<SocketAddr, RelayError> {
        self.front_for(Side::B, real)
    }

    /// Turns an ICE candidate that `from` signaled into the one to hand to the other peer. `None` for a candidate whose
    /// packets would go past the relay (TCP, mDNS name, server-reflexive, relayed): leave it out.
    ///
    /// The empty candidate, which ends the list, passes as it is.
    pub fn rewrite_candidate(&self, from: Side, line: &str) -> Result<Option<String>, RelayError> {
        match Candidate::parse(line).ok_or(RelayError::NotACandidate)? {
            Candidate::EndOfCandidates => Ok(Some(line.to_owned())),
            Candidate::Other => Ok(None),
            Candidate::UdpHost { before_address, address, after_port } => {
                let front = self.front_for(from, address)?;
                Ok(Some(format!("{before_address}{} {}{after_port}", front.ip(), front.port())))
            }
        }
    }

    /// Does the same to all candidate lines of a session description that `from` signaled.
    pub fn rewrite_sdp(&self, from: Side, sdp: &str) -> Result<String, RelayError> {
        let mut rewritten = String::with_capacity(sdp.len());
        for line in sdp.split_inclusive('\n') {
            let content = line.trim_end_matches(['\r', '\n']);
            if !content.starts_with("a=candidate:") {
                rewritten.push_str(line);
            } else if let Some(candidate) = self.rewrite_candidate(from, content)? {
                rewritten.push_str(&candidate);
                rewritten.push_str(&line[content.len()..]);
            }
        }
        Ok(rewritten)
    }

    /// Takes `side` off the network for good, as if its machine had gone: its fronts close, so that the other peer's
    /// packets are refused, and nothing of what it sends gets through. For a silent cut use [`LinkHandle::block`].
    pub fn kill(&self, side: Side) {
        for direction in Direction::BOTH {
            self.handle.block(direction);
        }
        let closing = self.fronts.close(side);
        self.shared.waker().wake();
        // A socket is closed once the thread has let go of it too.
        let relaying = || self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        while relaying() && closing.iter().any(|socket| socket.strong_count() > 0) {
            thread::yield_now();
        }
    }

    /// Packets that the kernel dropped before the relay could read them because the machine was too busy. They are in no
    /// log, so a test that counts packets on the link first checks that this is 0.
    #[cfg(target_os = "linux")]
    pub fn kernel_drops(&self) -> io::Result<u64> {
        let ports: Vec<u16> = self.fronts.list().entries.iter().map(|front| front.address.port()).collect();
        let mut dropped = 0;
        for table in ["/proc/self/net/udp", "/proc/self/net/udp6"] {
            dropped += drops_in(&std::fs::read_to_string(table)?, &ports);
        }
        Ok(dropped)
    }

    /// Lets a direction swallow all packets that come, silently, until [`unblock`](Self::unblock).
    pub fn block(&self, direction: Direction) {
        self.handle.block(direction);
    }

    /// Ends [`block`](Self::block).
    pub fn unblock(&self, direction: Direction) {
        self.handle.unblock(direction);
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.shared.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the relay's thread panicked");
        }
    }
}

/// The sockets that stand in for the peers' addresses. Entries are only ever added, so an index stays valid.
#[derive(Debug, Default)]
struct Fronts {
    list: Mutex<FrontList>,
    /// Goes up with every change of the list.
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct FrontList {
    entries: Vec<Front>,
    index: HashMap<(Side, SocketAddr), usize>,
}

#[derive(Clone, Debug)]
struct Front {
    side: Side,
    real: SocketAddr,
    address: SocketAddr,
    /// `None` once the side was killed.
    socket: Option<Arc<UdpSocket>>,
}

impl Fronts {
    fn list(&self) -> MutexGuard<'_, FrontList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of the front for `real`, and whether it is new.
    fn find_or_open(&self, side: Side, real: SocketAddr) -> Result<(usize, bool), RelayError> {
        let mut list = self.list();
        if let Some(&index) = list.index.get(&(side, real)) {
            return Ok((index, false));
        }
        if list.entries.len() == MAX_FRONTS {
            return Err(RelayError::TooManyFronts);
        }
        let socket = bind(real)?;
        let address = socket.local_addr()?;
        let index = list.entries.len();
        list.entries.push(Front { side, real, address, socket: Some(Arc::new(socket)) });
        list.index.insert((side, real), index);
        self.version.fetch_add(1, Ordering::Release);
        Ok((index, true))
    }

    fn close(&self, side: Side) -> Vec<Weak<UdpSocket>> {
        let mut list = self.list();
        let fronts = list.entries.iter_mut().filter(|front| front.side == side);
        let closing = fronts.filter_map(|front| front.socket.take().map(|socket| Arc::downgrade(&socket)));
        let closing = closing.collect();
        self.version.fetch_add(1, Ordering::Release);
        closing
    }
}

/// Sums up the last column of the kernel's table of UDP sockets (proc_pid_net(5)) over those bound to `ports`.
#[cfg(target_os = "linux")]
fn drops_in(table: &str, ports: &[u16]) -> u64 {
    let rows = table.lines().skip(1).filter_map(|line| {
        let local = line.split_whitespace().nth(1)?;
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        ports.contains(&port).then(|| line.split_whitespace().last()?.parse::<u64>().ok())?
    });
    rows.sum()
}

/// A loopback socket of the same address family as `real`, with buffers as large as the system gives.
fn bind(real: SocketAddr) -> io::Result<UdpSocket> {
    let loopback = match real {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let address = SocketAddr::new(loopback, 0);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel caps these silently at its own limit; only an explicit refusal is worth a word.
    if let Err(error) =
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES).and(socket.set_send_buffer_size(SOCKET_BUFFER_BYTES))
    {
        tracing::debug!(%error, "the relay's sockets keep their small buffers");
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The thread's view of the fronts.
pub(super) struct RelayWire {
    fronts: Arc<Fronts>,
    version: u64,
    known: Vec<Front>,
}

/// Bytes of the IP and UDP headers, which take up the link's rate too.
const fn header_bytes(peer: SocketAddr) -> usize {
    match peer {
        SocketAddr::V4(_) => 28,
        SocketAddr::V6(_) => 48,
    }
}

impl RelayWire {
    fn open(&self) -> impl Iterator<Item = (usize, &Front, &Arc<UdpSocket>)> {
        self.known
            .iter()
            .enumerate()
            .filter_map(|(index, front)| front.socket.as_ref().map(|socket| (index, front, socket)))
    }
}

impl Wire for RelayWire {
    fn refresh(&mut self) {
        let version = self.fronts.version.load(Ordering::Acquire);
        if version != self.version {
            self.known.clone_from(&self.fronts.list().entries);
            self.version = version;
        }
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.open().map(|(_, _, socket)| socket.as_fd()).collect()
    }

    fn receive(&mut self, index: usize, buffer: &mut [u8]) -> Received {
        let Some((to, front, socket)) = self.open().nth(index) else { return Received::Empty };
        let (length, source) = match socket.recv_from(buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Empty,
            // The echo of an earlier packet that its receiver refused.
            Err(_) => return Received::Ignored,
        };
        let sender = front.side.other();
        // A source that was never signaled is a peer-reflexive candidate (RFC 8445 section 7.3.1.3): it gets a front too.
        match self.fronts.find_or_open(sender, source) {
            Ok((via, _)) => {
                let data = buffer[..length].into();
                let wire_bytes = length + header_bytes(source);
                Received::Packet(
                    Direction::from(sender),
                    Carried { data, wire_bytes, route: Route::Front { via, to } },
                )
            }
            Err(error) => {
                tracing::warn!(%error, "a packet from a new address was dropped");
                Received::Ignored
            }
        }
    }

    fn transmit(&mut self, _direction: Direction, packet: &Carried) -> io::Result<()> {
        self.refresh();
        let Route::Front { via, to } = packet.route else { return Ok(()) };
        match (self.known.get(via).and_then(|front| front.socket.as_ref()), self.known.get(to)) {
            (Some(socket), Some(front)) => socket.send_to(&packet.data, front.real).map(|_| ()),
            // Killed while the packet was under way.
            (None, _) | (_, None) => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
