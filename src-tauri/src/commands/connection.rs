//! What keeps calls from connecting.

use ahoy_client::desk::Desk;
use ahoy_client::doctor::DoctorReport;
use tauri::State;

use super::CommandResult;

/// Looks for what keeps calls from connecting: with this server, or with the one that one is signed in to. The event
/// `connection_check` tells the steps. Null if it was called off.
///
/// # Errors
/// `DeskError::NotSignedIn`, `DeskError::Account`.
#[tauri::command]
pub async fn check_connection(
    desk: State<'_, Desk>,
    server: Option<String>,
) -> CommandResult<Option<DoctorReport>> {
    Ok(desk.check_connection(server).await?)
}

/// Calls that off.
#[tauri::command]
pub fn stop_connection_check(desk: State<'_, Desk>) {
    desk.stop_connection_check();
}
