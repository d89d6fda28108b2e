//! The system's notifications of calls, for as long as they ring, and of files that are offered: somebody who works in another
//! window takes or declines them there (Desktop Notifications Specification 1.2).
//!
//! The window says what a notification reads, in its language, and when one is due. Systems other than Linux show it without
//! buttons.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ahoy_client::desk::CallsView;
use ahoy_client::transfers::{Stage, TransferView};
use notify_rust::Notification;
use serde::Deserialize;
use tauri::AppHandle;
#[cfg(not(target_os = "linux"))]
use tauri::Manager as _;
use tokio::sync::oneshot;

#[cfg(target_os = "linux")]
pub(crate) use self::with_buttons::show;

/// Something that waits for an answer, in words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Notice {
    /// What it is.
    pub about: About,
    /// Who wants something.
    pub title: String,
    /// What they want.
    pub text: String,
    /// The button that takes it.
    pub accept: String,
    /// The button that declines it.
    pub decline: String,
}

/// What waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum About {
    /// A call that rings.
    Call {
        /// Which call.
        call: String,
        /// Whether it is taken with pictures.
        video: bool,
    },
    /// Files that are offered.
    Files {
        /// Which transfer.
        transfer: String,
    },
}

/// What is shown. Whatever is taken out of here disappears from the screen.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    shown: Mutex<HashMap<About, oneshot::Sender<()>>>,
}

impl Notices {
    fn shown(&self) -> MutexGuard<'_, HashMap<About, oneshot::Sender<()>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that don't ring any more need no notification.
    pub(crate) fn follow_calls(&self, calls: &CallsView) {
        self.shown().retain(|about, _| match about {
            About::Call { call, .. } => calls.ringing.iter().any(|ringing| ringing.call == *call),
            About::Files { .. } => true,
        });
    }

    /// Neither do files that are not offered any more.
    pub(crate) fn follow_transfer(&self, view: &TransferView) {
        if view.stage != Stage::Offered {
            self.end(&About::Files { transfer: view.id.clone() });
        }
    }

    /// Nobody is signed in any more to whom files could be offered.
    pub(crate) fn signed_out(&self) {
        self.shown().retain(|about, _| matches!(about, About::Call { .. }));
    }

    /// Begins to show one. Resolves what is returned when it is to disappear; nothing where it is shown already.
    fn begin(&self, about: &About) -> Option<oneshot::Receiver<()>> {
        let mut shown = self.shown();
        if shown.contains_key(about) {
            return None;
        }
        let (gone, told) = oneshot::channel();
        shown.insert(about.clone(), gone);
        Some(told)
    }

    fn end(&self, about: &About) {
        self.shown().remove(about);
    }
}

