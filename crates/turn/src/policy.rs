//! Whom the relay may reach. Whoever may use it sends from its address, so it must be no way into the machine that it runs on
//! or into the network around that, whatever an address looks like (RFC 8656 section 21.1.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use crate::networks::IpNet;

/// IPv4 addresses that are nobody's on the internet (RFC 6890 and the IANA registry that it began).
const CLOSED_V4: &[IpNet] = &[
    // "This network" (RFC 791): Linux takes 0.0.0.0 for itself.
    IpNet::v4(0, 0, 0, 0, 8),
    // Private (RFC 1918).
    IpNet::v4(10, 0, 0, 0, 8),
    IpNet::v4(172, 16, 0, 0, 12),
    IpNet::v4(192, 168, 0, 0, 16),
    // Behind a provider's address translation (RFC 6598).
    IpNet::v4(100, 64, 0, 0, 10),
    // Loopback (RFC 1122).
    IpNet::v4(127, 0, 0, 0, 8),
    // Link-local (RFC 3927): clouds tell secrets of a machine at 169.254.169.254.
    IpNet::v4(169, 254, 0, 0, 16),
    // Protocol assignments (RFC 6890).
    IpNet::v4(192, 0, 0, 0, 24),
    // Documentation (RFC 5737).
    IpNet::v4(192, 0, 2, 0, 24),
    IpNet::v4(198, 51, 100, 0, 24),
    IpNet::v4(203, 0, 113, 0, 24),
    // Relays of 6to4 (RFC 7526).
    IpNet::v4(192, 88, 99, 0, 24),
    // Benchmarks (RFC 2544).
    IpNet::v4(198, 18, 0, 0, 15),
    // Multicast (RFC 5771).
    IpNet::v4(224, 0, 0, 0, 4),
    // Reserved (RFC 1112), and broadcast (RFC 919).
    IpNet::v4(240, 0, 0, 0, 4),
];

/// IPv6 addresses that are nobody's on the internet, or some other address in disguise.
const CLOSED_V6: &[IpNet] = &[
    // Unspecified, loopback, IPv4-compatible (RFC 4291).
    IpNet::v6(0, 0, 0, 96),
    // Translation inside a network (RFC 8215).
    IpNet::v6(0x64, 0xff9b, 1, 48),
    // Discarded (RFC 6666).
    IpNet::v6(0x100, 0, 0, 64),
    // Benchmarks (RFC 5180), identifiers (RFC 4843, RFC 7343), documentation (RFC 3849, RFC 9637).
    IpNet::v6(0x2001, 2, 0, 48),
    IpNet::v6(0x2001, 0x10, 0, 28),
    IpNet::v6(0x2001, 0x20, 0, 28),
    IpNet::v6(0x2001, 0xdb8, 0, 32),
    IpNet::v6(0x3fff, 0, 0, 20),
    // Segment routing inside a network (RFC 9602).
    IpNet::v6(0x5f00, 0, 0, 16),
    // Unique local (RFC 4193), link-local (RFC 4291), site-local (RFC 3879), multicast (RFC 4291).
    IpNet::v6(0xfc00, 0, 0, 7),
    IpNet::v6(0xfe80, 0, 0, 10),
    IpNet::v6(0xfec0, 0, 0, 10),
    IpNet::v6(0xff00, 0, 0, 8),
];

/// What may be sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Anything.
    Open,
    /// This relay itself: whoever else has an allocation here may be reached, and nothing else on the machine.
    RelayOnly,
    /// Nothing.
    Closed,
}

/// Whom the relay may reach.
#[derive(Clone, Debug)]
pub(crate) struct PeerPolicy {
    /// Networks that are open although they would be closed.
    pub(crate) allow: Vec<IpNet>,
    /// The relay's own addresses, as others know them.
    pub(crate) external: Vec<IpAddr>,
    /// The machine's, where its sockets are.
    pub(crate) local: Vec<IpAddr>,
    /// Where it listens for clients.
    pub(crate) listening: Vec<SocketAddr>,
    /// Ports that allocations get.
    pub(crate) relay_ports: RangeInclusive<u16>,
}

