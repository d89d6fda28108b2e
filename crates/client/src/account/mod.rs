//! Accounts: signing up, in and out, and staying signed in.
//!
//! The refresh token lies in the system's keyring, the access token only in this process, and neither is ever shown. A file
//! without secrets remembers who is signed in where.

mod book;
mod care;
mod secret_store;
mod vault;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ahoy_signal::account::{GuestSignIn, Recover, SignIn, SignUp, TokenGrant};
use ahoy_signal::{Name, RecoveryCode, Refusal, RoomId};
pub use ahoy_signal_client::{
    AddressError, Fingerprint, InviteLink, PlainHttp, ReachError, ServerUrl, TrustError,
};
use ahoy_signal_client::{Http, MemoryVault, TokenError, TokenKeeper, Trust};

pub use self::book::{BookError, SignInRecord};
pub use self::secret_store::{FileStore, Keeping, KeyringStore, MemoryStore, SecretError, SecretStore};

use self::book::AccountBook;
use self::vault::{StoredVault, patiently};

/// Why something about an account was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Nobody is signed in.
    #[error("you are not signed in{}: sign in first, with ahoy-cli sign-in",
        server.as_ref().map_or_else(String::new, |server| format!(" at {server}")))]
    NotSignedIn {
        /// Where, if a server was named.
        server: Option<String>,
    },
    /// The sign-in is not good any more.
    #[error("this device was signed out of {server}: sign in again, with ahoy-cli sign-in")]
    SignedOut {
        /// Where.
        server: String,
    },
    /// The server's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Certificates can't be checked.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The server can't be reached, or refuses.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The keyring can't be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file of sign-ins can't be used.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The refresh token can't be read or kept.
    #[error("{0}")]
    Vault(String),
    /// The server's answer lacks something.
    #[error("the server's answer makes no sense to this version: update the older side")]
    Garbled,
}

impl AccountError {
    /// What the server says, where it refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Reach(ReachError::Refused(refusal)) => Some(refusal),
            Self::Reach(_)
            | Self::NotSignedIn { .. }
            | Self::SignedOut { .. }
            | Self::Address(_)
            | Self::Trust(_)
            | Self::Secret(_)
            | Self::Book(_)
            | Self::Vault(_)
            | Self::Garbled => None,
        }
    }
}

/// Where sign-ins are remembered.
#[derive(Clone, Debug)]
pub enum AccountPlace {
    /// Secrets in the keyring, the rest in a file of this folder.
    Keyring {
        /// The folder.
        folder: PathBuf,
    },
    /// Everything in one file, which whoever can read it can use.
    File(PathBuf),
    /// Secrets in this process only, the rest in a file of this folder: for a window on a system without a keyring.
    Memory {
        /// The folder.
        folder: PathBuf,
    },
}

impl AccountPlace {
    fn folder(&self) -> &Path {
        match self {
            Self::Keyring { folder } | Self::Memory { folder } => folder,
            Self::File(path) => path.parent().unwrap_or(Path::new("")),
        }
    }

    /// The file of an account's history.
    pub fn history(&self, record: &SignInRecord) -> PathBuf {
        self.folder().join("history").join(format!("{}.sqlite3", record.user))
    }

    /// The folder in which an account's transfers of files are remembered.
    pub fn transfers(&self, record: &SignInRecord) -> PathBuf {
        self.folder().join("transfers").join(record.user.to_string())
    }
}

/// The file of sign-ins in its folder.
const BOOK: &str = "account.json";

/// The folder where Ahoy remembers who is signed in; `None` where the user has no home.
pub fn account_folder() -> Option<PathBuf> {
    let dirs = directories::ProjectDirs::from("chat", "ahoy", "ahoy")?;
    Some(dirs.data_local_dir().to_owned())
}

/// A server, and how to reach it.
#[derive(Clone, Debug)]
pub struct ServerChoice {
    /// Its address.
    pub url: ServerUrl,
    /// The certificates of its own authority.
    pub ca_file: Option<PathBuf>,
    /// The only certificate that it is believed to have.
    pub pin: Option<Fingerprint>,
    /// Whether plain HTTP was chosen for it.
    pub plain: PlainHttp,
}

impl ServerChoice {
    /// A server whose certificate the system believes, with no plain HTTP but on this machine.
    pub const fn at(url: ServerUrl) -> Self {
        Self { url, ca_file: None, pin: None, plain: PlainHttp::LoopbackOnly }
    }

    pub(crate) fn trust(&self) -> Result<Trust, TrustError> {
        match (self.pin, &self.ca_file) {
            (Some(pin), _) => Ok(Trust::pinned(pin)),
            (None, Some(file)) => Trust::with_ca_file(file),
            (None, None) => Ok(Trust::system()),
        }
    }

    pub(crate) fn of(record: &SignInRecord) -> Result<Self, AddressError> {
        let plain = if record.insecure_http { PlainHttp::Allowed } else { PlainHttp::LoopbackOnly };
        let url = ServerUrl::parse(&record.server, plain)?;
        Ok(Self { url, ca_file: record.ca_file.clone(), pin: None, plain })
    }
}

