//! Where encoded frames go in.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use ahoy_congestion::{Limits, NetworkEstimate, sound_copies};
use ahoy_media_types::{Codec, EncodedFrame, MediaClock, Ssrc};
use tokio::sync::{Mutex, mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::packetizer::{Format, Packetizer};
use crate::error::RtcError;
use crate::interceptors::{LocalStream, SendControl};
use crate::stats::LocalTrackStats;

/// What the other side wants of a local track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalTrackEvent {
    /// The next frame must be a key frame: the other side can't decode, or the way to it has just opened.
    KeyframeRequested,
}

/// Not a payload type: those end at 127.
const UNBOUND: u8 = 0xFF;

/// Whether and as what a track may send. Negotiation and the transport set it, the track reads it.
#[derive(Debug)]
pub(crate) struct Binding {
    payload_type: AtomicU8,
    /// That of packets which carry those before them as well.
    repeated_type: AtomicU8,
    connected: AtomicBool,
    closed: AtomicBool,
    refused: AtomicBool,
    stream: Weak<LocalStream>,
}

impl Binding {
    /// Sets the payload type that was agreed on, and that of packets which carry those before them as well; `None` where the
    /// other side takes none.
    pub(crate) fn negotiated(&self, payload_type: Option<u8>, repeated: Option<u8>) {
        self.repeated_type.store(repeated.unwrap_or(UNBOUND), Relaxed);
        self.refused.store(payload_type.is_none(), Relaxed);
        self.change(|| self.payload_type.store(payload_type.unwrap_or(UNBOUND), Relaxed));
    }

