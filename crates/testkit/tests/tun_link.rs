//! The link between network namespaces. Needs root, and `/dev/net/tun`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod needs_root {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::thread;
    use std::time::Duration;

    use ahoy_testkit::link::PacketFate;
    use ahoy_testkit::wire::TunLink;
    use ahoy_testkit::{Direction, LinkConfig, Side};

    /// Bytes of the IPv4 and UDP headers.
    const HEADERS: usize = 28;
    /// Longer than any wait in these tests can take on an overloaded machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn udp(link: &TunLink, side: Side) -> UdpSocket {
        let socket = link.run_in(side, || UdpSocket::bind((TunLink::address(side), 5000))).unwrap().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    #[test]
    fn an_echo_takes_the_delay_of_both_directions() {
        let config = |millis| LinkConfig::builder().delay(Duration::from_millis(millis)).build().unwrap();
        let link = TunLink::start(config(20), config(5)).unwrap();
        let (a, b) = (udp(&link, Side::A), udp(&link, Side::B));
        let mut buffer = [0; 100];
        for number in 0..10 {
            a.send_to(&[number; 100], b.local_addr().unwrap()).unwrap();
            let (length, from) = b.recv_from(&mut buffer).unwrap();
            b.send_to(&buffer[..length], from).unwrap();
            assert_eq!(a.recv(&mut buffer).unwrap(), 100);
            assert_eq!(buffer, [number; 100]);
        }
        let handle = link.handle();
        for (direction, millis) in [(Direction::AToB, 20), (Direction::BToA, 5)] {
            let log = handle.log(direction);
            let delays: Vec<_> = log.records().map(|r| (r.bytes, r.one_way_delay())).collect();
            assert_eq!(delays, [(100 + HEADERS, Some(Duration::from_millis(millis))); 10], "{direction:?}");
        }
    }

    #[test]
    fn what_is_lost_is_in_the_log_and_nothing_else_is() {
        let lossy = LinkConfig::builder().random_loss(0.3).build().unwrap();
        let link = TunLink::start(lossy, LinkConfig::default()).unwrap();
        let (a, b) = (udp(&link, Side::A), udp(&link, Side::B));
        for number in 0..200u8 {
            a.send_to(&[number], b.local_addr().unwrap()).unwrap();
        }
        let handle = link.handle();
        while handle.counters(Direction::AToB).packets_in < 200 {
            thread::yield_now();
        }
        let log = handle.log(Direction::AToB);
        let through = log.records().filter(|record| matches!(record.fate, PacketFate::Delivered { .. }));
        let mut buffer = [0];
        for record in through {
            b.recv(&mut buffer).unwrap();
            assert_eq!(u64::from(buffer[0]), record.number);
        }
        let lost = handle.counters(Direction::AToB).lost;
        assert!((30..90).contains(&lost), "{lost}");
    }

    #[test]
    fn a_stream_goes_no_faster_than_the_link() {
        const BYTES: usize = 300_000;
        let slow = LinkConfig::builder().bps(4_000_000).delay(Duration::from_millis(5)).build().unwrap();
        let link = TunLink::start(slow.clone(), slow).unwrap();
        let listener =
            link.run_in(Side::B, || TcpListener::bind((TunLink::address(Side::B), 0))).unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let mut sender = link.run_in(Side::A, || TcpStream::connect(address)).unwrap().unwrap();
        let sending = thread::spawn(move || sender.write_all(&[7; BYTES]));
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        sending.join().unwrap().unwrap();
        assert_eq!(received, [7; BYTES]);
        let log = link.handle().log(Direction::AToB);
        let sent: Vec<_> = log
            .records()
            .filter_map(|record| match record.fate {
                PacketFate::Delivered { sent, .. } => Some((sent, record.bytes)),
                _ => None,
            })
            .collect();
        let micros = (sent.last().unwrap().0 - sent[0].0).as_micros();
        let bits = sent[1..].iter().map(|(_, bytes)| bytes * 8).sum::<usize>() as u128;
        assert!(bits <= micros * 4 + 4, "{bits} bits in {micros} µs");
    }

    #[test]
    fn streams_and_what_a_relay_carries_wait_in_the_same_queue() {
        let slow = LinkConfig::builder().bps(1_000_000).queue(Duration::from_secs(2)).build().unwrap();
        let (link, relay) = TunLink::beside_relay(slow, LinkConfig::default()).unwrap();
        let handle = relay.handle();
        handle.start_headers();
        let [a, b] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        b.set_read_timeout(Some(PATIENCE)).unwrap();
        let to_b = relay.front_for_b(b.local_addr().unwrap()).unwrap();
        let listener =
            link.run_in(Side::B, || TcpListener::bind((TunLink::address(Side::B), 0))).unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        // Half a second's worth, behind which the stream has to wait from its first packet on.
        for _ in 0..60 {
            a.send_to(&[2; 1_000], to_b).unwrap();
        }
        while handle.counters(Direction::AToB).packets_in < 60 {
            thread::yield_now();
        }
        let mut sender = link.run_in(Side::A, || TcpStream::connect(address)).unwrap().unwrap();
        sender.write_all(b"one packet").unwrap();
        drop(sender);
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"one packet");
        let mut buffer = [0; 2_000];
        let datagrams: usize = (0..60).map(|_| b.recv(&mut buffer).unwrap()).sum();
        assert_eq!(datagrams, 60_000);
        let (headers, [log, _]) = handle.stop_headers();
        let there = headers.iter().filter(|header| header.direction == Direction::AToB);
        let first = there.zip(log.records()).find(|(header, _)| header.is_tcp()).unwrap().1;
        let PacketFate::Delivered { queued, .. } = first.fate else { panic!("{first:?}") };
        assert!(queued > Duration::from_millis(200), "it waited {queued:?}");
    }

    #[test]
    fn programs_run_inside_and_find_only_the_link() {
        let link = TunLink::start(LinkConfig::default(), LinkConfig::default()).unwrap();
        let output = link.command_in(Side::B, "ip").args(["-brief", "address"]).output().unwrap();
        let interfaces = String::from_utf8(output.stdout).unwrap();
        let names: Vec<_> = interfaces.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["lo", "ahoy0"]);
        assert!(interfaces.contains("198.18.0.2/30"), "{interfaces}");
    }

    #[test]
    fn two_links_live_side_by_side_and_leave_nothing_behind() {
        let start = || TunLink::start(LinkConfig::default(), LinkConfig::default()).unwrap();
        let (one, two) = (start(), start());
        let names: Vec<String> = [&one, &two]
            .iter()
            .flat_map(|link| [Side::A, Side::B].map(|side| link.namespace(side).to_owned()))
            .collect();
        let exists = |name: &String| std::path::Path::new("/run/netns").join(name).exists();
        assert!(names.iter().all(exists));
        drop(one);
        let (a, b) = (udp(&two, Side::A), udp(&two, Side::B));
        a.send_to(b"still here", b.local_addr().unwrap()).unwrap();
        assert_eq!(b.recv(&mut [0; 32]).unwrap(), 10);
        drop(two);
        assert!(!names.iter().any(exists));
    }
}