/// As text that says what it says where bodies may have markup (Desktop Notifications Specification 1.2, "Markup"): names of files
/// are others' words.
fn plain(text: &str) -> String {
    if !cfg!(target_os = "linux") {
        return text.to_owned();
    }
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What every system shows.
fn notification(app: &AppHandle, notice: &Notice) -> Notification {
    let mut notification = Notification::new();
    notification
        .appname(&app.package_info().name)
        .summary(&notice.title)
        .body(&plain(&notice.text))
        .icon("ahoy");
    notification
}

#[cfg(target_os = "linux")]
mod with_buttons {
    use ahoy_client::Problem;
    use ahoy_client::desk::{Desk, DeskEvent};
    use notify_rust::{Hint, NotificationResponse, Timeout, Urgency};

    use tauri::{AppHandle, Manager as _};
    use tokio::sync::oneshot;

    use super::{About, Notice, Notices, notification};
    use crate::{events, show_window};

    /// Names of the buttons; `default` is a press on the notification itself.
    const ACCEPT: &str = "accept";
    const DECLINE: &str = "decline";
    const DEFAULT: &str = "default";

    /// What somebody did with a notification.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Answer {
        Accept,
        Decline,
        Look,
    }

    /// Shows that somebody wants something, and does what the person presses.
    pub(crate) async fn show(app: AppHandle, notice: Notice) {
        let Some(gone) = app.state::<Notices>().begin(&notice.about) else { return };
        let answer = ask(&app, &notice, gone).await;
        app.state::<Notices>().end(&notice.about);
        let Some(answer) = answer else { return };
        let desk = app.state::<Desk>();
        let done = match (answer, &notice.about) {
            (Answer::Accept, About::Call { call, video }) => {
                show_window(&app);
                desk.accept(call, *video).await
            }
            (Answer::Decline, About::Call { call, .. }) => desk.decline(call).await,
            // Whoever takes files goes on with what they do.
            (Answer::Accept, About::Files { transfer }) => desk.accept_files(transfer, None, None).await,
            (Answer::Decline, About::Files { transfer }) => desk.decline_files(transfer).await,
            (Answer::Look, _) => {
                show_window(&app);
                Ok(())
            }
        };
        if let Err(error) = done {
            events::tell(&app, DeskEvent::Failed(Problem::from(error)));
        }
    }

    /// `None` where nobody pressed anything: it does not ring any more, was put away, or can't be shown.
    async fn ask(app: &AppHandle, notice: &Notice, gone: oneshot::Receiver<()>) -> Option<Answer> {
        let (category, urgency, timeout) = match notice.about {
            // It stays until it is answered or does not ring any more.
            About::Call { .. } => ("call.incoming", Urgency::Critical, Timeout::Never),
            About::Files { .. } => ("transfer", Urgency::Normal, Timeout::Default),
        };
        let shown = notification(app, notice)
            .hint(Hint::Category(category.to_owned()))
            .hint(Hint::DesktopEntry("ahoy".to_owned()))
            .urgency(urgency)
            .timeout(timeout)
            .action(DEFAULT, &notice.title)
            .action(ACCEPT, &notice.accept)
            .action(DECLINE, &notice.decline)
            .show_async()
            .await;
        let shown = match shown {
            Ok(shown) => shown,
            Err(error) => {
                tracing::info!(%error, "this system shows no notifications");
                return None;
            }
        };
        let mut answer = None;
        tokio::select! {
            () = shown.wait_for_action_async(|response: &NotificationResponse| answer = read(response)) => {}
            _ = gone => {}
        }
        // Not everything that shows notifications takes them away when a button is pressed.
        shown.close_async().await;
        answer
    }

    fn read(response: &NotificationResponse) -> Option<Answer> {
        match response {
            NotificationResponse::Default => Some(Answer::Look),
            NotificationResponse::Action(name) => match name.as_str() {
                ACCEPT => Some(Answer::Accept),
                DECLINE => Some(Answer::Decline),
                DEFAULT => Some(Answer::Look),
                _ => None,
            },
            NotificationResponse::Reply(_) | NotificationResponse::Closed(_) => None,
        }
    }
}

/// Shows that somebody wants something; the window has the buttons.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn show(app: AppHandle, notice: Notice) {
    let Some(gone) = app.state::<Notices>().begin(&notice.about) else { return };
    if let Err(error) = notification(&app, &notice).show() {
        tracing::info!(%error, "this system shows no notifications");
    }
    let _ = gone.await;
    app.state::<Notices>().end(&notice.about);
}

#[cfg(test)]
mod tests {
    use ahoy_client::desk::RingingCall;

    use super::*;

    fn ringing(calls: &[&str]) -> CallsView {
        let call = |call: &&str| RingingCall {
            call: (*call).to_owned(),
            handle: "ada".into(),
            name: "Ada".into(),
            video: true,
        };
        CallsView { current: None, ringing: calls.iter().map(call).collect() }
    }

    fn call(call: &str) -> About {
        About::Call { call: call.to_owned(), video: true }
    }

    fn is_open(told: &mut oneshot::Receiver<()>) -> bool {
        told.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
    }

    #[test]
    fn a_notification_is_there_once_and_goes_when_its_call_does() {
        let notices = Notices::default();
        let files = About::Files { transfer: "one".to_owned() };
        let mut one = notices.begin(&call("one")).expect("it is new");
        let mut two = notices.begin(&call("two")).expect("it is new");
        let mut offer = notices.begin(&files).expect("it is new");
        assert!(notices.begin(&call("one")).is_none(), "it is there already");
        notices.follow_calls(&ringing(&["two"]));
        assert_eq!([&mut one, &mut two, &mut offer].map(is_open), [false, true, true]);
        assert!(notices.begin(&call("one")).is_some(), "it rings again");
    }
}
