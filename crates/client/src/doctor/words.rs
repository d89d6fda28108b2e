//! Conclusions in plain words.

use std::fmt::Write as _;
use std::time::Duration;

use super::findings::{Findings, RelayOutcome};
use super::verdict::ConclusionCode;

/// What is wrong, and what to do about it.
pub(super) fn of(code: ConclusionCode, findings: &Findings) -> (String, String) {
    let (what, advice): (String, &str) = match code {
        ConclusionCode::NoNetwork => (
            "This computer is not connected to a network that leads to the server.".to_owned(),
            "Connect it by Wi-Fi or cable, and turn flight mode off.",
        ),
        ConclusionCode::ClockWrong => (
            format!(
                "This computer's clock is {}, so that good certificates look as if they had expired or did not count yet.",
                clock(findings)
            ),
            "Set date and time right, or have the system set them by itself.",
        ),
        ConclusionCode::NameServerSilent => (
            format!("No name server answers, so the address behind the name {} is not known.", name(findings)),
            "Check that you are online at all, and which DNS servers this computer's network settings name.",
        ),
        ConclusionCode::NameUnknown => (
            format!("There is no server of the name {}.", name(findings)),
            "Check the server's address for typing errors, or ask whoever gave it to you.",
        ),
        ConclusionCode::CaptivePortal => (
            format!("This network sends you to its own page before it lets you through{}.", there(findings)),
            "Open a web browser, sign in or agree on the page that appears, and try again.",
        ),
        ConclusionCode::ProxyRefuses => (
            format!("The proxy {} does not lead to the server{}.", findings.proxy.as_deref().unwrap_or("of this system"), said(findings)),
            "Check the proxy in the system's settings, or https_proxy in the environment, or have its operator allow the server.",
        ),
        ConclusionCode::ServerDown => (
            format!("The machine of {} is there, but no server runs on it at this address.", server(findings)),
            "Try again later, check the port in the address, or tell whoever runs the server.",
        ),
        ConclusionCode::ServerBlocked => (
            format!("Nothing comes back from {}: something on the way blocks it, or its machine is off.", server(findings)),
            "Try another network, such as that of a phone; if it works there, have this network's firewall allow the server.",
        ),
        ConclusionCode::ServerUnwell => (
            format!("The server {} answers that something is wrong with it{}.", server(findings), status(findings)),
            "Try again later, or tell whoever runs the server.",
        ),
        ConclusionCode::CertificateExpired => (
            format!("The certificate of {} has expired, or does not count yet.", server(findings)),
            "Tell whoever runs the server to renew it.",
        ),
        ConclusionCode::CertificateName => (
            format!("The certificate of {} is for another name.", server(findings)),
            "Use the name that the server is known by, or tell whoever runs the server.",
        ),
        ConclusionCode::CertificateUntrusted => (
            format!("Nobody whom this computer believes vouches for the certificate of {}: the server has an authority of its own, or somebody listens in between.", server(findings)),
            "If the server has its own authority, name its certificate with --ca-file; otherwise do not sign in from this network.",
        ),
        ConclusionCode::NotAhoy => (
            format!("What answers at {} is not an Ahoy server{}.", server(findings), status(findings)),
            "Check the address and its port.",
        ),
        ConclusionCode::SignedOut => (
            "The server has signed this device out.".to_owned(),
            "Sign in again.",
        ),
        ConclusionCode::SignalingFails => (
            format!("The server answers, but no session with it comes about{}.", session(findings)),
            "If a proxy or a filter is on the way, have it let WebSockets through; otherwise try again later.",
        ),
        ConclusionCode::RelayRefusesCredentials => (
            "The relay refuses the credentials that the server makes for it: the two do not have the same secret.".to_owned(),
            "Tell whoever runs the server to give both the same turn.secret, and to check the relay's clock.",
        ),
        ConclusionCode::RelayRefuses => (
            format!("The relay gives no address{}.", refusal(findings)),
            "End other calls of yours and try again, or tell whoever runs the server that the relay is full or set up wrongly.",
        ),
        ConclusionCode::RelayDown => (
            "The relay answers by no way, so that calls come about only where two sides reach each other directly.".to_owned(),
            "Tell whoever runs the server to check that the relay runs and that its firewall lets its ports in; if it does, this network blocks them.",
        ),
        ConclusionCode::NoRelay => (
            "The server names no relay, so that calls come about only where two sides reach each other directly.".to_owned(),
            "Tell whoever runs the server to turn its relay on.",
        ),
        ConclusionCode::RelayPassesNothing => (
            "The relay gives addresses, but nothing comes out of them.".to_owned(),
            "Tell whoever runs the server to open the relay's ports (turn.relay_ports) for UDP, and to check turn.external_ip.",
        ),
        ConclusionCode::RelayLossy => (
            format!("Much of what is sent gets lost on the way to the relay and back: {}.", loss(findings)),
            "Use a cable or come nearer to the Wi-Fi, and end what else uses the connection.",
        ),
        ConclusionCode::RelayOnlyTls => (
            "This network lets nothing out but the web, so that calls go through a relay over TLS.".to_owned(),
            "Calls work, with more delay where packets get lost; have the network's firewall let UDP out for better ones.",
        ),
        ConclusionCode::UdpOneWay => (
            "UDP gets out of this network, but no answers get in, so that calls go through a relay over TCP.".to_owned(),
            "Have the firewall of this computer, or of the network, let in answers to UDP that it lets out.",
        ),
        ConclusionCode::UdpBlocked => (
            "This network blocks UDP, so that calls go through a relay over TCP.".to_owned(),
            "Calls work, with more delay where packets get lost; have the firewall let UDP out for better ones.",
        ),
        ConclusionCode::RelaySlow => (
            format!("What is sent through the relay takes long{}.", delay(findings)),
            "Calls that need the relay have a delay; another network, or a relay that is nearer, helps.",
        ),
        ConclusionCode::Ipv6Broken => (
            "This computer has an IPv6 address, but nothing comes back by IPv6.".to_owned(),
            "Calls go by IPv4; restart the router, or turn IPv6 off in it if the provider has none.",
        ),
        ConclusionCode::NatSymmetric => (
            "This network's router shows another address of this computer to everybody, so that calls with many people need a relay.".to_owned(),
            "If you run the router, turn on endpoint-independent NAT (also called full cone), or use IPv6.",
        ),
        ConclusionCode::ClockOff => (
            format!("This computer's clock is {}.", clock(findings)),
            "Calls do not suffer from it; have the system set the time by itself.",
        ),
        ConclusionCode::NotSignedIn => (
            "You are not signed in, so that the way of sound and pictures could not be checked.".to_owned(),
            "Sign in, and check again.",
        ),
        ConclusionCode::AllWell => ("Nothing keeps calls from connecting.".to_owned(), "There is nothing to do."),
    };
    (what, advice.to_owned())
}

