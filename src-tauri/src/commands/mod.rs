//! The commands the window can call. Each passes on what the window sent and passes on what goes wrong.
//!
//! `ui/src/backend/bindings.ts` is generated from the types that pass here; a test keeps the two equal.

pub mod calls;
pub mod connection;
pub mod files;
pub mod history;
pub mod people;
#[cfg(test)]
mod tests;

use ahoy_client::desk::Desk;
use ahoy_client::devices::Devices;
use ahoy_client::picture_socket::Access;
use ahoy_client::settings::{Settings, SettingsChange};
use ahoy_client::{Problem, ProblemCode};
use serde::Serialize;
use tauri::{AppHandle, State};

/// What the window shows about the running program, and what a bug report needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AppInfo {
    /// The version of Ahoy, as in `Cargo.toml`.
    pub version: String,
    /// The operating system, named as Rust names it: `linux`, `macos`, `windows`.
    pub system: String,
    /// The processor architecture, named as Rust names it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// The version of the system's web view, which draws the window; null where it does not tell.
    pub webview: Option<String>,
    /// Whether the window is told when devices come or go; where it is not, it asks when it matters.
    pub notices_devices: bool,
}

type CommandResult<T> = Result<T, Problem>;

/// Tells the window what it is running.
#[tauri::command]
pub fn app_info(app: AppHandle, desk: State<'_, Desk>) -> AppInfo {
    AppInfo {
        version: app.package_info().version.to_string(),
        system: std::env::consts::OS.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        webview: tauri::webview_version().ok(),
        notices_devices: desk.notices_devices(),
    }
}

/// The settings as they are.
#[tauri::command]
pub fn settings(desk: State<'_, Desk>) -> Settings {
    desk.settings()
}

/// Changes settings; the desk follows.
///
/// # Errors
/// `DeskError::Settings`.
#[tauri::command]
pub async fn change_settings(desk: State<'_, Desk>, change: SettingsChange) -> CommandResult<Settings> {
    // The page names no paths: a folder is chosen in a dialog of the system.
    if matches!(change.files_folder, Some(Some(_))) {
        return Err(Problem::new(ProblemCode::FolderMissing, "a folder is chosen in the system's dialog"));
    }
    Ok(desk.change_settings(change).await?)
}

/// The machine's devices.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn devices(desk: State<'_, Desk>) -> CommandResult<Devices> {
    Ok(desk.devices().await)
}

/// Shows the camera and listens to the microphone without a call.
///
/// # Errors
/// `DeskError::Busy` during a call.
#[tauri::command]
pub async fn start_preview(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.start_preview().await?)
}

/// Tries again to open what could not be opened.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn retry_devices(desk: State<'_, Desk>) -> CommandResult<()> {
    desk.retry_devices().await;
    Ok(())
}

/// Lets camera and microphone go.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn stop_preview(desk: State<'_, Desk>) -> CommandResult<()> {
    desk.stop_preview().await;
    Ok(())
}

/// Plays a sound at the speaker, or at the one that rings; returns when it has been heard.
///
/// # Errors
/// `DeskError::Speaker`.
#[tauri::command]
pub async fn test_speaker(desk: State<'_, Desk>, ringer: bool) -> CommandResult<()> {
    Ok(desk.test_speaker(ringer).await?)
}

/// What the page needs to draw one stream of pictures.
#[tauri::command]
pub fn media_access(desk: State<'_, Desk>) -> Access {
    desk.picture_access()
}
