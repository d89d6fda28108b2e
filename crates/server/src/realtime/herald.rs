//! Tells contacts how someone can be reached, when that changes. One task: in a rush, what has changed twice is told once. It is
//! told also where it is as it was before: somebody who has come in between has seen the other.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_signal::UserId;
use tokio::sync::mpsc;

/// Says that somebody's presence has changed.
#[derive(Clone, Debug)]
pub(crate) struct Herald {
    changed: Arc<Mutex<HashSet<UserId>>>,
    /// Holds one: when it is full, the task will look anyway.
    wake: mpsc::Sender<()>,
}

impl Herald {
    /// Starts the task, which ends with the last handle. `tell` tells everybody whom it concerns how a user can be reached now.
    pub(crate) fn start<Told: Future<Output = ()> + Send>(
        tell: impl Fn(UserId) -> Told + Send + 'static,
    ) -> Self {
        let changed = Arc::new(Mutex::new(HashSet::new()));
        let (wake, mut woken) = mpsc::channel(1);
        let herald = Self { changed: Arc::clone(&changed), wake };
        tokio::spawn(async move {
            while woken.recv().await.is_some() {
                let users = std::mem::take(&mut *changed.lock().unwrap_or_else(PoisonError::into_inner));
                for user in users {
                    tell(user).await;
                }
            }
        });
        herald
    }

    /// Somebody's presence has changed.
    pub(crate) fn changed(&self, user: UserId) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
        // Full means that the task looks anyway; closed, that the server stops.
        let _ = self.wake.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    const USER: UserId = UserId::from_bits(1);

    #[tokio::test]
    async fn whoever_goes_and_comes_back_in_a_rush_is_told_of_once() {
        let (told, mut tellings) = mpsc::unbounded_channel();
        let herald = Herald::start(move |user| {
            let told = told.clone();
            async move { told.send(user).unwrap() }
        });
        herald.changed(USER);
        assert_eq!(tellings.recv().await, Some(USER));
        // Gone, and back, before anybody was told: who has come in between knows them as gone.
        herald.changed(USER);
        herald.changed(USER);
        assert_eq!(tellings.recv().await, Some(USER));
        tokio::task::yield_now().await;
        let mut next = pin!(tellings.recv());
        let more = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_ready())).await;
        assert!(!more, "told once more");
    }
}
