use super::findings::*;
use super::verdict::{ConclusionCode as Code, Severity, conclude};

fn server(outcome: ServerOutcome) -> ServerFinding {
    ServerFinding {
        server: "https://call.example.org".to_owned(),
        outcome,
        connected_ms: None,
        secured_ms: None,
        answered_ms: None,
        status: None,
        detail: None,
    }
}

fn session(outcome: SessionOutcome) -> SessionFinding {
    SessionFinding { outcome, online_ms: None, stun_servers: 1, relays: 3, detail: None }
}

fn udp(family: Family, answers: bool) -> UdpFinding {
    UdpFinding {
        server: "198.51.100.1:3478".to_owned(),
        family,
        local: "192.0.2.1:5000".to_owned(),
        mapped: answers.then(|| "203.0.113.1:5000".to_owned()),
        round_trip_ms: answers.then_some(20.0),
    }
}

fn relay(way: RelayWay, outcome: RelayOutcome, code: Option<u16>) -> RelayFinding {
    RelayFinding {
        server: "turn:call.example.org".to_owned(),
        way,
        family: Some(Family::Ipv4),
        outcome,
        code,
        allocated_ms: None,
        relayed: Vec::new(),
        detail: None,
    }
}

/// The relay by UDP, TCP and TLS.
fn by_three(outcomes: [RelayOutcome; 3]) -> Vec<RelayFinding> {
    let ways = [RelayWay::Udp, RelayWay::Tcp, RelayWay::Tls];
    ways.into_iter().zip(outcomes).map(|(way, outcome)| relay(way, outcome, None)).collect()
}

fn nat(mapping: Behaviour, gets_out: Option<bool>) -> Vec<NatFinding> {
    let family = Family::Ipv4;
    vec![NatFinding { family, is_translated: Some(true), mapping, filtering: Behaviour::Unknown, gets_out }]
}

fn call(loss: f64, delay_ms: f64) -> CallFinding {
    CallFinding {
        way: Some(RelayWay::Udp),
        connected_ms: Some(100.0),
        sent: 200,
        received: 100,
        loss: Some(loss),
        delay_ms: Some(delay_ms),
        jitter_ms: Some(1.0),
    }
}

use RelayOutcome::{Allocated, Refused, Silent, Unreachable};

/// A machine on which nothing is wrong.
fn well() -> Findings {
    Findings {
        addresses: vec!["192.0.2.1".to_owned()],
        server: Some(server(ServerOutcome::Ahoy)),
        clock: Some(ClockFinding { ahead_s: 0.2, is_proven: true, explains_certificate: false }),
        session: Some(session(SessionOutcome::Online)),
        udp: vec![udp(Family::Ipv4, true)],
        relays: by_three([Allocated; 3]),
        nat: nat(Behaviour::PortIndependent, Some(true)),
        path: Some(ExpectedPath::Direct),
        call: Some(call(0.0, 20.0)),
        ..Findings::default()
    }
}

/// What is known when nothing beyond the server could be looked at.
fn only(outcome: ServerOutcome) -> Findings {
    Findings { addresses: vec!["192.0.2.1".to_owned()], server: Some(server(outcome)), ..Findings::default() }
}

fn codes(findings: &Findings) -> Vec<Code> {
    conclude(findings).into_iter().map(|conclusion| conclusion.code).collect()
}

#[test]
fn where_nothing_is_wrong_it_says_so() {
    assert_eq!(codes(&well()), [Code::AllWell]);
}

#[test]
fn each_outcome_at_the_server_has_its_name() {
    use ServerOutcome as S;
    for (outcome, code) in [
        (S::Unwell, Code::ServerUnwell),
        (S::NotAhoy, Code::NotAhoy),
        (S::NotTls, Code::NotAhoy),
        (S::CaptivePortal, Code::CaptivePortal),
        (S::NoRoute, Code::NoNetwork),
        (S::Refused, Code::ServerDown),
        (S::TimedOut, Code::ServerBlocked),
        (S::BrokenOff, Code::ServerBlocked),
        (S::CertificateExpired, Code::CertificateExpired),
        (S::CertificateNotYetValid, Code::CertificateExpired),
        (S::CertificateName, Code::CertificateName),
        (S::CertificateUntrusted, Code::CertificateUntrusted),
        (S::ProxyRefuses, Code::ProxyRefuses),
    ] {
        let conclusions = conclude(&only(outcome));
        assert_eq!(conclusions.len(), 1, "{outcome:?}");
        let first = &conclusions[0];
        assert_eq!((first.code, first.severity), (code, Severity::CallsImpossible), "{outcome:?}");
    }
}

