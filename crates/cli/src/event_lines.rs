//! Events as lines: JSON for programs, words for people.

use std::collections::BTreeMap;

use ahoy_client::signaling::{RoomEvent, SignalingEvent};
use ahoy_signal::{
    CallEnd, CallMedia, Contact, ContactStanding, InboxItem, LeaveReason, Link, MessageMark, Name,
    Participant, ParticipantId, Presence, Role, RoomInfo, StateEntry, UserId,
};
use serde_json::{Value, json};

/// An event as programs read it: an object with `type`.
pub(crate) fn json(event: &SignalingEvent) -> Value {
    match event {
        SignalingEvent::Online { resumed } => json!({"type": "online", "resumed": resumed}),
        SignalingEvent::Offline { trouble, attempt, wait } => {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            json!({"type": "offline", "message": trouble.to_string(), "attempt": attempt, "retry_in_ms": wait})
        }
        SignalingEvent::GaveUp(trouble) => json!({"type": "gave_up", "message": trouble.to_string()}),
        SignalingEvent::Ended(reason) => json!({"type": "ended", "message": reason.to_string()}),
        SignalingEvent::Room { room, event } => {
            let mut object = room_json(event);
            object["room"] = json!(room);
            object
        }
        SignalingEvent::Contact(contact) => json!({"type": "contact", "contact": contact}),
        SignalingEvent::ContactGone(user) => json!({"type": "contact_gone", "user": user}),
        SignalingEvent::Inbox(entry) => json!({"type": "inbox", "entry": entry}),
        SignalingEvent::CallIncoming { call, from, media } => {
            json!({"type": "call_incoming", "call": call, "from": from, "media": media})
        }
        SignalingEvent::CallAnswered { call, peer } => {
            json!({"type": "call_answered", "call": call, "peer": peer})
        }
        SignalingEvent::CallEnded { call, reason } => {
            json!({"type": "call_ended", "call": call, "reason": reason})
        }
    }
}

fn room_json(event: &RoomEvent) -> Value {
    match event {
        RoomEvent::Waiting => json!({"type": "waiting"}),
        RoomEvent::Entered { participant, role, again, room } => {
            json!({"type": "entered", "participant": participant, "role": role, "again": again, "state": room})
        }
        RoomEvent::Came(participant) => json!({"type": "came", "participant": participant}),
        RoomEvent::Went(participant) => json!({"type": "went", "participant": participant}),
        RoomEvent::Changed(participant) => json!({"type": "changed", "participant": participant}),
        RoomEvent::State { participant, entry } => {
            json!({"type": "state", "participant": participant, "entry": entry})
        }
        RoomEvent::Chat(message) => json!({"type": "chat", "message": message}),
        RoomEvent::Settings { name, settings } => {
            json!({"type": "settings", "name": name, "settings": settings})
        }
        RoomEvent::Lobby(waiting) => json!({"type": "lobby", "waiting": waiting}),
        RoomEvent::MuteRequested { by } => json!({"type": "mute_requested", "by": by}),
        RoomEvent::Signal { from, .. } => json!({"type": "signal", "from": from}),
        RoomEvent::Left(reason) => json!({"type": "left", "reason": reason}),
        RoomEvent::Refused(refusal) => {
            json!({"type": "refused", "code": refusal.code, "message": refusal.message})
        }
    }
}

/// Tells events in words. Remembers what people are called, for events that only name their ids.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    contacts: BTreeMap<UserId, Name>,
    people: BTreeMap<ParticipantId, Name>,
}

impl Teller {
    /// Learns what contacts are called.
    pub(crate) fn knows(&mut self, contacts: &[Contact]) {
        self.contacts.extend(contacts.iter().map(|contact| (contact.user, contact.name.clone())));
    }

