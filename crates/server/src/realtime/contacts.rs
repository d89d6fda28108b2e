//! Contacts: who asked whom, who blocks whom, and what each of the two learns of it. Who is blocked learns nothing.

use std::sync::Arc;

use ahoy_signal::{
    CallPeer, Contact, ContactStanding as Standing, ErrorCode, Handle, Presence as Status, Refusal,
    ServerMessage, SessionId, UserId, limits,
};
use tokio::sync::Mutex;

use super::bus::Bus;
use super::mailbox::News;
use super::presence::Presence;
use crate::store::{ContactStore, StoredContact};

/// How two stand to each other: how one stands to the other, and the other to one.
pub type Standings = (Option<Standing>, Option<Standing>);

/// What adding someone makes of it: one asks, or agrees where they have asked. Who blocks one is asked in vain.
pub const fn after_add((mine, theirs): Standings) -> Standings {
    match (mine, theirs) {
        (Some(Standing::Contact), _) => (mine, theirs),
        (_, Some(Standing::Blocked)) => (Some(Standing::Asked), theirs),
        (_, Some(Standing::Asked | Standing::Contact)) => (Some(Standing::Contact), Some(Standing::Contact)),
        (_, Some(Standing::Asking) | None) => (Some(Standing::Asked), Some(Standing::Asking)),
    }
}

/// What removing someone makes of it: neither knows the other, but who blocks one still does.
pub const fn after_remove((_, theirs): Standings) -> Standings {
    match theirs {
        Some(Standing::Blocked) => (None, theirs),
        Some(Standing::Asked | Standing::Asking | Standing::Contact) | None => (None, None),
    }
}

/// What blocking someone makes of it: what they wanted of one stays as it was for them; what one wanted of them is over.
pub const fn after_block((_, theirs): Standings) -> Standings {
    match theirs {
        Some(Standing::Asking) | None => (Some(Standing::Blocked), None),
        Some(Standing::Asked | Standing::Contact | Standing::Blocked) => (Some(Standing::Blocked), theirs),
    }
}

/// Whether one sees the presence of the other.
pub const fn sees(standings: Standings) -> bool {
    matches!(standings, (Some(Standing::Contact), Some(Standing::Contact)))
}

/// Whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Who.
    pub user: UserId,
    /// At which session, which gets an answer and needs no news.
    pub session: SessionId,
}

/// Someone who may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callee {
    /// Who it is, as the caller sees them.
    pub peer: CallPeer,
    /// Their sessions.
    pub sessions: Vec<SessionId>,
}

/// All lists of contacts.
pub struct ContactBook {
    store: Arc<dyn ContactStore>,
    presence: Arc<dyn Presence>,
    bus: Arc<dyn Bus>,
    /// One change at a time: each reads two lists and writes both.
    changing: Mutex<()>,
}

impl std::fmt::Debug for ContactBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContactBook")
    }
}

impl ContactBook {
    /// With lists in this store.
    pub fn new(store: Arc<dyn ContactStore>, presence: Arc<dyn Presence>, bus: Arc<dyn Bus>) -> Self {
        Self { store, presence, bus, changing: Mutex::new(()) }
    }

    async fn standings(&self, mine: UserId, theirs: UserId) -> Result<Standings, Refusal> {
        Ok((self.store.standing(mine, theirs).await?, self.store.standing(theirs, mine).await?))
    }

    /// How a user sees someone now.
    fn contact(&self, stored: StoredContact, visible: bool) -> Contact {
        let StoredContact { user, handle, name, standing } = stored;
        let presence = if visible { self.presence.status(user) } else { Status::Offline };
        Contact { user, handle, name, standing, presence }
    }

    /// How a user who stands to another like this sees them now.
    async fn seen(&self, other: UserId, standings: Standings) -> Result<Option<Contact>, Refusal> {
        let Some(standing) = standings.0 else { return Ok(None) };
        let Some((handle, name)) = self.store.find_user(other).await? else { return Ok(None) };
        Ok(Some(self.contact(StoredContact { user: other, handle, name, standing }, sees(standings))))
    }

    fn tell(&self, user: UserId, except: Option<SessionId>, body: &ServerMessage) {
        for session in self.presence.sessions(user) {
            if Some(session) != except {
                self.bus.tell(session, News::event(body.clone()));
            }
        }
    }

