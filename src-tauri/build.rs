//! Builds the window (`ui/dist`) when it is missing or older than its sources, then prepares Tauri.

use std::path::Path;
use std::process::ExitCode;

use ahoy_ui_build::{BuildResult, Page};

/// What windows may do, and the names for it.
const CAPABILITIES: &str = "src-tauri/capabilities/**/*";
const PERMISSIONS: &str = "src-tauri/permissions/**/*";

fn main() -> ExitCode {
    ahoy_ui_build::conclude(build())
}

fn build() -> BuildResult<()> {
    for path in ["src-tauri/capabilities", "src-tauri/permissions"] {
        println!("cargo::rerun-if-changed={path}");
    }
    // Without the feature the window comes from Vite's development server and nothing is embedded.
    if std::env::var_os("CARGO_FEATURE_CUSTOM_PROTOCOL").is_some() {
        let ui = Path::new("ui");
        ahoy_ui_build::come_back_for(ui, Page::Window);
        ahoy_ui_build::prepare(ui, Page::Window)?;
    }
    let attributes = tauri_build::Attributes::new()
        .capabilities_path_pattern(CAPABILITIES)
        .app_manifest(tauri_build::AppManifest::new().permissions_path_pattern(PERMISSIONS));
    Ok(tauri_build::try_build(attributes)?)
}
