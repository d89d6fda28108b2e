//! What a side's network really does, found out with plain sockets.
//!
//! Nothing here waits for something that must not happen: a packet that has to get through is sent after those that must not,
//! and on the way it can't overtake them.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::internet::NatLab;
use super::kind::{Filtering, Mapping, Nat};
use super::plan::ServerAddresses;
use super::side::Side;

/// Longer than any wait here can take on an overloaded machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// The one port that gets out of every network.
const HTTPS: u16 = 443;
/// How often a packet that gets through follows those that may not. A thread that moves to another processor between two
/// packets may have the kernel deliver them in the wrong order, but not around a whole round trip.
const FENCES: usize = 2;

/// Why a network could not be probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Something that has to work did not.
    #[error("the network could not be probed: {what}: {cause}")]
    Io {
        /// What it was.
        what: &'static str,
        /// The system's reason.
        cause: io::Error,
    },
}

/// What was seen of a network's behaviour towards UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Mapping and filtering.
    pub nat: Nat,
    /// Whether the source address was another one at the server.
    pub translated: bool,
    /// Whether the port was the same one at the server, for the first destination.
    pub port_kept: bool,
}

/// What gets from a side to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// UDP.
    pub udp: bool,
    /// TCP to a port that is nothing special.
    pub tcp: bool,
    /// TCP to port 443.
    pub tcp443: bool,
}

fn at(what: &'static str) -> impl FnOnce(io::Error) -> ProbeError {
    move |cause| ProbeError::Io { what, cause }
}

/// Observes how a side's network treats UDP to one of the server's families. The side must have sent nothing before: NATs
/// remember. UDP has to get through.
///
/// # Errors
/// [`ProbeError`].
pub fn observe(lab: &NatLab, side: &Side, server: ServerAddresses) -> Result<Observed, ProbeError> {
    let bind = |address| opened(lab.run_at_server(|| udp(address)));
    let (one, other_port, other_address) =
        (bind(server.signaling)?, bind(server.signaling)?, bind(server.relay)?);
    // First of all, since it counts who was sent to.
    let filtering = filtering(side, &one, &other_port, &other_address)?;
    let host = opened(side.run(|| udp(any(server.signaling))))?;
    let mut seen = Vec::new();
    for receiver in [&one, &other_port, &other_address] {
        seen.push(sent(&host, receiver)?);
    }
    let mapping = match (seen[0] == seen[1], seen[0] == seen[2]) {
        (true, true) => Mapping::EndpointIndependent,
        (true, false) => Mapping::AddressDependent,
        (false, _) => Mapping::AddressAndPortDependent,
    };
    let own_port = host.local_addr().map_err(at("its own address"))?.port();
    Ok(Observed {
        nat: Nat { mapping, filtering },
        translated: !side.addresses(0).contains(&seen[0].ip()),
        port_kept: seen[0].port() == own_port,
    })
}

/// Whose packets come in after the side has sent to `one`.
fn filtering(
    side: &Side,
    one: &UdpSocket,
    other_port: &UdpSocket,
    other_address: &UdpSocket,
) -> Result<Filtering, ProbeError> {
    let local = one.local_addr().map_err(at("the server's address"))?;
    let host = opened(side.run(|| udp(any(local.ip()))))?;
    let mapped = sent(&host, one)?;
    let (mut by_port, mut by_address) = (false, false);
    for fence in 0..FENCES {
        if fence == 0 {
            other_address.send_to(b"a", mapped).map_err(at("sending from another address"))?;
            other_port.send_to(b"p", mapped).map_err(at("sending from another port"))?;
        }
        one.send_to(b"!", mapped).map_err(at("answering"))?;
        loop {
            let mut byte = [0];
            host.recv(&mut byte).map_err(at("waiting for the answer"))?;
            match byte {
                [b'a'] => by_address = true,
                [b'p'] => by_port = true,
                _ => break,
            }
        }
    }
    Ok(match (by_address, by_port) {
        (true, _) => Filtering::EndpointIndependent,
        (false, true) => Filtering::AddressDependent,
        (false, false) => Filtering::AddressAndPortDependent,
    })
}

/// Finds out what gets out of a side's network to the server.
///
/// # Errors
/// [`ProbeError`].
pub fn reach(lab: &NatLab, side: &Side, server: ServerAddresses) -> Result<Reach, ProbeError> {
    // An address of its own, so that services may have the port on theirs.
    let listen = |port| opened(lab.run_at_server(|| TcpListener::bind((server.spare, port))));
    let (https, plain) = (listen(HTTPS)?, listen(0)?);
    let receiver = opened(lab.run_at_server(|| udp(server.spare)))?;
    let host = opened(side.run(|| udp(any(server.spare))))?;
    let to = receiver.local_addr().map_err(at("the server's address"))?;
    host.send_to(b"u", to).map_err(at("sending"))?;
    let plain_at = plain.local_addr().map_err(at("the server's address"))?;
    let _trying = opened(side.run(|| begin_to_connect(plain_at)))?;
    let https_at = https.local_addr().map_err(at("the server's address"))?;
    let mut tcp443 = false;
    for _ in 0..FENCES {
        let connected = side.run(|| TcpStream::connect_timeout(&https_at, PATIENCE));
        tcp443 = connected.map_err(at("connecting"))?.is_ok();
    }
    receiver.set_nonblocking(true).map_err(at("looking"))?;
    plain.set_nonblocking(true).map_err(at("looking"))?;
    Ok(Reach { udp: receiver.recv(&mut [0]).is_ok(), tcp: plain.accept().is_ok(), tcp443 })
}

/// Sends from one socket to another; returns where it came from there.
fn sent(from: &UdpSocket, to: &UdpSocket) -> Result<SocketAddr, ProbeError> {
    let address = to.local_addr().map_err(at("the server's address"))?;
    from.send_to(b"?", address).map_err(at("sending"))?;
    to.recv_from(&mut [0]).map(|(_, seen)| seen).map_err(at("waiting at the server"))
}

/// A socket that waits for [`PATIENCE`].
fn udp(address: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// What was opened inside a namespace.
fn opened<T>(inside: io::Result<io::Result<T>>) -> Result<T, ProbeError> {
    inside.and_then(|opened| opened).map_err(at("opening a socket"))
}

/// All addresses of a family.
fn any(family: IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

/// Has the system try to connect, and does not wait for it. The connection is given up when the value is dropped.
fn begin_to_connect(to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}
