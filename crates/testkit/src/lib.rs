//! What Ahoy's tests and benches stand on: virtual time, an emulated network link, and stand-ins for devices.
//!
//! - [`clock`]: virtual time for pure machines.
//! - [`link`]: the pure link model with its packet log.

pub mod clock;
pub mod link;

pub use clock::{Scheduler, VirtualClock};
pub use link::{Link, LinkConfig, LinkConfigBuilder, Loss, RateSchedule};
