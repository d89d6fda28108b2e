//! The section about relays.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use ahoy_signal::{IceUrl, limits};
use ahoy_turn::IpNet;
use serde::{Deserialize, Serialize};

/// Addresses that can be told in one answer beside those of the relay in this program, which take two servers of it.
const URLS_MOST: usize = (limits::ICE_SERVERS_MOST - 4) * limits::ICE_URLS_MOST;

/// Who relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnMode {
    /// This program.
    Embedded,
    /// Another one.
    External,
    /// Nobody.
    Off,
}

/// A relay for calls.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnConfig {
    /// Who relays.
    pub mode: TurnMode,
    /// Where the relay listens; empty for where HTTP does.
    pub listen: String,
    /// Where it listens over TLS; empty for where HTTP does.
    pub tls_listen: String,
    /// How others know this machine.
    pub external_ip: Vec<IpAddr>,
    /// Ports of relayed calls.
    pub relay_ports: String,
    /// What credentials are made with; empty for a random one.
    pub secret: String,
    /// Other relays and STUN servers.
    pub urls: Vec<String>,
    /// Networks that may be reached although they are private.
    pub allow_peers: Vec<String>,
    /// How long credentials are good.
    pub credential_s: u64,
    /// Relayed addresses of a user.
    pub allocations_per_user: usize,
    /// Relayed addresses of all.
    pub allocations: usize,
    /// Bytes a second through one relayed address.
    pub allocation_bytes_per_s: u64,
    /// Bytes a second of one user.
    pub user_bytes_per_s: u64,
}

impl std::fmt::Debug for TurnConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret is one.
        write!(f, "TurnConfig({:?}, {:?})", self.mode, self.listen)
    }
}

/// An address and port; nothing for an empty text.
fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            format!("{text:?} is no address and port: one looks like \"0.0.0.0:3478\" or \"[::]:3478\"")
        }),
    }
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    let wrong = || format!("{text:?} is no range of ports: one looks like \"49152-65535\"");
    range.filter(|range| !range.is_empty() && *range.start() > 0).ok_or_else(wrong)
}

fn needs_secret(url: &str) -> bool {
    url.starts_with("turn")
}

impl TurnConfig {
    /// Where the relay listens, unless it listens where HTTP does.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        address(&self.listen).ok().flatten()
    }

    /// Where the relay listens over TLS, unless it listens where HTTP does.
    pub fn tls_listen_address(&self) -> Option<SocketAddr> {
        address(&self.tls_listen).ok().flatten()
    }

    /// The ports of relayed calls; all that the system hands out itself where they make no sense.
    pub fn ports(&self) -> RangeInclusive<u16> {
        ports(&self.relay_ports).unwrap_or(49_152..=65_535)
    }

    /// The networks that may be reached although they are private.
    pub fn networks(&self) -> Vec<IpNet> {
        self.allow_peers.iter().filter_map(|net| net.parse().ok()).collect()
    }

    /// The addresses of other relays and STUN servers.
    pub fn other_servers(&self) -> Vec<IceUrl> {
        self.urls.iter().filter_map(|url| IceUrl::new(url.as_str()).ok()).collect()
    }

    /// What is wrong with it: key and problem.
    pub(super) fn problems(&self, uses_tls: bool) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut wrong = |key: &'static str, problem: String| problems.push((key, problem));
        if let Err(problem) = address(&self.listen) {
            wrong("turn.listen", problem);
        }
        match address(&self.tls_listen) {
            Err(problem) => wrong("turn.tls_listen", problem),
            Ok(Some(_)) if !uses_tls => {
                wrong("turn.tls_listen", "needs a certificate: set tls.certificate and tls.key".into());
            }
            Ok(_) => {}
        }
        if let Err(problem) = ports(&self.relay_ports) {
            wrong("turn.relay_ports", problem);
        }
        for v4 in [true, false] {
            if self.external_ip.iter().filter(|ip| ip.is_ipv4() == v4).count() > 1 {
                wrong("turn.external_ip", "at most one of IPv4 and one of IPv6".into());
            }
        }
        if self.external_ip.iter().any(IpAddr::is_unspecified) {
            wrong("turn.external_ip", "0.0.0.0 and :: are no addresses that others could reach".into());
        }
        for net in &self.allow_peers {
            if let Err(error) = net.parse::<IpNet>() {
                wrong("turn.allow_peers", error.to_string());
            }
        }
        for url in &self.urls {
            if let Err(error) = IceUrl::new(url.as_str()) {
                wrong("turn.urls", format!("{url:?}: {error}"));
            }
        }
        if self.urls.len() > URLS_MOST {
            wrong("turn.urls", format!("at most {URLS_MOST} addresses"));
        }
        match self.mode {
            TurnMode::External if self.urls.is_empty() => {
                wrong("turn.urls", "mode = \"external\" needs the addresses of a relay".into());
            }
            TurnMode::External | TurnMode::Embedded | TurnMode::Off => {}
        }
        if self.secret.is_empty()
            && self.mode != TurnMode::Off
            && self.urls.iter().any(|url| needs_secret(url))
        {
            wrong("turn.secret", "other relays need the secret that they have, too".into());
        }
        problems
    }
}
