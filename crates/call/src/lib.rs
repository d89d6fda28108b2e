//! Calls as one device sees them, decided without I/O.
//!
//! [`CallMachine`] is told what its user wants ([`Command`]), what the signaling server, the other side and the network say
//! ([`Input`]), and that time has passed; it says what to do ([`Output`]) and shows itself as a [`CallSnapshot`]. It reads no
//! clock and opens no socket, so that a call of hours, with everything that can go wrong in it, is tested in milliseconds.
//!
//! Three things are kept apart, because they fail apart:
//! - **the call** is what the two people have agreed on; it ends when one of them says so, or when nothing gets through for
//!   too long;
//! - **signaling** brings it about. A server that restarts or can't be reached leaves a call alone: what is to be told then
//!   goes over the leg itself;
//! - **the leg** to each other participant has a connection that may come, go and come back.
//!
//! A call has legs by [`PeerId`]. Between two people there is one; a third is turned away until calls of several come.

#![forbid(unsafe_code)]

mod control;
mod current;
mod events;
mod incoming;
mod leg;
mod links;
mod machine;
mod room;
mod snapshot;

pub use control::{CONTROL_LONGEST, Control, ControlError, MediaState, View};
pub use events::{Command, CommandError, Input, Outcome, Output, PeerId};
pub use leg::LinkState;
pub use links::{LinkMachine, LinksInput, LinksOutput};
pub use machine::CallMachine;
pub use room::{RoomCall, RoomCallSnapshot, RoomInput};
pub use snapshot::{
    CallRecord, CallSnapshot, CurrentCall, Direction, IncomingCall, LegSnapshot, LegStatus, StageName,
};
