//! Finding out how far one gets on the way to a server: its name, a connection, its certificate, who answers. Nothing is sent
//! that belongs to anybody.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ahoy_signal::paths;
use ahoy_tunnel::{Tunnel, TunnelError};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::address::ServerUrl;
use crate::http_head::{self, Head};
use crate::trust::{Trust, TrustError};

/// How long a name may take. The system asks each name server for five seconds, twice.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(11);
/// How long a connection may take: the system's first four attempts (0, 1, 3 and 7 seconds) and a round trip.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);
/// How long the handshake and the answer may take, each: several repetitions of what was lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// As much of an answer as is looked at. A server's own is shorter; of others the beginning tells enough.
const ANSWER_MOST: usize = 16 * 1024;
/// What `/live` answers.
const ALIVE: &[u8] = b"live\n";
/// Where programs that take over connections answer without TLS.
const PLAIN_PORT: u16 = 80;

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookUpError {
    /// There is no such name.
    #[error("nobody knows the name {name}")]
    Unknown {
        /// Which.
        name: String,
    },
    /// Nobody was there to ask.
    #[error("no name server answers ({cause})")]
    Silent {
        /// What the system says.
        cause: String,
    },
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// By this machine's clock it is over.
    #[error("it has expired")]
    Expired {
        /// When it was over, where that is known.
        not_after: Option<SystemTime>,
    },
    /// By this machine's clock it does not count yet.
    #[error("it does not count yet")]
    NotYetValid {
        /// When it will, where that is known.
        not_before: Option<SystemTime>,
    },
    /// It is for another name.
    #[error("it is for another name: {0}")]
    OtherName(String),
    /// Nobody who is believed vouches for it.
    #[error("nobody who is believed here vouches for it ({0})")]
    Untrusted(String),
}

/// Why a server was not reached, or not with certainty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnockError {
    /// This machine has no way to there.
    #[error("this machine has no way to there ({0})")]
    NoRoute(String),
    /// The machine is there, and nothing listens.
    #[error("the connection was refused")]
    Refused,
    /// Nothing came back.
    #[error("nothing came back in time")]
    Silent,
    /// The proxy does not lead there.
    #[error("{0}")]
    Proxy(String),
    /// The certificate is not to be believed.
    #[error("the certificate can't be believed: {0}")]
    Certificate(CertificateFault),
    /// What answers does not speak TLS.
    #[error("what answers does not speak TLS")]
    NotTls,
    /// The connection broke.
    #[error("the connection broke off ({0})")]
    BrokenOff(String),
    /// What answers does not speak HTTP.
    #[error("what answers does not speak HTTP")]
    NotHttp,
}

/// By which way it is knocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this address.
    To(SocketAddr),
    /// By the proxy that the system names.
    Proxy,
}

/// Somebody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knocked {
    /// How long the connection took.
    pub connecting: Duration,
    /// How long the TLS handshake took; `None` without one.
    pub securing: Option<Duration>,
    /// From the question to its answer.
    pub answering: Duration,
    /// The answer's status code.
    pub status: u16,
    /// Whether it is the answer of an Ahoy server that is well.
    pub is_ahoy: bool,
    /// Where it sends one instead.
    pub location: Option<String>,
    /// Whether that is another host.
    pub leads_away: bool,
    /// When the server says that it is, and when this machine says that it was in the middle between question and answer.
    pub clocks: Option<(SystemTime, SystemTime)>,
}

/// Knocks at a server.
#[derive(Clone, Debug)]
pub struct Knocker {
    server: ServerUrl,
    tls: Arc<ClientConfig>,
    tunnel: Tunnel,
}

