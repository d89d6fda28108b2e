//! What ICE is told: which addresses, which servers, and what may be used.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use ahoy_tunnel::Tunnel;
use rand::distr::{Alphanumeric, SampleString as _};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};

/// Which ways may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Any that works, direct ones first.
    #[default]
    All,
    /// Relays only: the other side never learns an address of this machine, and the relay's operator sees all packets
    /// (W3C WebRTC section 4.2.4, `relay`).
    RelayOnly,
}

/// How one talks to a STUN or TURN server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
    /// A TCP connection with TLS.
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        })
    }
}

/// Where a server is: a `stun:`, `turn:` or `turns:` address (RFC 7064 section 3, RFC 7065 section 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    /// Whether it relays, or only tells addresses.
    pub relays: bool,
    /// Name or numeric address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How one talks to it.
    pub transport: Transport,
}

/// Why a text is no address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// It begins with something else.
    #[error("an ICE server's address begins with stun:, turn: or turns:")]
    Scheme,
    /// There is no name or numeric address in it.
    #[error("an ICE server's address names a host, such as turn:turn.example.org")]
    Host,
    /// The port is no port.
    #[error("{0:?} is no port")]
    Port(String),
    /// `?transport=` says something else.
    #[error("an ICE server's transport is udp or tcp, not {0:?}")]
    Transport(String),
    /// STUN over TCP or TLS tells nothing that is of use here.
    #[error("STUN is asked over UDP only")]
    StunTransport,
    /// It is longer than any.
    #[error("an ICE server's address has at most {LONGEST_URL} bytes")]
    TooLong,
}

/// The longest address of a server: a domain name has 253 bytes at most (RFC 1035 section 2.3.4).
const LONGEST_URL: usize = 300;
/// RFC 7064 section 3.1.
const PORT: u16 = 3478;
/// RFC 7065 section 3.1.
const TLS_PORT: u16 = 5349;

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST_URL {
            return Err(ServerUrlError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(ServerUrlError::Scheme)?;
        let (relays, tls) = match scheme.to_ascii_lowercase().as_str() {
            "stun" => (false, false),
            "turn" => (true, false),
            "turns" => (true, true),
            _ => return Err(ServerUrlError::Scheme),
        };
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let transport = match (query, tls) {
            ("", false) | ("transport=udp", false) => Transport::Udp,
            ("transport=tcp", false) => Transport::Tcp,
            ("", true) | ("transport=tcp", true) => Transport::Tls,
            (other, _) => {
                let named = other.strip_prefix("transport=").unwrap_or(other);
                return Err(ServerUrlError::Transport(named.to_owned()));
            }
        };
        if !relays && transport != Transport::Udp {
            return Err(ServerUrlError::StunTransport);
        }
        let (host, port) = split_port(authority)?;
        if host.is_empty() || host.contains(['/', '@', ' ', '#']) {
            return Err(ServerUrlError::Host);
        }
        let default = if tls { TLS_PORT } else { PORT };
        Ok(Self { relays, host: host.to_owned(), port: port.unwrap_or(default), transport })
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), ServerUrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').ok_or(ServerUrlError::Host)?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(ServerUrlError::Host);
            }
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(ServerUrlError::Host),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port != 0 => Some(port),
            _ => return Err(ServerUrlError::Port(text.to_owned())),
        },
        None => None,
    };
    Ok((host, port))
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.relays, self.transport) {
            (false, _) => "stun",
            (true, Transport::Tls) => "turns",
            (true, _) => "turn",
        };
        write!(f, "{scheme}:")?;
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(host)) => write!(f, "[{host}]:{}", self.port)?,
            _ => write!(f, "{}:{}", self.host, self.port)?,
        }
        match self.transport {
            Transport::Tcp => f.write_str("?transport=tcp"),
            Transport::Udp | Transport::Tls => Ok(()),
        }
    }
}

/// A server, and what it knows one by.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// Where it is.
    pub url: ServerUrl,
    /// The name it knows one by; empty for STUN.
    pub username: String,
    /// The password that goes with it; empty for STUN.
    pub credential: String,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceServer({})", self.url)
    }
}

