//! The shell: opens the window and answers its commands.
//!
//! Nothing is decided here. A command passes on what the window sent to the desk (`ahoy_client::desk`) and maps its error
//! to a code. This is the only package that sees Tauri.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ahoy_client::Stamping;
use ahoy_client::account::AccountPlace;
use ahoy_client::desk::{Desk, DeskOptions, HostOptions, PeopleOptions};
use ahoy_client::diagnostics::{self, LogGuard, LogOptions};
use ahoy_client::host::Network;
use ahoy_signal::ClientInfo;
use anyhow::Context as _;
use tauri::{App, AppHandle, Manager as _, RunEvent, Url};
use tauri_plugin_deep_link::DeepLinkExt as _;

use crate::host::OwnServer;
use crate::notices::Notices;

pub mod commands;
pub mod events;
mod graphics;
pub mod host;
pub mod notices;
mod page;

/// The window's label in tauri.conf.json.
const WINDOW: &str = "main";
/// Set to anything, lets pictures carry their number and capture time, for tests that look at the window.
const STAMPED: &str = "AHOY_STAMP_PICTURES";
/// Names a file to keep sign-ins in, instead of the keyring, as for `ahoy-cli`.
const SESSION_FILE: &str = "AHOY_SESSION_FILE";
/// The networks in which calls that others host are looked for, and one's own announced: `all`, which is usual, or `off`.
const NEARBY: &str = "AHOY_NEARBY";
/// How long letting the devices go may take when the window closes. A driver that hangs must not keep it open.
const CLOSING: Duration = Duration::from_secs(2);

/// Opens the window and serves it until the person closes it.
///
/// # Errors
/// When the system has no display or no web view to open a window with.
pub fn run() -> anyhow::Result<()> {
    ahoy_client::memory::give_back_early();
    // Without a log there is still a program.
    let log = start_log();
    let app = tauri::Builder::default()
        // The first, so that a second start ends before it opens anything; it hands its link over to the next one.
        .plugin(tauri_plugin_single_instance::init(|app, _, _| show_window(app)))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_opener::init())
        .plugin(page::stay())
        .plugin(tauri_plugin_window_state::Builder::default().build())
        .setup(|app| {
            if let Some(window) = app.get_webview_window(WINDOW) {
                graphics::suit_machine(&window);
            }
            app.manage(Notices::default());
            open_desk(app)?;
            if let Some(window) = app.get_webview_window(WINDOW) {
                commands::files::follow_drops(&window);
            }
            follow_links(app);
            Ok(())
        })
        .invoke_handler(tauri::generate_handler![
            commands::app_info,
            commands::settings,
            commands::change_settings,
            commands::devices,
            commands::start_preview,
            commands::retry_devices,
            commands::stop_preview,
            commands::test_speaker,
            commands::calls::start_test_call,
            commands::calls::hang_up,
            commands::calls::set_muted,
            commands::calls::set_camera_on,
            commands::media_access,
            commands::people::people,
            commands::calls::calls,
            commands::people::resume_sign_in,
            commands::people::sign_in,
            commands::people::sign_up,
            commands::people::sign_out,
            commands::people::reconnect,
            commands::people::add_contact,
            commands::people::remove_contact,
            commands::people::block_contact,
            commands::calls::call,
            commands::calls::start_link_call,
            commands::calls::open_link,
            commands::calls::take_invitation,
            commands::calls::join_link,
            commands::calls::announce,
            commands::calls::start_hosted_call,
            commands::calls::answer_lobby,
            commands::calls::look_nearby,
            commands::calls::stop_looking_nearby,
            commands::calls::accept,
            commands::calls::decline,
            commands::calls::set_held,
            commands::history::conversations,
            commands::history::messages,
            commands::history::write_message,
            commands::history::send_again,
            commands::history::messages_seen,
            commands::history::recent_calls,
            commands::history::recent_calls_seen,
            commands::files::pick_files,
            commands::files::forget_picked,
            commands::files::send_picked,
            commands::files::transfers,
            commands::files::transfer_files,
            commands::files::accept_files,
            commands::files::decline_files,
            commands::files::set_transfer_paused,
            commands::files::cancel_transfer,
            commands::files::dismiss_transfer,
            commands::files::show_transfer,
            commands::files::choose_files_folder,
            commands::connection::check_connection,
            commands::connection::stop_connection_check,
        ])
        .build(tauri::generate_context!())
        .context("Ahoy could not open its window")?;
    app.run(|app, event| {
        if let RunEvent::Exit = event {
            close_desk(app);
        }
    });
    drop(log);
    Ok(())
}

