//! What goes into the machine, and what comes out.

use std::time::Duration;

use ahoy_signal::{
    CallEnd, CallId, CallMedia, CallPeer, CallSignal, CallSummary, ClientMessage, ErrorCode, ParticipantId,
    ServerMessage, UserId,
};
use serde::{Deserialize, Serialize};

use crate::control::{Control, MediaState, View};
use crate::leg::LinkState;
use crate::snapshot::CallRecord;

/// Who is at the other end of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerId {
    /// A contact who was called or who calls.
    User(UserId),
    /// Someone in the same room.
    Participant(ParticipantId),
}

/// What the user wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Call somebody.
    Call {
        /// The call, new: random bits.
        call: CallId,
        /// Whom.
        peer: CallPeer,
        /// With pictures or without.
        media: CallMedia,
    },
    /// Take a call that rings. A call that one is in ends.
    Accept {
        /// Which.
        call: CallId,
        /// With pictures or without, whatever the caller proposes.
        media: CallMedia,
    },
    /// Decline a call that rings, at all of one's devices.
    Decline {
        /// Which.
        call: CallId,
    },
    /// End the call that one is in, or give up calling.
    HangUp,
    /// Put the call on hold, or go on.
    Hold(bool),
    /// Microphone or camera went on or off.
    SetMedia(MediaState),
    /// The pictures of one participant are shown in this size, or not at all. They are told where that is news to them.
    SetView {
        /// Whose.
        peer: PeerId,
        /// In which size.
        view: Option<View>,
    },
}

/// Why a command has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// One is in a call or calls somebody.
    #[error("you are in a call: hang up first")]
    InCall,
    /// One is in no call.
    #[error("there is no call")]
    NoCall,
    /// The call does not ring here any more.
    #[error("this call does not ring any more")]
    NotRinging,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// There is a new signaling session: the server may have forgotten what the last one was in.
    SessionBegan {
        /// The calls that it knows of.
        calls: Vec<CallSummary>,
    },
    /// The server refuses what [`Output::Ask`] said about this call.
    Refused {
        /// Which call.
        call: CallId,
        /// Why.
        code: ErrorCode,
    },
    /// It rings at the other's devices.
    Ringing {
        /// Which call.
        call: CallId,
        /// For how long at most.
        timeout: Duration,
    },
    /// Somebody calls.
    Incoming {
        /// Which call.
        call: CallId,
        /// Who.
        from: CallPeer,
        /// With pictures or without.
        media: CallMedia,
        /// For how long it rings at most.
        timeout: Duration,
    },
    /// A call was answered, and this device is in it.
    Answered {
        /// Which call; where both called, the other one's.
        call: CallId,
        /// With whom.
        peer: CallPeer,
        /// Whether this side makes the offer.
        offers: bool,
    },
    /// The other side says this, through the server.
    Signal {
        /// Which call.
        call: CallId,
        /// What.
        signal: CallSignal,
    },
    /// The server says that a call is over.
    Ended {
        /// Which.
        call: CallId,
        /// Why.
        reason: CallEnd,
    },
    /// The connection of a leg is now like this.
    Link {
        /// Whose leg.
        peer: PeerId,
        /// How it is.
        state: LinkState,
    },
    /// This side of a leg has something to tell the other side.
    LocalSignal {
        /// Whose leg.
        peer: PeerId,
        /// What.
        signal: CallSignal,
    },
    /// The other side says this, over the leg.
    Control {
        /// Whose leg.
        peer: PeerId,
        /// What.
        message: Control,
    },
    /// Time has passed: [`crate::CallMachine::deadline`].
    Tick,
}

