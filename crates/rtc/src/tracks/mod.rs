//! The two ends of a media stream.

mod local;
mod packetizer;
mod redundancy;
mod remote;

pub(crate) use local::{Binding, LocalTrackParts};
pub use local::{LocalTrack, LocalTrackEvent};
pub use packetizer::{PAYLOAD_SHARE, wire_bytes};
pub(crate) use redundancy::MIME_TYPE as REPEATED_MIME_TYPE;
pub use redundancy::{Unwrapped, Unwrapper};
pub use remote::{RemoteTrack, RemoteTrackEvent};
