//! What keeps calls from connecting: looks at everything that a call needs, one after the other, and says in plain words what is
//! wrong and what to do about it.
//!
//! [`examine`] looks ([`server`], [`network`], [`call`]), [`Findings`] is what it saw, and [`conclude`] says what that means. Only
//! the first does I/O.

mod call;
mod findings;
mod meter;
mod nat;
mod network;
mod progress;
mod report;
mod server;
mod verdict;
mod words;

#[cfg(test)]
mod verdict_tests;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ahoy_ice::own_addresses;
use ahoy_signal::ClientInfo;
use ahoy_signal_client::{KnockError, Knocker, Trust, TrustError, Way};
use ahoy_tunnel::Tunnel;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::findings::ms;
use self::network::{Means, Relayed};
use self::progress::Teller;
use crate::account::{AccountError, ReachError, ServerChoice, SignedIn};
use crate::connectivity::known;
use crate::signaling::{EndReason, Signaling, SignalingError, Trouble};

pub use self::findings::{
    Behaviour, CallFinding, ClockFinding, ExpectedPath, Family, FamilyFinding, Findings, NameFinding,
    NameOutcome, NatFinding, RelayFinding, RelayOutcome, RelayWay, ServerFinding, ServerOutcome,
    SessionFinding, SessionOutcome, UdpFinding,
};
pub use self::progress::{Check, CheckResult, Progress};
pub use self::report::{DoctorReport, SCHEMA_VERSION};
pub use self::verdict::{Conclusion, ConclusionCode, Severity, conclude};

/// Events that nobody has taken yet; there are two for each check. When it is full they are left out: the report has everything.
pub const EVENTS: usize = 32;
/// How long the session may take: somebody waits.
const SESSION_WITHIN: Duration = Duration::from_secs(15);
/// How long the good-bye to the server may take.
const END_WITHIN: Duration = Duration::from_secs(2);

/// By what a session is had.
pub enum Session {
    /// By none: nobody is signed in.
    None,
    /// By a sign-in, of which one is made for this.
    SignedIn(SignedIn),
    /// It is there already.
    Online(Signaling),
}

/// What is to be looked at.
pub struct DoctorConfig {
    /// The server.
    pub server: ServerChoice,
    /// The session with it.
    pub session: Session,
    /// Which program this is.
    pub client: ClientInfo,
    /// Leaves out what takes longest: address translation, and the call through the relay.
    pub quick: bool,
}

/// Looks at everything, and says what it means. Dropping the future ends it at once, and gives everything back.
///
/// # Errors
/// [`TrustError`] where certificates can't be checked at all.
pub async fn examine(
    config: DoctorConfig,
    progress: mpsc::Sender<Progress>,
) -> Result<DoctorReport, TrustError> {
    let began = Instant::now();
    let trust = config.server.trust()?;
    let knocker = Knocker::new(config.server.url.clone(), &trust)?;
    let teller = Teller::new(progress);
    let mut findings = look_at_machine(&config.server, &knocker);
    if look_at_server(&config.server, &knocker, &teller, &mut findings).await
        && let Some(means) = look_at_session(&config, &trust, &teller, &mut findings).await
    {
        look_at_media(&means, config.quick, &teller, &mut findings).await;
    }
    Ok(DoctorReport::new(findings, began.elapsed()))
}

fn look_at_machine(server: &ServerChoice, knocker: &Knocker) -> Findings {
    let host = server.url.host();
    Findings {
        addresses: own_addresses().iter().map(ToString::to_string).collect(),
        is_here: host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        proxy: knocker.proxy(),
        ..Findings::default()
    }
}

/// The families in which this machine has addresses.
fn own_families(findings: &Findings) -> Vec<Family> {
    let mut own: Vec<_> = own_addresses().into_iter().map(|ip| Family::of(SocketAddr::new(ip, 0))).collect();
    if findings.is_here {
        own.extend(Family::BOTH);
    }
    own.sort_unstable();
    own.dedup();
    own
}

/// Whether the server answers as it should.
async fn look_at_server(
    choice: &ServerChoice,
    knocker: &Knocker,
    teller: &Teller,
    findings: &mut Findings,
) -> bool {
    let host = choice.url.host();
    let mut addresses = Vec::new();
    if findings.proxy.is_none() {
        if let Ok(ip) = host.parse() {
            addresses.push(SocketAddr::new(ip, choice.url.port()));
        } else {
            teller.begins(Check::Name);
            let (name, found) = server::look_up(knocker, host).await;
            let found_any = name.outcome == NameOutcome::Found;
            findings.name = Some(name);
            teller.ends(Check::Name, findings);
            if !found_any {
                return false;
            }
            addresses = found;
        }
    }
    teller.begins(Check::Server);
    let mut way = Ok(Way::Proxy);
    if findings.proxy.is_none() {
        let connected = server::connect(knocker, &addresses, &own_families(findings)).await;
        way = Err(KnockError::NoRoute("this machine has no address of the server's family".to_owned()));
        for (finding, dialed) in connected {
            findings.families.push(finding);
            // The first that works; of those that do not, the last one's reason is as good as any.
            way = match way {
                Ok(way) => Ok(way),
                Err(_) => dialed.map(Way::To),
            };
        }
    }
    let (server, clock) = server::knock(knocker, &choice.url.to_string(), way, &addresses).await;
    let is_well = server.outcome == ServerOutcome::Ahoy;
    (findings.server, findings.clock) = (Some(server), clock);
    teller.ends(Check::Server, findings);
    teller.begins(Check::Clock);
    teller.ends(Check::Clock, findings);
    is_well
}

