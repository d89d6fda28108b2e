//! What a person in a room's call reads and types beside the call itself.

use std::sync::Arc;
use std::time::Duration;

use ahoy_client::signaling::{RoomEvent, Signaling};
use ahoy_signal::{RoomId, WaitingGuest};
use tokio::sync::watch;

use crate::commands::typist::Typist;
use crate::event_lines::Teller;

/// How long what was typed before leaving may take.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// The room around a call: who comes and waits, what is said, and what is typed.
pub(super) struct InRoom {
    typist: Typist,
    teller: Teller,
    lobby: watch::Sender<Vec<WaitingGuest>>,
    /// Whether the call is on hold.
    pub(super) held: bool,
    /// Whether one was let in.
    pub(super) inside: bool,
    /// How the connections to the others are, in words.
    status: String,
}

impl InRoom {
    pub(super) fn start(signaling: Arc<Signaling>, room: RoomId) -> Self {
        let (lobby, waiting) = watch::channel(Vec::new());
        Self {
            typist: Typist::start(signaling, room, waiting),
            teller: Teller::default(),
            lobby,
            held: false,
            inside: false,
            status: String::new(),
        }
    }

    /// Takes what is typed: lines that start with `/` are commands, the others chat. Returns what to say at once.
    pub(super) fn take(&mut self, line: &str) -> Option<String> {
        self.typist.take(line.to_owned())
    }

    /// The next answer to what was typed.
    pub(super) async fn reply(&mut self) -> String {
        self.typist.reply().await
    }

    /// Takes nothing more; returns the answers that were not shown yet.
    pub(super) async fn finish(&mut self) -> Vec<String> {
        self.typist.finish(LAST_WORDS_WITHIN).await
    }

    /// Learns how the connections are. Returns it where that is news to whoever is inside.
    pub(super) fn on_status(&mut self, status: String) -> Option<String> {
        let news = self.inside && self.status != status;
        self.status = status;
        news.then(|| self.status.clone())
    }

    /// Learns what happened in the room. Returns it in words, where nothing else tells it.
    pub(super) fn on_event(&mut self, event: &RoomEvent) -> Option<String> {
        if let RoomEvent::Lobby(waiting) = event {
            self.lobby.send_replace(waiting.clone());
        }
        match event {
            // Told as the end of the call.
            RoomEvent::Left(_) | RoomEvent::Refused(_) => None,
            // Peer connections talk so, not people.
            RoomEvent::Signal { .. } => None,
            RoomEvent::Entered { .. } => {
                self.inside = true;
                let mut words = self.teller.room_words(event);
                if !self.status.is_empty() {
                    words = format!("{words}\n{}", self.status);
                }
                Some(words)
            }
            RoomEvent::Waiting
            | RoomEvent::Came(_)
            | RoomEvent::Went(_)
            | RoomEvent::Changed(_)
            | RoomEvent::State { .. }
            | RoomEvent::Chat(_)
            | RoomEvent::Settings { .. }
            | RoomEvent::Lobby(_)
            | RoomEvent::MuteRequested { .. } => Some(self.teller.room_words(event)),
        }
    }
}
