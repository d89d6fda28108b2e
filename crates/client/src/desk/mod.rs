//! What a person in front of the window can do, in one place: settings, devices, the preview, the test call.
//!
//! The window and its shell hold no state of their own: they call this, and show what [`DeskEvent`]s tell.

mod arrivals;
mod call;
mod check;
mod error;
mod files;
mod hosted;
mod known;
mod of_people;
mod past;
mod people;
mod person_call;
mod preview;
mod room;
mod sound;
mod speaker;
mod visit;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use ahoy_media::capture::Stamping;
use ahoy_media_types::MediaClock;
use serde::Serialize;
use tokio::sync::Mutex;

pub use self::call::CallSummary;
pub use self::error::DeskError;
pub use self::files::{LeftOutFile, LeftOutReason, PickedFiles, SentFiles};
pub use self::known::{Connection, Me, PeopleSnapshot};
pub use self::past::RecentCall;
pub use self::people::{Credentials, PeopleOptions};
pub use self::person_call::{CallEnding, CallStage, CallsView, Ending, LobbyGuest, PersonCall, RingingCall};
pub use self::preview::{MicrophoneLevel, PreviewSnapshot};
pub use self::room::{CallLink, QrCode};
pub use self::speaker::SpeakerError;
pub use self::visit::Invitation;

use self::arrivals::{Arrivals, retry};
use self::call::TestCall;
use self::check::ConnectionCheck;
use self::files::Pick;
use self::people::People;
use self::preview::Preview;
use self::speaker::Ringer;
use crate::calls::{CallScreen, CallsOptions, MediaOptions, Policy};
use crate::devices::{self, Devices};
use crate::doctor::Progress;
use crate::host::{Nearby, NearbyCall, Network, ServerRunner};
use crate::loopback::{CallCommand, CallSnapshot, CallStats};
use crate::picture_socket::{Access, PictureSocket, SocketError};
use crate::problem::Problem;
use crate::settings::{Settings, SettingsChange, SettingsStore};
use crate::transfers::TransferView;

/// What the window is told.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum DeskEvent {
    /// The call is like this now.
    Call(CallSnapshot),
    /// The figures of the last half second of the call.
    Stats(CallStats),
    /// The call is over.
    Ended(CallSummary),
    /// How loud the microphone of the preview is.
    Level(MicrophoneLevel),
    /// Devices have come or gone: these are there now.
    Devices(Devices),
    /// The preview is like this now.
    Preview(PreviewSnapshot),
    /// The settings are like this now.
    Settings(Settings),
    /// Who is signed in, the connection and the contacts are like this now.
    People(PeopleSnapshot),
    /// Calls with people are like this now.
    Calls(CallsView),
    /// A call that this machine had no part in is over: it rang here and was not taken, or one was not let in.
    Over(CallEnding),
    /// These calls are there on the network now.
    Nearby(Vec<NearbyCall>),
    /// The examination of the connection is so far.
    ConnectionCheck(Progress),
    /// A link was opened: [`Desk::take_invitation`] has it.
    Invited,
    /// Messages have come or are further: whoever shows them asks again.
    MessagesChanged,
    /// Calls are new in the history: whoever shows them asks again.
    RecentCallsChanged,
    /// A transfer of files is new, or like this now.
    Transfer(TransferView),
    /// Somebody drags files over the window, or does so no longer.
    FilesDragged(bool),
    /// Somebody has picked files to send, and has to say to whom.
    FilesPicked(PickedFiles),
    /// This machine can't take part in a call, or can't keep what was written.
    Failed(Problem),
}

/// Is told what happens, on whichever thread it happens: must return at once.
pub type DeskListener = Arc<dyn Fn(DeskEvent) + Send + Sync>;

/// Where things are and what is unusual.
#[derive(Clone, Debug)]
pub struct DeskOptions {
    /// The settings file.
    pub settings: PathBuf,
    /// Pages that may draw pictures, such as `tauri://localhost`.
    pub origins: Vec<String>,
    /// Whether pictures carry their number and capture time, for tests that look at the window.
    pub stamping: Stamping,
    /// Where sign-ins are kept, and how the program names itself.
    pub people: PeopleOptions,
    /// How calls are hosted here.
    pub host: HostOptions,
}

impl DeskOptions {
    /// Everything in one folder, for a program whose window nobody looks at.
    pub fn in_folder(folder: &Path, people: PeopleOptions) -> Self {
        Self {
            settings: folder.join("settings.json"),
            origins: Vec::new(),
            stamping: Stamping::Off,
            people,
            host: HostOptions::default(),
        }
    }
}

/// How calls are hosted here, and found.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// What runs the server; without it no call is hosted.
    pub runner: Option<Arc<dyn ServerRunner>>,
    /// Which networks are asked and told.
    pub network: Network,
}

