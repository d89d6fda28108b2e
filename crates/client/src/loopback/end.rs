//! The ends of a loopback call: both here or, for benches, one of them another program's.

use ahoy_media_types::{Codec, MediaClock};
use ahoy_rtc::{LocalTrack, Peer, PeerConfig, PeerEvent, PeerEvents, PeerStats, Politeness, Signal};
use tokio::sync::mpsc;

use super::session::Side;
use super::{LoopbackConfig, LoopbackError};

/// An end of the call that is another program's.
#[derive(Debug)]
pub struct OtherEnd {
    /// Takes what is said to it. While it is full the call waits: that end has stalled.
    pub tell: mpsc::Sender<Signal>,
    /// Gives what it says.
    pub said: mpsc::Receiver<Signal>,
}

/// Which ends of a call are in this program.
pub(super) enum Ends {
    Both,
    /// This one; the other is somebody else's.
    One(Side, OtherEnd),
}

/// One end of the call.
pub(super) enum End {
    Here(Box<OwnEnd>),
    Elsewhere(OtherEnd),
}

pub(super) struct OwnEnd {
    peer: Peer,
    events: PeerEvents,
    connected: bool,
}

impl End {
    pub(super) async fn here(
        role: Politeness,
        call: &LoopbackConfig,
        clock: MediaClock,
    ) -> Result<Self, LoopbackError> {
        let mut config = PeerConfig { uplink: call.uplink.clone(), ..PeerConfig::loopback(role) };
        if call.unknown_path {
            config.limits = PeerConfig::DEFAULT_LIMITS;
        }
        let (peer, events) = Peer::new(config, clock).await?;
        Ok(Self::Here(Box::new(OwnEnd { peer, events, connected: false })))
    }

    pub(super) fn is_here(&self) -> bool {
        matches!(self, End::Here(_))
    }

    /// Waits for whatever happens next. Cancel-safe.
    pub(super) async fn next_event(&mut self) -> Option<PeerEvent> {
        match self {
            End::Here(end) => end.events.recv().await,
            End::Elsewhere(end) => match end.said.recv().await {
                Some(signal) => Some(PeerEvent::Signal(signal)),
                // What becomes of the connection is noticed here.
                None => std::future::pending().await,
            },
        }
    }

    /// A track to send on; `None` where another program sends.
    pub(super) async fn add_track(&self, codec: Codec) -> Result<Option<LocalTrack>, LoopbackError> {
        match self {
            End::Here(end) => Ok(Some(end.peer.add_track(codec).await?)),
            End::Elsewhere(_) => Ok(None),
        }
    }

    /// Hands over what the other end says; gives why it can't be used.
    pub(super) async fn hear(&self, signal: Signal) -> Option<String> {
        match self {
            End::Here(end) => end.peer.handle_signal(signal).await.err().map(|error| error.to_string()),
            End::Elsewhere(end) => {
                let heard = end.tell.send(signal).await;
                heard.err().map(|_| "The program at the other end has gone.".to_owned())
            }
        }
    }

    pub(super) fn on_connected(&mut self) {
        match self {
            End::Here(end) => end.connected = true,
            End::Elsewhere(_) => {}
        }
    }

    /// Whether it has found the other one, as far as is known here.
    pub(super) fn is_connected(&self) -> bool {
        match self {
            End::Here(end) => end.connected,
            End::Elsewhere(_) => true,
        }
    }

    pub(super) async fn stats(&self) -> Option<PeerStats> {
        match self {
            End::Here(end) => Some(end.peer.stats().await),
            End::Elsewhere(_) => None,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            End::Here(end) => end.peer.close().await,
            End::Elsewhere(_) => {}
        }
    }
}