/// The sign-ins of a person.
pub struct Accounts {
    book: AccountBook,
    secrets: Arc<dyn SecretStore>,
    agent: String,
}

/// Someone who is signed in.
pub struct SignedIn {
    record: Option<SignInRecord>,
    name: Name,
    room: Option<RoomId>,
    trust: Trust,
    tokens: Arc<TokenKeeper>,
}

impl Accounts {
    /// Opens the place. `agent` names the program to servers, such as `ahoy-cli/0.1.0`.
    ///
    /// # Errors
    /// [`SecretError::NoKeyring`] where the place is a keyring and there is none.
    pub async fn open(place: AccountPlace, agent: impl Into<String>) -> Result<Self, AccountError> {
        let (book, secrets): (_, Arc<dyn SecretStore>) = match place {
            AccountPlace::Keyring { folder } => {
                let keyring = patiently(KeyringStore::open).await.and_then(|opened| opened)?;
                (AccountBook::at(folder.join(BOOK)), Arc::new(keyring))
            }
            AccountPlace::File(path) => {
                let book = AccountBook::at(path);
                (book.clone(), Arc::new(FileStore(book)))
            }
            AccountPlace::Memory { folder } => {
                (AccountBook::at(folder.join(BOOK)), Arc::new(MemoryStore::default()))
            }
        };
        Ok(Self { book, secrets, agent: agent.into() })
    }

    /// How safely secrets lie.
    pub fn keeping(&self) -> Keeping {
        self.secrets.keeping()
    }

    /// Makes sure that secrets can be kept, before anybody types a password: writes one and takes it back.
    ///
    /// # Errors
    /// [`AccountError::Secret`] with what to do about it.
    pub async fn check(&self) -> Result<(), AccountError> {
        const PROBE: &str = "check";
        let (book, secrets) = (self.book.clone(), Arc::clone(&self.secrets));
        let checked = patiently(move || {
            let _lock = book.lock()?;
            secrets.store(PROBE, "can secrets be kept?")?;
            secrets.forget(PROBE)?;
            Ok(())
        });
        checked.await?
    }

    /// The sign-in at a server, or the last one, without asking the server.
    ///
    /// # Errors
    /// [`AccountError::NotSignedIn`], [`AccountError::Book`].
    pub fn record(&self, server: Option<&ServerUrl>) -> Result<SignInRecord, AccountError> {
        let server = server.map(ToString::to_string);
        let found = self.book.read()?.find(server.as_deref()).cloned();
        found.ok_or(AccountError::NotSignedIn { server })
    }

    /// Whoever is signed in at a server, or was last.
    ///
    /// # Errors
    /// [`AccountError`].
    pub fn signed_in(&self, server: Option<&ServerUrl>) -> Result<SignedIn, AccountError> {
        let record = self.record(server)?;
        let choice = ServerChoice::of(&record)?;
        let (trust, http) = self.http(&choice)?;
        let tokens = Arc::new(TokenKeeper::new(http, Arc::new(self.vault(&record))));
        let name = record.name.clone();
        Ok(SignedIn { record: Some(record), name, room: None, trust, tokens })
    }

