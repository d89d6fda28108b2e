//! The commands the window can call. Each passes on what the window sent and maps the error to a code.
//!
//! `ui/src/backend/bindings.ts` is generated from the types that pass here; a test below keeps the two equal.

use ahoy_client::desk::{CallSummary, Desk, DeskError};
use ahoy_client::devices::Devices;
use ahoy_client::picture_socket::Access;
use ahoy_client::settings::{Settings, SettingsChange};
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
    /// The version of the system's web view, which draws the window.
    pub webview: String,
}

impl AppInfo {
    fn collect(app: &AppHandle) -> Result<Self, AppInfoError> {
        Ok(Self {
            version: app.package_info().version.to_string(),
            system: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            webview: tauri::webview_version().map_err(|error| AppInfoError::Webview(error.into()))?,
        })
    }
}

/// Why the program could not describe itself.
#[derive(Debug, thiserror::Error)]
enum AppInfoError {
    #[error("Ahoy could not read the version of the system's web view ({0}). Install the web view again.")]
    Webview(Box<dyn std::error::Error + Send + Sync>),
}

/// What went wrong, as a code the window branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The system's web view does not tell its version.
    WebviewVersionUnknown,
    /// The settings were not changed.
    Settings,
    /// The speaker can't be opened.
    Speaker,
    /// A call is running.
    Busy,
    /// No call is running.
    NoCall,
}

/// A failed command: the code is for the window's decisions, the message is a sentence for people and logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CommandError {
    /// What went wrong, for the window to branch on.
    pub code: ErrorCode,
    /// A sentence that says what to do.
    pub message: String,
}

impl From<AppInfoError> for CommandError {
    fn from(error: AppInfoError) -> Self {
        let code = match error {
            AppInfoError::Webview(_) => ErrorCode::WebviewVersionUnknown,
        };
        Self { code, message: error.to_string() }
    }
}

impl From<DeskError> for CommandError {
    fn from(error: DeskError) -> Self {
        let code = match error {
            DeskError::Settings(_) => ErrorCode::Settings,
            DeskError::Speaker(_) => ErrorCode::Speaker,
            DeskError::Busy => ErrorCode::Busy,
            DeskError::NoCall => ErrorCode::NoCall,
        };
        Self { code, message: ahoy_client::sentence(&error.to_string()) }
    }
}

type CommandResult<T> = Result<T, CommandError>;

/// Tells the window what it is running.
///
/// # Errors
/// [`ErrorCode::WebviewVersionUnknown`] when the web view does not tell its version.
#[tauri::command]
pub fn app_info(app: AppHandle) -> CommandResult<AppInfo> {
    Ok(AppInfo::collect(&app)?)
}

/// The settings as they are.
#[tauri::command]
pub fn settings(desk: State<'_, Desk>) -> Settings {
    desk.settings()
}

/// Changes settings; the desk follows.
///
/// # Errors
/// [`ErrorCode::Settings`].
#[tauri::command]
pub async fn change_settings(desk: State<'_, Desk>, change: SettingsChange) -> CommandResult<Settings> {
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
/// [`ErrorCode::Busy`] during a call.
#[tauri::command]
pub async fn start_preview(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.start_preview().await?)
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

/// Plays a sound; returns when it has been heard.
///
/// # Errors
/// [`ErrorCode::Speaker`].
#[tauri::command]
pub async fn test_speaker(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.test_speaker().await?)
}

/// Starts a test call.
///
/// # Errors
/// [`ErrorCode::Busy`] while there is one.
#[tauri::command]
pub async fn start_test_call(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.start_test_call().await?)
}

/// Ends the call, if there is one, and tells what it was worth.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn hang_up(desk: State<'_, Desk>) -> CommandResult<Option<CallSummary>> {
    Ok(desk.hang_up().await)
}

/// Holds one's own sound back, or lets it go again.
///
/// # Errors
/// [`ErrorCode::NoCall`].
#[tauri::command]
pub async fn set_muted(desk: State<'_, Desk>, muted: bool) -> CommandResult<()> {
    Ok(desk.set_muted(muted).await?)
}

/// Switches the camera off or on.
///
/// # Errors
/// [`ErrorCode::NoCall`].
#[tauri::command]
pub async fn set_camera_on(desk: State<'_, Desk>, on: bool) -> CommandResult<()> {
    Ok(desk.set_camera_on(on).await?)
}

/// What the page needs to draw one stream of pictures.
#[tauri::command]
pub fn media_access(desk: State<'_, Desk>) -> Access {
    desk.picture_access()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ahoy_client::desk::{DeskEvent, MicrophoneLevel, PreviewTrouble};
    use ahoy_client::devices::{Camera, SoundDevice};
    use ahoy_client::loopback::{
        AudioStats, CallDevice, CallPhase, CallSnapshot, CallStats, DeviceStanding, NetworkStats, Problem,
        StageStats, VideoStats,
    };
    use ahoy_client::settings::{Language, PictureSize, Theme};
    use ts_rs::{Config, TS};

    use super::*;

    /// The generated file's whole text.
    fn bindings() -> String {
        let config = Config::new();
        let types = [
            AppInfo::decl(&config),
            ErrorCode::decl(&config),
            CommandError::decl(&config),
            Settings::decl(&config),
            SettingsChange::decl(&config),
            Language::decl(&config),
            Theme::decl(&config),
            PictureSize::decl(&config),
            Devices::decl(&config),
            Camera::decl(&config),
            SoundDevice::decl(&config),
            Access::decl(&config),
            DeskEvent::decl(&config),
            CallSnapshot::decl(&config),
            CallPhase::decl(&config),
            CallDevice::decl(&config),
            DeviceStanding::decl(&config),
            Problem::decl(&config),
            CallStats::decl(&config),
            VideoStats::decl(&config),
            AudioStats::decl(&config),
            NetworkStats::decl(&config),
            StageStats::decl(&config),
            CallSummary::decl(&config),
            MicrophoneLevel::decl(&config),
            PreviewTrouble::decl(&config),
        ];
        let mut text =
            String::from("// Generated from src-tauri/src/commands.rs. To update: cargo xtask generate\n");
        for declaration in types {
            text.push_str(&format!("\nexport {declaration}\n"));
        }
        text
    }

    #[test]
    fn the_window_knows_the_same_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/src/backend/bindings.ts");
        if std::env::var_os("AHOY_GENERATE").is_some() {
            std::fs::write(&path, bindings()).expect("the bindings can be written");
        }
        let stored = std::fs::read_to_string(&path).expect("the bindings are checked in");
        assert_eq!(stored, bindings(), "run: cargo xtask generate");
    }

    #[test]
    fn a_failed_command_carries_a_code_and_a_sentence() {
        let error = CommandError::from(AppInfoError::Webview("no such library".into()));
        let json = serde_json::to_value(&error).expect("plain data");
        assert_eq!(json["code"], "webview_version_unknown");
        assert!(json["message"].as_str().is_some_and(|text| text.ends_with('.')), "{json}");
        let busy = CommandError::from(DeskError::Busy);
        assert_eq!(
            (busy.code, busy.message.as_str()),
            (ErrorCode::Busy, "A test call is running: hang it up first")
        );
    }
}
