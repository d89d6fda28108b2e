//! Tokens: the refresh token in a safe place, the access token in this process only.

use std::sync::Arc;
use std::time::Duration;

use ahoy_signal::account::{Refresh, TokenGrant};
use ahoy_signal::{AccessToken, ErrorCode, RefreshToken};
use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::http::Http;
use crate::reach::ReachError;

/// A token that is good for less than this may be none when it arrives.
const SPARE: Duration = Duration::from_secs(15);
/// How long the answer to one refresh is waited for.
const REFRESH_WITHIN: Duration = Duration::from_secs(8);
/// Until when a lost answer is asked for again, with the same refresh token: the server gives the same successor for 30 s.
const SAME_SUCCESSOR: Duration = Duration::from_secs(25);
/// How long is waited before that.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Why the refresh token can't be read or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VaultError(pub String);

/// Where the refresh token lies. Several programs of a user may share it.
#[async_trait]
pub trait RefreshVault: Send + Sync {
    /// Takes hold of it: nobody else has it until the handle is dropped.
    async fn open(&self) -> Result<Box<dyn OpenVault>, VaultError>;
}

/// A vault that one has for oneself.
#[async_trait]
pub trait OpenVault: Send {
    /// The token; `None` once signed out.
    async fn load(&mut self) -> Result<Option<RefreshToken>, VaultError>;
    /// Puts another one in its place. When this returns it is safe.
    async fn keep(&mut self, token: &RefreshToken) -> Result<(), VaultError>;
}

/// A vault that ends with the process.
#[derive(Clone, Debug)]
pub struct MemoryVault(Arc<Mutex<Option<RefreshToken>>>);

impl MemoryVault {
    /// A vault with a token in it.
    pub fn new(token: RefreshToken) -> Self {
        Self(Arc::new(Mutex::new(Some(token))))
    }
}

#[async_trait]
impl RefreshVault for MemoryVault {
    async fn open(&self) -> Result<Box<dyn OpenVault>, VaultError> {
        Ok(Box::new(Arc::clone(&self.0).lock_owned().await))
    }
}

#[async_trait]
impl OpenVault for tokio::sync::OwnedMutexGuard<Option<RefreshToken>> {
    async fn load(&mut self) -> Result<Option<RefreshToken>, VaultError> {
        Ok((**self).clone())
    }

    async fn keep(&mut self, token: &RefreshToken) -> Result<(), VaultError> {
        **self = Some(token.clone());
        Ok(())
    }
}

/// Why there is no access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The device is signed out.
    #[error("this device was signed out: sign in again")]
    SignedOut,
    /// The server can't be asked.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The refresh token can't be read or kept.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// An access token and how long it is good.
struct Access {
    token: AccessToken,
    until: Instant,
    /// Whether it was given out to open a connection, which it can do once.
    opened: bool,
}

struct Held {
    access: Option<Access>,
    /// A refresh token that could not be kept yet. The one in the vault is void.
    unkept: Option<RefreshToken>,
}

/// Gives out access tokens, and refreshes them: one refresh at a time, and nothing is used before its refresh token is kept.
pub struct TokenKeeper {
    http: Http,
    vault: Arc<dyn RefreshVault>,
    held: Mutex<Held>,
}

impl TokenKeeper {
    /// Keeps the tokens of a sign-in whose refresh token lies in the vault.
    pub fn new(http: Http, vault: Arc<dyn RefreshVault>) -> Self {
        Self { http, vault, held: Mutex::new(Held { access: None, unkept: None }) }
    }

    /// The same, with the tokens of a sign-in just made.
    pub fn signed_in(http: Http, vault: Arc<dyn RefreshVault>, grant: TokenGrant) -> Self {
        let access = Some(Access::of(grant).0);
        Self { http, vault, held: Mutex::new(Held { access, unkept: None }) }
    }

    /// The server that the tokens are good for.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// A token for HTTP.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn for_http(&self) -> Result<AccessToken, TokenError> {
        let mut held = self.held.lock().await;
        if let Some(access) = held.access.as_ref().filter(|access| access.is_good()) {
            return Ok(access.token.clone());
        }
        self.refresh(&mut held).await.map(|access| access.token.clone())
    }

    /// A token that has opened no connection, and how long it is good.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn for_opening(&self) -> Result<(AccessToken, Duration), TokenError> {
        let mut held = self.held.lock().await;
        if let Some(access) = held.access.as_mut().filter(|access| access.is_good() && !access.opened) {
            access.opened = true;
            return Ok((access.token.clone(), access.left()));
        }
        let access = self.refresh(&mut held).await?;
        access.opened = true;
        Ok((access.token.clone(), access.left()))
    }

    /// A fresh token that prolongs a session, and how long it is good.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn for_renewal(&self) -> Result<(AccessToken, Duration), TokenError> {
        let mut held = self.held.lock().await;
        let access = self.refresh(&mut held).await?;
        Ok((access.token.clone(), access.left()))
    }

    async fn refresh<'a>(&self, held: &'a mut Held) -> Result<&'a mut Access, TokenError> {
        let mut vault = self.vault.open().await?;
        let token = match held.unkept.clone() {
            Some(unkept) => unkept,
            None => vault.load().await?.ok_or(TokenError::SignedOut)?,
        };
        let grant = self.ask(Refresh { refresh_token: token }).await?;
        let (access, refresh) = Access::of(grant);
        held.unkept = Some(refresh.clone());
        vault.keep(&refresh).await?;
        held.unkept = None;
        Ok(held.access.insert(access))
    }

    async fn ask(&self, refresh: Refresh) -> Result<TokenGrant, TokenError> {
        let first = Instant::now();
        loop {
            match self.http.refresh(&refresh, REFRESH_WITHIN).await {
                Ok(grant) => return Ok(grant),
                Err(ReachError::Refused(refusal))
                    if matches!(refusal.code, ErrorCode::SignedOut | ErrorCode::Unauthenticated) =>
                {
                    return Err(TokenError::SignedOut);
                }
                // The server may have made the successor: asked again in time it gives the same one.
                Err(lost @ (ReachError::BrokenOff { .. } | ReachError::TimedOut { .. })) => {
                    if first.elapsed() + ASK_AGAIN + REFRESH_WITHIN > SAME_SUCCESSOR {
                        return Err(lost.into());
                    }
                    tracing::info!("the answer to a refresh was lost: it is asked for again");
                    sleep(ASK_AGAIN).await;
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
}

impl Access {
    fn of(grant: TokenGrant) -> (Self, RefreshToken) {
        let until = Instant::now() + Duration::from_secs(grant.expires_in_s.into());
        (Self { token: grant.access_token, until, opened: false }, grant.refresh_token)
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn is_good(&self) -> bool {
        self.left() > SPARE
    }
}
