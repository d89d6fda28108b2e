//! The addresses of this machine, and sockets for them.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tracing::warn;

use crate::config::IceError;
use crate::socket::Socket;

/// Addresses used at most: a machine with many virtual networks has dozens, and each is checked with each of the other side's.
const ADDRESSES_MOST: usize = 16;

/// The addresses that `bind` stands for at the moment.
pub(super) fn addresses(bind: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    let mut own: Option<BTreeSet<IpAddr>> = None;
    for address in bind {
        if !address.ip().is_unspecified() {
            found.push(*address);
            continue;
        }
        let own = own.get_or_insert_with(own_addresses);
        let family = own.iter().filter(|ip| ip.is_ipv4() == address.is_ipv4());
        found.extend(family.map(|ip| SocketAddr::new(*ip, address.port())));
    }
    found.truncate(ADDRESSES_MOST);
    found
}

/// Those of all interfaces that are up, without loopback, and without those that mean nothing beyond one cable.
pub(crate) fn own_addresses() -> BTreeSet<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces
            .into_iter()
            .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
            .map(|interface| interface.ip())
            .collect(),
        Err(error) => {
            warn!(%error, "this machine's addresses can't be told");
            BTreeSet::new()
        }
    }
}

/// Sockets for all that `bind` stands for. An address that can't be used is left out, if another can.
pub(super) fn bind(bind: &[SocketAddr]) -> Result<Vec<Socket>, IceError> {
    let mut cause = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut sockets = Vec::new();
    for address in addresses(bind) {
        match Socket::bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) => cause = error,
        }
    }
    match sockets.is_empty() {
        true => Err(IceError::NoSocket { tried: bind.to_vec(), cause }),
        false => Ok(sockets),
    }
}
