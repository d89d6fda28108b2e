//! Where a request comes from, whether it may, and who asks.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ahoy_signal::{AccessToken, ErrorCode, Refusal};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::refusal::Refused;
use crate::auth::Caller;
use crate::identity::Identity;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of whoever asks: the last one in `X-Forwarded-For` that no trusted proxy has, as far as trusted proxies tell.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &BTreeSet<IpAddr>) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(&peer) {
        return peer;
    }
    let told: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut last = peer;
    for hop in told.iter().rev() {
        let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
        last = hop.to_canonical();
        if !trusted.contains(&last) {
            break;
        }
    }
    last
}

/// Whether a page comes from this server itself, by the name under which it is asked: the guests' page does. What a proxy in
/// between does with TLS is its own business, so the scheme is left out. A page of another site that has this server's
/// address put under its own name gains nothing: whoever asks has to show a token, and browsers add none by themselves.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let site = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| site.is_some_and(|site| site.eq_ignore_ascii_case(host)))
}

/// Notes where a request comes from, and refuses pages of sites that are not on the list.
pub(super) async fn check(State(state): State<Arc<HttpState>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let caller = Caller { address: address(peer, request.headers(), &state.trusted_proxies) };
    request.extensions_mut().insert(caller);
    for origin in request.headers().get_all(header::ORIGIN) {
        let allowed = origin
            .to_str()
            .is_ok_and(|origin| state.allowed_origins.contains(origin) || is_own(origin, request.headers()));
        if !allowed {
            metrics::counter!("ahoy_origins_refused_total").increment(1);
            let refusal = Refusal::new(
                ErrorCode::Forbidden,
                "Pages of this site may not use this server: its operator lists those that may.",
            );
            return Refused(refusal).into_response();
        }
    }
    next.run(request).await
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let unknown = Caller { address: IpAddr::from([0, 0, 0, 0]) };
        Ok(parts.extensions.get::<Caller>().copied().unwrap_or(unknown))
    }
}

/// Someone who has not shown a token: they count against their address.
pub(crate) struct Stranger(pub(crate) Caller);

impl FromRequestParts<Arc<HttpState>> for Stranger {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<HttpState>) -> Result<Self, Refused> {
        let Ok(caller) = Caller::from_request_parts(parts, state).await;
        state.limits.stranger(caller)?;
        Ok(Self(caller))
    }
}

/// Someone with a good token: they count against themselves.
pub(crate) struct Known {
    pub(crate) who: Identity,
    pub(crate) caller: Caller,
}

impl FromRequestParts<Arc<HttpState>> for Known {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<HttpState>) -> Result<Self, Refused> {
        let Ok(caller) = Caller::from_request_parts(parts, state).await;
        let checked = match bearer(&parts.headers) {
            Some(token) => state.accounts.authenticator().check(&token).await,
            None => Err(Refusal::new(ErrorCode::Unauthenticated, "This needs a token: sign in.")),
        };
        match checked {
            Ok(who) => {
                state.limits.user(&who)?;
                Ok(Self { who, caller })
            }
            Err(refusal) => {
                state.limits.stranger(caller)?;
                Err(refusal.into())
            }
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<AccessToken> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, another) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let fits = another.is_none() && scheme.eq_ignore_ascii_case("bearer");
    fits.then(|| AccessToken::new(token.trim()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, told: &[&str]) -> String {
        let trusted = ["10.0.0.1", "10.0.0.2"].iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in told {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn pages_of_the_server_itself_are_its_own() {
        let own = |origin: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::HOST, host.parse().unwrap());
            is_own(origin, &headers)
        };
        assert!(own("https://call.example.org", "call.example.org"));
        assert!(own("http://127.0.0.1:7420", "127.0.0.1:7420"));
        assert!(own("https://Call.example.org:8443", "call.example.org:8443"));
        for (origin, host) in [
            ("https://evil.example", "call.example.org"),
            ("https://call.example.org:8443", "call.example.org"),
            ("https://call.example.org.evil.example", "call.example.org"),
            ("null", "null"),
            ("file://", ""),
            ("", ""),
        ] {
            assert!(!own(origin, host), "{origin} {host}");
        }
        assert!(!is_own("https://call.example.org", &HeaderMap::new()));
    }

    #[test]
    fn a_token_is_read_from_one_authorization_header_only() {
        let mut headers = HeaderMap::new();
        assert!(bearer(&headers).is_none());
        headers.append(header::AUTHORIZATION, "bearer abcdefgh".parse().unwrap());
        assert_eq!(bearer(&headers).unwrap().as_str(), "abcdefgh");
        headers.append(header::AUTHORIZATION, "Bearer ijklmnop".parse().unwrap());
        assert!(bearer(&headers).is_none());
        headers.clear();
        headers.append(header::AUTHORIZATION, "Basic abcdefgh".parse().unwrap());
        assert!(bearer(&headers).is_none());
    }
}
