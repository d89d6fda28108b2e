//! How a peer is set up: the codecs it offers, the timers and ciphers of its transport, the interceptors in between.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ahoy_congestion::Limits;
use ahoy_ice::{IceServer, Policy};
use ahoy_media_types::Codec;
use ahoy_tunnel::Tunnel;
use rtc::crypto::RTCCryptoProvider;
use rtc::interceptor::{NackResponderBuilder, ReceiverReportBuilder};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_OPUS};
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rustls::ClientConfig;
use webrtc::peer_connection::{
    CipherSuiteId, MediaEngine, Registry, SettingEngine, SettingEngineBuilder, Slot, SrtpProtectionProfile,
};

use crate::error::LibraryError;
use crate::interceptors::{
    Congestion, Feedback, MediaTap, NackGenerator, Protect, REPAIR_MIME_TYPE, Recover, RtxUnwrap,
    SenderReports, TRANSPORT_CC_URI,
};
use crate::tracks::REPEATED_MIME_TYPE;
use crate::uplink::Uplink;

/// Which side gives way when both offer at once (perfect negotiation, W3C WebRTC section 10.7). The two sides of a
/// call must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Politeness {
    /// Takes back its own offer and answers the other's.
    Polite,
    /// Keeps its offer and ignores the other's.
    Impolite,
}

/// Who makes the first offer of a connection. Later ones come from whoever has something to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstOffer {
    /// Whoever has something to offer.
    Either,
    /// The other side. What is added here before it comes is part of the answer.
    Theirs,
}

/// What a [`crate::Peer`] needs to know before it exists.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Which side gives way when both offer at once.
    pub role: Politeness,
    /// Who makes the first offer.
    pub first_offer: FirstOffer,
    /// Local UDP addresses to bind. An unspecified address stands for all interfaces of its family except loopback;
    /// port 0 for any free port.
    pub bind: Vec<SocketAddr>,
    /// STUN and TURN servers, the preferred ones first.
    pub ice_servers: Vec<IceServer>,
    /// Which ways to the other side may be used.
    pub policy: Policy,
    /// How connections to relays over TCP and TLS are opened.
    pub tunnel: Tunnel,
    /// Whose certificates are believed of relays over TLS; without it there are none.
    pub tls: Option<Arc<ClientConfig>>,
    /// The longest data channel message accepted and announced, in bytes.
    pub max_message_size: u32,
    /// Between which rates media is sent, in bits per second with all headers.
    pub limits: Limits,
    /// Whether there is to be a [`Bulk`](crate::Bulk) connection, where the other side has one as well.
    pub bulk: bool,
    /// The way out of this machine: whoever has the same one gives way to each other's calls.
    pub uplink: Uplink,
    /// Bytes that a data channel holds for sending before `send` waits.
    pub channel_send_buffer: usize,
}

impl PeerConfig {
    /// Messages of 256 KiB are what Chromium announces, so peers of ours and browsers take the same.
    pub const DEFAULT_MAX_MESSAGE_SIZE: u32 = 256 * 1024;
    /// Never less than sound at a low rate, at first what most links carry, and never more than 1080p can use.
    pub const DEFAULT_LIMITS: Limits = Limits { min: 60_000.0, start: 1_000_000.0, max: 8_000_000.0 };
    /// Enough for 100 Mb/s over 160 ms of round trip, and small enough that a closed call gives it back at once.
    pub const DEFAULT_CHANNEL_SEND_BUFFER: usize = 2 * 1024 * 1024;

    /// A peer that is only reachable from this machine, for calls to oneself and for tests.
    pub fn loopback(role: Politeness) -> Self {
        // What the path carries need not be found out.
        let limits = Limits { start: Self::DEFAULT_LIMITS.max, ..Self::DEFAULT_LIMITS };
        Self { bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], limits, ..Self::new(role) }
    }

    /// A peer on all interfaces and any free ports.
    pub fn new(role: Politeness) -> Self {
        Self {
            role,
            first_offer: FirstOffer::Either,
            bind: vec![
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            ],
            ice_servers: Vec::new(),
            policy: Policy::All,
            tunnel: Tunnel::direct(),
            tls: None,
            max_message_size: Self::DEFAULT_MAX_MESSAGE_SIZE,
            limits: Self::DEFAULT_LIMITS,
            bulk: false,
            uplink: Uplink::default(),
            channel_send_buffer: Self::DEFAULT_CHANNEL_SEND_BUFFER,
        }
    }
}

