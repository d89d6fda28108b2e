//! "Check my connection": the examination of what keeps calls from connecting, for whoever looks at the window.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_signal_client::TrustError;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::{Desk, DeskError, DeskEvent, DeskListener};
use crate::account::{AccountError, PlainHttp, ServerChoice, ServerUrl};
use crate::doctor::{self, DoctorConfig, DoctorReport, Session, examine};

/// The examination that runs, if one does.
#[derive(Debug, Default)]
pub(super) struct ConnectionCheck {
    running: Mutex<Option<AbortHandle>>,
}

impl ConnectionCheck {
    /// Examines; `None` if it was called off, or another one has begun.
    async fn run(
        &self,
        config: DoctorConfig,
        listener: DeskListener,
    ) -> Option<Result<DoctorReport, TrustError>> {
        let (sender, mut progress) = mpsc::channel(doctor::EVENTS);
        let examination = tokio::spawn(examine(config, sender));
        let id = examination.id();
        self.replace(Some(examination.abort_handle()));
        // Ends with the examination, which has the other end.
        while let Some(progress) = progress.recv().await {
            let running = self.running();
            // Of one that was called off nothing is told any more.
            if running.as_ref().is_some_and(|running| running.id() == id) {
                listener(DeskEvent::ConnectionCheck(progress));
            }
        }
        match examination.await {
            Ok(report) => Some(report),
            Err(error) if error.is_cancelled() => None,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Calls the one that runs off.
    pub(super) fn stop(&self) {
        self.replace(None);
    }

    fn running(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, next: Option<AbortHandle>) {
        if let Some(running) = std::mem::replace(&mut *self.running(), next) {
            running.abort();
        }
    }
}

impl Desk {
    /// Looks for what keeps calls from connecting: with this server, or else with the one that one is signed in to. Steps are
    /// told by [`DeskEvent::ConnectionCheck`]. `None` if it was called off, or another one has begun. In a call, what would
    /// disturb it is left out.
    ///
    /// # Errors
    /// [`DeskError::NotSignedIn`] where no server is named and nobody is signed in, [`DeskError::Account`].
    pub async fn check_connection(&self, server: Option<String>) -> Result<Option<DoctorReport>, DeskError> {
        let (server, session) = match server {
            Some(server) => {
                let url = ServerUrl::parse(&server, PlainHttp::LoopbackOnly).map_err(AccountError::from)?;
                (ServerChoice::at(url), Session::None)
            }
            None => {
                let (signaling, signed_in) = self.people.signed_in().await?;
                let record = signed_in.record().ok_or(DeskError::NotSignedIn)?;
                let server = ServerChoice::of(record).map_err(AccountError::from)?;
                (server, Session::Online(signaling))
            }
        };
        let client = self.options.people.client.clone();
        let config = DoctorConfig { server, session, client, quick: self.in_call().await };
        let report = self.connection_check.run(config, Arc::clone(&self.listener)).await;
        Ok(report.transpose().map_err(AccountError::from)?)
    }

    /// Calls the examination off, if one runs.
    pub fn stop_connection_check(&self) {
        self.connection_check.stop();
    }
}