#[test]
fn a_certificate_that_counts_by_the_server_s_clock_blames_this_one() {
    let clock = ClockFinding { ahead_s: 3.5e7, is_proven: false, explains_certificate: true };
    for outcome in [ServerOutcome::CertificateExpired, ServerOutcome::CertificateNotYetValid] {
        let findings = Findings { clock: Some(clock.clone()), ..only(outcome) };
        assert_eq!(codes(&findings), [Code::ClockWrong]);
    }
    let off = ClockFinding { ahead_s: 40.0, is_proven: true, explains_certificate: false };
    assert_eq!(codes(&Findings { clock: Some(off), ..well() }), [Code::AllWell, Code::ClockOff]);
}

#[test]
fn before_the_server_come_network_and_name() {
    let nowhere = Findings { addresses: Vec::new(), ..only(ServerOutcome::TimedOut) };
    assert_eq!(codes(&nowhere), [Code::NoNetwork]);
    assert_eq!(codes(&Findings { is_here: true, addresses: Vec::new(), ..well() }), [Code::AllWell]);
    for (outcome, code) in
        [(NameOutcome::Unknown, Code::NameUnknown), (NameOutcome::Silent, Code::NameServerSilent)]
    {
        let name = NameFinding {
            name: "call.example.org".to_owned(),
            outcome,
            families: Vec::new(),
            took_ms: 1.0,
            detail: None,
        };
        let findings =
            Findings { addresses: vec!["192.0.2.1".to_owned()], name: Some(name), ..Findings::default() };
        assert_eq!(codes(&findings), [code]);
    }
}

#[test]
fn without_a_session_nothing_is_said_of_relays() {
    for (outcome, code, severity) in [
        (SessionOutcome::NoAccount, Code::NotSignedIn, Severity::Note),
        (SessionOutcome::SignedOut, Code::SignedOut, Severity::CallsImpossible),
        (SessionOutcome::Failed, Code::SignalingFails, Severity::CallsImpossible),
    ] {
        let findings = Findings { session: Some(session(outcome)), ..only(ServerOutcome::Ahoy) };
        let conclusions = conclude(&findings);
        assert_eq!((conclusions.len(), conclusions[0].code), (1, code));
        assert_eq!(conclusions[0].severity, severity);
    }
}

#[test]
fn what_is_wrong_with_udp_is_told_by_what_else_gets_through() {
    let mapping = Behaviour::Unknown;
    for (relays, gets_out, code) in [
        ([Silent, Allocated, Allocated], Some(false), Code::UdpBlocked),
        ([Silent, Allocated, Allocated], None, Code::UdpBlocked),
        ([Silent, Allocated, Unreachable], Some(true), Code::UdpOneWay),
        ([Silent, Unreachable, Allocated], Some(false), Code::RelayOnlyTls),
        ([Silent, Unreachable, Allocated], Some(true), Code::UdpOneWay),
    ] {
        let findings = Findings {
            udp: vec![udp(Family::Ipv4, false)],
            relays: by_three(relays),
            nat: nat(mapping, gets_out),
            path: Some(ExpectedPath::RelayTcp),
            ..well()
        };
        let conclusions = conclude(&findings);
        assert_eq!((conclusions.len(), conclusions[0].code), (1, code), "{relays:?} {gets_out:?}");
        assert_eq!(conclusions[0].severity, Severity::CallsWorkLessWell);
    }
}

#[test]
fn relays_of_which_there_is_none_are_told_apart_by_why() {
    for (code, expected) in [
        (401, Code::RelayRefusesCredentials),
        (403, Code::RelayRefusesCredentials),
        (441, Code::RelayRefusesCredentials),
        (486, Code::RelayRefuses),
        (508, Code::RelayRefuses),
    ] {
        let relays = vec![relay(RelayWay::Udp, Refused, Some(code)), relay(RelayWay::Tcp, Silent, None)];
        let findings = Findings { relays, call: None, ..well() };
        let first = conclude(&findings).swap_remove(0);
        assert_eq!((first.code, first.severity), (expected, Severity::SomeCallsFail), "{code}");
    }
    let down = Findings { relays: by_three([Silent, Unreachable, Unreachable]), call: None, ..well() };
    assert_eq!(conclude(&down)[0].severity, Severity::SomeCallsFail);
    let nothing = Findings { udp: vec![udp(Family::Ipv4, false)], nat: Vec::new(), ..down };
    let first = conclude(&nothing).swap_remove(0);
    assert_eq!((first.code, first.severity), (Code::RelayDown, Severity::CallsImpossible));
    let none = SessionFinding { relays: 0, ..session(SessionOutcome::Online) };
    let findings = Findings { session: Some(none), relays: Vec::new(), call: None, ..well() };
    assert_eq!(codes(&findings), [Code::NoRelay]);
}

