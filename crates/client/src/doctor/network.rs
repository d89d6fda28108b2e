//! UDP, relays, and what is done to UDP on its way.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ahoy_ice::{Asked, IceServer, Mark, RelayFailure, RelayProbe, Transport};
use ahoy_tunnel::Tunnel;
use futures_util::future::join_all;
use rustls::ClientConfig;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{interval, timeout};

use super::findings::{Behaviour, Family, NatFinding, RelayFinding, RelayOutcome, RelayWay, UdpFinding, ms};
use super::nat::{LetIn, Seen, filtering, mapping};

/// STUN servers that are asked, and ways to relays: as many as an operator has, and no flood.
const SERVERS_MOST: usize = 8;
/// How long a server's name may take.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);
/// How often a mark is sent, and how far apart: of a link that loses every third datagram each way one in a hundred is lost for
/// good, and an answer comes from everywhere in the meantime.
const MARKS: u32 = 6;
const MARK_EVERY: Duration = Duration::from_millis(120);

/// What is needed to ask relays.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) servers: Vec<IceServer>,
    pub(super) tunnel: Tunnel,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// The address of this machine from which datagrams to another leave; `None` where there is no way. Nothing is sent.
async fn way_out(to: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(to).await.ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// A server's addresses, one of each family, each with the address of this machine that leads there.
async fn targets(server: &IceServer, own: &[Family]) -> Vec<(SocketAddr, IpAddr)> {
    let host = (server.url.host.as_str(), server.url.port);
    let Ok(Ok(found)) = timeout(LOOK_UP_WITHIN, lookup_host(host)).await else { return Vec::new() };
    let found: Vec<_> = found.collect();
    let mut targets = Vec::new();
    for family in own {
        if let Some(address) = found.iter().copied().find(|address| Family::of(*address) == *family)
            && let Some(local) = way_out(address).await
        {
            targets.push((address, local));
        }
    }
    targets
}

/// Asks every STUN server, also those that relay, in each family.
pub(super) async fn ask_stun(servers: &[IceServer], own: &[Family]) -> Vec<UdpFinding> {
    let over_udp = servers.iter().filter(|server| server.url.transport == Transport::Udp);
    let looked_up = join_all(over_udp.take(SERVERS_MOST).map(|server| targets(server, own))).await;
    let targets: BTreeSet<_> = looked_up.into_iter().flatten().collect();
    let asked = targets.into_iter().map(|(address, local)| async move {
        let asked = Asked::bind(local).await.ok();
        let answer = match &asked {
            Some(asked) => asked.mapped_at(address).await,
            None => None,
        };
        UdpFinding {
            server: address.to_string(),
            family: Family::of(address),
            local: asked.map_or_else(|| local.to_string(), |asked| asked.local().to_string()),
            mapped: answer.map(|answer| answer.address.to_string()),
            round_trip_ms: answer.map(|answer| ms(answer.round_trip)),
        }
    });
    join_all(asked).await
}

/// A relay that was asked for, and what is left of it.
pub(super) struct Relayed {
    pub(super) finding: RelayFinding,
    pub(super) probe: Option<RelayProbe>,
}

/// Asks for an address at each relay by each way.
pub(super) async fn ask_relays(means: &Means, own: &[Family]) -> Vec<Relayed> {
    let relays = means.servers.iter().filter(|server| server.url.relays).take(SERVERS_MOST);
    let asked = relays.map(|server| async move {
        match server.url.transport {
            Transport::Udp => {
                let targets = targets(server, own).await;
                let over_udp = targets.into_iter().map(|(address, local)| async move {
                    let probe = RelayProbe::over_udp(server, local, address).await;
                    relayed(server, Some(Family::of(address)), probe)
                });
                join_all(over_udp).await
            }
            Transport::Tcp | Transport::Tls => {
                let probe = RelayProbe::over_stream(server, &means.tunnel, means.tls.clone()).await;
                let numeric = server.url.host.parse().ok();
                let family = numeric.map(|ip: IpAddr| Family::of(SocketAddr::new(ip, 0)));
                // A relay of a family that this machine has not is nothing that anybody would try.
                match family.is_some_and(|family| !own.contains(&family)) {
                    true => Vec::new(),
                    false => vec![relayed(server, family, probe)],
                }
            }
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn relayed(
    server: &IceServer,
    family: Option<Family>,
    mut probe: Result<RelayProbe, RelayFailure>,
) -> Relayed {
    let (outcome, code) = match &probe {
        Ok(_) => (RelayOutcome::Allocated, None),
        Err(RelayFailure::Unreachable(_)) => (RelayOutcome::Unreachable, None),
        Err(RelayFailure::Silent) => (RelayOutcome::Silent, None),
        Err(RelayFailure::Refused(code)) => (RelayOutcome::Refused, Some(*code)),
    };
    let addresses = probe.as_mut().map(|probe| probe.addresses().to_vec()).unwrap_or_default();
    let finding = RelayFinding {
        server: server.url.to_string(),
        way: RelayWay::from(server.url.transport),
        family,
        outcome,
        code,
        allocated_ms: probe.as_ref().ok().map(|probe| ms(probe.took())),
        relayed: addresses.iter().map(SocketAddr::to_string).collect(),
        detail: probe.as_ref().err().map(ToString::to_string),
    };
    Relayed { finding, probe: probe.ok() }
}

/// What is done to UDP in a family, seen from the STUN servers that answer and from a relay, whichever way that is reached.
pub(super) async fn look_at_nat(
    family: Family,
    udp: &[UdpFinding],
    relays: &mut [Relayed],
) -> Option<NatFinding> {
    let of_family = || udp.iter().filter(|finding| finding.family == family);
    let any = of_family().next()?;
    let local: SocketAddr = any.local.parse().ok()?;
    let answering: Vec<SocketAddr> = of_family()
        .filter(|finding| finding.mapped.is_some())
        .filter_map(|finding| finding.server.parse().ok())
        .collect();
    let mut vantage = relays.iter_mut().filter_map(|relay| {
        let probe = relay.probe.as_mut()?;
        let address = probe.addresses().iter().copied().find(|address| Family::of(*address) == family)?;
        Some((relay.finding.way, address, probe))
    });
    // The relay that is reached over UDP has shown that it is well; any will do.
    let mut vantage = vantage.by_ref().min_by_key(|(way, _, _)| *way);
    if answering.is_empty() {
        let (_, address, relay) = vantage?;
        let gets_out = gets_out(local.ip(), address, relay).await;
        return Some(NatFinding {
            family,
            is_translated: None,
            mapping: Behaviour::Unknown,
            filtering: Behaviour::Unknown,
            gets_out,
        });
    }
    let socket = Asked::bind(local.ip()).await.ok()?;
    let mut seen = Vec::new();
    for server in &answering {
        if let Some(mapped) = socket.mapped_at(*server).await {
            seen.push(Seen { from: *server, as_address: mapped.address });
        }
    }
    let is_translated = seen.first().map(|seen| seen.as_address != socket.local());
    let (mut let_in, mut comes_out) = (LetIn::default(), None);
    if let (Some((_, address, relay)), Some(first)) = (&mut vantage, seen.first()) {
        let_in = who_is_let_in(local.ip(), first.from, *address, relay).await;
        relay.permit(first.as_address.ip());
        let mark = Mark::random();
        let out = tokio::select! {
            seen_as = relay.wait_for(&mark) => Some(seen_as),
            () = send(&mark, &socket, *address) => None,
        };
        seen.extend(out.map(|as_address| Seen { from: *address, as_address }));
        comes_out = Some(out.is_some());
    }
    Some(NatFinding {
        family,
        is_translated,
        mapping: mapping(&seen),
        filtering: filtering(let_in),
        gets_out: comes_out,
    })
}

/// Sends a mark several times, and returns when the last one has had time to come.
async fn send(mark: &Mark, from: &Asked, to: SocketAddr) {
    let mut every = interval(MARK_EVERY);
    for _ in 0..=MARKS {
        every.tick().await;
        from.send(mark, to).await;
    }
}

/// Has the relay send a mark to a socket several times; whether one comes.
async fn comes_in(relay: &RelayProbe, to: &Asked, mapped: SocketAddr) -> bool {
    let mark = Mark::random();
    let sending = async {
        let mut every = interval(MARK_EVERY);
        for _ in 0..=MARKS {
            every.tick().await;
            relay.send(&mark, mapped);
        }
    };
    tokio::select! {
        () = to.wait_for(&mark) => true,
        () = sending => false,
    }
}

/// Whether datagrams get out, although no answer comes: whether one comes out of a relay that was reached otherwise. The relay
/// lets in those of the addresses under which it may see this machine.
async fn gets_out(local: IpAddr, address: SocketAddr, relay: &mut RelayProbe) -> Option<bool> {
    let socket = Asked::bind(local).await.ok()?;
    let mapped = relay.mapped().map(|mapped| mapped.ip()).filter(|ip| ip.is_ipv4() == local.is_ipv4());
    relay.permit(mapped.unwrap_or(local));
    let mark = Mark::random();
    Some(tokio::select! {
        _ = relay.wait_for(&mark) => true,
        () = send(&mark, &socket, address) => false,
    })
}

/// Whether what the relay sends is let in to a fresh socket that has asked a STUN server and nobody else.
async fn who_is_let_in(
    local: IpAddr,
    server: SocketAddr,
    address: SocketAddr,
    relay: &mut RelayProbe,
) -> LetIn {
    let mut let_in = LetIn { same_address: server.ip() == address.ip(), ..LetIn::default() };
    let Ok(socket) = Asked::bind(local).await else { return let_in };
    let Some(mapped) = socket.mapped_at(server).await else { return let_in };
    let_in.at_once = comes_in(relay, &socket, mapped.address).await;
    if let_in.at_once {
        return let_in;
    }
    if !let_in.same_address {
        // Any other port: whether somebody listens there does not matter.
        let other = SocketAddr::new(address.ip(), if address.port() == DISCARD { 1 } else { DISCARD });
        socket.send(&Mark::random(), other).await;
        let_in.after_its_address = comes_in(relay, &socket, mapped.address).await;
    }
    socket.send(&Mark::random(), address).await;
    // Behind an address- and port-dependent mapping the relay is sent to from another address than the STUN server was.
    let mark = Mark::random();
    let seen_as = tokio::select! {
        seen_as = relay.wait_for(&mark) => seen_as,
        () = send(&mark, &socket, address) => mapped.address,
    };
    let_in.after_its_port = comes_in(relay, &socket, seen_as).await;
    let_in
}

/// The port of a service that throws everything away (RFC 863).
const DISCARD: u16 = 9;
