//! Signing up, in and out, and refreshing.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ahoy_signal::account::{Recover, Refresh, SignIn, SignUp, SignedUp, TokenGrant};
use ahoy_signal::{DeviceId, ErrorCode, Handle, Name, RecoveryCode, RefreshToken, Refusal, UserId};

use super::audit::{AuditEvent, Caller};
use super::backoff::{Backoff, Rule};
use super::password::{Checked, Passwords};
use super::refresh::{FamilyToken, Verdict};
use super::token::Bearer;
use super::{Authenticator, device_signed_out, recovery};
use crate::clock::unix_ms;
use crate::identity::{Class, GuestGrant, Identity, Sessions};
use crate::store::sql::{Account, DeviceRow, NewAccount, Rotation, SqlStore};

/// In the audit log, whoever tried a handle that belongs to no one.
const NOBODY: UserId = UserId::from_bits(0);

/// Who may make an account.
#[derive(Clone, PartialEq, Eq)]
pub enum SignUpPolicy {
    /// Everyone.
    Open,
    /// Whoever knows the server's word for new people.
    Code(String),
    /// Nobody.
    Closed,
}

impl std::fmt::Debug for SignUpPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            // The code is a secret.
            Self::Code(_) => "Code",
            Self::Closed => "Closed",
        })
    }
}

/// What holds for accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRules {
    /// Who may make one.
    pub sign_up: SignUpPolicy,
    /// How long a device stays signed in without being heard of, in milliseconds.
    pub refresh_lifetime_ms: u64,
    /// For how long a lost answer to a refresh can be had again, in milliseconds.
    pub refresh_grace_ms: u64,
    /// Devices that an account can be signed in at.
    pub devices_most: u32,
    /// What invite links begin with.
    pub public_url: String,
}

/// Everything that is asked about accounts.
pub struct Accounts {
    pub(super) store: SqlStore,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) passwords: Passwords,
    pub(super) rules: AccountRules,
    by_account: Mutex<Backoff<Handle>>,
    by_place: Mutex<Backoff<IpAddr>>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("rules", &self.rules).finish_non_exhaustive()
    }
}

fn wait(left: Duration) -> Refusal {
    let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    let seconds = left.as_secs() + 1;
    let mut refusal = Refusal::new(
        ErrorCode::RateLimited,
        format!("Too many tries that failed: wait {seconds} s before the next one."),
    );
    refusal.retry_after_ms = Some(ms);
    refusal
}

fn wrong_credentials() -> Refusal {
    Refusal::new(ErrorCode::WrongCredentials, "Name and password don't fit together.")
}

impl Accounts {
    /// Accounts in a store. Sessions whose right ends are ended through `sessions`.
    pub fn new(
        store: SqlStore,
        authenticator: Arc<Authenticator>,
        sessions: Arc<dyn Sessions>,
        passwords: Passwords,
        rules: AccountRules,
    ) -> Self {
        Self {
            store,
            authenticator,
            sessions,
            passwords,
            rules,
            by_account: Mutex::new(Backoff::new(Rule::ACCOUNT)),
            by_place: Mutex::new(Backoff::new(Rule::ADDRESS)),
        }
    }

    /// Reads and makes tokens.
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// Makes an account and signs the device in.
    ///
    /// # Errors
    /// `sign_up_closed`, `handle_taken` or `unavailable`.
    pub async fn sign_up(&self, asked: SignUp, caller: Caller) -> Result<SignedUp, Refusal> {
        let now = Instant::now();
        match &self.rules.sign_up {
            SignUpPolicy::Open => (),
            SignUpPolicy::Closed => {
                return Err(Refusal::new(
                    ErrorCode::SignUpClosed,
                    "New accounts can't be made on this server.",
                ));
            }
            SignUpPolicy::Code(code) => {
                self.try_from_place(caller, now)?;
                let hash = |text: &str| super::refresh::hex_sha256(text.as_bytes());
                if asked.sign_up_code.as_deref().map(hash) != Some(hash(code)) {
                    return Err(Refusal::new(
                        ErrorCode::SignUpClosed,
                        "New accounts need this server's sign-up code: ask whoever runs it.",
                    ));
                }
                self.place_was_good(caller);
            }
        }
        if self.store.account_by_handle(&asked.handle).await?.is_some() {
            return Err(handle_taken());
        }
        let password_hash = self.passwords.hash(asked.password).await?;
        let now_ms = unix_ms();
        let account = Account {
            user: UserId::from_bits(rand::random()),
            handle: asked.handle,
            name: asked.name,
            password_hash,
            class: Class::Normal,
            created_ms: now_ms,
        };
        let (token, device) = self.new_device(account.user, asked.device_name, now_ms);
        let codes = recovery_codes()?;
        let new = NewAccount { account, device, code_hashes: codes.iter().map(recovery::hash).collect() };
        let audit = AuditEvent::SignUp.row(new.account.user, Some(new.device.device), caller, now_ms);
        if !self.store.create_account(&new, &audit).await? {
            return Err(handle_taken());
        }
        let grant = self.grant_to_account(&new.account, &token, now_ms)?;
        Ok(SignedUp { grant, recovery_codes: codes })
    }