    /// The transport carries media, or no longer.
    pub(crate) fn connected(&self, connected: bool) {
        self.change(|| self.connected.store(connected, Relaxed));
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    fn change(&self, change: impl FnOnce()) {
        let before = self.payload_type();
        change();
        if before.is_none()
            && self.payload_type().is_some()
            && let Some(stream) = self.stream.upgrade()
        {
            stream.notify(LocalTrackEvent::KeyframeRequested);
        }
    }

    fn payload_type(&self) -> Option<u8> {
        let payload_type = self.payload_type.load(Relaxed);
        (payload_type != UNBOUND && self.connected.load(Relaxed)).then_some(payload_type)
    }

    fn repeated_type(&self) -> Option<u8> {
        Some(self.repeated_type.load(Relaxed)).filter(|payload_type| *payload_type != UNBOUND)
    }
}

/// What a [`LocalTrack`] is made of.
pub(crate) struct LocalTrackParts {
    pub(crate) codec: Codec,
    pub(crate) ssrc: Ssrc,
    pub(crate) clock: MediaClock,
    pub(crate) first_sequence: u16,
    pub(crate) track: Arc<TrackLocalStaticRTP>,
    pub(crate) stream: Arc<LocalStream>,
    pub(crate) events: mpsc::Receiver<LocalTrackEvent>,
    pub(crate) control: Arc<SendControl>,
}

/// A stream to the other side. Cloning shares it; events go to whichever clone asks.
#[derive(Clone)]
pub struct LocalTrack {
    inner: Arc<Inner>,
}

struct Inner {
    codec: Codec,
    ssrc: Ssrc,
    clock: MediaClock,
    track: Arc<TrackLocalStaticRTP>,
    stream: Arc<LocalStream>,
    binding: Arc<Binding>,
    packetizer: Mutex<Packetizer>,
    events: Mutex<mpsc::Receiver<LocalTrackEvent>>,
    control: Arc<SendControl>,
    started: AtomicBool,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    frames: AtomicU64,
    discarded: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl LocalTrack {
    pub(crate) fn new(parts: LocalTrackParts) -> (Self, Arc<Binding>) {
        let LocalTrackParts { codec, ssrc, clock, first_sequence, track, stream, events, control } = parts;
        let binding = Arc::new(Binding {
            payload_type: AtomicU8::new(UNBOUND),
            repeated_type: AtomicU8::new(UNBOUND),
            connected: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            stream: Arc::downgrade(&stream),
        });
        let inner = Inner {
            codec,
            ssrc,
            clock,
            track,
            stream,
            binding: Arc::clone(&binding),
            packetizer: Mutex::new(Packetizer::new(codec, ssrc.0, first_sequence)),
            events: Mutex::new(events),
            control,
            started: AtomicBool::new(false),
            counters: Counters::default(),
        };
        (Self { inner: Arc::new(inner) }, binding)
    }

    /// The codec of the frames that it takes.
    pub fn codec(&self) -> Codec {
        self.inner.codec
    }

    /// The source that its packets name.
    pub fn ssrc(&self) -> Ssrc {
        self.inner.ssrc
    }

    /// Sends a frame under its own RTP timestamp, waiting while the transport is busy.
    ///
    /// Frames are discarded, and counted so, until the connection stands, and on to the first key frame after that:
    /// [`LocalTrackEvent::KeyframeRequested`] tells when to make one.
    ///
    /// # Errors
    ///
    /// [`RtcError::Closed`] once the connection is closed, [`RtcError::CodecRefused`] if the other side does not take
    /// the codec, [`RtcError::WrongCodec`] and [`RtcError::EmptyFrame`] for frames that can't be sent at all.
    pub async fn send(&self, frame: EncodedFrame) -> Result<(), RtcError> {
        let inner = &*self.inner;
        if frame.codec != inner.codec {
            return Err(RtcError::WrongCodec { track: inner.codec, frame: frame.codec });
        }
        if inner.binding.closed.load(Relaxed) {
            return Err(RtcError::Closed);
        }
        if inner.binding.refused.load(Relaxed) {
            return Err(RtcError::CodecRefused(inner.codec));
        }
        let Some(payload_type) = inner.binding.payload_type() else {
            inner.counters.discarded.fetch_add(1, Relaxed);
            return Ok(());
        };
        if !frame.keyframe && !inner.started.load(Relaxed) {
            inner.counters.discarded.fetch_add(1, Relaxed);
            return Ok(());
        }
        // Held over the whole frame, so that frames of two senders can't mix.
        let mut packetizer = inner.packetizer.lock().await;
        let repeated = inner.binding.repeated_type().map(|repeated| (repeated, self.copies()));
        let packets = packetizer.packets(&frame, Format { payload_type, repeated });
        if packets.is_empty() {
            return Err(RtcError::EmptyFrame(inner.codec));
        }
        inner.started.store(true, Relaxed);
        inner.stream.captured(frame.rtp_timestamp, inner.clock.instant(frame.time));
        if frame.keyframe && inner.codec == Codec::H264 {
            inner.stream.began_afresh(frame.rtp_timestamp, inner.clock.instant(inner.clock.now()));
        }
        for packet in packets {
            let length = packet.payload.len() as u64;
            inner.track.write_rtp(packet).await.map_err(|_| RtcError::Closed)?;
            inner.counters.packets.fetch_add(1, Relaxed);
            inner.counters.bytes.fetch_add(length, Relaxed);
        }
        inner.counters.frames.fetch_add(1, Relaxed);
        Ok(())
    }

    /// In how many later packets each packet is sent once more, on a path as it is now: none of pictures, and none where the
    /// other side does not know that (RFC 2198).
    pub fn copies(&self) -> usize {
        match self.inner.binding.repeated_type() {
            Some(_) => {
                let network = self.known();
                sound_copies(network.target, network.expected_loss)
            }
            None => 0,
        }
    }

    /// What is known of the path to the other side, and how much may be sent, now.
    pub fn known(&self) -> NetworkEstimate {
        self.inner.control.known()
    }

    /// What is known of the path to the other side, and how much may be sent, as it changes: some dozens of times a second
    /// while media is sent.
    pub fn network(&self) -> watch::Receiver<NetworkEstimate> {
        self.inner.control.estimate()
    }

    /// Sends all media of the connection between these rates from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.inner.control.set_limits(limits);
    }

    /// What the other side wants next; `None` once the connection is closed.
    pub async fn next_event(&self) -> Option<LocalTrackEvent> {
        self.inner.events.lock().await.recv().await
    }

    /// What went out so far and what was reported about it.
    pub fn stats(&self) -> LocalTrackStats {
        let (fraction_lost, round_trip) = self.inner.stream.last_report();
        let (keyframe_requests, packets_requested_again) = self.inner.stream.requests();
        let counters = &self.inner.counters;
        LocalTrackStats {
            ssrc: self.inner.ssrc,
            codec: self.inner.codec,
            frames_sent: counters.frames.load(Relaxed),
            frames_discarded: counters.discarded.load(Relaxed),
            packets_sent: counters.packets.load(Relaxed),
            payload_bytes_sent: counters.bytes.load(Relaxed),
            keyframe_requests,
            packets_requested_again,
            fraction_lost,
            round_trip,
        }
    }
}

impl std::fmt::Debug for LocalTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalTrack")
            .field("codec", &self.inner.codec)
            .field("ssrc", &self.inner.ssrc)
            .finish()
    }
}
