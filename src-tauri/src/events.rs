//! What the window is told, as one kind of event.

use std::sync::Arc;

use ahoy_client::desk::{DeskEvent, DeskListener};
use tauri::{AppHandle, Emitter as _, Manager as _};

use crate::notices::Notices;

/// Name of the event; its payload is a `DeskEvent`.
pub const EVENT: &str = "desk";

/// Passes on to the window what the desk tells.
pub fn to_window(app: AppHandle) -> DeskListener {
    Arc::new(move |event| {
        match &event {
            DeskEvent::Calls(calls) => app.state::<Notices>().follow_calls(calls),
            DeskEvent::Transfer(view) => app.state::<Notices>().follow_transfer(view),
            DeskEvent::People(people) if people.me.is_none() => app.state::<Notices>().signed_out(),
            _ => {}
        }
        tell(&app, event);
    })
}

/// Tells the window something.
pub(crate) fn tell(app: &AppHandle, event: DeskEvent) {
    if let Err(error) = app.emit(EVENT, event) {
        tracing::warn!(%error, "the window was not told");
    }
}
