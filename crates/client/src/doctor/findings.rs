//! What was found out, as data.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ahoy_ice::Transport;
use schemars::JsonSchema;
use serde::Serialize;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The old one.
    Ipv4,
    /// The new one.
    Ipv6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// That of an address.
    pub fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// Everything that was found out. What was not looked at, because something before it failed, is null or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Findings {
    /// This machine's addresses, without those that mean nothing beyond one cable.
    pub addresses: Vec<String>,
    /// Whether the server is this machine itself.
    pub is_here: bool,
    /// The proxy by which the server is reached, without its password.
    pub proxy: Option<String>,
    /// The server's name; null where it is named by its address, or a proxy looks it up.
    pub name: Option<NameFinding>,
    /// Connections to the server, one for each family that both sides have.
    pub families: Vec<FamilyFinding>,
    /// Who answers there.
    pub server: Option<ServerFinding>,
    /// This machine's clock.
    pub clock: Option<ClockFinding>,
    /// The session with the server.
    pub session: Option<SessionFinding>,
    /// STUN servers, each in each family.
    pub udp: Vec<UdpFinding>,
    /// Relays, each by each way.
    pub relays: Vec<RelayFinding>,
    /// What address translation and firewalls do to UDP, for each family.
    pub nat: Vec<NatFinding>,
    /// How a call with somebody behind a usual router at home would go.
    pub path: Option<ExpectedPath>,
    /// A call with oneself through a relay.
    pub call: Option<CallFinding>,
}

/// How the look-up of a name ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum NameOutcome {
    /// There are addresses.
    Found,
    /// There is no such name.
    Unknown,
    /// No name server answers.
    Silent,
}

/// The look-up of the server's name.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct NameFinding {
    /// Which name.
    pub name: String,
    /// How it ended.
    pub outcome: NameOutcome,
    /// Families in which it has addresses.
    pub families: Vec<Family>,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// What the system says where it failed.
    pub detail: Option<String>,
}

/// A connection to the server in one family.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct FamilyFinding {
    /// Which.
    pub family: Family,
    /// The server's address.
    pub address: String,
    /// How long connecting took, in milliseconds; null where it failed.
    pub connected_ms: Option<f64>,
    /// Why it failed.
    pub detail: Option<String>,
}

/// How far one gets at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ServerOutcome {
    /// An Ahoy server answers.
    Ahoy,
    /// It answers that something is wrong with it (a status of 500 or above).
    Unwell,
    /// Something else answers.
    NotAhoy,
    /// Something in between answers, and sends one to its own page.
    CaptivePortal,
    /// This machine has no way to there.
    NoRoute,
    /// The machine is there, and nothing listens.
    Refused,
    /// Nothing comes back.
    TimedOut,
    /// By this machine's clock the certificate is over.
    CertificateExpired,
    /// By this machine's clock the certificate does not count yet.
    CertificateNotYetValid,
    /// The certificate is for another name.
    CertificateName,
    /// Nobody who is believed vouches for the certificate.
    CertificateUntrusted,
    /// What answers does not speak TLS.
    NotTls,
    /// The proxy does not lead there.
    ProxyRefuses,
    /// The connection broke off.
    BrokenOff,
}

/// Who answers at the server's address.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ServerFinding {
    /// Its address, as it was named.
    pub server: String,
    /// How far one gets.
    pub outcome: ServerOutcome,
    /// How long connecting took, in milliseconds.
    pub connected_ms: Option<f64>,
    /// How long the TLS handshake took, in milliseconds.
    pub secured_ms: Option<f64>,
    /// From the question to its answer, in milliseconds.
    pub answered_ms: Option<f64>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// What is known beside that: the system's words, or where one is sent.
    pub detail: Option<String>,
}

/// This machine's clock against the server's.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ClockFinding {
    /// How far this machine's clock is ahead of the server's, in seconds; behind it where negative.
    pub ahead_s: f64,
    /// Whether the server's certificate proved whose clock it is.
    pub is_proven: bool,
    /// Whether the certificate, which does not count by this machine's clock, counts by the server's.
    pub explains_certificate: bool,
}

