//! What can be done about an account once one is signed in.

use ahoy_signal::account::{AuditEntry, ChangePassword, Confirm, Device, Invite, NewInvite};
use ahoy_signal::{AccessToken, DeviceId, ErrorCode, InviteId, Password, RecoveryCode, RoomId};
use ahoy_signal_client::{Http, ReachError};

use super::{AccountError, SignedIn};

impl SignedIn {
    async fn token(&self) -> Result<AccessToken, AccountError> {
        self.tokens().for_http().await.map_err(|error| self.told(error))
    }

    fn http(&self) -> &Http {
        self.tokens().http()
    }

    fn refused(&self, error: ReachError) -> AccountError {
        match error {
            ReachError::Refused(refusal) if refusal.code == ErrorCode::SignedOut => {
                AccountError::SignedOut { server: self.server().to_string() }
            }
            other => AccountError::Reach(other),
        }
    }

    /// Signs this device out at the server.
    ///
    /// # Errors
    /// [`AccountError`], as with everything here.
    pub async fn sign_out_there(&self) -> Result<(), AccountError> {
        let token = self.token().await?;
        self.http().sign_out(&token).await.map_err(|error| self.refused(error))
    }

    /// The devices that are signed in, the one last heard of first.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn devices(&self) -> Result<Vec<Device>, AccountError> {
        let token = self.token().await?;
        let answer = self.http().devices(&token).await;
        answer.map(|answer| answer.devices).map_err(|error| self.refused(error))
    }

    /// Signs a device out.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn revoke_device(&self, device: DeviceId) -> Result<(), AccountError> {
        let token = self.token().await?;
        self.http().revoke_device(&token, device).await.map_err(|error| self.refused(error))
    }

    /// Changes the password. The other devices are signed out.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_password(&self, old: Password, new: Password) -> Result<(), AccountError> {
        let token = self.token().await?;
        let change = ChangePassword { old_password: old, new_password: new };
        self.http().change_password(&token, &change).await.map_err(|error| self.refused(error))
    }

    /// Makes new recovery codes. The old ones are void.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn new_recovery_codes(&self, password: Password) -> Result<Vec<RecoveryCode>, AccountError> {
        let token = self.token().await?;
        let answer = self.http().recovery_codes(&token, &Confirm { password }).await;
        answer.map(|answer| answer.recovery_codes).map_err(|error| self.refused(error))
    }

    /// The security events of the account, the newest first.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn audit(&self) -> Result<Vec<AuditEntry>, AccountError> {
        let token = self.token().await?;
        let answer = self.http().audit(&token).await;
        answer.map(|answer| answer.events).map_err(|error| self.refused(error))
    }

    /// Everything that the server stores about the account.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn export(&self) -> Result<serde_json::Value, AccountError> {
        let token = self.token().await?;
        self.http().export(&token).await.map_err(|error| self.refused(error))
    }

    /// Deletes the account and everything of it at the server. It is still remembered here:
    /// [`Accounts::forget`](super::Accounts::forget) follows.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn delete_account(&self, password: Password) -> Result<(), AccountError> {
        let token = self.token().await?;
        self.http().delete_account(&token, &Confirm { password }).await.map_err(|error| self.refused(error))
    }

    /// Makes an invite link.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn invite(&self, invite: &NewInvite) -> Result<Invite, AccountError> {
        let token = self.token().await?;
        self.http().invite(&token, invite).await.map_err(|error| self.refused(error))
    }

    /// The invite links of a room that are good, the newest first.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn invites(&self, room: RoomId) -> Result<Vec<Invite>, AccountError> {
        let token = self.token().await?;
        let answer = self.http().invites(&token, room).await;
        answer.map(|answer| answer.invites).map_err(|error| self.refused(error))
    }

    /// Revokes an invite link.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn revoke_invite(&self, invite: InviteId) -> Result<(), AccountError> {
        let token = self.token().await?;
        self.http().revoke_invite(&token, invite).await.map_err(|error| self.refused(error))
    }
}
