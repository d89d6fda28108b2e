//! Who may ask, and how much: origins, strangers, floods of sign-ins, bodies that make no sense.

use std::time::{Duration, Instant};

use crate::support::{PASSWORD, Place, Running};
use ahoy_server::config::{Config, SignUp};
use ahoy_signal::account::{Devices, TokenGrant};
use ahoy_signal::{ErrorCode, paths};
use reqwest::{Method, StatusCode, header};
use serde_json::json;

async fn with(change: impl FnOnce(&mut Config)) -> (Place, Running) {
    let place = Place::sqlite();
    let mut config = place.config();
    change(&mut config);
    let server = Running::start(config).await;
    (place, server)
}

/// Asks for the WebSocket as a browser on a page of this origin does.
async fn upgrade(server: &Running, origin: Option<&str>) -> StatusCode {
    let mut request = server
        .http
        .get(server.url(paths::SOCKET))
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused() {
    let (_place, server) = with(|config| {
        config.http.allowed_origins.insert("https://ahoy.example".into());
        config.http.public_url = "https://call.example/".into();
    })
    .await;
    let ada = server.sign_up("ada").await.grant;
    let from = |origin: &'static str| {
        let request = server.http.get(server.url(paths::DEVICES)).bearer_auth(ada.access_token.as_str());
        server.send(request.header(header::ORIGIN, origin))
    };
    for origin in ["https://evil.example", "http://ahoy.example", "https://ahoy.example:444", "null", ""] {
        assert_eq!(from(origin).await.refused(), ErrorCode::Forbidden, "{origin}");
        assert_eq!(upgrade(&server, Some(origin)).await, StatusCode::FORBIDDEN, "{origin}");
    }
    for origin in ["https://ahoy.example", "https://call.example"] {
        from(origin).await.read::<Devices>();
        assert_eq!(upgrade(&server, Some(origin)).await, StatusCode::SWITCHING_PROTOCOLS, "{origin}");
    }
    assert_eq!(upgrade(&server, None).await, StatusCode::SWITCHING_PROTOCOLS, "programs send no origin");
    // Two origins, of which one is good.
    let request = server.http.get(server.url(paths::DEVICES)).bearer_auth(ada.access_token.as_str());
    let request = request.header(header::ORIGIN, "https://ahoy.example");
    let both = server.send(request.header(header::ORIGIN, "https://evil.example")).await;
    assert_eq!(both.refused(), ErrorCode::Forbidden);
    // What a browser asks first.
    let preflight = server
        .http
        .request(Method::OPTIONS, server.url(paths::SESSIONS))
        .header(header::ORIGIN, "https://ahoy.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://ahoy.example");
    assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_held_and_the_people_behind_the_same_address_are_not() {
    let (_place, server) = with(|config| config.limits.strangers_per_minute = 10).await;
    let mut ada = server.sign_up("ada").await.grant;
    let mut refused = None;
    for _ in 0..11 {
        let asked = json!({"invite": "not.a.token", "name": "x"});
        let answer = server.post(paths::GUESTS, None, &asked).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer.refusal());
        }
    }
    let refused = refused.expect("more than ten were too many");
    assert_eq!(refused.code, ErrorCode::RateLimited);
    assert!(refused.retry_after_ms.is_some_and(|ms| (1..=6_001).contains(&ms)), "{refused:?}");
    for _ in 0..30 {
        ada = server.refresh(&ada).await;
        server.get(paths::DEVICES, &ada).await.read::<Devices>();
    }
    // Tokens that are none count as strangers.
    let request = server.http.get(server.url(paths::DEVICES)).bearer_auth("not.a.token");
    assert_eq!(server.send(request).await.refused(), ErrorCode::RateLimited);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_a_limit_of_their_own() {
    let (_place, server) = with(|config| config.limits.normal_per_minute = 20).await;
    let ada = server.sign_up("ada").await.grant;
    let bob = server.sign_up("bob").await.grant;
    let mut codes = Vec::new();
    for _ in 0..30 {
        codes.push(server.get(paths::DEVICES, &ada).await.status);
    }
    assert_eq!(codes.iter().filter(|code| **code == StatusCode::OK).count(), 20);
    server.get(paths::DEVICES, &bob).await.read::<Devices>();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_failures_an_account_waits_wherever_they_come_from() {
    let (_place, server) = with(|config| {
        config.http.trusted_proxies.insert([127, 0, 0, 1].into());
    })
    .await;
    server.sign_up("ada").await;
    server.sign_up("bob").await;
    let from = |address: String, handle: &'static str, password: &'static str| {
        let asked = json!({"handle": handle, "password": password, "device_name": "d"});
        let request = server.http.post(server.url(paths::SESSIONS)).json(&asked);
        server.send(request.header("x-forwarded-for", address))
    };
    for place in 0..5 {
        let answer = from(format!("192.0.2.{place}"), "ada", "wrong horse").await;
        assert_eq!(answer.refused(), ErrorCode::WrongCredentials);
    }
    let refusal = from("192.0.2.99".into(), "ada", PASSWORD).await.refusal();
    assert_eq!(refusal.code, ErrorCode::RateLimited);
    assert!(refusal.retry_after_ms.is_some_and(|ms| ms <= 1_001), "{refusal:?}");
    from("192.0.2.99".into(), "bob", PASSWORD).await.read::<TokenGrant>();
    // One address that tries many accounts waits, too.
    let mut codes = Vec::new();
    for number in 0..25 {
        let asked = json!({"handle": format!("user{number}"), "password": "wrong horse", "device_name": "d"});
        let request = server.http.post(server.url(paths::SESSIONS)).json(&asked);
        codes.push(server.send(request.header("x-forwarded-for", "198.51.100.1")).await.refused());
    }
    assert_eq!(codes.iter().filter(|code| **code == ErrorCode::WrongCredentials).count(), 20, "{codes:?}");
    assert!(codes.ends_with(&[ErrorCode::RateLimited; 5]));
}

/// Passwords at their real cost, and many more sign-ins than can be checked: other requests must not feel it.
#[tokio::test(flavor = "multi_thread")]
async fn needs_quiet_a_flood_of_sign_ins_does_not_starve_other_requests() {
    let (_place, server) = with(|config| {
        let defaults = Config::defaults().unwrap();
        config.auth = defaults.auth;
        config.auth.password_workers = 1;
        config.auth.password_queue = 8;
        config.http.trusted_proxies.insert([127, 0, 0, 1].into());
    })
    .await;
    let ada = server.sign_up("ada").await.grant;
    let sign_ins = (0..200).map(|number| {
        let asked = json!({"handle": format!("user{number}"), "password": "wrong horse", "device_name": "d"});
        let request = server.http.post(server.url(paths::SESSIONS)).json(&asked);
        server.send(request.header("x-forwarded-for", format!("192.0.2.{number}")))
    });
    let flood = async {
        let answers = futures_util::future::join_all(sign_ins).await;
        let codes: Vec<_> = answers.iter().map(|answer| answer.refused()).collect();
        (Instant::now(), codes)
    };
    let others = async {
        let mut slowest = Duration::ZERO;
        let mut done = Vec::new();
        for _ in 0..100 {
            let begun = Instant::now();
            server.get(paths::DEVICES, &ada).await.read::<Devices>();
            slowest = slowest.max(begun.elapsed());
            done.push(Instant::now());
        }
        (slowest, done)
    };
    let ((flood_ended, codes), (slowest, done)) = tokio::join!(flood, others);
    let during = done.iter().filter(|at| **at < flood_ended).count();
    assert!(during >= 20, "only {during} requests were answered during the flood");
    assert!(slowest < Duration::from_millis(500), "another request took {slowest:?}");
    let refused = codes.iter().filter(|code| **code == ErrorCode::Unavailable).count();
    assert!(refused > 0, "nobody was refused: the queue is not bounded");
    assert_eq!(refused + codes.iter().filter(|code| **code == ErrorCode::WrongCredentials).count(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_make_no_sense_are_refused_with_a_reason() {
    let (_place, server) = with(|_| ()).await;
    let post = |body: Vec<u8>| server.send(server.http.post(server.url(paths::SESSIONS)).body(body));
    for body in [&b""[..], b"{", b"[]", b"\xff\xfe", b"{\"handle\":\"ada\"}", b"nonsense"] {
        assert_eq!(post(body.to_vec()).await.refused(), ErrorCode::BadMessage);
    }
    let short = br#"{"handle":"ada","password":"short","device_name":"d"}"#;
    let refusal = post(short.to_vec()).await.refusal();
    assert!(refusal.message.contains("a password has at least 8 characters"), "{}", refusal.message);
    assert_eq!(post(vec![b' '; 16 * 1024 + 1]).await.refused(), ErrorCode::MessageTooLarge);
    let nowhere = server.ask(Method::GET, "/v1/nothing", None, None::<&()>).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    let another = server.ask(Method::PUT, paths::SESSIONS, None, None::<&()>).await;
    assert_eq!(another.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_decides_who_signs_up() {
    let asked = |code: Option<&str>| {
        let mut asked = json!({"handle": "ada", "name": "A", "password": PASSWORD, "device_name": "d"});
        if let Some(code) = code {
            asked["sign_up_code"] = json!(code);
        }
        asked
    };
    let (_place, server) = with(|config| config.auth.sign_up = SignUp::Closed).await;
    let refused = server.post(paths::ACCOUNTS, None, &asked(None)).await.refused();
    assert_eq!(refused, ErrorCode::SignUpClosed);
    let (_place, server) = with(|config| {
        config.auth.sign_up = SignUp::Code;
        config.auth.sign_up_code = "family only".into();
    })
    .await;
    for code in [None, Some("friends")] {
        let refused = server.post(paths::ACCOUNTS, None, &asked(code)).await.refused();
        assert_eq!(refused, ErrorCode::SignUpClosed);
    }
    let made = server.post(paths::ACCOUNTS, None, &asked(Some("family only"))).await;
    assert_eq!(made.status, StatusCode::CREATED);
}
