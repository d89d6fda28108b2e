//! What theory expects of two kinds of network, for a client that does ICE (RFC 8445) with host and server-reflexive
//! candidates over UDP, with host candidates over TCP (RFC 6544), and with relays (RFC 8656) that it reaches over UDP, TCP or
//! TLS.

use std::fmt;

use super::kind::{Egress, Filtering, Kind, Mapping, Nat, Network, V4};

/// The best way that two sides can have.
///
/// In the order in which it is preferred: of the two sides' ways to a relay, the worse one says what the call's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expected {
    /// UDP between the two themselves.
    DirectUdp,
    /// TCP between the two themselves.
    DirectTcp,
    /// A relay that both reach over UDP.
    RelayUdp,
    /// A relay that at least one side can reach over TCP only.
    RelayTcp,
    /// A relay that at least one side can reach over TLS on port 443 only.
    RelayTls,
}

impl Expected {
    /// What is expected between two kinds of network. The order does not matter.
    ///
    /// Whatever both sides have in common counts: if UDP gets from one to the other over IPv6 or over IPv4, ICE finds it and
    /// prefers it to a relay. So it does with TCP, if one side can be connected to. Otherwise each side takes an allocation at a relay over what its network lets out. The relay
    /// has both families, so it also joins those that have none in common (RFC 8656 section 1: IPv6).
    pub fn between(a: Kind, b: Kind) -> Self {
        let (a, b) = (a.network(), b.network());
        let families = [(a.v6_udp(), b.v6_udp()), (a.v4_udp(), b.v4_udp())];
        let direct = families.into_iter().any(|family| match family {
            (Some(a), Some(b)) => reaches(a, b) || reaches(b, a),
            (_, _) => false,
        });
        if direct {
            Expected::DirectUdp
        } else if connects(a, b) || connects(b, a) {
            Expected::DirectTcp
        } else {
            to_relay(a).max(to_relay(b))
        }
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Expected::DirectUdp => "direct",
            Expected::DirectTcp => "direct over TCP",
            Expected::RelayUdp => "relay over UDP",
            Expected::RelayTcp => "relay over TCP",
            Expected::RelayTls => "relay over TLS",
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether a check that one side sends to the other's candidate gets there, both having sent to each other's candidates.
/// One that does is enough: whoever gets it answers to where it came from, and so finds a peer-reflexive candidate.
///
/// The candidate is the mapping that the other side's NAT made for a STUN server. It is good for somebody else only if the
/// NAT takes the same one for everybody. It lets the check in if it lets in everybody; or whoever was sent to, whatever
/// port the check comes from; or exactly the port that was sent to, which is the sender's candidate, and the check comes from
/// there only if the sender's NAT takes the same mapping for everybody as well.
fn reaches(sender: Nat, receiver: Nat) -> bool {
    receiver.mapping == Mapping::EndpointIndependent
        && match receiver.filtering {
            Filtering::EndpointIndependent | Filtering::AddressDependent => true,
            Filtering::AddressAndPortDependent => sender.mapping == Mapping::EndpointIndependent,
        }
}

/// Whether one side gets a TCP connection to the other, which listens at some port: at a public address without a NAT, because no
/// server tells which address a NAT has for a port that listens.
fn connects(from: Network, to: Network) -> bool {
    let gets_out = match from.egress {
        Egress::Everything | Egress::NoUdp => from.v4 != V4::Absent,
        Egress::OnlyTcp443 | Egress::OnlyProxy => false,
    };
    gets_out && to.v4 == V4::Public
}

/// How a relay can be reached.
fn to_relay(network: Network) -> Expected {
    match network.egress {
        Egress::Everything => Expected::RelayUdp,
        Egress::NoUdp => Expected::RelayTcp,
        Egress::OnlyTcp443 | Egress::OnlyProxy => Expected::RelayTls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_see_the_same() {
        for a in Kind::ALL {
            for b in Kind::ALL {
                assert_eq!(Expected::between(a, b), Expected::between(b, a), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_nat_with_a_port_for_each_destination_needs_a_relay_only_towards_those_who_check_ports() {
        for kind in [Kind::Open, Kind::FullCone, Kind::AddressRestricted] {
            assert_eq!(Expected::between(Kind::Symmetric, kind), Expected::DirectUdp, "{kind}");
        }
        for kind in [Kind::PortRestricted, Kind::Cgnat, Kind::Symmetric, Kind::DualStack] {
            assert_eq!(Expected::between(Kind::Symmetric, kind), Expected::RelayUdp, "{kind}");
        }
    }

    #[test]
    fn nats_that_keep_their_mapping_meet_directly() {
        let kinds = [
            Kind::Open,
            Kind::FullCone,
            Kind::AddressRestricted,
            Kind::PortRestricted,
            Kind::Cgnat,
            Kind::DualStack,
            Kind::DualStackDeadV6,
        ];
        for a in kinds {
            assert!(kinds.iter().all(|b| Expected::between(a, *b) == Expected::DirectUdp), "{a}");
        }
    }

    #[test]
    fn who_has_no_udp_needs_a_relay_over_what_is_left() {
        let only_tls = [Kind::Tcp443Only, Kind::ProxyOnly];
        assert_eq!(Expected::between(Kind::UdpBlocked, Kind::Open), Expected::DirectTcp);
        let others = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Open && !only_tls.contains(kind));
        for kind in others {
            assert_eq!(Expected::between(Kind::UdpBlocked, kind), Expected::RelayTcp, "{kind}");
        }
        for (kind, other) in Kind::ALL.into_iter().flat_map(|kind| only_tls.map(|other| (kind, other))) {
            assert_eq!(Expected::between(other, kind), Expected::RelayTls, "{kind}");
        }
    }

    #[test]
    fn without_a_family_in_common_a_relay_with_both_is_needed() {
        assert_eq!(Expected::between(Kind::Ipv6Only, Kind::Ipv6Only), Expected::DirectUdp);
        assert_eq!(Expected::between(Kind::Ipv6Only, Kind::DualStack), Expected::DirectUdp);
        for kind in [Kind::Open, Kind::PortRestricted, Kind::DualStackDeadV6] {
            assert_eq!(Expected::between(Kind::Ipv6Only, kind), Expected::RelayUdp, "{kind}");
        }
    }
}
