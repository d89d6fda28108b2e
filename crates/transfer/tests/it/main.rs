//! Two ends of a transfer with everything between and around them on virtual time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod schedules;
mod world;
