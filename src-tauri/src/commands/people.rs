//! Signing in, and whom one knows.

use ahoy_client::desk::{Credentials, Desk, PeopleSnapshot};
use tauri::State;

use super::CommandResult;

/// Who is signed in, and whom they know.
#[tauri::command]
pub fn people(desk: State<'_, Desk>) -> PeopleSnapshot {
    desk.people()
}

/// Takes up the sign-in of the last time.
///
/// # Errors
/// `DeskError::Account`.
#[tauri::command]
pub async fn resume_sign_in(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.resume_sign_in().await?)
}

/// Signs in.
///
/// # Errors
/// `DeskError::Account`, `DeskError::Text`.
#[tauri::command]
pub async fn sign_in(desk: State<'_, Desk>, given: Credentials) -> CommandResult<()> {
    Ok(desk.sign_in(given).await?)
}

/// Makes an account; tells its recovery codes.
///
/// # Errors
/// `DeskError::Account`, `DeskError::Text`.
#[tauri::command]
pub async fn sign_up(desk: State<'_, Desk>, given: Credentials) -> CommandResult<Vec<String>> {
    Ok(desk.sign_up(given).await?)
}

/// Signs out.
///
/// # Errors
/// `DeskError::Account`.
#[tauri::command]
pub async fn sign_out(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.sign_out().await?)
}

/// Tries to reach the server now.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn reconnect(desk: State<'_, Desk>) -> CommandResult<()> {
    desk.reconnect().await;
    Ok(())
}

/// Asks someone to become a contact, or agrees.
///
/// # Errors
/// `DeskError::Signaling`.
#[tauri::command]
pub async fn add_contact(desk: State<'_, Desk>, handle: String) -> CommandResult<()> {
    Ok(desk.add_contact(&handle).await?)
}

/// Ends a contact, declines, or lifts a block.
///
/// # Errors
/// `DeskError::Signaling`.
#[tauri::command]
pub async fn remove_contact(desk: State<'_, Desk>, handle: String) -> CommandResult<()> {
    Ok(desk.remove_contact(&handle).await?)
}

/// Wants to hear no more of someone.
///
/// # Errors
/// `DeskError::Signaling`.
#[tauri::command]
pub async fn block_contact(desk: State<'_, Desk>, handle: String) -> CommandResult<()> {
    Ok(desk.block_contact(&handle).await?)
}
