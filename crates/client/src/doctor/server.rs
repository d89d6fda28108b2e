//! The way to the server: its name, a connection in each family, its certificate, who answers, and what time it is there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use ahoy_signal_client::{CertificateFault, KnockError, Knocked, Knocker, LookUpError, Way};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{timeout, timeout_at};

use super::findings::{
    ClockFinding, Family, FamilyFinding, NameFinding, NameOutcome, ServerFinding, ServerOutcome, ms,
};

/// How long a page that takes over connections may take: it is in the same building.
const PORTAL_WITHIN: Duration = Duration::from_secs(3);

/// How much longer the second family may take: one lost packet and a long way.
const OTHER_FAMILY_WITHIN: Duration = Duration::from_secs(2);

/// Looks the server's name up.
pub(super) async fn look_up(knocker: &Knocker, name: &str) -> (NameFinding, Vec<SocketAddr>) {
    let began = Instant::now();
    let found = knocker.look_up().await;
    let took_ms = ms(began.elapsed());
    let (outcome, detail) = match &found {
        Ok(_) => (NameOutcome::Found, None),
        Err(error @ LookUpError::Unknown { .. }) => (NameOutcome::Unknown, Some(error.to_string())),
        Err(error @ LookUpError::Silent { .. }) => (NameOutcome::Silent, Some(error.to_string())),
    };
    let addresses = found.unwrap_or_default();
    let mut families: Vec<_> = addresses.iter().copied().map(Family::of).collect();
    families.sort_unstable();
    families.dedup();
    (NameFinding { name: name.to_owned(), outcome, families, took_ms, detail }, addresses)
}

/// Connects to the server's first address of each family that this machine has too. When one has got there, the other has only
/// a moment more: what takes longer is of no use to anybody.
pub(super) async fn connect(
    knocker: &Knocker,
    addresses: &[SocketAddr],
    own: &[Family],
) -> Vec<(FamilyFinding, Result<SocketAddr, KnockError>)> {
    let first_of = |family: Family| addresses.iter().copied().find(|address| Family::of(*address) == family);
    let targets: Vec<_> = own.iter().copied().filter_map(first_of).collect();
    let dial = |address| async move { (address, knocker.dial(address).await) };
    let mut waiting: FuturesUnordered<_> = targets.iter().copied().map(dial).collect();
    let mut dialed = BTreeMap::new();
    let mut until = None;
    loop {
        let next = match until {
            None => waiting.next().await,
            Some(until) => timeout_at(until, waiting.next()).await.ok().flatten(),
        };
        let Some((address, result)) = next else { break };
        if result.is_ok() {
            until.get_or_insert_with(|| tokio::time::Instant::now() + OTHER_FAMILY_WITHIN);
        }
        dialed.insert(address, result);
    }
    let finding = |address: SocketAddr| {
        let result = dialed.remove(&address).unwrap_or(Err(KnockError::Silent));
        let finding = FamilyFinding {
            family: Family::of(address),
            address: address.to_string(),
            connected_ms: result.as_ref().ok().copied().map(ms),
            detail: result.as_ref().err().map(ToString::to_string),
        };
        (finding, result.map(|_| address))
    };
    targets.into_iter().map(finding).collect()
}

/// Asks who is there.
pub(super) async fn knock(
    knocker: &Knocker,
    server: &str,
    way: Result<Way, KnockError>,
    addresses: &[SocketAddr],
) -> (ServerFinding, Option<ClockFinding>) {
    let knocked = match way {
        Ok(way) => knocker.knock(way).await,
        Err(ref error) => Err(error.clone()),
    };
    let mut finding = finding(server, &knocked);
    // What takes over connections can't have the server's certificate, but answers without one.
    if let (true, Some(address)) = (may_be_a_portal(finding.outcome), addresses.first())
        && let Ok(Some(location)) = timeout(PORTAL_WITHIN, knocker.led_astray(address.ip())).await
    {
        finding.outcome = ServerOutcome::CaptivePortal;
        finding.detail = Some(location);
    }
    let clock = match (knocked, way) {
        (Ok(knocked), _) => knocked.clocks.map(|clocks| clock(clocks, None)),
        (Err(KnockError::Certificate(fault)), Ok(way)) if is_about_time(&fault) => {
            let clocks = knocker.clock_of_anybody(way).await.ok().flatten();
            clocks.map(|clocks| clock(clocks, Some(&fault)))
        }
        (Err(_), _) => None,
    };
    (finding, clock)
}

fn finding(server: &str, knocked: &Result<Knocked, KnockError>) -> ServerFinding {
    let mut finding = ServerFinding {
        server: server.to_owned(),
        outcome: ServerOutcome::BrokenOff,
        connected_ms: None,
        secured_ms: None,
        answered_ms: None,
        status: None,
        detail: None,
    };
    match knocked {
        Ok(knocked) => {
            finding.connected_ms = Some(ms(knocked.connecting));
            finding.secured_ms = knocked.securing.map(ms);
            finding.answered_ms = Some(ms(knocked.answering));
            finding.status = Some(knocked.status);
            finding.detail.clone_from(&knocked.location);
            finding.outcome = match knocked.status {
                _ if knocked.is_ahoy => ServerOutcome::Ahoy,
                // Without TLS a page that takes over connections answers at once.
                300..=399 if knocked.securing.is_none() && knocked.leads_away => ServerOutcome::CaptivePortal,
                500.. => ServerOutcome::Unwell,
                _ => ServerOutcome::NotAhoy,
            };
        }
        Err(error) => {
            finding.detail = Some(error.to_string());
            finding.outcome = match error {
                KnockError::NoRoute(_) => ServerOutcome::NoRoute,
                KnockError::Refused => ServerOutcome::Refused,
                KnockError::Silent => ServerOutcome::TimedOut,
                KnockError::Proxy(_) => ServerOutcome::ProxyRefuses,
                KnockError::Certificate(CertificateFault::Expired { .. }) => {
                    ServerOutcome::CertificateExpired
                }
                KnockError::Certificate(CertificateFault::NotYetValid { .. }) => {
                    ServerOutcome::CertificateNotYetValid
                }
                KnockError::Certificate(CertificateFault::OtherName(_)) => ServerOutcome::CertificateName,
                KnockError::Certificate(CertificateFault::Untrusted(_)) => {
                    ServerOutcome::CertificateUntrusted
                }
                KnockError::NotTls => ServerOutcome::NotTls,
                KnockError::BrokenOff(_) => ServerOutcome::BrokenOff,
                KnockError::NotHttp => ServerOutcome::NotAhoy,
            };
        }
    }
    finding
}

