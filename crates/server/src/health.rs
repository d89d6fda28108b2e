//! Asks a server on this machine whether it is ready, for supervisors that run a command for that.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use ahoy_signal::paths;

/// How long the answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const ANSWER_LONGEST: u64 = 64 * 1024;

/// Whether the server that listens there is ready, and what it says about it.
///
/// # Errors
/// Where it does not answer.
pub fn ask(listens: SocketAddr) -> io::Result<(bool, String)> {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, listens.port()), ANSWER_TIME)?;
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    // HTTP/1.0, so that the answer ends with the connection (RFC 1945).
    write!(stream, "GET {} HTTP/1.0\r\n\r\n", paths::READY)?;
    let mut answer = String::new();
    stream.take(ANSWER_LONGEST).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.split(' ').nth(1);
    Ok((status == Some("200"), body.to_owned()))
}
