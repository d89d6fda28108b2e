//! The media tracks of a connection.

use std::sync::Arc;

use ahoy_media_types::{Codec, PayloadType, Ssrc};
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverId};
use tracing::warn;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::rtp_transceiver::RtpSender;

use super::Actor;
use crate::config;
use crate::error::RtcError;
use crate::peer::{ConnectionState, PeerEvent};
use crate::tracks::{Binding, LocalTrack, LocalTrackParts, REPEATED_MIME_TYPE, RemoteTrack};

/// A local track and what negotiation must tell it.
pub(super) struct Sending {
    codec: Codec,
    sender: Arc<dyn RtpSender>,
    pub(super) binding: Arc<Binding>,
}

/// The payload type that a format was given.
fn type_of(codecs: &[RTCRtpCodecParameters], mime_type: &str) -> Option<u8> {
    let codec = codecs.iter().find(|codec| codec.rtp_codec.mime_type.eq_ignore_ascii_case(mime_type))?;
    Some(codec.payload_type)
}

impl Actor {
    pub(super) async fn add_track(&mut self, codec: Codec) -> Result<LocalTrack, RtcError> {
        let ssrc: u32 = rand::random();
        let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "ahoy".to_owned(),
            format!("{codec}-{ssrc:08x}").replace('.', ""),
            String::new(),
            config::kind_of(codec),
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: coding,
                codec: config::track_codec(codec),
                ..Default::default()
            }],
        )));
        self.offer_channels().await.map_err(RtcError::LocalDescription)?;
        let added = self.connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await;
        let sender = added.map_err(RtcError::LocalDescription)?;
        // The library notices that negotiation is needed but sleeps on it until something wakes its task. An empty
        // packet does, and goes nowhere.
        let _ = track.write_rtcp(Vec::new()).await;
        let (stream, events) = self.local_streams.add(ssrc);
        let (local, binding) = LocalTrack::new(LocalTrackParts {
            codec,
            ssrc: Ssrc(ssrc),
            clock: self.clock,
            first_sequence: rand::random(),
            track,
            stream,
            events,
            control: Arc::clone(&self.control),
        });
        binding.connected(self.state == ConnectionState::Connected);
        self.sending.push(Sending { codec, sender, binding });
        Ok(local)
    }

    pub(super) async fn on_track(&mut self, track: Arc<dyn TrackRemote>) {
        for ssrc in track.ssrcs().await {
            let Some(stream) = self.arrived.remove(&ssrc) else { continue };
            match config::codec_of_mime(&stream.mime_type) {
                Some(codec) => {
                    let repeated = match codec {
                        Codec::Opus => self.type_of_repeated().await.map(PayloadType),
                        Codec::H264 => None,
                    };
                    let control = Arc::clone(&self.control);
                    let track = RemoteTrack::new(codec, stream, Arc::clone(&track), repeated, control);
                    self.emit(PeerEvent::Track(track));
                }
                None => warn!(codec = stream.mime_type, "a track in a codec that was not offered is ignored"),
            }
        }
    }

    /// The payload type of packets of sound that carry those before them as well, if that was agreed on. All streams of a
    /// connection share one transport (BUNDLE), and with it the meaning of payload types.
    async fn type_of_repeated(&self) -> Option<u8> {
        for transceiver in self.connection.get_transceivers().await {
            let Ok(Some(receiver)) = transceiver.receiver().await else { continue };
            let Ok(parameters) = receiver.get_parameters().await else { continue };
            if let Some(found) = type_of(&parameters.rtp_parameters.codecs, REPEATED_MIME_TYPE) {
                return Some(found);
            }
        }
        None
    }

    /// Tells each track the payload type that was agreed on. The other side's offer may name another one than ours, so
    /// it is known only now.
    pub(super) async fn bind_tracks(&self) {
        let transceivers = self.connection.get_transceivers().await;
        for sending in &self.sending {
            let id: RTCRtpTransceiverId = sending.sender.id().into();
            let Some(transceiver) = transceivers.iter().find(|t| t.id() == id) else { continue };
            let sends = matches!(
                transceiver.current_direction().await,
                Ok(RTCRtpTransceiverDirection::Sendrecv | RTCRtpTransceiverDirection::Sendonly)
            );
            if !sends {
                continue;
            }
            let Ok(parameters) = sending.sender.get_parameters().await else { continue };
            let codecs = parameters.rtp_parameters.codecs;
            let agreed = type_of(&codecs, &config::track_codec(sending.codec).mime_type);
            sending.binding.negotiated(agreed, type_of(&codecs, REPEATED_MIME_TYPE));
        }
    }
}
