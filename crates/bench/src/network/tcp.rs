//! Streams of TCP that compete with calls: the kernel's, between two namespaces whose link is the calls' as well.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ahoy_testkit::Side;
use ahoy_testkit::wire::TunLink;
use anyhow::{Context as _, Result, anyhow, bail};

use super::cases::TcpSpec;

/// How long a stream is written to or waits before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// A stream that takes nothing for so long is broken: beside calls it gets something each second.
const STALLED: Duration = Duration::from_secs(20);
/// What is written at once, in bytes.
const PIECE: usize = 16 * 1024;

/// Tells streams that they are over, at the latest when it is dropped.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The streams of a case.
pub(super) struct Streams {
    over: Over,
    threads: Vec<JoinHandle<Result<()>>>,
    link: TunLink,
}

impl Streams {
    /// Has each stream begin at its time after `began`.
    pub(super) fn start(link: TunLink, specs: &[TcpSpec], began: Instant) -> Result<Self> {
        let over = Over(Arc::default());
        let mut threads = Vec::new();
        for spec in specs {
            let listener = link.run_in(Side::B, || TcpListener::bind((TunLink::address(Side::B), 0)))??;
            let address = listener.local_addr()?;
            let socket = link.run_in(Side::A, || socket(spec.control))??;
            let (spec, over) = (spec.clone(), Arc::clone(&over.0));
            threads.push(thread::spawn(move || stream(&spec, socket, (&listener, address), began, &over)));
        }
        Ok(Self { over, threads, link })
    }

    /// Ends them.
    ///
    /// # Errors
    /// One of them did not go on until then.
    pub(super) fn end(self) -> Result<()> {
        drop(self.over);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a thread of a stream of TCP panicked"))??;
        }
        // The namespaces are there until the streams have ended.
        drop(self.link);
        Ok(())
    }
}

fn socket(control: &str) -> Result<rustix::fd::OwnedFd> {
    use rustix::net::{AddressFamily, SocketType, socket, sockopt};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_tcp_congestion(&socket, control)
        .with_context(|| format!("this kernel has no {control}: load the module tcp_{control}"))?;
    Ok(socket)
}

/// Both ends of a stream.
fn stream(
    spec: &TcpSpec,
    socket: rustix::fd::OwnedFd,
    (listener, address): (&TcpListener, SocketAddr),
    began: Instant,
    over: &AtomicBool,
) -> Result<()> {
    let is_over = || over.load(Ordering::Relaxed);
    while began.elapsed() < spec.starts {
        if is_over() {
            return Ok(());
        }
        thread::sleep(LOOK.min(spec.starts.saturating_sub(began.elapsed())));
    }
    rustix::net::connect(&socket, &address).context("a stream of TCP could not begin")?;
    let sender = TcpStream::from(socket);
    // Not before, or connecting would be given up after so long, too.
    sender.set_write_timeout(Some(LOOK))?;
    let (receiver, _) = listener.accept().context("a stream of TCP did not come")?;
    thread::scope(|scope| {
        let reading = scope.spawn(move || read_all(receiver));
        let written = write_all(sender, spec.bytes.unwrap_or(u64::MAX), is_over);
        let read = reading.join().map_err(|_| anyhow!("the end of a stream of TCP panicked"))?;
        written.and(read)
    })
}

/// Throws away what comes, until there is no more.
fn read_all(mut stream: TcpStream) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while stream.read(&mut piece).context("a stream of TCP broke off")? > 0 {}
    Ok(())
}

fn write_all(mut stream: TcpStream, mut left: u64, is_over: impl Fn() -> bool) -> Result<()> {
    let piece = vec![0x55; PIECE];
    let mut went_on = Instant::now();
    while left > 0 && !is_over() {
        let next = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match stream.write(&piece[..next]) {
            Ok(written) => (left, went_on) = (left - written as u64, Instant::now()),
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(error).context("a stream of TCP broke off");
            }
            Err(_) if went_on.elapsed() > STALLED => bail!("a stream of TCP did not go on for {STALLED:?}"),
            Err(_) => {}
        }
    }
    Ok(())
}
