//! What people do with their accounts: devices, password, recovery codes, their data.

use ahoy_signal::account::{Audit, AuditEntry, ChangePassword, Confirm, Device, Devices, RecoveryCodes};
use ahoy_signal::{DeviceId, ErrorCode, Handle, Password, Refusal};

use super::accounts::{Accounts, recovery_codes};
use super::audit::{AuditEvent, Caller};
use super::recovery;
use crate::clock::unix_ms;
use crate::identity::Identity;
use crate::store::sql::{Account, AccountData};

/// Security events that are shown at once.
const AUDIT_SHOWN: u32 = 100;

fn handle(who: &Identity) -> Result<&Handle, Refusal> {
    who.handle
        .as_ref()
        .ok_or_else(|| Refusal::new(ErrorCode::Forbidden, "Guests have no account: sign up to have one."))
}

impl Accounts {
    /// The account of whoever asks, whose password they gave.
    async fn confirmed(
        &self,
        who: &Identity,
        password: Password,
        caller: Caller,
    ) -> Result<Account, Refusal> {
        self.with_password(handle(who)?, password, caller).await
    }

    /// Where one is signed in.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn devices(&self, who: &Identity) -> Result<Devices, Refusal> {
        let now_ms = unix_ms();
        let rows = self.store.devices_of(who.user).await?;
        let devices = rows.into_iter().filter(|row| row.expires_ms > now_ms).map(|row| Device {
            device: row.device,
            name: row.name,
            signed_in_ms: row.signed_in_ms,
            last_seen_ms: row.last_seen_ms,
            current: row.device == who.device,
        });
        Ok(Devices { devices: devices.collect() })
    }

    /// Signs a device out.
    ///
    /// # Errors
    /// `no_such_device` or `unavailable`.
    pub async fn revoke_device(
        &self,
        who: &Identity,
        device: DeviceId,
        caller: Caller,
    ) -> Result<(), Refusal> {
        let audit = AuditEvent::DeviceRevoked.row(who.user, Some(device), caller, unix_ms());
        if !self.store.remove_device(who.user, device, &audit).await? {
            return Err(Refusal::new(ErrorCode::NoSuchDevice, "Your account is not signed in there."));
        }
        self.end_devices(&[device]);
        Ok(())
    }

    /// Changes the password and signs other devices out.
    ///
    /// # Errors
    /// `wrong_credentials`, `rate_limited` after failures, or `unavailable`.
    pub async fn change_password(
        &self,
        who: &Identity,
        asked: ChangePassword,
        caller: Caller,
    ) -> Result<(), Refusal> {
        let account = self.confirmed(who, asked.old_password, caller).await?;
        let hash = self.passwords.hash(asked.new_password).await?;
        let audit = AuditEvent::PasswordChanged.row(who.user, Some(who.device), caller, unix_ms());
        let gone = self.store.change_password(&account, &hash, who.device, &audit).await?;
        let gone = gone.ok_or_else(|| {
            Refusal::new(ErrorCode::WrongCredentials, "The password was changed meanwhile: use that one.")
        })?;
        self.end_devices(&gone);
        Ok(())
    }

    /// Makes new recovery codes in the place of the old ones.
    ///
    /// # Errors
    /// `wrong_credentials`, `rate_limited` after failures, or `unavailable`.
    pub async fn renew_recovery_codes(
        &self,
        who: &Identity,
        asked: Confirm,
        caller: Caller,
    ) -> Result<RecoveryCodes, Refusal> {
        self.confirmed(who, asked.password, caller).await?;
        let codes = recovery_codes()?;
        let hashes: Vec<_> = codes.iter().map(recovery::hash).collect();
        let audit = AuditEvent::RecoveryCodesMade.row(who.user, Some(who.device), caller, unix_ms());
        self.store.put_recovery_codes(who.user, &hashes, &audit).await?;
        Ok(RecoveryCodes { recovery_codes: codes })
    }

    /// One's security events.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn audit(&self, who: &Identity) -> Result<Audit, Refusal> {
        let rows = self.store.audit_of(who.user, AUDIT_SHOWN).await?;
        let events = rows.into_iter().map(|row| AuditEntry {
            at_ms: row.at_ms,
            event: row.event,
            device: row.device,
            address: row.address,
        });
        Ok(Audit { events: events.collect() })
    }

    /// Everything that is stored of one's account.
    ///
    /// # Errors
    /// `forbidden` for guests, or `unavailable`.
    pub async fn export(&self, who: &Identity, caller: Caller) -> Result<AccountData, Refusal> {
        handle(who)?;
        let audit = AuditEvent::Exported.row(who.user, Some(who.device), caller, unix_ms());
        self.store.append_audit(&audit).await?;
        self.store.export(who.user).await?.ok_or_else(super::device_signed_out)
    }

    /// Deletes one's account and all that belongs to it.
    ///
    /// # Errors
    /// `wrong_credentials`, `rate_limited` after failures, or `unavailable`.
    pub async fn delete(&self, who: &Identity, asked: Confirm, caller: Caller) -> Result<(), Refusal> {
        let account = self.confirmed(who, asked.password, caller).await?;
        let deleted = self.store.delete_account(account.user).await?;
        tracing::info!(user = %account.user, rooms = deleted.rooms.len(), "an account was deleted");
        self.end_devices(&deleted.devices);
        self.sessions.sign_out_user(account.user);
        Ok(())
    }
}
