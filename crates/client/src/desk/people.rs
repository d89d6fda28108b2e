//! Who is signed in, whom they know, and their calls: what the window shows of other people.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use ahoy_signal::account::{SignIn, SignUp};
use ahoy_signal::{CallId, CallMedia, CallPeer, ClientInfo, Contact, Handle, Name, Password, RoomId, UserId};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinHandle;

use super::files::Files;
use super::known::{Connection, Known, Me, PeopleSnapshot, Teller};
use super::past::tell_news;
use super::person_call::{CallsView, summary};
use super::room::{RoomTalk, forget_room};
use super::visit::Visit;
use super::{DeskError, DeskEvent, DeskListener, SharedSettings};
use crate::account::{AccountError, AccountPlace, Accounts, PlainHttp, ServerChoice, ServerUrl, SignedIn};
use crate::calls::{Calls, CallsEvent, CallsOptions, CommandError, MediaSnapshot};
use crate::history::History;
use crate::loopback::{CallPhase, CallSnapshot};
use crate::signaling::{RoomEvent, Signaling, SignalingError, SignalingEvent};
use crate::transfers::Transfers;

/// How long a server is looked for before the window says that it has stopped trying.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long the good-bye may take.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Where sign-ins are kept, and how this program names itself.
#[derive(Clone, Debug)]
pub struct PeopleOptions {
    /// Where sign-ins are kept.
    pub accounts: AccountPlace,
    /// Which program this is.
    pub client: ClientInfo,
}

/// What is typed to sign in, or to make an account.
#[derive(Clone, Debug, serde::Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Credentials {
    /// The server's address.
    pub server: String,
    /// What one is found by.
    pub handle: String,
    /// The password.
    pub password: String,
}

/// One sign-in at work.
struct Session {
    signed_in: Arc<SignedIn>,
    signaling: Signaling,
    calls: Calls,
    history: Option<History>,
    files: Option<Files>,
    task: JoinHandle<()>,
}

/// Everything about other people.
pub(super) struct People {
    options: PeopleOptions,
    settings: SharedSettings,
    listener: DeskListener,
    told: Teller,
    session: Mutex<Option<Session>>,
    /// Somebody else's call that one is in.
    visit: Mutex<Option<Visit>>,
    /// Tells who is just being let into one that it is not wanted any more.
    called_off: Notify,
}

impl People {
    pub(super) fn new(options: PeopleOptions, settings: SharedSettings, listener: DeskListener) -> Self {
        let told = Teller::new(Arc::clone(&listener));
        let (session, visit, called_off) = (Mutex::default(), Mutex::default(), Notify::new());
        Self { options, settings, listener, told, session, visit, called_off }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.told.known()
    }

    pub(super) fn snapshot(&self) -> PeopleSnapshot {
        self.known().snapshot.clone()
    }

    pub(super) fn calls(&self) -> CallsView {
        self.known().calls.clone()
    }

    /// Whether a call has the devices.
    pub(super) fn in_call(&self) -> bool {
        self.known().in_call
    }

    async fn accounts(&self) -> Result<Accounts, DeskError> {
        Ok(Accounts::open(self.options.accounts.clone(), agent(&self.options.client)).await?)
    }

