//! Finding a way to the other side of a call, and keeping it: ICE (RFC 8445), STUN (RFC 8489), TURN (RFC 8656), and the
//! sockets below them.
//!
//! [`Ice::open`] binds the sockets and gives two handles. [`Ice`] is for whoever negotiates: it takes the other side's
//! credentials and candidates and tells its own through [`IceEvent`]s. [`Wire`] is for whoever sends and receives
//! (DTLS, SRTP): one datagram pipe to the other side, whichever way leads there at the moment. It is there from the
//! beginning; what is sent before there is a way waits.
//!
//! Between the two, one task ([`agent`]) owns the state: the checks of the ICE agent (the `is` crate), the addresses that
//! are [gathered](gather), the [relays](relay), and what is known of each [path](paths). Media never passes through that
//! task, unless a relay carries it: [`Wire`] reads and writes the sockets itself.
//!
//! [`Asked`] and [`RelayProbe`] look at the network without a call, for whoever wants to know why calls do not connect.
//!
//! Three things are done otherwise than the simplest reading of the standard:
//! - Nomination is not final. The best pair that works is used at once, and a better one takes its place when it is found.
//! - Every pair that has worked is kept warm, and when the one in use falls silent, media moves to another that answers,
//!   without a word to the signaling server.
//! - When this machine's addresses change, new candidates join those that are there; no restart is needed for that.

#![forbid(unsafe_code)]

mod agent;
mod bulk;
mod candidate;
mod config;
#[doc(hidden)]
pub mod fuzzing;
mod gather;
mod lite;
mod paths;
mod probe;
mod relay;
mod socket;
mod streams;
mod view;
mod wire;

pub use agent::{Ice, IceEvent, IceEvents, IceState};
pub use bulk::Bulk;
pub use candidate::{CandidateError, CandidateKind};
pub use config::{Credentials, IceConfig, IceError, IceServer, Policy, ServerUrl, ServerUrlError, Transport};
pub use lite::{CheckAnswer, answer_check};
pub use probe::{Asked, Mapped, Mark, RelayProbe, own_addresses};
pub use relay::RelayFailure;
pub use view::{IceView, LocalView, PairView, RemoteView};
pub use wire::{Received, Wire};
