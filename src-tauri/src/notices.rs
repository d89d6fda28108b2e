//! The system's notifications of calls, for as long as they ring: somebody who works in another window takes or declines a
//! call there (Desktop Notifications Specification 1.2).
//!
//! The window says what a notification reads, in its language, and when one is due. Systems other than Linux show it without
//! buttons.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ahoy_client::desk::CallsView;
use notify_rust::Notification;
use serde::Deserialize;
use tauri::AppHandle;
#[cfg(not(target_os = "linux"))]
use tauri::Manager as _;
use tokio::sync::oneshot;

#[cfg(target_os = "linux")]
pub(crate) use self::with_buttons::show;

/// A call that rings, in words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CallNotice {
    /// Which call.
    pub call: String,
    /// Whether it is taken with pictures.
    pub video: bool,
    /// Who calls.
    pub title: String,
    /// That they do.
    pub text: String,
    /// The button that takes it.
    pub accept: String,
    /// The button that declines it.
    pub decline: String,
}

/// What is shown, by call. Whatever is taken out of here disappears from the screen.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    shown: Mutex<HashMap<String, oneshot::Sender<()>>>,
}

impl Notices {
    fn shown(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<()>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls that don't ring any more need no notification.
    pub(crate) fn follow(&self, calls: &CallsView) {
        self.shown().retain(|call, _| calls.ringing.iter().any(|ringing| ringing.call == *call));
    }

    /// Begins to show one. Resolves what is returned when it is to disappear; nothing where it is shown already.
    fn begin(&self, call: &str) -> Option<oneshot::Receiver<()>> {
        let mut shown = self.shown();
        if shown.contains_key(call) {
            return None;
        }
        let (gone, told) = oneshot::channel();
        shown.insert(call.to_owned(), gone);
        Some(told)
    }

    fn end(&self, call: &str) {
        self.shown().remove(call);
    }
}

/// What every system shows.
fn notification(app: &AppHandle, notice: &CallNotice) -> Notification {
    let mut notification = Notification::new();
    notification.appname(&app.package_info().name).summary(&notice.title).body(&notice.text).icon("ahoy");
    notification
}

#[cfg(target_os = "linux")]
mod with_buttons {
    use ahoy_client::Problem;
    use ahoy_client::desk::{Desk, DeskEvent};
    use notify_rust::{Hint, NotificationResponse, Timeout, Urgency};

    use tauri::{AppHandle, Manager as _};
    use tokio::sync::oneshot;

    use super::{CallNotice, Notices, notification};
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

    /// Shows that somebody calls, and does what the person presses.
    pub(crate) async fn show(app: AppHandle, notice: CallNotice) {
        let Some(gone) = app.state::<Notices>().begin(&notice.call) else { return };
        let answer = ask(&app, &notice, gone).await;
        app.state::<Notices>().end(&notice.call);
        let Some(answer) = answer else { return };
        let desk = app.state::<Desk>();
        let done = match answer {
            Answer::Accept => {
                show_window(&app);
                desk.accept(&notice.call, notice.video).await
            }
            Answer::Decline => desk.decline(&notice.call).await,
            Answer::Look => {
                show_window(&app);
                Ok(())
            }
        };
        if let Err(error) = done {
            events::tell(&app, DeskEvent::Failed(Problem::from(error)));
        }
    }

    /// `None` where nobody pressed anything: it does not ring any more, was put away, or can't be shown.
    async fn ask(app: &AppHandle, notice: &CallNotice, gone: oneshot::Receiver<()>) -> Option<Answer> {
        let shown = notification(app, notice)
            .hint(Hint::Category("call.incoming".to_owned()))
            .hint(Hint::DesktopEntry("ahoy".to_owned()))
            // It stays until it is answered or does not ring any more.
            .urgency(Urgency::Critical)
            .timeout(Timeout::Never)
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

/// Shows that somebody calls; the window has the buttons.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn show(app: AppHandle, notice: CallNotice) {
    let Some(gone) = app.state::<Notices>().begin(&notice.call) else { return };
    if let Err(error) = notification(&app, &notice).show() {
        tracing::info!(%error, "this system shows no notifications");
    }
    let _ = gone.await;
    app.state::<Notices>().end(&notice.call);
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

    #[test]
    fn a_notification_is_there_once_and_goes_when_its_call_does() {
        let notices = Notices::default();
        let mut one = notices.begin("one").expect("it is new");
        let mut two = notices.begin("two").expect("it is new");
        assert!(notices.begin("one").is_none(), "it is there already");
        notices.follow(&ringing(&["two"]));
        assert!(one.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(two.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        assert!(notices.begin("one").is_some(), "it rings again");
    }
}
