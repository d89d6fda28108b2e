//! What clients are told of relays: where they are, and credentials of their own.

use ahoy_signal::{IceCredential, IceServer, IceUrl, IceUsername, ServerMessage, UserId, limits};
use ahoy_turn::Secret;

/// Servers for ICE, and what makes credentials for them.
#[derive(Clone, Debug)]
pub struct IceList {
    secret: Secret,
    lasts_s: u32,
    /// Each with what clients reach together: without credentials, or with.
    stun: Vec<Vec<IceUrl>>,
    relays: Vec<Vec<IceUrl>>,
}

impl IceList {
    /// Nobody helps.
    pub fn none(lasts_s: u32) -> Self {
        Self { secret: Secret::new(""), lasts_s, stun: Vec::new(), relays: Vec::new() }
    }

    /// The relay of this program, and others, all of which make credentials with this secret that are good so long.
    pub(super) fn new(secret: Secret, lasts_s: u32, own: &[String], others: &[IceUrl]) -> Self {
        let own: Vec<_> = own.iter().filter_map(|url| IceUrl::new(url.as_str()).ok()).collect();
        let mut list = Self { secret, ..Self::none(lasts_s) };
        for urls in [&own[..], others] {
            let (stun, relays): (Vec<_>, Vec<_>) =
                urls.iter().cloned().partition(|url| url.as_str().starts_with("stun"));
            list.stun.extend(stun.chunks(limits::ICE_URLS_MOST).map(<[_]>::to_vec));
            list.relays.extend(relays.chunks(limits::ICE_URLS_MOST).map(<[_]>::to_vec));
        }
        list
    }

    /// What a user is told who asks now, in seconds since 1970.
    pub fn answer(&self, user: UserId, now_unix_s: u64) -> ServerMessage {
        let made = self.secret.issue(&user.to_string(), now_unix_s + u64::from(self.lasts_s));
        // They are short and printable, so these don't fail.
        let (username, credential) =
            (IceUsername::new(made.username).ok(), IceCredential::new(made.password).ok());
        let stun =
            self.stun.iter().map(|urls| IceServer { urls: urls.clone(), username: None, credential: None });
        let relays = self.relays.iter().map(|urls| IceServer {
            urls: urls.clone(),
            username: username.clone(),
            credential: credential.clone(),
        });
        let servers = stun.chain(relays).take(limits::ICE_SERVERS_MOST).collect();
        ServerMessage::IceServers { servers, expires_in_s: self.lasts_s }
    }
}

#[cfg(test)]
mod tests {
    use ahoy_turn::Credentials;

    use super::*;

    fn servers(list: &IceList) -> Vec<IceServer> {
        match list.answer(UserId::from_bits(1), 1_000) {
            ServerMessage::IceServers { servers, expires_in_s } => {
                assert_eq!(expires_in_s, 300);
                servers
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn credentials_are_for_relays_only_and_good_for_their_time() {
        let secret = Secret::new("north");
        let own = ["stun:a:3478".to_owned(), "turn:a:3478?transport=udp".to_owned()];
        let servers = servers(&IceList::new(secret.clone(), 300, &own, &[]));
        let [stun, relay] = &servers[..] else { panic!("{servers:?}") };
        assert_eq!((stun.username.as_ref(), stun.credential.as_ref()), (None, None));
        let made = Credentials {
            username: relay.username.as_ref().unwrap().as_str().to_owned(),
            password: relay.credential.as_ref().unwrap().as_str().to_owned(),
        };
        assert_eq!(secret.check(&made, 1_299), Ok(&*UserId::from_bits(1).to_string()));
        assert!(secret.check(&made, 1_300).is_err());
    }

    #[test]
    fn others_come_after_the_own_relay_and_no_answer_is_too_long() {
        let own = ["turn:a:3478?transport=udp".to_owned()];
        let others: Vec<_> = (0..32).map(|n| IceUrl::new(format!("turns:b{n}:443")).unwrap()).collect();
        let servers = servers(&IceList::new(Secret::new("north"), 300, &own, &others));
        assert_eq!(servers.len(), 5);
        assert_eq!(servers[0].urls[0].as_str(), own[0]);
        assert!(servers.iter().all(|server| server.urls.len() <= limits::ICE_URLS_MOST));
        let text = serde_json::to_string(&IceList::none(300).answer(UserId::from_bits(1), 0)).unwrap();
        assert_eq!(text, r#"{"type":"ice_servers","servers":[],"expires_in_s":300}"#);
    }
}
