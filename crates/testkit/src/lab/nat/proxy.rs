//! The HTTP proxy of a network that lets nothing out but by one (tinyproxy).

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::NatError;
use crate::namespace::Namespace;

/// The program, and the Debian package that has it.
pub(super) const PROGRAM: &str = "tinyproxy";
pub(super) const PACKAGE: &str = "tinyproxy-bin";
/// Where it listens.
const PORT: u16 = 8888;
/// How long it may take to start.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// A proxy that leads to port 443 and nowhere else, as companies have it. It ends with the value.
#[derive(Debug)]
pub(super) struct Proxy {
    process: Child,
    address: SocketAddrV4,
    // Removed after the program has ended.
    _folder: TempDir,
}

impl Proxy {
    /// Starts it on a router, at the address that the router has for the network behind it.
    pub(super) fn start(router: &Namespace, inner: Ipv4Addr) -> Result<Self, NatError> {
        let folder = TempDir::with_prefix("ahoy-lab-")?;
        let file = folder.path().join("tinyproxy.conf");
        let settings = [
            format!("Port {PORT}"),
            format!("Listen {inner}"),
            "Timeout 600".to_owned(),
            "MaxClients 100".to_owned(),
            "ConnectPort 443".to_owned(),
            "DisableViaHeader Yes".to_owned(),
            "LogLevel Error".to_owned(),
        ];
        fs::write(&file, settings.join("\n") + "\n")?;
        let mut command = router.command(PROGRAM);
        command.arg("-d").arg("-c").arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let address = SocketAddrV4::new(inner, PORT);
        let mut proxy = Self { process: command.spawn()?, address, _folder: folder };
        proxy.wait_until_it_listens(router)?;
        Ok(proxy)
    }

    fn wait_until_it_listens(&mut self, router: &Namespace) -> Result<(), NatError> {
        let deadline = Instant::now() + STARTED_WITHIN;
        while router.run(|| TcpStream::connect(self.address))?.is_err() {
            if self.process.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(NatError::Io(io::Error::other("the proxy does not start")));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Its address, as programs are told it.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // One that has ended by itself is no loss.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
