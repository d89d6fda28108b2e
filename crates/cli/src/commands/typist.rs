//! What is typed in a room, done in order.

use std::sync::Arc;
use std::time::Duration;

use ahoy_client::signaling::{RoomView, Signaling, SignalingError};
use ahoy_signal::{ChatText, ParticipantId, Role, RoomId, RoomSettingsChange, StateEntry, WaitingGuest};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::event_lines::person;

/// Lines that wait until those before them are done: nobody types so much ahead. A line more is refused.
const LINES: usize = 64;
/// Replies that were not shown yet. When it is full, the typist waits.
const REPLIES: usize = 64;

/// Does what is typed, line by line, beside the one who shows events: a line that waits for a connection holds nothing up.
pub(super) struct Typist {
    lines: Option<mpsc::Sender<String>>,
    replies: mpsc::Receiver<String>,
    task: JoinHandle<()>,
}

impl Typist {
    pub(super) fn start(
        signaling: Arc<Signaling>,
        room: RoomId,
        waiting: watch::Receiver<Vec<WaitingGuest>>,
    ) -> Self {
        let (lines, mut typed) = mpsc::channel::<String>(LINES);
        let (reply, replies) = mpsc::channel(REPLIES);
        let task = tokio::spawn(async move {
            let desk = Desk { signaling, room, waiting };
            while let Some(line) = typed.recv().await {
                let words = match desk.act(&line).await {
                    Ok(None) => continue,
                    Ok(Some(words)) => words,
                    Err(error) => format!("* Not done: {error}"),
                };
                if reply.send(words).await.is_err() {
                    break;
                }
            }
        });
        Self { lines: Some(lines), replies, task }
    }

    /// Takes a line. Returns what to say where that is too much.
    pub(super) fn take(&mut self, line: String) -> Option<String> {
        let lines = self.lines.as_ref()?;
        lines.try_send(line).err().map(|_| "* Too much at once: this line was not taken.".to_owned())
    }

    /// The next thing to show.
    pub(super) async fn reply(&mut self) -> String {
        match self.replies.recv().await {
            Some(words) => words,
            None => std::future::pending().await,
        }
    }

    /// Does what was typed, for a while at most. Returns what is still to be shown.
    pub(super) async fn finish(&mut self, within: Duration) -> Vec<String> {
        self.lines = None;
        let mut shown = Vec::new();
        let finished = tokio::time::timeout(within, async {
            while let Some(words) = self.replies.recv().await {
                shown.push(words);
            }
        });
        if finished.await.is_err() {
            self.task.abort();
            shown.push("* Not everything was said in time.".to_owned());
        }
        shown
    }
}

/// Why a line was not done.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error(transparent)]
    Signaling(#[from] SignalingError),
    #[error(transparent)]
    Text(#[from] ahoy_signal::TextError),
    #[error("nobody here is called {0:?}")]
    Nobody(String),
    #[error("several people are called {0:?}")]
    Several(String),
    #[error("{0} is no command: /help shows them")]
    Unknown(String),
    #[error("you are not in the room")]
    Outside,
}

const HELP: &str = "* /who /mute /unmute /hand /lower /admit NAME /deny NAME /mute NAME /remove NAME /moderator NAME /member NAME /lock /unlock /leave";

struct Desk {
    signaling: Arc<Signaling>,
    room: RoomId,
    waiting: watch::Receiver<Vec<WaitingGuest>>,
}

impl Desk {
    async fn act(&self, line: &str) -> Result<Option<String>, LineError> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        if !line.starts_with('/') {
            self.signaling.chat(self.room, ChatText::new(line)?).await?;
            return Ok(None);
        }
        let (command, name) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let (signaling, room, name) = (&self.signaling, self.room, name.trim());
        match (command, name.is_empty()) {
            ("/help", _) => return Ok(Some(HELP.to_owned())),
            ("/who", _) => return self.who().await.map(Some),
            ("/mute", true) => signaling.say(room, StateEntry::Muted(true)).await?,
            ("/unmute", true) => signaling.say(room, StateEntry::Muted(false)).await?,
            ("/hand", true) => signaling.say(room, StateEntry::Hand(true)).await?,
            ("/lower", true) => signaling.say(room, StateEntry::Hand(false)).await?,
            ("/lock" | "/unlock", true) => {
                let locked = Some(command == "/lock");
                let change = RoomSettingsChange { locked, ..RoomSettingsChange::default() };
                signaling.change_room(room, change).await?;
            }
            ("/admit", false) => signaling.admit(room, self.waiting(name)?).await?,
            ("/deny", false) => signaling.remove(room, self.waiting(name)?).await?,
            ("/mute", false) => signaling.mute(room, self.present(name).await?).await?,
            ("/remove", false) => signaling.remove(room, self.present(name).await?).await?,
            ("/moderator", false) => {
                signaling.set_role(room, self.present(name).await?, Role::Moderator).await?;
            }
            ("/member", false) => signaling.set_role(room, self.present(name).await?, Role::Member).await?,
            (other, _) => return Err(LineError::Unknown(other.to_owned())),
        }
        Ok(None)
    }

    async fn view(&self) -> Result<RoomView, LineError> {
        self.signaling.room(self.room).await.ok_or(LineError::Outside)
    }

    async fn who(&self) -> Result<String, LineError> {
        let view = self.view().await?;
        let mut lines = vec![format!("* In {}:", view.room.name)];
        lines.extend(view.room.participants.iter().map(|participant| format!("    {}", person(participant))));
        let waiting = self.waiting.borrow().clone();
        lines.extend(waiting.iter().map(|guest| format!("    {} (waits)", guest.name)));
        Ok(lines.join("\n"))
    }

    fn waiting(&self, name: &str) -> Result<ParticipantId, LineError> {
        let waiting = self.waiting.borrow().clone();
        one(name, waiting.iter().map(|guest| (guest.name.as_str(), guest.id)))
    }

    async fn present(&self, name: &str) -> Result<ParticipantId, LineError> {
        let view = self.view().await?;
        one(
            name,
            view.room.participants.iter().map(|participant| (participant.name.as_str(), participant.id)),
        )
    }
}

/// The one who is called so.
fn one<'a>(
    name: &str,
    people: impl Iterator<Item = (&'a str, ParticipantId)>,
) -> Result<ParticipantId, LineError> {
    let mut named = people.filter(|(other, _)| *other == name).map(|(_, id)| id);
    match (named.next(), named.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(LineError::Nobody(name.to_owned())),
        (Some(_), Some(_)) => Err(LineError::Several(name.to_owned())),
    }
}
