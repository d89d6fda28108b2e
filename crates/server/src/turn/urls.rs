//! What the relay of this program is called by clients (RFC 7064, RFC 7065).

use std::net::{IpAddr, SocketAddr};

use ahoy_turn::Relay;

/// The host in an address of the web, with brackets where it is one of IPv6; `None` where there is none.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.find(']') {
        Some(end) if place.starts_with('[') => place.get(..=end),
        Some(_) => None,
        None => place.split(':').next(),
    };
    host.filter(|host| !host.is_empty())
}

fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// All ways to the relay, the best first: those for STUN begin with `stun:`.
pub(super) fn of_relay(public_url: &str, relay: &Relay) -> Vec<String> {
    let hosts = match host_of(public_url) {
        Some(name) => vec![name.to_owned()],
        None => relay.external_ips().into_iter().map(host).collect(),
    };
    let port = |addresses: &[SocketAddr]| addresses.first().map(SocketAddr::port);
    of_hosts(&hosts, port(relay.addresses()), port(relay.tls_addresses()))
}

fn of_hosts(hosts: &[String], port: Option<u16>, tls_port: Option<u16>) -> Vec<String> {
    let mut urls = Vec::new();
    for (port, kinds) in [
        (port, &[("stun", ""), ("turn", "?transport=udp"), ("turn", "?transport=tcp")][..]),
        (tls_port, &[("turns", "?transport=tcp")]),
    ] {
        for (scheme, transport) in kinds {
            urls.extend(
                hosts.iter().filter_map(|host| Some(format!("{scheme}:{host}:{}{transport}", port?))),
            );
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_found() {
        for (url, expected) in [
            ("https://ahoy.example.org", Some("ahoy.example.org")),
            ("https://ahoy.example.org:8443/path?a#b", Some("ahoy.example.org")),
            ("http://me@ahoy.example.org/", Some("ahoy.example.org")),
            ("https://192.0.2.1:7447", Some("192.0.2.1")),
            ("https://[2001:db8::1]:7447/", Some("[2001:db8::1]")),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(host_of(url), expected, "{url}");
        }
    }

    #[test]
    fn the_best_way_is_told_first() {
        assert_eq!(
            of_hosts(&["ahoy.example.org".into()], Some(3478), Some(5349)),
            [
                "stun:ahoy.example.org:3478",
                "turn:ahoy.example.org:3478?transport=udp",
                "turn:ahoy.example.org:3478?transport=tcp",
                "turns:ahoy.example.org:5349?transport=tcp",
            ]
        );
        let both = [host("192.0.2.1".parse().unwrap()), host("2001:db8::1".parse().unwrap())];
        let urls = of_hosts(&both, Some(3478), None);
        assert_eq!(urls[..2], ["stun:192.0.2.1:3478", "stun:[2001:db8::1]:3478"]);
        assert_eq!(urls.len(), 6);
    }
}
