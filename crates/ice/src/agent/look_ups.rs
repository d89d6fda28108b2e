//! The addresses behind the names of servers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use crate::config::ServerUrl;

/// How long a name may take to be looked up.
const WITHIN: Duration = Duration::from_secs(5);
/// How long what was found is believed. A server that moves to another address changes its name's record, which is what the
/// operating system is asked for again; it has the record's own time to live.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// When a name without an answer is looked up again; each time it waits twice as long.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MOST: Duration = Duration::from_secs(60);

/// A name that was looked up.
#[derive(Debug)]
pub(super) struct LookedUp {
    url: ServerUrl,
    addresses: Result<Vec<SocketAddr>, String>,
}

#[derive(Debug)]
struct Name {
    url: ServerUrl,
    addresses: Vec<SocketAddr>,
    pending: bool,
    /// Failures in a row.
    failures: u32,
    /// From when on it is looked up again, where somebody wants to know.
    stale: Instant,
}

impl Name {
    fn look_up(&mut self, report: &mpsc::Sender<LookedUp>) {
        self.pending = true;
        let (url, report) = (self.url.clone(), report.clone());
        tokio::spawn(async move {
            let host = (url.host.clone(), url.port);
            let addresses = match timeout(WITHIN, lookup_host(host)).await {
                Ok(Ok(addresses)) => Ok(addresses.collect()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("the name server does not answer".to_owned()),
            };
            // An owner that is gone needs no answer.
            let _ = report.send(LookedUp { url, addresses }).await;
        });
    }

    fn is_missing(&self) -> bool {
        self.failures > 0 && !self.pending
    }
}

/// All names that were asked for.
#[derive(Debug)]
pub(super) struct LookUps {
    names: HashMap<(String, u16), Name>,
    report: mpsc::Sender<LookedUp>,
}

impl LookUps {
    pub(super) fn new(report: mpsc::Sender<LookedUp>) -> Self {
        Self { names: HashMap::new(), report }
    }

    /// The addresses of a server, where they are known. Where they are not, or not for sure any more, they are looked up;
    /// [`on_looked_up`](Self::on_looked_up) has them then.
    pub(super) fn addresses(&mut self, url: &ServerUrl, now: Instant) -> Option<Vec<SocketAddr>> {
        if let Ok(ip) = url.host.parse() {
            return Some(vec![SocketAddr::new(ip, url.port)]);
        }
        let name = self.names.entry((url.host.clone(), url.port)).or_insert_with(|| Name {
            url: url.clone(),
            addresses: Vec::new(),
            pending: false,
            failures: 0,
            stale: now,
        });
        if name.stale <= now && !name.pending {
            name.look_up(&self.report);
        }
        // What was known before is believed again when nothing newer could be found.
        (!name.pending && !name.addresses.is_empty()).then(|| name.addresses.clone())
    }

    /// Takes in what was found.
    ///
    /// # Errors
    /// Why nothing was found.
    pub(super) fn on_looked_up(
        &mut self,
        looked_up: LookedUp,
        now: Instant,
    ) -> Result<(), (ServerUrl, String)> {
        let LookedUp { url, addresses } = looked_up;
        let Some(name) = self.names.get_mut(&(url.host.clone(), url.port)) else { return Ok(()) };
        name.pending = false;
        match addresses {
            Ok(addresses) => {
                name.addresses = addresses;
                name.failures = 0;
                name.stale = now + GOOD_FOR;
                Ok(())
            }
            Err(error) => {
                warn!(%error, "an ICE server's name can't be looked up");
                name.stale = now + (AGAIN * 2_u32.saturating_pow(name.failures)).min(AGAIN_MOST);
                name.failures += 1;
                Err((url, error))
            }
        }
    }

    /// Another network has other name servers, which may know other addresses: nothing is believed any more.
    pub(super) fn forget(&mut self) {
        self.names.retain(|_, name| name.pending);
    }

    /// Whether an answer is waited for.
    pub(super) fn are_pending(&self) -> bool {
        self.names.values().any(|name| name.pending)
    }

    /// Asks again for names that could not be looked up.
    pub(super) fn drive(&mut self, now: Instant) {
        for name in self.names.values_mut().filter(|name| name.is_missing() && name.stale <= now) {
            name.look_up(&self.report);
        }
    }

    /// When to [`drive`](Self::drive) next.
    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        self.names.values().filter(|name| name.is_missing()).map(|name| name.stale).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn look_ups() -> (LookUps, mpsc::Receiver<LookedUp>) {
        let (report, looked_up) = mpsc::channel(4);
        (LookUps::new(report), looked_up)
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_a_minute() {
        let ((mut look_ups, mut answers), start) = (look_ups(), Instant::now());
        let url: ServerUrl = "stun:localhost".parse().unwrap();
        assert_eq!(look_ups.addresses(&url, start), None);
        assert_eq!(look_ups.addresses(&url, start), None);
        look_ups.on_looked_up(answers.recv().await.unwrap(), start).unwrap();
        assert!(answers.try_recv().is_err(), "it is asked for once");
        let addresses = look_ups.addresses(&url, start + 59 * SECOND).unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 3478));
        assert_eq!(look_ups.addresses(&url, start + 60 * SECOND), None);
        let failed = LookedUp { url: url.clone(), addresses: Err("no name server".to_owned()) };
        assert!(look_ups.on_looked_up(failed, start + 61 * SECOND).is_err());
        assert_eq!(look_ups.addresses(&url, start + 61 * SECOND), Some(addresses), "there is nothing newer");
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_looked_up_again_by_itself() {
        let ((mut look_ups, mut answers), start) = (look_ups(), Instant::now());
        let url: ServerUrl = "stun:localhost".parse().unwrap();
        look_ups.addresses(&url, start);
        let _ = answers.recv().await;
        for (wait, at) in [(2, 0), (4, 2), (8, 6)] {
            let now = start + at * SECOND;
            let failed = LookedUp { url: url.clone(), addresses: Err("no such name".to_owned()) };
            assert_eq!(look_ups.on_looked_up(failed, now), Err((url.clone(), "no such name".to_owned())));
            assert!(!look_ups.are_pending());
            assert_eq!(look_ups.next_wakeup(), Some(now + wait * SECOND));
            look_ups.drive(now + wait * SECOND);
            assert!(look_ups.are_pending() && look_ups.next_wakeup().is_none());
        }
    }

    #[tokio::test]
    async fn a_numeric_address_needs_nobody() {
        let ((mut look_ups, _answers), now) = (look_ups(), Instant::now());
        let url: ServerUrl = "turn:192.0.2.1:5000".parse().unwrap();
        assert_eq!(look_ups.addresses(&url, now), Some(vec!["192.0.2.1:5000".parse().unwrap()]));
        assert!(!look_ups.are_pending());
    }
}
