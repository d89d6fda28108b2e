//! What can go wrong with a connection, in sentences for the person in front of it.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use ahoy_ice::{CandidateError, IceError};
use ahoy_media_types::Codec;

/// The library's error. Its text may quote SDP, so it is kept as a source for debugging and never shown.
pub(crate) type LibraryError = webrtc::error::Error;

/// Why the connection could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RtcError {
    /// None of the addresses to bind could be had.
    #[error(
        "no UDP port could be opened for the call ({cause}): close programs that hold many connections, \
         or check the network and firewall settings of this computer"
    )]
    NoUdpPort {
        /// What was tried.
        tried: Vec<SocketAddr>,
        /// What the system said about the last one.
        cause: io::Error,
    },
    /// The library refused the configuration or could not start.
    #[error("the call could not be set up: restart Ahoy, and report this if it happens again")]
    Setup(#[source] LibraryError),
    /// The connection has been closed, by either side or by an error.
    #[error("the call has ended: start a new one")]
    Closed,
    /// The other side's description is not one that can be used.
    #[error("the other side described its media in a way that can't be used: both sides should update Ahoy")]
    RemoteDescription(#[source] LibraryError),
    /// The other side's description or candidate is far beyond what a real one is.
    #[error(
        "the other side sent {length} bytes of call set-up where at most {limit} are accepted: both sides should update Ahoy"
    )]
    SignalTooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest accepted.
        limit: usize,
    },
    /// Our own description could not be made.
    #[error("the media of this side could not be described: restart the call")]
    LocalDescription(#[source] LibraryError),
    /// The other side's network candidate is not one that can be used.
    #[error("the other side sent a network address that can't be used; the call goes on with the others")]
    RemoteCandidate(#[source] CandidateError),
    /// A frame of another codec was given to a track.
    #[error(
        "a frame in {frame} was given to a track that sends {track}: give it to the track that was added for it"
    )]
    WrongCodec {
        /// What the track sends.
        track: Codec,
        /// What the frame is.
        frame: Codec,
    },
    /// A frame holds nothing that can be sent.
    #[error("a frame without media was given to a track that sends {0}: check the encoder")]
    EmptyFrame(Codec),
    /// The other side accepts none of the codecs of a track.
    #[error("the other side can't play {0}: it needs a newer program")]
    CodecRefused(Codec),
    /// A message is longer than both sides take.
    #[error("a message of {length} bytes was to be sent where at most {limit} fit: send it in parts")]
    MessageTooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest that fits.
        limit: usize,
    },
    /// A channel's options or label contradict each other or the protocol.
    #[error("the data channel can't be opened: {0}")]
    ChannelOptions(&'static str),
    /// The channel has been closed by either side.
    #[error("the data channel is closed: open a new one")]
    ChannelClosed,
    /// The library refused an operation on a channel.
    #[error("the data channel failed: open a new one")]
    Channel(#[source] LibraryError),
}

impl From<IceError> for RtcError {
    fn from(error: IceError) -> Self {
        match error {
            IceError::NoSocket { tried, cause } => Self::NoUdpPort { tried, cause },
        }
    }
}

/// Why the library could not bind a socket either, if that is so: it only logs it.
pub(crate) fn no_port(local: IpAddr) -> Option<RtcError> {
    let address = SocketAddr::new(local, 0);
    let cause = UdpSocket::bind(address).err()?;
    Some(RtcError::NoUdpPort { tried: vec![address], cause })
}