/// A second start brings the first one's window to the front.
fn show_window(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(WINDOW) {
        // Each may be refused by the system; then the window stays where it is.
        let _ = window.unminimize();
        let _ = window.show();
        let _ = window.set_focus();
    }
}

fn open_desk(app: &App) -> anyhow::Result<()> {
    let folder = app.path().app_config_dir().context("this system has no place for settings")?;
    let stamping = match std::env::var_os(STAMPED) {
        Some(_) => Stamping::On,
        None => Stamping::Off,
    };
    let people = PeopleOptions { accounts: accounts(&folder), client: client_info(app) };
    let options = DeskOptions {
        settings: folder.join("settings.json"),
        origins: page::origins(),
        stamping,
        people,
        host: HostOptions { runner: Some(Arc::new(OwnServer::new(folder))), network: network() },
    };
    let desk = tauri::async_runtime::block_on(Desk::open(options, events::to_window(app.handle().clone())))?;
    app.manage(desk);
    Ok(())
}

/// Opens links that the system gives to this program: the one that it was started with, and those of later starts.
fn follow_links(app: &App) {
    let handle = app.handle().clone();
    let open = move |urls: Vec<Url>| {
        let desk = handle.state::<Desk>();
        urls.iter().for_each(|url| desk.opened_with(url.as_str()));
        show_window(&handle);
    };
    let given = app.deep_link().get_current();
    match given {
        Ok(urls) => urls.into_iter().for_each(&open),
        Err(error) => tracing::warn!(%error, "the link that Ahoy was opened with can't be read"),
    }
    app.deep_link().on_open_url(move |event| open(event.urls()));
}

/// The networks in which calls are looked for.
fn network() -> Network {
    let Some(text) = std::env::var_os(NEARBY) else { return Network::default() };
    text.to_string_lossy().parse().unwrap_or_else(|error| {
        tracing::warn!(%error, "{NEARBY} names no network: calls are looked for in none");
        Network::Off
    })
}

/// Where sign-ins are kept: in the keyring, or in a file where the person has asked for that.
fn accounts(folder: &Path) -> AccountPlace {
    match std::env::var_os(SESSION_FILE) {
        Some(path) => AccountPlace::File(path.into()),
        None => AccountPlace::Keyring {
            folder: ahoy_client::account::account_folder().unwrap_or_else(|| folder.to_owned()),
        },
    }
}

fn client_info(app: &App) -> ClientInfo {
    ClientInfo { name: "ahoy".to_owned(), version: app.package_info().version.to_string() }
}

fn close_desk(app: &AppHandle) {
    let desk = app.state::<Desk>();
    let closed = tauri::async_runtime::block_on(async { tokio::time::timeout(CLOSING, desk.close()).await });
    if closed.is_err() {
        tracing::warn!("a device was not let go in time");
    }
}

#[expect(clippy::print_stderr, reason = "there is no log to tell it to")]
fn start_log() -> Option<LogGuard> {
    let options =
        LogOptions { stderr: "warn".into(), file: "info".into(), folder: diagnostics::log_folder() };
    diagnostics::start(&options).map_err(|error| eprintln!("Ahoy keeps no log: {error}")).ok()
}
