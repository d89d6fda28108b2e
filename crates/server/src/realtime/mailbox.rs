//! What waits to be handled by a session: bounded, and never in the way of whoever puts it there.
//!
//! Changes of rooms are droppable: when too many wait, because the connection takes them too slowly, those of a room give way
//! to a note that the session is behind, and one snapshot catches up. Answers and news are not: when too many of them wait,
//! the session can't be served any more.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_signal::{DeviceId, Position, RequestId, ResumeToken, RoomId, ServerMessage, SessionId, UserId};
use axum::extract::ws::{Utf8Bytes, WebSocket};
use tokio::sync::Notify;

/// Changes of rooms that wait at most, in number. With more, a room's changes give way to a snapshot.
pub const DELTAS_MOST: usize = 256;
/// The same in bytes.
pub const DELTA_BYTES_MOST: usize = 256 * 1024;
/// Answers and news that wait at most. With more, the session ends: it could not be told everything.
pub const NEWS_MOST: usize = 512;
/// Connections that wait to take a session over. With more, the newest is refused.
const CONNECTIONS_MOST: usize = 4;
/// A queue that has grown beyond this is given back when it is empty: most sessions are idle for most of the time.
const KEPT_CAPACITY: usize = 32;

/// Whether an answer changes that a session is in a room, or waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does not.
    Same,
    /// The session is not in the room any more, or did not get in.
    Out,
}

/// An answer to a session, or news for it alone.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The request that it answers.
    pub re: Option<RequestId>,
    /// The room that it is about.
    pub room: Option<RoomId>,
    /// Where in the room's history it stands.
    pub pos: Option<Position>,
    /// What it says.
    pub body: ServerMessage,
    /// What it means for being in the room.
    pub membership: Membership,
}

impl News {
    /// An answer.
    pub fn answer(re: RequestId, body: ServerMessage) -> Self {
        Self { re: Some(re), room: None, pos: None, body, membership: Membership::Same }
    }

    /// News that nobody asked for.
    pub fn event(body: ServerMessage) -> Self {
        Self { re: None, room: None, pos: None, body, membership: Membership::Same }
    }
}

/// What waits.
#[derive(Clone, Debug)]
pub enum Letter {
    /// What everyone in a room is told: a change, or its whole state.
    Room {
        /// Which room.
        room: RoomId,
        /// As it is sent.
        text: Utf8Bytes,
    },
    /// Changes of this room were dropped: it must be asked for a snapshot.
    Behind {
        /// Which room.
        room: RoomId,
    },
    /// For this session alone.
    News(Box<News>),
}

/// A connection that wants to take a session over.
#[derive(Debug)]
pub struct Takeover {
    /// The connection.
    pub socket: WebSocket,
    /// The token that it showed.
    pub token: ResumeToken,
    /// The last message that it has seen.
    pub seq: u64,
}

/// What a session has to do before anything else.
#[derive(Debug, Default)]
pub struct Orders {
    /// Its right to be there has ended.
    pub sign_out: bool,
    /// The server is stopping: clients come back after so many milliseconds.
    pub stop_after_ms: Option<u64>,
    /// More was to be told than can wait.
    pub overflowed: bool,
    /// Connections that want the session.
    pub takeovers: Vec<Takeover>,
}

#[derive(Debug, Default)]
struct Inner {
    letters: VecDeque<Letter>,
    deltas: usize,
    delta_bytes: usize,
    news: usize,
    /// Rooms whose changes are dropped until a snapshot comes.
    behind: Vec<RoomId>,
    orders: Orders,
    urgent: bool,
    closed: bool,
}

/// What waits to be handled by a session.
pub struct Mailbox {
    session: SessionId,
    user: UserId,
    device: DeviceId,
    inner: Mutex<Inner>,
    wake: Notify,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.session)
    }
}

impl Mailbox {
    /// An empty one.
    pub fn new(session: SessionId, user: UserId, device: DeviceId) -> Arc<Self> {
        Arc::new(Self { session, user, device, inner: Mutex::default(), wake: Notify::new() })
    }

    /// Whose session's.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whose.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// On which device.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a letter in; wakes the session where it may be asleep, which it is only when nothing waits.
    fn put(&self, mut inner: MutexGuard<'_, Inner>, letter: Letter) {
        let first = inner.letters.is_empty();
        inner.letters.push_back(letter);
        drop(inner);
        if first {
            self.wake.notify_one();
        }
    }

    /// Puts in a change of a room.
    pub fn put_delta(&self, room: RoomId, text: &Utf8Bytes) {
        let mut inner = self.lock();
        if inner.closed || inner.behind.contains(&room) {
            return;
        }
        if inner.deltas >= DELTAS_MOST || inner.delta_bytes + text.len() > DELTA_BYTES_MOST {
            inner.fall_behind(room);
            metrics::counter!("ahoy_rooms_coalesced_total").increment(1);
            return self.put(inner, Letter::Behind { room });
        }
        inner.deltas += 1;
        inner.delta_bytes += text.len();
        self.put(inner, Letter::Room { room, text: text.clone() });
    }

