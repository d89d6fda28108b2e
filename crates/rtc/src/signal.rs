//! What two peers tell each other before and beside the media.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::negotiation::attribute;

/// Which half of an offer/answer exchange (RFC 3264) a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptionKind {
    /// Proposes a session.
    Offer,
    /// Accepts the proposal.
    Answer,
}

/// One message from a peer to the other, to be carried in order. Its `Debug` form leaves out addresses and keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Signal {
    /// A session description.
    Description {
        /// Offer or answer.
        kind: DescriptionKind,
        /// The description (RFC 8866).
        sdp: String,
    },
    /// One network address at which the sender may be reached (RFC 8838).
    Candidate {
        /// The candidate line (RFC 8839 section 5.1), empty for "no more".
        candidate: String,
        /// The media section that it belongs to, by its identification tag.
        sdp_mid: Option<String>,
        /// The media section that it belongs to, by its position.
        sdp_mline_index: Option<u16>,
        /// The ICE generation that it belongs to (RFC 8445 section 5.3).
        ufrag: Option<String>,
    },
}

impl Signal {
    /// The ICE generation that it begins, goes on with or belongs to: the username fragment (RFC 8445 section 5.3).
    pub fn generation(&self) -> Option<&str> {
        match self {
            Signal::Description { sdp, .. } => attribute(sdp, "ice-ufrag"),
            Signal::Candidate { ufrag, .. } => ufrag.as_deref(),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Signal::Description { kind, sdp } => write!(f, "{kind:?}({} bytes)", sdp.len()),
            Signal::Candidate { candidate, sdp_mid, .. } => {
                let kind = candidate.split_whitespace().skip_while(|word| *word != "typ").nth(1);
                write!(
                    f,
                    "Candidate({} of section {:?})",
                    kind.unwrap_or("end"),
                    sdp_mid.as_deref().unwrap_or("?")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_tells_neither_addresses_nor_keys() {
        let candidate = Signal::Candidate {
            candidate: "candidate:1 1 udp 2130706431 192.0.2.7 50123 typ host".into(),
            sdp_mid: Some("0".into()),
            sdp_mline_index: Some(0),
            ufrag: Some("secretufrag".into()),
        };
        let description = Signal::Description {
            kind: DescriptionKind::Offer,
            sdp: "a=ice-pwd:secretpwd\r\na=fingerprint:sha-256 AA:BB".into(),
        };
        let text = format!("{candidate:?} {description:?}");
        for secret in ["192.0.2.7", "50123", "secretufrag", "secretpwd", "AA:BB"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("host") && text.contains("Offer"), "{text}");
    }

    #[test]
    fn signals_have_a_stable_wire_form() {
        let offer = Signal::Description { kind: DescriptionKind::Offer, sdp: "v=0".into() };
        let text = serde_json::to_string(&offer).unwrap();
        assert_eq!(text, r#"{"type":"description","kind":"offer","sdp":"v=0"}"#);
        assert_eq!(serde_json::from_str::<Signal>(&text).unwrap(), offer);
    }
}
