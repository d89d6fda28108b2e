//! The word that the relay stops, for all of its tasks.

use tokio::sync::watch;

/// Hears it.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

/// A word that can be given, and someone who hears it.
pub(crate) fn stopping() -> (watch::Sender<bool>, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (sender, Stopping(receiver))
}

impl Stopping {
    /// Waits for it. The relay being gone says it as well.
    pub(crate) async fn wait(&mut self) {
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}
