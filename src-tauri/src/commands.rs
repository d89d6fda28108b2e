//! The commands the window can call. Each passes on what the window sent and passes on what goes wrong.
//!
//! `ui/src/backend/bindings.ts` is generated from the types that pass here; a test below keeps the two equal.

use ahoy_client::Problem;
use ahoy_client::desk::{CallSummary, CallsView, Credentials, Desk, Invitation, PeopleSnapshot, RecentCall};
use ahoy_client::devices::Devices;
use ahoy_client::history::{Conversation, Message};
use ahoy_client::picture_socket::Access;
use ahoy_client::settings::{Settings, SettingsChange};
use serde::Serialize;
use tauri::{AppHandle, State};

use crate::notices::{self, CallNotice};

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
    /// The version of the system's web view, which draws the window; null where it does not tell.
    pub webview: Option<String>,
    /// Whether the window is told when devices come or go; where it is not, it asks when it matters.
    pub notices_devices: bool,
}

type CommandResult<T> = Result<T, Problem>;

/// Tells the window what it is running.
#[tauri::command]
pub fn app_info(app: AppHandle, desk: State<'_, Desk>) -> AppInfo {
    AppInfo {
        version: app.package_info().version.to_string(),
        system: std::env::consts::OS.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        webview: tauri::webview_version().ok(),
        notices_devices: desk.notices_devices(),
    }
}

/// The settings as they are.
#[tauri::command]
pub fn settings(desk: State<'_, Desk>) -> Settings {
    desk.settings()
}

/// Changes settings; the desk follows.
///
/// # Errors
/// `DeskError::Settings`.
#[tauri::command]
pub async fn change_settings(desk: State<'_, Desk>, change: SettingsChange) -> CommandResult<Settings> {
    Ok(desk.change_settings(change).await?)
}

/// The machine's devices.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn devices(desk: State<'_, Desk>) -> CommandResult<Devices> {
    Ok(desk.devices().await)
}

/// Shows the camera and listens to the microphone without a call.
///
/// # Errors
/// `DeskError::Busy` during a call.
#[tauri::command]
pub async fn start_preview(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.start_preview().await?)
}

/// Tries again to open what could not be opened.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn retry_devices(desk: State<'_, Desk>) -> CommandResult<()> {
    desk.retry_devices().await;
    Ok(())
}

/// Lets camera and microphone go.
///
/// # Errors
/// None; async commands have to return a result.
#[tauri::command]
pub async fn stop_preview(desk: State<'_, Desk>) -> CommandResult<()> {
    desk.stop_preview().await;
    Ok(())
}

/// Plays a sound at the speaker, or at the one that rings; returns when it has been heard.
///
/// # Errors
/// `DeskError::Speaker`.
#[tauri::command]
pub async fn test_speaker(desk: State<'_, Desk>, ringer: bool) -> CommandResult<()> {
    Ok(desk.test_speaker(ringer).await?)
}

/// Starts a test call.
///
/// # Errors
/// `DeskError::Busy` while there is one.
#[tauri::command]
pub async fn start_test_call(desk: State<'_, Desk>) -> CommandResult<()> {
    Ok(desk.start_test_call().await?)
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

/// What the page needs to draw one stream of pictures.
#[tauri::command]
pub fn media_access(desk: State<'_, Desk>) -> Access {
    desk.picture_access()
}

/// Who is signed in, and whom they know.
#[tauri::command]
pub fn people(desk: State<'_, Desk>) -> PeopleSnapshot {
    desk.people()
}

/// Calls with people.
#[tauri::command]
pub fn calls(desk: State<'_, Desk>) -> CallsView {
    desk.calls()
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

/// Calls a contact.
///
/// # Errors
/// `DeskError::Busy`, `DeskError::Call`.
#[tauri::command]
pub async fn call(desk: State<'_, Desk>, handle: String, video: bool) -> CommandResult<()> {
    Ok(desk.call(&handle, video).await?)
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

/// Lets the system show that somebody calls, to who does not look at the window.
#[tauri::command]
pub fn announce_call(app: AppHandle, notice: CallNotice) {
    tauri::async_runtime::spawn(notices::show(app, notice));
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

/// Puts the call on hold, or goes on.
///
/// # Errors
/// `DeskError::Call`.
#[tauri::command]
pub async fn set_held(desk: State<'_, Desk>, held: bool) -> CommandResult<()> {
    Ok(desk.set_held(held).await?)
}

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ahoy_client::desk::{
        CallEnding, CallLink, CallStage, Connection, DeskError, DeskEvent, Ending, LobbyGuest, Me,
        MicrophoneLevel, PersonCall, PreviewSnapshot, QrCode, RingingCall,
    };
    use ahoy_client::devices::{Camera, SoundDevice};
    use ahoy_client::history::MessageState;
    use ahoy_client::host::NearbyCall;
    use ahoy_client::loopback::{
        AddressKind, AddressStats, AudioStats, CallPhase, CallSnapshot, CallStats, DeviceStanding,
        DeviceState, NetworkStats, ProblemCode, StageStats, VideoStats, WayStats, WaysStats,
    };
    use ahoy_client::settings::{Language, PictureSize, Theme};
    use ahoy_signal::{CallPeer, Contact, ContactStanding, Handle, MessageId, Name, Presence, UserId};
    use ts_rs::{Config, TS};

    use super::*;

    /// The generated file's whole text.
    fn bindings() -> String {
        let config = Config::new();
        let types = [
            AppInfo::decl(&config),
            Problem::decl(&config),
            ProblemCode::decl(&config),
            Settings::decl(&config),
            SettingsChange::decl(&config),
            Language::decl(&config),
            Theme::decl(&config),
            PictureSize::decl(&config),
            Devices::decl(&config),
            Camera::decl(&config),
            SoundDevice::decl(&config),
            Access::decl(&config),
            DeskEvent::decl(&config),
            CallSnapshot::decl(&config),
            CallPhase::decl(&config),
            DeviceState::decl(&config),
            DeviceStanding::decl(&config),
            CallStats::decl(&config),
            AddressKind::decl(&config),
            AddressStats::decl(&config),
            WayStats::decl(&config),
            WaysStats::decl(&config),
            VideoStats::decl(&config),
            AudioStats::decl(&config),
            NetworkStats::decl(&config),
            StageStats::decl(&config),
            CallSummary::decl(&config),
            MicrophoneLevel::decl(&config),
            PreviewSnapshot::decl(&config),
            PeopleSnapshot::decl(&config),
            Me::decl(&config),
            Connection::decl(&config),
            Contact::decl(&config),
            ContactStanding::decl(&config),
            Presence::decl(&config),
            UserId::decl(&config),
            Handle::decl(&config),
            Name::decl(&config),
            Credentials::decl(&config),
            CallsView::decl(&config),
            PersonCall::decl(&config),
            CallLink::decl(&config),
            QrCode::decl(&config),
            Invitation::decl(&config),
            LobbyGuest::decl(&config),
            NearbyCall::decl(&config),
            CallNotice::decl(&config),
            CallStage::decl(&config),
            RingingCall::decl(&config),
            CallEnding::decl(&config),
            Ending::decl(&config),
            CallPeer::decl(&config),
            MessageId::decl(&config),
            Conversation::decl(&config),
            Message::decl(&config),
            MessageState::decl(&config),
            RecentCall::decl(&config),
        ];
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
        let busy = serde_json::to_value(Problem::from(DeskError::Busy)).expect("plain data");
        assert_eq!(busy["code"], "call_running");
        assert_eq!(busy["message"], "A test call is running: hang it up first");
    }
}