    /// Signs a device in.
    ///
    /// # Errors
    /// `wrong_credentials`, `rate_limited` after failures, or `unavailable`.
    pub async fn sign_in(&self, asked: SignIn, caller: Caller) -> Result<TokenGrant, Refusal> {
        let account = self.with_password(&asked.handle, asked.password, caller).await?;
        let now_ms = unix_ms();
        let (token, device) = self.new_device(account.user, asked.device_name, now_ms);
        let audit = AuditEvent::SignIn.row(account.user, Some(device.device), caller, now_ms);
        let forgotten = self.store.add_device(&device, self.rules.devices_most, &audit).await?;
        self.end_devices(&forgotten);
        self.grant_to_account(&account, &token, now_ms)
    }

    /// The account that handle and password open.
    pub(super) async fn with_password(
        &self,
        handle: &Handle,
        password: ahoy_signal::Password,
        caller: Caller,
    ) -> Result<Account, Refusal> {
        self.try_as(handle, caller)?;
        let account = self.store.account_by_handle(handle).await;
        let account = account.inspect_err(|_| self.try_was_not_made(handle, caller))?;
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let again = password.clone();
        let checked = self.passwords.check(password, hash).await;
        let checked = checked.inspect_err(|_| self.try_was_not_made(handle, caller))?;
        match (account, checked) {
            (Some(account), Checked::Right) => {
                self.try_was_good(handle, caller);
                Ok(account)
            }
            (Some(account), Checked::RightButOutdated) => {
                self.try_was_good(handle, caller);
                // Where too many wait for it, another time will do.
                let Ok(hash) = self.passwords.hash(again).await else { return Ok(account) };
                self.store.rehash(&account, &hash).await?;
                Ok(Account { password_hash: hash, ..account })
            }
            (found, _) => {
                // Noted also where there is no account: the operator wants to know, and it takes as long.
                let user = found.map_or(NOBODY, |account| account.user);
                let audit = AuditEvent::SignInFailed.row(user, None, caller, unix_ms());
                self.store.append_audit(&audit).await?;
                Err(wrong_credentials())
            }
        }
    }

    /// Gets into an account with a recovery code: sets the password, signs all devices out and this one in.
    ///
    /// # Errors
    /// `wrong_credentials`, `rate_limited` after failures, or `unavailable`.
    pub async fn recover(&self, asked: Recover, caller: Caller) -> Result<TokenGrant, Refusal> {
        self.try_as(&asked.handle, caller)?;
        let now_ms = unix_ms();
        let code = recovery::hash(&asked.recovery_code);
        let wrong =
            || Refusal::new(ErrorCode::WrongCredentials, "Name and recovery code don't fit together.");
        let found = self.store.account_by_handle(&asked.handle).await?;
        let user = found.as_ref().map_or(NOBODY, |account| account.user);
        let good = self.store.has_code(user, &code).await?;
        let Some(account) = found.filter(|_| good) else {
            let audit = AuditEvent::RecoveryFailed.row(user, None, caller, now_ms);
            self.store.append_audit(&audit).await?;
            return Err(wrong());
        };
        let password_hash = self.passwords.hash(asked.new_password).await?;
        let (token, device) = self.new_device(account.user, asked.device_name, now_ms);
        let audit = AuditEvent::Recovered.row(account.user, Some(device.device), caller, now_ms);
        let gone = self.store.recover(&code, &password_hash, &device, &audit).await?.ok_or_else(wrong)?;
        self.try_was_good(&asked.handle, caller);
        self.end_devices(&gone);
        self.grant_to_account(&account, &token, now_ms)
    }