impl Default for PeerConfig {
    /// All interfaces, any free ports, the side that gives way.
    fn default() -> Self {
        Self::new(Politeness::Polite)
    }
}

/// Payload type offered for H.264 (dynamic range, RFC 3551 section 6); an answer uses the offerer's.
const H264_PAYLOAD_TYPE: u8 = 102;
/// Payload type offered for retransmissions of H.264 (RFC 4588).
const H264_RTX_PAYLOAD_TYPE: u8 = 103;
/// Payload type offered for repair data of pictures.
const REPAIR_PAYLOAD_TYPE: u8 = 104;
/// Payload type offered for Opus: the one that browsers use.
const OPUS_PAYLOAD_TYPE: u8 = 111;

/// Payload type offered for Opus of which each packet carries those before it as well: the one that browsers use.
const REPEATED_PAYLOAD_TYPE: u8 = 63;

/// `42e01f` is constrained baseline, level 3.1; the level may differ per direction and openh264 and browsers decode
/// well above it. Mode 1 allows slices over several packets (RFC 6184 section 8.1).
const H264_FMTP: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
/// Repair data comes at most so many microseconds after what it repairs.
const REPAIR_FMTP: &str = "repair-window=200000";
/// RFC 7587 section 6.1: 10 ms packets allowed, in-band FEC and discontinuous transmission understood.
const OPUS_FMTP: &str = "minptime=10;useinbandfec=1;usedtx=1";

/// What such packets carry (RFC 2198 section 5).
const REPEATED_FMTP: &str = "111/111";

/// The library's description of a codec as a track must name it to be matched with the negotiated one.
pub(crate) fn track_codec(codec: Codec) -> RTCRtpCodec {
    let (mime_type, channels, fmtp) = match codec {
        Codec::H264 => (MIME_TYPE_H264, 0, H264_FMTP),
        Codec::Opus => (MIME_TYPE_OPUS, 2, OPUS_FMTP),
    };
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate: codec.clock_rate(),
        channels,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback: vec![],
    }
}

/// Our codec for a MIME type such as `video/H264`. A stream is known by the format of its first packet, which may be the one
/// that repeats others.
pub(crate) fn codec_of_mime(mime_type: &str) -> Option<Codec> {
    if mime_type.eq_ignore_ascii_case(MIME_TYPE_H264) {
        Some(Codec::H264)
    } else if [MIME_TYPE_OPUS, REPEATED_MIME_TYPE].iter().any(|known| mime_type.eq_ignore_ascii_case(known)) {
        Some(Codec::Opus)
    } else {
        None
    }
}

/// The library's word for the kind of medium that a codec carries.
pub(crate) fn kind_of(codec: Codec) -> RtpCodecKind {
    match codec {
        Codec::H264 => RtpCodecKind::Video,
        Codec::Opus => RtpCodecKind::Audio,
    }
}

pub(crate) fn media_engine() -> Result<MediaEngine, LibraryError> {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback { typ: typ.into(), parameter: parameter.into() };
    let mut engine = MediaEngine::default();

    let mut h264 = track_codec(Codec::H264);
    h264.rtcp_feedback = vec![
        feedback("transport-cc", ""),
        feedback("ccm", "fir"),
        feedback("nack", ""),
        feedback("nack", "pli"),
    ];
    let rtx = RTCRtpCodec {
        mime_type: "video/rtx".to_owned(),
        clock_rate: Codec::H264.clock_rate(),
        channels: 0,
        sdp_fmtp_line: format!("apt={H264_PAYLOAD_TYPE}"),
        rtcp_feedback: vec![],
    };
    let repair = RTCRtpCodec {
        mime_type: REPAIR_MIME_TYPE.to_owned(),
        clock_rate: Codec::H264.clock_rate(),
        channels: 0,
        sdp_fmtp_line: REPAIR_FMTP.to_owned(),
        rtcp_feedback: vec![feedback("transport-cc", "")],
    };
    let mut opus = track_codec(Codec::Opus);
    opus.rtcp_feedback = vec![feedback("transport-cc", "")];
    let repeated = RTCRtpCodec {
        mime_type: REPEATED_MIME_TYPE.to_owned(),
        sdp_fmtp_line: REPEATED_FMTP.to_owned(),
        ..opus.clone()
    };

    for (rtp_codec, payload_type, kind) in [
        (h264, H264_PAYLOAD_TYPE, RtpCodecKind::Video),
        (rtx, H264_RTX_PAYLOAD_TYPE, RtpCodecKind::Video),
        (repair, REPAIR_PAYLOAD_TYPE, RtpCodecKind::Video),
        (opus, OPUS_PAYLOAD_TYPE, RtpCodecKind::Audio),
        (repeated, REPEATED_PAYLOAD_TYPE, RtpCodecKind::Audio),
    ] {
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind)?;
    }
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        for uri in [TRANSPORT_CC_URI, MID_URI] {
            let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
            engine.register_header_extension(extension, kind, None)?;
        }
    }
    Ok(engine)
}

