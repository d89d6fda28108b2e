//! Files to and from contacts. Paths come from dialogs of the system and from what is dropped on the window, never from the page.

use std::path::PathBuf;

use ahoy_client::desk::{Desk, SentFiles};
use ahoy_client::settings::{Settings, SettingsChange};
use ahoy_client::transfers::{FileView, TransferView};
use ahoy_client::{Problem, ProblemCode};
use tauri::{AppHandle, DragDropEvent, Manager as _, State, WebviewWindow, WindowEvent};
use tauri_plugin_dialog::{DialogExt as _, FileDialogBuilder, FilePath};
use tauri_plugin_opener::OpenerExt as _;
use tokio::sync::oneshot;

use super::CommandResult;

/// What a dialog of the system is asked for.
enum Wanted {
    Files,
    /// Folders to send.
    Folders,
    /// One that files go to.
    Folder,
}

/// Asks the person for paths; there are none where they think better of it.
async fn asked(window: &WebviewWindow, wanted: Wanted, begin: Option<PathBuf>) -> Vec<PathBuf> {
    let (answer, told) = oneshot::channel();
    let mut dialog: FileDialogBuilder<_> = window.dialog().file().set_parent(window);
    if let Some(folder) = begin {
        dialog = dialog.set_directory(folder);
    }
    // Nobody waits for the answer any more when the program ends.
    match wanted {
        Wanted::Files => dialog.pick_files(move |picked| drop(answer.send(picked.unwrap_or_default()))),
        Wanted::Folders => dialog.pick_folders(move |picked| drop(answer.send(picked.unwrap_or_default()))),
        Wanted::Folder => dialog.pick_folder(move |picked| drop(answer.send(picked.into_iter().collect()))),
    }
    let picked: Vec<FilePath> = told.await.unwrap_or_default();
    // Systems that name files otherwise are none of these.
    picked.into_iter().filter_map(|path| path.into_path().ok()).collect()
}

/// Follows what is dragged over the window and dropped on it.
pub(crate) fn follow_drops(window: &WebviewWindow) {
    let app = window.app_handle().clone();
    window.on_window_event(move |event| {
        let WindowEvent::DragDrop(event) = event else { return };
        let desk = app.state::<Desk>();
        match event {
            DragDropEvent::Enter { paths, .. } => desk.files_dragged(!paths.is_empty()),
            DragDropEvent::Drop { paths, .. } => {
                desk.files_dragged(false);
                desk.pick_files(paths.clone());
            }
            DragDropEvent::Leave => desk.files_dragged(false),
            _ => {}
        }
    });
}

/// Asks for files to send, or folders; the event `files_picked` follows where some are chosen.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn pick_files(window: WebviewWindow, desk: State<'_, Desk>, folders: bool) -> CommandResult<()> {
    let wanted = if folders { Wanted::Folders } else { Wanted::Files };
    desk.pick_files(asked(&window, wanted, None).await);
    Ok(())
}

/// What was picked is not sent.
#[tauri::command]
pub fn forget_picked(desk: State<'_, Desk>) {
    desk.forget_picked();
}

/// Offers what was picked to a contact.
///
/// # Errors
/// `DeskError::NothingPicked`, `DeskError::Scan`, `DeskError::NoSuchPerson`.
#[tauri::command]
pub async fn send_picked(desk: State<'_, Desk>, user: String) -> CommandResult<SentFiles> {
    Ok(desk.send_picked(&user).await?)
}

/// All transfers.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn transfers(desk: State<'_, Desk>) -> CommandResult<Vec<TransferView>> {
    Ok(desk.transfers().await)
}

/// The files of a transfer.
///
/// # Errors
/// `DeskError::NoTransfer`.
#[tauri::command]
pub async fn transfer_files(desk: State<'_, Desk>, id: String) -> CommandResult<Vec<FileView>> {
    Ok(desk.transfer_files(&id).await?)
}

/// Takes files that are offered; where it is asked for, into a folder that the person chooses first. Tells whether they did.
///
/// # Errors
/// `DeskError::NoTransfer`, `DeskError::NoFolder`.
#[tauri::command]
pub async fn accept_files(
    window: WebviewWindow,
    desk: State<'_, Desk>,
    id: String,
    files: Option<Vec<u32>>,
    elsewhere: bool,
) -> CommandResult<bool> {
    let mut folder = None;
    if elsewhere {
        folder = asked(&window, Wanted::Folder, desk.files_folder()).await.pop();
        if folder.is_none() {
            return Ok(false);
        }
    }
    desk.accept_files(&id, files, folder).await?;
    Ok(true)
}

/// Does not take files that are offered.
///
/// # Errors
/// `DeskError::NoTransfer`.
#[tauri::command]
pub async fn decline_files(desk: State<'_, Desk>, id: String) -> CommandResult<()> {
    Ok(desk.decline_files(&id).await?)
}

/// Stops a transfer, or one file of it, for now, or has it go on.
///
/// # Errors
/// `DeskError::NoTransfer`.
#[tauri::command]
pub async fn set_transfer_paused(
    desk: State<'_, Desk>,
    id: String,
    file: Option<u32>,
    paused: bool,
) -> CommandResult<()> {
    Ok(desk.set_transfer_paused(&id, file, paused).await?)
}

/// Stops a transfer, or one file of it, for good.
///
/// # Errors
/// `DeskError::NoTransfer`.
#[tauri::command]
pub async fn cancel_transfer(desk: State<'_, Desk>, id: String, file: Option<u32>) -> CommandResult<()> {
    Ok(desk.cancel_transfer(&id, file).await?)
}

/// Shows a transfer that is over no longer.
///
/// # Errors
/// `DeskError::NoTransfer`.
#[tauri::command]
pub async fn dismiss_transfer(desk: State<'_, Desk>, id: String) -> CommandResult<()> {
    Ok(desk.dismiss_transfer(&id).await?)
}

/// Opens the folder that a transfer was taken to.
///
/// # Errors
/// `DeskError::NoTransfer`; a folder that the system can't show.
#[tauri::command]
pub async fn show_transfer(app: AppHandle, desk: State<'_, Desk>, id: String) -> CommandResult<()> {
    let folder = desk.folder_of(&id).await?;
    // Anything else would be opened by whatever the system has for it.
    if !folder.is_dir() {
        return Err(Problem::new(ProblemCode::FolderMissing, "the folder is not there any more"));
    }
    app.opener()
        .open_path(folder.to_string_lossy(), None::<&str>)
        .map_err(|error| Problem::new(ProblemCode::FolderMissing, error.to_string()))
}

/// Asks for the folder that files go to. The settings are as they are then.
///
/// # Errors
/// `DeskError::Settings`.
#[tauri::command]
pub async fn choose_files_folder(window: WebviewWindow, desk: State<'_, Desk>) -> CommandResult<Settings> {
    let Some(folder) = asked(&window, Wanted::Folder, desk.files_folder()).await.pop() else {
        return Ok(desk.settings());
    };
    // Settings are text; a folder whose name is none can't be kept there.
    let folder = folder.into_os_string().into_string().map_err(|_| {
        Problem::new(ProblemCode::FolderMissing, "the folder's name is not Unicode: choose another one")
    })?;
    let change = SettingsChange { files_folder: Some(Some(folder)), ..SettingsChange::default() };
    Ok(desk.change_settings(change).await?)
}
