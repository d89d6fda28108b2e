//! Keeping the library's log output useful.

/// Filter directives for `tracing` (or `env_logger`), comma-separated, to be put before the user's own.
///
/// The library logs every signaling state change at `info`, a line per undeliverable packet *with its payload* at
/// `error`, and addresses throughout. Nothing of it may reach a log file by default: what matters is reported by this
/// crate, redacted. The libraries below ICE are no better: one of them logs passwords.
pub fn log_directives() -> &'static str {
    "webrtc=off,rtc=off,rtc_dtls=off,rtc_ice=off,rtc_interceptor=off,rtc_sctp=off,rtc_srtp=off,rtc_stun=off,\
     rtc_turn=off,rtc_mdns=off,rtc_datachannel=off,rtc_rtp=off,rtc_rtcp=off,rtc_sdp=off,rtc_shared=off,\
     is=off,turn_client_proto=off,turn_types=off,stun_proto=off,stun_types=off"
}
