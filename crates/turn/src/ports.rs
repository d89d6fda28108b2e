//! The ports that allocations have.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Ports that are tried before an allocation is refused. Picked at random (RFC 8656 section 7.2), of a range that is half
/// taken all of them are with a probability of 1 in 10^19.
const TRIES: usize = 64;
/// Bytes that wait in a socket while its task does something else: a key frame and what comes with it. The system may give
/// less.
pub(crate) const SOCKET_BUFFER: usize = 512 * 1024;

/// Gives ports to allocations and knows which have one.
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    /// By family: the relay has one address of each.
    open: Mutex<HashSet<(bool, u16)>>,
}

/// A socket at a port of its own.
#[derive(Debug)]
pub(crate) struct RelaySocket {
    /// The socket.
    pub(crate) socket: UdpSocket,
    /// Its port.
    pub(crate) port: u16,
    ports: Arc<Ports>,
    v4: bool,
}

impl Ports {
    /// Of this range, none of which is open.
    pub(crate) fn new(range: RangeInclusive<u16>) -> Arc<Self> {
        Arc::new(Self { range, open: Mutex::default() })
    }

    /// Whether an allocation has the port of this address, which is the relay's own.
    pub(crate) fn is_open(&self, own: SocketAddr) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(&(own.is_ipv4(), own.port()))
    }

    /// A socket for an allocation, at a free port of `ip`, an even one on demand.
    pub(crate) fn open(self: &Arc<Self>, ip: IpAddr, even: bool) -> io::Result<RelaySocket> {
        let (first, last) = (*self.range.start(), *self.range.end());
        let count = usize::from(last.saturating_sub(first)) + 1;
        let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
        let picks = rand::seq::index::sample(&mut rand::rng(), count, TRIES.min(count));
        for pick in picks {
            let Some(port) = u16::try_from(pick).ok().and_then(|pick| first.checked_add(pick)) else {
                continue;
            };
            if even && !port.is_multiple_of(2) {
                continue;
            }
            match udp(SocketAddr::new(ip, port)) {
                Ok(socket) => {
                    self.open.lock().unwrap_or_else(PoisonError::into_inner).insert((ip.is_ipv4(), port));
                    return Ok(RelaySocket { socket, port, ports: self.clone(), v4: ip.is_ipv4() });
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

#[cfg(test)]
impl Ports {
    /// As if an allocation had the port of this address.
    pub(crate) fn pretend(&self, own: SocketAddr) {
        self.open.lock().unwrap().insert((own.is_ipv4(), own.port()));
    }
}

impl Drop for RelaySocket {
    fn drop(&mut self) {
        self.ports.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&(self.v4, self.port));
    }
}

/// A UDP socket at an address. One for IPv6 takes nothing of IPv4: what it gets would seem to come from, and go to, addresses
/// of another kind.
pub(crate) fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // As much as the system gives.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn ports_are_of_the_range_and_free_again_when_their_socket_is_gone() {
        let free = udp(SocketAddr::new(LOOPBACK, 0)).unwrap().local_addr().unwrap().port();
        let ports = Ports::new(free..=free);
        let socket = ports.open(LOOPBACK, false).unwrap();
        assert_eq!(socket.port, free);
        assert!(ports.is_open(SocketAddr::new(LOOPBACK, free)));
        assert_eq!(ports.open(LOOPBACK, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert_eq!(ports.open(LOOPBACK, true).is_ok(), free.is_multiple_of(2));
        assert!(!ports.is_open(SocketAddr::new(LOOPBACK, free)));
    }
}
