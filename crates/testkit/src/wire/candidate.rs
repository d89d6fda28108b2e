//! ICE candidate lines, as far as a relay needs to read them.

use std::net::{IpAddr, SocketAddr};

/// A candidate as written in SDP (RFC 8839 section 5.1), split where a relay changes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Candidate<'a> {
    /// A UDP host candidate: the only kind whose packets can be led through a relay on the same machine.
    UdpHost { before_address: &'a str, address: SocketAddr, after_port: &'a str },
    /// A candidate whose packets would go past the relay.
    Other,
    /// The empty line that says that no more follow.
    EndOfCandidates,
}

impl<'a> Candidate<'a> {
    /// Reads a line with or without `a=` in front; `None` if it is no candidate.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let text = line.strip_prefix("a=").unwrap_or(line);
        if text.is_empty() || text == "end-of-candidates" {
            return Some(Self::EndOfCandidates);
        }
        text.strip_prefix("candidate:")?;
        // Foundation, component, transport, priority, address, port, "typ", type.
        let mut fields = text.split(' ');
        let [_, _, transport, _, address, port, typ, kind] = std::array::from_fn(|_| fields.next());
        let (transport, address, port) = (transport?, address?, port?);
        if typ? != "typ" {
            return None;
        }
        let port: u16 = port.parse().ok()?;
        // Names ending in .local (mDNS) hide the address from the relay as well.
        let ip = address.parse::<IpAddr>().ok().filter(|ip| !is_link_local(ip));
        match ip {
            Some(ip) if transport.eq_ignore_ascii_case("udp") && kind? == "host" => {
                let start = address.as_ptr() as usize - line.as_ptr() as usize;
                let rest = &line[start..];
                let after = address.len() + 1 + rest[address.len() + 1..].find(' ')?;
                Some(Self::UdpHost {
                    before_address: &line[..start],
                    address: SocketAddr::new(ip, port),
                    after_port: &rest[after..],
                })
            }
            Some(_) | None => Some(Self::Other),
        }
    }
}

/// An IPv6 address that means nothing without the name of an interface, which candidates do not carry.
fn is_link_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_candidate_is_split_around_its_address() {
        let line = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host generation 0 ufrag abcd";
        let Some(Candidate::UdpHost { before_address, address, after_port }) = Candidate::parse(line) else {
            panic!("{line}");
        };
        assert_eq!(before_address, "candidate:1 1 udp 2130706431 ");
        assert_eq!(address, "192.0.2.7:50000".parse().unwrap());
        assert_eq!(after_port, " typ host generation 0 ufrag abcd");
    }

    #[test]
    fn what_goes_past_a_relay_is_told_from_what_does_not() {
        let others = [
            "a=candidate:1 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
            "candidate:1 1 udp 1 a4b2.local 5000 typ host",
            "candidate:1 1 udp 1 198.51.100.1 5000 typ srflx raddr 0.0.0.0 rport 0",
            "candidate:1 1 UDP 1 fe80::1 5000 typ host",
        ];
        for line in others {
            assert_eq!(Candidate::parse(line), Some(Candidate::Other), "{line}");
        }
        assert!(matches!(
            Candidate::parse("a=candidate:1 1 UDP 1 ::1 5000 typ host"),
            Some(Candidate::UdpHost { .. })
        ));
        assert_eq!(Candidate::parse(""), Some(Candidate::EndOfCandidates));
    }

    #[test]
    fn what_is_no_candidate_is_refused() {
        for line in
            ["candidate:1 1 udp 1 127.0.0.1", "m=audio 9", "candidate:1 1 udp 1 127.0.0.1 70000 typ host"]
        {
            assert_eq!(Candidate::parse(line), None, "{line}");
        }
    }
}