    /// Puts in the whole state of a room that the session is behind with: changes are taken again from here on.
    pub fn put_snapshot(&self, room: RoomId, text: Utf8Bytes) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.behind.retain(|behind| *behind != room);
        inner.deltas += 1;
        inner.delta_bytes += text.len();
        self.put(inner, Letter::Room { room, text });
    }

    /// Puts in an answer or news.
    pub fn put_news(&self, news: News) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        if inner.news >= NEWS_MOST {
            inner.orders.overflowed = true;
            return self.put_order(inner);
        }
        inner.news += 1;
        if let (Some(room), ServerMessage::Joined { .. }) = (news.room, &news.body) {
            inner.behind.retain(|behind| *behind != room);
        }
        self.put(inner, Letter::News(Box::new(news)));
    }

    fn put_order(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.urgent = true;
        drop(inner);
        self.wake.notify_one();
    }

    /// Ends the session.
    pub fn sign_out(&self) {
        let mut inner = self.lock();
        inner.orders.sign_out = true;
        self.put_order(inner);
    }

    /// Tells the session that the server is stopping.
    pub fn stop(&self, after_ms: u64) {
        let mut inner = self.lock();
        inner.orders.stop_after_ms = Some(after_ms);
        self.put_order(inner);
    }

    /// Offers the session a connection.
    ///
    /// # Errors
    /// The connection, where the session is over or many others want it.
    pub fn take_over(&self, takeover: Takeover) -> Result<(), Box<Takeover>> {
        let mut inner = self.lock();
        if inner.closed || inner.orders.takeovers.len() >= CONNECTIONS_MOST {
            return Err(Box::new(takeover));
        }
        inner.orders.takeovers.push(takeover);
        self.put_order(inner);
        Ok(())
    }

    /// Takes everything that waits into `letters`, which must be empty.
    pub fn take(&self, letters: &mut VecDeque<Letter>) {
        let mut inner = self.lock();
        std::mem::swap(&mut inner.letters, letters);
        (inner.deltas, inner.delta_bytes, inner.news) = (0, 0, 0);
        if inner.letters.capacity() > KEPT_CAPACITY {
            inner.letters = VecDeque::new();
        }
    }

    /// Takes what has to be done before anything else.
    pub fn take_orders(&self) -> Option<Orders> {
        let mut inner = self.lock();
        std::mem::take(&mut inner.urgent).then(|| std::mem::take(&mut inner.orders))
    }

    /// Whether something has to be done before anything else.
    pub fn is_urgent(&self) -> bool {
        self.lock().urgent
    }

    /// Waits until something is put in. What was put in before counts too.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Takes nothing more. Connections that still waited come back, to be told.
    pub fn close(&self) -> Vec<Takeover> {
        let mut inner = self.lock();
        inner.closed = true;
        inner.letters = VecDeque::new();
        std::mem::take(&mut inner.orders.takeovers)
    }
}

impl Inner {
    /// Drops a room's changes, until a snapshot comes.
    fn fall_behind(&mut self, room: RoomId) {
        self.letters.retain(|letter| !matches!(letter, Letter::Room { room: of, .. } if *of == room));
        let left = self.letters.iter().filter_map(|letter| match letter {
            Letter::Room { text, .. } => Some(text.len()),
            Letter::Behind { .. } | Letter::News(_) => None,
        });
        (self.deltas, self.delta_bytes) =
            left.fold((0, 0), |(count, bytes), length| (count + 1, bytes + length));
        self.behind.push(room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId::from_bits(1);
    const OTHER: RoomId = RoomId::from_bits(2);

    fn mailbox() -> Arc<Mailbox> {
        Mailbox::new(SessionId::from_bits(1), UserId::from_bits(1), DeviceId::from_bits(1))
    }

    fn taken(mailbox: &Mailbox) -> Vec<String> {
        let mut letters = VecDeque::new();
        mailbox.take(&mut letters);
        let told = letters.into_iter().map(|letter| match letter {
            Letter::Room { text, .. } => text.as_str().to_owned(),
            Letter::Behind { room } => format!("behind {room}"),
            Letter::News(news) => news.body.kind().to_owned(),
        });
        told.collect()
    }

    #[test]
    fn changes_that_nobody_takes_give_way_to_one_note_and_other_rooms_are_left_alone() {
        let mailbox = mailbox();
        mailbox.put_delta(OTHER, &"other".into());
        mailbox.put_news(News::event(ServerMessage::Done {}));
        for _ in 0..10 * DELTAS_MOST {
            mailbox.put_delta(ROOM, &"delta".into());
        }
        assert_eq!(taken(&mailbox), ["other".to_owned(), "done".to_owned(), format!("behind {ROOM}")]);
        mailbox.put_delta(ROOM, &"lost".into());
        mailbox.put_snapshot(ROOM, "snapshot".into());
        mailbox.put_delta(ROOM, &"next".into());
        assert_eq!(taken(&mailbox), ["snapshot", "next"]);
    }

    #[test]
    fn changes_are_bounded_in_bytes_too() {
        let mailbox = mailbox();
        let large: Utf8Bytes = "x".repeat(DELTA_BYTES_MOST / 2).into();
        for _ in 0..3 {
            mailbox.put_delta(ROOM, &large);
        }
        assert_eq!(taken(&mailbox), [format!("behind {ROOM}")]);
    }

    #[test]
    fn news_are_never_dropped_silently() {
        let mailbox = mailbox();
        for _ in 0..NEWS_MOST {
            mailbox.put_news(News::event(ServerMessage::Done {}));
        }
        assert!(mailbox.take_orders().is_none());
        mailbox.put_news(News::event(ServerMessage::Done {}));
        assert!(mailbox.take_orders().is_some_and(|orders| orders.overflowed));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_what_came_before_and_after() {
        let mailbox = mailbox();
        mailbox.put_news(News::event(ServerMessage::Done {}));
        mailbox.changed().await;
        assert_eq!(taken(&mailbox), ["done"]);
        mailbox.sign_out();
        mailbox.changed().await;
        assert!(mailbox.take_orders().is_some_and(|orders| orders.sign_out));
    }
}
