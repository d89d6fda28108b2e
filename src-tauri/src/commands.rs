//! The commands the window can call, and the data they exchange.
//!
//! `ui/src/backend/bindings.ts` is generated from the types in this file; a test below keeps the two equal.

use serde::Serialize;
use tauri::AppHandle;

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

/// Tells the window what it is running.
///
/// # Errors
/// [`ErrorCode::WebviewVersionUnknown`] when the web view does not tell its version.
#[tauri::command]
pub fn app_info(app: AppHandle) -> Result<AppInfo, CommandError> {
    Ok(AppInfo::collect(&app)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ts_rs::{Config, TS};

    use super::*;

    /// The generated file's whole text.
    fn bindings() -> String {
        let config = Config::new();
        let types = [AppInfo::decl(&config), ErrorCode::decl(&config), CommandError::decl(&config)];
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
    }
}