/// The settings, for whoever has to look at them as they are now.
type SharedSettings = Arc<StdMutex<SettingsStore>>;

/// The desk. Dropping it lets go of everything; [`close`](Self::close) does so in good order.
pub struct Desk {
    options: DeskOptions,
    clock: MediaClock,
    listener: DeskListener,
    socket: Arc<PictureSocket>,
    settings: SharedSettings,
    call: Arc<Mutex<Option<TestCall>>>,
    preview: Arc<Mutex<Option<Preview>>>,
    arrivals: Arrivals,
    people: People,
    ringer: Arc<Ringer>,
    invitation: StdMutex<Option<Invitation>>,
    pick: Pick,
    nearby: Mutex<Option<Nearby>>,
    connection_check: ConnectionCheck,
}

impl Desk {
    /// Reads the settings and makes pictures available. Must be called on a tokio runtime, as everything here.
    ///
    /// # Errors
    /// [`SocketError`].
    pub async fn open(options: DeskOptions, listener: DeskListener) -> Result<Self, SocketError> {
        let clock = MediaClock::start();
        let socket = Arc::new(PictureSocket::start(options.origins.clone()).await?);
        let settings = Arc::new(StdMutex::new(SettingsStore::open(options.settings.clone())));
        let (call, preview) = (Arc::default(), Arc::default());
        let arrivals = Arrivals::watch(Arc::clone(&call), Arc::clone(&preview), Arc::clone(&listener));
        let store = settings.lock().unwrap_or_else(PoisonError::into_inner).get().clone();
        let ringer = Arc::new(Ringer::start(&store, clock));
        let told = heard(Arc::clone(&ringer), Arc::clone(&listener));
        let people = People::new(options.people.clone(), Arc::clone(&settings), told);
        Ok(Self {
            options,
            clock,
            listener,
            socket,
            settings,
            call,
            preview,
            arrivals,
            people,
            ringer,
            invitation: StdMutex::default(),
            pick: Pick::default(),
            nearby: Mutex::default(),
            connection_check: ConnectionCheck::default(),
        })
    }

