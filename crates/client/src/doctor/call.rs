//! A call with oneself through a relay: two ends on this machine, which may use nothing else.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ahoy_ice::{
    Credentials, Ice, IceConfig, IceEvent, IceEvents, IceServer, IceState, PairView, Policy, Wire,
};
use tokio::time::{interval, timeout};

use super::findings::{CallFinding, RelayFinding, RelayOutcome, RelayWay, ms};
use super::meter::{Measured, Meter, number_of};
use super::network::Means;

/// How long the two ends may look for each other: relays over TCP and TLS are asked when UDP has stayed silent for a while.
const CONNECTED_WITHIN: Duration = Duration::from_secs(12);
/// As often as sound is sent.
const EVERY: Duration = Duration::from_millis(20);
/// Two seconds.
const DATAGRAMS: u32 = 100;
/// How long the last ones may take.
const LAST_WITHIN: Duration = Duration::from_millis(700);

struct End {
    ice: Ice,
    wire: Wire,
    events: IceEvents,
    credentials: Credentials,
}

/// The servers of a call that shows what is lost: relays over TCP and TLS would hide that by sending again, and a call goes over to
/// them where a way over UDP is bad enough. Where none answers over UDP they are what there is.
pub(super) fn servers(servers: &[IceServer], relays: &[RelayFinding]) -> Vec<IceServer> {
    let is_udp =
        |relay: &RelayFinding| relay.way == RelayWay::Udp && relay.outcome == RelayOutcome::Allocated;
    let only_udp = relays.iter().any(is_udp);
    let fits = |server: &&IceServer| !only_udp || RelayWay::from(server.url.transport) == RelayWay::Udp;
    servers.iter().filter(fits).cloned().collect()
}

/// Makes the call from one of this machine's addresses. Both ends are gone when this returns, or is dropped.
pub(super) async fn call(means: &Means, local: IpAddr) -> CallFinding {
    let began = Instant::now();
    let mut finding = CallFinding {
        way: None,
        connected_ms: None,
        sent: 0,
        received: 0,
        loss: None,
        delay_ms: None,
        jitter_ms: None,
    };
    let (Some(mut left), Some(mut right)) = (open(means, local), open(means, local)) else {
        return finding;
    };
    left.ice.set_remote(right.credentials.clone(), true).await;
    right.ice.set_remote(left.credentials.clone(), false).await;
    let (left_wire, right_wire) = (left.wire.clone(), right.wire.clone());
    let (left_reads, right_reads) = (read(&left_wire), read(&right_wire));
    let connecting = timeout(CONNECTED_WITHIN, connect(&mut left, &mut right));
    let path = tokio::select! {
        // Checks are answered only while somebody receives.
        () = left_reads => None,
        () = right_reads => None,
        path = connecting => path.ok(),
    };
    if let Some(path) = path {
        finding.connected_ms = Some(ms(began.elapsed()));
        finding.way = path.relay_transport.map(RelayWay::from);
        let Measured { sent, received, loss, delay_ms, jitter_ms } = talk(&left.wire, &right.wire).await;
        finding = CallFinding { sent, received, loss, delay_ms, jitter_ms, ..finding };
    }
    tokio::join!(left.ice.close(), right.ice.close());
    finding
}

fn open(means: &Means, local: IpAddr) -> Option<End> {
    let credentials = Credentials::random();
    let config = IceConfig {
        bind: vec![SocketAddr::new(local, 0)],
        servers: means.servers.clone(),
        policy: Policy::RelayOnly,
        tunnel: means.tunnel.clone(),
        tls: means.tls.clone(),
    };
    let (ice, wire, events) = Ice::open(config, credentials.clone()).ok()?;
    Some(End { ice, wire, events, credentials })
}

async fn read(wire: &Wire) {
    loop {
        receive(wire, |_| {}).await;
    }
}

