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
pub mod server;
pub mod store;
pub mod tls;

/// Only until the realtime part is in the tree.
mod realtime {
    use std::net::IpAddr;

    use ahoy_signal::{DeviceId, UserId};
    use axum::extract::ws::WebSocket;

    use crate::identity::Sessions;

    pub(crate) struct Realtime;

    impl Realtime {
        pub(crate) async fn serve(&self, _socket: WebSocket, _peer: IpAddr) {}
        pub(crate) async fn stop(&self) {}
    }

    impl Sessions for Realtime {
        fn sign_out_device(&self, _device: DeviceId) {}
        fn sign_out_user(&self, _user: UserId) {}
    }
}
