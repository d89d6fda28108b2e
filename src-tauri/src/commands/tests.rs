//! The window knows the types that pass here.

use std::path::Path;

use ahoy_client::desk::{
    CallEnding, CallLink, CallStage, CallSummary, CallsView, Connection, Credentials, DeskError, DeskEvent,
    Ending, Invitation, LeftOutFile, LeftOutReason, LobbyGuest, Me, MicrophoneLevel, PeopleSnapshot,
    PersonCall, PickedFiles, PreviewSnapshot, QrCode, RecentCall, RingingCall, SentFiles,
};
use ahoy_client::devices::{Camera, SoundDevice};
use ahoy_client::doctor::{
    Behaviour, CallFinding, Check, CheckResult, ClockFinding, Conclusion, ConclusionCode, DoctorReport,
    ExpectedPath, Family, FamilyFinding, Findings, NameFinding, NameOutcome, NatFinding, Progress,
    RelayFinding, RelayOutcome, RelayWay, ServerFinding, ServerOutcome, SessionFinding, SessionOutcome,
    Severity, UdpFinding,
};
use ahoy_client::history::{Conversation, Message, MessageState};
use ahoy_client::host::NearbyCall;
use ahoy_client::loopback::{
    AddressKind, AddressStats, AudioStats, CallPhase, CallSnapshot, CallStats, Cause, DeviceStanding,
    DeviceState, NetworkStats, ProblemCode, Reason, SendingStats, SentPicture, StageStats, VideoStats,
    WayStats, WaysStats,
};
use ahoy_client::settings::{Language, PictureSize, SavePower, Theme};
use ahoy_client::transfers::{FileStage, FileView, Stage, TransferView, Way};
use ahoy_signal::{CallPeer, Contact, ContactStanding, Handle, MessageId, Name, Presence, UserId};
use ts_rs::{Config, TS};

use super::*;
use crate::notices::{About, Notice};

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
        SavePower::decl(&config),
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
        SendingStats::decl(&config),
        SentPicture::decl(&config),
        Reason::decl(&config),
        Cause::decl(&config),
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
        Notice::decl(&config),
        About::decl(&config),
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
        TransferView::decl(&config),
        Way::decl(&config),
        Stage::decl(&config),
        FileView::decl(&config),
        FileStage::decl(&config),
        PickedFiles::decl(&config),
        SentFiles::decl(&config),
        LeftOutFile::decl(&config),
        LeftOutReason::decl(&config),
        DoctorReport::decl(&config),
        Conclusion::decl(&config),
        ConclusionCode::decl(&config),
        Severity::decl(&config),
        Findings::decl(&config),
        NameFinding::decl(&config),
        NameOutcome::decl(&config),
        FamilyFinding::decl(&config),
        Family::decl(&config),
        ServerFinding::decl(&config),
        ServerOutcome::decl(&config),
        ClockFinding::decl(&config),
        SessionFinding::decl(&config),
        SessionOutcome::decl(&config),
        UdpFinding::decl(&config),
        RelayFinding::decl(&config),
        RelayWay::decl(&config),
        RelayOutcome::decl(&config),
        NatFinding::decl(&config),
        Behaviour::decl(&config),
        ExpectedPath::decl(&config),
        CallFinding::decl(&config),
        Progress::decl(&config),
        Check::decl(&config),
        CheckResult::decl(&config),
    ];
    let mut text =
        String::from("// Generated from src-tauri/src/commands. To update: cargo xtask generate\n");
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
