//! A call that others join by a link: a room of one's own, for as long as the call lasts.

use std::collections::BTreeMap;
use std::time::Instant;

use ahoy_signal::account::NewInvite;
use ahoy_signal::{
    CallMedia, CallPeer, ChatMessage, ChatText, Handle, LeaveReason, MessageId, Name, ParticipantId, Role,
    RoomId, RoomSettings, UserId, WaitingGuest,
};
use qrcode::{Color, EcLevel, QrCode as Encoder};
use serde::Serialize;

use super::people::People;
use super::person_call::{CallEnding, CallStage, Ending, LobbyGuest, PersonCall};
use super::{CallSummary, DeskError, DeskEvent};
use crate::account::AccountError;
use crate::calls::{CallReport, LegStatus, PeerId, RoomCallSnapshot, RoomEnd};
use crate::history::{Conversation, Message, MessageState};
use crate::signaling::{RoomEvent, Signaling};

/// Oneself and whoever comes by the link.
pub(super) const CAPACITY: u16 = 2;
/// For how long a link is good, in seconds. The room, and the link with it, goes when the call ends.
pub(super) const LIFETIME_S: u32 = 24 * 60 * 60;
/// How often it can be used: whoever closes the tab by mistake comes back.
pub(super) const USES: u32 = 20;
/// White around a QR code, in modules: readers need it (ISO/IEC 18004 section 5.3.8).
const QUIET: u32 = 4;

/// A link by which others join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct CallLink {
    /// The link.
    pub url: String,
    /// The same for a camera.
    pub qr: QrCode,
}

/// A QR code (ISO/IEC 18004) to be drawn dark on white.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct QrCode {
    /// Modules on each side, with the white around them.
    pub size: u32,
    /// What is dark, as the data of an SVG path.
    pub path: String,
}

impl QrCode {
    /// The code of a link; empty where it is too long for any.
    fn of(url: &str) -> Self {
        let Ok(code) = Encoder::with_error_correction_level(url, EcLevel::L) else { return Self::default() };
        let width = code.width();
        let mut path = String::new();
        for (at, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                let (x, y) = (at % width, at / width);
                path.push_str(&format!("M{} {}h1v1h-1z", x as u32 + QUIET, y as u32 + QUIET));
            }
        }
        Self { size: width as u32 + 2 * QUIET, path }
    }
}

/// The room that one talks in.
pub(super) struct RoomTalk {
    room: RoomId,
    /// What others join it by; one's own calls have it.
    link: Option<CallLink>,
    /// Whether this computer is the server.
    hosted: bool,
    /// Whether one waits to be let in.
    waiting: bool,
    /// Those who wait, where it is for oneself to let them in.
    lobby: Vec<WaitingGuest>,
    me: Option<ParticipantId>,
    people: BTreeMap<ParticipantId, (UserId, Name)>,
    calls: Option<RoomCallSnapshot>,
    chat: Vec<ChatMessage>,
    seen: usize,
    /// Since when somebody is connected.
    talks_since: Option<Instant>,
    /// Whom one has talked with last.
    with: Option<Name>,
}

impl RoomTalk {
    /// One's own, which others join by a link.
    fn inviting(room: RoomId, url: String) -> Self {
        let qr = QrCode::of(&url);
        Self { link: Some(CallLink { url, qr }), ..Self::visiting(room) }
    }

    /// The same where this computer is the server.
    pub(super) fn hosting(room: RoomId, url: String) -> Self {
        Self { hosted: true, ..Self::inviting(room, url) }
    }

    /// Somebody else's.
    pub(super) fn visiting(room: RoomId) -> Self {
        Self {
            room,
            link: None,
            hosted: false,
            waiting: false,
            lobby: Vec::new(),
            me: None,
            people: BTreeMap::new(),
            calls: None,
            chat: Vec::new(),
            seen: 0,
            talks_since: None,
            with: None,
        }
    }

    /// Whether one has made it oneself.
    pub(super) fn is_own(&self) -> bool {
        self.link.is_some()
    }

    pub(super) fn room(&self) -> RoomId {
        self.room
    }

    /// Takes in what happens in the room. Whether a line of chat is new.
    pub(super) fn on_event(&mut self, event: &RoomEvent) -> bool {
        match event {
            RoomEvent::Entered { participant, room, .. } => {
                (self.me, self.waiting) = (Some(*participant), false);
                let people =
                    room.participants.iter().map(|known| (known.id, (known.user, known.name.clone())));
                self.people = people.collect();
            }
            RoomEvent::Came(participant) | RoomEvent::Changed(participant) => {
                self.people.insert(participant.id, (participant.user, participant.name.clone()));
            }
            RoomEvent::Chat(line) => {
                self.chat.push(line.clone());
                return true;
            }
            RoomEvent::Waiting => self.waiting = true,
            RoomEvent::Lobby(waiting) => self.lobby.clone_from(waiting),
            // Their leg may go on without the server, and is to have a name.
            RoomEvent::Went(_)
            | RoomEvent::State { .. }
            | RoomEvent::Settings { .. }
            | RoomEvent::MuteRequested { .. }
            | RoomEvent::Signal { .. }
            | RoomEvent::Left(_)
            | RoomEvent::Refused(_) => {}
        }
        false
    }