impl Knocker {
    /// Makes ready; nothing is sent yet.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn new(server: ServerUrl, trust: &Trust) -> Result<Self, TrustError> {
        let tls = trust.tls(server.is_encrypted())?;
        let tunnel = Tunnel::system(Some(Arc::clone(&tls)));
        Ok(Self { server, tls, tunnel })
    }

    /// The proxy by which the server is reached, without its password.
    pub fn proxy(&self) -> Option<String> {
        self.tunnel.proxy_for(self.server.host(), self.server.port())
    }

    /// The server's addresses.
    ///
    /// # Errors
    /// [`LookUpError`].
    pub async fn look_up(&self) -> Result<Vec<SocketAddr>, LookUpError> {
        look_up(self.server.host(), self.server.port()).await
    }

    /// Opens a connection to an address, and closes it again. Returns how long it took.
    ///
    /// # Errors
    /// [`KnockError`].
    pub async fn dial(&self, address: SocketAddr) -> Result<Duration, KnockError> {
        let began = Instant::now();
        connect(address).await.map(|_| began.elapsed())
    }

    /// Asks whether the server lives.
    ///
    /// # Errors
    /// [`KnockError`].
    pub async fn knock(&self, way: Way) -> Result<Knocked, KnockError> {
        self.knock_with(way, Arc::clone(&self.tls)).await
    }

    /// The same, whoever answers: only the clock that stands in the answer is looked at, and it proves nothing.
    ///
    /// # Errors
    /// [`KnockError`].
    pub async fn clock_of_anybody(&self, way: Way) -> Result<Option<(SystemTime, SystemTime)>, KnockError> {
        let tls = Trust::of_anybody().map_err(|error| KnockError::BrokenOff(error.to_string()))?;
        Ok(self.knock_with(way, tls).await?.clocks)
    }

    /// Where whatever answers without TLS sends one, if it is to somewhere else than the server itself: so do the sign-in
    /// pages of hotels and trains, which take over all connections.
    pub async fn led_astray(&self, address: IpAddr) -> Option<String> {
        let to = SocketAddr::new(address, PLAIN_PORT);
        let knocked = self.talk(connect(to).await.ok()?, Duration::ZERO, None).await.ok()?;
        knocked.location.filter(|_| knocked.leads_away)
    }

    async fn knock_with(&self, way: Way, tls: Arc<ClientConfig>) -> Result<Knocked, KnockError> {
        let began = Instant::now();
        match way {
            Way::To(address) => {
                let stream = connect(address).await?;
                self.secure(stream, began.elapsed(), tls).await
            }
            Way::Proxy => {
                let opening = self.tunnel.connect(self.server.host(), self.server.port());
                let stream = match timeout(CONNECT_WITHIN, opening).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(TunnelError::Host(error))) => return Err(of_connecting(&error)),
                    Ok(Err(error)) => return Err(KnockError::Proxy(error.to_string())),
                    Err(_) => {
                        let proxy = self.proxy().unwrap_or_default();
                        return Err(KnockError::Proxy(format!("the proxy {proxy} does not answer")));
                    }
                };
                self.secure(stream, began.elapsed(), tls).await
            }
        }
    }

    async fn secure<S>(
        &self,
        stream: S,
        connecting: Duration,
        tls: Arc<ClientConfig>,
    ) -> Result<Knocked, KnockError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if !self.server.is_encrypted() {
            return self.talk(stream, connecting, None).await;
        }
        let name = ServerName::try_from(self.server.host().to_owned())
            .map_err(|error| KnockError::Certificate(CertificateFault::OtherName(error.to_string())))?;
        let began = Instant::now();
        let secured = timeout(ANSWER_WITHIN, TlsConnector::from(tls).connect(name, stream)).await;
        let secured = secured.map_err(|_| KnockError::Silent)?.map_err(|error| of_securing(&error))?;
        self.talk(secured, connecting, Some(began.elapsed())).await
    }

    async fn talk<S>(
        &self,
        mut stream: S,
        connecting: Duration,
        securing: Option<Duration>,
    ) -> Result<Knocked, KnockError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let host = match self.server.host() {
            v6 if v6.contains(':') => format!("[{v6}]"),
            host => host.to_owned(),
        };
        let question = format!("GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", paths::LIVE);
        let (asked, asked_at) = (Instant::now(), SystemTime::now());
        let answer = timeout(ANSWER_WITHIN, async {
            stream.write_all(question.as_bytes()).await?;
            stream.flush().await?;
            read_answer(&mut stream).await
        });
        let answer = answer.await.map_err(|_| KnockError::Silent)?.map_err(|error| of_talking(&error))?;
        let answering = asked.elapsed();
        let (head, body) = answer.ok_or(KnockError::NotHttp)?;
        Ok(Knocked {
            connecting,
            securing,
            answering,
            status: head.status,
            is_ahoy: head.status == 200 && body == ALIVE,
            clocks: head.date.map(|theirs| (theirs, asked_at + answering / 2)),
            leads_away: head.location.as_ref().is_some_and(|to| leads_away(to, self.server.host())),
            location: head.location,
        })
    }
}

/// The addresses of a host.
async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookUpError> {
    let silent = |cause: String| LookUpError::Silent { cause };
    let found = timeout(LOOK_UP_WITHIN, lookup_host((host, port))).await;
    let found = found.map_err(|_| silent("it takes too long".to_owned()))?;
    let addresses: Vec<_> = found.map_err(|error| of_looking_up(host, &error))?.collect();
    match addresses.is_empty() {
        true => Err(LookUpError::Unknown { name: host.to_owned() }),
        false => Ok(addresses),
    }
}

