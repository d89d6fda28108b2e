//! Who is in a room or waits for it, and what the room remembers of people.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use ahoy_signal::{
    Link, Participant, ParticipantId, Position, RequestId, Role, SessionId, UserId, WaitingGuest,
};

use crate::identity::Identity;
use crate::store::StoredRoom;

/// People whom a room remembers to have let in at most. Beyond that, those who lost their connection for long have to ask
/// again.
const KNOWN_MOST: usize = 1_000;

/// Someone in the room.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) session: SessionId,
    pub(super) identity: Arc<Identity>,
    pub(super) id: ParticipantId,
    pub(super) role: Role,
    pub(super) link: Link,
    /// Since when the session has no connection.
    pub(super) lost: Option<Instant>,
    /// Whether it has all changes up to now, and is told the next ones.
    pub(super) listens: bool,
}

impl Member {
    pub(super) fn participant(&self) -> Participant {
        Participant {
            id: self.id,
            user: self.identity.user,
            name: self.identity.name.clone(),
            role: self.role,
            link: self.link,
        }
    }
}

/// Someone who waits for the room.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) session: SessionId,
    pub(super) identity: Arc<Identity>,
    pub(super) id: ParticipantId,
    pub(super) role: Role,
    pub(super) lost: Option<Instant>,
}

impl Waiting {
    pub(super) fn guest(&self) -> WaitingGuest {
        WaitingGuest { id: self.id, name: self.identity.name.clone(), guest: self.identity.guest.is_some() }
    }
}

/// Someone who is to be told `joined` once the room has settled.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) session: SessionId,
    pub(super) re: Option<RequestId>,
    pub(super) since: Option<Position>,
}

/// What a room remembers of people for as long as it lives.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Users who were removed or not admitted.
    removed: HashSet<UserId>,
    /// Users who were let in and have not left of their own will: they come back after a lost connection.
    let_in: HashSet<UserId>,
    /// What guests were made here. Their accounts end with their invites, so nothing of them is stored.
    guest_roles: HashMap<UserId, Role>,
}

impl Remembered {
    pub(super) fn remove(&mut self, user: UserId) {
        self.let_in.remove(&user);
        self.removed.insert(user);
    }

    pub(super) fn is_removed(&self, user: UserId) -> bool {
        self.removed.contains(&user)
    }

    pub(super) fn let_in(&mut self, user: UserId) {
        if self.let_in.len() < KNOWN_MOST {
            self.let_in.insert(user);
        }
    }

    pub(super) fn was_let_in(&self, user: UserId) -> bool {
        self.let_in.contains(&user)
    }

    pub(super) fn left(&mut self, user: UserId) {
        self.let_in.remove(&user);
    }

    pub(super) fn set_guest_role(&mut self, user: UserId, role: Role) {
        self.guest_roles.insert(user, role);
    }

    /// What someone is in the room.
    pub(super) fn role(&self, room: &StoredRoom, identity: &Identity) -> Role {
        match &identity.guest {
            Some(grant) => {
                let made = self.guest_roles.get(&identity.user).copied();
                made.unwrap_or(grant.role.min(Role::Member))
            }
            None if identity.user == room.host => Role::Host,
            None if room.moderators.contains(&identity.user) => Role::Moderator,
            None => Role::Member,
        }
    }
}
