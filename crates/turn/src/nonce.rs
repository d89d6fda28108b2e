//! Nonces without memory: a nonce says when it was made and proves for whom (RFC 8489 section 9.2), so that the relay need not
//! remember whom it gave one.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// How long a nonce is good. RFC 8656 section 5 wants a new one every hour at least.
const LIFETIME_S: u64 = 3_600;
/// Bytes of the proof: 128 bits, which nobody guesses in an hour.
const PROOF_LENGTH: usize = 16;

/// Makes and checks nonces.
#[derive(Clone, Debug)]
pub(crate) struct Nonces {
    key: [u8; 32],
}

impl Nonces {
    /// With a key of their own: nonces of another run of the program are stale.
    pub(crate) fn random() -> Self {
        Self { key: rand::random() }
    }

    /// A nonce for a client. It does not begin with the cookie of RFC 8489 section 9.2, so that every client takes the
    /// algorithms that all of them know: MD5 for the key, HMAC-SHA1 for the signature.
    pub(crate) fn issue(&self, client: SocketAddr, now_unix_s: u64) -> String {
        let proof = self.proof(client, now_unix_s);
        format!("{now_unix_s:x}-{}", URL_SAFE_NO_PAD.encode(proof))
    }

    /// Whether a nonce was made for this client, within the hour.
    pub(crate) fn accepts(&self, nonce: &str, client: SocketAddr, now_unix_s: u64) -> bool {
        let Some((made, proof)) = nonce.split_once('-') else { return false };
        let Ok(made) = u64::from_str_radix(made, 16) else { return false };
        let Ok(proof) = URL_SAFE_NO_PAD.decode(proof) else { return false };
        let fresh = made <= now_unix_s && now_unix_s - made <= LIFETIME_S;
        fresh && proof.len() == PROOF_LENGTH && self.mac(client, made).verify_truncated_left(&proof).is_ok()
    }

    fn proof(&self, client: SocketAddr, made: u64) -> [u8; PROOF_LENGTH] {
        let whole = self.mac(client, made).finalize().into_bytes();
        let mut proof = [0; PROOF_LENGTH];
        for (to, from) in proof.iter_mut().zip(whole) {
            *to = from;
        }
        proof
    }

    fn mac(&self, client: SocketAddr, made: u64) -> Hmac<Sha256> {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(&made.to_be_bytes());
        mac.update(&client.port().to_be_bytes());
        mac.update(&client.ip().to_canonical().to_string().into_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_nonce_is_good_for_an_hour_and_for_whom_it_was_made() {
        let nonces = Nonces::random();
        let nonce = nonces.issue(client(1), 10_000);
        assert!(nonces.accepts(&nonce, client(1), 10_000));
        assert!(nonces.accepts(&nonce, client(1), 10_000 + LIFETIME_S));
        assert!(!nonces.accepts(&nonce, client(1), 10_001 + LIFETIME_S));
        assert!(!nonces.accepts(&nonce, client(1), 9_999), "nobody has nonces of tomorrow");
        assert!(!nonces.accepts(&nonce, client(2), 10_000));
        assert!(!Nonces::random().accepts(&nonce, client(1), 10_000));
    }

    #[test]
    fn a_nonce_with_another_time_or_a_shorter_proof_is_refused() {
        let nonces = Nonces::random();
        let nonce = nonces.issue(client(1), 0x1000);
        assert!(!nonces.accepts(&nonce.replace("1000-", "1001-"), client(1), 0x1001));
        assert!(!nonces.accepts(&nonce[..nonce.len() - 4], client(1), 0x1000));
        assert!(!nonces.accepts("1000-", client(1), 0x1000));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_check_panic(text: String, now: u64) {
            prop_assert!(!Nonces::random().accepts(&text, client(1), now));
        }
    }
}
