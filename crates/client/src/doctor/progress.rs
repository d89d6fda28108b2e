//! How far it is, for whoever waits.

use std::time::Instant;

use serde::Serialize;
use tokio::sync::mpsc;

use super::findings::{ExpectedPath, Findings, NameOutcome, RelayOutcome, ServerOutcome, SessionOutcome};
use super::verdict::CLOCK_OFF_S;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The server's name.
    Name,
    /// The server.
    Server,
    /// This machine's clock.
    Clock,
    /// The session.
    Session,
    /// STUN servers.
    Udp,
    /// Relays.
    Relays,
    /// Address translation and firewalls.
    Nat,
    /// The way of a call.
    Path,
    /// A call through the relay.
    Call,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// All is as it should be.
    Good,
    /// Something of it is not.
    Partly,
    /// It is not.
    Bad,
    /// It could not be looked at.
    Unknown,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Progress {
    /// A check has begun.
    Began {
        /// Which.
        check: Check,
    },
    /// A check has ended.
    Ended {
        /// Which.
        check: Check,
        /// How.
        result: CheckResult,
        /// What was found, in a few English words, for a terminal.
        words: String,
    },
}

/// Tells it.
pub(super) struct Teller {
    progress: mpsc::Sender<Progress>,
    began: Instant,
}

impl Teller {
    pub(super) fn new(progress: mpsc::Sender<Progress>) -> Self {
        Self { progress, began: Instant::now() }
    }

    pub(super) fn begins(&self, check: Check) {
        self.tell(Progress::Began { check });
    }

    pub(super) fn ends(&self, check: Check, findings: &Findings) {
        let (result, words) = summary(check, findings);
        tracing::info!(?check, ?result, ms = self.began.elapsed().as_millis(), "looked at");
        self.tell(Progress::Ended { check, result, words });
    }

    fn tell(&self, progress: Progress) {
        // Whoever does not look gets the report.
        let _ = self.progress.try_send(progress);
    }
}

fn summary(check: Check, findings: &Findings) -> (CheckResult, String) {
    let summary = match check {
        Check::Name => name(findings),
        Check::Server => server(findings),
        Check::Clock => clock(findings),
        Check::Session => session(findings),
        Check::Udp => udp(findings),
        Check::Relays => relays(findings),
        Check::Nat => nat(findings),
        Check::Path => path(findings),
        Check::Call => call(findings),
    };
    summary.unwrap_or((CheckResult::Unknown, "not known".to_owned()))
}

