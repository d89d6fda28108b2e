//! The rooms that live on this node.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_signal::{RequestId, RoomId, SessionId};
use tokio::sync::mpsc;

use super::RoomRequest;
use super::actor;
use crate::identity::Identity;
use crate::realtime::mailbox::Mailbox;
use crate::store::RoomStore;

/// Requests that wait for a room at most. With more, the next ones are refused (`unavailable`).
pub const COMMANDS_MOST: usize = 512;

/// What reaches a room.
#[derive(Debug)]
pub(crate) enum RoomCommand {
    /// Someone asks for something.
    Request { from: Arc<Mailbox>, identity: Arc<Identity>, re: RequestId, request: Box<RoomRequest> },
    /// A session has lost its connection.
    Lost(SessionId),
    /// A session has a connection again.
    Back(SessionId),
    /// A session is over.
    Gone(SessionId),
    /// A session can take changes again.
    CatchUp(SessionId),
}

struct Entry {
    commands: mpsc::Sender<RoomCommand>,
    people: Arc<AtomicU16>,
}

/// The rooms that live on this node.
pub(crate) struct RoomDirectory {
    store: Arc<dyn RoomStore>,
    rooms: Mutex<HashMap<RoomId, Entry>>,
}

/// A room has more to do than can wait.
#[derive(Debug)]
pub(crate) struct RoomBusy;

impl RoomDirectory {
    pub(crate) fn new(store: Arc<dyn RoomStore>) -> Arc<Self> {
        Arc::new(Self { store, rooms: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, Entry>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks something of a room, which begins to live with this if it did not.
    pub(crate) fn request(self: &Arc<Self>, room: RoomId, command: RoomCommand) -> Result<(), RoomBusy> {
        let mut rooms = self.lock();
        let entry = rooms.entry(room).or_insert_with(|| {
            let (commands, receiver) = mpsc::channel(COMMANDS_MOST);
            let people = Arc::new(AtomicU16::new(0));
            tokio::spawn(actor::run(self.clone(), room, receiver, people.clone()));
            metrics::gauge!("ahoy_rooms").increment(1.0);
            Entry { commands, people }
        });
        entry.commands.try_send(command).map_err(|_| RoomBusy)
    }

    /// Tells a room something that it must know. Waits while it has much to do. A room that does not live need not know.
    pub(crate) async fn tell(&self, room: RoomId, command: RoomCommand) {
        let commands = self.lock().get(&room).map(|entry| entry.commands.clone());
        if let Some(commands) = commands {
            // It fails where the room was released meanwhile, which it is not while the session is in it.
            let _ = commands.send(command).await;
        }
    }

    /// How many people are in a room.
    pub(crate) fn people(&self, room: RoomId) -> u16 {
        self.lock().get(&room).map_or(0, |entry| entry.people.load(Ordering::Relaxed))
    }

    /// Releases an empty room, unless something waits for it.
    pub(super) fn release(&self, room: RoomId, commands: &mut mpsc::Receiver<RoomCommand>) -> bool {
        let mut rooms = self.lock();
        if !commands.is_empty() {
            return false;
        }
        rooms.remove(&room);
        metrics::gauge!("ahoy_rooms").decrement(1.0);
        true
    }

    /// Ends all rooms: the server stops.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    pub(super) fn store(&self) -> &dyn RoomStore {
        &*self.store
    }
}