    /// The settings as they are.
    pub fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).get().clone()
    }

    /// Changes settings; a running call or preview goes over to other devices and another picture size, and saves
    /// power, or does not, from the next picture on.
    ///
    /// # Errors
    /// [`DeskError::Settings`]; then nothing has changed.
    pub async fn change_settings(&self, change: SettingsChange) -> Result<Settings, DeskError> {
        let (before, now) = {
            let mut store = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            let before = store.get().clone();
            (before, store.change(change)?.clone())
        };
        if let Some(call) = self.call.lock().await.as_mut() {
            call.follow(&before, &now).await;
        }
        let options = calls_options(&now, &self.socket, self.options.stamping);
        for calls in self.people.all_calls().await {
            calls.follow(options.clone()).await;
        }
        let same = (&before.camera, &before.microphone, before.picture)
            == (&now.camera, &now.microphone, now.picture);
        let mut preview = self.preview.lock().await;
        if !same && let Some(running) = preview.take() {
            running.stop().await;
            *preview = Some(self.new_preview());
        }
        self.ringer.use_devices_of(&now);
        (self.listener)(DeskEvent::Settings(now.clone()));
        Ok(now)
    }

    /// The machine's devices. Takes up to a few seconds where a driver is slow.
    pub async fn devices(&self) -> Devices {
        devices::list_in_background().await
    }

    /// Shows the camera's picture and tells the microphone's level, without a call. Nothing happens if that is so already.
    ///
    /// # Errors
    /// [`DeskError::Busy`] during a call, which has the devices.
    pub async fn start_preview(&self) -> Result<(), DeskError> {
        if self.in_call().await {
            return Err(DeskError::Busy);
        }
        let mut preview = self.preview.lock().await;
        if preview.is_none() {
            *preview = Some(self.new_preview());
        }
        Ok(())
    }

    fn new_preview(&self) -> Preview {
        Preview::start(&self.settings(), &self.socket, self.clock, Arc::clone(&self.listener))
    }

    /// Tries again to open those devices of the call or preview that could not be opened. What was lost comes back by
    /// itself.
    pub async fn retry_devices(&self) {
        retry(&self.call, &self.preview).await;
        for calls in self.people.all_calls().await {
            calls.retry_devices().await;
        }
    }

    /// Whether [`DeskEvent::Devices`] is told when devices come or go. Where it is not, whoever shows devices has to ask
    /// again when it matters.
    pub fn notices_devices(&self) -> bool {
        self.arrivals.are_noticed()
    }

    /// Lets camera and microphone go.
    pub async fn stop_preview(&self) {
        if let Some(preview) = self.preview.lock().await.take() {
            preview.stop().await;
        }
    }

    /// Plays a sound at the speaker, or at the one that rings; returns when it has been heard.
    ///
    /// # Errors
    /// [`DeskError::Speaker`].
    pub async fn test_speaker(&self, ringer: bool) -> Result<(), DeskError> {
        let settings = self.settings();
        let id = if ringer { &settings.ringer } else { &settings.speaker };
        Ok(speaker::test(speaker::device(id), self.clock).await?)
    }

    /// Starts a test call with the devices of the settings.
    ///
    /// # Errors
    /// [`DeskError::Busy`] while there is one.
    pub async fn start_test_call(&self) -> Result<(), DeskError> {
        if self.in_call().await {
            return Err(DeskError::Busy);
        }
        let mut call = self.call.lock().await;
        // The devices are needed.
        self.stop_preview().await;
        let listener = Arc::clone(&self.listener);
        *call = Some(TestCall::start(self.settings(), &self.socket, self.options.stamping, listener));
        Ok(())
    }

    /// Whether a call has the devices.
    async fn in_call(&self) -> bool {
        self.people.in_call() || self.call.lock().await.as_ref().is_some_and(TestCall::is_running)
    }

    /// Ends the test call and returns, when all devices are let go, what it was worth; also of one that has just ended by
    /// itself. `None` where there was none. A call with somebody ends too; its summary is told by [`DeskEvent::Ended`].
    pub async fn hang_up(&self) -> Option<CallSummary> {
        self.people.call_off_visit();
        if self.people.calls().current.is_some() {
            // It may have ended at this very moment.
            let _ = self.people.with_current(|calls| async move { calls.hang_up().await }).await;
        }
        let call = self.call.lock().await.take()?;
        call.hang_up().await
    }

    /// Holds one's own sound back in the call, or lets it go again.
    ///
    /// # Errors
    /// [`DeskError::NoCall`].
    pub async fn set_muted(&self, muted: bool) -> Result<(), DeskError> {
        if self.people.in_call() {
            return Ok(self
                .people
                .with_current(|calls| async move { calls.set_muted(muted).await })
                .await??);
        }
        self.tell_call(CallCommand::Mute(muted)).await
    }

    /// Switches the camera off, which closes it, or on again.
    ///
    /// # Errors
    /// [`DeskError::NoCall`].
    pub async fn set_camera_on(&self, on: bool) -> Result<(), DeskError> {
        if self.people.in_call() {
            return Ok(self
                .people
                .with_current(|calls| async move { calls.set_camera_on(on).await })
                .await??);
        }
        let camera = on.then(|| call::camera(&self.settings()));
        self.tell_call(CallCommand::Video(camera)).await
    }

    /// Whether a call can begin, which has the devices then.
    async fn ready_for_call(&self) -> Result<(), DeskError> {
        if self.call.lock().await.as_ref().is_some_and(TestCall::is_running) {
            return Err(DeskError::Busy);
        }
        self.stop_preview().await;
        Ok(())
    }

    async fn tell_call(&self, command: CallCommand) -> Result<(), DeskError> {
        match self.call.lock().await.as_mut().filter(|call| call.is_running()) {
            Some(call) => {
                call.tell(command).await;
                Ok(())
            }
            None => Err(DeskError::NoCall),
        }
    }

    /// How calls with people are made, as the settings have it.
    fn calling(&self) -> CallsOptions {
        calls_options(&self.settings(), &self.socket, self.options.stamping)
    }

    /// What a page needs to draw one stream.
    pub fn picture_access(&self) -> Access {
        self.socket.access()
    }

    /// Hangs up and lets all devices go.
    pub async fn close(&self) {
        self.stop_connection_check();
        self.hang_up().await;
        self.people.leave_visit().await;
        self.people.end().await;
        self.stop_preview().await;
    }
}

/// Calls that ring are heard, beside being told.
fn heard(ringer: Arc<Ringer>, listener: DeskListener) -> DeskListener {
    Arc::new(move |event| {
        if let DeskEvent::Calls(calls) = &event {
            ringer.follow(calls);
        }
        listener(event);
    })
}

fn calls_options(settings: &Settings, socket: &Arc<PictureSocket>, stamping: Stamping) -> CallsOptions {
    let media = MediaOptions {
        camera: call::camera(settings),
        format: call::format(settings),
        bitrate: call::bitrate(settings.picture),
        save_power: settings.save_power,
        microphone: Some(call::microphone(settings)),
        speaker: call::speaker(settings),
        stamping,
        screen: CallScreen::Window(Arc::clone(socket)),
        ..MediaOptions::default()
    };
    let policy = if settings.relay_only { Policy::RelayOnly } else { Policy::All };
    CallsOptions { media, policy, ..CallsOptions::default() }
}