/// How many of how many.
fn share(good: usize, all: usize) -> CheckResult {
    match good {
        0 => CheckResult::Bad,
        _ if good == all => CheckResult::Good,
        _ => CheckResult::Partly,
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

fn name(findings: &Findings) -> Option<(CheckResult, String)> {
    let name = findings.name.as_ref()?;
    Some(match name.outcome {
        NameOutcome::Found => {
            (CheckResult::Good, format!("{} in {:.0} ms ({})", name.name, name.took_ms, list(&name.families)))
        }
        NameOutcome::Unknown | NameOutcome::Silent => {
            (CheckResult::Bad, name.detail.clone().unwrap_or_default())
        }
    })
}

fn server(findings: &Findings) -> Option<(CheckResult, String)> {
    let server = findings.server.as_ref()?;
    let proxy = findings.proxy.as_ref().map(|proxy| format!(" by the proxy {proxy}")).unwrap_or_default();
    let detail = server.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    Some(match server.outcome {
        ServerOutcome::Ahoy => {
            let all = [server.connected_ms, server.secured_ms, server.answered_ms];
            let result = share(
                findings.families.iter().filter(|family| family.connected_ms.is_some()).count(),
                findings.families.len(),
            );
            // By a proxy there are no families.
            let result = if findings.families.is_empty() { CheckResult::Good } else { result };
            let total: f64 = all.into_iter().flatten().sum();
            (result, format!("answers in {total:.0} ms{proxy}"))
        }
        ServerOutcome::Unwell => (CheckResult::Bad, format!("it is unwell{detail}")),
        ServerOutcome::NotAhoy => (CheckResult::Bad, format!("something else answers{detail}")),
        ServerOutcome::CaptivePortal => (CheckResult::Bad, format!("sent elsewhere{detail}")),
        ServerOutcome::NoRoute
        | ServerOutcome::Refused
        | ServerOutcome::TimedOut
        | ServerOutcome::CertificateExpired
        | ServerOutcome::CertificateNotYetValid
        | ServerOutcome::CertificateName
        | ServerOutcome::CertificateUntrusted
        | ServerOutcome::NotTls
        | ServerOutcome::ProxyRefuses
        | ServerOutcome::BrokenOff => (CheckResult::Bad, format!("not reached{proxy}{detail}")),
    })
}

fn clock(findings: &Findings) -> Option<(CheckResult, String)> {
    let clock = findings.clock.as_ref()?;
    let direction = if clock.ahead_s > 0.0 { "ahead of" } else { "behind" };
    let result = match (clock.explains_certificate, clock.is_proven) {
        (true, _) => CheckResult::Bad,
        (false, true) if clock.ahead_s.abs() > CLOCK_OFF_S => CheckResult::Partly,
        (false, true) => CheckResult::Good,
        (false, false) => CheckResult::Unknown,
    };
    Some((result, format!("{:.1} s {direction} the server's", clock.ahead_s.abs())))
}

fn session(findings: &Findings) -> Option<(CheckResult, String)> {
    let session = findings.session.as_ref()?;
    Some(match session.outcome {
        SessionOutcome::Online => {
            let took = session.online_ms.unwrap_or_default();
            let named = format!("STUN servers: {}, ways to relays: {}", session.stun_servers, session.relays);
            (CheckResult::Good, format!("open in {took:.0} ms; {named}"))
        }
        SessionOutcome::NoAccount => (CheckResult::Unknown, "not signed in".to_owned()),
        SessionOutcome::SignedOut => (CheckResult::Bad, "signed out by the server".to_owned()),
        SessionOutcome::Failed => (CheckResult::Bad, session.detail.clone().unwrap_or_default()),
    })
}

fn udp(findings: &Findings) -> Option<(CheckResult, String)> {
    findings.udp.first()?;
    let answers = || findings.udp.iter().filter(|udp| udp.mapped.is_some());
    let told = answers().map(|udp| {
        let (family, took) = (udp.family, udp.round_trip_ms.unwrap_or_default());
        format!("{family} in {took:.0} ms, seen as {}", udp.mapped.as_deref().unwrap_or_default())
    });
    let words = if answers().count() == 0 { "no answer".to_owned() } else { list(told) };
    Some((share(answers().count(), findings.udp.len()), words))
}

fn relays(findings: &Findings) -> Option<(CheckResult, String)> {
    findings.relays.first()?;
    let good = || findings.relays.iter().filter(|relay| relay.outcome == RelayOutcome::Allocated);
    let told = findings.relays.iter().map(|relay| match (relay.allocated_ms, &relay.detail) {
        (Some(took), _) => format!("{} in {took:.0} ms", relay.way),
        (None, Some(detail)) => format!("{}: {detail}", relay.way),
        (None, None) => format!("{}: none", relay.way),
    });
    Some((share(good().count(), findings.relays.len()), list(told)))
}

fn nat(findings: &Findings) -> Option<(CheckResult, String)> {
    findings.nat.first()?;
    let told = findings.nat.iter().map(|nat| {
        let translated = match nat.is_translated {
            Some(true) => "translated",
            Some(false) => "not translated",
            None => "not seen",
        };
        format!("{} {translated}, mapping {}, filtering {}", nat.family, nat.mapping, nat.filtering)
    });
    Some((CheckResult::Good, told.collect::<Vec<_>>().join("; ")))
}

fn path(findings: &Findings) -> Option<(CheckResult, String)> {
    Some(match findings.path? {
        ExpectedPath::Direct => (CheckResult::Good, "direct".to_owned()),
        ExpectedPath::RelayUdp => (CheckResult::Good, "a relay over UDP".to_owned()),
        ExpectedPath::RelayTcp => (CheckResult::Partly, "a relay over TCP".to_owned()),
        ExpectedPath::RelayTls => (CheckResult::Partly, "a relay over TLS".to_owned()),
        ExpectedPath::None => (CheckResult::Bad, "none".to_owned()),
    })
}

fn call(findings: &Findings) -> Option<(CheckResult, String)> {
    let call = findings.call.as_ref()?;
    let (Some(way), Some(loss)) = (call.way, call.loss) else {
        return Some((CheckResult::Bad, "the two ends did not find each other".to_owned()));
    };
    let result = match loss {
        0.0 => CheckResult::Good,
        1.0 => CheckResult::Bad,
        _ => CheckResult::Partly,
    };
    let (delay, jitter) = (call.delay_ms.unwrap_or_default(), call.jitter_ms.unwrap_or_default());
    let words = format!("over {way}: {:.1} % lost, {delay:.1} ms, jitter {jitter:.1} ms", loss * 100.0);
    Some((result, words))
}