/// The media section that a packet belongs to (RFC 9143 section 15.1).
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// Sent video packets kept for retransmission: over two seconds at 3 Mb/s, far beyond the time a frame is useful.
const RETRANSMISSION_BUFFER: u16 = 1024;

/// Where [`RtxUnwrap`] sits: before loss detection, which must see repaired packets as arrivals.
const RTX_UNWRAP_SLOT: usize = 6_500;
/// Where [`Recover`] sits: behind what unwraps repetitions, which count as arrived, and before loss detection.
const RECOVER_SLOT: usize = 6_600;
/// Where [`MediaTap`] sits: nearest to the application, behind everything that measures arrivals.
const MEDIA_TAP_SLOT: usize = 14_000;

/// Those that are made for one peer.
pub(crate) struct Stages {
    pub(crate) congestion: Congestion,
    pub(crate) protect: Protect,
    pub(crate) feedback: Feedback,
    pub(crate) nack: NackGenerator,
    pub(crate) reports: SenderReports,
    pub(crate) tap: MediaTap,
}

pub(crate) fn interceptors(stages: Stages) -> Registry {
    Registry::new()
        // Numbers, paces and counts all that leaves, so nothing is nearer to the network.
        .with(Slot::CongestionControl, stages.congestion)
        .with(Slot::NackResponder, NackResponderBuilder::new().with_size(RETRANSMISSION_BUFFER).build())
        .with(Slot::FecEncoder, stages.protect)
        .with(Slot::from(RTX_UNWRAP_SLOT), RtxUnwrap::default())
        .with(Slot::from(RECOVER_SLOT), Recover::default())
        .with(Slot::NackGenerator, stages.nack)
        .with(Slot::TwccReceiver, stages.feedback)
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
        .with(Slot::SenderReport, stages.reports)
        .with(Slot::from(MEDIA_TAP_SLOT), stages.tap)
}

/// How often the library's ICE agent asks the stand-in, which answers at once: two checks are all that it needs, and the
/// handshake waits for them.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(2);
/// Of those checks the agent never gives up. Its state means nothing: ICE tells whether there is a way.
const ICE_MAX_CHECKS: u16 = u16::MAX;
/// How often it asks later. It has to ask now and then, or its task wakes for nothing.
const ICE_KEEPALIVE: Duration = Duration::from_secs(10);

/// Bytes that the other side may send ahead of what has been read, on all channels together: at 100 ms there and back it carries
/// 330 Mb/s. The library's own choice of 1 MiB would carry 84.
const SCTP_RECEIVE_BUFFER: u32 = 4 * 1024 * 1024;

pub(crate) fn setting_engine(config: &PeerConfig, crypto: Arc<dyn RTCCryptoProvider>) -> SettingEngine {
    use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
    let at_once = Some(Duration::ZERO);
    SettingEngineBuilder::default()
        // There is one pair, that with the stand-in.
        .with_host_acceptance_min_wait(at_once)
        .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_MAX_CHECKS))
        .with_ice_timeouts(at_once, at_once, Some(ICE_KEEPALIVE))
        .with_include_loopback_candidate(true)
        // It would leave the DTLS client's part to a stand-in that is ICE-lite; who answers begins (RFC 5763 section 5).
        .with_answering_dtls_role(RTCDtlsRole::Client)
        // ICE looks names up where it has to.
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_srtp_protection_profiles(vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ])
        // The certificates made here are ECDSA; an RSA suite picked by the other side would stall the handshake.
        .with_dtls_cipher_suites(vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256])
        .with_crypto_provider(crypto)
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(config.max_message_size))
        .with_sctp_max_receive_buffer_size(SCTP_RECEIVE_BUFFER)
        .build()
}
