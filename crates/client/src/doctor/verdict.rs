//! What the findings mean: conclusions, the worst first. Pure.

use std::net::Ipv6Addr;

use schemars::JsonSchema;
use serde::Serialize;

use super::findings::{
    Behaviour, ClockFinding, Family, Findings, NameOutcome, RelayOutcome, RelayWay, ServerOutcome,
    SessionOutcome,
};
use super::words;

/// How bad something is. The worst is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// No call comes about.
    CallsImpossible,
    /// Calls with some people do not come about, or break up.
    SomeCallsFail,
    /// Calls come about, and work less well than they could.
    CallsWorkLessWell,
    /// Nothing that calls suffer from.
    Note,
}

/// What is wrong. Names are never reused for something else; of two that are as bad the one that stands first here comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ConclusionCode {
    /// This machine is in no network.
    NoNetwork,
    /// This machine's clock is wrong.
    ClockWrong,
    /// No name server answers.
    NameServerSilent,
    /// Nobody knows the server's name.
    NameUnknown,
    /// Something in between wants a sign-in or a click first.
    CaptivePortal,
    /// The proxy does not lead to the server.
    ProxyRefuses,
    /// The server's machine is there, the server is not.
    ServerDown,
    /// Nothing comes back from the server.
    ServerBlocked,
    /// The server says that something is wrong with it.
    ServerUnwell,
    /// The server's certificate has expired, or does not count yet.
    CertificateExpired,
    /// The server's certificate is for another name.
    CertificateName,
    /// Nobody who is believed vouches for the server's certificate.
    CertificateUntrusted,
    /// Something else answers at the server's address.
    NotAhoy,
    /// The server has signed this device out.
    SignedOut,
    /// The server answers, but there is no session with it.
    SignalingFails,
    /// The relay does not believe the credentials that the server makes.
    RelayRefusesCredentials,
    /// The relay refuses for another reason.
    RelayRefuses,
    /// The relays do not answer.
    RelayDown,
    /// The server names no relay.
    NoRelay,
    /// Relays give addresses and pass nothing on.
    RelayPassesNothing,
    /// What goes through the relay gets lost.
    RelayLossy,
    /// Nothing but port 443 leads out, so that only relays over TLS are reached.
    RelayOnlyTls,
    /// Datagrams get out, and no answers get in.
    UdpOneWay,
    /// No datagram gets through.
    UdpBlocked,
    /// What goes through the relay takes long.
    RelaySlow,
    /// There is IPv6, and it leads nowhere.
    Ipv6Broken,
    /// Everybody sees another address of this machine.
    NatSymmetric,
    /// This machine's clock is off, but nothing suffers from it.
    ClockOff,
    /// Nobody is signed in, so that relays could not be looked at.
    NotSignedIn,
    /// Nothing is wrong.
    AllWell,
}

/// Something that the findings say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Conclusion {
    /// Stable name for programs.
    pub code: ConclusionCode,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to do about it, in one sentence.
    pub advice: String,
}

/// A clock that is off by more than this is told: what is compared is exact to a second or two.
pub(super) const CLOCK_OFF_S: f64 = 30.0;
/// Of the datagrams that a relay passes on twice as many get lost as of those of a call. From here on sound has gaps.
const LOSS_MOST: f64 = 0.03;
/// From here on a call is no fun: speech codecs hide single losses, not these.
const LOSS_SPOILS: f64 = 0.15;
/// One way. People begin to interrupt each other at 150 to 200 ms (ITU-T G.114), of which devices and buffers need a third.
const DELAY_MOST_MS: f64 = 150.0;

/// All conclusions, the worst first. There is at least one.
pub fn conclude(findings: &Findings) -> Vec<Conclusion> {
    let mut found: Vec<(Severity, ConclusionCode)> = Vec::new();
    found.extend(way_to_server(findings));
    found.extend(session(findings));
    found.extend(relays(findings));
    found.extend(quality(findings));
    found.extend(ipv6(findings));
    found.extend(nat(findings));
    found.extend(clock(findings));
    found.sort_unstable();
    found.dedup_by_key(|(_, code)| *code);
    let only_notes = found.iter().all(|(severity, _)| *severity == Severity::Note);
    if only_notes && found.iter().all(|(_, code)| *code != ConclusionCode::NotSignedIn) {
        found.insert(0, (Severity::Note, ConclusionCode::AllWell));
    }
    let conclusion = |(severity, code)| {
        let (what, advice) = words::of(code, findings);
        Conclusion { code, severity, what, advice }
    };
    found.into_iter().map(conclusion).collect()
}