    pub(super) fn on_calls(&mut self, calls: RoomCallSnapshot) {
        self.calls = Some(calls);
        if let Some((_, name, CallStage::Connected)) = self.other() {
            self.with = Some(name);
            self.talks_since.get_or_insert_with(Instant::now);
        }
    }

    /// Whom one talks with.
    fn other(&self) -> Option<(UserId, Name, CallStage)> {
        let leg = self.calls.as_ref()?.legs.first()?;
        let PeerId::Participant(id) = leg.peer else { return None };
        let (user, name) = self.people.get(&id)?.clone();
        let stage = match leg.status {
            LegStatus::Connecting => CallStage::Connecting,
            LegStatus::Connected => CallStage::Connected,
            LegStatus::Reconnecting => CallStage::Reconnecting,
        };
        Some((user, name, stage))
    }

    /// The call as the window shows any.
    pub(super) fn call(&self) -> PersonCall {
        let leg = self.calls.as_ref().and_then(|calls| calls.legs.first());
        let media = leg.and_then(|leg| leg.media);
        let (user, name, stage) = match self.other() {
            Some((user, name, stage)) => (user.to_string(), name.to_string(), stage),
            None => {
                let stage = if self.waiting { CallStage::Waiting } else { CallStage::Calling };
                (String::new(), String::new(), stage)
            }
        };
        PersonCall {
            user,
            handle: String::new(),
            name,
            outgoing: self.link.is_some(),
            stage,
            held: self.calls.as_ref().is_some_and(|calls| calls.held),
            held_there: leg.is_some_and(|leg| leg.held),
            muted_there: media.is_some_and(|media| !media.microphone),
            camera_there: media.map(|media| media.camera),
            paused_there: media.is_some_and(|media| media.paused),
            link: self.link.clone(),
            hosted: self.hosted,
            lobby: self.lobby.iter().map(lobby_guest).collect(),
        }
    }

    fn mine(&self) -> Option<UserId> {
        self.me.and_then(|me| self.people.get(&me)).map(|(user, _)| *user)
    }

    /// What was said in the room, where that is with this user.
    fn lines_with(&self, user: UserId) -> Option<Vec<Message>> {
        self.other().filter(|(other, ..)| *other == user)?;
        Some(self.lines())
    }

    fn lines(&self) -> Vec<Message> {
        let mine = self.mine();
        let line = |line: &ChatMessage| Message {
            message: MessageId::from_bits(line.id.bits()),
            text: line.text.to_string(),
            at_ms: line.at_ms,
            state: if Some(line.user) == mine { MessageState::Sent } else { MessageState::Received },
        };
        self.chat.iter().map(line).collect()
    }

    fn conversation(&self) -> Option<Conversation> {
        let (user, name, _) = self.other()?;
        let (last, mine) = (self.lines().pop()?, self.mine());
        let unread = self.chat.iter().skip(self.seen).filter(|line| Some(line.user) != mine).count();
        // Guests have no handle; it is not shown.
        let handle = Handle::new("guest").ok()?;
        Some(Conversation { with: CallPeer { user, handle, name }, last, unread: unread as u32 })
    }

    /// What the call was worth.
    pub(super) fn summary(self, end: &RoomEnd, report: &CallReport) -> CallSummary {
        let name = self.with.map_or_else(String::new, |name| name.to_string());
        let received = Some(&report.received).filter(|received| received.frames_shown > 0);
        CallSummary {
            seconds: self.talks_since.map_or(0.0, |since| since.elapsed().as_secs_f64()),
            ok: report.ok,
            problems: report.problems.clone(),
            fps: received.map(|received| received.fps),
            freezes: received.map(|received| received.freezes),
            bitrate_kbps: Some(report.sent.video_kbps).filter(|kbps| *kbps > 0.0),
            with: Some(CallEnding { name, ..CallEnding::of_room(ending_of(end)) }),
            ..CallSummary::default()
        }
    }
}

fn lobby_guest(guest: &WaitingGuest) -> LobbyGuest {
    LobbyGuest { participant: guest.id.to_string(), name: guest.name.to_string() }
}

