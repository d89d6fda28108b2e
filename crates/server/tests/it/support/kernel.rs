//! What the kernel is asked to do for connections. Seen from inside: tests and server are one process.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::SocketAddr;

use rustix::fd::OwnedFd;
use rustix::net::{getpeername, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The server's end of the connection of a client with this address.
fn server_end(client: SocketAddr) -> OwnedFd {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("this process");
    let open = fs::read_dir("/proc/self/fd").expect("what is open");
    let mut copies = open.filter_map(|entry| {
        let number = entry.ok()?.file_name().to_str()?.parse().ok()?;
        pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).ok()
    });
    let is_it = |socket: &OwnedFd| {
        getpeername(socket).is_ok_and(|peer| peer.and_then(|peer| peer.try_into().ok()) == Some(client))
    };
    copies.find(is_it).expect("the server's end of the connection")
}

/// Whether what the server sends waits for what it sent before to be acknowledged (RFC 896).
pub(crate) fn waits_for_acknowledgements(client: SocketAddr) -> bool {
    !sockopt::tcp_nodelay(server_end(client)).expect("an option of TCP")
}
