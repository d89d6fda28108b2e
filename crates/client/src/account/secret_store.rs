//! Where secrets lie: in the keyring of the system, in a file that somebody chose, or nowhere but in this process.
//!
//! Everything here may wait for a person (a keyring that asks for its password), so it is called on threads that may wait.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use keyring::{Entry, Error};

use super::book::AccountBook;

/// What Ahoy's entries in the keyring are filed under.
const SERVICE: &str = "ahoy";

/// Why a secret can't be kept or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no keyring.
    #[error(
        "there is no keyring to keep your sign-in in ({cause}): start one, such as GNOME Keyring, KWallet or KeePassXC, or name a file with --session-file on a machine that only you use"
    )]
    NoKeyring {
        /// The system's reason.
        cause: String,
    },
    /// It is locked.
    #[error(
        "your keyring is locked ({cause}): unlock it, for example by signing in to your desktop, and try again"
    )]
    Locked {
        /// The system's reason.
        cause: String,
    },
    /// It does not answer; perhaps it asks for its password where nobody sees it.
    #[error("your keyring does not answer: unlock it, and try again")]
    Silent,
    /// Something else is wrong with it.
    #[error("your keyring can't be used ({cause})")]
    Keyring {
        /// The system's reason.
        cause: String,
    },
    /// The file can't be used.
    #[error("{0}")]
    File(String),
}

/// Where secrets lie, each by its name.
pub trait SecretStore: Send + Sync {
    /// Where that is.
    fn keeping(&self) -> Keeping;
    /// A secret; `None` where there is none.
    fn load(&self, name: &str) -> Result<Option<String>, SecretError>;
    /// Keeps a secret in place of the one before. When this returns it is safe.
    fn store(&self, name: &str, secret: &str) -> Result<(), SecretError>;
    /// Forgets a secret; one that is not there is forgotten.
    fn forget(&self, name: &str) -> Result<(), SecretError>;
}

/// How safely secrets lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Keeping {
    /// In the system's keyring: one stays signed in.
    Keyring,
    /// In a file that whoever can read it can use.
    File,
    /// In this process: one is signed in until it ends.
    Memory,
}

/// The keyring of the system.
#[derive(Debug)]
pub struct KeyringStore(());

impl KeyringStore {
    /// Finds the keyring.
    ///
    /// # Errors
    /// [`SecretError::NoKeyring`] with the real cause.
    pub fn open() -> Result<Self, SecretError> {
        match Entry::store_status() {
            Ok(()) => Ok(Self(())),
            Err(error) => Err(SecretError::NoKeyring { cause: error.to_string() }),
        }
    }
}

/// What an error of the keyring means.
fn told(error: &Error) -> SecretError {
    match error {
        Error::NoDefaultStore => SecretError::NoKeyring { cause: error.to_string() },
        Error::NoStorageAccess(cause) => SecretError::Locked { cause: cause.to_string() },
        // The library's errors may grow.
        other => SecretError::Keyring { cause: other.to_string() },
    }
}

impl SecretStore for KeyringStore {
    fn keeping(&self) -> Keeping {
        Keeping::Keyring
    }

    fn load(&self, name: &str) -> Result<Option<String>, SecretError> {
        match Entry::new(SERVICE, name).and_then(|entry| entry.get_password()) {
            Ok(secret) => Ok(Some(secret)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    fn store(&self, name: &str, secret: &str) -> Result<(), SecretError> {
        Entry::new(SERVICE, name).and_then(|entry| entry.set_password(secret)).map_err(|error| told(&error))
    }

    fn forget(&self, name: &str) -> Result<(), SecretError> {
        match Entry::new(SERVICE, name).and_then(|entry| entry.delete_credential()) {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(told(&error)),
        }
    }
}

/// The file that also says who is signed in.
#[derive(Debug)]
pub struct FileStore(pub(super) AccountBook);

impl SecretStore for FileStore {
    fn keeping(&self) -> Keeping {
        Keeping::File
    }

    fn load(&self, name: &str) -> Result<Option<String>, SecretError> {
        let page = self.0.read().map_err(|error| SecretError::File(error.to_string()))?;
        Ok(page.secrets.get(name).cloned())
    }

    fn store(&self, name: &str, secret: &str) -> Result<(), SecretError> {
        let changed = self.0.change(|page| {
            page.secrets.insert(name.to_owned(), secret.to_owned());
        });
        changed.map_err(|error| SecretError::File(error.to_string()))
    }

    fn forget(&self, name: &str) -> Result<(), SecretError> {
        let changed = self.0.change(|page| {
            page.secrets.remove(name);
        });
        changed.map_err(|error| SecretError::File(error.to_string()))
    }
}

/// Secrets that end with the process.
#[derive(Default)]
pub struct MemoryStore(Mutex<BTreeMap<String, String>>);

impl SecretStore for MemoryStore {
    fn keeping(&self) -> Keeping {
        Keeping::Memory
    }

    fn load(&self, name: &str) -> Result<Option<String>, SecretError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }

    fn store(&self, name: &str, secret: &str) -> Result<(), SecretError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), secret.to_owned());
        Ok(())
    }

    fn forget(&self, name: &str) -> Result<(), SecretError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}
