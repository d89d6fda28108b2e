//! The page with which guests join a call: what an invite link leads to in a browser. The secret of the link is in its fragment,
//! which browsers keep to themselves.

use std::sync::Arc;

use ahoy_guest_page::{ASSETS_PATH, CONTENT_SECURITY_POLICY, PERMISSIONS_POLICY, asset, html};
use ahoy_signal::paths;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::HttpState;
use super::refusal::nothing_there;

/// Files of the page are named by what is in them, so they never change.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The page itself names them, so it is asked for each time.
const EACH_TIME: &str = "no-cache";

pub(super) fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route(&format!("{}/{{room}}", paths::JOIN), get(page))
        .route(&format!("{ASSETS_PATH}/{{name}}"), get(file))
}

/// The same for every room: whether there is such a room is told to who has the link's secret.
async fn page() -> Response {
    let mut response = html().into_response();
    let fixed: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, EACH_TIME),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn file(Path(name): Path<String>) -> Response {
    let Some(asset) = asset(&name) else { return nothing_there().await.into_response() };
    let fixed = [(header::CONTENT_TYPE, asset.media_type()), (header::CACHE_CONTROL, FOR_EVER)];
    (fixed, asset.bytes).into_response()
}