async fn receive(wire: &Wire, mut each: impl FnMut(&[u8])) {
    /// More than the longest datagram on nearly all networks.
    const LONGEST: usize = 1500;
    let mut buffer = vec![0; LONGEST * wire.most_received_at_once()];
    let received = poll_fn(|cx| wire.poll_recv(cx, &mut buffer)).await;
    buffer[..received.len].chunks(received.stride.max(1)).for_each(&mut each);
}

/// Tells each end what the other one finds until both have a way; returns the first one's.
async fn connect(left: &mut End, right: &mut End) -> PairView {
    let (mut path, mut connected) = (None, [false; 2]);
    loop {
        let (event, to, n) = tokio::select! {
            Some(event) = left.events.recv() => (event, &right.ice, 0),
            Some(event) = right.events.recv() => (event, &left.ice, 1),
            else => std::future::pending().await,
        };
        match event {
            // Its own candidates are well-formed.
            IceEvent::Candidate(line) => drop(to.add_remote_candidate(&line).await),
            IceEvent::State(state) => connected[n] = state == IceState::Connected,
            IceEvent::Path(found) if n == 0 => path = Some(found),
            IceEvent::Path(_) | IceEvent::Withdrawn(_) | IceEvent::Gathered => {}
        }
        if let (Some(path), [true, true]) = (&path, connected) {
            return path.clone();
        }
    }
}

/// Sends as much as a conversation without pictures, both ways at once.
async fn talk(left: &Wire, right: &Wire) -> Measured {
    let mut meters = [Meter::default(), Meter::default()];
    let start = Instant::now();
    let mut every = interval(EVERY);
    let mut left_to_send = DATAGRAMS;
    let mut until: Option<tokio::time::Instant> = None;
    let (mut at_right, mut at_left) = (Vec::new(), Vec::new());
    loop {
        let deadline = until.unwrap_or_else(tokio::time::Instant::now);
        tokio::select! {
            _ = every.tick(), if left_to_send > 0 => {
                left_to_send -= 1;
                for (meter, wire) in meters.iter_mut().zip([left, right]) {
                    let datagram = meter.send(start.elapsed());
                    poll_fn(|cx| wire.poll_send(cx, &datagram, None)).await;
                }
                if left_to_send == 0 {
                    until = Some(tokio::time::Instant::now() + LAST_WITHIN);
                }
            }
            () = receive(right, |datagram| at_right.extend(number_of(datagram))) => {}
            () = receive(left, |datagram| at_left.extend(number_of(datagram))) => {}
            () = tokio::time::sleep_until(deadline), if until.is_some() => break,
        }
        let now = start.elapsed();
        at_right.drain(..).for_each(|number| meters[0].arrived(number, now));
        at_left.drain(..).for_each(|number| meters[1].arrived(number, now));
        if until.is_some() && meters.iter().all(Meter::is_complete) {
            break;
        }
    }
    Measured::of(&meters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(way: RelayWay, outcome: RelayOutcome) -> RelayFinding {
        RelayFinding {
            server: "turn:call.example.org".to_owned(),
            way,
            family: None,
            outcome,
            code: None,
            allocated_ms: None,
            relayed: Vec::new(),
            detail: None,
        }
    }

    #[test]
    fn a_call_goes_by_udp_where_a_relay_answers_so() {
        let urls = [
            "stun:call.example.org",
            "turn:call.example.org",
            "turn:call.example.org?transport=tcp",
            "turns:call.example.org",
        ];
        let server = |url: &str| IceServer {
            url: url.parse().unwrap(),
            username: String::new(),
            credential: String::new(),
        };
        let named = urls.map(server);
        let of = |relays: &[RelayFinding]| {
            servers(&named, relays).iter().map(|server| server.url.to_string()).collect::<Vec<_>>()
        };
        let (allocated, silent) = (RelayOutcome::Allocated, RelayOutcome::Silent);
        let by_tls = relay(RelayWay::Tls, allocated);
        assert_eq!(of(&[relay(RelayWay::Udp, allocated), by_tls.clone()]), of(&[])[..2]);
        assert_eq!(of(&[relay(RelayWay::Udp, silent), by_tls]).len(), urls.len());
    }
}
