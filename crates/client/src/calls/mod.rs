//! Calls with other people: what [`ahoy_call::CallMachine`] decides, carried out.
//!
//! [`Calls::start`] takes over a session's events: what is about calls goes into the machine, everything is passed on. One
//! task (`runner.rs`) owns the machine, the legs and the media. A leg (`leg.rs`) is the connection to one participant,
//! again a task; devices and codecs (`media.rs`) outlive it, so that a connection that begins anew opens no camera.

mod active;
mod leg;
mod media;
mod report;
mod runner;
mod view;
mod wire;

use std::net::SocketAddr;

pub use ahoy_call::{
    CallRecord, CallSnapshot, CommandError, CurrentCall, Direction, IncomingCall, LegSnapshot, LegStatus,
    MediaState, Outcome, PeerId, RoomCallSnapshot, StageName,
};
pub use ahoy_rtc::Policy;
use ahoy_signal::{CallId, CallMedia, CallPeer, LeaveReason, Refusal, RoomId};
use tokio::sync::{mpsc, oneshot};

pub use self::media::{CallScreen, MediaError, MediaOptions, MediaSnapshot};
pub use self::report::{CallReport, CallSetup, EndedCall, ReceivedReport, SCHEMA_VERSION, SentReport};
use self::runner::Runner;
use crate::media::CallStats;
use crate::problem::Problem;
use crate::signaling::{Signaling, SignalingEvent, SignalingEvents};
use crate::transfers::Transfers;

/// Commands that the task has not looked at. When it is full, whoever commands waits.
const COMMANDS: usize = 16;
/// Events that nobody has taken yet. When it is full, figures are left out; for anything else the task waits, and with it
/// what is new from the server.
const EVENTS: usize = 256;

/// How calls are made.
#[derive(Clone, Debug, Default)]
pub struct CallsOptions {
    /// What is sent, and where what comes goes.
    pub media: MediaOptions,
    /// Local addresses to use; all if empty.
    pub bind: Vec<SocketAddr>,
    /// Which ways to the other side may be used.
    pub policy: Policy,
    /// Files that go to and come from those who one talks to.
    pub transfers: Option<Transfers>,
}

/// What happens.
#[derive(Debug)]
pub enum CallsEvent {
    /// Something about the session, the contacts or the rooms.
    Signaling(SignalingEvent),
    /// The calls are like this now.
    Changed(Box<CallSnapshot>),
    /// A call begins to ring here.
    Rings(Box<IncomingCall>),
    /// The devices of the call are like this now.
    Media(Box<MediaSnapshot>),
    /// This machine can't take part in a call: it ends.
    Failed(Box<Problem>),
    /// The figures of the last half second of the call.
    Stats(Box<CallStats>),
    /// A call is over, or rings no longer; devices are let go. With a report where this side took part in it.
    Ended(Box<EndedCall>, Option<Box<CallReport>>),
    /// The room that one talks in is like this now.
    Room(Box<RoomCallSnapshot>),
    /// One does not talk in a room any more; devices are let go.
    RoomEnded(RoomId, RoomEnd, Option<Box<CallReport>>),
}

/// Why one does not talk in a room any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEnd {
    /// One has left, or taken a call.
    Left,
    /// One was made to leave.
    Out(LeaveReason),
    /// One was not let in.
    Refused(Refusal),
}

/// All calls of a session. They end when the last clone of this is dropped.
#[derive(Clone, Debug)]
pub struct Calls {
    commands: mpsc::Sender<Command>,
}

enum Command {
    Machine(ahoy_call::Command, Reply),
    Enter(RoomId, CallMedia, Reply),
    Mute(bool, Reply),
    Camera(bool, Reply),
    Follow(Box<CallsOptions>),
    Retry,
}

type Reply = oneshot::Sender<Result<(), CommandError>>;

impl Calls {
    /// Takes over the events of a session. Must be called on a tokio runtime.
    pub fn start(
        signaling: &Signaling,
        events: SignalingEvents,
        options: CallsOptions,
    ) -> (Self, mpsc::Receiver<CallsEvent>) {
        let (commands, to_do) = mpsc::channel(COMMANDS);
        let (told, events_out) = mpsc::channel(EVENTS);
        tokio::spawn(Runner::new(signaling.clone(), options, told).run(events, to_do));
        (Self { commands }, events_out)
    }

    /// Calls somebody; [`CallsEvent`]s tell how it goes.
    ///
    /// # Errors
    /// [`CommandError`], as with everything here; then nothing has changed.
    pub async fn call(&self, peer: CallPeer, media: CallMedia) -> Result<CallId, CommandError> {
        let call = CallId::from_bits(rand::random());
        self.machine(ahoy_call::Command::Call { call, peer, media }).await?;
        Ok(call)
    }

    /// Enters a room and talks with everybody who is there; [`CallsEvent`]s tell how it goes. [`hang_up`](Self::hang_up)
    /// leaves it.
    ///
    /// # Errors
    /// [`CommandError::InCall`].
    pub async fn enter(&self, room: RoomId, media: CallMedia) -> Result<(), CommandError> {
        self.ask(|reply| Command::Enter(room, media, reply)).await
    }

    /// Takes a call that rings. A call that one is in ends.
    ///
    /// # Errors
    /// [`CommandError::NotRinging`].
    pub async fn accept(&self, call: CallId, media: CallMedia) -> Result<(), CommandError> {
        self.machine(ahoy_call::Command::Accept { call, media }).await
    }

    /// Declines a call that rings, at all of one's devices.
    ///
    /// # Errors
    /// [`CommandError::NotRinging`].
    pub async fn decline(&self, call: CallId) -> Result<(), CommandError> {
        self.machine(ahoy_call::Command::Decline { call }).await
    }

    /// Ends the call that one is in, or gives up calling.
    ///
    /// # Errors
    /// [`CommandError::NoCall`].
    pub async fn hang_up(&self) -> Result<(), CommandError> {
        self.machine(ahoy_call::Command::HangUp).await
    }

    /// Puts the call on hold, or goes on.
    ///
    /// # Errors
    /// [`CommandError::NoCall`].
    pub async fn hold(&self, on: bool) -> Result<(), CommandError> {
        self.machine(ahoy_call::Command::Hold(on)).await
    }

    /// Holds one's own sound back, or lets it go again.
    ///
    /// # Errors
    /// [`CommandError::NoCall`].
    pub async fn set_muted(&self, muted: bool) -> Result<(), CommandError> {
        self.ask(|reply| Command::Mute(muted, reply)).await
    }

    /// Opens the camera, or closes it.
    ///
    /// # Errors
    /// [`CommandError::NoCall`].
    pub async fn set_camera_on(&self, on: bool) -> Result<(), CommandError> {
        self.ask(|reply| Command::Camera(on, reply)).await
    }

    /// Other devices, from now on and in the call that one is in; other ways to others from the next call on.
    pub async fn follow(&self, options: CallsOptions) {
        // A session that is over has no calls.
        let _ = self.commands.send(Command::Follow(Box::new(options))).await;
    }

    /// Tries again to open those devices of the call that could not be opened.
    pub async fn retry_devices(&self) {
        // A session that is over has no calls.
        let _ = self.commands.send(Command::Retry).await;
    }

    async fn machine(&self, command: ahoy_call::Command) -> Result<(), CommandError> {
        self.ask(|reply| Command::Machine(command, reply)).await
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        // A session that is over has no calls.
        self.commands.send(command(reply)).await.map_err(|_| CommandError::NoCall)?;
        answer.await.unwrap_or(Err(CommandError::NoCall))
    }
}
