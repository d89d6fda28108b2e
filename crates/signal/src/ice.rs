//! Servers that help two sides reach each other.

use serde::{Deserialize, Deserializer, Serialize};

use crate::limits;
use crate::text::{IceCredential, IceUrl, IceUsername};

/// A server for ICE: STUN tells clients how others see them (RFC 8489), TURN relays for those who can't reach each other
/// (RFC 8656). The same as W3C WebRTC's `RTCIceServer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(try_from = "RawIceServer")]
pub struct IceServer {
    /// The ways to it, at least one, and at most [`limits::ICE_URLS_MOST`].
    pub urls: Vec<IceUrl>,
    /// Who one is to it; absent for STUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub username: Option<IceUsername>,
    /// What proves that; absent for STUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "bindings", ts(optional))]
    pub credential: Option<IceCredential>,
}

#[derive(Deserialize)]
struct RawIceServer {
    urls: Vec<IceUrl>,
    #[serde(default)]
    username: Option<IceUsername>,
    #[serde(default)]
    credential: Option<IceCredential>,
}

impl TryFrom<RawIceServer> for IceServer {
    type Error = &'static str;

    fn try_from(raw: RawIceServer) -> Result<Self, Self::Error> {
        let RawIceServer { urls, username, credential } = raw;
        match (1..=limits::ICE_URLS_MOST).contains(&urls.len()) {
            true => Ok(Self { urls, username, credential }),
            false => Err("a server for ICE has at least one address and only a few"),
        }
    }
}

/// Reads at most [`limits::ICE_SERVERS_MOST`] servers.
pub(crate) fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IceServer>, D::Error> {
    let servers = Vec::deserialize(deserializer)?;
    match servers.len() <= limits::ICE_SERVERS_MOST {
        true => Ok(servers),
        false => Err(serde::de::Error::custom("there are only a few servers for ICE")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::server_message::ServerMessage;

    fn answer(servers: usize, urls: usize) -> Result<ServerMessage, serde_json::Error> {
        let server = json!({"urls": vec!["stun:ahoy.example.org"; urls]});
        let servers = vec![server; servers];
        serde_json::from_value(json!({"type": "ice_servers", "servers": servers, "expires_in_s": 300}))
    }

    #[test]
    fn a_few_servers_with_a_few_addresses_are_read_and_more_are_not() {
        assert!(answer(0, 1).is_ok(), "a server may have none");
        assert!(answer(limits::ICE_SERVERS_MOST, limits::ICE_URLS_MOST).is_ok());
        assert!(answer(limits::ICE_SERVERS_MOST + 1, 1).is_err());
        assert!(answer(1, limits::ICE_URLS_MOST + 1).is_err());
        assert!(answer(1, 0).is_err());
    }

    #[test]
    fn debug_output_tells_no_credentials() {
        let server = IceServer {
            urls: vec![IceUrl::new("turn:ahoy.example.org").unwrap()],
            username: Some(IceUsername::new("1795573800:ada").unwrap()),
            credential: Some(IceCredential::new("hush").unwrap()),
        };
        let text = format!("{server:?}");
        assert!(!text.contains("ada") && !text.contains("hush"), "{text}");
    }
}
