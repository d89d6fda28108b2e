//! The library's callbacks turned into messages for the actor.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::error;
use webrtc::data_channel::DataChannel;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{PeerConnectionEventHandler, RTCPeerConnectionState};

use crate::interceptors::RemoteStream;

/// Messages from the library that wait for the actor. The library's task must never wait for the actor, which may be
/// waiting for it; when the queue is full the connection has been stuck for long and is closed.
pub(super) const LIBRARY_QUEUE: usize = 512;

/// What the library reports.
pub(super) enum LibraryEvent {
    NegotiationNeeded,
    Connection(RTCPeerConnectionState),
    Track(Arc<dyn TrackRemote>),
    Stream(RemoteStream),
    Channel(Arc<dyn DataChannel>),
}

/// Passes the library's callbacks on without waiting.
#[derive(Clone)]
pub(super) struct Bridge(pub(super) mpsc::Sender<LibraryEvent>);

impl Bridge {
    pub(super) fn pass(&self, event: LibraryEvent) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.0.try_send(event) {
            // The state change to "closed" can't get through either; the actor sees the queue full and ends.
            error!("the connection's task is stuck: {LIBRARY_QUEUE} events are waiting for it");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Bridge {
    async fn on_negotiation_needed(&self) {
        self.pass(LibraryEvent::NegotiationNeeded);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.pass(LibraryEvent::Connection(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.pass(LibraryEvent::Channel(channel));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        self.pass(LibraryEvent::Track(track));
    }
}
