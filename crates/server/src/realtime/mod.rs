//! Everything that happens live: sessions and their connections, rooms, calls, contacts, presence.
//!
//! What decides is pure and lies in files named `machine.rs`; tasks around them carry it out: one for each session
//! (`session/actor.rs`), one for each room that lives (`room/actor.rs`), one for all calls (`call/switchboard.rs`), one that
//! tells presence (`herald.rs`). Into a session's [`mailbox`] everyone puts what it has to know, and nobody waits for it.

pub mod bus;
pub mod call;
mod connection;
pub mod contacts;
mod desk;
mod herald;
pub mod inbox;
pub mod limits;
mod links;
pub mod mailbox;
pub mod presence;
pub mod room;
pub mod session;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ahoy_signal::{DeviceId, SessionId, UserId};
use axum::extract::ws::WebSocket;
use tokio::sync::watch;
use tokio::time::timeout;

use self::bus::Bus;
use self::call::switchboard::{Lines, Switchboard};
use self::connection::Connection;
use self::contacts::ContactBook;
use self::desk::Desk;
use self::herald::Herald;
use self::inbox::Inboxes;
use self::limits::{Budgets, Limits};
use self::presence::Presence;
use self::room::directory::RoomDirectory;
use self::session::directory::SessionDirectory;
use crate::identity::{Identity, Sessions, TokenCheck};
use crate::store::{ContactStore, InboxStore, RoomStore};
use crate::turn::IceList;

/// How much later than now clients come back when the server stops, at most: each at another time, so that they don't all come
/// at once.
const COME_BACK_WITHIN_MS: u64 = 5_000;
/// How long stopping may take.
const STOPPED_WITHIN: Duration = Duration::from_secs(6);

/// What the realtime part stands on.
pub struct Parts {
    /// Reads access tokens.
    pub tokens: Arc<dyn TokenCheck>,
    /// Remembers rooms.
    pub rooms: Arc<dyn RoomStore>,
    /// Remembers contacts.
    pub contacts: Arc<dyn ContactStore>,
    /// Remembers inboxes.
    pub inboxes: Arc<dyn InboxStore>,
    /// Carries news to sessions: `bus::LocalBus` on one node.
    pub bus: Arc<dyn Bus>,
    /// Knows who is there: `presence::LocalPresence` on one node.
    pub presence: Arc<dyn Presence>,
    /// What helps calls whose two sides can't reach each other.
    pub ice: IceList,
    /// How much one may ask for.
    pub limits: Limits,
}

/// What all tasks share.
pub(crate) struct Shared {
    pub(crate) tokens: Arc<dyn TokenCheck>,
    pub(crate) room_store: Arc<dyn RoomStore>,
    pub(crate) contacts: Arc<ContactBook>,
    pub(crate) inboxes: Arc<Inboxes>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) presence: Arc<dyn Presence>,
    pub(crate) ice: IceList,
    pub(crate) herald: Herald,
    pub(crate) switchboard: Switchboard,
    pub(crate) rooms: Arc<RoomDirectory>,
    pub(crate) sessions: SessionDirectory,
    pub(crate) budgets: Budgets,
    pub(crate) desk: Desk,
    connections: watch::Sender<usize>,
    stopping: watch::Sender<bool>,
}

impl Shared {
    /// Counts a connection.
    pub(crate) fn connection(&self, socket: WebSocket) -> Connection {
        Connection::new(socket, &self.connections)
    }

    /// Waits until the server is stopping.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // It fails only when all of this is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// A session is over: everyone but its rooms is told.
    pub(crate) async fn leave(&self, identity: &Identity, session: SessionId) {
        self.switchboard.gone(session).await;
        if self.presence.leave(identity.user, session).is_some() && identity.guest.is_none() {
            self.herald.changed(identity.user);
        }
    }
}

/// Everything that happens live.
pub struct Realtime {
    shared: Arc<Shared>,
}

impl fmt::Debug for Realtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Realtime({} sessions)", self.shared.sessions.len())
    }
}

impl Realtime {
    /// Starts it, inside a tokio runtime.
    pub fn new(parts: Parts) -> Self {
        let Parts { tokens, rooms, contacts, inboxes, bus, presence, ice, limits } = parts;
        let contacts = Arc::new(ContactBook::new(contacts, presence.clone(), bus.clone()));
        let inboxes = Inboxes::new(inboxes, contacts.clone(), presence.clone(), bus.clone());
        let inboxes = Arc::new(inboxes);
        let book = contacts.clone();
        let herald = Herald::start(move |user| {
            let book = book.clone();
            async move {
                if let Err(refusal) = book.tell_presence(user).await {
                    tracing::warn!(%user, %refusal, "contacts were not told of somebody's presence");
                }
            }
        });
        let switchboard = Switchboard::start(Lines {
            bus: bus.clone(),
            presence: presence.clone(),
            contacts: contacts.clone(),
            inboxes: inboxes.clone(),
            herald: herald.clone(),
        });
        let shared = Shared {
            tokens,
            room_store: rooms.clone(),
            contacts,
            inboxes,
            bus,
            presence,
            ice,
            herald,
            switchboard,
            rooms: RoomDirectory::new(rooms),
            sessions: SessionDirectory::default(),
            budgets: Budgets::new(limits),
            desk: Desk::new(),
            connections: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Serves a connection from `address`. The session that it opens lives on in the same future for as long as it can be
    /// resumed; a connection that resumes one is handed to it.
    pub async fn serve(&self, socket: WebSocket, address: IpAddr) {
        connection::serve(self.shared.clone(), socket, address).await;
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.len()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Tells all clients to come back later and closes their connections. Returns when all are closed, after six seconds at
    /// most.
    pub async fn stop(&self) {
        let shared = &self.shared;
        shared.sessions.close();
        shared.stopping.send_replace(true);
        for mailbox in shared.sessions.filter(|_| true) {
            mailbox.stop(rand::random_range(0..=COME_BACK_WITHIN_MS));
        }
        let mut connections = shared.connections.subscribe();
        let closed = timeout(STOPPED_WITHIN, connections.wait_for(|count| *count == 0)).await.is_ok();
        shared.rooms.close();
        tracing::info!(closed, "the realtime part has stopped");
    }
}

impl Sessions for Realtime {
    fn sign_out_device(&self, device: DeviceId) {
        for mailbox in self.shared.sessions.filter(|mailbox| mailbox.device() == device) {
            mailbox.sign_out();
        }
    }

    fn sign_out_user(&self, user: UserId) {
        for mailbox in self.shared.sessions.filter(|mailbox| mailbox.user() == user) {
            mailbox.sign_out();
        }
    }
}