type Found = Option<(Severity, ConclusionCode)>;

fn way_to_server(findings: &Findings) -> Found {
    let impossible = |code| Some((Severity::CallsImpossible, code));
    let answers = findings.server.as_ref().is_some_and(|server| server.outcome == ServerOutcome::Ahoy);
    if findings.addresses.is_empty() && !findings.is_here && !answers {
        return impossible(ConclusionCode::NoNetwork);
    }
    match findings.name.as_ref().map(|name| name.outcome) {
        Some(NameOutcome::Unknown) => return impossible(ConclusionCode::NameUnknown),
        Some(NameOutcome::Silent) => return impossible(ConclusionCode::NameServerSilent),
        Some(NameOutcome::Found) | None => {}
    }
    let explained = findings.clock.as_ref().is_some_and(|clock| clock.explains_certificate);
    impossible(match findings.server.as_ref()?.outcome {
        ServerOutcome::Ahoy => return None,
        ServerOutcome::Unwell => ConclusionCode::ServerUnwell,
        ServerOutcome::NotAhoy | ServerOutcome::NotTls => ConclusionCode::NotAhoy,
        ServerOutcome::CaptivePortal => ConclusionCode::CaptivePortal,
        ServerOutcome::NoRoute => ConclusionCode::NoNetwork,
        ServerOutcome::Refused => ConclusionCode::ServerDown,
        ServerOutcome::TimedOut | ServerOutcome::BrokenOff => ConclusionCode::ServerBlocked,
        ServerOutcome::CertificateExpired | ServerOutcome::CertificateNotYetValid if explained => {
            ConclusionCode::ClockWrong
        }
        ServerOutcome::CertificateExpired | ServerOutcome::CertificateNotYetValid => {
            ConclusionCode::CertificateExpired
        }
        ServerOutcome::CertificateName => ConclusionCode::CertificateName,
        ServerOutcome::CertificateUntrusted => ConclusionCode::CertificateUntrusted,
        ServerOutcome::ProxyRefuses => ConclusionCode::ProxyRefuses,
    })
}

fn session(findings: &Findings) -> Found {
    match findings.session.as_ref()?.outcome {
        SessionOutcome::Online => None,
        SessionOutcome::NoAccount => Some((Severity::Note, ConclusionCode::NotSignedIn)),
        SessionOutcome::SignedOut => Some((Severity::CallsImpossible, ConclusionCode::SignedOut)),
        SessionOutcome::Failed => Some((Severity::CallsImpossible, ConclusionCode::SignalingFails)),
    }
}

/// What of UDP and relays is there. Nothing is said of them without a session, which names them.
fn relays(findings: &Findings) -> Vec<(Severity, ConclusionCode)> {
    let online = findings.session.as_ref().filter(|session| session.outcome == SessionOutcome::Online);
    let Some(online) = online else { return Vec::new() };
    if online.relays == 0 {
        return vec![(Severity::SomeCallsFail, ConclusionCode::NoRelay)];
    }
    let udp_works = findings.udp.iter().any(|udp| udp.mapped.is_some());
    let has = |way| {
        let of_way = findings.relays.iter().filter(move |relay| relay.way == way);
        of_way.into_iter().any(|relay| relay.outcome == RelayOutcome::Allocated)
    };
    let (udp, tcp, tls) = (has(RelayWay::Udp), has(RelayWay::Tcp), has(RelayWay::Tls));
    let mut found = Vec::new();
    if !(udp || tcp || tls) {
        let codes = || findings.relays.iter().filter_map(|relay| relay.code);
        let code = match (codes().next(), codes().any(is_about_credentials)) {
            (None, _) => ConclusionCode::RelayDown,
            (Some(_), true) => ConclusionCode::RelayRefusesCredentials,
            (Some(_), false) => ConclusionCode::RelayRefuses,
        };
        // Where datagrams get through, calls with many people need no relay.
        let severity = if udp_works { Severity::SomeCallsFail } else { Severity::CallsImpossible };
        found.push((severity, code));
    }
    // Of a relay that is reached by no way it is not known whether UDP is to blame.
    let is_reached = udp || tcp || tls || findings.relays.iter().any(|relay| relay.code.is_some());
    if is_reached && !udp && !udp_works {
        let asked_tcp = findings.relays.iter().any(|relay| relay.way == RelayWay::Tcp);
        let gets_out = findings.nat.iter().any(|nat| nat.gets_out == Some(true));
        let code = match (tcp, tls, asked_tcp, gets_out) {
            (_, _, _, true) => ConclusionCode::UdpOneWay,
            (false, true, true, false) => ConclusionCode::RelayOnlyTls,
            (_, _, _, false) => ConclusionCode::UdpBlocked,
        };
        found.push((Severity::CallsWorkLessWell, code));
    }
    found
}