    /// An event as people read it: one line or several.
    pub(crate) fn words(&mut self, event: &SignalingEvent) -> String {
        match event {
            SignalingEvent::Online { resumed: true } => "* Connected again; nothing was missed.".to_owned(),
            SignalingEvent::Online { resumed: false } => "* Connected.".to_owned(),
            SignalingEvent::Offline { trouble, wait, .. } => {
                format!(
                    "* {}. Trying again in {:.1} s.",
                    ahoy_client::sentence(&trouble.to_string()),
                    wait.as_secs_f64()
                )
            }
            SignalingEvent::GaveUp(trouble) => format!("* No connection for too long: {trouble}."),
            SignalingEvent::Ended(reason) => format!("* {}.", ahoy_client::sentence(&reason.to_string())),
            SignalingEvent::Room { event, .. } => self.room_words(event),
            SignalingEvent::Contact(contact) => {
                self.contacts.insert(contact.user, contact.name.clone());
                format!("* {} ({}) {}.", contact.name, contact.handle, contact_news(contact))
            }
            SignalingEvent::ContactGone(user) => {
                let name = self.contacts.remove(user);
                format!(
                    "* {} is no contact of yours any more.",
                    name.as_ref().map_or("Somebody", Name::as_str)
                )
            }
            SignalingEvent::Inbox(entry) => self.inbox_words(&entry.item),
            SignalingEvent::CallIncoming { from, media: CallMedia::Audio, .. } => {
                format!("* {} ({}) calls you.", from.name, from.handle)
            }
            SignalingEvent::CallIncoming { from, media: CallMedia::Video, .. } => {
                format!("* {} ({}) calls you, with video.", from.name, from.handle)
            }
            SignalingEvent::CallAnswered { peer, .. } => format!("* In a call with {}.", peer.name),
            SignalingEvent::CallEnded { reason, .. } => format!("* {}", call_end_words(*reason)),
        }
    }

    /// What came into the inbox, as people read it.
    pub(crate) fn inbox_words(&self, item: &InboxItem) -> String {
        match item {
            InboxItem::Message { with, sent: false, text, .. } => format!("<{}> {text}", with.name),
            InboxItem::Message { with, sent: true, text, .. } => format!("<you to {}> {text}", with.name),
            InboxItem::Marked { with, mark, sent: true, .. } => {
                let name = self.contacts.get(with).map_or("Somebody", Name::as_str);
                match mark {
                    MessageMark::Delivered => format!("* {name} has your messages."),
                    MessageMark::Read => format!("* {name} has read your messages."),
                }
            }
            InboxItem::Marked { with, sent: false, .. } => {
                let name = self.contacts.get(with).map_or("somebody", Name::as_str);
                format!("* You have read {name}'s messages at another device.")
            }
            InboxItem::MissedCall { from, .. } => format!("* You have missed a call of {}.", from.name),
        }
    }

    /// What happened in a room, as people read it.
    pub(crate) fn room_words(&mut self, event: &RoomEvent) -> String {
        match event {
            RoomEvent::Waiting => "* Someone has to let you in; waiting.".to_owned(),
            RoomEvent::Entered { room, again, .. } => {
                self.people.extend(room.participants.iter().map(|p| (p.id, p.name.clone())));
                if *again {
                    return format!("* Back in {}.", room.name);
                }
                let mut lines = vec![format!("* You are in {}, with:", room.name)];
                lines.extend(
                    room.participants.iter().map(|participant| format!("    {}", person(participant))),
                );
                lines.extend(room.chat.iter().map(|line| format!("<{}> {}", line.name, line.text)));
                lines.join("\n")
            }
            RoomEvent::Came(participant) => {
                self.people.insert(participant.id, participant.name.clone());
                format!("* {} came.", participant.name)
            }
            RoomEvent::Went(participant) => {
                self.people.remove(&participant.id);
                format!("* {} went.", participant.name)
            }
            RoomEvent::Changed(participant) => match participant.link {
                Link::Reconnecting => format!("* {} has lost the connection.", participant.name),
                Link::Online => {
                    format!("* {} is there as {}.", participant.name, role_word(participant.role))
                }
            },
            RoomEvent::State { participant, entry } => {
                format!("* {} {}.", participant.name, state_words(entry))
            }
            RoomEvent::Chat(line) => format!("<{}> {}", line.name, line.text),
            RoomEvent::Settings { name, settings } => format!(
                "* The room is called {name} and holds {}{}{}.",
                settings.capacity,
                if settings.waiting_room { ", with waiting room" } else { "" },
                if settings.locked { ", locked" } else { "" }
            ),
            RoomEvent::Lobby(waiting) if waiting.is_empty() => "* Nobody waits.".to_owned(),
            RoomEvent::Lobby(waiting) => {
                let names: Vec<&str> = waiting.iter().map(|guest| guest.name.as_str()).collect();
                format!("* Waiting to be let in (/admit NAME): {}", names.join(", "))
            }
            RoomEvent::MuteRequested { by } => {
                let name = self.people.get(by).map_or("A moderator", Name::as_str);
                format!("* {name} asks you to mute yourself.")
            }
            // For the program, not for people.
            RoomEvent::Signal { .. } => String::new(),
            RoomEvent::Left(reason) => format!("* {}", leave_words(*reason)),
            RoomEvent::Refused(refusal) => format!("* {}", refusal.message),
        }
    }
}

