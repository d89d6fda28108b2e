//! How late sound comes out of the call, and how much it still resembles what went in.
//!
//! [`Chirps`] is a test signal that can be found again after any codec; [`DelayEstimator`] compares what was captured
//! with what was played while the call runs; [`correlation()`] compares two recordings afterwards.

mod chirp;
mod correlation;
mod delay;

pub use chirp::{CHIRP_DURATION, CHIRP_PERIOD, Chirps};
pub use correlation::{Match, correlation};
pub use delay::{DelayEstimator, DelaySample, MAX_DELAY};