impl PeerPolicy {
    /// What may be sent to an address, whatever the port: what a permission is for (RFC 8656 section 9).
    pub(crate) fn address(&self, ip: IpAddr) -> Verdict {
        let allowed = self.allow.iter().any(|net| net.contains(ip));
        // What is allowed of the machine itself is loopback only, for tries on one machine. Its other addresses lie in networks
        // that somebody opens for the sake of others.
        if allowed && ip.is_loopback() {
            Verdict::Open
        } else if self.external.contains(&ip) {
            Verdict::RelayOnly
        } else if self.local.contains(&ip) || (is_closed(ip) && !allowed) {
            Verdict::Closed
        } else {
            Verdict::Open
        }
    }

    /// What may be sent to an address and port: what a channel is for (RFC 8656 section 12).
    pub(crate) fn peer(&self, peer: SocketAddr) -> Verdict {
        let listening = self.listening.iter().any(|own| {
            let same_ip = own.ip() == peer.ip() || own.ip().is_unspecified();
            own.port() == peer.port() && same_ip
        });
        match self.address(peer.ip()) {
            // A relay that talks to itself as a client would go round in circles.
            Verdict::Open if listening && peer.ip().is_loopback() => Verdict::Closed,
            Verdict::RelayOnly if !self.relay_ports.contains(&peer.port()) => Verdict::Closed,
            verdict => verdict,
        }
    }

    /// Whether a datagram may go to a peer, or come from one; `is_relayed` says whether some allocation has that port now.
    pub(crate) fn lets_pass(&self, peer: SocketAddr, is_relayed: impl FnOnce() -> bool) -> bool {
        match self.peer(peer) {
            Verdict::Open => peer.port() != 0,
            Verdict::RelayOnly => is_relayed(),
            Verdict::Closed => false,
        }
    }
}

/// Whether an address is nobody's on the internet, or leads to one that is.
fn is_closed(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => CLOSED_V4.iter().any(|net| net.contains(ip)),
        IpAddr::V6(v6) => {
            CLOSED_V6.iter().any(|net| net.contains(ip))
                // The kernel would take it for the IPv4 address, so that rules for that one would have to hold for it.
                || v6.to_ipv4_mapped().is_some()
                || embedded(v6).into_iter().flatten().any(|v4| is_closed(IpAddr::V4(v4)))
        }
    }
}

