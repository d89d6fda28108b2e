//! Parts that reports of calls have in common.

use ahoy_measure::spread::Summary;
use ahoy_rtc::{CandidateKind, Path, PeerStats};
use schemars::JsonSchema;
use serde::Serialize;

/// The selected route between the two sides.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PathReport {
    /// Transport protocol between the two candidates: `udp` or `tcp`.
    pub protocol: String,
    /// How this side's relay is reached, where there is one: `udp`, `tcp` or `tls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_protocol: Option<String>,
    /// This side's candidate type: `host`, `srflx`, `prflx` or `relay`.
    pub local_type: String,
    /// This side's address and port.
    pub local: String,
    /// The other side's candidate type.
    pub remote_type: String,
    /// The other side's address and port.
    pub remote: String,
    /// DTLS-SRTP protection profile.
    pub srtp: Option<String>,
    /// Last measured round-trip time in milliseconds.
    pub rtt_ms: Option<f64>,
}

impl PathReport {
    pub(crate) fn new(path: &Path, stats: &PeerStats) -> Self {
        let srtp = &stats.transport.srtp_profile;
        Self {
            protocol: if path.is_tcp { "tcp" } else { "udp" }.to_owned(),
            relay_protocol: path.relay_transport.map(|transport| transport.to_string()),
            local_type: kind_name(path.local.kind).to_owned(),
            local: path.local.address.to_string(),
            remote_type: kind_name(path.remote.kind).to_owned(),
            remote: path.remote.address.to_string(),
            srtp: (!srtp.is_empty()).then(|| srtp.clone()),
            rtt_ms: stats.transport.round_trip.map(|rtt| round(rtt.as_secs_f64() * 1e3)),
        }
    }
}

/// Candidate types as SDP names them (RFC 8839 section 5.1).
fn kind_name(kind: CandidateKind) -> &'static str {
    match kind {
        CandidateKind::Host => "host",
        CandidateKind::ServerReflexive => "srflx",
        CandidateKind::PeerReflexive => "prflx",
        CandidateKind::Relay => "relay",
    }
}

/// Time that frames spent in each stage, in milliseconds.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct StageReport {
    /// From capture until the encoder takes the frame.
    pub wait: SpreadReport,
    /// In the encoder.
    pub encode: SpreadReport,
    /// From the encoder's end to the arrival of the last packet.
    pub transport: SpreadReport,
    /// From the last packet's arrival until the decoder takes the frame.
    pub jitter_buffer: SpreadReport,
    /// In the decoder.
    pub decode: SpreadReport,
    /// From decoded to shown: the wait for lip sync and smoothness.
    pub present: SpreadReport,
}

/// How a quantity was spread; all null when it was never measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct SpreadReport {
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// Largest.
    pub max: Option<f64>,
    /// Mean.
    pub mean: Option<f64>,
    /// How many were measured.
    pub count: u64,
}

impl From<Option<Summary>> for SpreadReport {
    fn from(summary: Option<Summary>) -> Self {
        let Some(s) = summary else { return Self::default() };
        let (p50, p95, p99) = (Some(round(s.p50)), Some(round(s.p95)), Some(round(s.p99)));
        Self { p50, p95, p99, max: Some(round(s.max)), mean: Some(round(s.mean)), count: s.count }
    }
}

/// Reports carry milliseconds and ratios; more digits than microseconds would only pretend to be known.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
