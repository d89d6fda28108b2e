//! Ahoy's PeerConnection: the only crate that names the WebRTC library.
//!
//! A [`Peer`] is one end of a call. It owns the library's connection in a single task, negotiates by itself (perfect
//! negotiation, see [`negotiation`]) and speaks to its owner through typed events; the owner only carries
//! [`Signal`]s across. Encoded frames go in through [`LocalTrack`], RTP packets come out of [`RemoteTrack`] with the
//! time at which they were taken from the socket, and bytes go both ways through [`Channel`].
//!
//! What the library does not do, or does wrongly, is put right in here, so that nobody else has to know:
//! retransmissions are unwrapped and requested in [`interceptors`], the way to the other side is found by [`ahoy_ice`] behind
//! a [`stand_in`], the library's task is kept awake while it has something to say in [`runtime`], payload types are looked up
//! when negotiation ends instead of when a track is made, and an answer keeps the DTLS role that is already established.

#![forbid(unsafe_code)]

mod bulk;
mod channels;
mod config;
pub(crate) mod deferred;
mod error;
pub(crate) mod handshake;
pub(crate) mod hello;
pub(crate) mod interceptors;
mod log_filter;
pub mod negotiation;
mod peer;
pub(crate) mod runtime;
mod signal;
pub(crate) mod socket;
pub(crate) mod stand_in;
mod stats;
mod tracks;
mod uplink;

pub use ahoy_congestion::{Limits, NetworkEstimate, Reason};
pub use ahoy_ice::{
    CandidateError, CandidateKind, IceServer, IceView, LocalView, PairView, Policy, RemoteView, ServerUrl,
    ServerUrlError, Transport,
};
pub use bulk::{Bulk, BulkLost, ReadExactError, RecvStream, SendStream, WriteError};
pub use channels::{Channel, ChannelEvent, ChannelOptions, Message, Reliability};
pub use config::{FirstOffer, PeerConfig, Politeness};
pub use error::RtcError;
pub use log_filter::log_directives;
pub use peer::{ConnectionState, Peer, PeerEvent, PeerEvents, Phase};
pub use signal::{DescriptionKind, Signal};
pub use stats::{
    InboundStats, LocalTrackStats, OutboundStats, Path, PathEnd, PeerStats, RemoteTrackStats, TransportStats,
};
pub use tracks::{
    LocalTrack, LocalTrackEvent, PAYLOAD_SHARE, RemoteTrack, RemoteTrackEvent, Unwrapped, Unwrapper,
    wire_bytes,
};
pub use uplink::Uplink;