    /// Takes up the sign-in of the last time, if there is one.
    pub(super) async fn resume(&self, options: CallsOptions) -> Result<(), DeskError> {
        match self.accounts().await?.signed_in(None) {
            Ok(signed_in) => self.begin(signed_in, options).await,
            Err(AccountError::NotSignedIn { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn sign_in(&self, given: Credentials, options: CallsOptions) -> Result<(), DeskError> {
        let (server, handle, password) = checked(given)?;
        let device_name = device_name(&self.options.client);
        let credentials = SignIn { handle, password, device_name };
        let signed_in = self.accounts().await?.sign_in(&server, &credentials).await?;
        self.begin(signed_in, options).await
    }

    /// Returns the recovery codes.
    pub(super) async fn sign_up(
        &self,
        given: Credentials,
        name: &str,
        options: CallsOptions,
    ) -> Result<Vec<String>, DeskError> {
        let (server, handle, password) = checked(given)?;
        let device_name = device_name(&self.options.client);
        let name = Name::new(name)?;
        let account = SignUp { handle, name, password, device_name, sign_up_code: None };
        let accounts = self.accounts().await?;
        // Before there is an account that nobody could stay signed in to.
        accounts.check().await?;
        let (signed_in, codes) = accounts.sign_up(&server, &account).await?;
        self.begin(signed_in, options).await?;
        Ok(codes.into_iter().map(String::from).collect())
    }

    pub(super) async fn sign_out(&self) -> Result<(), DeskError> {
        self.end().await;
        let accounts = self.accounts().await?;
        match accounts.sign_out(None).await {
            Ok(_) | Err(AccountError::NotSignedIn { .. }) => {}
            // Where the server can't be asked the device stays in its list, and one is signed out here all the same.
            Err(AccountError::Reach(_)) => accounts.forget(accounts.record(None)?).await?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn begin(&self, signed_in: SignedIn, options: CallsOptions) -> Result<(), DeskError> {
        self.end().await;
        let signed_in = Arc::new(signed_in);
        let (signaling, events) = Signaling::start(&signed_in, self.options.client.clone(), PATIENCE)?;
        let files = Files::open(&self.options.accounts, &signed_in, &self.settings, &self.told).await;
        let transfers = files.as_ref().map(Files::transfers);
        let options = CallsOptions { transfers, ..options };
        let (calls, events) = Calls::start(&signaling, events, options);
        let me = signed_in.record().map(|record| Me {
            handle: record.handle.to_string(),
            name: record.name.to_string(),
            server: record.server.clone(),
        });
        let history = self.open_history(&signed_in, &signaling).await;
        // Whoever hears of the sign-in and asks for something waits until all of it is there.
        let mut session = self.session.lock().await;
        self.told.change(|known| {
            known.snapshot = PeopleSnapshot { me, connection: Connection::Connecting, contacts: vec![] }
        });
        let task = tokio::spawn(listen(signaling.clone(), events, history.clone(), self.told.clone()));
        *session = Some(Session { signed_in, signaling, calls, history, files, task });
        Ok(())
    }

    /// The history of whoever is signed in. One that can't be used is told; everything else goes on without.
    async fn open_history(&self, signed_in: &SignedIn, signaling: &Signaling) -> Option<History> {
        let path = self.options.accounts.history(signed_in.record()?);
        match History::open(path).await {
            Ok(history) => {
                tokio::spawn(tell_news(history.news(), Arc::clone(&self.listener)));
                Some(history.follow(signaling.clone()))
            }
            Err(error) => {
                tracing::error!(%error, "there is no history");
                (self.listener)(DeskEvent::Failed(DeskError::from(error).into()));
                None
            }
        }
    }

    /// Transfers of whoever is signed in.
    pub(super) async fn transfers(&self) -> Result<Transfers, DeskError> {
        let session = self.session.lock().await;
        let session = session.as_ref().ok_or(DeskError::NotSignedIn)?;
        session.files.as_ref().map(Files::transfers).ok_or(DeskError::NoFiles)
    }

    pub(super) async fn kept_history(&self) -> Option<History> {
        self.session.lock().await.as_ref()?.history.clone()
    }

    /// A contact by its id.
    pub(super) fn known_peer(&self, user: UserId) -> Option<CallPeer> {
        self.known().contacts.get(&user).map(peer_of)
    }

    /// Ends the session here; one is still signed in.
    pub(super) async fn end(&self) {
        let Some(Session { signaling, calls, files, mut task, .. }) = self.session.lock().await.take() else {
            return;
        };
        // While there are connections, to say what was not said.
        if let Some(files) = files {
            files.close().await;
        }
        // Before the session: who hangs up says so.
        drop(calls);
        signaling.end().await;
        if tokio::time::timeout(END_WITHIN, &mut task).await.is_err() {
            task.abort();
        }
        self.told.change(|known| {
            if known.room.as_ref().is_some_and(RoomTalk::is_own) {
                known.leave_room();
            }
            known.contacts.clear();
            known.snapshot = PeopleSnapshot::default();
        });
    }

    /// Tries to reach the server now.
    pub(super) async fn retry(&self) {
        if let Some(session) = self.session.lock().await.as_ref() {
            session.signaling.retry().await;
        }
    }

    async fn signaling(&self) -> Result<Signaling, DeskError> {
        let session = self.session.lock().await;
        session.as_ref().map(|session| session.signaling.clone()).ok_or(DeskError::NotSignedIn)
    }

    /// The session, and whose it is.
    pub(super) async fn signed_in(&self) -> Result<(Signaling, Arc<SignedIn>), DeskError> {
        let session = self.session.lock().await;
        let session = session.as_ref().ok_or(DeskError::NotSignedIn)?;
        Ok((session.signaling.clone(), Arc::clone(&session.signed_in)))
    }

    pub(super) async fn add_contact(&self, handle: &str) -> Result<(), DeskError> {
        let contact = self.signaling().await?.add_contact(Handle::new(handle)?).await?;
        self.told.contact(contact);
        Ok(())
    }

    pub(super) async fn remove_contact(&self, handle: &str) -> Result<(), DeskError> {
        Ok(self.signaling().await?.remove_contact(&Handle::new(handle)?).await?)
    }

    pub(super) async fn block_contact(&self, handle: &str) -> Result<(), DeskError> {
        let contact = self.signaling().await?.block_contact(&Handle::new(handle)?).await?;
        self.told.contact(contact);
        Ok(())
    }

    pub(super) fn tell(&self, event: DeskEvent) {
        self.told.tell(event);
    }

    pub(super) fn told(&self) -> &Teller {
        &self.told
    }

    pub(super) fn visiting(&self) -> &Mutex<Option<Visit>> {
        &self.visit
    }

    pub(super) fn called_off(&self) -> &Notify {
        &self.called_off
    }

    pub(super) fn client(&self) -> &ClientInfo {
        &self.options.client
    }

    /// The session of the room that one talks in.
    pub(super) async fn room_session(&self) -> Result<Signaling, DeskError> {
        let visit = self.visit.lock().await.as_ref().and_then(Visit::signaling);
        match visit {
            Some(signaling) => Ok(signaling),
            None => self.signaling().await,
        }
    }

    /// Does something with the call that one is in.
    pub(super) async fn with_current<T, F: Future<Output = T>>(
        &self,
        act: impl FnOnce(Calls) -> F,
    ) -> Result<T, DeskError> {
        let visit = self.visit.lock().await.as_ref().and_then(Visit::calls);
        match visit {
            Some(calls) => Ok(act(calls).await),
            None => self.with_calls(act).await,
        }
    }

    /// The calls of all sessions.
    pub(super) async fn all_calls(&self) -> Vec<Calls> {
        let own = self.session.lock().await.as_ref().map(|session| session.calls.clone());
        let visit = self.visit.lock().await.as_ref().and_then(Visit::calls);
        own.into_iter().chain(visit).collect()
    }

    /// Begins a call, unless one is in somebody else's.
    pub(super) async fn begin_call<T, F: Future<Output = T>>(
        &self,
        act: impl FnOnce(Calls) -> F,
    ) -> Result<T, DeskError> {
        let visit = self.visit.lock().await;
        if visit.as_ref().is_some_and(|visit| !visit.is_over()) {
            return Err(CommandError::InCall.into());
        }
        self.with_calls(act).await
    }

    /// Does something with the calls of whoever is signed in.
    pub(super) async fn with_calls<T, F: Future<Output = T>>(
        &self,
        act: impl FnOnce(Calls) -> F,
    ) -> Result<T, DeskError> {
        let calls = self.session.lock().await.as_ref().map(|session| session.calls.clone());
        Ok(act(calls.ok_or(DeskError::NotSignedIn)?).await)
    }

    /// Whom a handle is of, and may be called.
    pub(super) fn peer(&self, handle: &str) -> Result<CallPeer, DeskError> {
        let handle = Handle::new(handle)?;
        let known = self.known();
        let contact = known.contacts.values().find(|contact| contact.handle == handle);
        let contact = contact.ok_or(SignalingError::NoSuchContact { handle })?;
        Ok(peer_of(contact))
    }
}

fn peer_of(contact: &Contact) -> CallPeer {
    CallPeer { user: contact.user, handle: contact.handle.clone(), name: contact.name.clone() }
}

fn checked(given: Credentials) -> Result<(ServerChoice, Handle, Password), DeskError> {
    let url = ServerUrl::parse(&given.server, PlainHttp::LoopbackOnly).map_err(AccountError::from)?;
    Ok((ServerChoice::at(url), Handle::new(given.handle)?, Password::new(given.password)?))
}

/// What the program calls itself to servers.
pub(super) fn agent(ClientInfo { name, version }: &ClientInfo) -> String {
    format!("{name}/{version}")
}

fn device_name(client: &ClientInfo) -> Name {
    let text = format!("{} on {}", client.name, std::env::consts::OS);
    Name::new(text).unwrap_or_else(|_| Name::new("Ahoy").expect("a good name"))
}

async fn listen(
    signaling: Signaling,
    mut events: mpsc::Receiver<CallsEvent>,
    history: Option<History>,
    told: Teller,
) {
    while let Some(event) = events.recv().await {
        match event {
            CallsEvent::Signaling(event) => on_signaling(&signaling, history.as_ref(), &told, event),
            CallsEvent::Changed(snapshot) => {
                told.change(|known| known.of_contacts = CallsView::of(&snapshot))
            }
            CallsEvent::Ended(ended, report) => {
                if let Some(history) = &history
                    && let Err(error) = history.call(ended.record.clone()).await
                {
                    tracing::error!(%error, "a call is missing in the history");
                }
                let Some(report) = report else {
                    told.tell(DeskEvent::Over((*ended).into()));
                    continue;
                };
                told.change(|known| known.in_call = false);
                told.tell(DeskEvent::Ended(summary(*ended, &report)));
            }
            CallsEvent::RoomEnded(room, end, report) => {
                let left = told.change(Known::leave_room);
                tokio::spawn(forget_room(signaling.clone(), room));
                if let Some((left, report)) = left.zip(report) {
                    told.tell(DeskEvent::Ended(left.summary(&end, &report)));
                }
            }
            other => on_call(&told, other),
        }
    }
}

/// What is the same in every call.
pub(super) fn on_call(told: &Teller, event: CallsEvent) {
    match event {
        CallsEvent::Media(media) => {
            told.change(|known| known.in_call = true);
            told.tell(DeskEvent::Call(devices_of(*media)));
        }
        CallsEvent::Failed(problem) => told.tell(DeskEvent::Failed(*problem)),
        CallsEvent::Stats(stats) => told.tell(DeskEvent::Stats(*stats)),
        CallsEvent::Room(calls) => told.change(|known| {
            if let Some(room) = &mut known.room {
                room.on_calls(*calls);
            }
        }),
        // The snapshot that follows shows what rings.
        CallsEvent::Rings(_)
        | CallsEvent::Changed(_)
        | CallsEvent::Ended(..)
        | CallsEvent::RoomEnded(..)
        | CallsEvent::Signaling(_) => {}
    }
}

/// What happens in a room.
pub(super) fn on_room(told: &Teller, room: RoomId, event: &RoomEvent) {
    let new_line = told.change(|known| {
        let talk = known.room.as_mut().filter(|talk| talk.room() == room);
        talk.is_some_and(|talk| talk.on_event(event))
    });
    if new_line {
        told.tell(DeskEvent::MessagesChanged);
    }
}

fn on_signaling(signaling: &Signaling, history: Option<&History>, told: &Teller, event: SignalingEvent) {
    let connection = |connection| told.change(|known| known.snapshot.connection = connection);
    match event {
        SignalingEvent::Online { resumed } => {
            connection(Connection::Online);
            if !resumed {
                history.iter().for_each(|history| history.online());
                let (signaling, told) = (signaling.clone(), told.clone());
                tokio::spawn(async move {
                    // Where it fails the connection is lost, and the next one brings them.
                    if let Ok(contacts) = signaling.contacts().await {
                        told.change(|known| {
                            known.contacts =
                                contacts.into_iter().map(|contact| (contact.user, contact)).collect();
                        });
                    }
                });
            }
        }
        SignalingEvent::Offline { .. } => connection(Connection::Connecting),
        SignalingEvent::GaveUp(_) => connection(Connection::GaveUp),
        SignalingEvent::Ended(_) => connection(Connection::SignedOut),
        SignalingEvent::Contact(contact) => told.contact(contact),
        SignalingEvent::ContactGone(user) => told.change(|known| drop(known.contacts.remove(&user))),
        SignalingEvent::Inbox(entry) => history.iter().for_each(|history| history.told((*entry).clone())),
        SignalingEvent::Room { room, event } => on_room(told, room, &event),
        SignalingEvent::CallIncoming { .. }
        | SignalingEvent::CallAnswered { .. }
        | SignalingEvent::CallEnded { .. } => {}
    }
}

/// The devices of a call, as the window shows those of any call.
fn devices_of(media: MediaSnapshot) -> CallSnapshot {
    CallSnapshot {
        phase: CallPhase::Running,
        muted: media.muted,
        camera: media.camera,
        microphone: media.microphone,
        speaker: media.speaker,
        problems: media.problems,
    }
}

/// What a call is asked for with.
pub(super) fn media_of(video: bool) -> CallMedia {
    if video { CallMedia::Video } else { CallMedia::Audio }
}

/// A call as the window names it.
pub(super) fn call_id(text: &str) -> Result<CallId, DeskError> {
    text.parse().map_err(|_| DeskError::NoCall)
}