/// What the server names for sound and pictures.
async fn look_at_session(
    config: &DoctorConfig,
    trust: &Trust,
    teller: &Teller,
    findings: &mut Findings,
) -> Option<Means> {
    teller.begins(Check::Session);
    let began = Instant::now();
    let asked = timeout(SESSION_WITHIN, ask_for_servers(config)).await;
    let online_ms = Some(ms(began.elapsed()));
    let none =
        |outcome, detail| SessionFinding { outcome, online_ms: None, stun_servers: 0, relays: 0, detail };
    let (finding, servers) = match asked {
        Ok(Ok(Some(servers))) => {
            let relays = servers.iter().filter(|server| server.url.relays).count();
            let stun_servers = servers.len() - relays;
            let outcome = SessionOutcome::Online;
            (SessionFinding { outcome, online_ms, stun_servers, relays, detail: None }, Some(servers))
        }
        Ok(Ok(None)) => (none(SessionOutcome::NoAccount, None), None),
        Ok(Err(error)) if is_signed_out(&error) => {
            (none(SessionOutcome::SignedOut, Some(error.to_string())), None)
        }
        Ok(Err(error)) => (none(SessionOutcome::Failed, Some(error.to_string())), None),
        Err(_) => (none(SessionOutcome::Failed, Some("it takes too long".to_owned())), None),
    };
    findings.session = Some(finding);
    teller.ends(Check::Session, findings);
    // Without certificates there are no relays over TLS, and other ways.
    let tls = trust.client_config().ok();
    Some(Means { servers: servers?, tunnel: Tunnel::system(tls.clone()), tls })
}

/// `None` where nobody is signed in.
async fn ask_for_servers(config: &DoctorConfig) -> Result<Option<Vec<ahoy_ice::IceServer>>, SignalingError> {
    let named = match &config.session {
        Session::None => return Ok(None),
        Session::Online(signaling) => signaling.ice_servers().await?,
        Session::SignedIn(signed_in) => {
            let client = config.client.clone();
            let (signaling, mut events) = Signaling::connect(signed_in, client, SESSION_WITHIN).await?;
            let named = signaling.ice_servers().await;
            signaling.end().await;
            // A server that does not say good-bye finds out by itself.
            let _ = timeout(END_WITHIN, async { while events.next().await.is_some() {} }).await;
            named?
        }
    };
    Ok(Some(named.iter().flat_map(known).collect()))
}

fn is_signed_out(error: &SignalingError) -> bool {
    match error {
        SignalingError::Account(AccountError::SignedOut { .. } | AccountError::NotSignedIn { .. })
        | SignalingError::Ended(EndReason::SignedOut) => true,
        SignalingError::Account(AccountError::Reach(ReachError::Refused(refusal)))
        | SignalingError::GaveUp(Trouble::Refused(refusal)) => {
            refusal.code == ahoy_signal::ErrorCode::SignedOut
        }
        SignalingError::Account(_)
        | SignalingError::Trust(_)
        | SignalingError::GaveUp(_)
        | SignalingError::Ended(_)
        | SignalingError::Request(_)
        | SignalingError::Garbled
        | SignalingError::NoSuchContact { .. } => false,
    }
}

async fn look_at_media(means: &Means, quick: bool, teller: &Teller, findings: &mut Findings) {
    let own = own_families(findings);
    teller.begins(Check::Udp);
    teller.begins(Check::Relays);
    let (udp, mut relays) =
        tokio::join!(network::ask_stun(&means.servers, &own), network::ask_relays(means, &own));
    findings.udp = udp;
    findings.relays = relays.iter().map(|relay| relay.finding.clone()).collect();
    teller.ends(Check::Udp, findings);
    teller.ends(Check::Relays, findings);
    // Without any answer it is worth knowing whether datagrams get out, also when there is little time.
    if !quick || findings.udp.iter().all(|udp| udp.mapped.is_none()) {
        teller.begins(Check::Nat);
        for family in own {
            let looked_at = network::look_at_nat(family, &findings.udp, &mut relays).await;
            findings.nat.extend(looked_at);
        }
        teller.ends(Check::Nat, findings);
    }
    teller.begins(Check::Path);
    findings.path = Some(nat::expected_path(findings));
    teller.ends(Check::Path, findings);
    let local = by_relay(&relays, findings);
    // What was asked for is given back, so that the call has it.
    drop(relays);
    if let (false, Some(local)) = (quick, local) {
        teller.begins(Check::Call);
        let means = Means { servers: call::servers(&means.servers, &findings.relays), ..means.clone() };
        findings.call = Some(call::call(&means, local).await);
        teller.ends(Check::Call, findings);
    }
}

/// The address of this machine that a call through a relay begins at: of a family that works.
fn by_relay(relays: &[Relayed], findings: &Findings) -> Option<IpAddr> {
    if !relays.iter().any(|relay| relay.probe.is_some()) {
        return None;
    }
    let ip = |address: &str| address.parse::<SocketAddr>().ok().map(|address| address.ip());
    let answered = findings.udp.iter().find(|udp| udp.mapped.is_some()).and_then(|udp| ip(&udp.local));
    answered.or_else(|| findings.udp.first().and_then(|udp| ip(&udp.local))).or_else(|| {
        let numeric = |address: &String| address.parse().ok();
        findings.addresses.iter().find_map(numeric)
    })
}
