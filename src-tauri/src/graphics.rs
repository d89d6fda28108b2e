//! How the web view paints.

use tauri::WebviewWindow;

/// Has the web view paint with the processor where there is no graphics processor. It would use OpenGL all the same, which
/// is then emulated: a call of 720p cost twice as much, and pictures came 40 ms later (docs/benchmarks.md).
#[cfg(target_os = "linux")]
pub(crate) fn suit_machine(window: &WebviewWindow) {
    use webkit2gtk::{HardwareAccelerationPolicy, SettingsExt as _, WebViewExt as _};

    if has_graphics_processor() {
        return;
    }
    let set = window.with_webview(|view| {
        if let Some(settings) = view.inner().settings() {
            settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
        }
    });
    match set {
        Ok(()) => tracing::info!("no graphics processor: the window is painted by the main one"),
        Err(error) => tracing::warn!(%error, "the web view's settings can't be changed"),
    }
}

/// Other systems' web views find out by themselves.
#[cfg(not(target_os = "linux"))]
pub(crate) fn suit_machine(_window: &WebviewWindow) {}

/// Whether the kernel offers a graphics processor for drawing: a render node (Linux, Documentation/gpu/drm-uapi).
#[cfg(target_os = "linux")]
fn has_graphics_processor() -> bool {
    let nodes = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    nodes.into_iter().any(|node| node.file_name().to_string_lossy().starts_with("renderD"))
}
