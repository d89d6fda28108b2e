//! Candidates (RFC 8445 section 5.1) and their lines (RFC 8839 section 5.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use is::CandidateKind as Kind;
use serde::{Deserialize, Serialize};

/// What kind of address a candidate is (RFC 8445 section 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateKind {
    /// Of one of the machine's own interfaces.
    Host,
    /// As a STUN server saw it.
    ServerReflexive,
    /// As the other side saw it.
    PeerReflexive,
    /// Of a relay.
    Relay,
}

impl CandidateKind {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Host => Self::Host,
            Kind::ServerReflexive => Self::ServerReflexive,
            Kind::PeerReflexive => Self::PeerReflexive,
            Kind::Relayed => Self::Relay,
        }
    }
}

/// Why a candidate's line is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CandidateError {
    /// It is longer than any.
    #[error("a candidate's line has at most {LONGEST} bytes")]
    TooLong,
    /// It is not such a line.
    #[error("this is no candidate's line")]
    Malformed,
    /// Its address is nobody's (unspecified, multicast, broadcast, without a port), or that of a service (a port below 1024).
    #[error("a candidate's address is one that can be sent to")]
    Address,
}

/// The longest line of a candidate. Those of browsers have some 150 bytes.
const LONGEST: usize = 1024;

/// An address at which the other side may be reached, from its line.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) inner: is::Candidate,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.inner.addr().is_ipv4() { "IPv4" } else { "IPv6" };
        write!(f, "Candidate({:?}, {family})", self.kind())
    }
}

/// What the other side's line says.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// An address.
    Candidate(Candidate),
    /// A name that hides an address from all but the local network (`.local`, resolved by multicast DNS).
    Name {
        /// Which.
        name: String,
        /// The line, in which the name's address is to be put in the name's place.
        line: String,
    },
    /// Something that is not used here, such as a candidate for TCP that only connects (RFC 6544 section 4.5), or the end of the
    /// candidates.
    Unused,
}

impl Candidate {
    /// Reads a line, with or without `a=`.
    ///
    /// # Errors
    /// [`CandidateError`].
    pub(crate) fn read(line: &str) -> Result<Line, CandidateError> {
        let line = line.trim().trim_start_matches("a=");
        if line.len() > LONGEST {
            return Err(CandidateError::TooLong);
        }
        if line.is_empty() || line == "end-of-candidates" {
            return Ok(Line::Unused);
        }
        let mut words = line.split_ascii_whitespace().skip(2);
        let (Some(protocol), Some(_), Some(address)) = (words.next(), words.next(), words.next()) else {
            return Err(CandidateError::Malformed);
        };
        if !protocol.eq_ignore_ascii_case("udp") && !listens(protocol, line) {
            return Ok(Line::Unused);
        }
        if address.parse::<IpAddr>().is_err() && address.to_ascii_lowercase().ends_with(".local") {
            return Ok(Line::Name { name: address.to_owned(), line: line.to_owned() });
        }
        let inner = is::Candidate::from_sdp_string(line).map_err(|_| CandidateError::Malformed)?;
        if !can_be_sent_to(inner.addr()) {
            return Err(CandidateError::Address);
        }
        Ok(Line::Candidate(Self { inner }))
    }

    /// What kind of address it is.
    pub(crate) fn kind(&self) -> CandidateKind {
        CandidateKind::of(self.inner.kind())
    }

    /// Whether it is reached by TCP.
    pub(crate) fn is_tcp(&self) -> bool {
        self.inner.proto() == is::Protocol::Tcp
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.inner.addr()
    }
}

/// The candidate of a port of this machine that takes connections (RFC 6544 section 4.1).
pub(crate) fn of_listener(local: SocketAddr) -> Option<is::Candidate> {
    let passive = "passive".parse().ok()?;
    is::Candidate::builder().tcp().host(local).tcptype(passive).build().ok()
}

/// Whether the line of a candidate for TCP is of one that can be connected to.
fn listens(protocol: &str, line: &str) -> bool {
    let mut words = line.split_ascii_whitespace().skip_while(|word| *word != "tcptype").skip(1);
    protocol.eq_ignore_ascii_case("tcp") && words.next().is_some_and(|kind| matches!(kind, "passive" | "so"))
}

