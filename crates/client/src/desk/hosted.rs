//! Calls that this computer hosts, and those that others on the same network host.

use ahoy_signal::account::NewInvite;
use ahoy_signal::{CallMedia, Name, Role, RoomId, RoomSettings};
use tokio::sync::watch;

use super::people::{self, People};
use super::room::{CAPACITY, LIFETIME_S, RoomTalk, USES, forget_room};
use super::visit::PATIENCE;
use super::{Desk, DeskError, DeskEvent, DeskListener, HostOptions};
use crate::account::{AccountError, InviteLink, PlainHttp, SignedIn};
use crate::calls::CallsOptions;
use crate::host::{Announcement, HostError, Hosting, Nearby, NearbyCall};
use crate::signaling::{Signaling, SignalingEvents};

/// A server that runs, and the room for the call.
struct Prepared {
    session: (Signaling, SignalingEvents),
    room: RoomId,
    /// For whom one gives it to.
    link: String,
    /// For everybody on the network: who comes by it waits to be let in.
    announced: InviteLink,
}

async fn invite(signed_in: &SignedIn, room: RoomId, role: Role) -> Result<String, DeskError> {
    let wanted = NewInvite { room, lifetime_s: Some(LIFETIME_S), uses: Some(USES), role };
    Ok(signed_in.invite(&wanted).await?.link.ok_or(AccountError::Garbled)?)
}

impl People {
    async fn prepare(
        &self,
        hosting: &Hosting,
        signed_in: &SignedIn,
        name: &Name,
    ) -> Result<Prepared, DeskError> {
        let session = Signaling::connect(signed_in, self.client().clone(), PATIENCE).await?;
        let settings = RoomSettings { capacity: CAPACITY, waiting_room: true, ..RoomSettings::default() };
        let room = session.0.create_room(name.clone(), settings).await?.room;
        let link = invite(signed_in, room, Role::Member).await?;
        let announced = invite(signed_in, room, Role::Guest).await?;
        let announced = InviteLink::pinned(&announced, hosting.pin());
        Ok(Prepared {
            session,
            room,
            link: InviteLink::pinned(&link, hosting.pin()),
            announced: InviteLink::parse(&announced, PlainHttp::LoopbackOnly).map_err(AccountError::from)?,
        })
    }

    async fn host(
        &self,
        name: &Name,
        place: &HostOptions,
        media: CallMedia,
        options: CallsOptions,
    ) -> Result<(), DeskError> {
        let slot = self.begin_visit().await?;
        let agent = people::agent(self.client());
        let runner = place.runner.as_deref().ok_or(HostError::NoServer)?;
        let (hosting, signed_in) = Hosting::start(runner, name, &agent).await?;
        let prepared = match self.prepare(&hosting, &signed_in, name).await {
            Ok(prepared) => prepared,
            Err(error) => {
                hosting.stop().await;
                return Err(error);
            }
        };
        let announced = Announcement::start(place.network, name, &prepared.announced, hosting.port());
        // Whoever is given the link comes all the same.
        let failed = |error| self.tell(DeskEvent::Failed(DeskError::Host(HostError::from(error)).into()));
        let announcement = announced.map_err(failed).ok();
        let talk = RoomTalk::hosting(prepared.room, prepared.link);
        let signaling = prepared.session.0.clone();
        let after = async move {
            drop(announcement);
            // Whoever is still there, or waits, is told that the call is over, before the server is.
            forget_room(signaling.clone(), prepared.room).await;
            signaling.end().await;
            hosting.stop().await;
        };
        self.enter(slot, prepared.session, talk, media, options, after).await
    }
}

impl Desk {
    /// Makes a call that people on the same network find, or join by a link, without anybody's server: this computer is one for
    /// as long as the call lasts.
    ///
    /// # Errors
    /// [`DeskError::Busy`] during a test call, [`DeskError::Call`] during another one, [`DeskError::Host`].
    pub async fn start_hosted_call(&self, name: &str, video: bool) -> Result<(), DeskError> {
        let name = Name::new(name)?;
        self.ready_for_call().await?;
        self.people.host(&name, &self.options.host, people::media_of(video), self.calling()).await
    }

    /// Lets somebody in who waits, or turns them away.
    ///
    /// # Errors
    /// [`DeskError::NoCall`], [`DeskError::Signaling`].
    pub async fn answer_lobby(&self, participant: &str, admit: bool) -> Result<(), DeskError> {
        self.people.answer_lobby(participant, admit).await
    }

    /// Looks for calls on the network; [`DeskEvent::Nearby`] tells which are there. Nothing happens if that is so already.
    ///
    /// # Errors
    /// [`DeskError::Host`].
    pub async fn look_nearby(&self) -> Result<(), DeskError> {
        let mut nearby = self.nearby.lock().await;
        if nearby.is_none() {
            let looking = Nearby::start(self.options.host.network).map_err(HostError::from)?;
            tokio::spawn(tell(looking.calls(), self.listener.clone()));
            *nearby = Some(looking);
        }
        Ok(())
    }

    /// Looks for no calls any more.
    pub async fn stop_looking_nearby(&self) {
        if self.nearby.lock().await.take().is_some() {
            (self.listener)(DeskEvent::Nearby(Vec::new()));
        }
    }
}

async fn tell(mut calls: watch::Receiver<Vec<NearbyCall>>, listener: DeskListener) {
    while calls.changed().await.is_ok() {
        let calls = calls.borrow_and_update().clone();
        listener(DeskEvent::Nearby(calls));
    }
}
