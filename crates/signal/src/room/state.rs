//! The state of a room, which the server and everyone in it keep alike.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{ChatMessage, Participant, PositionedDelta, RoomDelta, RoomSettings, StateEntry, StateKey};
use crate::envelope::Position;
use crate::id::ParticipantId;
use crate::limits;
use crate::text::Name;

/// Why a change can't be applied. The cure is to ask for what is missing (`sync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The room has begun a new life.
    #[error("the change belongs to another epoch of the room")]
    Epoch,
    /// Changes are missing before this one.
    #[error("change {expected} was expected, {found} came")]
    Gap {
        /// The number of the next change.
        expected: u64,
        /// The number of the one that came.
        found: u64,
    },
}

/// A whole room, as it is told to those who have not seen it grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct RoomSnapshot {
    /// What it is called.
    pub name: Name,
    /// How it is set up.
    pub settings: RoomSettings,
    /// Who is in it, in the order they came.
    pub participants: Vec<Participant>,
    /// What they say about themselves. What is not said is off.
    pub states: Vec<ParticipantState>,
    /// The latest lines of chat, oldest first.
    pub chat: Vec<ChatMessage>,
}

/// What a participant says about themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct ParticipantState {
    /// Who.
    pub participant: ParticipantId,
    /// Everything they have said so far.
    pub entries: Vec<StateEntry>,
}

/// A room at one place in its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    position: Position,
    name: Name,
    settings: RoomSettings,
    participants: Vec<Participant>,
    states: BTreeMap<ParticipantId, BTreeMap<StateKey, StateEntry>>,
    chat: VecDeque<ChatMessage>,
    chat_bytes: usize,
}

impl RoomState {
    /// An empty room before its first change.
    pub fn new(epoch: crate::Epoch, name: Name, settings: RoomSettings) -> Self {
        Self {
            position: Position { epoch, offset: 0 },
            name,
            settings,
            participants: Vec::new(),
            states: BTreeMap::new(),
            chat: VecDeque::new(),
            chat_bytes: 0,
        }
    }

    /// The room that a snapshot at `position` tells of.
    pub fn from_snapshot(position: Position, snapshot: RoomSnapshot) -> Self {
        let mut state = Self::new(position.epoch, snapshot.name, snapshot.settings);
        state.set_participants(snapshot.participants);
        for said in snapshot.states {
            for entry in said.entries {
                state.set_entry(said.participant, entry);
            }
        }
        for message in snapshot.chat {
            state.remember(message);
        }
        state.position = position;
        state
    }

    /// The room, for someone who has not seen it.
    pub fn snapshot(&self) -> RoomSnapshot {
        let states = self.states.iter().map(|(participant, entries)| ParticipantState {
            participant: *participant,
            entries: entries.values().cloned().collect(),
        });
        RoomSnapshot {
            name: self.name.clone(),
            settings: self.settings,
            participants: self.participants.clone(),
            states: states.collect(),
            chat: self.chat.iter().cloned().collect(),
        }
    }

    /// Applies the change with this number. Returns whether it was new: one that has been applied before changes nothing.
    ///
    /// # Errors
    /// [`SyncError`]; then nothing has changed.
    pub fn apply(&mut self, position: Position, delta: RoomDelta) -> Result<bool, SyncError> {
        if position.epoch != self.position.epoch {
            return Err(SyncError::Epoch);
        }
        let expected = self.position.offset + 1;
        if position.offset < expected {
            return Ok(false);
        }
        if position.offset > expected {
            return Err(SyncError::Gap { expected, found: position.offset });
        }
        match delta {
            RoomDelta::Roster { participants } => self.set_participants(participants),
            RoomDelta::State { participant, entry } => self.set_entry(participant, entry),
            RoomDelta::Chat { message } => self.remember(message),
            RoomDelta::Settings { name, settings } => (self.name, self.settings) = (name, settings),
        }
        self.position.offset = expected;
        Ok(true)
    }

    /// Applies several; those that have been applied before are skipped.
    ///
    /// # Errors
    /// [`SyncError`] of the first that does not fit; those before it are applied.
    pub fn apply_all(
        &mut self,
        epoch: crate::Epoch,
        deltas: impl IntoIterator<Item = PositionedDelta>,
    ) -> Result<(), SyncError> {
        for PositionedDelta { offset, delta } in deltas {
            self.apply(Position { epoch, offset }, delta)?;
        }
        Ok(())
    }

    /// How much of the history is in it.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How it is set up.
    pub fn settings(&self) -> RoomSettings {
        self.settings
    }

    /// Who is in it, in the order they came.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// Someone in it.
    pub fn participant(&self, id: ParticipantId) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.id == id)
    }

    /// What a participant says about themselves.
    pub fn entries(&self, id: ParticipantId) -> impl Iterator<Item = &StateEntry> {
        self.states.get(&id).into_iter().flat_map(BTreeMap::values)
    }

    /// The latest lines of chat, oldest first.
    pub fn chat(&self) -> impl DoubleEndedIterator<Item = &ChatMessage> {
        self.chat.iter()
    }

    /// What the state amounts to, in 16 hexadecimal digits: the 64-bit FNV-1a hash of the snapshot's JSON. It finds mistakes,
    /// not attackers.
    pub fn hash(&self) -> String {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let json = serde_json::to_vec(&self.snapshot()).unwrap_or_default();
        let hash = json.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
        format!("{hash:016x}")
    }

    fn set_participants(&mut self, participants: Vec<Participant>) {
        let here: BTreeSet<_> = participants.iter().map(|participant| participant.id).collect();
        self.states.retain(|participant, _| here.contains(participant));
        self.participants = participants;
    }

    fn set_entry(&mut self, participant: ParticipantId, entry: StateEntry) {
        if self.participant(participant).is_some() {
            self.states.entry(participant).or_default().insert(entry.key(), entry);
        }
    }

    fn remember(&mut self, message: ChatMessage) {
        self.chat_bytes += message.text.as_str().len();
        self.chat.push_back(message);
        while self.chat.len() > limits::CHAT_REMEMBERED
            || (self.chat_bytes > limits::CHAT_REMEMBERED_BYTES && self.chat.len() > 1)
        {
            let forgotten = self.chat.pop_front();
            self.chat_bytes -= forgotten.map_or(0, |message| message.text.as_str().len());
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