/// Unauthenticated and forbidden (RFC 8489 section 14.8, RFC 8656 section 19), and credentials of somebody else.
fn is_about_credentials(code: u16) -> bool {
    const UNAUTHENTICATED: u16 = 401;
    const FORBIDDEN: u16 = 403;
    const WRONG_CREDENTIALS: u16 = 441;
    matches!(code, UNAUTHENTICATED | FORBIDDEN | WRONG_CREDENTIALS)
}

fn quality(findings: &Findings) -> Vec<(Severity, ConclusionCode)> {
    let Some(call) = &findings.call else { return Vec::new() };
    if call.connected_ms.is_none() || (call.sent > 0 && call.received == 0) {
        return vec![(Severity::SomeCallsFail, ConclusionCode::RelayPassesNothing)];
    }
    let loss = call.loss.filter(|loss| *loss > LOSS_MOST).map(|loss| {
        let severity = if loss > LOSS_SPOILS { Severity::SomeCallsFail } else { Severity::CallsWorkLessWell };
        (severity, ConclusionCode::RelayLossy)
    });
    let slow = call.delay_ms.is_some_and(|delay| delay > DELAY_MOST_MS);
    loss.into_iter().chain(slow.then_some((Severity::CallsWorkLessWell, ConclusionCode::RelaySlow))).collect()
}

/// IPv6 that leads nowhere where IPv4 does.
fn ipv6(findings: &Findings) -> Found {
    let of = |family| {
        let connected = findings.families.iter().filter(move |one| one.family == family);
        let asked = findings.udp.iter().filter(move |one| one.family == family);
        connected.map(|one| one.connected_ms.is_some()).chain(asked.map(|one| one.mapped.is_some()))
    };
    let (tried, works) = (of(Family::Ipv6).count() > 0, of(Family::Ipv6).any(|works| works));
    let other_works = of(Family::Ipv4).any(|works| works);
    // Addresses that count in one house or company only lead nowhere by design.
    let has_public = findings.addresses.iter().any(|address| address.parse().is_ok_and(is_public));
    (has_public && tried && !works && other_works)
        .then_some((Severity::CallsWorkLessWell, ConclusionCode::Ipv6Broken))
}

/// Whether an address is one of those that are given to everybody (2000::/3, RFC 4291 section 2.4).
fn is_public(address: Ipv6Addr) -> bool {
    address.segments()[0] >> 13 == 0b001
}

fn nat(findings: &Findings) -> Found {
    let symmetric = findings
        .nat
        .iter()
        .any(|nat| matches!(nat.mapping, Behaviour::AddressAndPortDependent | Behaviour::AddressDependent));
    // A family without translation leads to those who have it too, not to the others.
    let relayed = findings.relays.iter().any(|relay| relay.outcome == RelayOutcome::Allocated);
    let severity = if relayed { Severity::Note } else { Severity::SomeCallsFail };
    symmetric.then_some((severity, ConclusionCode::NatSymmetric))
}

fn clock(findings: &Findings) -> Found {
    let ClockFinding { ahead_s, is_proven, .. } = findings.clock.as_ref()?;
    (*is_proven && ahead_s.abs() > CLOCK_OFF_S).then_some((Severity::Note, ConclusionCode::ClockOff))
}
