//! Names of the local network in the place of addresses: browsers hide addresses behind them from pages without permissions
//! (draft-ietf-mmusic-mdns-ice-candidates).

use std::net::IpAddr;
use std::time::Duration;

use mdns_sd::{HostnameResolutionEvent, ServiceDaemon};
use tokio::time::{Instant, timeout_at};

/// How long a name is asked for. Who has it is on the same network.
const WITHIN: Duration = Duration::from_secs(3);
/// The longest name that is asked for: browsers' have 42 bytes.
const LONGEST: usize = 128;

/// The address behind a name, if somebody on the network has it.
pub(super) async fn resolve(name: &str) -> Option<IpAddr> {
    if name.len() > LONGEST {
        return None;
    }
    let daemon = ServiceDaemon::new().ok()?;
    let found = ask(&daemon, name).await;
    // Nothing is to be done where it does not stop.
    let _ = daemon.shutdown();
    found
}

async fn ask(daemon: &ServiceDaemon, name: &str) -> Option<IpAddr> {
    let milliseconds = u64::try_from(WITHIN.as_millis()).unwrap_or(u64::MAX);
    let answers =
        daemon.resolve_hostname(&format!("{}.", name.trim_end_matches('.')), Some(milliseconds)).ok()?;
    let until = Instant::now() + WITHIN;
    while let Ok(Ok(event)) = timeout_at(until, answers.recv_async()).await {
        if let HostnameResolutionEvent::AddressesFound(_, addresses) = event {
            let found = addresses.iter().map(|address| address.to_ip_addr()).next();
            if found.is_some() {
                return found;
            }
        }
    }
    None
}