/// What ICE knows before it starts.
#[derive(Clone, Default)]
pub struct IceConfig {
    /// Local addresses to use. An unspecified address stands for all interfaces of its family except loopback; port 0 for
    /// any free port.
    pub bind: Vec<SocketAddr>,
    /// STUN and TURN servers, the preferred ones first.
    pub servers: Vec<IceServer>,
    /// Which ways may be used.
    pub policy: Policy,
    /// How connections to relays over TCP and TLS are opened.
    pub tunnel: Tunnel,
    /// Whose certificates are believed of relays over TLS; without it there are none.
    pub tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for IceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceConfig({} addresses, {:?}, {:?})", self.bind.len(), self.servers, self.policy)
    }
}

/// Why ICE could not start.
#[derive(Debug, thiserror::Error)]
pub enum IceError {
    /// None of the addresses could be bound.
    #[error("none of the local addresses can be used: {cause}")]
    NoSocket {
        /// Those that were tried.
        tried: Vec<SocketAddr>,
        /// What the system said of the last one.
        cause: io::Error,
    },
}

/// What one side of an ICE session is known by (RFC 8445 section 5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The username fragment.
    pub ufrag: String,
    /// The password.
    pub password: String,
}

/// At least 24 bits are required; eight letters of 62 have 47.
const UFRAG_LENGTH: usize = 8;
/// At least 128 bits are required; 24 letters of 62 have 142.
const PASSWORD_LENGTH: usize = 24;

impl Credentials {
    /// New ones.
    pub fn random() -> Self {
        let mut rng = rand::rng();
        Self {
            ufrag: Alphanumeric.sample_string(&mut rng, UFRAG_LENGTH),
            password: Alphanumeric.sample_string(&mut rng, PASSWORD_LENGTH),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<ServerUrl, ServerUrlError> {
        text.parse()
    }

    #[test]
    fn addresses_of_servers_have_the_ports_of_their_standard() {
        for (text, relays, host, port, transport) in [
            ("stun:stun.example.org", false, "stun.example.org", 3478, Transport::Udp),
            ("turn:45.0.0.1:7000", true, "45.0.0.1", 7000, Transport::Udp),
            ("turn:turn.example.org?transport=udp", true, "turn.example.org", 3478, Transport::Udp),
            ("turn:turn.example.org?transport=tcp", true, "turn.example.org", 3478, Transport::Tcp),
            ("turns:turn.example.org", true, "turn.example.org", 5349, Transport::Tls),
            ("TURNS:[2a00::1]:443?transport=tcp", true, "2a00::1", 443, Transport::Tls),
        ] {
            let expected = ServerUrl { relays, host: host.to_owned(), port, transport };
            assert_eq!(url(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused_with_the_reason() {
        assert_eq!(url("http://example.org"), Err(ServerUrlError::Scheme));
        assert_eq!(url("turn.example.org"), Err(ServerUrlError::Scheme));
        assert_eq!(url("turn:"), Err(ServerUrlError::Host));
        assert_eq!(url("turn:[::1"), Err(ServerUrlError::Host));
        assert_eq!(url("turn:[nonsense]:1"), Err(ServerUrlError::Host));
        assert_eq!(url("turn:user@host"), Err(ServerUrlError::Host));
        assert_eq!(url("turn:host:0"), Err(ServerUrlError::Port("0".into())));
        assert_eq!(url("turn:host:70000"), Err(ServerUrlError::Port("70000".into())));
        assert_eq!(url("turn:host?transport=sctp"), Err(ServerUrlError::Transport("sctp".into())));
        assert_eq!(url("turns:host?transport=udp"), Err(ServerUrlError::Transport("udp".into())));
        assert_eq!(url("stun:host?transport=tcp"), Err(ServerUrlError::StunTransport));
        assert_eq!(url(&format!("turn:{}", "a".repeat(400))), Err(ServerUrlError::TooLong));
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["stun:a.example:3478", "turn:a.example:1?transport=tcp", "turns:[2a00::1]:443"] {
            assert_eq!(url(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn secrets_are_not_in_logs() {
        let server = IceServer {
            url: url("turn:a.example").unwrap(),
            username: "someone".into(),
            credential: "secret".into(),
        };
        let text =
            format!("{server:?} {:?}", Credentials { ufrag: "someone".into(), password: "secret".into() });
        assert!(!text.contains("secret") && !text.contains("someone"), "{text}");
    }
}
