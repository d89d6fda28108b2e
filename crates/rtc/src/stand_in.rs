//! The stand-in: what the WebRTC library takes for the other side as far as ICE is concerned.
//!
//! [`ahoy_ice`] looks for the way to the other side. The library has an ICE agent of its own that can't be left out, so it is
//! given one to talk to: an ICE-lite side with one address, that answers each check at once and so is always there. What the
//! library sends to that address goes to wherever ICE has found, and descriptions are translated between what the other side
//! says and what the library may know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ahoy_ice::{CheckAnswer, Credentials, answer_check};

use crate::negotiation::attribute;

/// Addresses for documentation (RFC 5737, RFC 3849): nothing is ever sent there.
const ADDRESS: (IpAddr, IpAddr) =
    (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)));
const PORT: u16 = 5004;

/// The stand-in of one connection.
#[derive(Debug)]
pub(crate) struct StandIn {
    address: SocketAddr,
    credentials: Credentials,
}

/// What the other side's description says of ICE.
#[derive(Debug)]
pub(crate) struct RemoteIce {
    pub(crate) credentials: Credentials,
    /// Whether it answers checks only, so that this side has to decide (RFC 8445 section 6.1.1).
    pub(crate) is_lite: bool,
    /// The lines of the candidates that came with it.
    pub(crate) candidates: Vec<String>,
}

impl StandIn {
    /// A stand-in for a library that has this local address.
    pub(crate) fn new(local: SocketAddr) -> Self {
        let ip = if local.is_ipv4() { ADDRESS.0 } else { ADDRESS.1 };
        Self { address: SocketAddr::new(ip, PORT), credentials: Credentials::random() }
    }

    /// Where the library thinks that the other side is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the library hears to a check of its own.
    pub(crate) fn answer(&self, check: &[u8], from: SocketAddr) -> Option<CheckAnswer> {
        answer_check(check, &self.credentials.password, from)
    }

    /// The other side's description as the library may know it.
    pub(crate) fn to_library(&self, sdp: &str) -> String {
        let mut translated = String::with_capacity(sdp.len());
        let (mut in_media, mut introduced) = (false, false);
        for line in sdp.split_inclusive('\n') {
            let content = line.trim_end_matches(['\r', '\n']);
            if content.starts_with("m=") && !in_media {
                in_media = true;
                translated.push_str("a=ice-lite\r\n");
            }
            if in_media && !introduced && content.starts_with("a=") {
                introduced = true;
                let (ip, port) = (self.address.ip(), self.address.port());
                translated.push_str(&format!("a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\n"));
            }
            match content.strip_prefix("a=").map(|attribute| attribute.split(':').next().unwrap_or_default())
            {
                Some("ice-ufrag") => {
                    translated.push_str(&format!("a=ice-ufrag:{}\r\n", self.credentials.ufrag));
                }
                Some("ice-pwd") => {
                    translated.push_str(&format!("a=ice-pwd:{}\r\n", self.credentials.password));
                }
                Some("candidate" | "end-of-candidates" | "remote-candidates" | "ice-lite") => {}
                Some(_) | None => translated.push_str(line),
            }
        }
        translated
    }
}

/// The library's description as the other side is to know it, with one more line for the whole session.
pub(crate) fn to_peer(sdp: &str, credentials: &Credentials, session: &str) -> String {
    let mut translated = String::with_capacity(sdp.len() + session.len());
    let mut in_media = false;
    for line in sdp.split_inclusive('\n') {
        let content = line.trim_end_matches(['\r', '\n']);
        if content.starts_with("m=") && !std::mem::replace(&mut in_media, true) {
            translated.push_str(session);
        }
        match content.strip_prefix("a=").map(|attribute| attribute.split(':').next().unwrap_or_default()) {
            Some("ice-ufrag") => translated.push_str(&format!("a=ice-ufrag:{}\r\n", credentials.ufrag)),
            Some("ice-pwd") => translated.push_str(&format!("a=ice-pwd:{}\r\n", credentials.password)),
            Some("candidate" | "end-of-candidates") => {}
            Some(_) | None => translated.push_str(line),
        }
    }
    translated
}

/// What a description says of ICE; `None` if it lacks credentials, which the library will refuse.
pub(crate) fn remote_ice(sdp: &str) -> Option<RemoteIce> {
    let ufrag = attribute(sdp, "ice-ufrag")?.to_owned();
    let password = attribute(sdp, "ice-pwd")?.to_owned();
    let candidates = sdp.lines().map(str::trim).filter(|line| line.starts_with("a=candidate:"));
    Some(RemoteIce {
        credentials: Credentials { ufrag, password },
        is_lite: sdp.lines().any(|line| line.trim() == "a=ice-lite"),
        candidates: candidates.map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\n\
        a=candidate:9 1 udp 1 203.0.113.7 5000 typ host\r\na=end-of-candidates\r\na=mid:0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 102\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\na=mid:1\r\n";

    #[test]
    fn the_library_meets_the_stand_in_and_nobody_else() {
        let stand_in = StandIn::new("127.0.0.1:1".parse().unwrap());
        let seen = stand_in.to_library(OFFER);
        for hidden in ["abcd", "secret", "203.0.113.7", "end-of-candidates"] {
            assert!(!seen.contains(hidden), "{seen}");
        }
        assert_eq!(seen.matches("a=candidate:").count(), 1, "{seen}");
        assert_eq!(seen.matches(&stand_in.credentials.ufrag).count(), 2, "{seen}");
        let session = seen.split("m=audio").next().unwrap();
        assert!(session.contains("a=ice-lite\r\n"), "{seen}");
        assert!(
            seen.contains("c=IN IP4 0.0.0.0\r\na=candidate:"),
            "behind the lines that come first: {seen}"
        );
    }

    #[test]
    fn the_other_side_gets_our_credentials_and_no_candidates_of_the_librarys() {
        let credentials = Credentials { ufrag: "ours".into(), password: "word".into() };
        let told = to_peer(OFFER, &credentials, "a=x-more:1\r\n");
        assert_eq!(
            (told.matches("a=ice-ufrag:ours\r\n").count(), told.matches("a=ice-pwd:word\r\n").count()),
            (2, 2)
        );
        assert!(!told.contains("candidate") && !told.contains("abcd"), "{told}");
        assert_eq!(told.matches("a=mid:").count(), 2);
        assert!(told.contains("a=group:BUNDLE 0 1\r\na=x-more:1\r\nm=audio"), "{told}");
    }

    #[test]
    fn what_a_description_says_of_ice_is_found() {
        let ice = remote_ice(OFFER).unwrap();
        assert_eq!((ice.credentials.ufrag.as_str(), ice.candidates.len(), ice.is_lite), ("abcd", 1, false));
        assert!(remote_ice(&OFFER.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")).unwrap().is_lite);
        assert!(remote_ice("v=0\r\n").is_none());
    }
}
