//! The STUN and TURN servers that the signaling server has named, and when to ask for them again: their credentials are good
//! for minutes only.

use std::time::{Duration, Instant};

use ahoy_rtc::IceServer;
use ahoy_signal::IceServer as Named;

/// Credentials are asked for anew when this share of their time is over, so that there is time to ask again.
const SHARE: f64 = 0.7;
/// After a question without an answer, and where a server says that they are over at once.
const LEAST: Duration = Duration::from_secs(10);

/// What is known of the servers. Without I/O: whoever owns it asks.
#[derive(Debug, Default)]
pub(crate) struct KnownServers {
    servers: Vec<IceServer>,
    /// When they are to be asked for anew.
    stale: Option<Instant>,
    /// When they were asked for, while there is no answer.
    asked: Option<Instant>,
    /// Whether the server has said which there are, or that it knows of none.
    are_known: bool,
}

impl KnownServers {
    /// Those that are known, the preferred ones first. Relays among them may have stopped believing their credentials: then
    /// they refuse, and others will be known soon.
    pub(crate) fn list(&self) -> &[IceServer] {
        &self.servers
    }

    /// Whether the server has said which there are, or that it knows of none.
    pub(crate) fn are_known(&self) -> bool {
        self.are_known
    }

    /// The server does not know what is asked for.
    pub(crate) fn refused(&mut self) {
        self.are_known = true;
    }

    /// Whether to ask for them now. Whoever does says so with [`asked`](Self::asked).
    pub(crate) fn should_ask(&self, now: Instant) -> bool {
        let waiting = self.asked.is_some_and(|at| now < at + LEAST);
        !waiting && self.stale.is_none_or(|at| now >= at)
    }

    /// They were asked for.
    pub(crate) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// The server answered. Whether anything is new.
    pub(crate) fn answered(&mut self, named: &[Named], expires_in: Duration, now: Instant) -> bool {
        self.asked = None;
        self.are_known = true;
        self.stale = Some(now + expires_in.mul_f64(SHARE).max(LEAST));
        let servers: Vec<IceServer> = named.iter().flat_map(known).collect();
        let is_new = servers != self.servers;
        self.servers = servers;
        is_new
    }

    /// Another session, with perhaps another server: it is asked again.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// A server at each of its addresses. Those that this version does not understand are left out.
pub(crate) fn known(named: &Named) -> Vec<IceServer> {
    let text = |known: Option<&str>| known.unwrap_or_default().to_owned();
    let username = text(named.username.as_ref().map(|name| name.as_str()));
    let credential = text(named.credential.as_ref().map(|credential| credential.as_str()));
    let urls = named.urls.iter().filter_map(|url| match url.as_str().parse() {
        Ok(url) => Some(url),
        Err(error) => {
            tracing::debug!(%error, "an ICE server is of no use here");
            None
        }
    });
    urls.map(|url| IceServer { url, username: username.clone(), credential: credential.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use ahoy_signal::ServerMessage;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn named() -> Vec<Named> {
        let answer = r#"{"type":"ice_servers","expires_in_s":300,"servers":[
            {"urls":["stun:a.example","stuns:a.example"]},
            {"urls":["turn:a.example","turns:a.example:443"],"username":"9:ada","credential":"word"}]}"#;
        match serde_json::from_str(answer).unwrap() {
            ServerMessage::IceServers { servers, .. } => servers,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_address_of_a_server_is_one_to_use() {
        let mut known = KnownServers::default();
        assert!(known.answered(&named(), 300 * SECOND, Instant::now()));
        let list: Vec<_> =
            known.list().iter().map(|server| (server.url.to_string(), server.username.as_str())).collect();
        let expected = [
            ("stun:a.example:3478".to_owned(), ""),
            ("turn:a.example:3478".to_owned(), "9:ada"),
            ("turns:a.example:443".to_owned(), "9:ada"),
        ];
        assert_eq!(list, expected);
    }

    #[test]
    fn they_are_asked_for_before_they_expire_and_once_at_a_time() {
        let (mut known, start) = (KnownServers::default(), Instant::now());
        assert!(known.should_ask(start));
        known.asked(start);
        assert!(!known.should_ask(start + 9 * SECOND));
        assert!(known.should_ask(start + 10 * SECOND), "the answer was lost");
        assert!(known.answered(&named(), 300 * SECOND, start + SECOND));
        assert!(!known.should_ask(start + 200 * SECOND));
        assert!(known.should_ask(start + 220 * SECOND));
        assert!(!known.answered(&named(), 300 * SECOND, start + 221 * SECOND), "nothing is new");
        known.forget();
        assert!(known.list().is_empty() && known.should_ask(start + 222 * SECOND));
    }
}
