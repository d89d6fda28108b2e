//! WebSockets: who may open one, and how large their buffers are. What is said over them is the realtime part's.

use std::sync::Arc;

use ahoy_signal::{ErrorCode, Refusal, limits, paths};
use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;

use super::HttpState;
use super::refusal::Refused;
use crate::auth::Caller;

/// Read and write buffers of a connection, in bytes. tungstenite's own 128 KiB would cost 137 KB for each idle one.
const BUFFER: usize = 4 * 1024;
/// What is queued goes out in one write up to so many bytes.
const WRITE_TOGETHER: usize = 16 * 1024;
/// What may be queued in the connection itself before writing to it fails: more than one message of any length.
const WRITE_MOST: usize = WRITE_TOGETHER + 2 * limits::SERVER_MESSAGE_LONGEST;

pub(super) fn routes() -> Router<Arc<HttpState>> {
    Router::new().route(paths::SOCKET, get(open))
}

async fn open(
    State(state): State<Arc<HttpState>>,
    caller: Caller,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = upgrade.map_err(|error| {
        Refusal::new(ErrorCode::BadMessage, format!("This path speaks WebSocket only: {error}"))
    })?;
    if state.health.is_stopping() {
        return Err(Refusal::new(ErrorCode::ShuttingDown, "The server is stopping: connect again.").into());
    }
    state.limits.socket(caller)?;
    let upgrade = upgrade
        .max_message_size(limits::MESSAGE_LONGEST)
        .max_frame_size(limits::MESSAGE_LONGEST)
        .read_buffer_size(BUFFER)
        .write_buffer_size(WRITE_TOGETHER)
        .max_write_buffer_size(WRITE_MOST);
    Ok(upgrade.on_upgrade(move |socket| async move {
        state.realtime.serve(socket, caller.address).await;
    }))
}
