//! The keys that sign tokens, in a file beside the database: whoever gets hold of a copy of the database alone can neither
//! sign tokens nor make refresh tokens.
//!
//! A new key is published before it signs, and an old one verifies until nothing that it signed is good any more, so that
//! a rotation is not noticed by anyone.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};

use super::refresh::RefreshKey;
use crate::store::private_folder;

/// How long a key is published before it signs: other nodes and whoever reads `jwks.json` know it by then.
pub const PUBLISH_MS: u64 = 5 * 60_000;
/// How long after its successor began to sign a key still verifies: the longest invite, and a day.
pub const OVERLAP_MS: u64 = 8 * 24 * 3_600_000;

/// Why the keys can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read or written.
    #[error("{path} can't be used: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{path} does not hold keys of this server: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A key that does not sign or verify, and what the cryptographic library says of it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnusableKey(String);

impl UnusableKey {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The file, as JSON.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    refresh_key: String,
    signing_keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
struct KeyEntry {
    kid: String,
    created_ms: u64,
    /// PKCS#8 in PEM (RFC 8410).
    private_key: String,
}

/// A key that signs tokens, or did.
pub struct TokenKey {
    /// Its name in token headers.
    pub kid: String,
    /// Since when it is published.
    pub created_ms: u64,
    /// Signs.
    pub signs: EncodingKey,
    /// Verifies.
    pub verifies: DecodingKey,
    public: [u8; 32],
    pem: String,
}

/// All keys: the newest last.
pub struct Keys {
    refresh: RefreshKey,
    keys: Vec<TokenKey>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

/// A public key as others read it (RFC 8037 section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Always `OKP`.
    pub kty: String,
    /// Always `Ed25519`.
    pub crv: String,
    /// Always `EdDSA`.
    pub alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub purpose: String,
    /// Its name in token headers.
    pub kid: String,
    /// The key, in base64url.
    pub x: String,
}

/// All public keys (RFC 7517 section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    /// Those whose tokens are good, and the one that will sign next.
    pub keys: Vec<PublicKey>,
}

impl TokenKey {
    fn generate(created_ms: u64) -> Result<Self, UnusableKey> {
        let key = SigningKey::from_bytes(&rand::random());
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(UnusableKey::of)?;
        let kid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 9]>());
        Self::read(KeyEntry { kid, created_ms, private_key: pem.to_string() })
    }

    fn read(entry: KeyEntry) -> Result<Self, UnusableKey> {
        let key = SigningKey::from_pkcs8_pem(&entry.private_key).map_err(UnusableKey::of)?;
        let public = key.verifying_key();
        let public_pem = public.to_public_key_pem(LineEnding::LF).map_err(UnusableKey::of)?;
        Ok(Self {
            kid: entry.kid,
            created_ms: entry.created_ms,
            signs: EncodingKey::from_ed_pem(entry.private_key.as_bytes()).map_err(UnusableKey::of)?,
            verifies: DecodingKey::from_ed_pem(public_pem.as_bytes()).map_err(UnusableKey::of)?,
            public: public.to_bytes(),
            pem: entry.private_key,
        })
    }
}

impl Keys {
    /// Keys for a server that has none.
    ///
    /// # Errors
    /// Where the key can't be written down, which does not happen.
    pub fn generate(now_ms: u64) -> Result<Self, UnusableKey> {
        Ok(Self { refresh: RefreshKey(rand::random()), keys: vec![TokenKey::generate(now_ms)?] })
    }

    /// Adds a key. It signs after [`PUBLISH_MS`].
    ///
    /// # Errors
    /// Where the key can't be written down, which does not happen.
    pub fn rotate(&mut self, now_ms: u64) -> Result<(), UnusableKey> {
        self.keys.push(TokenKey::generate(now_ms)?);
        self.keys.sort_by_key(|key| key.created_ms);
        self.forget(now_ms);
        Ok(())
    }

    /// For refresh tokens.
    pub fn refresh(&self) -> &RefreshKey {
        &self.refresh
    }

    /// The key that signs: the newest of those that were published for long enough, or else the oldest.
    pub fn signing(&self, now_ms: u64) -> Option<&TokenKey> {
        let known = |key: &&TokenKey| key.created_ms.saturating_add(PUBLISH_MS) <= now_ms;
        self.keys.iter().rev().find(known).or(self.keys.first())
    }

    /// The key of that name, if what it signed may still be good.
    pub fn verifying(&self, kid: &str, now_ms: u64) -> Option<&TokenKey> {
        let place = self.keys.iter().position(|key| key.kid == kid)?;
        if self.is_over(place, now_ms) { None } else { self.keys.get(place) }
    }

    /// Since when the newest key is there.
    pub fn newest_ms(&self) -> u64 {
        self.keys.last().map(|key| key.created_ms).unwrap_or_default()
    }

    /// What everyone may know.
    pub fn public(&self, now_ms: u64) -> PublicKeys {
        let good = self.keys.iter().enumerate().filter(|(place, _)| !self.is_over(*place, now_ms));
        let public = good.map(|(_, key)| PublicKey {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            alg: "EdDSA".into(),
            purpose: "sig".into(),
            kid: key.kid.clone(),
            x: URL_SAFE_NO_PAD.encode(key.public),
        });
        PublicKeys { keys: public.collect() }
    }