/// The system tells the two apart in words only. Where they are others than these, it is the network that is looked at first.
fn of_looking_up(host: &str, error: &io::Error) -> LookUpError {
    const UNKNOWN: [&str; 5] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "nodename nor servname provided",
        "No such host is known",
    ];
    let cause = error.to_string();
    match UNKNOWN.iter().any(|words| cause.contains(words)) {
        true => LookUpError::Unknown { name: host.to_owned() },
        false => LookUpError::Silent { cause },
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, KnockError> {
    match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(of_connecting(&error)),
        Err(_) => Err(KnockError::Silent),
    }
}

fn of_connecting(error: &io::Error) -> KnockError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => KnockError::Refused,
        io::ErrorKind::TimedOut => KnockError::Silent,
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => KnockError::NoRoute(error.to_string()),
        _ => KnockError::BrokenOff(error.to_string()),
    }
}

/// Without a close of TLS in good order an answer may still be whole.
fn of_talking(error: &io::Error) -> KnockError {
    KnockError::BrokenOff(error.to_string())
}

fn of_securing(error: &io::Error) -> KnockError {
    let mut cause: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(inner) = cause {
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        cause = inner.source();
    }
    KnockError::BrokenOff(error.to_string())
}

fn of_tls(error: &rustls::Error) -> KnockError {
    use CertificateError as E;
    let time = |time: &UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
    let fault = match error {
        rustls::Error::InvalidMessage(_) => return KnockError::NotTls,
        rustls::Error::InvalidCertificate(E::Expired) => CertificateFault::Expired { not_after: None },
        rustls::Error::InvalidCertificate(E::ExpiredContext { not_after, .. }) => {
            CertificateFault::Expired { not_after: Some(time(not_after)) }
        }
        rustls::Error::InvalidCertificate(E::NotValidYet) => {
            CertificateFault::NotYetValid { not_before: None }
        }
        rustls::Error::InvalidCertificate(E::NotValidYetContext { not_before, .. }) => {
            CertificateFault::NotYetValid { not_before: Some(time(not_before)) }
        }
        rustls::Error::InvalidCertificate(E::NotValidForName | E::NotValidForNameContext { .. }) => {
            CertificateFault::OtherName(error.to_string())
        }
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            CertificateFault::Untrusted(error.to_string())
        }
        other => return KnockError::BrokenOff(other.to_string()),
    };
    KnockError::Certificate(fault)
}

/// Reads as much of an answer as is needed to tell whose it is; `None` where it is none.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(Head, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if let Some((head, at)) = http_head::read(&bytes) {
            let wanted = head.length.unwrap_or(ANSWER_MOST).min(ANSWER_MOST);
            if bytes.len() - at >= wanted {
                return Ok(Some((head, bytes.split_off(at))));
            }
        }
        if bytes.len() >= ANSWER_MOST {
            break;
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) => break,
            Ok(_) => {}
            // Many close without the good-bye of TLS.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(http_head::read(&bytes).map(|(head, at)| (head, bytes.split_off(at))))
}

/// Whether a redirection leads to another host. Many servers send from HTTP to HTTPS at the same one.
fn leads_away(location: &str, host: &str) -> bool {
    let Some((_, rest)) = location.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let there = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    !there.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_http_to_https_at_the_same_host_leads_nowhere_else() {
        assert!(!leads_away("https://call.example.org/live", "call.example.org"));
        assert!(!leads_away("https://CALL.example.org:443", "call.example.org"));
        assert!(!leads_away("/login", "call.example.org"));
        assert!(!leads_away("https://[2a00::1]:8443/", "2a00::1"));
        assert!(leads_away("http://portal.hotel.example/?to=call.example.org", "call.example.org"));
    }

    #[test]
    fn certificates_are_told_apart_by_what_is_wrong_with_them() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(100));
        let expired = CertificateError::ExpiredContext { time, not_after: time };
        let not_after = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        let told = |error: CertificateError| of_tls(&rustls::Error::InvalidCertificate(error));
        assert_eq!(told(expired), KnockError::Certificate(CertificateFault::Expired { not_after }));
        assert!(matches!(
            told(CertificateError::UnknownIssuer),
            KnockError::Certificate(CertificateFault::Untrusted(_))
        ));
        assert!(matches!(
            told(CertificateError::NotValidForName),
            KnockError::Certificate(CertificateFault::OtherName(_))
        ));
    }

    #[test]
    fn a_name_that_nobody_knows_is_another_thing_than_nobody_to_ask() {
        let told = |words: &str| of_looking_up("a.example", &io::Error::other(words));
        let unknown = told("failed to lookup address information: Name or service not known");
        assert_eq!(unknown, LookUpError::Unknown { name: "a.example".to_owned() });
        let silent = told("failed to lookup address information: Temporary failure in name resolution");
        assert!(matches!(silent, LookUpError::Silent { .. }));
    }
}
