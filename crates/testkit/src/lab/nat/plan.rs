//! Which addresses and devices there are where.
//!
//! Public addresses of the lab are from space that is routed on the real internet, not from ranges for documentation or
//! tests, which clients and relays rightly refuse to talk to (RFC 6890). Nothing of the lab ever gets out of its namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host's end of its first link; more links have higher numbers.
pub(super) const HOST_DEVICE: &str = "eth";
/// A router's ends, towards the host and away from it.
pub(super) const INNER_DEVICE: &str = "lan";
pub(super) const OUTER_DEVICE: &str = "wan";
/// Lengths of the networks' prefixes.
pub(super) const V4_PREFIX: u8 = 24;
pub(super) const V6_PREFIX: u8 = 64;
/// Who has which number in a network: the router towards the internet, and the first of the others.
pub(super) const GATEWAY: u8 = 1;
pub(super) const FIRST: u8 = 2;
/// The last number that a machine which changes its address can have.
pub(super) const LAST: u8 = 254;

/// A part of the internet with a prefix of its own. The server's is number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment(pub(super) u16);

impl Segment {
    /// 45.16.0.0/12 in pieces of 256 addresses.
    pub(super) fn public(self, number: u8) -> Ipv4Addr {
        let [high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(45, 16 + (high & 0x0f), low, number)
    }

    /// Between carrier and home. All carriers have the same, as they do (RFC 6598).
    pub(super) fn carrier(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(100, 64, 0, number)
    }

    /// At home.
    pub(super) fn home(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, self.0.to_be_bytes()[1], number)
    }

    /// Of the router's own link to the internet.
    pub(super) fn transit_v6(self, number: u8) -> Ipv6Addr {
        Ipv6Addr::new(0x2a00, 0x8000, self.0, 0, 0, 0, 0, number.into())
    }

    /// At home: public as well.
    pub(super) fn home_v6(self, number: u8) -> Ipv6Addr {
        Ipv6Addr::new(0x2a00, 0x8000, self.0, 1, 0, 0, 0, number.into())
    }

    /// The device by which the internet reaches it.
    pub(super) fn device(self) -> String {
        format!("s{}", self.0)
    }
}

/// Public addresses of the server, in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAddresses {
    /// For signaling.
    pub signaling: IpAddr,
    /// For relays. What leaves the server without saying from which address leaves from this one.
    pub relay: IpAddr,
    /// A third one, which no service needs.
    pub spare: IpAddr,
}

impl ServerAddresses {
    /// The IPv4 ones.
    pub fn v4() -> Self {
        Self::with(|number| Segment(0).public(number).into())
    }

    /// The IPv6 ones.
    pub fn v6() -> Self {
        Self::with(|number| Segment(0).transit_v6(number).into())
    }

    fn with(address: impl Fn(u8) -> IpAddr) -> Self {
        Self { signaling: address(10), relay: address(11), spare: address(12) }
    }

    /// All of them.
    pub fn all(self) -> [IpAddr; 3] {
        [self.signaling, self.relay, self.spare]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_do_not_share_public_addresses() {
        let addresses: std::collections::BTreeSet<_> =
            (0..4096).map(|number| Segment(number).public(GATEWAY)).collect();
        assert_eq!(addresses.len(), 4096);
        assert!(addresses.iter().all(|address| address.octets()[0] == 45 && address.octets()[1] < 32));
    }
}
