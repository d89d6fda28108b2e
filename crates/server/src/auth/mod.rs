//! Who one is: passwords, tokens, devices, invites, and what people may do with their accounts.
//!
//! [`Authenticator`] reads and makes tokens; [`Accounts`] is everything that is asked over HTTP.

mod accounts;
mod audit;
pub mod backoff;
mod care;
mod guests;
pub mod keys;
pub mod password;
pub mod recovery;
pub mod refresh;
pub mod token;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_signal::{AccessToken, DeviceId, ErrorCode, Refusal};
use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::clock::unix_ms;
use crate::identity::{Identity, TokenCheck};
use crate::store::StoreError;
use crate::store::sql::{SqlStore, TokenUse};

pub use accounts::{AccountRules, Accounts, SignUpPolicy};
pub use audit::{AuditEvent, Caller};
use keys::{KeyError, Keys};
use token::{ACCESS_LONGEST_S, Access, Bearer, Issuer, SigningError};

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        metrics::counter!("ahoy_store_errors_total").increment(1);
        tracing::error!(%error, "the store can't be used");
        Self::new(ErrorCode::Unavailable, "The server can't look that up or store it now: try again later.")
    }
}

impl From<SigningError> for Refusal {
    fn from(error: SigningError) -> Self {
        tracing::error!(%error, "no token can be made");
        Self::new(ErrorCode::Internal, "The server made a mistake: its log says more.")
    }
}

/// What tokens are like on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Whose they are, and for whom.
    pub issuer: Issuer,
    /// How long an access token is good, in seconds.
    pub access_s: u64,
    /// The file with the keys.
    pub keys_file: PathBuf,
}

/// Reads and makes tokens.
pub struct Authenticator {
    keys: ArcSwap<Keys>,
    store: SqlStore,
    rules: TokenRules,
    /// Devices that were signed out lately, with the time until which a token of theirs may be around.
    signed_out: Mutex<HashMap<DeviceId, u64>>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// With the keys in the file, which is made where it is not there.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(store: SqlStore, rules: TokenRules) -> Result<Self, KeyError> {
        let keys = Keys::load_or_create(&rules.keys_file, unix_ms())?;
        Ok(Self { keys: ArcSwap::from_pointee(keys), store, rules, signed_out: Mutex::default() })
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// Reads the key file again: someone rotated the keys.
    ///
    /// # Errors
    /// [`KeyError`]: the keys stay what they were.
    pub fn reload_keys(&self) -> Result<(), KeyError> {
        self.keys.store(Arc::new(Keys::load(&self.rules.keys_file)?));
        Ok(())
    }

    /// Adds a key where the newest is older than `lifetime_ms`. Whether it did.
    ///
    /// # Errors
    /// [`KeyError`]: the keys stay what they were.
    pub fn rotate_if_due(&self, lifetime_ms: u64, now_ms: u64) -> Result<bool, KeyError> {
        let path = &self.rules.keys_file;
        let mut keys = Keys::load(path)?;
        if keys.newest_ms().saturating_add(lifetime_ms) > now_ms {
            return Ok(false);
        }
        let made = keys.rotate(now_ms);
        made.map_err(|key| KeyError::Content { path: path.clone(), reason: key.to_string() })?;
        keys.save(path)?;
        self.keys.store(Arc::new(keys));
        Ok(true)
    }

    /// What tokens are like here.
    pub fn rules(&self) -> &TokenRules {
        &self.rules
    }

    /// Makes an access token, and tells for how many seconds it is good.
    pub(crate) fn issue(&self, bearer: &Bearer<'_>, now_ms: u64) -> Result<(AccessToken, u32), SigningError> {
        let lifetime = self.rules.access_s.min(ACCESS_LONGEST_S);
        let token = self.rules.issuer.access_token(&self.keys.load(), bearer, lifetime, now_ms)?;
        Ok((token, u32::try_from(lifetime).unwrap_or(u32::MAX)))
    }

    fn verified(&self, token: &AccessToken, now_ms: u64) -> Result<Access, Refusal> {
        let access = self.rules.issuer.check_access(&self.keys.load(), token, now_ms)?;
        let signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        match signed_out.contains_key(&access.identity.device) {
            true => Err(device_signed_out()),
            false => Ok(access),
        }
    }

    /// Checks a token that comes with a request over HTTP: it may come any number of times, while its device is signed in.
    ///
    /// # Errors
    /// `unauthenticated`, `token_expired`, `signed_out` or `unavailable`.
    pub async fn check(&self, token: &AccessToken) -> Result<Identity, Refusal> {
        let now_ms = unix_ms();
        let access = self.verified(token, now_ms)?;
        match self.store.device(access.identity.device).await? {
            Some(device) if device.expires_ms > now_ms && device.user == access.identity.user => {
                Ok(access.identity)
            }
            Some(_) | None => Err(device_signed_out()),
        }
    }

    /// Remembers for as long as a token may live that a device is signed out.
    pub(crate) fn note_signed_out(&self, device: DeviceId) {
        let now_ms = unix_ms();
        let mut signed_out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        signed_out.retain(|_, until| *until > now_ms);
        signed_out.insert(device, now_ms + (ACCESS_LONGEST_S + 60) * 1000);
    }
}

/// Says that the device is signed out.
pub(crate) fn device_signed_out() -> Refusal {
    Refusal::new(ErrorCode::SignedOut, "This device was signed out: sign in again.")
}

#[async_trait]
impl TokenCheck for Authenticator {
    async fn open(&self, token: &AccessToken) -> Result<Identity, Refusal> {
        let now_ms = unix_ms();
        let access = self.verified(token, now_ms)?;
        let used =
            self.store.use_token(&access.jti, access.expires_ms, access.identity.device, now_ms).await?;
        match used {
            TokenUse::First => Ok(access.identity),
            TokenUse::Again => {
                metrics::counter!("ahoy_tokens_replayed_total").increment(1);
                Err(Refusal::new(
                    ErrorCode::TokenUsed,
                    "This token has opened a connection before: refresh it.",
                ))
            }
            TokenUse::DeviceGone => Err(device_signed_out()),
        }
    }

    fn renew(&self, token: &AccessToken) -> Result<Identity, Refusal> {
        self.verified(token, unix_ms()).map(|access| access.identity)
    }
}
