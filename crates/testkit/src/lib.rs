//! What Ahoy's tests and benches stand on: virtual time, an emulated network link, and stand-ins for devices.
//!
//! - [`clock`]: virtual time for pure machines.
//! - `lab`: sound devices, cameras, and networks behind NATs (Linux).
//! - `namespace`: network namespaces (Linux, root).
//! - [`link`]: the pure link model with its packet log.
//! - `signaling_server`: the real signaling server (feature `server`).
//! - [`wire`]: the same model between real sockets.

pub mod clock;
#[cfg(target_os = "linux")]
pub mod lab;
pub mod link;
#[cfg(target_os = "linux")]
pub mod namespace;
#[cfg(feature = "server")]
pub mod signaling_server;
#[cfg(unix)]
pub mod wire;

pub use clock::{Scheduler, VirtualClock};
pub use link::{Link, LinkConfig, LinkConfigBuilder, Loss, RateSchedule, Trace};
#[cfg(feature = "server")]
pub use signaling_server::SignalingServer;
#[cfg(unix)]
pub use wire::{Direction, LinkHandle, Side, UdpRelay};
