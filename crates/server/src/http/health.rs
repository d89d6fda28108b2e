//! How the server is: for whoever starts it, sends people to it, or looks at its measurements.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ahoy_signal::{ErrorCode, Refusal, paths};
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::Mutex;

use super::HttpState;
use super::refusal::{json, nothing_there};
use crate::clock::unix_ms;
use crate::config::MetricsFor;
use crate::store::sql::SqlStore;

/// For how long what was found out about the store counts: however often one asks, it is not kept busy by that.
const FRESH: Duration = Duration::from_secs(1);

/// Whether new people can come.
pub(crate) struct Health {
    store: SqlStore,
    stopping: AtomicBool,
    last: Mutex<Option<(Instant, bool)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ready,
    /// Nothing can be stored: people who are there talk on, nobody can sign in.
    Degraded,
    Stopping,
}

#[derive(Serialize)]
struct Readiness {
    status: Status,
    message: &'static str,
}

impl Health {
    pub(crate) fn new(store: SqlStore) -> Self {
        Self { store, stopping: AtomicBool::new(false), last: Mutex::new(None) }
    }

    /// From now on the answer is no.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    async fn status(&self) -> Status {
        if self.is_stopping() {
            return Status::Stopping;
        }
        let mut last = self.last.lock().await;
        let fresh = last.filter(|(at, _)| at.elapsed() < FRESH);
        let stores = match fresh {
            Some((_, stores)) => stores,
            None => {
                let probed = self.store.probe(i64::try_from(unix_ms()).unwrap_or(i64::MAX)).await;
                if let Err(error) = &probed {
                    tracing::error!(%error, "nothing can be stored");
                }
                *last = Some((Instant::now(), probed.is_ok()));
                probed.is_ok()
            }
        };
        metrics::gauge!("ahoy_store_writable").set(if stores { 1.0 } else { 0.0 });
        if stores { Status::Ready } else { Status::Degraded }
    }
}

pub(super) fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route(paths::LIVE, get(|| async { "live\n" }))
        .route(paths::READY, get(ready))
        .route(paths::METRICS, get(metrics_text))
        .route(paths::KEYS, get(keys))
}

async fn ready(State(state): State<Arc<HttpState>>) -> Response {
    let status = state.health.status().await;
    let (code, message) = match status {
        Status::Ready => (StatusCode::OK, "All is well."),
        Status::Degraded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Nothing can be stored: see the log. Those who are connected talk on, nobody can sign in.",
        ),
        Status::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "The server is stopping."),
    };
    json(code, &Readiness { status, message })
}

async fn metrics_text(
    State(state): State<Arc<HttpState>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> Response {
    let allowed = match state.metrics_for {
        MetricsFor::Everyone => true,
        MetricsFor::Loopback => peer.ip().to_canonical().is_loopback(),
        MetricsFor::Nobody => false,
    };
    if !allowed {
        return nothing_there().await;
    }
    match &state.metrics {
        Some(metrics) => {
            let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, text)], metrics.render()).into_response()
        }
        None => {
            let refusal = Refusal::new(ErrorCode::Unavailable, "This server measures nothing.");
            super::refusal::Refused(refusal).into_response()
        }
    }
}

async fn keys(State(state): State<Arc<HttpState>>) -> Response {
    let keys = state.accounts.authenticator().keys().public(unix_ms());
    let mut response = json(StatusCode::OK, &keys);
    // As long as a new key is published before it signs.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=240"));
    response
}
