//! What is different between two states of a room.

use std::collections::BTreeSet;

use ahoy_signal::{ChatMessage, Participant, RoomState, StateEntry};

use super::RoomEvent;

/// Tells how the people of a room have changed.
pub(super) fn people(before: &[Participant], after: &[Participant], out: &mut Vec<RoomEvent>) {
    for old in before {
        if !after.iter().any(|new| new.id == old.id) {
            out.push(RoomEvent::Went(old.clone()));
        }
    }
    for new in after {
        match before.iter().find(|old| old.id == new.id) {
            None => out.push(RoomEvent::Came(new.clone())),
            Some(old) if old != new => out.push(RoomEvent::Changed(new.clone())),
            Some(_) => {}
        }
    }
}

/// Tells everything that is different.
pub(super) fn all(before: &RoomState, after: &RoomState, out: &mut Vec<RoomEvent>) {
    people(before.participants(), after.participants(), out);
    for participant in after.participants() {
        let known: Vec<&StateEntry> = before.entries(participant.id).collect();
        for entry in after.entries(participant.id).filter(|entry| !known.contains(entry)) {
            out.push(RoomEvent::State { participant: participant.clone(), entry: entry.clone() });
        }
    }
    if (before.name(), before.settings()) != (after.name(), after.settings()) {
        out.push(RoomEvent::Settings { name: after.name().clone(), settings: after.settings() });
    }
    out.extend(new_lines(before, after).cloned().map(RoomEvent::Chat));
}

/// The lines of chat that were not there before. Both remember only the latest, so old lines that were forgotten before are
/// not among them: lines of one epoch are in order.
fn new_lines<'a>(before: &RoomState, after: &'a RoomState) -> impl Iterator<Item = &'a ChatMessage> {
    let known: BTreeSet<_> = before.chat().map(|message| message.id).collect();
    let new = after.chat().rev().take_while(|message| !known.contains(&message.id)).count();
    after.chat().skip(after.chat().count() - new)
}
