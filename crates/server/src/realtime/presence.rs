//! Who can be reached, at which sessions, and whether they are in a call.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ahoy_signal::{Presence as Status, SessionId, UserId};

/// Knows the sessions of every user. Each change returns the user's status if that changed, so that contacts can be told.
pub trait Presence: Send + Sync + 'static {
    /// A session is open.
    fn enter(&self, user: UserId, session: SessionId) -> Option<Status>;
    /// A session has been without a connection for longer than a moment, or has one again.
    fn reach(&self, user: UserId, session: SessionId, reachable: bool) -> Option<Status>;
    /// A session is over.
    fn leave(&self, user: UserId, session: SessionId) -> Option<Status>;
    /// A call of the user was answered, or is over.
    fn in_call(&self, user: UserId, yes: bool) -> Option<Status>;
    /// How a user can be reached now.
    fn status(&self, user: UserId) -> Status;
    /// A user's sessions, also those that wait to be resumed, oldest first.
    fn sessions(&self, user: UserId) -> Vec<SessionId>;
}

#[derive(Debug, Default)]
struct Entry {
    sessions: Vec<(SessionId, bool)>,
    in_call: bool,
}

impl Entry {
    fn status(&self) -> Status {
        match (self.sessions.iter().any(|(_, reachable)| *reachable), self.in_call) {
            (false, _) => Status::Offline,
            (true, false) => Status::Online,
            (true, true) => Status::InCall,
        }
    }
}

/// The presence of a server that is alone.
#[derive(Debug, Default)]
pub struct LocalPresence {
    users: Mutex<HashMap<UserId, Entry>>,
}

impl LocalPresence {
    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Entry>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, user: UserId, change: impl FnOnce(&mut Entry)) -> Option<Status> {
        let mut users = self.lock();
        let entry = users.entry(user).or_default();
        let before = entry.status();
        change(entry);
        let after = entry.status();
        if entry.sessions.is_empty() && !entry.in_call {
            users.remove(&user);
        }
        (before != after).then_some(after)
    }
}

impl Presence for LocalPresence {
    fn enter(&self, user: UserId, session: SessionId) -> Option<Status> {
        self.change(user, |entry| entry.sessions.push((session, true)))
    }

    fn reach(&self, user: UserId, session: SessionId, reachable: bool) -> Option<Status> {
        self.change(user, |entry| {
            for (known, now) in &mut entry.sessions {
                if *known == session {
                    *now = reachable;
                }
            }
        })
    }

    fn leave(&self, user: UserId, session: SessionId) -> Option<Status> {
        self.change(user, |entry| entry.sessions.retain(|(known, _)| *known != session))
    }

    fn in_call(&self, user: UserId, yes: bool) -> Option<Status> {
        self.change(user, |entry| entry.in_call = yes)
    }

    fn status(&self, user: UserId) -> Status {
        self.lock().get(&user).map_or(Status::Offline, Entry::status)
    }

    fn sessions(&self, user: UserId) -> Vec<SessionId> {
        let users = self.lock();
        users.get(&user).map_or_else(Vec::new, |entry| entry.sessions.iter().map(|(id, _)| *id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId::from_bits(1);
    const ONE: SessionId = SessionId::from_bits(1);
    const TWO: SessionId = SessionId::from_bits(2);

    #[test]
    fn only_changes_that_others_can_see_are_told() {
        let presence = LocalPresence::default();
        assert_eq!(presence.enter(USER, ONE), Some(Status::Online));
        assert_eq!(presence.enter(USER, TWO), None);
        assert_eq!(presence.in_call(USER, true), Some(Status::InCall));
        assert_eq!(presence.reach(USER, ONE, false), None);
        assert_eq!(presence.reach(USER, TWO, false), Some(Status::Offline));
        assert_eq!(presence.reach(USER, ONE, true), Some(Status::InCall));
        assert_eq!(presence.in_call(USER, false), Some(Status::Online));
        assert_eq!(presence.leave(USER, ONE), Some(Status::Offline));
        assert_eq!(presence.sessions(USER), [TWO]);
        assert_eq!(presence.leave(USER, TWO), None);
        assert!(presence.lock().is_empty());
    }
}
