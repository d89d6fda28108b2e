//! The sessions of this node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_signal::{SessionId, UserId};

use crate::realtime::mailbox::Mailbox;

/// Sessions that a user can have at once, waiting ones included.
pub const SESSIONS_OF_A_USER_MOST: usize = 32;

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<SessionId, Arc<Mailbox>>,
    users: HashMap<UserId, usize>,
    closed: bool,
}

/// Why a session can't be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The user has as many as there may be.
    TooMany,
    /// The server is stopping.
    Stopping,
}

/// The sessions of this node.
#[derive(Debug, Default)]
pub struct SessionDirectory {
    inner: Mutex<Inner>,
}

impl SessionDirectory {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn add(&self, mailbox: Arc<Mailbox>) -> Result<(), NoPlace> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(NoPlace::Stopping);
        }
        let of_user = inner.users.entry(mailbox.user()).or_default();
        if *of_user >= SESSIONS_OF_A_USER_MOST {
            return Err(NoPlace::TooMany);
        }
        *of_user += 1;
        inner.sessions.insert(mailbox.session(), mailbox);
        metrics::gauge!("ahoy_sessions").increment(1.0);
        Ok(())
    }

    /// Removes a session.
    pub fn remove(&self, session: SessionId) {
        let mut inner = self.lock();
        let Some(mailbox) = inner.sessions.remove(&session) else { return };
        metrics::gauge!("ahoy_sessions").decrement(1.0);
        if let Some(of_user) = inner.users.get_mut(&mailbox.user()) {
            *of_user -= 1;
            if *of_user == 0 {
                inner.users.remove(&mailbox.user());
            }
        }
    }

    /// A session.
    pub fn get(&self, session: SessionId) -> Option<Arc<Mailbox>> {
        self.lock().sessions.get(&session).cloned()
    }

    /// The sessions that fit.
    pub fn filter(&self, fits: impl Fn(&Mailbox) -> bool) -> Vec<Arc<Mailbox>> {
        self.lock().sessions.values().filter(|mailbox| fits(mailbox)).cloned().collect()
    }

    /// Takes no more sessions.
    pub fn close(&self) {
        self.lock().closed = true;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
