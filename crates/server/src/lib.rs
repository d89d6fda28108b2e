//! Ahoy's server: accounts, rooms, presence and call set-up, in one program that needs nothing else.

#![forbid(unsafe_code)]

pub mod auth;
pub mod clock;
pub mod config;
mod files;
pub mod health;
mod http;
pub mod identity;
pub mod log;
mod metrics_recorder;
pub mod realtime;
pub mod server;
pub mod store;
pub mod tls;
pub mod turn;
