//! Tells contacts how someone can be reached, when that changes. One task: in a rush, what has changed twice is told once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_signal::{Presence as Status, UserId};
use tokio::sync::mpsc;

use super::contacts::ContactBook;
use super::presence::Presence;

/// Says that somebody's presence has changed.
#[derive(Clone, Debug)]
pub(crate) struct Herald {
    changed: Arc<Mutex<HashSet<UserId>>>,
    /// Holds one: when it is full, the task will look anyway.
    wake: mpsc::Sender<()>,
}

impl Herald {
    /// Starts the task, which ends with the last handle.
    pub(crate) fn start(contacts: Arc<ContactBook>, presence: Arc<dyn Presence>) -> Self {
        let changed = Arc::new(Mutex::new(HashSet::new()));
        let (wake, woken) = mpsc::channel(1);
        tokio::spawn(run(changed.clone(), woken, contacts, presence));
        Self { changed, wake }
    }

    /// Somebody's presence has changed.
    pub(crate) fn changed(&self, user: UserId) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
        // Full means that the task looks anyway; closed, that the server stops.
        let _ = self.wake.try_send(());
    }
}

async fn run(
    changed: Arc<Mutex<HashSet<UserId>>>,
    mut woken: mpsc::Receiver<()>,
    contacts: Arc<ContactBook>,
    presence: Arc<dyn Presence>,
) {
    let mut told = HashMap::new();
    while woken.recv().await.is_some() {
        let users = std::mem::take(&mut *changed.lock().unwrap_or_else(PoisonError::into_inner));
        for user in users {
            let status = presence.status(user);
            let before = match status {
                Status::Offline => told.remove(&user),
                Status::Online | Status::InCall => told.insert(user, status),
            };
            if before.unwrap_or(Status::Offline) == status {
                continue;
            }
            if let Err(refusal) = contacts.tell_presence(user).await {
                tracing::warn!(%user, %refusal, "contacts were not told of somebody's presence");
            }
        }
    }
}