/// Whether somebody in between may be the reason.
fn may_be_a_portal(outcome: ServerOutcome) -> bool {
    match outcome {
        ServerOutcome::NotAhoy
        | ServerOutcome::Refused
        | ServerOutcome::TimedOut
        | ServerOutcome::CertificateName
        | ServerOutcome::CertificateUntrusted
        | ServerOutcome::NotTls
        | ServerOutcome::BrokenOff => true,
        ServerOutcome::Ahoy
        | ServerOutcome::Unwell
        | ServerOutcome::CaptivePortal
        | ServerOutcome::NoRoute
        | ServerOutcome::CertificateExpired
        | ServerOutcome::CertificateNotYetValid
        | ServerOutcome::ProxyRefuses => false,
    }
}

fn is_about_time(fault: &CertificateFault) -> bool {
    match fault {
        CertificateFault::Expired { .. } | CertificateFault::NotYetValid { .. } => true,
        CertificateFault::OtherName(_) | CertificateFault::Untrusted(_) => false,
    }
}

/// What the two clocks say. HTTP tells whole seconds, so the server's is half a second later on average.
fn clock((theirs, ours): (SystemTime, SystemTime), fault: Option<&CertificateFault>) -> ClockFinding {
    /// A certificate whose dates are not told counts for months, and a clock that is off by less can't be the reason.
    const A_DAY: Duration = Duration::from_secs(86_400);
    let theirs = theirs + Duration::from_millis(500);
    let ahead_s = match ours.duration_since(theirs) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    let is_far = ahead_s.abs() > A_DAY.as_secs_f64();
    let explains_certificate = match fault {
        Some(CertificateFault::Expired { not_after: Some(end) }) => theirs < *end,
        Some(CertificateFault::Expired { not_after: None }) => is_far && ahead_s > 0.0,
        Some(CertificateFault::NotYetValid { not_before: Some(start) }) => theirs >= *start,
        Some(CertificateFault::NotYetValid { not_before: None }) => is_far && ahead_s < 0.0,
        Some(CertificateFault::OtherName(_) | CertificateFault::Untrusted(_)) | None => false,
    };
    let ahead_s = (ahead_s * 10.0).round() / 10.0;
    ClockFinding { ahead_s, is_proven: fault.is_none(), explains_certificate }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(days: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + days * DAY
    }

    #[test]
    fn a_clock_explains_a_certificate_that_counts_by_the_other_one() {
        for (theirs, ours, fault, expected) in [
            (100, 500, CertificateFault::Expired { not_after: Some(at(190)) }, true),
            (500, 500, CertificateFault::Expired { not_after: Some(at(190)) }, false),
            (200, 500, CertificateFault::Expired { not_after: Some(at(190)) }, false),
            (100, 500, CertificateFault::Expired { not_after: None }, true),
            (500, 100, CertificateFault::Expired { not_after: None }, false),
            (500, 100, CertificateFault::NotYetValid { not_before: Some(at(400)) }, true),
            (100, 100, CertificateFault::NotYetValid { not_before: Some(at(400)) }, false),
            (500, 100, CertificateFault::NotYetValid { not_before: None }, true),
        ] {
            let clock = clock((at(theirs), at(ours)), Some(&fault));
            assert_eq!(clock.explains_certificate, expected, "{fault:?} {theirs} {ours}");
            assert!(!clock.is_proven);
        }
    }

    #[test]
    fn half_a_second_is_what_a_clock_of_whole_seconds_is_behind() {
        let told = clock((at(10), at(10) + Duration::from_millis(900)), None);
        assert_eq!((told.ahead_s, told.is_proven), (0.4, true));
        assert_eq!(clock((at(10), at(10)), None).ahead_s, -0.5);
    }

    #[test]
    fn a_redirection_without_tls_is_somebody_in_between() {
        let answer = |status, securing, leads_away| Knocked {
            connecting: Duration::ZERO,
            securing,
            answering: Duration::ZERO,
            status,
            is_ahoy: false,
            leads_away,
            location: Some("http://portal.example/".to_owned()),
            clocks: None,
        };
        let outcome = |knocked| finding("s", &Ok(knocked)).outcome;
        assert_eq!(outcome(answer(302, None, true)), ServerOutcome::CaptivePortal);
        assert_eq!(outcome(answer(302, Some(Duration::ZERO), true)), ServerOutcome::NotAhoy);
        assert_eq!(outcome(answer(302, None, false)), ServerOutcome::NotAhoy, "perhaps it wants TLS");
        assert_eq!(outcome(answer(503, None, false)), ServerOutcome::Unwell);
        assert_eq!(outcome(answer(200, None, false)), ServerOutcome::NotAhoy);
    }
}
