//! `ahoy-cli doctor` finds faults that are really there: in networks in namespaces, at the real server, in the clock. Needs root,
//! and `ahoy-cli` and `ahoy-server` beside `ahoy-lab`, where the tests of the whole workspace have them built.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

mod needs_root {
    use std::collections::VecDeque;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::thread;
    use std::time::{Duration, Instant};

    use ahoy_testkit::lab::nat::{Kind, Link};
    use ahoy_testkit::{Direction, LinkConfig};

    use crate::world::{DAY, Paper, Relay, Report, World, cli};

    /// A fault: what it is, what the first conclusion has to be, and how it is done.
    type Fault = (&'static str, &'static str, fn() -> Report);

    const FAULTS: [Fault; 17] = [
        ("nothing", "all_well", || World::well(Kind::PortRestricted).sign_up().doctor()),
        ("wrong clock", "clock_wrong", wrong_clock),
        ("all UDP blocked", "udp_blocked", || World::well(Kind::UdpBlocked).sign_up().doctor()),
        ("bad TURN secret", "relay_refuses_credentials", || {
            let relay = Relay::Apart { same_secret: false };
            World::served(Kind::PortRestricted, Link::Wire, &Paper::default(), relay).sign_up().doctor()
        }),
        ("expired certificate", "certificate_expired", || {
            with_paper(Paper { valid: [-90 * DAY, -30 * DAY], ..Paper::default() })
        }),
        ("certificate of another name", "certificate_name", || {
            with_paper(Paper { name: Some("other.example.org"), ..Paper::default() })
        }),
        ("untrusted certificate", "certificate_untrusted", || {
            let world = World::well(Kind::PortRestricted);
            world.examined(world.command(cli()), &world.url(), false)
        }),
        ("no name server", "name_server_silent", || {
            let world = World::new(Kind::PortRestricted, Link::Wire);
            world.examined(world.command_with_name_server(), "https://call.example.org", true)
        }),
        ("unknown name", "name_unknown", || {
            let world = World::new(Kind::PortRestricted, Link::Wire);
            world.name_server();
            world.examined(world.command_with_name_server(), "https://call.example.org", true)
        }),
        ("server down", "server_down", || World::new(Kind::PortRestricted, Link::Wire).doctor()),
        ("server blocked", "server_blocked", || {
            let world = World::well(Kind::PortRestricted);
            world.rules(&dropping("tcp sport 443"));
            world.doctor()
        }),
        ("captive portal", "captive_portal", captive_portal),
        ("answers to UDP dropped", "udp_one_way", || {
            let world = World::well(Kind::PortRestricted).sign_up();
            world.rules(&dropping("meta l4proto udp"));
            world.doctor()
        }),
        ("relay down", "relay_down", || {
            let world = World::served(Kind::PortRestricted, Link::Wire, &Paper::default(), Relay::Gone);
            world.sign_up().doctor()
        }),
        ("only port 443", "relay_only_tls", || World::well(Kind::Tcp443Only).sign_up().doctor()),
        ("lossy link", "relay_lossy", lossy_link),
        ("broken IPv6", "ipv6_broken", || World::well(Kind::DualStackDeadV6).sign_up().doctor()),
    ];

    /// Faults that are tried at once: each waits most of the time.
    const AT_ONCE: usize = 4;
    /// The share of lost packets, each way.
    const LOSS: f64 = 0.2;

    fn wrong_clock() -> Report {
        let world = World::well(Kind::PortRestricted);
        let mut command = world.command("faketime");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").args(["-f", "+400d"]).arg(cli());
        world.examined(command, &world.url(), true)
    }

    fn with_paper(paper: Paper) -> Report {
        World::served(Kind::PortRestricted, Link::Wire, &paper, Relay::Own).doctor()
    }

    /// Rules that drop what comes in.
    fn dropping(what: &str) -> String {
        format!(
            "table inet firewall {{ chain input {{ type filter hook input priority filter; iifname eth0 {what} drop; }}; }}\n"
        )
    }

    fn captive_portal() -> Report {
        const PORT: u16 = 8080;
        let world = World::well(Kind::PortRestricted);
        world.portal(PORT);
        world.rules(&format!(
            "table ip portal {{ chain output {{ type nat hook output priority -100; tcp dport {{ 80, 443 }} redirect to :{PORT}; }}; }}\n"
        ));
        world.doctor()
    }

    fn lossy_link() -> Report {
        let link = Link::Emulated { up: Box::default(), down: Box::default() };
        let world = World::served(Kind::PortRestricted, link, &Paper::default(), Relay::Own).sign_up();
        let handle = world.side.link(0).unwrap();
        for (direction, seed) in [(Direction::AToB, 1), (Direction::BToA, 2)] {
            handle.set(direction, LinkConfig::builder().random_loss(LOSS).seed(seed).build().unwrap());
        }
        world.doctor()
    }

    struct Row {
        fault: &'static str,
        expected: &'static str,
        found: Vec<String>,
        code: Option<i32>,
        took: Duration,
    }

    impl Row {
        fn of((fault, expected, inject): Fault) -> Self {
            let began = Instant::now();
            let report = catch_unwind(AssertUnwindSafe(inject));
            let took = began.elapsed();
            let (found, code) = match report {
                Ok(report) => (report.codes().into_iter().map(str::to_owned).collect(), report.code),
                Err(_) => (vec!["could not be tried".to_owned()], None),
            };
            Self { fault, expected, found, code, took }
        }

        fn is_named(&self) -> bool {
            self.found.first().is_some_and(|first| first == self.expected)
        }
    }

    #[test]
    fn what_is_wrong_is_the_first_conclusion() {
        let waiting = Mutex::new(VecDeque::from(FAULTS));
        let rows = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let Some(fault) = waiting.lock().unwrap().pop_front() else { return };
                        let row = Row::of(fault);
                        rows.lock().unwrap().push(row);
                    }
                });
            }
        });
        let rows = rows.into_inner().unwrap();
        for row in &rows {
            let mark = if row.is_named() { "named" } else { "WRONG" };
            let (seconds, found) = (row.took.as_secs_f64(), row.found.join(", "));
            println!("{mark}  {:<28} {seconds:5.1} s  exit {:?}  {found}", row.fault, row.code);
        }
        let wrong: Vec<_> = rows.iter().filter(|row| !row.is_named()).map(|row| row.fault).collect();
        assert!(wrong.is_empty(), "not named: {wrong:?}");
    }

    #[test]
    fn somebody_without_an_account_learns_of_the_server_and_that_there_is_more() {
        let report = World::well(Kind::PortRestricted).doctor();
        assert_eq!(report.codes(), ["not_signed_in"]);
        assert_eq!((report.code, report.json["ok"].as_bool()), (Some(0), Some(true)));
        assert!(report.json["findings"]["clock"]["ahead_s"].as_f64().unwrap().abs() < 5.0);
    }

    #[test]
    fn networks_are_told_apart_as_the_standard_does() {
        for (kind, mapping, filtering) in [
            (Kind::Open, "port_independent", "port_independent"),
            (Kind::FullCone, "port_independent", "port_independent"),
            (Kind::PortRestricted, "port_independent", "address_and_port_dependent"),
            (Kind::Symmetric, "address_and_port_dependent", "address_and_port_dependent"),
        ] {
            let report = World::well(kind).sign_up().doctor();
            let nat = &report.json["findings"]["nat"][0];
            assert_eq!(
                (nat["mapping"].as_str(), nat["filtering"].as_str()),
                (Some(mapping), Some(filtering)),
                "{kind}"
            );
            assert_eq!(report.codes()[0], "all_well", "{kind}");
        }
    }
}
