//! What a person in front of the window can do, in one place: settings, devices, the preview, the test call.
//!
//! The window and its shell hold no state of their own: they call this, and show what [`DeskEvent`]s tell.

mod arrivals;
mod call;
mod preview;
mod speaker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use ahoy_media::capture::Stamping;
use ahoy_media_types::MediaClock;
use serde::Serialize;
use tokio::sync::Mutex;

pub use self::call::CallSummary;
pub use self::preview::{MicrophoneLevel, PreviewSnapshot};
pub use self::speaker::SpeakerError;

use self::arrivals::{Arrivals, retry};
use self::call::TestCall;
use self::preview::Preview;
use crate::devices::{self, Devices};
use crate::loopback::{CallCommand, CallSnapshot, CallStats};
use crate::picture_socket::{Access, PictureSocket, SocketError};
use crate::problem::{Problem, ProblemCode};
use crate::settings::{Settings, SettingsChange, SettingsError, SettingsStore};

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
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Settings were not changed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The speaker can't be heard.
    #[error(transparent)]
    Speaker(#[from] SpeakerError),
    /// There is a call already.
    #[error("a test call is running: hang it up first")]
    Busy,
    /// There is no call.
    #[error("there is no call: start one first")]
    NoCall,
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let code = match &error {
            DeskError::Settings(SettingsError::Name) => ProblemCode::NameRefused,
            DeskError::Settings(SettingsError::Write { .. }) => ProblemCode::SettingsNotKept,
            DeskError::Speaker(SpeakerError::Device(error)) => return Self::speaker(error),
            DeskError::Speaker(SpeakerError::Gone) => ProblemCode::SpeakerUnusable,
            DeskError::Busy => ProblemCode::CallRunning,
            DeskError::NoCall => ProblemCode::NoCall,
        };
        Self::new(code, error.to_string())
    }
}

/// The desk. Dropping it lets go of everything; [`close`](Self::close) does so in good order.
pub struct Desk {
    options: DeskOptions,
    clock: MediaClock,
    listener: DeskListener,
    socket: Arc<PictureSocket>,
    settings: StdMutex<SettingsStore>,
    call: Arc<Mutex<Option<TestCall>>>,
    preview: Arc<Mutex<Option<Preview>>>,
    arrivals: Arrivals,
}

impl Desk {
    /// Reads the settings and makes pictures available. Must be called on a tokio runtime, as everything here.
    ///
    /// # Errors
    /// [`SocketError`].
    pub async fn open(options: DeskOptions, listener: DeskListener) -> Result<Self, SocketError> {
        let clock = MediaClock::start();
        let socket = Arc::new(PictureSocket::start(options.origins.clone()).await?);
        let settings = StdMutex::new(SettingsStore::open(options.settings.clone()));
        let (call, preview) = (Arc::default(), Arc::default());
        let arrivals = Arrivals::watch(Arc::clone(&call), Arc::clone(&preview), Arc::clone(&listener));
        Ok(Self { options, clock, listener, socket, settings, call, preview, arrivals })
    }

    /// The settings as they are.
    pub fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).get().clone()
    }

    /// Changes settings; a running call or preview goes over to other devices and another picture size.
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
        let same = (&before.camera, &before.microphone, before.picture)
            == (&now.camera, &now.microphone, now.picture);
        let mut preview = self.preview.lock().await;
        if !same && let Some(running) = preview.take() {
            running.stop().await;
            *preview = Some(self.new_preview());
        }
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
        if self.call.lock().await.as_ref().is_some_and(TestCall::is_running) {
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

    /// Plays a sound at the speaker; returns when it has been heard.
    ///
    /// # Errors
    /// [`DeskError::Speaker`].
    pub async fn test_speaker(&self) -> Result<(), DeskError> {
        Ok(speaker::play(&self.settings(), self.clock).await?)
    }

    /// Starts a test call with the devices of the settings.
    ///
    /// # Errors
    /// [`DeskError::Busy`] while there is one.
    pub async fn start_test_call(&self) -> Result<(), DeskError> {
        let mut call = self.call.lock().await;
        if call.as_ref().is_some_and(TestCall::is_running) {
            return Err(DeskError::Busy);
        }
        // The devices are needed.
        self.stop_preview().await;
        let listener = Arc::clone(&self.listener);
        *call = Some(TestCall::start(self.settings(), &self.socket, self.options.stamping, listener));
        Ok(())
    }

    /// Ends the call and returns, when all devices are let go, what it was worth; also of a call that has just ended by
    /// itself. `None` where there was none.
    pub async fn hang_up(&self) -> Option<CallSummary> {
        let call = self.call.lock().await.take()?;
        call.hang_up().await
    }

    /// Holds one's own sound back in the call, or lets it go again.
    ///
    /// # Errors
    /// [`DeskError::NoCall`].
    pub async fn set_muted(&self, muted: bool) -> Result<(), DeskError> {
        self.tell_call(CallCommand::Mute(muted)).await
    }

    /// Switches the camera off, which closes it, or on again.
    ///
    /// # Errors
    /// [`DeskError::NoCall`].
    pub async fn set_camera_on(&self, on: bool) -> Result<(), DeskError> {
        let camera = on.then(|| call::camera(&self.settings()));
        self.tell_call(CallCommand::Video(camera)).await
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

    /// What a page needs to draw one stream.
    pub fn picture_access(&self) -> Access {
        self.socket.access()
    }

    /// Hangs up and lets all devices go.
    pub async fn close(&self) {
        self.hang_up().await;
        self.stop_preview().await;
    }
}
