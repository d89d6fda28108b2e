//! What two vantage points tell of address translation (RFC 4787, RFC 5780). Pure.

use std::net::SocketAddr;

use super::findings::{Behaviour, ExpectedPath, Findings, RelayOutcome, RelayWay};

/// A vantage point, and as which address one socket was seen from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) from: SocketAddr,
    pub(super) as_address: SocketAddr,
}

/// What is the same for whom.
pub(super) fn mapping(seen: &[Seen]) -> Behaviour {
    let pairs =
        || seen.iter().enumerate().flat_map(|(n, one)| seen[..n].iter().map(move |other| (one, other)));
    let (mut ports, mut addresses) = (None, None);
    for (one, other) in pairs().filter(|(one, other)| one.from != other.from) {
        let known = if one.from.ip() == other.from.ip() { &mut ports } else { &mut addresses };
        let same = one.as_address == other.as_address;
        *known = Some(known.unwrap_or(true) && same);
    }
    match (ports, addresses) {
        (Some(false), _) => Behaviour::AddressAndPortDependent,
        (_, Some(true)) => Behaviour::EndpointIndependent,
        // Whether it is also another one for each port is not known where no address has two: then it is the milder.
        (_, Some(false)) => Behaviour::AddressDependent,
        (Some(true), None) => Behaviour::PortIndependent,
        (None, None) => Behaviour::Unknown,
    }
}

/// What a relay could send to a socket that had sent something to a STUN server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LetIn {
    /// Whether the relay has the STUN server's address, at another port.
    pub(super) same_address: bool,
    /// Before the socket had sent anything to the relay's address but by that.
    pub(super) at_once: bool,
    /// After the socket had sent something to another port of the relay's address.
    pub(super) after_its_address: bool,
    /// After the socket had sent something to the very port: everybody lets this in, so that nothing is known without it.
    pub(super) after_its_port: bool,
}

/// Who is let in.
pub(super) fn filtering(let_in: LetIn) -> Behaviour {
    match let_in {
        LetIn { same_address: false, at_once: true, .. } => Behaviour::EndpointIndependent,
        LetIn { same_address: true, at_once: true, .. } => Behaviour::PortIndependent,
        LetIn { same_address: false, after_its_address: true, .. } => Behaviour::AddressDependent,
        LetIn { after_its_port: true, .. } => Behaviour::AddressAndPortDependent,
        LetIn { .. } => Behaviour::Unknown,
    }
}

/// How a call with somebody behind the usual router at home would go, whose mapping is endpoint-independent and whose filtering
/// address- and port-dependent: directly, if they see here what everybody sees.
pub(super) fn expected_path(findings: &Findings) -> ExpectedPath {
    let answered = |family| findings.udp.iter().any(|udp| udp.family == family && udp.mapped.is_some());
    let nat = |family| findings.nat.iter().find(|nat| nat.family == family);
    let direct = super::findings::Family::BOTH.into_iter().any(|family| {
        let mapping = nat(family).map(|nat| nat.mapping).unwrap_or_default();
        answered(family)
            && match mapping {
                // What is not known is mostly the usual.
                Behaviour::EndpointIndependent | Behaviour::PortIndependent | Behaviour::Unknown => true,
                Behaviour::AddressDependent | Behaviour::AddressAndPortDependent => false,
            }
    });
    if direct {
        return ExpectedPath::Direct;
    }
    let allocated = findings.relays.iter().filter(|relay| relay.outcome == RelayOutcome::Allocated);
    match allocated.map(|relay| relay.way).min() {
        Some(RelayWay::Udp) => ExpectedPath::RelayUdp,
        Some(RelayWay::Tcp) => ExpectedPath::RelayTcp,
        Some(RelayWay::Tls) => ExpectedPath::RelayTls,
        None => ExpectedPath::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(from: &str, as_address: &str) -> Seen {
        Seen { from: from.parse().unwrap(), as_address: as_address.parse().unwrap() }
    }

    const A1: &str = "198.51.100.1:3478";
    const A2: &str = "198.51.100.1:50000";
    const B1: &str = "198.51.100.2:3478";
    const X: &str = "203.0.113.9:7000";
    const Y: &str = "203.0.113.9:7001";

    #[test]
    fn mappings_have_the_names_of_the_standard() {
        for (observed, expected) in [
            (vec![], Behaviour::Unknown),
            (vec![seen(A1, X)], Behaviour::Unknown),
            (vec![seen(A1, X), seen(A1, X)], Behaviour::Unknown),
            (vec![seen(A1, X), seen(A2, X)], Behaviour::PortIndependent),
            (vec![seen(A1, X), seen(B1, X)], Behaviour::EndpointIndependent),
            (vec![seen(A1, X), seen(A2, X), seen(B1, X)], Behaviour::EndpointIndependent),
            (vec![seen(A1, X), seen(A2, X), seen(B1, Y)], Behaviour::AddressDependent),
            (vec![seen(A1, X), seen(A2, Y)], Behaviour::AddressAndPortDependent),
            (vec![seen(A1, X), seen(B1, X), seen(A2, Y)], Behaviour::AddressAndPortDependent),
        ] {
            assert_eq!(mapping(&observed), expected, "{observed:?}");
        }
    }

    #[test]
    fn filtering_has_the_names_of_the_standard_and_nothing_is_said_without_a_way() {
        let nothing = LetIn::default();
        assert_eq!(filtering(nothing), Behaviour::Unknown);
        let port = LetIn { after_its_port: true, ..nothing };
        assert_eq!(filtering(port), Behaviour::AddressAndPortDependent);
        assert_eq!(filtering(LetIn { after_its_address: true, ..port }), Behaviour::AddressDependent);
        assert_eq!(filtering(LetIn { at_once: true, ..port }), Behaviour::EndpointIndependent);
        let at_once = LetIn { same_address: true, at_once: true, ..port };
        assert_eq!(filtering(at_once), Behaviour::PortIndependent);
        let same = LetIn { same_address: true, after_its_address: true, ..port };
        assert_eq!(
            filtering(same),
            Behaviour::AddressAndPortDependent,
            "its address was sent to from the start"
        );
    }
}