fn name(findings: &Findings) -> &str {
    findings.name.as_ref().map_or("of the server", |name| name.name.as_str())
}

fn server(findings: &Findings) -> &str {
    findings.server.as_ref().map_or("the server", |server| server.server.as_str())
}

fn status(findings: &Findings) -> String {
    let status = findings.server.as_ref().and_then(|server| server.status);
    status.map(|status| format!(" (HTTP status {status})")).unwrap_or_default()
}

fn there(findings: &Findings) -> String {
    let location = findings.server.as_ref().and_then(|server| server.detail.as_deref());
    location.map(|location| format!(" ({location})")).unwrap_or_default()
}

fn said(findings: &Findings) -> String {
    let detail = findings.server.as_ref().and_then(|server| server.detail.as_deref());
    detail.map(|detail| format!(": {detail}")).unwrap_or_default()
}

fn session(findings: &Findings) -> String {
    let detail = findings.session.as_ref().and_then(|session| session.detail.as_deref());
    detail.map(|detail| format!(" ({detail})")).unwrap_or_default()
}

fn refusal(findings: &Findings) -> String {
    /// RFC 8656 section 19.
    const QUOTA: u16 = 486;
    const FULL: u16 = 508;
    let refused = findings.relays.iter().find(|relay| relay.outcome == RelayOutcome::Refused);
    match refused.and_then(|relay| relay.code) {
        Some(QUOTA) => ": you have as many as one person may have".to_owned(),
        Some(FULL) => ": it has none left".to_owned(),
        Some(code) => format!(": it refuses with code {code}"),
        None => String::new(),
    }
}

fn loss(findings: &Findings) -> String {
    let loss = findings.call.as_ref().and_then(|call| call.loss).unwrap_or_default();
    format!("{:.0} of 100 packets", loss * 100.0)
}

fn delay(findings: &Findings) -> String {
    let delay = findings.call.as_ref().and_then(|call| call.delay_ms);
    delay.map(|delay| format!(": {delay:.0} ms from one end to the other")).unwrap_or_default()
}

/// How far the clock is off, such as `3 days and 2 hours ahead`.
fn clock(findings: &Findings) -> String {
    let Some(clock) = &findings.clock else { return "wrong".to_owned() };
    let off = Duration::from_secs_f64(clock.ahead_s.abs()).as_secs();
    let direction = if clock.ahead_s > 0.0 { "ahead" } else { "behind" };
    let units =
        [(off / 86_400, "day"), (off / 3600 % 24, "hour"), (off / 60 % 60, "minute"), (off % 60, "second")];
    let mut words = String::new();
    for (count, unit) in units.into_iter().skip_while(|(count, _)| *count == 0).take(2) {
        if count > 0 {
            let and = if words.is_empty() { "" } else { " and " };
            // Writing to a string can't fail.
            let _ = write!(words, "{and}{count} {unit}{}", if count == 1 { "" } else { "s" });
        }
    }
    format!("{words} {direction}")
}

#[cfg(test)]
mod tests {
    use super::super::findings::ClockFinding;
    use super::*;

    #[test]
    fn a_clock_s_error_is_told_in_its_two_largest_units() {
        for (ahead_s, expected) in [
            (34_560_000.0, "400 days ahead"),
            (-93_600.0, "1 day and 2 hours behind"),
            (61.0, "1 minute and 1 second ahead"),
            (-40.4, "40 seconds behind"),
        ] {
            let clock_finding = ClockFinding { ahead_s, is_proven: true, explains_certificate: false };
            let findings = Findings { clock: Some(clock_finding), ..Findings::default() };
            assert_eq!(clock(&findings), expected);
        }
    }
}
