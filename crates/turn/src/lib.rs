//! A STUN and TURN relay (RFC 8489, RFC 8656), over UDP, TCP and TLS, that relays UDP.
//!
//! Calls whose two sides can't reach each other go through it. Whoever may use it shows credentials that expire, which whoever
//! knows the shared [`Secret`] makes without asking the relay (`draft-uberti-behave-turn-rest-00`), as for other TURN servers.
//!
//! How it is put together: a listener hands what comes from one client to that client's task (`client`), which owns the
//! client's sockets. What decides is pure. The `door` answers whatever needs no memory, and lets requests in whose
//! signature is right: nothing is remembered of anybody who has not shown credentials. A `session` decides for one client
//! with an allocation, and asks the `policy` whom it may reach, the `quota` how much it may have, and the `engine`, in
//! which the protocol library keeps allocation, permissions and channels.

#![forbid(unsafe_code)]

mod address;
mod answer;
mod bucket;
mod client;
mod credentials;
mod door;
mod engine;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod link;
mod listener;
mod measure;
mod moment;
mod networks;
mod nonce;
mod permits;
mod policy;
mod ports;
mod quota;
mod relay;
mod session;
mod stopping;
mod strangers;

pub use credentials::{Credentials, CredentialsError, Secret};
pub use networks::{IpNet, NotANetwork};
pub use quota::Limits;
pub use relay::{IfTaken, Relay, RelayConfig, RelayError, TlsListen, TlsSource};
