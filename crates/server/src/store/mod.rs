//! What outlives the server, behind traits: rooms, contacts, accounts.

pub mod sql;

use std::collections::BTreeSet;

use ahoy_signal::{ContactStanding, Handle, Name, RoomId, RoomSettings, UserId};
use async_trait::async_trait;

/// Why something could not be stored or read. Callers refuse what they were asked (`unavailable`) and go on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or its disk is full.
    #[error("the database can't be used: {0}")]
    Unavailable(String),
    /// What is stored there makes no sense.
    #[error("the database holds something that this version can't read: {0}")]
    Corrupt(String),
}

/// A room as it is remembered while nobody is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoom {
    /// Which.
    pub room: RoomId,
    /// Its host.
    pub host: UserId,
    /// What it is called.
    pub name: Name,
    /// How it is set up.
    pub settings: RoomSettings,
    /// Users that the host made moderators.
    pub moderators: BTreeSet<UserId>,
}

pub(crate) use sql::private_folder;

/// Rooms.
#[async_trait]
pub trait RoomStore: Send + Sync {
    /// A room, if there is one.
    async fn room(&self, room: RoomId) -> Result<Option<StoredRoom>, StoreError>;
    /// The rooms whose host a user is, in the order of their names.
    async fn rooms_of(&self, host: UserId) -> Result<Vec<StoredRoom>, StoreError>;
    /// Stores a new room or a change of one, and that it is used now.
    async fn put_room(&self, room: &StoredRoom) -> Result<(), StoreError>;
    /// Forgets a room, its moderators and its invites.
    async fn delete_room(&self, room: RoomId) -> Result<(), StoreError>;
}

/// Someone in a list of contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredContact {
    /// Who.
    pub user: UserId,
    /// What they are found by.
    pub handle: Handle,
    /// What they are called.
    pub name: Name,
    /// How the owner of the list stands to them.
    pub standing: ContactStanding,
}

/// Lists of contacts. Each user has a list of their own; the caller keeps two lists fitting each other by
/// [`put_contacts`](Self::put_contacts), which is one transaction.
#[async_trait]
pub trait ContactStore: Send + Sync {
    /// A user's list, in the order of names.
    async fn contacts(&self, owner: UserId) -> Result<Vec<StoredContact>, StoreError>;
    /// How a user stands to another; `None` where they know nothing of each other.
    async fn standing(&self, owner: UserId, other: UserId) -> Result<Option<ContactStanding>, StoreError>;
    /// Sets (or, with `None`, removes) entries `(owner, other, standing)`, all or none of them.
    async fn put_contacts(
        &self,
        entries: &[(UserId, UserId, Option<ContactStanding>)],
    ) -> Result<(), StoreError>;
    /// Finds an account by its handle.
    async fn find_handle(&self, handle: &Handle) -> Result<Option<(UserId, Name)>, StoreError>;
    /// Finds an account.
    async fn find_user(&self, user: UserId) -> Result<Option<(Handle, Name)>, StoreError>;
}
