//! A call in a session of its own: one that somebody else has made, joined by their link as a guest, whoever one is signed in as
//! elsewhere.

use std::sync::PoisonError;
use std::time::Duration;

use ahoy_signal::account::GuestSignIn;
use ahoy_signal::{CallMedia, Name};
use serde::Serialize;
use tokio::sync::{MutexGuard, mpsc, watch};
use tokio::task::JoinHandle;

use super::known::{Known, Teller};
use super::people::{self, People};
use super::person_call::CallEnding;
use super::room::{RoomTalk, ending_of};
use super::{Desk, DeskError, DeskEvent};
use crate::account::{AccountError, Accounts, InviteLink, PlainHttp, ServerChoice};
use crate::calls::{Calls, CallsEvent, CallsOptions, CommandError, RoomEnd};
use crate::problem::Problem;
use crate::signaling::{RequestError, Signaling, SignalingError, SignalingEvent, SignalingEvents};

/// How long a guest looks for a server that has gone. The call itself goes on without.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A link that was opened: somebody is to say whether they want to go there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Invitation {
    /// The link, as it was given.
    pub link: String,
    /// The server that it leads to.
    pub server: String,
}

impl Invitation {
    /// Reads a link.
    fn read(link: &str) -> Result<Self, DeskError> {
        let parsed = parse(link)?;
        Ok(Self { link: link.trim().to_owned(), server: parsed.server.to_string() })
    }
}

fn parse(link: &str) -> Result<InviteLink, DeskError> {
    Ok(InviteLink::parse(link, PlainHttp::LoopbackOnly).map_err(AccountError::from)?)
}

/// A call in a room with a session of its own, for as long as the call lasts: somebody else's, or one that this computer hosts.
pub(super) struct Visit {
    signaling: Signaling,
    calls: Calls,
    /// Whether the call is over. What is left to be done then, such as stopping a server, needs no devices.
    over: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

/// What can be done with the call that one is in.
impl Visit {
    pub(super) fn signaling(&self) -> Option<Signaling> {
        (!self.is_over()).then(|| self.signaling.clone())
    }

    pub(super) fn calls(&self) -> Option<Calls> {
        (!self.is_over()).then(|| self.calls.clone())
    }

    pub(super) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Leaves the call and waits until all devices are let go.
    async fn hang_up(&mut self) {
        // It may have ended at this very moment.
        let _ = self.calls.hang_up().await;
        // Whoever panics lets go too.
        let _ = self.over.wait_for(|over| *over).await;
    }

    /// The same, and waits until everything is done.
    async fn leave(mut self) {
        self.hang_up().await;
        drop((self.calls, self.signaling));
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a call with a session of its own had panicked");
        }
    }
}

/// A place that nobody else has while it is held: a call with a session of its own begins.
pub(super) type Beginning<'a> = MutexGuard<'a, Option<Visit>>;

impl People {
    /// From here on nobody else begins a call.
    pub(super) async fn begin_visit(&self) -> Result<Beginning<'_>, DeskError> {
        let mut slot = self.visiting().lock().await;
        if let Some(last) = slot.take_if(|visit| visit.is_over()) {
            last.leave().await;
        }
        if slot.is_some() || self.calls().current.is_some() {
            return Err(CommandError::InCall.into());
        }
        Ok(slot)
    }

    /// Joins a call by its link, under this name; where it is called off while the server is asked, nothing happens.
    pub(super) async fn visit(
        &self,
        link: &str,
        name: &str,
        media: CallMedia,
        options: CallsOptions,
    ) -> Result<(), DeskError> {
        let called_off = self.called_off().notified();
        let (link, name) = (parse(link)?, Name::new(name)?);
        let slot = self.begin_visit().await?;
        let client = self.client().clone();
        let server = ServerChoice { pin: link.pin, ..ServerChoice::at(link.server) };
        let invited = GuestSignIn { invite: link.token, name };
        let agent = people::agent(&client);
        let guest = tokio::select! {
            guest = Accounts::guest_at(&server, &invited, &agent) => guest?,
            () = called_off => return Ok(()),
        };
        let session = Signaling::start(&guest, client, PATIENCE)?;
        self.enter(slot, session, RoomTalk::visiting(link.room), media, options, async {}).await
    }

    /// Enters a room in a session of its own. `after` is done when one has left it.
    pub(super) async fn enter(
        &self,
        mut slot: Beginning<'_>,
        (signaling, events): (Signaling, SignalingEvents),
        talk: RoomTalk,
        media: CallMedia,
        options: CallsOptions,
        after: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), DeskError> {
        let room = talk.room();
        let (calls, events) = Calls::start(&signaling, events, options);
        self.told().change(|known| known.room = Some(talk));
        if let Err(error) = calls.enter(room, media).await {
            self.told().change(|known| drop(known.leave_room()));
            after.await;
            signaling.end().await;
            return Err(error.into());
        }
        let (ended, over) = watch::channel(false);
        let (told, session) = (self.told().clone(), signaling.clone());
        let task = tokio::spawn(async move {
            listen(events, &told, &ended).await;
            after.await;
            session.end().await;
        });
        *slot = Some(Visit { signaling, calls, over, task });
        Ok(())
    }

    /// Does not join a call after all, where the server is still asked.
    pub(super) fn call_off_visit(&self) {
        self.called_off().notify_waiters();
    }

    /// Leaves a call with a session of its own, if one is in it; the devices are free then.
    pub(super) async fn hang_up_visit(&self) {
        self.call_off_visit();
        if let Some(visit) = self.visiting().lock().await.as_mut() {
            visit.hang_up().await;
        }
    }

    /// The same, and waits until everything is done, as before the program ends.
    pub(super) async fn leave_visit(&self) {
        self.call_off_visit();
        let visit = self.visiting().lock().await.take();
        if let Some(visit) = visit {
            visit.leave().await;
        }
    }
}

