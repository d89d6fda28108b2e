//! Inboxes: what reaches people whether or not they are there. What is stored is told to the sessions that are open; whoever
//! comes later asks for it.

use std::sync::Arc;

use ahoy_signal::{
    CallId, CallMedia, CallPeer, ChatText, ErrorCode, InboxItem, MessageId, MessageMark, Refusal,
    ServerMessage, SessionId, UserId,
};

use super::bus::Bus;
use super::contacts::{Asker, ContactBook};
use super::mailbox::News;
use super::presence::Presence;
use crate::clock::unix_ms;
use crate::store::{Delivered, InboxStore};

/// A call that nobody took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedCall {
    /// Who was called.
    pub to: UserId,
    /// Which call.
    pub call: CallId,
    /// Who called.
    pub from: CallPeer,
    /// With pictures or without.
    pub media: CallMedia,
}

/// All inboxes.
pub struct Inboxes {
    store: Arc<dyn InboxStore>,
    contacts: Arc<ContactBook>,
    presence: Arc<dyn Presence>,
    bus: Arc<dyn Bus>,
}

impl std::fmt::Debug for Inboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inboxes")
    }
}

impl Inboxes {
    /// In this store.
    pub fn new(
        store: Arc<dyn InboxStore>,
        contacts: Arc<ContactBook>,
        presence: Arc<dyn Presence>,
        bus: Arc<dyn Bus>,
    ) -> Self {
        Self { store, contacts, presence, bus }
    }

    /// What came after an entry.
    ///
    /// # Errors
    /// `unavailable`, as with everything here.
    pub async fn list(&self, owner: UserId, after: u64) -> Result<ServerMessage, Refusal> {
        let (entries, last) = self.store.inbox(owner, after).await?;
        Ok(ServerMessage::Inbox { entries, last })
    }

    /// Writes to a contact. Who blocks the sender does not get it, which the sender does not learn.
    ///
    /// # Errors
    /// `not_a_contact`.
    pub async fn send(
        &self,
        asker: Asker,
        message: MessageId,
        to: UserId,
        text: ChatText,
    ) -> Result<ServerMessage, Refusal> {
        let (with, reached) = self.contacts.correspondent(asker.user, to).await?;
        let mut copies =
            vec![(asker.user, InboxItem::Message { message, with, sent: true, text: text.clone() })];
        if reached {
            let with = self.contacts.peer(asker.user).await?;
            copies.push((to, InboxItem::Message { message, with, sent: false, text }));
        }
        let delivered = self.store.deliver(unix_ms(), copies).await?;
        self.tell(&delivered, Some(asker.session));
        match delivered.into_iter().next() {
            Some(Delivered { entry, .. }) => Ok(ServerMessage::InboxEntry { entry }),
            None => Err(Refusal::new(ErrorCode::Internal, "The message was not kept: send it again.")),
        }
    }

    /// Notes how far the messages of a contact have come, and tells the contact.
    ///
    /// # Errors
    /// `no_such_message`.
    pub async fn mark(
        &self,
        asker: Asker,
        message: MessageId,
        mark: MessageMark,
    ) -> Result<ServerMessage, Refusal> {
        let reader = asker.user;
        let found = self.store.received(reader, message).await?;
        let Some((number, writer)) = found.and_then(|entry| match entry.item {
            InboxItem::Message { with, sent: false, .. } => Some((entry.number, with.user)),
            InboxItem::Message { .. } | InboxItem::Marked { .. } | InboxItem::MissedCall { .. } => None,
        }) else {
            return Err(Refusal::new(ErrorCode::NoSuchMessage, "There is no such message from a contact."));
        };
        let mut copies = Vec::new();
        // Who is no contact any more learns nothing of the reader.
        if self.contacts.are_contacts(reader, writer).await? {
            copies.push((writer, InboxItem::Marked { with: reader, message, mark, sent: true }));
        }
        if mark == MessageMark::Read {
            copies.push((reader, InboxItem::Marked { with: writer, message, mark, sent: false }));
        }
        let delivered = self.store.advance_mark(reader, writer, mark, number, unix_ms(), copies).await?;
        self.tell(&delivered, None);
        Ok(ServerMessage::Done {})
    }

    /// Somebody was called in vain. Only a contact's calls are told.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn missed(&self, missed: MissedCall) -> Result<(), Refusal> {
        let MissedCall { to, call, from, media } = missed;
        if self.contacts.are_contacts(from.user, to).await? {
            let item = InboxItem::MissedCall { call, from, media };
            self.tell(&self.store.deliver(unix_ms(), vec![(to, item)]).await?, None);
        }
        Ok(())
    }

    /// Tells what is new to the owners' sessions, but for the one that gets it as an answer.
    fn tell(&self, delivered: &[Delivered], except: Option<SessionId>) {
        for Delivered { owner, entry, .. } in delivered.iter().filter(|delivered| delivered.new) {
            for session in self.presence.sessions(*owner) {
                if Some(session) != except {
                    let body = ServerMessage::InboxEntry { entry: entry.clone() };
                    self.bus.tell(session, News::event(body));
                }
            }
        }
    }
}
