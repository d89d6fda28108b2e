//! Ahoy's server: accounts, rooms, presence and call set-up, in one program that needs nothing else.

#![forbid(unsafe_code)]

pub mod identity;
pub mod store;
