//! The two ends of a media stream.

mod local;
mod packetizer;
mod remote;

pub(crate) use local::{Binding, LocalTrackParts};
pub use local::{LocalTrack, LocalTrackEvent};
pub use packetizer::{PAYLOAD_SHARE, wire_bytes};
pub use remote::{RemoteTrack, RemoteTrackEvent};
