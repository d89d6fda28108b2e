//! What is known of other people and calls with them, and how the window hears of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_signal::{Contact, UserId};
use serde::Serialize;

use super::person_call::CallsView;
use super::room::RoomTalk;
use super::{DeskEvent, DeskListener};

/// Whoever is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Me {
    /// What one is found by.
    pub handle: String,
    /// What one is called.
    pub name: String,
    /// The server's address.
    pub server: String,
}

/// How the connection to the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// Nobody is signed in.
    #[default]
    None,
    /// It is being made, or made again.
    Connecting,
    /// It stands.
    Online,
    /// It was tried for long; somebody has to ask for it.
    GaveUp,
    /// The server has signed this device out.
    SignedOut,
}

/// What is known of people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PeopleSnapshot {
    /// Whoever is signed in.
    pub me: Option<Me>,
    /// The connection to the server.
    pub connection: Connection,
    /// Everybody one knows, by name.
    pub contacts: Vec<Contact>,
}

/// What is known.
#[derive(Default)]
pub(super) struct Known {
    /// The room that one talks in.
    pub(super) room: Option<RoomTalk>,
    pub(super) contacts: BTreeMap<UserId, Contact>,
    pub(super) snapshot: PeopleSnapshot,
    /// Calls between contacts, and what is shown: those, or the room that one talks in.
    pub(super) of_contacts: CallsView,
    pub(super) calls: CallsView,
    /// Whether a call has the devices.
    pub(super) in_call: bool,
}

impl Known {
    /// One talks in no room any more.
    pub(super) fn leave_room(&mut self) -> Option<RoomTalk> {
        // The devices are another call's where there is one.
        self.in_call &= self.of_contacts.current.is_some();
        self.room.take()
    }
}

/// Changes what is known, and tells the window what has changed. Whoever listens to a server has one.
#[derive(Clone)]
pub(super) struct Teller {
    known: Arc<Mutex<Known>>,
    listener: DeskListener,
}

impl Teller {
    pub(super) fn new(listener: DeskListener) -> Self {
        Self { known: Arc::default(), listener }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: DeskEvent) {
        (self.listener)(event);
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known();
        let (before, calls) = (known.snapshot.clone(), known.calls.clone());
        let outcome = change(&mut known);
        known.calls = known.of_contacts.clone();
        if known.calls.current.is_none() {
            known.calls.current = known.room.as_ref().map(RoomTalk::call);
        }
        let mut contacts: Vec<Contact> = known.contacts.values().cloned().collect();
        contacts.sort_by(|a, b| (a.name.as_str(), &a.handle).cmp(&(b.name.as_str(), &b.handle)));
        known.snapshot.contacts = contacts;
        let news = (known.snapshot != before).then(|| DeskEvent::People(known.snapshot.clone()));
        let call_news = (known.calls != calls).then(|| DeskEvent::Calls(known.calls.clone()));
        drop(known);
        news.into_iter().chain(call_news).for_each(|event| self.tell(event));
        outcome
    }

    pub(super) fn contact(&self, contact: Contact) {
        self.change(|known| drop(known.contacts.insert(contact.user, contact)));
    }
}