/// How the session went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum SessionOutcome {
    /// It is open.
    Online,
    /// Nobody is signed in here.
    NoAccount,
    /// The server has signed this device out.
    SignedOut,
    /// There is none.
    Failed,
}

/// The session with the server, and what it said of STUN servers and relays.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SessionFinding {
    /// How it went.
    pub outcome: SessionOutcome,
    /// How long it took until it was open, in milliseconds.
    pub online_ms: Option<f64>,
    /// STUN servers that the server names.
    pub stun_servers: usize,
    /// Ways to relays that the server names.
    pub relays: usize,
    /// Why there is none.
    pub detail: Option<String>,
}

/// What a STUN server says in one family.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct UdpFinding {
    /// Its address.
    pub server: String,
    /// Which family.
    pub family: Family,
    /// The address of this machine that it was asked from.
    pub local: String,
    /// The address that it sees; null where it does not answer.
    pub mapped: Option<String>,
    /// The round trip, in milliseconds.
    pub round_trip_ms: Option<f64>,
}

/// How a relay is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum RelayWay {
    /// By datagrams.
    Udp,
    /// By a TCP connection.
    Tcp,
    /// By a TCP connection with TLS.
    Tls,
}

impl From<Transport> for RelayWay {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
        }
    }
}

impl fmt::Display for RelayWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// What became of the request for an address at a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum RelayOutcome {
    /// There is one.
    Allocated,
    /// It can't be connected to.
    Unreachable,
    /// It does not answer.
    Silent,
    /// It refuses.
    Refused,
}

/// A relay, by one way.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct RelayFinding {
    /// Its address.
    pub server: String,
    /// By which way.
    pub way: RelayWay,
    /// In which family, where that is known.
    pub family: Option<Family>,
    /// What became of it.
    pub outcome: RelayOutcome,
    /// With which code it refuses (RFC 8489 section 14.8, RFC 8656 section 19).
    pub code: Option<u16>,
    /// How long it took, with connecting, in milliseconds.
    pub allocated_ms: Option<f64>,
    /// Addresses at the relay.
    pub relayed: Vec<String>,
    /// Why there is none.
    pub detail: Option<String>,
}

/// Whom a NAT or a firewall treats alike (RFC 4787 sections 4.1 and 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Everybody.
    EndpointIndependent,
    /// All ports of an address; whether also other addresses could not be seen, for want of a second one.
    PortIndependent,
    /// All ports of an address, and no other address.
    AddressDependent,
    /// Nobody else.
    AddressAndPortDependent,
    /// It could not be seen.
    #[default]
    Unknown,
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::PortIndependent => "independent of the port",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address- and port-dependent",
            Self::Unknown => "unknown",
        })
    }
}

/// What happens to UDP between this machine and the internet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct NatFinding {
    /// In which family.
    pub family: Family,
    /// Whether others see another address than this machine has; null where nobody has said.
    pub is_translated: Option<bool>,
    /// Who sees the same address.
    pub mapping: Behaviour,
    /// Who may send back.
    pub filtering: Behaviour,
    /// Whether datagrams from here come out of a relay; null where there was none to try it with.
    pub gets_out: Option<bool>,
}

/// By which way a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ExpectedPath {
    /// Straight to the other side.
    Direct,
    /// By a relay that is reached over UDP.
    RelayUdp,
    /// By a relay that is reached over TCP.
    RelayTcp,
    /// By a relay that is reached over TLS.
    RelayTls,
    /// By none.
    None,
}

/// A call with oneself through a relay, without sound and pictures.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallFinding {
    /// How the relay was reached; null where the two ends did not find each other.
    pub way: Option<RelayWay>,
    /// How long it took until the two ends had found each other, in milliseconds.
    pub connected_ms: Option<f64>,
    /// Datagrams that were sent, both ways together.
    pub sent: u32,
    /// Those that came.
    pub received: u32,
    /// Share of those that did not come, 0 to 1; null where none was sent.
    pub loss: Option<f64>,
    /// Half of them took less than this from one end to the other, in milliseconds.
    pub delay_ms: Option<f64>,
    /// How much their time on the way varies (RFC 3550 section 6.4.1), in milliseconds.
    pub jitter_ms: Option<f64>,
}

/// Milliseconds with one decimal, which is as exact as anything here is.
pub(super) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}
