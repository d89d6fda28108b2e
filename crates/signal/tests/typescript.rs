//! The TypeScript of the signaling protocol, for pages that speak it.

use std::path::Path;

use ahoy_signal::{
    AccessToken, CallEnd, CallId, CallMedia, CallPeer, CallSignal, CallStage, CallSummary, CandidateLine,
    ChatId, ChatMessage, ChatText, ClientEnvelope, ClientInfo, ClientMessage, Contact, ContactStanding,
    DescriptionKind, DeviceId, Epoch, ErrorCode, Handle, IceCredential, IceGeneration, IceServer, IceUrl,
    IceUsername, InboxEntry, InboxItem, LeaveReason, Link, LinkEnd, LinkSaid, MessageId, MessageMark, Name,
    Participant, ParticipantId, ParticipantState, Position, PositionedDelta, Presence, Refusal, RequestId,
    ResumeToken, Role, RoomDelta, RoomId, RoomInfo, RoomSettings, RoomSettingsChange, RoomSnapshot, Sdp,
    ServerEnvelope, ServerMessage, SessionId, StateEntry, Track, TrackKind, Tracks, UserId, WaitingGuest,
    Welcome,
};
use ts_rs::{Config, TS};

macro_rules! declarations {
    ($config:expr, $($kind:ty),* $(,)?) => { [$(<$kind>::decl($config)),*] };
}

fn types() -> String {
    let config = Config::new();
    let declarations = declarations!(
        &config,
        RequestId,
        Epoch,
        UserId,
        DeviceId,
        SessionId,
        RoomId,
        ParticipantId,
        CallId,
        LinkEnd,
        ChatId,
        Handle,
        Name,
        ChatText,
        Sdp,
        CandidateLine,
        IceGeneration,
        IceUrl,
        IceUsername,
        IceCredential,
        IceServer,
        AccessToken,
        ResumeToken,
        ClientEnvelope,
        ServerEnvelope,
        ClientMessage,
        ServerMessage,
        Welcome,
        ClientInfo,
        Position,
        Refusal,
        ErrorCode,
        Contact,
        ContactStanding,
        Presence,
        MessageId,
        InboxEntry,
        InboxItem,
        MessageMark,
        RoomInfo,
        RoomSettings,
        RoomSettingsChange,
        RoomSnapshot,
        RoomDelta,
        PositionedDelta,
        Participant,
        ParticipantState,
        Role,
        Link,
        StateEntry,
        Tracks,
        Track,
        TrackKind,
        ChatMessage,
        WaitingGuest,
        LeaveReason,
        CallSummary,
        CallPeer,
        CallMedia,
        CallStage,
        CallEnd,
        CallSignal,
        LinkSaid,
        DescriptionKind,
    );
    let mut text = String::from("// Generated from crates/signal. To update: cargo xtask generate\n");
    for declaration in declarations {
        text.push_str(&format!("\nexport {declaration}\n"));
    }
    text
}

#[test]
fn pages_know_the_same_protocol() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/backend/protocol.ts");
    if std::env::var_os("AHOY_GENERATE").is_some() {
        std::fs::write(&path, types()).expect("the types can be written");
    }
    let stored = std::fs::read_to_string(&path).expect("the types are checked in");
    assert_eq!(stored, types(), "run: cargo xtask generate");
}