    /// Whether a refresh token is one of this server's, old or new: whoever has one is no stranger.
    pub fn knows(&self, token: &RefreshToken) -> bool {
        FamilyToken::open(token, self.authenticator.keys().refresh()).is_some()
    }

    /// Gives the next tokens for a refresh token. One that was used before signs its device out.
    ///
    /// # Errors
    /// `unauthenticated` for what is no token of this server, `signed_out`, or `unavailable`.
    pub async fn refresh(&self, asked: &Refresh, caller: Caller) -> Result<TokenGrant, Refusal> {
        let keys = self.authenticator.keys();
        let token = FamilyToken::open(&asked.refresh_token, keys.refresh());
        let token = token.ok_or_else(|| {
            Refusal::new(
                ErrorCode::Unauthenticated,
                "That is no refresh token of this server: sign in again.",
            )
        })?;
        let next = token.successor(keys.refresh());
        // Someone else with the same token may be faster: then the second look shows the same successor.
        for _ in 0..2 {
            let now_ms = unix_ms();
            let row = self.store.device(token.device).await?.filter(|row| row.expires_ms > now_ms);
            let row = row.ok_or_else(device_signed_out)?;
            let since_ms = now_ms.saturating_sub(row.rotated_ms);
            let grace = self.rules.refresh_grace_ms;
            let verdict = token.verdict(keys.refresh(), row.generation, &row.token_hash, since_ms, grace);
            match verdict {
                Verdict::Rotate => {
                    let expires_ms = match row.guest {
                        // A guest's time ends with the invite.
                        Some(_) => row.expires_ms,
                        None => now_ms + self.rules.refresh_lifetime_ms,
                    };
                    let rotation = Rotation {
                        device: row.device,
                        from: (row.generation, row.token_hash.clone()),
                        to: next.generation,
                        token_hash: next.hash(),
                        now_ms,
                        expires_ms,
                    };
                    if self.store.rotate(&rotation).await? {
                        return self.grant_to_device(&row, &next, now_ms).await;
                    }
                }
                Verdict::SameSuccessor => return self.grant_to_device(&row, &next, now_ms).await,
                Verdict::Reused => {
                    let audit = AuditEvent::RefreshReused.row(row.user, Some(row.device), caller, now_ms);
                    self.store.remove_device(row.user, row.device, &audit).await?;
                    self.end_devices(&[row.device]);
                    return Err(Refusal::new(
                        ErrorCode::SignedOut,
                        "This device was signed out, since its last token was used twice: sign in again.",
                    ));
                }
            }
        }
        Err(Refusal::new(ErrorCode::Unavailable, "Others refresh the same token just now: try again."))
    }

