//! Where things are asked over HTTP, relative to the server's URL. Bodies are those of [`crate::account`]; where one proves
//! who one is, the access token stands in `Authorization: Bearer …` (RFC 6750 section 2.1). Every refusal is a
//! [`Refusal`](crate::Refusal) with the status that goes with its code.

/// Where invite links lead: below it the room, and in the fragment the secret.
pub const JOIN: &str = "/join";
/// POST [`SignUp`](crate::account::SignUp): 201 and [`SignedUp`](crate::account::SignedUp).
pub const ACCOUNTS: &str = "/v1/accounts";
/// POST [`SignIn`](crate::account::SignIn): 200 and [`TokenGrant`](crate::account::TokenGrant).
pub const SESSIONS: &str = "/v1/sessions";
/// POST [`Refresh`](crate::account::Refresh): 200 and [`TokenGrant`](crate::account::TokenGrant).
pub const REFRESH: &str = "/v1/sessions/refresh";
/// POST [`Recover`](crate::account::Recover): 200 and [`TokenGrant`](crate::account::TokenGrant).
pub const RECOVER: &str = "/v1/sessions/recover";
/// DELETE with token: 204, this device is signed out.
pub const CURRENT_SESSION: &str = "/v1/sessions/current";
/// POST [`GuestSignIn`](crate::account::GuestSignIn): 200 and [`TokenGrant`](crate::account::TokenGrant).
pub const GUESTS: &str = "/v1/guests";
/// GET with token: 200 and [`Devices`](crate::account::Devices). DELETE on `/v1/devices/<device>`: 204.
pub const DEVICES: &str = "/v1/devices";
/// POST [`ChangePassword`](crate::account::ChangePassword) with token: 204.
pub const PASSWORD: &str = "/v1/account/password";
/// POST [`Confirm`](crate::account::Confirm) with token: 200 and [`RecoveryCodes`](crate::account::RecoveryCodes).
pub const RECOVERY_CODES: &str = "/v1/account/recovery-codes";
/// GET with token: 200 and [`Audit`](crate::account::Audit).
pub const AUDIT: &str = "/v1/account/audit";
/// GET with token: 200 and everything that is stored of the account, as JSON.
pub const EXPORT: &str = "/v1/account/export";
/// POST [`Confirm`](crate::account::Confirm) with token: 204, the account and all that belongs to it is gone.
pub const DELETE_ACCOUNT: &str = "/v1/account/delete";
/// POST [`NewInvite`](crate::account::NewInvite) with token: 201 and [`Invite`](crate::account::Invite). GET on
/// `/v1/invites?room=<room>`: 200 and [`Invites`](crate::account::Invites). DELETE on `/v1/invites/<invite>`: 204.
pub const INVITES: &str = "/v1/invites";
/// The WebSocket (RFC 6455). The token comes in the first message, never in the URL.
pub const SOCKET: &str = "/v1/ws";
/// GET: the public halves of the keys that sign tokens (RFC 7517 section 5).
pub const KEYS: &str = "/.well-known/jwks.json";
/// GET: 200 while the process answers at all.
pub const LIVE: &str = "/live";
/// GET: 200 while new people can come; 503 with the reason as JSON otherwise.
pub const READY: &str = "/ready";
/// GET: measurements in Prometheus' text format.
pub const METRICS: &str = "/metrics";
