//! What window and command line share, tested on real servers, browsers, devices of the lab and calls.
//!
//! One program, not one for each file: each would be compiled and linked with all codecs and the whole connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod browser;
mod chromium;
mod cuts;
mod desk;
#[cfg(unix)]
mod desk_files;
mod desk_people;
mod desk_visits;
#[cfg(target_os = "linux")]
mod hotplug;
mod loopback_call;
mod many_calls;
mod one_end;
mod page;
mod picture_socket;
mod support;
mod transfers;
mod views;
mod window_call;
