//! The networks behind NATs are what they claim to be. Needs root.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod needs_root {
    use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
    use std::path::Path;
    use std::time::Duration;

    use ahoy_testkit::LinkConfig;
    use ahoy_testkit::lab::nat::{Kind, Link, NatLab, Reach, ServerAddresses, Side, V4, observe, reach};

    /// Longer than any wait in these tests can take on an overloaded machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn udp(address: IpAddr) -> UdpSocket {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn at_server(lab: &NatLab) -> UdpSocket {
        lab.run_at_server(|| udp(ServerAddresses::v4().signaling)).unwrap()
    }

    /// Sends from one address of a side to a socket of the server; returns where it came from there.
    fn seen_from(side: &Side, own: IpAddr, server: &UdpSocket) -> IpAddr {
        let host = side.run(|| udp(own)).unwrap();
        host.send_to(b"?", server.local_addr().unwrap()).unwrap();
        server.recv_from(&mut [0]).unwrap().1.ip()
    }

    #[test]
    fn each_nat_maps_and_filters_as_its_kind_says() {
        let lab = NatLab::start().unwrap();
        for kind in Kind::ALL {
            let (side, network) = (lab.side(kind).unwrap(), kind.network());
            if let Some(nat) = network.v4_udp() {
                let seen = observe(&lab, &side, ServerAddresses::v4()).unwrap();
                assert_eq!(seen.nat, nat, "{kind} over IPv4");
                assert_eq!(seen.translated, network.v4 != V4::Public, "{kind}");
                // One in 60,000 random ports is the same by chance.
                assert_eq!(seen.port_kept, kind != Kind::Symmetric, "{kind}");
            }
            if let Some(firewall) = network.v6_udp() {
                let seen = observe(&lab, &side, ServerAddresses::v6()).unwrap();
                assert_eq!(seen.nat, firewall, "{kind} over IPv6");
                assert!(!seen.translated && seen.port_kept, "{kind}: nothing is translated in IPv6");
            }
        }
    }

    #[test]
    fn a_packet_of_the_other_side_that_is_early_takes_no_port_away() {
        const PORT: u16 = 40_000;
        let lab = NatLab::start().unwrap();
        for kind in [Kind::AddressRestricted, Kind::PortRestricted, Kind::Cgnat] {
            let (side, server) = (lab.side(kind).unwrap(), at_server(&lab));
            server.send_to(b"early", (side.public_address(0).unwrap(), PORT)).unwrap();
            let host = side.run(|| UdpSocket::bind((side.addresses(0)[0], PORT))).unwrap().unwrap();
            host.send_to(b"?", server.local_addr().unwrap()).unwrap();
            assert_eq!(server.recv_from(&mut [0]).unwrap().1.port(), PORT, "{kind}");
        }
    }

    #[test]
    fn what_is_blocked_does_not_get_out_and_the_rest_does() {
        let lab = NatLab::start().unwrap();
        for kind in Kind::ALL {
            let side = lab.side(kind).unwrap();
            let all = Reach { udp: true, tcp: true, tcp443: true };
            let nothing = Reach { udp: false, tcp: false, tcp443: false };
            let v4 = match kind {
                Kind::UdpBlocked => Some(Reach { udp: false, ..all }),
                Kind::Tcp443Only => Some(Reach { tcp443: true, ..nothing }),
                Kind::ProxyOnly => Some(nothing),
                Kind::Ipv6Only => None,
                _ => Some(all),
            };
            let v6 = matches!(kind, Kind::Ipv6Only | Kind::DualStack).then_some(all);
            for (expected, server) in [(v4, ServerAddresses::v4()), (v6, ServerAddresses::v6())] {
                if let Some(expected) = expected {
                    assert_eq!(reach(&lab, &side, server).unwrap(), expected, "{kind} {server:?}");
                }
            }
        }
    }

    #[test]
    fn a_side_has_the_families_of_its_kind_and_dead_ones_lead_nowhere() {
        let lab = NatLab::start().unwrap();
        let families = |kind| {
            let addresses = lab.side(kind).unwrap().addresses(0);
            (addresses.iter().any(IpAddr::is_ipv4), addresses.iter().any(IpAddr::is_ipv6))
        };
        assert_eq!(families(Kind::Open), (true, false));
        assert_eq!(families(Kind::Ipv6Only), (false, true));
        assert_eq!(families(Kind::DualStack), (true, true));

        let side = lab.side(Kind::DualStackDeadV6).unwrap();
        let [v4, v6] = side.addresses(0)[..] else { panic!("two addresses") };
        let server_v6 = lab.run_at_server(|| udp(ServerAddresses::v6().signaling)).unwrap();
        let host_v6 = side.run(|| udp(v6)).unwrap();
        host_v6.send_to(b"lost", server_v6.local_addr().unwrap()).expect("the host has a route and no idea");
        // What is sent after it gets there by the other family.
        let server = at_server(&lab);
        for _ in 0..2 {
            seen_from(&side, v4, &server);
        }
        server_v6.set_nonblocking(true).unwrap();
        assert!(server_v6.recv(&mut [0; 4]).is_err());
    }

    #[test]
    fn a_port_of_one_of_the_server_s_addresses_can_be_another_program_s() {
        let lab = NatLab::start().unwrap();
        let side = lab.side(Kind::DualStack).unwrap();
        for addresses in [ServerAddresses::v4(), ServerAddresses::v6()] {
            let listener = lab.run_at_server(|| TcpListener::bind("[::]:0")).unwrap().unwrap();
            let port = listener.local_addr().unwrap().port();
            lab.redirect_at_server(addresses.signaling, 443, port).unwrap();
            let connects = |address| side.run(|| TcpStream::connect((address, 443))).unwrap().is_ok();
            assert!(connects(addresses.signaling) && !connects(addresses.relay), "{addresses:?}");
        }
    }

    #[test]
    fn what_leaves_the_server_without_saying_from_where_leaves_from_the_relay_s_address() {
        let lab = NatLab::start().unwrap();
        for (kind, relay) in
            [(Kind::Open, ServerAddresses::v4().relay), (Kind::Ipv6Only, ServerAddresses::v6().relay)]
        {
            let side = lab.side(kind).unwrap();
            let host = side.run(|| udp(side.addresses(0)[0])).unwrap();
            let any: IpAddr = if relay.is_ipv4() { [0, 0, 0, 0].into() } else { [0; 16].into() };
            let server = lab.run_at_server(|| udp(any)).unwrap();
            // Firewalls let in what was asked for only.
            host.send_to(b"?", (relay, server.local_addr().unwrap().port())).unwrap();
            let (_, from) = server.recv_from(&mut [0]).unwrap();
            server.send_to(b"!", from).unwrap();
            assert_eq!(host.recv_from(&mut [0]).unwrap().1.ip(), relay, "{kind}");
        }
    }

    #[test]
    fn behind_a_carrier_there_are_two_translations() {
        let lab = NatLab::start().unwrap();
        let side = lab.side(Kind::Cgnat).unwrap();
        let own = side.addresses(0)[0];
        let seen = seen_from(&side, own, &at_server(&lab));
        assert_eq!(Some(seen), side.public_address(0));
        // The way there, as a hop counter shows it: home router, carrier, internet, server.
        let server = at_server(&lab);
        let host = side.run(|| udp(own)).unwrap();
        host.set_ttl(3).unwrap();
        host.send_to(b"x", server.local_addr().unwrap()).unwrap();
        host.set_ttl(4).unwrap();
        host.send_to(b"y", server.local_addr().unwrap()).unwrap();
        let mut byte = [0];
        server.recv(&mut byte).unwrap();
        assert_eq!(byte, [b'y']);
    }

    #[test]
    fn a_host_that_changes_its_address_sends_from_the_new_one_and_not_from_the_old() {
        let lab = NatLab::start().unwrap();
        for kind in [Kind::Open, Kind::FullCone, Kind::Ipv6Only] {
            let mut side = lab.side(kind).unwrap();
            let old = side.addresses(0)[0];
            side.change_address(0).unwrap();
            let new = side.addresses(0)[0];
            assert_ne!(old, new);
            let addresses = if new.is_ipv4() { ServerAddresses::v4() } else { ServerAddresses::v6() };
            assert!(side.run(|| UdpSocket::bind((old, 0))).unwrap().is_err(), "{kind}: the old one is gone");
            let server = lab.run_at_server(|| udp(addresses.signaling)).unwrap();
            let seen = seen_from(&side, new, &server);
            assert_eq!(seen, side.public_address(0).unwrap_or(new), "{kind}");
        }
        // The NAT lets everybody in to the new address.
        let mut side = lab.side(Kind::FullCone).unwrap();
        side.change_address(0).unwrap();
        let seen = observe(&lab, &side, ServerAddresses::v4()).unwrap();
        assert_eq!(Some(seen.nat), Kind::FullCone.network().v4_udp());
    }

    #[test]
    fn a_nat_that_changes_its_address_is_seen_under_the_new_one() {
        let lab = NatLab::start().unwrap();
        for kind in [Kind::PortRestricted, Kind::Cgnat] {
            let mut side = lab.side(kind).unwrap();
            let (server, host) = (at_server(&lab), side.run(|| udp(side.addresses(0)[0])).unwrap());
            let seen = || {
                host.send_to(b"?", server.local_addr().unwrap()).unwrap();
                server.recv_from(&mut [0]).unwrap().1.ip()
            };
            let old = seen();
            assert_eq!(Some(old), side.public_address(0));
            side.change_public_address(0).unwrap();
            let new = seen();
            assert!(new != old && Some(new) == side.public_address(0), "{kind}: {old} {new}");
        }
    }

    #[test]
    fn a_second_way_is_used_by_what_is_bound_to_its_address_and_when_the_first_is_unplugged() {
        let lab = NatLab::start().unwrap();
        let mut side = lab.side(Kind::PortRestricted).unwrap();
        let second = side.add_way(Kind::Symmetric, Link::Wire).unwrap();
        let server = at_server(&lab);
        let unbound = || "0.0.0.0".parse().unwrap();
        let [first_seen, second_seen] =
            [0, second].map(|way| seen_from(&side, side.addresses(way)[0], &server));
        assert_eq!(Some(first_seen), side.public_address(0));
        assert_eq!(Some(second_seen), side.public_address(second));
        assert_eq!(seen_from(&side, unbound(), &server), first_seen);
        side.unplug(0).unwrap();
        assert_eq!(seen_from(&side, unbound(), &server), second_seen);
        side.plug_in(0).unwrap();
        assert_eq!(seen_from(&side, unbound(), &server), first_seen);
    }

    #[test]
    fn a_black_out_loses_everything_until_it_ends() {
        let lab = NatLab::start().unwrap();
        let (side, server) = (lab.side(Kind::PortRestricted).unwrap(), at_server(&lab));
        let host = side.run(|| udp(side.addresses(0)[0])).unwrap();
        let to = server.local_addr().unwrap();
        side.black_out(0).unwrap();
        host.send_to(b"x", to).expect("the host notices nothing");
        side.restore(0).unwrap();
        host.send_to(b"y", to).unwrap();
        let mut byte = [0];
        server.recv(&mut byte).unwrap();
        assert_eq!(byte, [b'y']);
    }

    #[test]
    fn an_emulated_link_delays_both_ways_and_hides_no_nat() {
        let lab = NatLab::start().unwrap();
        let config = |millis| LinkConfig::builder().delay(Duration::from_millis(millis)).build().unwrap();
        for kind in [Kind::Symmetric, Kind::Open, Kind::DualStack] {
            let link = Link::Emulated { up: config(30).into(), down: config(20).into() };
            let side = lab.side_with(kind, link).unwrap();
            let seen = observe(&lab, &side, ServerAddresses::v4()).unwrap();
            assert_eq!(Some(seen.nat), kind.network().v4_udp());
            let log = side.link(0).unwrap().log(ahoy_testkit::Direction::AToB);
            let delays: Vec<_> = log.records().filter_map(|record| record.one_way_delay()).collect();
            assert!(!delays.is_empty() && delays.iter().all(|delay| *delay == Duration::from_millis(30)));
        }
        let side =
            lab.side_with(Kind::DualStack, Link::Emulated { up: config(1).into(), down: config(1).into() });
        let seen = observe(&lab, &side.unwrap(), ServerAddresses::v6()).unwrap();
        assert_eq!(Some(seen.nat), Kind::DualStack.network().v6_udp());
    }

    #[test]
    fn programs_run_on_a_side_and_nothing_stays_behind() {
        let lab = NatLab::start().unwrap();
        let side = lab.side(Kind::Cgnat).unwrap();
        let output = side.command("ip").args(["-brief", "-4", "address"]).output().unwrap();
        let interfaces = String::from_utf8(output.stdout).unwrap();
        assert!(interfaces.contains(&side.addresses(0)[0].to_string()), "{interfaces}");
        let own = format!("ahoy-{}-nat", std::process::id());
        let names = || {
            let entries = std::fs::read_dir(Path::new("/run/netns")).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with(&own)).count()
        };
        assert_eq!(names(), 5, "internet, server, two routers, a host");
        drop(lab);
        assert_eq!(names(), 4, "whoever is attached holds on to the internet");
        drop(side);
        assert_eq!(names(), 0);
    }
}
