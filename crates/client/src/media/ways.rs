//! The ways between the two ends, as the panel of live numbers shows them.

use ahoy_rtc::{CandidateKind, IceView};
use serde::Serialize;

/// What an address is (RFC 8445 section 5.1.1), by its name in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum AddressKind {
    /// Of the machine itself.
    Host,
    /// As a STUN server saw it.
    Srflx,
    /// As the other side saw it.
    Prflx,
    /// Of a relay.
    Relay,
}

impl From<CandidateKind> for AddressKind {
    fn from(kind: CandidateKind) -> Self {
        match kind {
            CandidateKind::Host => Self::Host,
            CandidateKind::ServerReflexive => Self::Srflx,
            CandidateKind::PeerReflexive => Self::Prflx,
            CandidateKind::Relay => Self::Relay,
        }
    }
}

/// A pair of addresses that has worked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct WayStats {
    /// What this side's address is.
    pub local_kind: AddressKind,
    /// Where packets leave from.
    pub local: String,
    /// What the other side's address is.
    pub remote_kind: AddressKind,
    /// Where packets go to.
    pub remote: String,
    /// How this side's relay is reached: `udp`, `tcp` or `tls`; null without one.
    pub relay_protocol: Option<String>,
    /// Whether the two are connected by TCP, and not by datagrams.
    pub is_tcp: bool,
    /// There and back.
    pub round_trip_ms: f64,
    /// Whether sound and pictures go this way.
    pub in_use: bool,
    /// Whether it has stopped working.
    pub dead: bool,
}

/// An address at which a side may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct AddressStats {
    /// Whether it is this side's.
    pub here: bool,
    /// What it is.
    pub kind: AddressKind,
    /// Address and port.
    pub address: String,
    /// Its priority (RFC 8445 section 5.1.2).
    pub priority: u32,
    /// Whether it takes connections by TCP, and no datagrams.
    pub is_tcp: bool,
}

/// All ways, the one in use first; empty where that is not known, as in test calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct WaysStats {
    /// Pairs that have worked.
    pub ways: Vec<WayStats>,
    /// Addresses of both sides, the preferred ones first.
    pub addresses: Vec<AddressStats>,
}

impl From<&IceView> for WaysStats {
    fn from(view: &IceView) -> Self {
        let mut ways: Vec<_> = view
            .pairs
            .iter()
            .map(|pair| WayStats {
                local_kind: pair.local_kind.into(),
                local: pair.local.to_string(),
                remote_kind: pair.remote_kind.into(),
                remote: pair.remote.to_string(),
                relay_protocol: pair.relay_transport.map(|transport| transport.to_string()),
                is_tcp: pair.is_tcp,
                round_trip_ms: pair.round_trip.as_secs_f64() * 1e3,
                in_use: pair.in_use,
                dead: pair.dead,
            })
            .collect();
        ways.sort_by(|a, b| {
            let order = |way: &WayStats| (!way.in_use, way.dead);
            order(a).cmp(&order(b)).then(a.round_trip_ms.total_cmp(&b.round_trip_ms))
        });
        let here = view.locals.iter();
        let here = here.map(|local| (true, local.kind, local.address, local.priority, local.is_tcp));
        let there = view.remotes.iter();
        let there = there.map(|remote| (false, remote.kind, remote.address, remote.priority, remote.is_tcp));
        let mut addresses: Vec<_> = here
            .chain(there)
            .map(|(here, kind, address, priority, is_tcp)| AddressStats {
                here,
                kind: kind.into(),
                address: address.to_string(),
                priority,
                is_tcp,
            })
            .collect();
        addresses.sort_by_key(|address| (!address.here, std::cmp::Reverse(address.priority)));
        Self { ways, addresses }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ahoy_rtc::{LocalView, PairView};

    use super::*;

    #[test]
    fn the_way_in_use_is_first_and_the_dead_ones_are_last() {
        let pair = |port: u16, in_use, dead| PairView {
            local_kind: CandidateKind::Host,
            local: ([192, 0, 2, 1], port).into(),
            relay_transport: None,
            remote_kind: CandidateKind::Relay,
            remote: ([192, 0, 2, 2], 1).into(),
            is_tcp: false,
            round_trip: Duration::from_millis(port.into()),
            in_use,
            dead,
        };
        let local = |priority| LocalView {
            kind: CandidateKind::Host,
            address: ([192, 0, 2, 1], 1).into(),
            priority,
            server: None,
            relay_transport: None,
            is_tcp: false,
        };
        let view = IceView {
            pairs: vec![
                pair(1, false, true),
                pair(9, false, false),
                pair(5, false, false),
                pair(40, true, false),
            ],
            locals: vec![local(1), local(2)],
            ..IceView::default()
        };
        let stats = WaysStats::from(&view);
        let order: Vec<_> = stats.ways.iter().map(|way| way.round_trip_ms).collect();
        assert_eq!(order, [40.0, 5.0, 9.0, 1.0]);
        let priorities: Vec<_> = stats.addresses.iter().map(|address| address.priority).collect();
        assert_eq!(priorities, [2, 1]);
    }
}