    /// A user's list.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn list(&self, owner: UserId) -> Result<ServerMessage, Refusal> {
        let mut contacts = Vec::new();
        for stored in self.store.contacts(owner).await? {
            let online =
                stored.standing == Standing::Contact && self.presence.status(stored.user) != Status::Offline;
            // Only of those who are there it matters whether they block one.
            let visible = online && self.store.standing(stored.user, owner).await? == Some(Standing::Contact);
            contacts.push(self.contact(stored, visible));
        }
        Ok(ServerMessage::Contacts { contacts })
    }

    /// Asks someone, or agrees.
    ///
    /// # Errors
    /// `no_such_user`, `bad_message` for oneself, `too_many`, `unavailable`.
    pub async fn add(&self, asker: Asker, handle: &Handle) -> Result<ServerMessage, Refusal> {
        let (other, _) = self.store.find_handle(handle).await?.ok_or_else(no_such_user)?;
        if other == asker.user {
            return Err(Refusal::new(ErrorCode::BadMessage, "One is no contact of oneself."));
        }
        let _changing = self.changing.lock().await;
        let before = self.standings(asker.user, other).await?;
        if before.0.is_none() && self.store.contacts(asker.user).await?.len() >= limits::CONTACTS_MOST {
            return Err(Refusal::new(ErrorCode::TooMany, "There are too many contacts: remove some first."));
        }
        let theirs_full =
            before.1.is_none() && self.store.contacts(other).await?.len() >= limits::CONTACTS_MOST;
        if theirs_full {
            return Err(Refusal::new(ErrorCode::TooMany, "They have too many contacts to get another."));
        }
        self.change(asker, other, before, after_add(before)).await?;
        self.answer(asker, other).await
    }

    /// Removes someone, declines, or lifts a block.
    ///
    /// # Errors
    /// `no_such_user`, `unavailable`.
    pub async fn remove(&self, asker: Asker, other: UserId) -> Result<ServerMessage, Refusal> {
        let _changing = self.changing.lock().await;
        let before = self.standings(asker.user, other).await?;
        if before.0.is_none() {
            return Err(no_such_user());
        }
        self.change(asker, other, before, after_remove(before)).await?;
        Ok(ServerMessage::Done {})
    }

    /// Blocks someone.
    ///
    /// # Errors
    /// `no_such_user`, `bad_message` for oneself, `unavailable`.
    pub async fn block(&self, asker: Asker, other: UserId) -> Result<ServerMessage, Refusal> {
        if other == asker.user {
            return Err(Refusal::new(ErrorCode::BadMessage, "One can't block oneself."));
        }
        let _changing = self.changing.lock().await;
        if self.store.find_user(other).await?.is_none() {
            return Err(no_such_user());
        }
        let before = self.standings(asker.user, other).await?;
        let full =
            before.0.is_none() && self.store.contacts(asker.user).await?.len() >= limits::CONTACTS_MOST;
        if full {
            return Err(Refusal::new(ErrorCode::TooMany, "There are too many contacts: remove some first."));
        }
        self.change(asker, other, before, after_block(before)).await?;
        self.answer(asker, other).await
    }

    async fn answer(&self, asker: Asker, other: UserId) -> Result<ServerMessage, Refusal> {
        let standings = self.standings(asker.user, other).await?;
        let contact = self.seen(other, standings).await?.ok_or_else(no_such_user)?;
        Ok(ServerMessage::Contact { contact })
    }

    /// Stores a change and tells both of it: the asker's other sessions, and the other one where they may know.
    async fn change(
        &self,
        asker: Asker,
        other: UserId,
        before: Standings,
        after: Standings,
    ) -> Result<(), Refusal> {
        if before == after {
            return Ok(());
        }
        let me = asker.user;
        self.store.put_contacts(&[(me, other, after.0), (other, me, after.1)]).await?;
        if before.0 != after.0 {
            let body = match self.seen(other, after).await? {
                Some(contact) => ServerMessage::Contact { contact },
                None => ServerMessage::ContactGone { user: other },
            };
            self.tell(me, Some(asker.session), &body);
        }
        let swap = |(mine, theirs): Standings| (theirs, mine);
        let learns = before.1 != after.1
            || (sees(before) && !sees(after) && self.presence.status(me) != Status::Offline);
        if learns && after.1 != Some(Standing::Blocked) {
            let body = match self.seen(me, swap(after)).await? {
                Some(contact) => ServerMessage::Contact { contact },
                None => ServerMessage::ContactGone { user: me },
            };
            self.tell(other, None, &body);
        }
        Ok(())
    }

    /// Tells those who may see it, and are there, how a user can be reached now.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn tell_presence(&self, user: UserId) -> Result<(), Refusal> {
        let mut me = None;
        for stored in self.store.contacts(user).await? {
            let other = stored.user;
            if stored.standing != Standing::Contact
                || self.presence.sessions(other).is_empty()
                || self.store.standing(other, user).await? != Some(Standing::Contact)
            {
                continue;
            }
            if me.is_none() {
                me = self.seen(user, (Some(Standing::Contact), Some(Standing::Contact))).await?;
            }
            if let Some(contact) = me.clone() {
                self.tell(other, None, &ServerMessage::Contact { contact });
            }
        }
        Ok(())
    }

    /// Whether two are contacts of each other, so that each may be told of the other.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn are_contacts(&self, one: UserId, other: UserId) -> Result<bool, Refusal> {
        Ok(sees(self.standings(one, other).await?))
    }

    /// A user as others see them.
    ///
    /// # Errors
    /// `no_such_user`; `unavailable`.
    pub async fn peer(&self, user: UserId) -> Result<CallPeer, Refusal> {
        let (handle, name) = self.store.find_user(user).await?.ok_or_else(no_such_user)?;
        Ok(CallPeer { user, handle, name })
    }

    /// Whom a message would go to, and whether it would reach them: who blocks the sender is not reached.
    ///
    /// # Errors
    /// `not_a_contact`, `no_such_user`; `unavailable`.
    pub async fn correspondent(&self, sender: UserId, receiver: UserId) -> Result<(CallPeer, bool), Refusal> {
        let standings = self.standings(sender, receiver).await?;
        if standings.0 != Some(Standing::Contact) {
            return Err(Refusal::new(ErrorCode::NotAContact, "Only contacts can be written to."));
        }
        Ok((self.peer(receiver).await?, sees(standings)))
    }

    /// Whom a call would ring.
    ///
    /// # Errors
    /// `not_a_contact`; `offline`, also for who is blocked; `unavailable`.
    pub async fn callee(&self, caller: UserId, callee: UserId) -> Result<Callee, Refusal> {
        let offline = || Refusal::new(ErrorCode::Offline, "None of their devices is connected.");
        match self.standings(caller, callee).await? {
            (Some(Standing::Contact), Some(Standing::Contact)) => {}
            (Some(Standing::Contact), _) => return Err(offline()),
            (Some(Standing::Asked | Standing::Asking | Standing::Blocked) | None, _) => {
                return Err(Refusal::new(ErrorCode::NotAContact, "Only contacts can be called."));
            }
        }
        if self.presence.status(callee) == Status::Offline {
            return Err(offline());
        }
        let peer = self.peer(callee).await?;
        let sessions = self.presence.sessions(callee);
        Ok(Callee { peer, sessions })
    }
}

