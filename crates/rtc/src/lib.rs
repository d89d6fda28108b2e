//! PeerConnection.