impl Input {
    /// What a message of the server means for calls, be it news or the answer to [`Output::Ask`]; `None` for all that is not
    /// about calls. A refusal says nothing of its call: [`Input::Refused`] is for whoever asked to make.
    pub fn of_server(message: ServerMessage) -> Option<Self> {
        let seconds = |timeout_s: u32| Duration::from_secs(timeout_s.into());
        Some(match message {
            ServerMessage::Welcome(welcome) => Self::SessionBegan { calls: welcome.calls },
            ServerMessage::CallRinging { call, timeout_s, .. } => {
                Self::Ringing { call, timeout: seconds(timeout_s) }
            }
            ServerMessage::CallIncoming { call, from, media, timeout_s } => {
                Self::Incoming { call, from, media, timeout: seconds(timeout_s) }
            }
            ServerMessage::CallAnswered { call, peer, offers } => Self::Answered { call, peer, offers },
            ServerMessage::CallSignal { call, signal } => Self::Signal { call, signal },
            ServerMessage::CallEnded { call, reason } => Self::Ended { call, reason },
            ServerMessage::Resumed { .. }
            | ServerMessage::Done {}
            | ServerMessage::Error(_)
            | ServerMessage::Pong {}
            | ServerMessage::Reconnect { .. }
            | ServerMessage::IceServers { .. }
            | ServerMessage::Contacts { .. }
            | ServerMessage::Contact { .. }
            | ServerMessage::ContactGone { .. }
            | ServerMessage::Inbox { .. }
            | ServerMessage::InboxEntry { .. }
            | ServerMessage::Rooms { .. }
            | ServerMessage::Room { .. }
            | ServerMessage::Joined { .. }
            | ServerMessage::Waiting { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::Delta { .. }
            | ServerMessage::Snapshot { .. }
            | ServerMessage::Checkpoint { .. }
            | ServerMessage::Lobby { .. }
            | ServerMessage::MuteRequested { .. }
            | ServerMessage::RoomSignal { .. }
            | ServerMessage::Link { .. } => return None,
        })
    }
}

/// What to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this to the server. A refusal comes back as [`Input::Refused`].
    Ask(ClientMessage),
    /// Open the devices: somebody is to be talked to. Legs follow, one after the other or together.
    BeginMedia {
        /// Whether the camera is on from the beginning.
        camera: bool,
    },
    /// Let the devices go. All legs are closed before.
    EndMedia,
    /// Begin a leg; one that exists begins anew.
    OpenLeg {
        /// To whom.
        peer: PeerId,
        /// Whether this side makes the offer. It is the impolite one of perfect negotiation (W3C WebRTC section 10.7).
        offers: bool,
    },
    /// End a leg, after what was told over it before is on its way.
    CloseLeg {
        /// To whom.
        peer: PeerId,
    },
    /// Give a leg what the other side says.
    Deliver {
        /// Whose leg.
        peer: PeerId,
        /// What.
        signal: CallSignal,
    },
    /// Look for a new path to the other side.
    RestartIce {
        /// Whose leg.
        peer: PeerId,
    },
    /// Tell the other side this, over the leg.
    Tell {
        /// Whose leg.
        peer: PeerId,
        /// What.
        message: Control,
    },
    /// The other side shows what it gets in this size, or not at all: send it nothing larger.
    View {
        /// Over which leg.
        peer: PeerId,
        /// In which size. It is not looked at here whether that can be.
        view: Option<View>,
    },
    /// Send and play nothing, or go on.
    Hold(bool),
    /// A call begins to ring here.
    Rings(CallId),
    /// A call is over, or rings no longer: for the history.
    Over(CallRecord),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// This side hung up.
    HungUpHere,
    /// The other side hung up.
    HungUpThere,
    /// This side gave up calling.
    Cancelled,
    /// This side declined.
    DeclinedHere,
    /// The other side declined.
    Declined,
    /// The other side is in another call.
    Busy,
    /// The other side did not answer.
    NoAnswer,
    /// The other side has no device online.
    Offline,
    /// It rang here, and nobody took it.
    Missed,
    /// Another device of the same user took it.
    AnsweredElsewhere,
    /// Another device of the same user declined it.
    DeclinedElsewhere,
    /// The two sides found no path to each other.
    NoConnection,
    /// The path was lost and did not come back.
    ConnectionLost,
    /// The server could not be asked in time.
    NoServer,
    /// The server does not allow it.
    Refused {
        /// Why.
        code: ErrorCode,
    },
}
