//! What outlives the server, behind traits: rooms, contacts, accounts.

pub mod sql;

use std::collections::BTreeSet;

use ahoy_signal::{
    ContactStanding, Handle, InboxEntry, InboxItem, MessageId, MessageMark, Name, RoomId, RoomSettings,
    UserId,
};
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

/// An entry that lies in somebody's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Whose inbox.
    pub owner: UserId,
    /// The entry.
    pub entry: InboxEntry,
    /// Whether it is new; otherwise it had been delivered before.
    pub new: bool,
}

/// Inboxes. Each has the newest [`INBOX_MOST`](ahoy_signal::limits::INBOX_MOST) entries of its owner, numbered without a gap.
#[async_trait]
pub trait InboxStore: Send + Sync {
    /// What came after an entry, as much as one answer holds, and the number of the newest.
    async fn inbox(&self, owner: UserId, after: u64) -> Result<(Vec<InboxEntry>, u64), StoreError>;
    /// Puts messages and missed calls into inboxes, all or none of them. What lies there already stays as it is.
    async fn deliver(
        &self,
        at_ms: u64,
        copies: Vec<(UserId, InboxItem)>,
    ) -> Result<Vec<Delivered>, StoreError>;
    /// The entry of a message in somebody's inbox.
    async fn received(&self, reader: UserId, message: MessageId) -> Result<Option<InboxEntry>, StoreError>;
    /// Notes that a reader has the messages of a writer up to an entry of the reader's inbox, and puts `copies` into inboxes
    /// where that is news; nothing is delivered where it was known.
    async fn advance_mark(
        &self,
        reader: UserId,
        writer: UserId,
        mark: MessageMark,
        number: u64,
        at_ms: u64,
        copies: Vec<(UserId, InboxItem)>,
    ) -> Result<Vec<Delivered>, StoreError>;
}
