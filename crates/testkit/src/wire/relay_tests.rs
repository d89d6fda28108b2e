use std::time::Duration;

use super::super::WireKind;
use super::*;
use crate::link::PacketFate;

/// Longer than any wait in these tests can take on an overloaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A relay with a socket at each end, introduced to each other.
struct Pair {
    relay: UdpRelay,
    a: UdpSocket,
    b: UdpSocket,
    front_a: SocketAddr,
    front_b: SocketAddr,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn pair(forward: LinkConfig, backward: LinkConfig) -> Pair {
    let relay = UdpRelay::start(forward, backward).unwrap();
    let (a, b) = (socket(), socket());
    let front_a = relay.front_for_a(a.local_addr().unwrap()).unwrap();
    let front_b = relay.front_for_b(b.local_addr().unwrap()).unwrap();
    Pair { relay, a, b, front_a, front_b }
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

#[test]
fn packets_go_both_ways_and_each_peer_sees_only_the_other_s_front() {
    let Pair { relay, a, b, front_a, front_b } = pair(LinkConfig::default(), LinkConfig::default());
    a.send_to(b"ping", front_b).unwrap();
    assert_eq!(receive(&b), (b"ping".to_vec(), front_a));
    b.send_to(b"pong", front_a).unwrap();
    assert_eq!(receive(&a), (b"pong".to_vec(), front_b));
    let counters = relay.handle().counters(Direction::AToB);
    assert_eq!((counters.packets_in, counters.bytes_in, counters.delivered), (1, 32, 1));
    assert_eq!(relay.handle().counters(Direction::BToA).delivered, 1);
}

#[test]
fn a_delay_is_met_and_the_log_knows_it() {
    let delay = Duration::from_millis(30);
    let slow = LinkConfig::builder().delay(delay).build().unwrap();
    let Pair { relay, a, b, front_b, .. } = pair(slow, LinkConfig::default());
    let clock = relay.handle().clock();
    let sent = clock.now();
    a.send_to(&[7; 100], front_b).unwrap();
    receive(&b);
    assert!(clock.now() - sent >= delay, "{:?}", clock.now() - sent);
    let log = relay.handle().log(Direction::AToB);
    let record = log.records().next().unwrap();
    assert_eq!(record.one_way_delay(), Some(delay));
    assert_eq!(record.bytes, 128);
}

#[test]
fn lost_packets_do_not_arrive_and_the_log_names_them() {
    let lossy = LinkConfig::builder().random_loss(0.3).seed(11).build().unwrap();
    let Pair { relay, a, b, front_b, .. } = pair(lossy, LinkConfig::default());
    for number in 0..200u8 {
        a.send_to(&[number], front_b).unwrap();
    }
    let handle = relay.handle();
    while handle.counters(Direction::AToB).packets_in < 200 {
        std::thread::yield_now();
    }
    handle.set(Direction::AToB, LinkConfig::default());
    a.send_to(b"end", front_b).unwrap();
    let mut arrived = Vec::new();
    loop {
        match &receive(&b).0[..] {
            b"end" => break,
            data => arrived.push(u64::from(data[0])),
        }
    }
    let log = handle.log(Direction::AToB);
    let delivered = |record: &&crate::link::PacketRecord| matches!(record.fate, PacketFate::Delivered { .. });
    let logged: Vec<u64> = log.records().filter(delivered).map(|record| record.number).collect();
    assert_eq!(arrived, logged[..logged.len() - 1]);
    assert_eq!(handle.counters(Direction::AToB).lost as usize, 200 - arrived.len());
    assert!((100..180).contains(&arrived.len()), "{}", arrived.len());
    assert_eq!((handle.unsent(), relay.kernel_drops().unwrap()), (0, 0));
}

#[test]
fn a_blocked_direction_is_silent_until_it_is_unblocked_and_the_other_goes_on() {
    let Pair { relay, a, b, front_a, front_b } = pair(LinkConfig::default(), LinkConfig::default());
    relay.block(Direction::AToB);
    a.send_to(b"lost", front_b).unwrap();
    b.send_to(b"heard", front_a).unwrap();
    assert_eq!(receive(&a).0, b"heard");
    while relay.handle().counters(Direction::AToB).blocked == 0 {
        std::thread::yield_now();
    }
    relay.unblock(Direction::AToB);
    a.send_to(b"back", front_b).unwrap();
    assert_eq!(receive(&b).0, b"back");
}

#[test]
fn a_killed_side_s_front_refuses_packets() {
    let Pair { relay, b, front_a, .. } = pair(LinkConfig::default(), LinkConfig::default());
    b.connect(front_a).unwrap();
    relay.kill(Side::A);
    let refused = b.send(b"anyone?").and_then(|_| b.recv(&mut [0; 16])).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_source_that_was_never_signaled_gets_a_front_of_its_own() {
    let Pair { relay, b, front_a, front_b, .. } = pair(LinkConfig::default(), LinkConfig::default());
    let stranger = socket();
    stranger.send_to(b"hello", front_b).unwrap();
    let (_, from) = receive(&b);
    assert_ne!(from, front_a);
    b.send_to(b"welcome", from).unwrap();
    assert_eq!(receive(&stranger), (b"welcome".to_vec(), front_b));
    assert_eq!(relay.front_for_a(stranger.local_addr().unwrap()).unwrap(), from);
}

#[test]
fn a_tap_sees_packets_of_both_directions_before_the_link_does_anything() {
    let deaf = LinkConfig::builder().random_loss(1.0).build().unwrap();
    let Pair { relay, a, b, front_a, front_b } = pair(deaf, LinkConfig::default());
    let handle = relay.handle();
    handle.start_tap();
    a.send_to(&[0x80, 102, 1], front_b).unwrap();
    while handle.tapped().packets.is_empty() {
        std::thread::yield_now();
    }
    b.send_to(&[22, 254, 253], front_a).unwrap();
    receive(&a);
    let tapped = handle.stop_tap();
    let seen: Vec<_> = tapped.packets.iter().map(|p| (p.direction, WireKind::of(&p.data))).collect();
    assert_eq!(seen, [(Direction::AToB, WireKind::Rtp), (Direction::BToA, WireKind::Dtls)]);
    assert!(handle.stop_tap().packets.is_empty());
}

#[test]
fn signaled_candidates_lead_to_the_relay_and_others_are_left_out() {
    let relay = UdpRelay::start(LinkConfig::default(), LinkConfig::default()).unwrap();
    let line = "candidate:7 1 udp 2130706431 127.0.0.1 40000 typ host ufrag xyz";
    let front = relay.front_for_a("127.0.0.1:40000".parse().unwrap()).unwrap();
    let expected = format!("candidate:7 1 udp 2130706431 {} {} typ host ufrag xyz", front.ip(), front.port());
    assert_eq!(relay.rewrite_candidate(Side::A, line).unwrap().as_deref(), Some(expected.as_str()));
    let tcp = "candidate:7 1 tcp 1 127.0.0.1 9 typ host tcptype active";
    assert_eq!(relay.rewrite_candidate(Side::A, tcp).unwrap(), None);
    assert_eq!(relay.rewrite_candidate(Side::A, "").unwrap().as_deref(), Some(""));
    assert!(matches!(relay.rewrite_candidate(Side::A, "nonsense"), Err(RelayError::NotACandidate)));
    let sdp = format!("v=0\r\na={line}\r\na={tcp}\r\na=end-of-candidates\r\n");
    let rewritten = format!("v=0\r\na={expected}\r\na=end-of-candidates\r\n");
    assert_eq!(relay.rewrite_sdp(Side::A, &sdp).unwrap(), rewritten);
}

#[test]
fn a_relay_that_is_dropped_gives_its_ports_and_thread_back() {
    let Pair { relay, front_a, .. } = pair(LinkConfig::default(), LinkConfig::default());
    drop(relay);
    assert!(UdpSocket::bind(front_a).is_ok());
}

#[test]
fn ipv6_addresses_get_a_front_of_their_family() {
    let relay = UdpRelay::start(LinkConfig::default(), LinkConfig::default()).unwrap();
    let a = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    a.set_read_timeout(Some(PATIENCE)).unwrap();
    let b = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let front_a = relay.front_for_a(a.local_addr().unwrap()).unwrap();
    b.send_to(b"six", front_a).unwrap();
    assert_eq!(receive(&a).0, b"six");
    assert_eq!(relay.handle().counters(Direction::BToA).bytes_in, 51);
}

#[test]
fn packets_that_the_kernel_dropped_are_counted_for_the_relay_s_own_ports() {
    let table = "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops
  12: 0100007F:A001 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 52871 2 0000000000000000 17
  13: 0100007F:A002 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 52872 2 0000000000000000 4\n";
    assert_eq!(drops_in(table, &[0xA001, 7]), 17);
    assert_eq!(drops_in(table, &[0xA001, 0xA002]), 21);
}
