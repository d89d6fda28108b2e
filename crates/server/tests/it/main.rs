//! The server as its clients and its operators meet it.
//!
//! One program, not one for each file: each would be compiled and linked with all of the server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod certificates;
mod full_disk;
mod http_limits;
mod inbox;
mod killed;
mod operators_page;
mod program;
mod realtime;
mod relay;
mod signed_out;
mod support;
