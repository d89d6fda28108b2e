//! The kinds of network that somebody can be in, as data.

use std::fmt;
use std::str::FromStr;

/// Which public address and port a NAT gives to a socket behind it (RFC 4787 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mapping {
    /// The same for all destinations; without a NAT, the socket's own.
    EndpointIndependent,
    /// Another one for each destination's address, whatever the port.
    AddressDependent,
    /// Another one for each destination's address and port.
    AddressAndPortDependent,
}

/// Whose packets a NAT or firewall lets in to a socket that has sent something (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filtering {
    /// Everybody's.
    EndpointIndependent,
    /// Those from addresses that the socket has sent to.
    AddressDependent,
    /// Those from addresses and ports that the socket has sent to.
    AddressAndPortDependent,
}

/// How a NAT, a firewall, or several in a row behave towards UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// What it makes of source addresses.
    pub mapping: Mapping,
    /// What it lets in.
    pub filtering: Filtering,
}

const FULL_CONE: Nat =
    Nat { mapping: Mapping::EndpointIndependent, filtering: Filtering::EndpointIndependent };
const ADDRESS_RESTRICTED: Nat =
    Nat { mapping: Mapping::EndpointIndependent, filtering: Filtering::AddressDependent };
const PORT_RESTRICTED: Nat =
    Nat { mapping: Mapping::EndpointIndependent, filtering: Filtering::AddressAndPortDependent };
const SYMMETRIC: Nat =
    Nat { mapping: Mapping::AddressAndPortDependent, filtering: Filtering::AddressAndPortDependent };

/// How IPv4 gets to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V4 {
    /// Not at all.
    Absent,
    /// By a public address of the machine's own, with nothing in between.
    Public,
    /// Through NATs, the nearest first.
    Behind(&'static [Nat]),
}

/// How IPv6 gets to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V6 {
    /// Not at all.
    Absent,
    /// By a public address behind a firewall that lets in what was asked for, as home routers have it (RFC 6092).
    Firewalled,
    /// There are an address and a route, but whatever is sent is lost behind the router.
    Dead,
}

/// What the nearest router lets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// Everything.
    Everything,
    /// No UDP. It is lost without a word.
    NoUdp,
    /// TCP to port 443 and nothing else.
    OnlyTcp443,
    /// Nothing but by an HTTP proxy, which leads to port 443.
    OnlyProxy,
}

/// What a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// IPv4.
    pub v4: V4,
    /// IPv6.
    pub v6: V6,
    /// What gets out.
    pub egress: Egress,
}

impl Network {
    /// What all NATs on the way to it do together over IPv4; `None` where no UDP gets through, or no IPv4.
    pub fn v4_udp(self) -> Option<Nat> {
        let nats = match (self.v4, self.egress) {
            (V4::Absent, _) | (_, Egress::NoUdp | Egress::OnlyTcp443 | Egress::OnlyProxy) => return None,
            (V4::Public, Egress::Everything) => &[],
            (V4::Behind(nats), Egress::Everything) => nats,
        };
        // Each makes its own of what the ones before it made: the strictest decides.
        let strictest = |all: Nat, nat: &Nat| Nat {
            mapping: all.mapping.max(nat.mapping),
            filtering: all.filtering.max(nat.filtering),
        };
        Some(nats.iter().fold(FULL_CONE, strictest))
    }

    /// What the firewall does over IPv6; `None` where no UDP gets through, or no IPv6.
    pub fn v6_udp(self) -> Option<Nat> {
        match (self.v6, self.egress) {
            (V6::Firewalled, Egress::Everything) => Some(PORT_RESTRICTED),
            (V6::Absent | V6::Dead, _) | (_, Egress::NoUdp | Egress::OnlyTcp443 | Egress::OnlyProxy) => None,
        }
    }

    /// Whether a machine in it has IPv6 addresses, whatever they are worth.
    pub(super) fn has_v6(self) -> bool {
        match self.v6 {
            V6::Absent => false,
            V6::Firewalled | V6::Dead => true,
        }
    }
}

