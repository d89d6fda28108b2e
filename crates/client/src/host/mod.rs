//! Calls without anybody's server: this program runs one itself, for as long as a call lasts, and people on the same network
//! come by its link, or find it.
//!
//! Nobody vouches for such a server. Its certificate is made here, and the link carries the certificate's fingerprint, which
//! programs hold it to; browsers warn once. Accounts, rooms and what is said are gone when it stops; only the certificate stays,
//! so that a browser that was told to go on need not be told again.

mod certificate;
mod nearby;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use ahoy_server::config::{Config, ConfigError, MetricsFor, SignUp as WhoSignsUp};
use ahoy_server::server::{Server, StartError};
use ahoy_signal::account::SignUp;
use ahoy_signal::{Handle, Name, Password, TextError};
use ahoy_signal_client::{AddressError, Fingerprint, PlainHttp, ServerUrl};

pub use self::certificate::CertificateError;
use self::certificate::HostCertificate;
pub use self::nearby::{Announcement, Nearby, NearbyCall, NearbyError, Network, NoNetwork};
use crate::account::{AccountError, Accounts, ServerChoice, SignedIn};

/// Ports that are tried, the first that is free.
const PORTS: std::ops::Range<u16> = 7_447..7_457;
/// Where a machine with a way to anywhere would send (RFC 5737, an address that is nobody's). Nothing is sent.
const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(203, 0, 113, 1), 9);
/// Hosts a call; nobody else has an account.
const HANDLE: &str = "host";

/// Why no call can be hosted here.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The certificate can't be made or kept.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// There is no room for the server's files.
    #[error(
        "the files of a call can't be kept in the system's temporary folder ({0}): check that the disk has room"
    )]
    Files(io::Error),
    /// All ports are taken.
    #[error(
        "other programs use all of the ports {first} to {last}, one of which a call on this computer needs: end one of them",
        first = PORTS.start,
        last = PORTS.end - 1
    )]
    Ports,
    /// The server does not start.
    #[error("this computer can't host a call: {0}")]
    Server(StartError),
    /// The server's configuration is not what this version expects.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server does not take its own host.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The server's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The network can't be asked or told.
    #[error(transparent)]
    Nearby(#[from] NearbyError),
    /// What one is called can't be shown.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// A server in this program. It stops when this is [stopped](Self::stop) or the program ends.
#[derive(Debug)]
pub struct Hosting {
    server: Server,
    pin: Fingerprint,
    _files: tempfile::TempDir,
}

impl Hosting {
    /// Starts a server for people on the same network, and signs its host in. The certificate is kept in `folder`.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn start(folder: &Path, name: &Name, agent: &str) -> Result<(Self, SignedIn), HostError> {
        let certificate = HostCertificate::open(folder)?;
        let files = tempfile::tempdir().map_err(HostError::Files)?;
        let code = secret();
        let server = listen(&certificate, files.path(), &code).await?;
        let pin = certificate.fingerprint;
        let hosting = Self { server, pin, _files: files };
        let own = format!("https://127.0.0.1:{}", hosting.server.addr().port());
        let choice = ServerChoice {
            pin: Some(pin),
            ..ServerChoice::at(ServerUrl::parse(&own, PlainHttp::LoopbackOnly)?)
        };
        let account = SignUp {
            handle: Handle::new(HANDLE)?,
            name: name.clone(),
            // Nobody ever types it.
            password: Password::new(secret())?,
            device_name: name.clone(),
            sign_up_code: Some(code),
        };
        match Accounts::sign_up_for_now(&choice, &account, agent).await {
            Ok(signed_in) => Ok((hosting, signed_in)),
            Err(error) => {
                hosting.stop().await;
                Err(error.into())
            }
        }
    }

    /// The fingerprint that links to this server carry.
    pub fn pin(&self) -> Fingerprint {
        self.pin
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.server.addr().port()
    }

    /// Stops the server. Whoever is connected is told.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

async fn listen(certificate: &HostCertificate, files: &Path, code: &str) -> Result<Server, HostError> {
    let address = own_address();
    for port in PORTS {
        let mut config = Config::defaults()?;
        config.data_dir = files.to_owned();
        config.http.listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        config.http.public_url = format!("https://{}", SocketAddr::from((address, port)));
        config.http.metrics = MetricsFor::Nobody;
        config.tls.certificate.clone_from(&certificate.chain_file);
        config.tls.key.clone_from(&certificate.key_file);
        config.auth.sign_up = WhoSignsUp::Code;
        code.clone_into(&mut config.auth.sign_up_code);
        // The only password is a random one of 128 bits, which no memory makes any harder to guess.
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
        match Server::start(config).await {
            Ok(server) => return Ok(server),
            Err(StartError::Listen { error, .. }) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(HostError::Server(error)),
        }
    }
    Err(HostError::Ports)
}

/// 128 bits that nobody guesses, in hexadecimal digits.
fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The address under which other machines of the same network reach this one: that of the way out or, where there is none, of
/// the first network. A machine without any reaches itself.
fn own_address() -> IpAddr {
    let way_out = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(ANYWHERE)?;
        socket.local_addr()
    });
    if let Ok(address) = way_out
        && !address.ip().is_unspecified()
    {
        return address.ip();
    }
    let networks = if_addrs::get_if_addrs().unwrap_or_default();
    let first = networks.iter().map(if_addrs::Interface::ip).find(|ip| ip.is_ipv4() && !ip.is_loopback());
    first.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_alike() {
        assert_eq!(secret().len(), 32);
        assert_ne!(secret(), secret());
    }

    #[test]
    fn a_machine_has_an_address_in_any_case() {
        assert!(!own_address().is_unspecified());
    }
}
