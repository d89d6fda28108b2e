//! Messages and past calls.

use ahoy_client::desk::{Desk, RecentCall};
use ahoy_client::history::{Conversation, Message};
use tauri::State;

use super::CommandResult;

/// Everybody one has written with, the latest first.
///
/// # Errors
/// `DeskError::NoHistory`, `DeskError::History`, as with everything about messages and past calls.
#[tauri::command]
pub async fn conversations(desk: State<'_, Desk>) -> CommandResult<Vec<Conversation>> {
    Ok(desk.conversations().await?)
}

/// The newest messages with somebody, oldest first; before one of them, if that is given.
///
/// # Errors
/// `DeskError::NoHistory`, `DeskError::History`.
#[tauri::command]
pub async fn messages(
    desk: State<'_, Desk>,
    with: String,
    before: Option<String>,
) -> CommandResult<Vec<Message>> {
    Ok(desk.messages(&with, before.as_deref()).await?)
}

/// Writes to a contact.
///
/// # Errors
/// `DeskError::Text`, `DeskError::History`.
#[tauri::command]
pub async fn write_message(desk: State<'_, Desk>, with: String, text: String) -> CommandResult<()> {
    Ok(desk.write_message(&with, &text).await?)
}

/// Tries again to send what the server did not take.
///
/// # Errors
/// `DeskError::History`.
#[tauri::command]
pub async fn send_again(desk: State<'_, Desk>, message: String) -> CommandResult<()> {
    Ok(desk.send_again(&message).await?)
}

/// One has seen all that somebody has written.
///
/// # Errors
/// `DeskError::History`.
#[tauri::command]
pub async fn messages_seen(desk: State<'_, Desk>, with: String) -> CommandResult<()> {
    Ok(desk.messages_seen(&with).await?)
}

/// The latest calls, the newest first.
///
/// # Errors
/// `DeskError::History`.
#[tauri::command]
pub async fn recent_calls(desk: State<'_, Desk>) -> CommandResult<Vec<RecentCall>> {
    Ok(desk.recent_calls().await?)
}

/// One has looked at the missed calls.
///
/// # Errors
/// `DeskError::History`.
#[tauri::command]
pub async fn recent_calls_seen(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.recent_calls_seen().await?)
}
