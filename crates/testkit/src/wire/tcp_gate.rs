//! A gate in front of a server: while it is shut nothing gets through, and nobody is told, as on a network that is cut.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Carried at once.
const CHUNK: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Shut,
    /// The gate is gone.
    Over,
}

#[derive(Debug)]
struct Bar {
    state: Mutex<State>,
    moved: Condvar,
}

impl Bar {
    fn set(&self, next: State) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != State::Over {
            *state = next;
        }
        self.moved.notify_all();
    }

    /// Waits while the gate is shut. Whether it is open then.
    fn pass(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let shut = |state: &mut State| *state == State::Shut;
        let state = self.moved.wait_while(state, shut).unwrap_or_else(PoisonError::into_inner);
        *state == State::Open
    }
}

/// Carries TCP connections to a server on this machine. What is sent while it is shut waits, also the end of a connection,
/// and arrives when it is opened: TCP would have sent it again.
#[derive(Debug)]
pub struct TcpGate {
    address: SocketAddr,
    bar: Arc<Bar>,
    accepting: Option<JoinHandle<()>>,
}

impl TcpGate {
    /// A gate, open, in front of the server at `to`.
    ///
    /// # Errors
    /// Where there is no port or no thread for it.
    pub fn before(to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let bar = Arc::new(Bar { state: Mutex::new(State::Open), moved: Condvar::new() });
        let at_the_bar = Arc::clone(&bar);
        let accepting = thread::Builder::new().name("ahoy-gate".into()).spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if *at_the_bar.state.lock().unwrap_or_else(PoisonError::into_inner) == State::Over {
                    return;
                }
                // A connection that can't be carried is closed by being dropped.
                let _ = carry(client, to, &at_the_bar);
            }
        })?;
        Ok(Self { address, bar, accepting: Some(accepting) })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing through from now on.
    pub fn shut(&self) {
        self.bar.set(State::Shut);
    }

    /// Lets everything through again.
    pub fn open(&self) {
        self.bar.set(State::Open);
    }
}

impl Drop for TcpGate {
    fn drop(&mut self) {
        self.bar.set(State::Over);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Carries one connection on two threads, which end with it.
fn carry(client: TcpStream, to: SocketAddr, bar: &Arc<Bar>) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    for (from, into) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let bar = Arc::clone(bar);
        thread::Builder::new().name("ahoy-gate".into()).spawn(move || {
            // Broken or ended: the other side is told in the same way.
            let _ = carry_one_way(&from, &into, &bar);
            let _ = into.shutdown(Shutdown::Write);
        })?;
    }
    Ok(())
}

fn carry_one_way(mut from: &TcpStream, mut into: &TcpStream, bar: &Bar) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk)?;
        if !bar.pass() || length == 0 {
            return Ok(());
        }
        into.write_all(&chunk[..length])?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nothing_gets_through_a_shut_gate_and_everything_once_it_is_open() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let gate = TcpGate::before(listener.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(gate.address()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut heard = [0; 3];
        client.write_all(b"one").unwrap();
        server.read_exact(&mut heard).unwrap();
        gate.shut();
        client.write_all(b"two").unwrap();
        server.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(server.read(&mut heard).is_err(), "the gate is shut");
        gate.open();
        server.set_read_timeout(None).unwrap();
        server.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"two");
        drop(client);
        assert_eq!(server.read(&mut heard).unwrap(), 0, "the end gets through, too");
    }
}
