//! The client's side of signaling.
#![forbid(unsafe_code)]

mod reach;
pub mod room;
pub mod session;
pub use reach::ReachError;
