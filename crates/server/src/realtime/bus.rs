//! How news reach a session, wherever it is connected. One node keeps its sessions in a map; several would tell each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_signal::SessionId;

use super::mailbox::{Mailbox, News};

/// Carries news to sessions. Nothing here waits: what can't be delivered is the session's loss, which ends it.
pub trait Bus: Send + Sync + 'static {
    /// A session of this node can be told things.
    fn attach(&self, mailbox: Arc<Mailbox>);
    /// A session of this node is over.
    fn detach(&self, session: SessionId);
    /// Tells a session something. News to one session arrive in the order they were told by one caller.
    fn tell(&self, session: SessionId, news: News);
}

/// The bus of a server that is alone.
#[derive(Debug, Default)]
pub struct LocalBus {
    sessions: Mutex<HashMap<SessionId, Arc<Mailbox>>>,
}

impl LocalBus {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Mailbox>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for LocalBus {
    fn attach(&self, mailbox: Arc<Mailbox>) {
        self.lock().insert(mailbox.session(), mailbox);
    }

    fn detach(&self, session: SessionId) {
        self.lock().remove(&session);
    }

    fn tell(&self, session: SessionId, news: News) {
        let mailbox = self.lock().get(&session).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.put_news(news);
        }
    }
}
