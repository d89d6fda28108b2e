//! Access and invite tokens: JWTs (RFC 7519) signed with Ed25519 (RFC 8037), each with a type that the other is never taken
//! for (RFC 8725 section 3.11).

use ahoy_signal::{
    AccessToken, DeviceId, ErrorCode, Handle, InviteId, InviteToken, Name, Refusal, Role, RoomId, UserId,
};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use crate::clock::from_unix_ms;
use crate::identity::{Class, GuestGrant, Identity};

/// How far the clocks of two nodes may be apart, in seconds.
const LEEWAY_S: u64 = 5;
/// The longest that an access token may be good, in seconds: older configurations or other signers don't stretch it.
pub const ACCESS_LONGEST_S: u64 = 600;
/// The longest that an invite may be good, in seconds.
pub const INVITE_LONGEST_S: u64 = 7 * 24 * 3600;

const ACCESS_HEADER: &str = "at+jwt";
const INVITE_HEADER: &str = "invite+jwt";

/// Whose tokens these are, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Access,
    Invite,
}

/// What both kinds have.
trait Claims: DeserializeOwned {
    const HEADER: &'static str;
    const KIND: Kind;
    const LONGEST_S: u64;
    fn common(&self) -> (&str, &str, Kind, Times);
}

#[derive(Clone, Copy)]
struct Times {
    exp: u64,
    nbf: u64,
    iat: u64,
}

#[derive(Serialize, Deserialize)]
struct AccessClaims {
    iss: String,
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: String,
    typ: Kind,
    sub: UserId,
    dev: DeviceId,
    cls: Class,
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handle: Option<Handle>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
}

#[derive(Serialize, Deserialize)]
struct InviteClaims {
    iss: String,
    aud: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: InviteId,
    typ: Kind,
    room: RoomId,
    role: Role,
}

impl Claims for AccessClaims {
    const HEADER: &'static str = ACCESS_HEADER;
    const KIND: Kind = Kind::Access;
    const LONGEST_S: u64 = ACCESS_LONGEST_S;

    fn common(&self) -> (&str, &str, Kind, Times) {
        (&self.iss, &self.aud, self.typ, Times { exp: self.exp, nbf: self.nbf, iat: self.iat })
    }
}

impl Claims for InviteClaims {
    const HEADER: &'static str = INVITE_HEADER;
    const KIND: Kind = Kind::Invite;
    const LONGEST_S: u64 = INVITE_LONGEST_S;

    fn common(&self) -> (&str, &str, Kind, Times) {
        (&self.iss, &self.aud, self.typ, Times { exp: self.exp, nbf: self.nbf, iat: self.iat })
    }
}

/// What a good access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who it is.
    pub identity: Identity,
    /// The token's own id.
    pub jti: String,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// What a good invite token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteGrant {
    /// Which invite.
    pub invite: InviteId,
    /// Where to.
    pub room: RoomId,
    /// What it makes of guests.
    pub role: Role,
}

/// Whom an access token is for.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    /// Who.
    pub user: UserId,
    /// At which device.
    pub device: DeviceId,
    /// How much they may ask for.
    pub class: Class,
    /// What they are called.
    pub name: &'a Name,
    /// What they are found by; absent for guests.
    pub handle: Option<&'a Handle>,
    /// What they may enter; present for guests.
    pub guest: Option<GuestGrant>,
}

/// Why a token can't be made: the keys don't sign.
#[derive(Debug, thiserror::Error)]
#[error("the key does not sign: {0}")]
pub struct SigningError(String);

fn refused() -> Refusal {
    Refusal::new(
        ErrorCode::Unauthenticated,
        "This needs a token of this server, and that is none: sign in again.",
    )
}

fn sign(keys: &Keys, typ: &str, claims: &impl Serialize, now_ms: u64) -> Result<String, SigningError> {
    let key = keys.signing(now_ms).ok_or_else(|| SigningError("there is none".into()))?;
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(typ.to_owned());
    header.kid = Some(key.kid.clone());
    jsonwebtoken::encode(&header, claims, &key.signs).map_err(|error| SigningError(error.to_string()))
}

