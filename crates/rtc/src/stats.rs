//! Figures of a connection, as of one moment.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ahoy_ice::{CandidateKind, IceView, PairView, Transport};
use ahoy_media_types::{Codec, MediaTime, Ssrc};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use serde::{Deserialize, Serialize};
use webrtc::peer_connection::RTCStatsReport;

/// One end of a path. Its `Debug` form leaves the address out.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathEnd {
    /// What kind of address it is.
    pub kind: CandidateKind,
    /// Where packets go to or come from.
    pub address: SocketAddr,
}

impl fmt::Debug for PathEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.address.is_ipv4() { "IPv4" } else { "IPv6" };
        write!(f, "{:?}({family})", self.kind)
    }
}

/// The way that packets take between the two sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// This side's end.
    pub local: PathEnd,
    /// The other side's end.
    pub remote: PathEnd,
    /// How this side's relay is reached, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_transport: Option<Transport>,
    /// Whether the two ends are connected by TCP, and not by datagrams.
    #[serde(default)]
    pub is_tcp: bool,
}

impl From<&PairView> for Path {
    fn from(pair: &PairView) -> Self {
        Self {
            local: PathEnd { kind: pair.local_kind, address: pair.local },
            remote: PathEnd { kind: pair.remote_kind, address: pair.remote },
            relay_transport: pair.relay_transport,
            is_tcp: pair.is_tcp,
        }
    }
}

/// What the transport below all tracks and channels has carried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TransportStats {
    /// Packets sent, of all kinds.
    pub packets_sent: u64,
    /// Packets received, of all kinds.
    pub packets_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Round trip of the last connectivity check on the selected path.
    pub round_trip: Option<Duration>,
    /// The DTLS cipher suite by its registered name; empty before the handshake.
    pub dtls_cipher: String,
    /// The SRTP protection profile by its registered name; empty before the handshake.
    pub srtp_profile: String,
}

/// A local track's packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboundStats {
    /// The source.
    pub ssrc: Ssrc,
    /// Packets sent, without retransmissions.
    pub packets_sent: u64,
    /// Payload bytes sent, without retransmissions.
    pub bytes_sent: u64,
    /// Packets sent again.
    pub packets_retransmitted: u64,
    /// Bytes sent again.
    pub bytes_retransmitted: u64,
    /// Messages from the other side that ask for packets again.
    pub nack_count: u32,
    /// Key-frame requests from the other side.
    pub keyframe_requests: u32,
}

/// A remote track's packets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboundStats {
    /// The source.
    pub ssrc: Ssrc,
    /// Packets missing for good or still, as reported to the sender; negative where some came twice.
    pub packets_lost: i64,
    /// Variation of the arrival times in seconds (RFC 3550 section 6.4.1).
    pub jitter_seconds: f64,
    /// Messages sent that ask for packets again.
    pub nack_count: u32,
    /// Key-frame requests sent.
    pub keyframe_requests: u32,
    /// Packets that came again.
    pub packets_retransmitted: u64,
}

/// Everything about a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerStats {
    /// The path in use, once there is one.
    pub path: Option<Path>,
    /// Candidates and pairs.
    pub ice: IceView,
    /// The transport.
    pub transport: TransportStats,
    /// When each phase of the set-up was over: gathering, ICE, DTLS.
    pub phases: Vec<(crate::Phase, MediaTime)>,
    /// The local tracks.
    pub outbound: Vec<OutboundStats>,
    /// The remote tracks.
    pub inbound: Vec<InboundStats>,
}

/// What a local track has sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalTrackStats {
    /// The source.
    pub ssrc: Ssrc,
    /// What is sent.
    pub codec: Codec,
    /// Frames sent.
    pub frames_sent: u64,
    /// Frames not sent, because the connection did not stand yet or no key frame had been sent.
    pub frames_discarded: u64,
    /// Packets sent, without retransmissions.
    pub packets_sent: u64,
    /// Payload bytes sent, without retransmissions.
    pub payload_bytes_sent: u64,
    /// Key-frame requests from the other side.
    pub keyframe_requests: u64,
    /// Packets that the other side asked for again.
    pub packets_requested_again: u64,
    /// Share of packets lost on the way in the last report, 0.0 to 1.0.
    pub fraction_lost: f64,
    /// Round trip by the last report.
    pub round_trip: Option<Duration>,
}

/// What a remote track has received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteTrackStats {
    /// The source.
    pub ssrc: Ssrc,
    /// What is received.
    pub codec: Codec,
    /// Packets received, retransmissions included.
    pub packets_received: u64,
    /// Payload bytes received, retransmissions included.
    pub payload_bytes_received: u64,
    /// Packets that came as retransmissions.
    pub packets_repaired: u64,
    /// Packets that were lost and came all the same: made from repair data (FlexFEC), or copied in a later packet (RFC 2198).
    pub packets_recovered: u64,
    /// Packets dropped here because nobody took them in time.
    pub packets_overflowed: u64,
}

pub(crate) fn from_report(
    report: &RTCStatsReport,
    ice: IceView,
    phases: Vec<(crate::Phase, MediaTime)>,
) -> PeerStats {
    let in_use = ice.pairs.iter().find(|pair| pair.in_use);
    let (path, round_trip) = (in_use.map(Path::from), in_use.map(|pair| pair.round_trip));
    let mut stats = PeerStats { path, ice, phases, ..PeerStats::default() };
    if let Some(transport) = report.transport() {
        stats.transport = TransportStats {
            packets_sent: transport.packets_sent,
            packets_received: transport.packets_received,
            bytes_sent: transport.bytes_sent,
            bytes_received: transport.bytes_received,
            round_trip,
            dtls_cipher: transport.dtls_cipher.clone(),
            srtp_profile: transport.srtp_cipher.clone(),
        };
    }
    stats.outbound = report
        .outbound_rtp_streams()
        .map(|s| OutboundStats {
            ssrc: Ssrc(s.sent_rtp_stream_stats.rtp_stream_stats.ssrc),
            packets_sent: s.sent_rtp_stream_stats.packets_sent,
            bytes_sent: s.sent_rtp_stream_stats.bytes_sent,
            packets_retransmitted: s.retransmitted_packets_sent,
            bytes_retransmitted: s.retransmitted_bytes_sent,
            nack_count: s.nack_count,
            keyframe_requests: s.pli_count + s.fir_count,
        })
        .collect();
    stats.inbound = report
        .inbound_rtp_streams()
        .map(|s| InboundStats {
            ssrc: Ssrc(s.received_rtp_stream_stats.rtp_stream_stats.ssrc),
            packets_lost: s.received_rtp_stream_stats.packets_lost,
            jitter_seconds: s.received_rtp_stream_stats.jitter
                / clock_rate(s.received_rtp_stream_stats.rtp_stream_stats.kind),
            nack_count: s.nack_count,
            keyframe_requests: s.pli_count + s.fir_count,
            packets_retransmitted: s.retransmitted_packets_received,
        })
        .collect();
    stats
}

/// The library leaves jitter in units of the stream's clock, where W3C webrtc-stats wants seconds.
fn clock_rate(kind: RtpCodecKind) -> f64 {
    match kind {
        RtpCodecKind::Video => f64::from(Codec::H264.clock_rate()),
        _ => f64::from(Codec::Opus.clock_rate()),
    }
}
