//! Refresh tokens: a family per device, in which each token gets the next one.
//!
//! A token holds its device, its number in the family, 256 bits of secret and a seal over all that. The first secret is
//! random, each next one is derived from the one before with the server's key: whoever lost the answer and asks again gets
//! the same successor, and nothing but one hash per device has to be stored. The seal tells an old token, whose use means
//! that there is a copy, from something made up, which means nothing.

use ahoy_signal::{DeviceId, RefreshToken};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What tells people and secret scanners what it is.
const PREFIX: &str = "ahoyr_";
const DEVICE: usize = 16;
const GENERATION: usize = 4;
const SECRET: usize = 32;
const SEAL: usize = 32;
const LENGTH: usize = DEVICE + GENERATION + SECRET + SEAL;

/// The server's key for refresh tokens.
#[derive(Clone)]
pub struct RefreshKey(pub(super) [u8; 32]);

impl RefreshKey {
    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        // HMAC takes keys of any length, so this can't fail; were it otherwise, nothing would be authenticated.
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(mac) => mac,
            Err(_) => Hmac::<Sha256>::new(&Default::default()),
        };
        mac.update(purpose);
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

/// A refresh token that this server made.
#[derive(Clone, PartialEq, Eq)]
pub struct FamilyToken {
    /// Whose.
    pub device: DeviceId,
    /// Its number in the family, from 0.
    pub generation: u32,
    secret: [u8; SECRET],
}

/// What a refresh token gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next token takes its place.
    Rotate,
    /// It was the last one until a moment ago, and the next one has not been used: the answer was lost, so once more.
    SameSuccessor,
    /// Somebody has a copy: the family ends.
    Reused,
}

impl FamilyToken {
    /// The first token of a family.
    pub fn first(device: DeviceId, secret: [u8; 32]) -> Self {
        Self { device, generation: 0, secret }
    }

    /// The token that follows this one.
    pub fn successor(&self, key: &RefreshKey) -> Self {
        let mac = key.mac(b"successor", &[&self.device.bits().to_be_bytes(), &self.secret]);
        Self {
            device: self.device,
            generation: self.generation.saturating_add(1),
            secret: mac.finalize().into_bytes().into(),
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(&self.device.bits().to_be_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.secret);
        bytes
    }

    /// As the client gets it. `None` never happens: it would be a text that is not a token.
    pub fn sealed(&self, key: &RefreshKey) -> Option<RefreshToken> {
        let mut bytes = self.body();
        let seal: [u8; SEAL] = key.mac(b"seal", &[&bytes]).finalize().into_bytes().into();
        bytes.extend_from_slice(&seal);
        RefreshToken::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))).ok()
    }

    /// Reads a token; `None` where this server did not make it.
    pub fn open(token: &RefreshToken, key: &RefreshKey) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token.as_str().strip_prefix(PREFIX)?).ok()?;
        if bytes.len() != LENGTH {
            return None;
        }
        let (body, seal) = bytes.split_at(LENGTH - SEAL);
        key.mac(b"seal", &[body]).verify_slice(seal).ok()?;
        let (device, rest) = body.split_at(DEVICE);
        let (generation, secret) = rest.split_at(GENERATION);
        Some(Self {
            device: DeviceId::from_bits(u128::from_be_bytes(device.try_into().ok()?)),
            generation: u32::from_be_bytes(generation.try_into().ok()?),
            secret: secret.try_into().ok()?,
        })
    }

    /// What is stored of it.
    pub fn hash(&self) -> String {
        hex_sha256(&self.body())
    }

    /// What this token gets where the device's row says that the token `generation` with this hash is the last one, which
    /// it became `since_ms` ago.
    pub fn verdict(
        &self,
        key: &RefreshKey,
        generation: u32,
        token_hash: &str,
        since_ms: u64,
        grace_ms: u64,
    ) -> Verdict {
        if self.generation == generation && self.hash() == token_hash {
            return Verdict::Rotate;
        }
        if self.generation > generation {
            // The server made it, so its database was set back since, from a backup: nobody is signed out by that.
            return Verdict::Rotate;
        }
        let next = self.successor(key);
        if next.generation == generation && next.hash() == token_hash && since_ms <= grace_ms {
            return Verdict::SameSuccessor;
        }
        Verdict::Reused
    }
}

/// SHA-256 in hexadecimal digits. Only for what nobody can guess: passwords get argon2id.
pub fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        hex
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> RefreshKey {
        RefreshKey([7; 32])
    }

    fn first() -> FamilyToken {
        FamilyToken::first(DeviceId::from_bits(99), [1; 32])
    }

    #[test]
    fn a_token_reads_as_it_was_written_and_by_no_other_server() {
        let sealed = first().sealed(&key()).unwrap();
        assert!(FamilyToken::open(&sealed, &key()) == Some(first()));
        assert!(FamilyToken::open(&sealed, &RefreshKey([8; 32])).is_none());
    }

    #[test]
    fn no_changed_character_is_accepted() {
        let sealed = first().sealed(&key()).unwrap();
        for place in PREFIX.len()..sealed.as_str().len() {
            let mut text = sealed.as_str().as_bytes().to_vec();
            text[place] = if text[place] == b'A' { b'B' } else { b'A' };
            let changed = RefreshToken::new(String::from_utf8(text).unwrap()).unwrap();
            assert!(FamilyToken::open(&changed, &key()).is_none(), "place {place}");
        }
    }

    #[test]
    fn the_last_token_gets_the_next_and_for_a_moment_so_does_the_one_before() {
        let (a, b) = (first(), first().successor(&key()));
        let verdict = |token: &FamilyToken, last: &FamilyToken, since| {
            token.verdict(&key(), last.generation, &last.hash(), since, 30_000)
        };
        assert_eq!(verdict(&a, &a, 1_000_000), Verdict::Rotate);
        assert_eq!(verdict(&a, &b, 30_000), Verdict::SameSuccessor);
        assert_eq!(verdict(&a, &b, 30_001), Verdict::Reused);
        // The successor has been used: whoever still holds the one before has a copy.
        assert_eq!(verdict(&a, &b.successor(&key()), 0), Verdict::Reused);
        // A database from a backup knows less than the client.
        assert_eq!(verdict(&b, &a, 0), Verdict::Rotate);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text: String) {
            if let Ok(token) = RefreshToken::new(text) {
                prop_assert!(FamilyToken::open(&token, &key()).is_none());
            }
        }
    }
}
