//! Requests that only the store can answer: lists, contacts, inboxes, new rooms. They are done beside the session, so that a slow
//! database holds up nothing else.

use std::sync::Arc;

use ahoy_signal::{ClientMessage, ErrorCode, Refusal, RoomId, RoomInfo, ServerMessage, limits};
use tokio::sync::Semaphore;

use super::Shared;
use super::contacts::Asker;
use super::mailbox::{Mailbox, News};
use super::session::machine::Request;
use crate::store::StoredRoom;

/// Requests that are done at once. With more, the next ones are refused (`unavailable`).
const AT_ONCE: usize = 64;

/// Does what only the store can answer.
#[derive(Debug)]
pub(crate) struct Desk {
    places: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Takes a request, whose answer goes into the mailbox. Whether there was a place for it.
    pub(crate) fn take(
        &self,
        shared: &Arc<Shared>,
        mailbox: &Arc<Mailbox>,
        rooms: Vec<RoomId>,
        request: Request,
    ) -> bool {
        let Ok(place) = self.places.clone().try_acquire_owned() else { return false };
        let (shared, mailbox) = (shared.clone(), mailbox.clone());
        tokio::spawn(async move {
            let answer = perform(&shared, &mailbox, rooms, request.body).await;
            let mut news = News::answer(request.re, answer.unwrap_or_else(ServerMessage::Error));
            news.room = request.room;
            mailbox.put_news(news);
            drop(place);
        });
        true
    }
}

async fn perform(
    shared: &Arc<Shared>,
    mailbox: &Mailbox,
    rooms: Vec<RoomId>,
    body: ClientMessage,
) -> Result<ServerMessage, Refusal> {
    let asker = Asker { user: mailbox.user(), session: mailbox.session() };
    match body {
        ClientMessage::Contacts {} => shared.contacts.list(asker.user).await,
        ClientMessage::ContactAdd { handle } => shared.contacts.add(asker, &handle).await,
        ClientMessage::ContactRemove { user } => shared.contacts.remove(asker, user).await,
        ClientMessage::ContactBlock { user } => shared.contacts.block(asker, user).await,
        ClientMessage::Inbox { after } => shared.inboxes.list(asker.user, after).await,
        ClientMessage::Message { message, to, text } => shared.inboxes.send(asker, message, to, text).await,
        ClientMessage::MessageMark { message, mark } => shared.inboxes.mark(asker, message, mark).await,
        ClientMessage::Rooms {} => {
            let store = &shared.room_store;
            let mut stored = store.rooms_of(asker.user).await?;
            for room in rooms {
                if !stored.iter().any(|known| known.room == room) {
                    stored.extend(store.room(room).await?);
                }
            }
            stored.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(ServerMessage::Rooms { rooms: stored.into_iter().map(|room| info(shared, room)).collect() })
        }
        ClientMessage::RoomCreate { name, settings } => {
            if shared.room_store.rooms_of(asker.user).await?.len() >= limits::ROOMS_OWNED_MOST {
                return Err(Refusal::new(ErrorCode::TooMany, "You have too many rooms: delete one first."));
            }
            let room = RoomId::from_bits(rand::random());
            let stored =
                StoredRoom { room, host: asker.user, name, settings, moderators: Default::default() };
            shared.room_store.put_room(&stored).await?;
            Ok(ServerMessage::Room { room: info(shared, stored) })
        }
        other => {
            tracing::error!(kind = other.kind(), "a request came to the wrong place");
            Err(Refusal::new(ErrorCode::Internal, "The server made a mistake: its log says more."))
        }
    }
}

fn info(shared: &Shared, room: StoredRoom) -> RoomInfo {
    let StoredRoom { room, host, name, settings, moderators: _ } = room;
    RoomInfo { room, name, host, settings, people: shared.rooms.people(room) }
}