/// A contact in a list.
pub(crate) fn contact_words(contact: &Contact) -> String {
    let how = match (contact.standing, contact.presence) {
        (ContactStanding::Asked, _) => "has not answered yet".to_owned(),
        (ContactStanding::Asking, _) => {
            format!("asks to be your contact: ahoy-cli contacts add {} agrees", contact.handle)
        }
        (ContactStanding::Blocked, _) => "blocked".to_owned(),
        (ContactStanding::Contact, Presence::Online) => "online".to_owned(),
        (ContactStanding::Contact, Presence::InCall) => "in a call".to_owned(),
        (ContactStanding::Contact, Presence::Offline) => "offline".to_owned(),
    };
    format!("{:<20} {:<24} {how}", contact.handle.as_str(), contact.name.as_str())
}

/// What is new about a contact.
fn contact_news(contact: &Contact) -> &'static str {
    match (contact.standing, contact.presence) {
        (ContactStanding::Asked, _) => "is asked to be your contact",
        (ContactStanding::Asking, _) => "asks to be your contact",
        (ContactStanding::Blocked, _) => "is blocked",
        (ContactStanding::Contact, Presence::Online) => "is online",
        (ContactStanding::Contact, Presence::InCall) => "is in a call",
        (ContactStanding::Contact, Presence::Offline) => "is offline",
    }
}

/// A room in a line.
pub(crate) fn room_words(room: &RoomInfo) -> String {
    let settings = room.settings;
    format!(
        "{}  {:<24} {} of {}{}{}",
        room.room,
        room.name.as_str(),
        room.people,
        settings.capacity,
        if settings.waiting_room { ", waiting room" } else { "" },
        if settings.locked { ", locked" } else { "" }
    )
}

/// Someone in a room, with what they are there.
pub(crate) fn person(participant: &Participant) -> String {
    let link = match participant.link {
        Link::Online => "",
        Link::Reconnecting => ", reconnecting",
    };
    match participant.role {
        Role::Member => format!("{}{link}", participant.name),
        Role::Guest | Role::Moderator | Role::Host => {
            format!("{} ({}{link})", participant.name, role_word(participant.role))
        }
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Guest => "guest",
        Role::Member => "member",
        Role::Moderator => "moderator",
        Role::Host => "host",
    }
}

fn state_words(entry: &StateEntry) -> &'static str {
    match entry {
        StateEntry::Muted(true) => "is muted",
        StateEntry::Muted(false) => "can be heard",
        StateEntry::CameraOff(true) => "has turned the camera off",
        StateEntry::CameraOff(false) => "has turned the camera on",
        StateEntry::Hand(true) => "raises a hand",
        StateEntry::Hand(false) => "has lowered the hand",
        StateEntry::Screen(true) => "shows a screen",
        StateEntry::Screen(false) => "shows no screen any more",
        StateEntry::Tracks(_) => "sends other pictures and sound",
    }
}

pub(crate) fn leave_words(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "You have left the room.",
        LeaveReason::Removed => "You were removed from the room.",
        LeaveReason::NotAdmitted => "You were not let in.",
        LeaveReason::RoomDeleted => "The room was deleted.",
        LeaveReason::ConnectionLost => "You were without a connection for too long.",
    }
}

fn call_end_words(reason: CallEnd) -> &'static str {
    match reason {
        CallEnd::HungUp => "The call is over.",
        CallEnd::Cancelled => "The caller gave up: a missed call.",
        CallEnd::Declined => "The call was declined.",
        CallEnd::Busy => "Busy.",
        CallEnd::TimedOut => "Nobody answered: a missed call.",
        CallEnd::AnsweredElsewhere => "Answered at another of your devices.",
        CallEnd::DeclinedElsewhere => "Declined at another of your devices.",
        CallEnd::PeerGone => "The other side is gone.",
        CallEnd::Merged => "You called each other at once: this is one call now.",
    }
}