#[test]
fn a_relay_is_judged_by_what_it_passes_on() {
    for (call, expected) in [
        (call(0.02, 100.0), None),
        (call(0.05, 100.0), Some((Code::RelayLossy, Severity::CallsWorkLessWell))),
        (call(0.36, 100.0), Some((Code::RelayLossy, Severity::SomeCallsFail))),
        (call(0.0, 300.0), Some((Code::RelaySlow, Severity::CallsWorkLessWell))),
        (
            CallFinding { connected_ms: None, ..call(0.0, 1.0) },
            Some((Code::RelayPassesNothing, Severity::SomeCallsFail)),
        ),
        (
            CallFinding { received: 0, ..call(1.0, 1.0) },
            Some((Code::RelayPassesNothing, Severity::SomeCallsFail)),
        ),
    ] {
        let first = conclude(&Findings { call: Some(call), ..well() }).swap_remove(0);
        let (code, severity) = expected.unwrap_or((Code::AllWell, Severity::Note));
        assert_eq!((first.code, first.severity), (code, severity));
    }
}

#[test]
fn ipv6_is_broken_only_where_ipv4_works() {
    let well = || Findings { addresses: vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()], ..well() };
    let both = |v4, v6| Findings { udp: vec![udp(Family::Ipv4, v4), udp(Family::Ipv6, v6)], ..well() };
    assert_eq!(codes(&both(true, false)), [Code::Ipv6Broken]);
    assert_eq!(codes(&both(true, true)), [Code::AllWell]);
    assert!(!codes(&both(false, false)).contains(&Code::Ipv6Broken));
    let connection =
        |family, connected_ms| FamilyFinding { family, address: String::new(), connected_ms, detail: None };
    let families = vec![connection(Family::Ipv4, Some(1.0)), connection(Family::Ipv6, None)];
    assert_eq!(codes(&Findings { families: families.clone(), ..well() }), [Code::Ipv6Broken]);
    let at_home_only = vec!["192.0.2.1".to_owned(), "fd00::2".to_owned()];
    assert_eq!(codes(&Findings { families, addresses: at_home_only, ..well() }), [Code::AllWell]);
}

#[test]
fn a_symmetric_nat_is_bad_only_without_a_relay() {
    let symmetric = Findings { nat: nat(Behaviour::AddressAndPortDependent, Some(true)), ..well() };
    assert_eq!(codes(&symmetric), [Code::AllWell, Code::NatSymmetric]);
    let alone = Findings { relays: by_three([Silent; 3]), call: None, ..symmetric };
    let conclusions = conclude(&alone);
    assert_eq!(conclusions[1].code, Code::NatSymmetric);
    assert_eq!(conclusions[1].severity, Severity::SomeCallsFail);
}

#[test]
fn the_worst_comes_first() {
    let findings = Findings {
        session: Some(session(SessionOutcome::Online)),
        addresses: vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()],
        udp: vec![udp(Family::Ipv4, true), udp(Family::Ipv6, false)],
        nat: nat(Behaviour::AddressAndPortDependent, Some(true)),
        call: Some(call(0.3, 400.0)),
        ..well()
    };
    let expected = [Code::RelayLossy, Code::RelaySlow, Code::Ipv6Broken, Code::NatSymmetric];
    assert_eq!(codes(&findings), expected);
}

#[test]
fn conclusions_say_what_to_do_in_sentences() {
    for outcome in [ServerOutcome::CaptivePortal, ServerOutcome::ProxyRefuses, ServerOutcome::Ahoy] {
        for conclusion in conclude(&only(outcome)) {
            for sentence in [conclusion.what, conclusion.advice] {
                assert!(sentence.ends_with('.') && sentence.starts_with(char::is_uppercase), "{sentence}");
            }
        }
    }
}