/// Ports below this are those of services (RFC 6335 section 6).
const SERVICES_BELOW: u16 = 1024;
/// But calls may be taken at those of the web, where nothing else gets through.
const OF_THE_WEB: [u16; 2] = [80, 443];

/// Whether an address is one that somebody who calls can have. The other side says what it likes, and must not have this one
/// knock at other people's services; least of all at those of a private network, which it can't reach itself. Browsers have the
/// same rule.
fn can_be_sent_to(address: SocketAddr) -> bool {
    let (ip, port) = (address.ip().to_canonical(), address.port());
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let open = port >= SERVICES_BELOW || (OF_THE_WEB.contains(&port) && !is_private(ip));
    open && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// Whether an address means something in a private network only (RFC 6890).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOST: &str = "candidate:1 1 udp 2130706431 192.0.2.7 50123 typ host generation 0 ufrag abcd";

    #[test]
    fn a_browsers_line_is_understood() {
        for line in [HOST.to_owned(), format!("a={HOST}"), HOST.replace("udp", "UDP")] {
            let Ok(Line::Candidate(candidate)) = Candidate::read(&line) else { panic!("{line}") };
            assert_eq!(candidate.address(), "192.0.2.7:50123".parse().unwrap());
            assert_eq!(candidate.kind(), CandidateKind::Host);
        }
    }

    #[test]
    fn a_hidden_address_is_a_name() {
        let line = HOST.replace("192.0.2.7", "1b9e4f0c-3d6f.local");
        assert!(
            matches!(Candidate::read(&line), Ok(Line::Name { name, .. }) if name == "1b9e4f0c-3d6f.local")
        );
    }

    #[test]
    fn what_is_not_used_is_no_error() {
        for line in ["", "a=end-of-candidates", &HOST.replace("udp", "tcp")] {
            assert!(matches!(Candidate::read(line), Ok(Line::Unused)), "{line}");
        }
    }

    #[test]
    fn an_address_that_takes_connections_is_one() {
        let line =
            |kind: &str| HOST.replace("udp", "tcp").replace(" generation", &format!("{kind} generation"));
        let Ok(Line::Candidate(candidate)) = Candidate::read(&line(" tcptype passive")) else { panic!() };
        assert!(candidate.is_tcp() && candidate.kind() == CandidateKind::Host);
        for kind in [" tcptype active", " tcptype", ""] {
            assert!(matches!(Candidate::read(&line(kind)), Ok(Line::Unused)), "{kind}");
        }
    }

    #[test]
    fn nobodys_addresses_are_refused() {
        for address in ["0.0.0.0", "224.0.0.251", "255.255.255.255", "::", "ff02::fb", "::ffff:224.0.0.1"] {
            let line = HOST.replace("192.0.2.7", address);
            assert_eq!(Candidate::read(&line).err(), Some(CandidateError::Address), "{address}");
        }
        for port in ["0", "22", "1023"] {
            assert_eq!(
                Candidate::read(&HOST.replace("50123", port)).err(),
                Some(CandidateError::Address),
                "{port}"
            );
        }
        assert_eq!(Candidate::read(&"x ".repeat(600)).err(), Some(CandidateError::TooLong));
        assert_eq!(Candidate::read("candidate:1 1").err(), Some(CandidateError::Malformed));
    }

    #[test]
    fn the_ports_of_the_web_are_open_but_not_in_private_networks() {
        let at = |ip: &str, port: &str| HOST.replace("192.0.2.7", ip).replace("50123", port);
        for port in ["80", "443"] {
            assert!(
                Candidate::read(&at("192.0.2.7", port)).is_ok()
                    && Candidate::read(&at("2001:db8::1", port)).is_ok()
            );
            for ip in
                ["10.0.0.1", "127.0.0.1", "169.254.0.1", "100.100.0.1", "fd00::1", "::1", "::ffff:10.0.0.1"]
            {
                assert_eq!(Candidate::read(&at(ip, port)).err(), Some(CandidateError::Address), "{ip}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,200}") {
            let _ = Candidate::read(&line);
        }

        #[test]
        fn no_line_made_of_a_lines_words_is_too_strange(
            words in prop::collection::vec(
                prop::sample::select(vec!["candidate:1", "1", "udp", "192.0.2.7", "::1", "typ", "host", "raddr", "x.local"]),
                0..16,
            )
        ) {
            let _ = Candidate::read(&words.join(" "));
        }
    }
}
