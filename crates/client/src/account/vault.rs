//! The refresh token, shared by the programs of one person.
//!
//! A refresh token works once. If two programs used the same one, the server would take one of them for a thief and sign the
//! device out; so whoever refreshes holds the lock of the account book, reads the token, and puts its successor in its place.

use std::sync::Arc;
use std::time::Duration;

use ahoy_signal::RefreshToken;
use ahoy_signal_client::{OpenVault, RefreshVault, VaultError};
use async_trait::async_trait;

use super::book::{AccountBook, BookLock};
use super::secret_store::{SecretError, SecretStore};

/// How long a keyring may take: it may be asking a person.
const SECRET_WITHIN: Duration = Duration::from_secs(60);

/// Does something that may wait for a keyring, and gives up on it after a while.
pub(super) async fn patiently<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<Result<T, E>, SecretError>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::time::timeout(SECRET_WITHIN, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => Ok(result),
        // It panicked, or the runtime ends.
        Ok(Err(_)) | Err(_) => Err(SecretError::Silent),
    }
}

/// The refresh token of one sign-in.
pub(super) struct StoredVault {
    pub(super) book: AccountBook,
    pub(super) secrets: Arc<dyn SecretStore>,
    pub(super) name: String,
}

struct OpenStored {
    _lock: BookLock,
    secrets: Arc<dyn SecretStore>,
    name: String,
}

fn told(error: &dyn std::fmt::Display) -> VaultError {
    VaultError(error.to_string())
}

#[async_trait]
impl RefreshVault for StoredVault {
    async fn open(&self) -> Result<Box<dyn OpenVault>, VaultError> {
        let book = self.book.clone();
        let lock = patiently(move || book.lock()).await.map_err(|error| told(&error))?;
        Ok(Box::new(OpenStored {
            _lock: lock.map_err(|error| told(&error))?,
            secrets: Arc::clone(&self.secrets),
            name: self.name.clone(),
        }))
    }
}

#[async_trait]
impl OpenVault for OpenStored {
    async fn load(&mut self) -> Result<Option<RefreshToken>, VaultError> {
        let (secrets, name) = (Arc::clone(&self.secrets), self.name.clone());
        let loaded = patiently(move || secrets.load(&name)).await.and_then(|loaded| loaded);
        let secret = loaded.map_err(|error| told(&error))?;
        secret.map(RefreshToken::new).transpose().map_err(|error| told(&error))
    }

    async fn keep(&mut self, token: &RefreshToken) -> Result<(), VaultError> {
        let (secrets, name, token) = (Arc::clone(&self.secrets), self.name.clone(), token.clone());
        let stored = patiently(move || secrets.store(&name, token.as_str())).await;
        stored.and_then(|stored| stored).map_err(|error| told(&error))
    }
}
