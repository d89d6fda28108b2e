use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::keys::PUBLISH_MS;

const NOW_MS: u64 = 1_700_000_000_000;
const NOW_S: u64 = NOW_MS / 1000;

fn issuer() -> Issuer {
    Issuer { issuer: "ahoy-server".into(), audience: "ahoy".into() }
}

fn keys() -> Keys {
    Keys::generate(NOW_MS - PUBLISH_MS).unwrap()
}

/// Header and claims of a token that is good.
fn good(keys: &Keys) -> (Value, Value) {
    let kid = &keys.signing(NOW_MS).unwrap().kid;
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
    let claims = json!({
        "iss": "ahoy-server", "aud": "ahoy", "exp": NOW_S + 600, "nbf": NOW_S, "iat": NOW_S,
        "jti": "0123456789abcdef0123456789abcdef", "typ": "access",
        "sub": UserId::from_bits(1), "dev": DeviceId::from_bits(2), "cls": "normal",
        "name": "Ada", "handle": "ada",
    });
    (header, claims)
}

fn guest(keys: &Keys) -> (Value, Value) {
    let (header, mut claims) = good(keys);
    let fields = claims.as_object_mut().unwrap();
    fields.remove("handle");
    fields.insert("cls".into(), json!("guest"));
    fields.insert("room".into(), json!(RoomId::from_bits(3)));
    fields.insert("role".into(), json!("guest"));
    (header, claims)
}

fn invite(keys: &Keys) -> (Value, Value) {
    let (mut header, _) = good(keys);
    header["typ"] = json!("invite+jwt");
    let claims = json!({
        "iss": "ahoy-server", "aud": "ahoy", "exp": NOW_S + 3600, "nbf": NOW_S, "iat": NOW_S,
        "jti": InviteId::from_bits(4), "typ": "invite", "room": RoomId::from_bits(3), "role": "guest",
    });
    (header, claims)
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap());
    format!("{}.{}", part(header), part(claims))
}

fn signed(keys: &Keys, header: &Value, claims: &Value) -> String {
    let text = unsigned(header, claims);
    let key = &keys.signing(NOW_MS).unwrap().signs;
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), key, Algorithm::EdDSA).unwrap();
    format!("{text}.{signature}")
}

fn access_code(keys: &Keys, token: &str) -> Result<Access, ErrorCode> {
    let token = AccessToken::new(token).map_err(|_| ErrorCode::Unauthenticated)?;
    issuer().check_access(keys, &token, NOW_MS).map_err(|refusal| refusal.code)
}

fn invite_code(keys: &Keys, token: &str) -> Result<InviteGrant, ErrorCode> {
    issuer().check_invite(keys, &InviteToken::new(token).unwrap(), NOW_MS).map_err(|refusal| refusal.code)
}

#[test]
fn a_good_token_says_who_it_is() {
    let keys = keys();
    let (header, claims) = good(&keys);
    let access = access_code(&keys, &signed(&keys, &header, &claims)).unwrap();
    assert_eq!(access.identity.user, UserId::from_bits(1));
    assert_eq!(access.identity.device, DeviceId::from_bits(2));
    assert_eq!(access.identity.name.as_str(), "Ada");
    assert_eq!(access.expires_ms, NOW_MS + 600_000);
    let (header, claims) = guest(&keys);
    let access = access_code(&keys, &signed(&keys, &header, &claims)).unwrap();
    assert_eq!(access.identity.guest, Some(GuestGrant { room: RoomId::from_bits(3), role: Role::Guest }));
    let (header, claims) = invite(&keys);
    assert_eq!(invite_code(&keys, &signed(&keys, &header, &claims)).unwrap().invite, InviteId::from_bits(4));
}

#[test]
fn no_claim_and_no_header_field_may_be_missing() {
    let keys = keys();
    type Check = fn(&Keys, &str) -> bool;
    let access: Check = |keys, token| access_code(keys, token) == Err(ErrorCode::Unauthenticated);
    let invited: Check = |keys, token| invite_code(keys, token) == Err(ErrorCode::InviteInvalid);
    for ((header, claims), refuses) in
        [(good(&keys), access), (guest(&keys), access), (invite(&keys), invited)]
    {
        for name in claims.as_object().unwrap().keys() {
            let mut without = claims.clone();
            without.as_object_mut().unwrap().remove(name);
            assert!(refuses(&keys, &signed(&keys, &header, &without)), "without the claim {name}");
        }
        for name in header.as_object().unwrap().keys() {
            let mut without = header.clone();
            without.as_object_mut().unwrap().remove(name);
            assert!(refuses(&keys, &signed(&keys, &without, &claims)), "without {name} in the header");
        }
    }
}

#[test]
fn no_claim_may_be_foreign_or_of_another_type() {
    let keys = keys();
    let (header, claims) = good(&keys);
    let changes = [
        ("iss", json!("another-server")),
        ("iss", json!(["ahoy-server"])),
        ("aud", json!("another")),
        ("aud", json!(["ahoy", "another"])),
        ("exp", json!(NOW_S + 601)),
        ("exp", json!((NOW_S + 600).to_string())),
        ("exp", json!(-1)),
        ("exp", json!(u64::MAX)),
        ("nbf", json!(NOW_S + 6)),
        ("iat", json!(NOW_S + 6)),
        ("iat", json!(NOW_S - 1)),
        ("iat", json!(NOW_S + 700)),
        ("jti", json!("short")),
        ("jti", json!(7)),
        ("jti", json!("0123456789abcdef0123456789abcde'")),
        ("typ", json!("invite")),
        ("typ", json!("refresh")),
        ("sub", json!(DeviceId::from_bits(1))),
        ("dev", json!(UserId::from_bits(1))),
        ("cls", json!("operator")),
        ("cls", json!("guest")),
        ("name", json!("")),
        ("handle", json!("Not A Handle")),
        ("room", json!(RoomId::from_bits(3))),
        ("role", json!("host")),
    ];
    for (name, value) in changes {
        let mut changed = claims.clone();
        changed[name] = value.clone();
        let refused = access_code(&keys, &signed(&keys, &header, &changed));
        assert_eq!(refused, Err(ErrorCode::Unauthenticated), "{name}: {value}");
    }
    let (header, claims) = guest(&keys);
    for (name, value) in [
        ("cls", json!("normal")),
        ("cls", json!("partner")),
        ("role", json!("host")),
        ("role", json!("moderator")),
        ("handle", json!("ada")),
        ("room", json!(UserId::from_bits(3))),
    ] {
        let mut changed = claims.clone();
        changed[name] = value.clone();
        let refused = access_code(&keys, &signed(&keys, &header, &changed));
        assert_eq!(refused, Err(ErrorCode::Unauthenticated), "guest with {name}: {value}");
    }
}