    /// Signs the device that asks out.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn sign_out(&self, who: &Identity, caller: Caller) -> Result<(), Refusal> {
        let audit = AuditEvent::SignOut.row(who.user, Some(who.device), caller, unix_ms());
        self.store.remove_device(who.user, who.device, &audit).await?;
        self.end_devices(&[who.device]);
        Ok(())
    }

    /// Ends what devices have open, and what their tokens could still open.
    pub(super) fn end_devices(&self, devices: &[DeviceId]) {
        for device in devices {
            self.authenticator.note_signed_out(*device);
            self.sessions.sign_out_device(*device);
        }
    }

    /// A device that signs in, with its first refresh token.
    pub(super) fn new_device(&self, user: UserId, name: Name, now_ms: u64) -> (FamilyToken, DeviceRow) {
        let token = FamilyToken::first(DeviceId::from_bits(rand::random()), rand::random());
        let row = DeviceRow {
            device: token.device,
            user,
            name,
            generation: token.generation,
            token_hash: token.hash(),
            rotated_ms: now_ms,
            signed_in_ms: now_ms,
            last_seen_ms: now_ms / 3_600_000 * 3_600_000,
            expires_ms: now_ms + self.rules.refresh_lifetime_ms,
            guest: None,
        };
        (token, row)
    }

    async fn grant_to_device(
        &self,
        row: &DeviceRow,
        token: &FamilyToken,
        now_ms: u64,
    ) -> Result<TokenGrant, Refusal> {
        match &row.guest {
            Some(_) => self.grant_to_guest(row, token, now_ms),
            None => {
                let account = self.store.account(row.user).await?.ok_or_else(device_signed_out)?;
                self.grant_to_account(&account, token, now_ms)
            }
        }
    }

    fn grant_to_account(
        &self,
        account: &Account,
        token: &FamilyToken,
        now_ms: u64,
    ) -> Result<TokenGrant, Refusal> {
        let bearer = Bearer {
            user: account.user,
            device: token.device,
            class: account.class,
            name: &account.name,
            handle: Some(&account.handle),
            guest: None,
        };
        self.grant(&bearer, token, now_ms)
    }

    pub(super) fn grant_to_guest(
        &self,
        row: &DeviceRow,
        token: &FamilyToken,
        now_ms: u64,
    ) -> Result<TokenGrant, Refusal> {
        let seat = row.guest.as_ref().ok_or_else(device_signed_out)?;
        let bearer = Bearer {
            user: row.user,
            device: row.device,
            class: Class::Guest,
            name: &seat.name,
            handle: None,
            guest: Some(GuestGrant { room: seat.room, role: seat.role }),
        };
        self.grant(&bearer, token, now_ms)
    }

    fn grant(&self, bearer: &Bearer<'_>, token: &FamilyToken, now_ms: u64) -> Result<TokenGrant, Refusal> {
        let (access_token, expires_in_s) = self.authenticator.issue(bearer, now_ms)?;
        let refresh_token = token.sealed(self.authenticator.keys().refresh()).ok_or_else(|| {
            tracing::error!("a refresh token can't be written");
            Refusal::new(ErrorCode::Internal, "The server made a mistake: its log says more.")
        })?;
        Ok(TokenGrant {
            access_token,
            expires_in_s,
            refresh_token,
            user: bearer.user,
            handle: bearer.handle.cloned(),
            name: bearer.name.clone(),
            device: bearer.device,
            room: bearer.guest.map(|guest| guest.room),
        })
    }

    /// Begins a try to be the owner of an account.
    fn try_as(&self, handle: &Handle, caller: Caller) -> Result<(), Refusal> {
        let now = Instant::now();
        self.try_from_place(caller, now)?;
        let tried = self.by_account.lock().unwrap_or_else(PoisonError::into_inner).attempt(handle, now);
        tried.map_err(|left| {
            metrics::counter!("ahoy_sign_in_backoff_total", "by" => "account").increment(1);
            wait(left)
        })
    }

    fn try_from_place(&self, caller: Caller, now: Instant) -> Result<(), Refusal> {
        let tried =
            self.by_place.lock().unwrap_or_else(PoisonError::into_inner).attempt(&caller.place(), now);
        tried.map_err(|left| {
            metrics::counter!("ahoy_sign_in_backoff_total", "by" => "address").increment(1);
            wait(left)
        })
    }

    fn place_was_good(&self, caller: Caller) {
        self.by_place.lock().unwrap_or_else(PoisonError::into_inner).not_failed(&caller.place());
    }

    fn try_was_good(&self, handle: &Handle, caller: Caller) {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner).succeeded(handle);
        self.place_was_good(caller);
    }

    fn try_was_not_made(&self, handle: &Handle, caller: Caller) {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner).not_failed(handle);
        self.place_was_good(caller);
    }
}

fn handle_taken() -> Refusal {
    Refusal::new(ErrorCode::HandleTaken, "This handle belongs to someone: choose another.")
}

/// Fresh recovery codes.
pub(super) fn recovery_codes() -> Result<Vec<RecoveryCode>, Refusal> {
    let codes: Option<Vec<_>> = (0..recovery::CODES).map(|_| recovery::code(rand::random())).collect();
    codes.ok_or_else(|| {
        tracing::error!("recovery codes can't be written");
        Refusal::new(ErrorCode::Internal, "The server made a mistake: its log says more.")
    })
}
