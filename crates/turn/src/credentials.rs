//! Credentials that expire, made by whoever knows a secret and checked by whoever else knows it, without a word between the
//! two (`draft-uberti-behave-turn-rest-00`): the username is `<expiry>:<user>`, the password its HMAC.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// Longest username in bytes (RFC 8489 section 14.3).
const USERNAME_LONGEST: usize = 508;

/// Why credentials are no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The username is not `<expiry>:<user>`.
    #[error("the username is not of this kind")]
    Malformed,
    /// They were good once.
    #[error("the credentials have expired")]
    Expired,
    /// The password is another.
    #[error("the password is wrong")]
    Wrong,
}

/// A username and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `<expiry>:<user>`, the expiry in seconds since 1970.
    pub username: String,
    /// In base64.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// What a username claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim<'a> {
    /// Until when it is good, in seconds since 1970.
    pub(crate) expires_unix_s: u64,
    /// Whose it is.
    pub(crate) user: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads a username.
    pub(crate) fn read(username: &'a str) -> Result<Self, CredentialsError> {
        let (expiry, user) = username.split_once(':').ok_or(CredentialsError::Malformed)?;
        let digits = !expiry.is_empty() && expiry.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || user.is_empty() || username.len() > USERNAME_LONGEST {
            return Err(CredentialsError::Malformed);
        }
        let expires_unix_s = expiry.parse().map_err(|_| CredentialsError::Malformed)?;
        Ok(Self { expires_unix_s, user })
    }

    /// Whether it is good no more.
    pub(crate) fn has_expired(&self, now_unix_s: u64) -> bool {
        self.expires_unix_s <= now_unix_s
    }
}

/// What whoever makes credentials and whoever checks them have in common.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The secret of this text, as it stands in the configuration of both sides.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// A new one: 256 random bits.
    pub fn random() -> Self {
        Self(STANDARD.encode(rand::random::<[u8; 32]>()).into())
    }

    /// Its text, for whoever keeps it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Credentials of `user`, which must not be empty, that are good until `expires_unix_s`, in seconds since 1970.
    pub fn issue(&self, user: &str, expires_unix_s: u64) -> Credentials {
        let username = format!("{expires_unix_s}:{user}");
        let password = self.password(&username);
        Credentials { username, password }
    }

    /// Checks credentials and says whose they are.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn check<'a>(
        &self,
        credentials: &'a Credentials,
        now_unix_s: u64,
    ) -> Result<&'a str, CredentialsError> {
        let claim = Claim::read(&credentials.username)?;
        let shown = STANDARD.decode(&credentials.password).map_err(|_| CredentialsError::Wrong)?;
        // In constant time.
        let right = self.mac(&credentials.username).verify_slice(&shown).is_ok();
        match (right, claim.has_expired(now_unix_s)) {
            (false, _) => Err(CredentialsError::Wrong),
            (true, true) => Err(CredentialsError::Expired),
            (true, false) => Ok(claim.user),
        }
    }

    /// The password that goes with a username.
    pub(crate) fn password(&self, username: &str) -> String {
        STANDARD.encode(self.mac(username).finalize().into_bytes())
    }

    fn mac(&self, username: &str) -> Hmac<Sha1> {
        // HMAC takes keys of any length (RFC 2104 section 3), so this can't fail; were it otherwise, nobody would be let in.
        let mut mac = match Hmac::<Sha1>::new_from_slice(self.0.as_bytes()) {
            Ok(mac) => mac,
            Err(_) => Hmac::<Sha1>::new(&rand::random::<[u8; 64]>().into()),
        };
        mac.update(username.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn they_are_what_every_other_relay_expects() {
        // As `printf %s 1433895918:filiph | openssl dgst -sha1 -hmac north -binary | base64` says.
        let credentials = Secret::new("north").issue("filiph", 1_433_895_918);
        assert_eq!(credentials.username, "1433895918:filiph");
        assert_eq!(credentials.password, "CJ15xWqwhsMENpoaRuI6n4SC/hs=");
    }

    #[test]
    fn they_are_good_until_they_expire_and_for_one_user() {
        let secret = Secret::new("north");
        let good = secret.issue("u_1", 1_000);
        assert_eq!(secret.check(&good, 999), Ok("u_1"));
        assert_eq!(secret.check(&good, 1_000), Err(CredentialsError::Expired));
        let longer = Credentials { username: "2000:u_1".into(), ..good.clone() };
        assert_eq!(secret.check(&longer, 999), Err(CredentialsError::Wrong));
        assert_eq!(Secret::new("south").check(&good, 999), Err(CredentialsError::Wrong));
    }

    #[test]
    fn a_username_of_another_kind_is_refused() {
        for wrong in ["", "ada", "ada:1000", "1000:", ":ada", "-1:ada", "+1:ada", "99999999999999999999:ada"]
        {
            assert_eq!(Claim::read(wrong), Err(CredentialsError::Malformed), "{wrong}");
        }
        assert_eq!(Claim::read("1:a:b").unwrap().user, "a:b");
        assert!(Claim::read(&format!("1:{}", "x".repeat(USERNAME_LONGEST))).is_err());
    }

    #[test]
    fn debug_output_tells_no_secret() {
        let secret = Secret::random();
        let text = format!("{secret:?} {:?}", secret.issue("ada", 1));
        assert_eq!(text, "Secret Credentials");
    }

    proptest! {
        #[test]
        fn no_username_or_password_makes_a_check_panic(username: String, password: String) {
            let _ = Secret::new("north").check(&Credentials { username, password }, 1);
        }

        #[test]
        fn what_is_issued_is_accepted(user in "[^\u{0}]{1,100}", expires in 1_u64..u64::MAX) {
            let secret = Secret::random();
            let credentials = secret.issue(&user, expires);
            prop_assert_eq!(secret.check(&credentials, expires - 1), Ok(&*user));
        }
    }
}
