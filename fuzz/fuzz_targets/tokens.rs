//! Tokens as strangers send them: made up, and, to get past the signature, with claims that nobody would make.
#![no_main]

use std::sync::LazyLock;

use ahoy_server::auth::keys::Keys;
use ahoy_server::auth::refresh::FamilyToken;
use ahoy_server::auth::token::Issuer;
use ahoy_signal::{AccessToken, InviteToken, RefreshToken};
use jsonwebtoken::{Algorithm, Header};
use libfuzzer_sys::fuzz_target;

/// Some time in 2026.
const NOW_MS: u64 = 1_795_000_000_000;

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::generate(NOW_MS - 3_600_000).expect("keys"));
static ISSUER: LazyLock<Issuer> =
    LazyLock::new(|| Issuer { issuer: "ahoy-server".into(), audience: "ahoy".into() });

fn check(text: &str) {
    if let Ok(token) = AccessToken::new(text) {
        let _ = ISSUER.check_access(&KEYS, &token, NOW_MS);
    }
    if let Ok(token) = InviteToken::new(text) {
        let _ = ISSUER.check_invite(&KEYS, &token, NOW_MS);
    }
    if let Ok(token) = RefreshToken::new(text) {
        let _ = FamilyToken::open(&token, KEYS.refresh());
    }
}

fuzz_target!(|text: &str| {
    check(text);
    // The same as claims that the server itself has signed, as a token of each kind.
    let Ok(claims) = serde_json::from_str::<serde_json::Value>(text) else { return };
    let key = KEYS.signing(NOW_MS).expect("a key");
    for typ in ["at+jwt", "invite+jwt"] {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.into());
        header.kid = Some(key.kid.clone());
        check(&jsonwebtoken::encode(&header, &claims, &key.signs).expect("claims that can be signed"));
    }
});