/// Checks everything that both kinds have in common.
fn verify<C: Claims>(keys: &Keys, issuer: &Issuer, token: &str, now_ms: u64) -> Result<C, Refusal> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
    let plain = header.crit.is_none() && header.zip.is_none() && header.enc.is_none();
    if header.alg != Algorithm::EdDSA || header.typ.as_deref() != Some(C::HEADER) || !plain {
        return Err(refused());
    }
    let kid = header.kid.ok_or_else(refused)?;
    let key = keys.verifying(&kid, now_ms).ok_or_else(refused)?;
    // The signature only: the claims are checked below, against the time that the caller gave.
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims: C = jsonwebtoken::decode(token, &key.verifies, &validation).map_err(|_| refused())?.claims;
    let (iss, aud, kind, times) = claims.common();
    let now_s = now_ms / 1000;
    let lifetime = times.exp.checked_sub(times.iat).ok_or_else(refused)?;
    let begun = times.nbf <= now_s + LEEWAY_S && times.iat <= now_s + LEEWAY_S;
    if iss != issuer.issuer || aud != issuer.audience || kind != C::KIND || lifetime > C::LONGEST_S || !begun
    {
        return Err(refused());
    }
    if times.exp <= now_s {
        return Err(Refusal::new(ErrorCode::TokenExpired, "The token has expired: refresh it."));
    }
    Ok(claims)
}

impl Issuer {
    /// Makes an access token that is good for `lifetime_s`.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn access_token(
        &self,
        keys: &Keys,
        bearer: &Bearer<'_>,
        lifetime_s: u64,
        now_ms: u64,
    ) -> Result<AccessToken, SigningError> {
        let now_s = now_ms / 1000;
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            exp: now_s + lifetime_s.min(ACCESS_LONGEST_S),
            nbf: now_s,
            iat: now_s,
            jti: format!("{:032x}", rand::random::<u128>()),
            typ: Kind::Access,
            sub: bearer.user,
            dev: bearer.device,
            cls: bearer.class,
            name: bearer.name.clone(),
            handle: bearer.handle.cloned(),
            room: bearer.guest.map(|guest| guest.room),
            role: bearer.guest.map(|guest| guest.role),
        };
        let token = sign(keys, ACCESS_HEADER, &claims, now_ms)?;
        AccessToken::new(token).map_err(|error| SigningError(error.to_string()))
    }

    /// Checks an access token.
    ///
    /// # Errors
    /// `unauthenticated` or `token_expired`.
    pub fn check_access(&self, keys: &Keys, token: &AccessToken, now_ms: u64) -> Result<Access, Refusal> {
        let claims: AccessClaims = verify(keys, self, token.as_str(), now_ms)?;
        let guest = match (claims.cls, claims.room, claims.role, &claims.handle) {
            (Class::Guest, Some(room), Some(role @ (Role::Guest | Role::Member)), None) => {
                Some(GuestGrant { room, role })
            }
            (Class::Normal | Class::Partner, None, None, Some(_)) => None,
            (Class::Guest | Class::Normal | Class::Partner, _, _, _) => return Err(refused()),
        };
        if claims.jti.len() != 32 || !claims.jti.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let expires_ms = claims.exp.saturating_mul(1000);
        Ok(Access {
            identity: Identity {
                user: claims.sub,
                device: claims.dev,
                handle: claims.handle,
                name: claims.name,
                class: claims.cls,
                guest,
                expires: from_unix_ms(expires_ms),
            },
            jti: claims.jti,
            expires_ms,
        })
    }

    /// Makes an invite token.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn invite_token(
        &self,
        keys: &Keys,
        grant: &InviteGrant,
        expires_ms: u64,
        now_ms: u64,
    ) -> Result<InviteToken, SigningError> {
        let now_s = now_ms / 1000;
        let claims = InviteClaims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            exp: expires_ms / 1000,
            nbf: now_s,
            iat: now_s,
            jti: grant.invite,
            typ: Kind::Invite,
            room: grant.room,
            role: grant.role,
        };
        let token = sign(keys, INVITE_HEADER, &claims, now_ms)?;
        InviteToken::new(token).map_err(|error| SigningError(error.to_string()))
    }

    /// Checks an invite token. Whether the invite was revoked or used up, the store knows.
    ///
    /// # Errors
    /// `invite_invalid`.
    pub fn check_invite(
        &self,
        keys: &Keys,
        token: &InviteToken,
        now_ms: u64,
    ) -> Result<InviteGrant, Refusal> {
        let claims: InviteClaims =
            verify(keys, self, token.as_str(), now_ms).map_err(|_| invite_invalid())?;
        Ok(InviteGrant { invite: claims.jti, room: claims.room, role: claims.role })
    }
}

/// Says that an invite gets nobody in, without saying why: strangers ask.
pub fn invite_invalid() -> Refusal {
    Refusal::new(
        ErrorCode::InviteInvalid,
        "This invite is not valid, has expired, was used up or was revoked: ask for a new one.",
    )
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
