//! A TCP connection that never waits, and the frames on it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

/// What one end of a connection sent and did not send yet, and the start of a message whose rest has not come.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    unsent: Vec<u8>,
    unread: Vec<u8>,
}

/// How much of a connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It goes on.
    Open,
    /// The other side has ended it.
    Ended,
}

impl Link {
    /// Begins to connect. With `little_room`, the system keeps as little unread as it can.
    pub(crate) fn connect(to: SocketAddr, little_room: bool) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        if little_room {
            sockopt::set_socket_recv_buffer_size(&socket, 1)?;
        }
        match rustix::net::connect(&socket, &to) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(Self { stream, unsent: Vec::new(), unread: Vec::new() })
    }

    /// The connection, to be waited for.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Makes the connection break instead of end when it is dropped, as when a cable is cut.
    pub(crate) fn break_when_dropped(&self) -> io::Result<()> {
        Ok(sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }

    /// Appends to what is to be sent, by `write`, and sends what the system takes now.
    pub(crate) fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let waiting = !self.unsent.is_empty();
        write(&mut self.unsent);
        if waiting { Ok(()) } else { self.flush() }
    }

    /// Sends what the system takes now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Not connected yet, or the other side does not read: the next event tells when to go on.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads once and gives all that has not been taken to `take`, which returns how much of it it took.
    pub(crate) fn read<E: From<io::Error>>(
        &mut self,
        scratch: &mut [u8],
        take: impl FnOnce(&mut Self, &[u8]) -> Result<usize, E>,
    ) -> Result<Flow, E> {
        let count = match self.stream.read(scratch) {
            Ok(0) => return Ok(Flow::Ended),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(Flow::Open);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Flow::Ended),
            Err(error) => return Err(error.into()),
        };
        if self.unread.is_empty() {
            let taken = take(self, &scratch[..count])?;
            self.unread.extend_from_slice(&scratch[taken..count]);
        } else {
            let mut unread = std::mem::take(&mut self.unread);
            unread.extend_from_slice(&scratch[..count]);
            let taken = take(self, &unread)?;
            unread.drain(..taken);
            if !unread.is_empty() {
                self.unread = unread;
            }
        }
        Ok(Flow::Open)
    }
}