#[test]
fn no_other_header_is_accepted() {
    let keys = keys();
    let (header, claims) = good(&keys);
    let others = [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("alg", json!("RS256")),
        ("typ", json!("JWT")),
        ("typ", json!("invite+jwt")),
        ("typ", json!("AT+JWT")),
        ("kid", json!("another")),
        ("kid", json!("")),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
    ];
    for (name, value) in others {
        let mut changed = header.clone();
        changed[name] = value.clone();
        let refused = access_code(&keys, &signed(&keys, &changed, &claims));
        assert_eq!(refused, Err(ErrorCode::Unauthenticated), "{name}: {value}");
    }
}

#[test]
fn a_token_without_a_signature_or_with_one_made_from_the_public_key_is_refused() {
    let keys = keys();
    let (mut header, claims) = good(&keys);
    let refused =
        |token: &str| assert_eq!(access_code(&keys, token), Err(ErrorCode::Unauthenticated), "{token}");
    let text = unsigned(&header, &claims);
    refused(&format!("{text}."));
    refused(&text);
    header["alg"] = json!("none");
    refused(&format!("{}.", unsigned(&header, &claims)));
    header["alg"] = json!("HS256");
    let text = unsigned(&header, &claims);
    let public = keys.public(NOW_MS).keys.remove(0).x;
    for secret in [public.clone().into_bytes(), URL_SAFE_NO_PAD.decode(&public).unwrap()] {
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &key, Algorithm::HS256).unwrap();
        refused(&format!("{text}.{signature}"));
    }
}

#[test]
fn a_token_signed_by_another_key_under_a_known_name_is_refused() {
    let (keys, others) = (keys(), keys());
    let (header, claims) = good(&keys);
    assert_eq!(access_code(&keys, &signed(&others, &header, &claims)), Err(ErrorCode::Unauthenticated));
    // A key that the token brings along changes nothing.
    let mut header = header;
    let public = others.public(NOW_MS).keys.remove(0);
    header["jwk"] = json!({"kty": "OKP", "crv": "Ed25519", "x": public.x});
    assert_eq!(access_code(&keys, &signed(&others, &header, &claims)), Err(ErrorCode::Unauthenticated));
}

#[test]
fn no_kind_of_token_is_taken_for_the_other() {
    let keys = keys();
    let (access_header, access_claims) = good(&keys);
    let (invite_header, invite_claims) = invite(&keys);
    let access = |header: &Value, claims: &Value| access_code(&keys, &signed(&keys, header, claims));
    let invited = |header: &Value, claims: &Value| invite_code(&keys, &signed(&keys, header, claims));
    assert_eq!(access(&invite_header, &invite_claims), Err(ErrorCode::Unauthenticated));
    assert_eq!(access(&access_header, &invite_claims), Err(ErrorCode::Unauthenticated));
    assert_eq!(access(&invite_header, &access_claims), Err(ErrorCode::Unauthenticated));
    assert_eq!(invited(&access_header, &access_claims), Err(ErrorCode::InviteInvalid));
    assert_eq!(invited(&invite_header, &access_claims), Err(ErrorCode::InviteInvalid));
    assert_eq!(invited(&access_header, &invite_claims), Err(ErrorCode::InviteInvalid));
}

#[test]
fn a_token_expires_to_the_second() {
    let keys = keys();
    let (header, claims) = good(&keys);
    let token = AccessToken::new(signed(&keys, &header, &claims)).unwrap();
    let at = |now_ms| issuer().check_access(&keys, &token, now_ms).map_err(|refusal| refusal.code);
    assert!(at(NOW_MS + 599_999).is_ok());
    assert_eq!(at(NOW_MS + 600_000), Err(ErrorCode::TokenExpired));
}

#[test]
fn a_token_from_before_a_rotation_stays_good() {
    let mut keys = keys();
    let (header, claims) = good(&keys);
    let token = signed(&keys, &header, &claims);
    keys.rotate(NOW_MS - PUBLISH_MS).unwrap();
    assert_ne!(header["kid"], json!(keys.signing(NOW_MS).unwrap().kid));
    assert!(access_code(&keys, &token).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic_or_pass(text: String) {
        let keys = keys();
        prop_assert!(access_code(&keys, &text).is_err());
    }

    #[test]
    fn no_changed_byte_passes(place: prop::sample::Index, to: u8) {
        let keys = keys();
        let (header, claims) = good(&keys);
        let mut token = signed(&keys, &header, &claims).into_bytes();
        let place = place.index(token.len());
        prop_assume!(token[place] != to);
        token[place] = to;
        if let Ok(text) = String::from_utf8(token) {
            prop_assert!(access_code(&keys, &text).is_err());
        }
    }
}
