//! What the window is told, as one kind of event.

use std::sync::Arc;

use ahoy_client::desk::DeskListener;
use tauri::{AppHandle, Emitter as _};

/// Name of the event; its payload is a `DeskEvent`.
pub const EVENT: &str = "desk";

/// Passes on to the window what the desk tells.
pub fn to_window(app: AppHandle) -> DeskListener {
    Arc::new(move |event| {
        if let Err(error) = app.emit(EVENT, event) {
            tracing::warn!(%error, "the window was not told");
        }
    })
}