/// How a call in a room ended.
pub(super) fn ending_of(end: &RoomEnd) -> Ending {
    match end {
        RoomEnd::Left | RoomEnd::Out(LeaveReason::Left | LeaveReason::RoomDeleted) => Ending::HungUp,
        RoomEnd::Out(LeaveReason::Removed) => Ending::Removed,
        RoomEnd::Out(LeaveReason::NotAdmitted) => Ending::NotAdmitted,
        RoomEnd::Out(LeaveReason::ConnectionLost) => Ending::ConnectionLost,
        RoomEnd::Refused(_) => Ending::Refused,
    }
}

/// Deletes a room that was only for a call.
pub(super) async fn forget_room(signaling: Signaling, room: RoomId) {
    if let Err(error) = signaling.delete_room(room).await {
        // It is deleted before the next call by link.
        tracing::info!(%error, "the room of a call stays for now");
    }
}

impl People {
    /// Makes a call that others join by a link.
    pub(super) async fn start_link_call(&self, media: CallMedia) -> Result<(), DeskError> {
        let (signaling, signed_in) = self.signed_in().await?;
        let _beginning = self.begin_visit().await?;
        let name =
            Name::new(format!("{} (call)", signed_in.name())).unwrap_or_else(|_| signed_in.name().clone());
        let settings = RoomSettings { capacity: CAPACITY, ..RoomSettings::default() };
        // Those of calls that ended with their program.
        for left in signaling.rooms().await? {
            if left.name == name && left.settings.capacity == CAPACITY && left.people == 0 {
                forget_room(signaling.clone(), left.room).await;
            }
        }
        let room = signaling.create_room(name, settings).await?.room;
        let wanted = NewInvite { room, lifetime_s: Some(LIFETIME_S), uses: Some(USES), role: Role::Guest };
        let link = match signed_in.invite(&wanted).await {
            Ok(invite) => invite.link.ok_or(AccountError::Garbled)?,
            Err(error) => {
                forget_room(signaling, room).await;
                return Err(error.into());
            }
        };
        self.told().change(|known| known.room = Some(RoomTalk::inviting(room, link)));
        let entered = self.with_calls(|calls| async move { calls.enter(room, media).await }).await;
        let entered = entered.and_then(|entered| entered.map_err(DeskError::from));
        if entered.is_err() {
            self.told().change(|known| known.leave_room());
            forget_room(signaling, room).await;
        }
        entered
    }

    /// Lets somebody in who waits, or turns them away.
    pub(super) async fn answer_lobby(&self, participant: &str, admit: bool) -> Result<(), DeskError> {
        let participant = participant.parse().map_err(|_| DeskError::NoSuchPerson)?;
        let room = self.known().room.as_ref().map(RoomTalk::room).ok_or(DeskError::NoCall)?;
        let signaling = self.room_session().await?;
        match admit {
            true => signaling.admit(room, participant).await?,
            false => signaling.remove(room, participant).await?,
        }
        Ok(())
    }

    /// What was said in the room that one talks in, where that is with this user.
    pub(super) fn room_lines(&self, with: UserId) -> Option<Vec<Message>> {
        self.known().room.as_ref()?.lines_with(with)
    }

    pub(super) fn room_conversation(&self) -> Option<Conversation> {
        self.known().room.as_ref()?.conversation()
    }

    /// Says something in the room, where that is to this user. Whether it was.
    pub(super) async fn say_in_room(&self, to: UserId, text: &ChatText) -> Result<bool, DeskError> {
        let room = {
            let known = self.known();
            known.room.as_ref().filter(|room| room.lines_with(to).is_some()).map(RoomTalk::room)
        };
        let Some(room) = room else { return Ok(false) };
        self.room_session().await?.chat(room, text.clone()).await?;
        Ok(true)
    }

    /// One has seen what was said in the room, where that is with this user.
    pub(super) fn room_seen(&self, with: UserId) -> bool {
        let seen = {
            let mut known = self.known();
            let room = known.room.as_mut().filter(|room| room.lines_with(with).is_some());
            room.map(|room| room.seen = room.chat.len()).is_some()
        };
        if seen {
            self.tell(DeskEvent::MessagesChanged);
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_any_length_that_the_server_makes_fits_a_code() {
        let url = format!("https://call.example.org/join/r_70sawtt1qqjn1p3fpe3efyhv6z#{}", "x".repeat(700));
        let code = QrCode::of(&url);
        assert!((29..=185).contains(&code.size), "{}", code.size);
        // The finder pattern in the upper left corner, behind the white.
        assert!(code.path.starts_with("M4 4h1v1h-1z"), "{}", &code.path[..40]);
        assert_eq!(QrCode::of(&"x".repeat(4_000)), QrCode::default());
    }
}
