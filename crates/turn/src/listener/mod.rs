//! Where clients come in.

pub(crate) mod datagrams;
pub(crate) mod streams;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::ports::udp;

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 1_024;
/// How long accepting waits after it failed, for want of files for example.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// How often another free port is tried where the one for TCP is not free for UDP.
const FREE_PORT_TRIES: usize = 16;

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A server that is started again has its port at once. Elsewhere than on Unix this would take others' ports.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// All addresses that are meant: where it is all of IPv6, all of IPv4 as well, by sockets of their own.
fn expand(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut all = addresses.to_vec();
    for address in addresses {
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        if address.is_ipv6() && address.ip().is_unspecified() && !all.contains(&v4) {
            all.push(v4);
        }
    }
    all
}

/// Listens for streams at all these addresses. Those without a port share one.
pub(crate) fn bind_streams(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut port = 0;
    let mut listeners = Vec::new();
    for mut address in expand(addresses) {
        if address.port() == 0 {
            address.set_port(port);
        }
        let listener = tcp(address)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Listens for streams and datagrams at all these addresses, at the same ports.
pub(crate) fn bind_both(addresses: &[SocketAddr]) -> io::Result<Vec<(TcpListener, UdpSocket)>> {
    let free = addresses.iter().any(|address| address.port() == 0);
    let mut tries = if free { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let bound = bind_streams(addresses).and_then(|listeners| {
            let both = listeners.into_iter().map(|listener| {
                let socket = udp(listener.local_addr()?)?;
                Ok((listener, socket))
            });
            both.collect()
        });
        match bound {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            bound => return bound,
        }
    }
}