async fn listen(mut events: mpsc::Receiver<CallsEvent>, told: &Teller, over: &watch::Sender<bool>) {
    while let Some(event) = events.recv().await {
        match event {
            CallsEvent::Signaling(event) => on_signaling(told, event),
            CallsEvent::RoomEnded(_, end, report) => {
                // Before anybody hears of it: who does may begin the next call.
                over.send_replace(true);
                let left = told.change(Known::leave_room);
                let refused = refusal_of(&end);
                match left.zip(report) {
                    Some((left, report)) => {
                        let mut summary = left.summary(&end, &report);
                        summary.problems.splice(..0, refused);
                        told.tell(DeskEvent::Ended(summary));
                    }
                    // It never began, so there is nothing to sum up.
                    None => told.tell(match refused {
                        Some(problem) => DeskEvent::Failed(problem),
                        None => DeskEvent::Over(CallEnding::of_room(ending_of(&end))),
                    }),
                }
                return;
            }
            other => people::on_call(told, other),
        }
    }
    over.send_replace(true);
    told.change(|known| drop(known.leave_room()));
}

/// Why one was not let in, where the server said so.
fn refusal_of(end: &RoomEnd) -> Option<Problem> {
    let RoomEnd::Refused(refusal) = end else { return None };
    let error = SignalingError::Request(RequestError::Refused(refusal.clone()));
    Some(DeskError::from(error).into())
}

fn on_signaling(told: &Teller, event: SignalingEvent) {
    match event {
        SignalingEvent::Room { room, event } => people::on_room(told, room, &event),
        SignalingEvent::Ended(_) | SignalingEvent::GaveUp(_) => {
            // The others are seen and heard on as long as that goes: only news of who comes and goes is missing.
            tracing::info!("the server of the call is not there any more");
        }
        SignalingEvent::Online { .. }
        | SignalingEvent::Offline { .. }
        | SignalingEvent::Contact(_)
        | SignalingEvent::ContactGone(_)
        | SignalingEvent::Inbox(_)
        | SignalingEvent::CallIncoming { .. }
        | SignalingEvent::CallAnswered { .. }
        | SignalingEvent::CallEnded { .. } => {}
    }
}

impl Desk {
    /// A link was opened, in the system or by hand. [`DeskEvent::Invited`] tells whoever can ask the person.
    ///
    /// # Errors
    /// [`DeskError::Account`] where it is no invite link.
    pub fn open_link(&self, link: &str) -> Result<(), DeskError> {
        let invitation = Invitation::read(link)?;
        *self.invitation.lock().unwrap_or_else(PoisonError::into_inner) = Some(invitation);
        (self.listener)(DeskEvent::Invited);
        Ok(())
    }

    /// Whatever the system has opened this program with: a link, or nothing that can be opened, which is told.
    pub fn opened_with(&self, link: &str) {
        if let Err(error) = self.open_link(link) {
            (self.listener)(DeskEvent::Failed(Problem::from(error)));
        }
    }

    /// The link that was opened last, once.
    pub fn take_invitation(&self) -> Option<Invitation> {
        self.invitation.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Joins a call by its link, as a guest of this name. [`hang_up`](Self::hang_up) leaves it, or does not join after all
    /// where the server has not answered yet.
    ///
    /// # Errors
    /// [`DeskError::Busy`] during a test call, [`DeskError::Call`] during another one, [`DeskError::Account`] where the link
    /// is no good or the server can't be reached.
    pub async fn join_link(&self, link: &str, name: &str, video: bool) -> Result<(), DeskError> {
        self.ready_for_call().await?;
        self.people.visit(link, name, people::media_of(video), self.calling()).await
    }
}

#[cfg(test)]
mod tests {
    use ahoy_signal::RoomId;

    use super::*;

    #[test]
    fn an_invitation_says_where_it_leads_before_anybody_goes_there() {
        let room = RoomId::from_bits(5);
        for link in [
            format!("https://call.example.org:8443/join/{room}#eyJhbGciOi.J"),
            format!(" ahoy:https://call.example.org:8443/join/{room}#eyJhbGciOi.J\n"),
            format!("ahoy://call.example.org:8443/join/{room}#eyJhbGciOi.J"),
        ] {
            let invitation = Invitation::read(&link).unwrap();
            assert_eq!(invitation.server, "https://call.example.org:8443", "{link}");
            assert_eq!(invitation.link, link.trim());
        }
    }

    #[test]
    fn what_is_no_invite_link_is_said_to_be_none() {
        for link in ["", "ahoy:", "ahoy:https://call.example.org", "https://example.org/join/x#y", "--flag"] {
            let problem = Problem::from(Invitation::read(link).unwrap_err());
            assert_eq!(problem.code, crate::problem::ProblemCode::LinkRefused, "{link}: {problem:?}");
        }
    }
}
