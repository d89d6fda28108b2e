//! Everything that happens live: sessions and their connections, rooms, calls, contacts, presence.

pub mod bus;
pub mod limits;
pub mod mailbox;
pub mod presence;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ahoy_signal::{DeviceId, UserId};
use axum::extract::ws::WebSocket;

use self::bus::Bus;
use self::limits::Limits;
use self::presence::Presence;
use crate::identity::{Sessions, TokenCheck};
use crate::store::{ContactStore, RoomStore};

/// What the realtime part stands on.
pub struct Parts {
    /// Reads access tokens.
    pub tokens: Arc<dyn TokenCheck>,
    /// Remembers rooms.
    pub rooms: Arc<dyn RoomStore>,
    /// Remembers contacts.
    pub contacts: Arc<dyn ContactStore>,
    /// Carries news to sessions: `bus::LocalBus` on one node.
    pub bus: Arc<dyn Bus>,
    /// Knows who is there: `presence::LocalPresence` on one node.
    pub presence: Arc<dyn Presence>,
    /// How much one may ask for.
    pub limits: Limits,
}

/// Everything that happens live.
pub struct Realtime {
    parts: Parts,
}

impl fmt::Debug for Realtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Realtime")
    }
}

impl Realtime {
    /// Starts it, inside a tokio runtime.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts })
    }

    /// Serves a connection for as long as its session has one, and the session until it is over.
    pub async fn serve(self: Arc<Self>, socket: WebSocket, address: IpAddr) {
        drop((socket, address, &self.parts.limits));
    }

    /// Tells all clients to come back later and closes their connections. Returns when all are closed, within seconds.
    pub async fn stop(&self) {}
}

impl Sessions for Realtime {
    fn sign_out_device(&self, _device: DeviceId) {}

    fn sign_out_user(&self, _user: UserId) {}
}
