//! The shell: opens the window and answers its commands.
//!
//! Nothing is decided here. A command parses what the window sent, calls the crate that knows the answer and maps
//! its error to a code. This is the only package that sees Tauri.

#![forbid(unsafe_code)]

use anyhow::Context as _;

pub mod commands;

/// Opens the window and serves it until the person closes it.
///
/// # Errors
/// When the system has no display or no web view to open a window with.
pub fn run() -> anyhow::Result<()> {
    tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![commands::app_info])
        .run(tauri::generate_context!())
        .context("Ahoy could not open its window")
}