    /// Whether nothing that a key signed is good any more.
    fn is_over(&self, place: usize, now_ms: u64) -> bool {
        let successor = self.keys.get(place + 1);
        successor.is_some_and(|next| next.created_ms.saturating_add(PUBLISH_MS + OVERLAP_MS) < now_ms)
    }

    fn forget(&mut self, now_ms: u64) {
        let over = (0..self.keys.len()).take_while(|place| self.is_over(*place, now_ms)).count();
        self.keys.drain(..over);
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`KeyError`]; a file that is not there is an [`io::ErrorKind::NotFound`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let content = |reason: String| KeyError::Content { path: path.to_owned(), reason };
        let text =
            std::fs::read_to_string(path).map_err(|error| KeyError::File { path: path.to_owned(), error })?;
        // What is wrong is told without the text around it, which is secret.
        let file: KeyFile = serde_json::from_str(&text)
            .map_err(|error| content(format!("line {}, column {}", error.line(), error.column())))?;
        let refresh = URL_SAFE_NO_PAD.decode(&file.refresh_key).ok().and_then(|key| key.try_into().ok());
        let refresh = refresh.ok_or_else(|| content("refresh_key is not 32 bytes in base64url".into()))?;
        let keys = file.signing_keys.into_iter().map(TokenKey::read).collect::<Result<Vec<_>, _>>();
        let mut keys = keys.map_err(|key| content(key.to_string()))?;
        if keys.is_empty() {
            return Err(content("signing_keys is empty".into()));
        }
        keys.sort_by_key(|key| key.created_ms);
        Ok(Self { refresh: RefreshKey(refresh), keys })
    }

    /// Reads the file, or makes it with fresh keys.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load_or_create(path: &Path, now_ms: u64) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                let keys = Self::generate(now_ms)
                    .map_err(|key| KeyError::Content { path: path.to_owned(), reason: key.to_string() })?;
                keys.save(path)?;
                Ok(keys)
            }
            other => other,
        }
    }

    /// Writes the file, for this user alone to read: all of it or nothing.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let file = KeyFile {
            refresh_key: URL_SAFE_NO_PAD.encode(self.refresh.0),
            signing_keys: self
                .keys
                .iter()
                .map(|key| KeyEntry {
                    kid: key.kid.clone(),
                    created_ms: key.created_ms,
                    private_key: key.pem.clone(),
                })
                .collect(),
        };
        let write = || {
            let text = serde_json::to_string_pretty(&file).map_err(io::Error::other)?;
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                private_folder(folder)?;
            }
            let mut beside = path.as_os_str().to_owned();
            beside.push(format!(".{}", std::process::id()));
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut written = options.open(&beside)?;
            written.write_all(text.as_bytes())?;
            written.sync_all()?;
            std::fs::rename(&beside, path)
        };
        write().map_err(|error| KeyError::File { path: path.to_owned(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_700_000_000_000;

    #[test]
    fn a_rotation_overlaps_on_both_sides() {
        let mut keys = Keys::generate(T).unwrap();
        let old = keys.signing(T).unwrap().kid.clone();
        let rotated = T + 1_000_000;
        keys.rotate(rotated).unwrap();
        let new = keys.keys[1].kid.clone();
        assert_eq!(keys.signing(rotated).unwrap().kid, old, "published first");
        assert!(keys.public(rotated).keys.iter().any(|key| key.kid == new));
        let signs = rotated + PUBLISH_MS;
        assert_eq!(keys.signing(signs).unwrap().kid, new);
        assert!(keys.verifying(&old, signs + OVERLAP_MS).is_some(), "what it signed is still good");
        assert!(keys.verifying(&old, signs + OVERLAP_MS + 1).is_none());
        assert_eq!(keys.public(signs + OVERLAP_MS + 1).keys.len(), 1);
        keys.rotate(signs + OVERLAP_MS + 1).unwrap();
        assert_eq!(keys.keys.len(), 2, "the oldest is forgotten");
        assert_eq!(keys.keys[0].kid, new);
    }

    #[test]
    fn keys_are_written_for_this_user_alone_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/keys.json");
        let made = Keys::load_or_create(&path, T).unwrap();
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
            assert_eq!(mode & 0o777, 0o600);
        }
        let read = Keys::load_or_create(&path, T + 1).unwrap();
        assert_eq!(read.public(T), made.public(T));
        assert_eq!(read.refresh.0, made.refresh.0);
    }

    #[test]
    fn a_file_that_holds_something_else_is_an_error_that_tells_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        for text in ["", "{\"refresh_key\": \"hush\"}", "{\"refresh_key\":\"hush\",\"signing_keys\":[]}"] {
            std::fs::write(&path, text).unwrap();
            let error = Keys::load_or_create(&path, T).unwrap_err().to_string();
            assert!(error.contains("does not hold keys") && !error.contains("hush"), "{error}");
        }
    }
}