fn no_such_user() -> Refusal {
    Refusal::new(ErrorCode::NoSuchUser, "There is no such user, or they don't want to be found.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Option<Standing>; 5] = [
        None,
        Some(Standing::Asked),
        Some(Standing::Asking),
        Some(Standing::Contact),
        Some(Standing::Blocked),
    ];

    fn every_pair() -> impl Iterator<Item = Standings> {
        ALL.into_iter().flat_map(|mine| ALL.into_iter().map(move |theirs| (mine, theirs)))
    }

    #[test]
    fn asking_and_agreeing_makes_contacts() {
        let asked = after_add((None, None));
        assert_eq!(asked, (Some(Standing::Asked), Some(Standing::Asking)));
        let agreed = after_add((asked.1, asked.0));
        assert!(sees(agreed));
        assert_eq!(after_remove(agreed), (None, None));
    }

    #[test]
    fn nothing_that_others_do_lifts_a_block() {
        for theirs in ALL {
            let blocked = after_block((None, theirs));
            for after in [after_add, after_remove] {
                let (_, mine) = after((blocked.1, blocked.0));
                assert_eq!(mine, Some(Standing::Blocked), "{theirs:?}");
            }
        }
    }

    #[test]
    fn who_is_blocked_keeps_what_they_had_but_sees_nothing() {
        for pair in every_pair() {
            let after = after_block(pair);
            assert_eq!(after.0, Some(Standing::Blocked));
            assert!(!sees(after));
            if pair.1 == Some(Standing::Contact) {
                assert_eq!(after.1, pair.1);
            }
        }
    }

    #[test]
    fn adding_twice_is_adding_once() {
        for pair in every_pair() {
            assert_eq!(after_add(after_add(pair)), after_add(pair), "{pair:?}");
        }
    }
}
