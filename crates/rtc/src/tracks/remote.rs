//! Where RTP packets come out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ahoy_congestion::NetworkEstimate;
use ahoy_media_types::{Codec, PayloadType, RtpPacket, SenderReport, Ssrc};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use tokio::sync::watch;
use webrtc::media_stream::track_remote::TrackRemote;

use super::redundancy::Unwrapper;
use crate::error::RtcError;
use crate::interceptors::{RemoteStream, SendControl, StreamEvent};
use crate::stats::RemoteTrackStats;

/// What comes from the other side on a track.
#[derive(Clone, Debug)]
pub enum RemoteTrackEvent {
    /// A packet in the order of arrival: repaired losses come late, and some come twice.
    Packet(RtpPacket),
    /// The sender's pairing of wall clock and RTP time.
    SenderReport(SenderReport),
    /// The track or the connection has ended; nothing follows.
    Ended,
}

/// A stream from the other side.
pub struct RemoteTrack {
    codec: Codec,
    stream: RemoteStream,
    track: Arc<dyn TrackRemote>,
    /// Where packets can carry others.
    unwrapper: Option<Unwrapper>,
    /// Those that have come with another.
    unwrapped: VecDeque<RtpPacket>,
    control: Arc<SendControl>,
    ended: bool,
}

impl RemoteTrack {
    /// `repeated` is the payload type of packets that carry those before them as well, if that was agreed on.
    pub(crate) fn new(
        codec: Codec,
        stream: RemoteStream,
        track: Arc<dyn TrackRemote>,
        repeated: Option<PayloadType>,
        control: Arc<SendControl>,
    ) -> Self {
        let unwrapper = repeated.map(Unwrapper::new);
        Self { codec, stream, track, unwrapper, unwrapped: VecDeque::new(), control, ended: false }
    }

    /// The codec of the packets' payloads.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The source of its packets.
    pub fn ssrc(&self) -> Ssrc {
        self.stream.ssrc
    }

    /// The next packet or report; `None` after [`RemoteTrackEvent::Ended`].
    pub async fn next_event(&mut self) -> Option<RemoteTrackEvent> {
        if self.ended {
            return None;
        }
        loop {
            if let Some(packet) = self.unwrapped.pop_front() {
                return Some(RemoteTrackEvent::Packet(packet));
            }
            match self.stream.events.recv().await {
                Some(StreamEvent::Packet(packet)) => {
                    let Some(unwrapper) = &mut self.unwrapper else {
                        return Some(RemoteTrackEvent::Packet(packet));
                    };
                    let unwrapped = unwrapper.push(packet);
                    self.stream.counters.recovered.fetch_add(unwrapped.recovered as u64, Relaxed);
                    self.unwrapped.extend(unwrapped.packets);
                }
                Some(StreamEvent::SenderReport(report)) => {
                    return Some(RemoteTrackEvent::SenderReport(report));
                }
                None => {
                    self.ended = true;
                    return Some(RemoteTrackEvent::Ended);
                }
            }
        }
    }

    /// What is known of the path to the other side, as it changes: some dozens of times a second while media is sent.
    pub fn network(&self) -> watch::Receiver<NetworkEstimate> {
        self.control.estimate()
    }

    /// Asks the sender for a key frame (picture loss indication, RFC 4585 section 6.3.1).
    pub async fn request_keyframe(&self) -> Result<(), RtcError> {
        let request = PictureLossIndication { sender_ssrc: 0, media_ssrc: self.stream.ssrc.0 };
        self.track.write_rtcp(vec![Box::new(request)]).await.map_err(|_| RtcError::Closed)
    }

    /// What has come in so far.
    pub fn stats(&self) -> RemoteTrackStats {
        let counters = &self.stream.counters;
        RemoteTrackStats {
            ssrc: self.stream.ssrc,
            codec: self.codec,
            packets_received: counters.packets.load(Relaxed),
            payload_bytes_received: counters.bytes.load(Relaxed),
            packets_repaired: counters.retransmitted.load(Relaxed),
            packets_recovered: counters.recovered.load(Relaxed),
            packets_overflowed: counters.overflowed.load(Relaxed),
        }
    }
}

impl std::fmt::Debug for RemoteTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteTrack").field("codec", &self.codec).field("ssrc", &self.stream.ssrc).finish()
    }
}