/// The IPv4 addresses to which packets for an IPv6 address are led.
fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let [a, b, c, d, _, _, g, h] = ip.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match (a, b) {
        // NAT64 (RFC 6052 section 2.1).
        (0x64, 0xff9b) if (c, d, ip.segments()[4], ip.segments()[5]) == (0, 0, 0, 0) => [v4(g, h), None],
        // The rest of that /32 is not assigned.
        (0x64, 0xff9b) => [Some(Ipv4Addr::UNSPECIFIED), None],
        // Teredo (RFC 4380 section 4): its server, and the client with all bits turned over.
        (0x2001, 0) => [v4(c, d), v4(!g, !h)],
        // 6to4 (RFC 3056 section 2).
        (0x2002, _) => [v4(b, c), None],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(allow: &[&str], own: &[&str]) -> PeerPolicy {
        PeerPolicy {
            allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
            external: own.iter().map(|ip| ip.parse().unwrap()).collect(),
            local: vec!["10.0.0.5".parse().unwrap()],
            listening: vec!["0.0.0.0:3478".parse().unwrap()],
            relay_ports: 49152..=65535,
        }
    }

    fn verdict(policy: &PeerPolicy, ip: &str) -> Verdict {
        policy.address(ip.parse().unwrap())
    }

    #[test]
    fn nothing_that_is_not_on_the_internet_is_reached() {
        let policy = policy(&[], &[]);
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::a00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "64:ff9b:2::808:808",
            "64:ff9b::1:0:0",
            "100::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "2001:0:a00:1::1",
            "2001:0:808:808:0:0:80ff:fffe",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert_eq!(verdict(&policy, closed), Verdict::Closed, "{closed}");
        }
    }

    #[test]
    fn what_is_on_the_internet_is_reached() {
        let policy = policy(&[], &[]);
        for open in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2600::1",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2001:0:808:808:0:0:f7f7:f7f7",
        ] {
            assert_eq!(verdict(&policy, open), Verdict::Open, "{open}");
        }
    }

    #[test]
    fn a_network_that_is_allowed_is_open_and_its_disguises_are_not() {
        let policy = policy(&["10.0.0.0/8", "fd00::/8"], &[]);
        assert_eq!(verdict(&policy, "10.1.2.3"), Verdict::Open);
        assert_eq!(verdict(&policy, "fd00::1"), Verdict::Open);
        for closed in ["::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::1", "192.168.0.1", "127.0.0.1"] {
            assert_eq!(verdict(&policy, closed), Verdict::Closed, "{closed}");
        }
    }

    #[test]
    fn of_the_relays_own_address_only_relayed_ports_are_reached() {
        let policy = policy(&[], &["9.9.9.9"]);
        assert_eq!(verdict(&policy, "9.9.9.9"), Verdict::RelayOnly);
        let peer = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(policy.peer(peer("9.9.9.9:53")), Verdict::Closed);
        assert_eq!(policy.peer(peer("9.9.9.9:50000")), Verdict::RelayOnly);
        assert!(policy.lets_pass(peer("9.9.9.9:50000"), || true));
        assert!(!policy.lets_pass(peer("9.9.9.9:50000"), || false));
        assert!(!policy.lets_pass(peer("9.9.9.9:3478"), || true));
    }

    #[test]
    fn opening_a_network_does_not_open_the_machine() {
        let policy = policy(&["10.0.0.0/8", "127.0.0.0/8"], &["9.9.9.9", "127.0.0.1"]);
        let peer = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(policy.lets_pass(peer("10.0.0.6:53"), || false));
        assert!(!policy.lets_pass(peer("10.0.0.5:53"), || true));
        assert!(policy.lets_pass(peer("127.0.0.1:53"), || false), "loopback was asked for by name");
        assert!(!policy.lets_pass(peer("127.0.0.1:3478"), || true), "where it listens");
        assert!(!policy.lets_pass(peer("127.0.0.2:3478"), || true), "where it listens, too");
    }

    proptest! {
        #[test]
        fn no_address_makes_it_panic_and_a_channel_is_never_wider_than_a_permission(bits: u128, port: u16) {
            let policy = policy(&["fd00::/8"], &["9.9.9.9"]);
            let addresses = [IpAddr::V6(bits.into()), IpAddr::V4((bits as u32).into())];
            for ip in addresses {
                if policy.address(ip) == Verdict::Closed {
                    prop_assert_eq!(policy.peer(SocketAddr::new(ip, port)), Verdict::Closed);
                    prop_assert!(!policy.lets_pass(SocketAddr::new(ip, port), || true));
                }
            }
        }

        #[test]
        fn an_ipv4_address_in_disguise_is_never_more_than_the_address_itself(v4: u32) {
            let policy = policy(&[], &[]);
            let [a, b] = [(v4 >> 16) as u16, v4 as u16];
            let plain = policy.address(IpAddr::V4(v4.into()));
            for disguise in [
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, a, b, 0, 0, !a, !b),
            ] {
                prop_assert_eq!(policy.address(IpAddr::V6(disguise)), plain);
            }
            prop_assert_eq!(policy.address(IpAddr::V6(Ipv4Addr::from_bits(v4).to_ipv6_mapped())), Verdict::Closed);
        }
    }
}
