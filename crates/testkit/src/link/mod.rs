//! A model of one direction of a network path, as pure state: packets and times go in, packets come out late, in
//! another order, twice, or not at all.
//!
//! A packet first meets the loss process, then a drop-tail queue in front of a transmitter of the scheduled rate, then
//! the propagation delay with its jitter. Every packet's fate is in the [`PacketLog`].

mod chance;
mod config;
mod emulator;
mod log;
mod schedule;
mod traces;

pub use config::{JitterShape, LinkConfig, LinkConfigBuilder, LinkConfigError, Loss, Reorder};
pub use emulator::{Delivery, Link, LinkCounters};
pub use log::{PacketFate, PacketLog, PacketRecord};
pub use schedule::{AfterSchedule, RateSchedule, RateStep};
pub use traces::Trace;
