//! The client's side of signaling: a session that outlives its connections, rooms kept like everybody's, accounts over HTTP.
//!
//! - [`session`] and [`room`] decide: pure machines, which take the time and give what is to be done.
//! - [`Client`] does it: a task with one WebSocket, a timer, and bounded channels to those who use it.
//! - [`Knocker`] finds out how far one gets on the way to a server.
//! - [`Http`] asks what is asked over HTTP, [`TokenKeeper`] gives both their tokens.

#![forbid(unsafe_code)]

mod address;
mod client;
mod connection;
mod http;
mod http_head;
mod knock;
mod reach;
pub mod room;
mod runner;
pub mod session;
mod tokens;
mod trust;

pub use address::{AddressError, InviteLink, PlainHttp, ServerUrl};
pub use client::{Client, ClientEvent, ClientOptions, PostId, RoomView};
pub use http::Http;
pub use knock::{CertificateFault, KnockError, Knocked, Knocker, LookUpError, Way};
pub use reach::ReachError;
pub use tokens::{MemoryVault, OpenVault, RefreshVault, TokenError, TokenKeeper, VaultError};
pub use trust::{Fingerprint, NoFingerprint, Trust, TrustError};
