//! What the server answers over HTTP, and how it takes in WebSockets.

mod accounts;
mod caller;
mod guest_page;
mod health;
mod limits;
mod refusal;
mod socket;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::auth::Accounts;
use crate::config::MetricsFor;
use crate::metrics_recorder::Measurements;
use crate::realtime::Realtime;

pub(crate) use health::Health;
pub(crate) use limits::HttpLimits;

/// How long a browser may remember that a page is allowed here.
const CORS_MAX_AGE: Duration = Duration::from_secs(600);

/// What all requests share.
pub(crate) struct HttpState {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) realtime: Arc<Realtime>,
    pub(crate) health: Health,
    pub(crate) limits: HttpLimits,
    pub(crate) allowed_origins: BTreeSet<String>,
    pub(crate) trusted_proxies: BTreeSet<IpAddr>,
    pub(crate) metrics_for: MetricsFor,
    pub(crate) metrics: Option<Measurements>,
}

/// Everything that can be asked.
pub(crate) fn router(state: Arc<HttpState>) -> Router {
    let origins = state.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .max_age(CORS_MAX_AGE);
    let fixed = |name: HeaderName, value| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .merge(accounts::routes())
        .merge(guest_page::routes())
        .merge(health::routes())
        .merge(socket::routes())
        .fallback(refusal::nothing_there)
        .method_not_allowed_fallback(refusal::another_method)
        .layer(cors)
        .layer(from_fn_with_state(state.clone(), caller::check))
        .layer(from_fn(measured))
        // Answers hold tokens.
        .layer(fixed(header::CACHE_CONTROL, "no-store"))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .with_state(state)
}

/// Counts requests by the path's pattern, never by what stands in it.
async fn measured(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let path = path.unwrap_or_else(|| "none".into());
    let begun = std::time::Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::histogram!("ahoy_http_seconds", "path" => path.clone()).record(begun.elapsed().as_secs_f64());
    metrics::counter!("ahoy_http_requests_total", "path" => path, "status" => status).increment(1);
    response
}
