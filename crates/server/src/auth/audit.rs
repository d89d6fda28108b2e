//! Security events, and where requests come from.

use std::net::IpAddr;

use ahoy_signal::{DeviceId, UserId};

use crate::store::sql::AuditRow;

/// What happened to an account. The names are stored and shown: they are never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditEvent {
    /// The account was made.
    SignUp,
    /// A device signed in.
    SignIn,
    /// A device tried to, with a wrong password.
    SignInFailed,
    /// A device signed out.
    SignOut,
    /// A device was signed out from another.
    DeviceRevoked,
    /// An old refresh token came again, so the device was signed out.
    RefreshReused,
    /// The password was changed; other devices were signed out.
    PasswordChanged,
    /// A recovery code was used; all devices were signed out.
    Recovered,
    /// A recovery code was tried that is none.
    RecoveryFailed,
    /// New recovery codes were made.
    RecoveryCodesMade,
    /// The data of the account was exported.
    Exported,
    /// An invite was made.
    InviteMade,
    /// An invite was revoked.
    InviteRevoked,
}

impl AuditEvent {
    /// As it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignUp => "sign_up",
            Self::SignIn => "sign_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignOut => "sign_out",
            Self::DeviceRevoked => "device_revoked",
            Self::RefreshReused => "refresh_reused",
            Self::PasswordChanged => "password_changed",
            Self::Recovered => "recovered",
            Self::RecoveryFailed => "recovery_failed",
            Self::RecoveryCodesMade => "recovery_codes_made",
            Self::Exported => "exported",
            Self::InviteMade => "invite_made",
            Self::InviteRevoked => "invite_revoked",
        }
    }

    /// A row of the log, and a line for the operator's.
    pub(crate) fn row(self, user: UserId, device: Option<DeviceId>, caller: Caller, at_ms: u64) -> AuditRow {
        tracing::info!(event = self.name(), %user, device = device.map(tracing::field::display), "security event");
        metrics::counter!("ahoy_security_events_total", "event" => self.name()).increment(1);
        AuditRow {
            entry: format!("{:032x}", rand::random::<u128>()),
            at_ms,
            user,
            event: self.name().to_owned(),
            device,
            address: Some(caller.address.to_string()),
        }
    }
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The address of whoever asks.
    pub address: IpAddr,
}

impl Caller {
    /// What counts as one place: an IPv4 address, or the /64 of IPv6 that one household has (RFC 6177).
    pub fn place(self) -> IpAddr {
        match self.address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_household_are_one_place() {
        let place = |text: &str| Caller { address: text.parse().unwrap() }.place().to_string();
        assert_eq!(place("192.0.2.7"), "192.0.2.7");
        assert_eq!(place("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
