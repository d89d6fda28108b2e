//! The relay's own addresses: where its sockets are, and how others know it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use turn_types::AddressFamily;

/// One address of the relay's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    /// Where its sockets are.
    pub(crate) local: IpAddr,
    /// How others know it: another one behind an address translation.
    pub(crate) external: IpAddr,
}

/// The relay's addresses, one of each family at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnAddresses {
    v4: Option<Own>,
    v6: Option<Own>,
}

impl OwnAddresses {
    /// From where it listens and how others know it. A listener on all addresses relays from the machine's way out.
    pub(crate) fn find(
        listen: &[IpAddr],
        external: &[IpAddr],
        way_out: impl Fn(AddressFamily) -> Option<IpAddr>,
    ) -> Self {
        let find = |family: AddressFamily| {
            let is_of = |ip: &&IpAddr| ip.is_ipv4() == (family == AddressFamily::IPV4);
            let listens = listen.iter().find(is_of)?;
            let external = external.iter().find(is_of).copied();
            let local = if listens.is_unspecified() { way_out(family)? } else { *listens };
            Some(Own { local, external: external.unwrap_or(local) })
        };
        match (find(AddressFamily::IPV4), find(AddressFamily::IPV6)) {
            // A machine without a network: whoever is there is on it.
            (None, None) => {
                let loopback = |ip: IpAddr| Some(Own { local: ip, external: ip });
                let v4 = listen.iter().any(IpAddr::is_ipv4);
                Self {
                    v4: loopback(Ipv4Addr::LOCALHOST.into()).filter(|_| v4),
                    v6: loopback(Ipv6Addr::LOCALHOST.into()).filter(|_| !v4),
                }
            }
            (v4, v6) => Self { v4, v6 },
        }
    }

    /// The address of a family.
    pub(crate) fn of(&self, family: AddressFamily) -> Option<Own> {
        match family {
            AddressFamily::IPV4 => self.v4,
            AddressFamily::IPV6 => self.v6,
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = Own> {
        self.v4.into_iter().chain(self.v6)
    }

    /// Where to send what is for a peer: another allocation's way from here is not the one around, through the address
    /// translation.
    pub(crate) fn to_local(self, peer: SocketAddr) -> SocketAddr {
        match self.all().find(|own| own.external == peer.ip()) {
            Some(own) => SocketAddr::new(own.local, peer.port()),
            None => peer,
        }
    }

    /// How clients know whom something came from.
    pub(crate) fn to_external(self, peer: SocketAddr) -> SocketAddr {
        match self.all().find(|own| own.local == peer.ip()) {
            Some(own) => SocketAddr::new(own.external, peer.port()),
            None => peer,
        }
    }
}

/// The address from which this machine would reach the internet. Nothing is sent for that.
pub(crate) fn way_out(family: AddressFamily) -> Option<IpAddr> {
    // Addresses for documentation (RFC 5737, RFC 3849), to which the way is that to anywhere.
    let (any, anywhere): (SocketAddr, SocketAddr) = match family {
        AddressFamily::IPV4 => ((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into()),
        AddressFamily::IPV6 => {
            let anywhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
            ((Ipv6Addr::UNSPECIFIED, 0).into(), (anywhere, 9).into())
        }
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(anywhere).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nowhere(_: AddressFamily) -> Option<IpAddr> {
        None
    }

    #[test]
    fn sockets_are_where_it_listens_and_others_know_what_they_were_told() {
        let own = OwnAddresses::find(&[ip("10.0.0.5")], &[ip("9.9.9.9"), ip("2600::9")], nowhere);
        let v4 = own.of(AddressFamily::IPV4).unwrap();
        assert_eq!((v4.local, v4.external), (ip("10.0.0.5"), ip("9.9.9.9")));
        assert_eq!(own.of(AddressFamily::IPV6), None, "it listens on none");
    }

    #[test]
    fn a_listener_on_all_addresses_relays_from_the_way_out() {
        let own = OwnAddresses::find(&[ip("0.0.0.0")], &[], |_| Some(ip("192.168.1.7")));
        assert_eq!(own.of(AddressFamily::IPV4).unwrap().external, ip("192.168.1.7"));
        let own = OwnAddresses::find(&[ip("::")], &[], nowhere);
        assert_eq!(own.of(AddressFamily::IPV6).unwrap().local, ip("::1"), "there is no way out");
        let only_v4 = |family| Some(ip("192.168.1.7")).filter(|_| family == AddressFamily::IPV4);
        let own = OwnAddresses::find(&[ip("::"), ip("0.0.0.0")], &[], only_v4);
        assert_eq!(own.all().count(), 1, "there is no way out by IPv6");
    }

    #[test]
    fn what_is_for_the_relay_itself_is_not_sent_around() {
        let own = OwnAddresses::find(&[ip("10.0.0.5")], &[ip("9.9.9.9")], nowhere);
        let peer = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(own.to_local(peer("9.9.9.9:50000")), peer("10.0.0.5:50000"));
        assert_eq!(own.to_external(peer("10.0.0.5:50000")), peer("9.9.9.9:50000"));
        assert_eq!(own.to_local(peer("8.8.8.8:1")), peer("8.8.8.8:1"));
    }
}
