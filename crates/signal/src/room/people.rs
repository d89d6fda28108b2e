//! Who is in a room, and what they may do there.

use serde::{Deserialize, Serialize};

use crate::id::{ParticipantId, UserId};
use crate::text::Name;

/// What someone is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Came by an invite link, without an account.
    Guest,
    /// Has an account.
    Member,
    /// Keeps order.
    Moderator,
    /// Whose room it is.
    Host,
}

/// What can be done in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Say something.
    Chat,
    /// Tell something about oneself.
    SetOwnState,
    /// Let in who waits, see who does.
    Admit,
    /// Turn away or remove someone of a lower role.
    Remove,
    /// Ask someone of a lower or the same role to mute.
    Mute,
    /// Lock and unlock, rename, change capacity and waiting room.
    ChangeSettings,
    /// Make moderators.
    SetRole,
    /// Make and revoke invite links.
    Invite,
    /// Delete the room.
    Delete,
}

impl Role {
    /// Whether someone of this role may do it.
    pub const fn may(self, action: Action) -> bool {
        match (action, self) {
            (Action::Chat | Action::SetOwnState, _) => true,
            (
                Action::Admit | Action::Remove | Action::Mute | Action::ChangeSettings | Action::Invite,
                Role::Moderator | Role::Host,
            ) => true,
            (
                Action::Admit | Action::Remove | Action::Mute | Action::ChangeSettings | Action::Invite,
                Role::Guest | Role::Member,
            ) => false,
            (Action::SetRole | Action::Delete, Role::Host) => true,
            (Action::SetRole | Action::Delete, Role::Guest | Role::Member | Role::Moderator) => false,
        }
    }

    /// Whether someone of this role may do it to someone of that one: nobody acts on whoever stands above them, and
    /// moderators don't remove each other.
    pub fn may_do_to(self, action: Action, other: Role) -> bool {
        let reaches = match action {
            Action::Remove | Action::SetRole => self > other,
            Action::Admit | Action::Mute => self >= other,
            Action::Chat | Action::SetOwnState | Action::ChangeSettings | Action::Invite | Action::Delete => {
                true
            }
        };
        reaches && self.may(action)
    }
}

/// Whether a participant's session has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It has.
    Online,
    /// It has lost it, for longer than a moment, and may come back.
    Reconnecting,
}

/// Someone in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Participant {
    /// Their place in the room.
    pub id: ParticipantId,
    /// Who they are: someone with two devices in the room is there twice.
    pub user: UserId,
    /// What they are called.
    pub name: Name,
    /// What they may do.
    pub role: Role,
    /// Whether they can be reached.
    pub link: Link,
}

/// Someone who waits for a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct WaitingGuest {
    /// Their place in the room, once they are let in.
    pub id: ParticipantId,
    /// What they are called.
    pub name: Name,
    /// Whether they have no account.
    pub guest: bool,
}

/// Why someone is no longer in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// They wanted to.
    Left,
    /// A moderator removed them.
    Removed,
    /// They waited and were turned away.
    NotAdmitted,
    /// The room was deleted.
    RoomDeleted,
    /// They were without a connection for too long: they can join again.
    ConnectionLost,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Guest, Role::Member, Role::Moderator, Role::Host];

    #[test]
    fn a_higher_role_may_all_that_a_lower_one_may() {
        let actions = [
            Action::Chat,
            Action::SetOwnState,
            Action::Admit,
            Action::Remove,
            Action::Mute,
            Action::ChangeSettings,
            Action::SetRole,
            Action::Invite,
            Action::Delete,
        ];
        for pair in ROLES.windows(2) {
            for action in actions {
                assert!(!pair[0].may(action) || pair[1].may(action), "{pair:?} {action:?}");
            }
        }
    }

    #[test]
    fn nobody_removes_the_host_and_moderators_do_not_remove_each_other() {
        for role in ROLES {
            assert!(!role.may_do_to(Action::Remove, Role::Host), "{role:?}");
        }
        assert!(!Role::Moderator.may_do_to(Action::Remove, Role::Moderator));
        assert!(Role::Moderator.may_do_to(Action::Remove, Role::Member));
        assert!(!Role::Member.may_do_to(Action::Remove, Role::Guest));
    }
}