/// A kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A public IPv4 address, no NAT, no firewall.
    Open,
    /// A NAT that everybody can send through once there is a mapping.
    FullCone,
    /// A NAT that lets in whoever was sent to, from any port of theirs.
    AddressRestricted,
    /// The usual NAT at home: lets in answers only.
    PortRestricted,
    /// A NAT that takes another port for each destination, as in many companies.
    Symmetric,
    /// The usual NAT at home, behind a second one at the carrier (RFC 6598).
    Cgnat,
    /// A NAT that drops all UDP.
    UdpBlocked,
    /// A NAT that lets nothing out but TCP to port 443.
    Tcp443Only,
    /// A firewall that lets nothing out; there is an HTTP proxy.
    ProxyOnly,
    /// IPv6 without any IPv4.
    Ipv6Only,
    /// The usual NAT at home, and IPv6 that is configured but leads nowhere.
    DualStackDeadV6,
    /// The usual NAT at home, and IPv6.
    DualStack,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 12] = [
        Kind::Open,
        Kind::FullCone,
        Kind::AddressRestricted,
        Kind::PortRestricted,
        Kind::Symmetric,
        Kind::Cgnat,
        Kind::UdpBlocked,
        Kind::Tcp443Only,
        Kind::ProxyOnly,
        Kind::Ipv6Only,
        Kind::DualStackDeadV6,
        Kind::DualStack,
    ];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Open => "open",
            Kind::FullCone => "full-cone",
            Kind::AddressRestricted => "address-restricted",
            Kind::PortRestricted => "port-restricted",
            Kind::Symmetric => "symmetric",
            Kind::Cgnat => "cgnat",
            Kind::UdpBlocked => "udp-blocked",
            Kind::Tcp443Only => "tcp443-only",
            Kind::ProxyOnly => "proxy-only",
            Kind::Ipv6Only => "ipv6-only",
            Kind::DualStackDeadV6 => "dual-stack-dead-v6",
            Kind::DualStack => "dual-stack",
        }
    }

    /// What it is made of.
    pub fn network(self) -> Network {
        let everything = |v4, v6| Network { v4, v6, egress: Egress::Everything };
        let behind = V4::Behind;
        match self {
            Kind::Open => everything(V4::Public, V6::Absent),
            Kind::FullCone => everything(behind(&[FULL_CONE]), V6::Absent),
            Kind::AddressRestricted => everything(behind(&[ADDRESS_RESTRICTED]), V6::Absent),
            Kind::PortRestricted => everything(behind(&[PORT_RESTRICTED]), V6::Absent),
            Kind::Symmetric => everything(behind(&[SYMMETRIC]), V6::Absent),
            Kind::Cgnat => everything(behind(&[PORT_RESTRICTED, PORT_RESTRICTED]), V6::Absent),
            Kind::UdpBlocked => {
                Network { v4: behind(&[PORT_RESTRICTED]), v6: V6::Absent, egress: Egress::NoUdp }
            }
            Kind::Tcp443Only => {
                Network { v4: behind(&[PORT_RESTRICTED]), v6: V6::Absent, egress: Egress::OnlyTcp443 }
            }
            Kind::ProxyOnly => {
                Network { v4: behind(&[PORT_RESTRICTED]), v6: V6::Absent, egress: Egress::OnlyProxy }
            }
            Kind::Ipv6Only => everything(V4::Absent, V6::Firewalled),
            Kind::DualStackDeadV6 => everything(behind(&[PORT_RESTRICTED]), V6::Dead),
            Kind::DualStack => everything(behind(&[PORT_RESTRICTED]), V6::Firewalled),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no kind of network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no kind of network; these are: {}", Kind::ALL.map(Kind::name).join(", "))]
pub struct UnknownKind {
    given: String,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| UnknownKind { given: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "cone".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("\"cone\"") && error.contains("full-cone, address-restricted"), "{error}");
    }

    #[test]
    fn of_nats_in_a_row_the_strictest_decides() {
        assert_eq!(Kind::Open.network().v4_udp(), Some(FULL_CONE));
        assert_eq!(Kind::Cgnat.network().v4_udp(), Some(PORT_RESTRICTED));
        let row = Network { v4: V4::Behind(&[FULL_CONE, SYMMETRIC]), ..Kind::Open.network() };
        assert_eq!(row.v4_udp(), Some(SYMMETRIC));
        assert_eq!(Kind::UdpBlocked.network().v4_udp(), None);
    }
}
