//! Calls without anybody's server: this program runs one itself, for as long as a call lasts, and people on the same network
//! come by its link, or find it.
//!
//! Nobody vouches for such a server. Its certificate is made on this computer, and the link carries the certificate's
//! fingerprint, which programs hold it to; browsers warn once. Whoever has a server at hand runs it ([`ServerRunner`]): the
//! window's program does, `ahoy-cli` has none.

mod nearby;

use std::error::Error;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use ahoy_signal::account::SignUp;
use ahoy_signal::{Handle, Name, Password, TextError};
use ahoy_signal_client::{AddressError, Fingerprint, PlainHttp, ServerUrl};
use async_trait::async_trait;

pub use self::nearby::{Announcement, Nearby, NearbyCall, NearbyError, Network, NoNetwork};
use crate::account::{AccountError, Accounts, ServerChoice, SignedIn};

/// Where a machine with a way to anywhere would send (RFC 5737, an address that is nobody's). Nothing is sent.
const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(203, 0, 113, 1), 9);
/// Hosts a call; nobody else has an account.
const HANDLE: &str = "host";

/// Runs servers in this program.
#[async_trait]
pub trait ServerRunner: Debug + Send + Sync {
    /// Starts a server with nothing in it, which others reach at `address` and where an account is made by who knows
    /// `sign_up_code`.
    ///
    /// # Errors
    /// Why it does not start, in a sentence for people.
    async fn start(
        &self,
        address: IpAddr,
        sign_up_code: &str,
    ) -> Result<Box<dyn RunningServer>, Box<dyn Error + Send + Sync>>;
}

/// A server that runs. What is in it is gone when it stops.
#[async_trait]
pub trait RunningServer: Debug + Send + Sync {
    /// Where it listens, on all addresses.
    fn port(&self) -> u16;

    /// Of its certificate.
    fn pin(&self) -> Fingerprint;

    /// Stops it. Whoever is connected is told.
    async fn stop(self: Box<Self>);
}

/// Why no call can be hosted here.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// This program has no server.
    #[error("this program can't host a call: use the window's")]
    NoServer,
    /// The server does not start.
    #[error("this computer can't host a call: {0}")]
    Server(Box<dyn Error + Send + Sync>),
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

/// A server in this program, and its host. It stops when this is [stopped](Self::stop) or the program ends.
#[derive(Debug)]
pub struct Hosting {
    server: Box<dyn RunningServer>,
}

impl Hosting {
    /// Starts a server for people on the same network, and signs its host in.
    ///
    /// # Errors
    /// [`HostError`].
    pub async fn start(
        runner: &dyn ServerRunner,
        name: &Name,
        agent: &str,
    ) -> Result<(Self, SignedIn), HostError> {
        let code = secret();
        let server = runner.start(own_address(), &code).await.map_err(HostError::Server)?;
        let hosting = Self { server };
        match hosting.sign_up(name, code, agent).await {
            Ok(signed_in) => Ok((hosting, signed_in)),
            Err(error) => {
                hosting.stop().await;
                Err(error)
            }
        }
    }

    async fn sign_up(&self, name: &Name, code: String, agent: &str) -> Result<SignedIn, HostError> {
        let own = format!("https://127.0.0.1:{}", self.port());
        let own = ServerChoice::at(ServerUrl::parse(&own, PlainHttp::LoopbackOnly)?);
        let account = SignUp {
            handle: Handle::new(HANDLE)?,
            name: name.clone(),
            // Nobody ever types it.
            password: Password::new(secret())?,
            device_name: name.clone(),
            sign_up_code: Some(code),
        };
        let own = ServerChoice { pin: Some(self.pin()), ..own };
        Ok(Accounts::sign_up_for_now(&own, &account, agent).await?)
    }

    /// The fingerprint that links to this server carry.
    pub fn pin(&self) -> Fingerprint {
        self.server.pin()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Stops the server. Whoever is connected is told.
    pub async fn stop(self) {
        self.server.stop().await;
    }
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