    /// Makes an account, signs in, and stays so. The recovery codes are told now and never again.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn sign_up(
        &self,
        server: &ServerChoice,
        account: &SignUp,
    ) -> Result<(SignedIn, Vec<RecoveryCode>), AccountError> {
        let (trust, http) = self.http(server)?;
        let answer = http.sign_up(account).await?;
        let signed_in = self.stay(server, trust, http, answer.grant).await?;
        Ok((signed_in, answer.recovery_codes))
    }

    /// Makes an account for as long as this process lasts. `agent` names the program to servers.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(crate) async fn sign_up_for_now(
        server: &ServerChoice,
        account: &SignUp,
        agent: &str,
    ) -> Result<SignedIn, AccountError> {
        let (trust, http) = reach(server, agent)?;
        let grant = http.sign_up(account).await?.grant;
        let vault = Arc::new(MemoryVault::new(grant.refresh_token.clone()));
        let name = grant.name.clone();
        let tokens = Arc::new(TokenKeeper::signed_in(http, vault, grant));
        Ok(SignedIn { record: None, name, room: None, trust, tokens })
    }

    /// Signs in and stays so. An earlier sign-in at the same server ends.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn sign_in(
        &self,
        server: &ServerChoice,
        credentials: &SignIn,
    ) -> Result<SignedIn, AccountError> {
        let (trust, http) = self.http(server)?;
        let grant = http.sign_in(credentials).await?;
        self.stay(server, trust, http, grant).await
    }

    /// Sets a new password with a recovery code, signs all other devices out and this one in.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn recover(&self, server: &ServerChoice, recovery: &Recover) -> Result<SignedIn, AccountError> {
        let (trust, http) = self.http(server)?;
        let grant = http.recover(recovery).await?;
        self.stay(server, trust, http, grant).await
    }

    /// Signs a guest in, for as long as this process lasts.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn guest(&self, server: &ServerChoice, guest: &GuestSignIn) -> Result<SignedIn, AccountError> {
        Self::guest_at(server, guest, &self.agent).await
    }

    /// The same for whoever keeps no sign-ins. `agent` names the program to servers.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn guest_at(
        server: &ServerChoice,
        guest: &GuestSignIn,
        agent: &str,
    ) -> Result<SignedIn, AccountError> {
        let (trust, http) = reach(server, agent)?;
        let grant = http.guest(guest).await?;
        let (name, room) = (grant.name.clone(), grant.room);
        let vault = Arc::new(MemoryVault::new(grant.refresh_token.clone()));
        let tokens = Arc::new(TokenKeeper::signed_in(http, vault, grant));
        Ok(SignedIn { record: None, name, room, trust, tokens })
    }

    /// Signs this device out at the server, and forgets it here. One whom the server has signed out already is forgotten.
    ///
    /// # Errors
    /// [`AccountError`]; then one is still signed in.
    pub async fn sign_out(&self, server: Option<&ServerUrl>) -> Result<SignInRecord, AccountError> {
        let signed_in = self.signed_in(server)?;
        match signed_in.sign_out_there().await {
            Ok(()) | Err(AccountError::SignedOut { .. }) => {}
            Err(error) => return Err(error),
        }
        let record = self.record(server)?;
        self.forget(record.clone()).await?;
        Ok(record)
    }

    /// Forgets a sign-in here, whatever the server knows of it.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn forget(&self, record: SignInRecord) -> Result<(), AccountError> {
        let (book, secrets) = (self.book.clone(), Arc::clone(&self.secrets));
        let forgotten = patiently(move || {
            let _lock = book.lock()?;
            secrets.forget(&record.secret_name())?;
            book.change(|page| page.remove(&record.server))?;
            Ok(())
        });
        forgotten.await?
    }

    fn http(&self, server: &ServerChoice) -> Result<(Trust, Http), AccountError> {
        reach(server, &self.agent)
    }

    fn vault(&self, record: &SignInRecord) -> StoredVault {
        StoredVault {
            book: self.book.clone(),
            secrets: Arc::clone(&self.secrets),
            name: record.secret_name(),
        }
    }

    /// Remembers a fresh sign-in. If that can't be, the device is signed out again, so that none is left that nobody has.
    async fn stay(
        &self,
        server: &ServerChoice,
        trust: Trust,
        http: Http,
        grant: TokenGrant,
    ) -> Result<SignedIn, AccountError> {
        let record = SignInRecord {
            server: server.url.to_string(),
            handle: grant.handle.clone().ok_or(AccountError::Garbled)?,
            name: grant.name.clone(),
            user: grant.user,
            device: grant.device,
            ca_file: server.ca_file.as_deref().map(|path| path.canonicalize().unwrap_or(path.to_owned())),
            insecure_http: server.plain == PlainHttp::Allowed,
        };
        if let Ok(before) = self.signed_in(Some(&server.url)) {
            // Whatever is wrong with the old sign-in must not keep anybody from signing in.
            let _ = before.sign_out_there().await;
        }
        let (book, secrets) = (self.book.clone(), Arc::clone(&self.secrets));
        let (kept, refresh) = (record.clone(), grant.refresh_token.clone());
        let stored = patiently(move || {
            let _lock = book.lock()?;
            if let Some(before) = book.read()?.find(Some(&kept.server)) {
                secrets.forget(&before.secret_name())?;
            }
            secrets.store(&kept.secret_name(), refresh.as_str())?;
            book.change(|page| page.put(kept))?;
            Ok(())
        });
        let stored = stored.await.map_err(AccountError::from).and_then(|stored| stored);
        let name = record.name.clone();
        let vault = Arc::new(self.vault(&record));
        let tokens = Arc::new(TokenKeeper::signed_in(http, vault, grant));
        let signed_in = SignedIn { record: Some(record), name, room: None, trust, tokens };
        if let Err(error) = stored {
            // It can't be kept here; if it can't be ended there either, it ends by itself or in the list of devices.
            let _ = signed_in.sign_out_there().await;
            return Err(error);
        }
        Ok(signed_in)
    }
}

fn reach(server: &ServerChoice, agent: &str) -> Result<(Trust, Http), AccountError> {
    let trust = server.trust()?;
    let http = Http::new(server.url.clone(), &trust, agent)?;
    Ok((trust, http))
}

impl SignedIn {
    /// The sign-in; guests have none.
    pub fn record(&self) -> Option<&SignInRecord> {
        self.record.as_ref()
    }

    /// What one is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The room that a guest may enter.
    pub fn guest_room(&self) -> Option<RoomId> {
        self.room
    }

    /// The server.
    pub fn server(&self) -> &ServerUrl {
        self.tokens.http().server()
    }

    pub(crate) fn tokens(&self) -> &Arc<TokenKeeper> {
        &self.tokens
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// What a token's error means for the one who is signed in.
    pub(crate) fn told(&self, error: TokenError) -> AccountError {
        match error {
            TokenError::SignedOut => AccountError::SignedOut { server: self.server().to_string() },
            TokenError::Reach(error) => AccountError::Reach(error),
            TokenError::Vault(error) => AccountError::Vault(error.to_string()),
        }
    }
}
