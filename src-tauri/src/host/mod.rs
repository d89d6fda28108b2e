//! The server that this program runs itself, for calls on this computer: `ahoy-server` as a library, with files of its own.

mod certificate;

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ahoy_client::account::Fingerprint;
use ahoy_client::host::{RunningServer, ServerRunner};
use ahoy_server::config::{Config, MetricsFor, SignUp, TurnMode};
use ahoy_server::server::{Server, StartError};
use async_trait::async_trait;
use tempfile::TempDir;

pub use self::certificate::CertificateError;
use self::certificate::HostCertificate;

/// Ports that are tried, the first that is free.
const PORTS: std::ops::Range<u16> = 7_447..7_457;

/// Why it does not start, beside the server's own reasons.
#[derive(Debug, thiserror::Error)]
pub enum OwnServerError {
    /// There is no room for its files.
    #[error("its files can't be kept in the system's temporary folder ({0}): check that the disk has room")]
    Files(io::Error),
    /// All ports are taken.
    #[error(
        "other programs use all of the ports {first} to {last}, one of which it needs: end one of them",
        first = PORTS.start,
        last = PORTS.end - 1
    )]
    Ports,
}

/// Runs the server. Its certificate is kept, so that a browser that was told to go on need not be told again.
#[derive(Debug)]
pub struct OwnServer {
    folder: PathBuf,
}

impl OwnServer {
    /// The certificate is kept in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

#[async_trait]
impl ServerRunner for OwnServer {
    async fn start(
        &self,
        address: IpAddr,
        sign_up_code: &str,
    ) -> Result<Box<dyn RunningServer>, Box<dyn Error + Send + Sync>> {
        let certificate = HostCertificate::open(&self.folder)?;
        let files = tempfile::tempdir().map_err(OwnServerError::Files)?;
        for port in PORTS {
            let mut config = Config::defaults()?;
            config.data_dir = files.path().to_owned();
            config.http.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            config.http.public_url = format!("https://{}", SocketAddr::from((address, port)));
            config.http.metrics = MetricsFor::Nobody;
            // Who finds the call reaches this computer; a relay on it would reach no further.
            config.turn.mode = TurnMode::Off;
            config.tls.certificate.clone_from(&certificate.chain_file);
            config.tls.key.clone_from(&certificate.key_file);
            config.auth.sign_up = SignUp::Code;
            sign_up_code.clone_into(&mut config.auth.sign_up_code);
            // The only password is a random one of 128 bits, which no memory makes any harder to guess.
            (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
            match Server::start(config).await {
                Ok(server) => {
                    return Ok(Box::new(Running { server, pin: certificate.fingerprint, _files: files }));
                }
                Err(StartError::Listen { error, .. }) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(OwnServerError::Ports.into())
    }
}

#[derive(Debug)]
struct Running {
    server: Server,
    pin: Fingerprint,
    _files: TempDir,
}

#[async_trait]
impl RunningServer for Running {
    fn port(&self) -> u16 {
        self.server.addr().port()
    }

    fn pin(&self) -> Fingerprint {
        self.pin
    }

    async fn stop(self: Box<Self>) {
        self.server.stop().await;
    }
}
