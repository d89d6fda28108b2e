//! Calls: with people, by links, hosted here, and with oneself.

use ahoy_client::desk::{CallSummary, CallsView, Desk, Invitation};
use tauri::{AppHandle, State};

use super::CommandResult;
use crate::notices::{self, Notice};

/// Calls with people.
#[tauri::command]
pub fn calls(desk: State<'_, Desk>) -> CallsView {
    desk.calls()
}

/// Calls a contact.
///
/// # Errors
/// `DeskError::Busy`, `DeskError::Call`.
#[tauri::command]
pub async fn call(desk: State<'_, Desk>, handle: String, video: bool) -> CommandResult<()> {
    Ok(desk.call(&handle, video).await?)
}

/// Takes a call that rings.
///
/// # Errors
/// `DeskError::Busy`, `DeskError::Call`.
#[tauri::command]
pub async fn accept(desk: State<'_, Desk>, call: String, video: bool) -> CommandResult<()> {
    Ok(desk.accept(&call, video).await?)
}

/// Declines a call that rings.
///
/// # Errors
/// `DeskError::Call`.
#[tauri::command]
pub async fn decline(desk: State<'_, Desk>, call: String) -> CommandResult<()> {
    Ok(desk.decline(&call).await?)
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
/// `DeskError::NoCall`.
#[tauri::command]
pub async fn set_muted(desk: State<'_, Desk>, muted: bool) -> CommandResult<()> {
    Ok(desk.set_muted(muted).await?)
}

/// Switches the camera off or on.
///
/// # Errors
/// `DeskError::NoCall`.
#[tauri::command]
pub async fn set_camera_on(desk: State<'_, Desk>, on: bool) -> CommandResult<()> {
    Ok(desk.set_camera_on(on).await?)
}

/// Puts the call on hold, or goes on.
///
/// # Errors
/// `DeskError::Call`.
#[tauri::command]
pub async fn set_held(desk: State<'_, Desk>, held: bool) -> CommandResult<()> {
    Ok(desk.set_held(held).await?)
}

/// Starts a test call.
///
/// # Errors
/// `DeskError::Busy` while there is one.
#[tauri::command]
pub async fn start_test_call(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.start_test_call().await?)
}

/// Makes a call that others join by a link.
///
/// # Errors
/// `DeskError::Busy`, `DeskError::Call`, `DeskError::Signaling`.
#[tauri::command]
pub async fn start_link_call(desk: State<'_, Desk>, video: bool) -> CommandResult<()> {
    Ok(desk.start_link_call(video).await?)
}

/// Opens an invite link that somebody has given to the window. The event `invited` follows.
///
/// # Errors
/// `DeskError::Account`.
#[tauri::command]
pub fn open_link(desk: State<'_, Desk>, link: String) -> CommandResult<()> {
    Ok(desk.open_link(&link)?)
}

/// The link that was opened last, once.
#[tauri::command]
pub fn take_invitation(desk: State<'_, Desk>) -> Option<Invitation> {
    desk.take_invitation()
}

/// Joins somebody else's call by its link.
///
/// # Errors
/// `DeskError::Busy`, `DeskError::Call`, `DeskError::Account`.
#[tauri::command]
pub async fn join_link(desk: State<'_, Desk>, link: String, name: String, video: bool) -> CommandResult<()> {
    Ok(desk.join_link(&link, &name, video).await?)
}

/// Makes a call with this computer as the server.
///
/// # Errors
/// `DeskError::Busy`, `DeskError::Call`, `DeskError::Host`.
#[tauri::command]
pub async fn start_hosted_call(desk: State<'_, Desk>, name: String, video: bool) -> CommandResult<()> {
    Ok(desk.start_hosted_call(&name, video).await?)
}

/// Lets somebody in who waits, or turns them away.
///
/// # Errors
/// `DeskError::Signaling`.
#[tauri::command]
pub async fn answer_lobby(desk: State<'_, Desk>, participant: String, admit: bool) -> CommandResult<()> {
    Ok(desk.answer_lobby(&participant, admit).await?)
}

/// Looks for calls on the network.
///
/// # Errors
/// `DeskError::Host`.
#[tauri::command]
pub async fn look_nearby(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.look_nearby().await?)
}

/// Looks for no calls any more.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn stop_looking_nearby(desk: State<'_, Desk>) -> CommandResult<()> {
    desk.stop_looking_nearby().await;
    Ok(())
}

/// Lets the system show that somebody calls or sends files, to who does not look at the window.
#[tauri::command]
pub fn announce(app: AppHandle, notice: Notice) {
    tauri::async_runtime::spawn(notices::show(app, notice));
}
