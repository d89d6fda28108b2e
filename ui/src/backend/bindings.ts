// Generated from src-tauri/src/commands.rs. To update: cargo xtask generate

export type AppInfo = { 
/**
 * The version of Ahoy, as in `Cargo.toml`.
 */
version: string, 
/**
 * The operating system, named as Rust names it: `linux`, `macos`, `windows`.
 */
system: string, 
/**
 * The processor architecture, named as Rust names it: `x86_64`, `aarch64`.
 */
architecture: string, 
/**
 * The version of the system's web view, which draws the window.
 */
webview: string, };

export type ErrorCode = "webview_version_unknown";

export type CommandError = { 
/**
 * What went wrong, for the window to branch on.
 */
code: ErrorCode, 
/**
 * A sentence that says what to do.
 */
message: string, };
