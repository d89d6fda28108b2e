//! Data channels (RFC 8831): messages beside the media.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit, RTCDataChannelState};

use crate::error::RtcError;

/// How hard a channel tries to deliver a message (RFC 8832 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// Until it arrives or the connection ends.
    Reliable,
    /// It is sent again at most this often.
    MaxRetransmits(u16),
    /// It is sent again for at most this long, counted in whole milliseconds up to 65 s.
    MaxLifetime(Duration),
}

/// How a channel treats its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelOptions {
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// How hard it tries.
    pub reliability: Reliability,
    /// Its stream, where both sides have agreed on that beforehand: each of them opens it, and neither announces it (RFC 8832
    /// section 6). Such a channel can be used as soon as there is a connection, and both sides know how it treats messages.
    pub stream: Option<u16>,
}

impl Default for ChannelOptions {
    /// In order, every message.
    fn default() -> Self {
        Self { ordered: true, reliability: Reliability::Reliable, stream: None }
    }
}

impl ChannelOptions {
    /// Each message once, in any order: for what is outdated soon.
    pub const fn unreliable() -> Self {
        Self { ordered: false, reliability: Reliability::MaxRetransmits(0), stream: None }
    }

    /// Every message, in any order.
    pub const fn unordered() -> Self {
        Self { ordered: false, reliability: Reliability::Reliable, stream: None }
    }

    /// On this stream, as agreed beforehand.
    #[must_use]
    pub const fn on_stream(self, stream: u16) -> Self {
        Self { stream: Some(stream), ..self }
    }

    pub(crate) fn init(self) -> Result<RTCDataChannelInit, RtcError> {
        let mut init =
            RTCDataChannelInit { ordered: self.ordered, negotiated: self.stream, ..Default::default() };
        match self.reliability {
            Reliability::Reliable => {}
            Reliability::MaxRetransmits(count) => init.max_retransmits = Some(count),
            Reliability::MaxLifetime(time) => {
                let millis = u16::try_from(time.as_millis()).map_err(|_| {
                    RtcError::ChannelOptions("a message can't be kept for more than 65 seconds")
                })?;
                init.max_packet_life_time = Some(millis);
            }
        }
        Ok(init)
    }
}

/// The longest label in bytes. The protocol takes 65,535; nobody reads one that long.
pub(crate) const MAX_LABEL: usize = 256;

/// What a channel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Length in bytes as sent.
    pub fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What happens on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// Messages can be sent.
    Open,
    /// A message came.
    Message(Message),
    /// What waits to be sent has fallen to the low-water mark.
    BufferedAmountLow,
    /// The channel is closed; nothing follows.
    Closed,
}

/// One data channel. Cloning shares it; events go to whichever clone asks.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<dyn DataChannel>,
    label: String,
    options: Option<ChannelOptions>,
    max_message: usize,
    told: Arc<Told>,
}

/// What the owner of a channel has been told.
#[derive(Debug, Default)]
struct Told {
    open: AtomicBool,
    /// The channel is open, and the library may have told nobody.
    open_is_due: AtomicBool,
}

impl Channel {
    pub(crate) fn new(
        inner: Arc<dyn DataChannel>,
        label: String,
        options: Option<ChannelOptions>,
        max_message: usize,
    ) -> Self {
        Self { inner, label, options, max_message, told: Arc::default() }
    }

    /// A channel that this side has just opened. The library makes a channel first and listens to it afterwards: where the
    /// other side answers in between, it takes the answer for a channel of that side's, and this one never hears of it.
    pub(crate) async fn opened_here(
        inner: Arc<dyn DataChannel>,
        label: String,
        options: ChannelOptions,
        max_message: usize,
    ) -> Self {
        let is_open = matches!(inner.ready_state().await, Ok(RTCDataChannelState::Open));
        let channel = Self::new(inner, label, Some(options), max_message);
        channel.told.open_is_due.store(is_open, Relaxed);
        channel
    }

    /// The name that its opener gave it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How it treats its messages. Not known to the side that did not open it: the library does not tell.
    pub fn options(&self) -> Option<ChannelOptions> {
        self.options
    }

    /// Sends text, waiting while the send buffer is full.
    pub async fn send_text(&self, text: &str) -> Result<(), RtcError> {
        self.check_length(text.len())?;
        self.inner.send_text(text).await.map_err(channel_error)
    }

    /// Sends bytes, waiting while the send buffer is full.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), RtcError> {
        self.check_length(bytes.len())?;
        self.inner.send(BytesMut::from(bytes)).await.map_err(channel_error)
    }

    fn check_length(&self, length: usize) -> Result<(), RtcError> {
        if length > self.max_message {
            return Err(RtcError::MessageTooLong { length, limit: self.max_message });
        }
        Ok(())
    }

    /// Bytes given to `send` that the other side has not acknowledged.
    pub async fn buffered_amount(&self) -> Result<usize, RtcError> {
        self.inner.outstanding_bytes().await.map_err(channel_error)
    }

    /// Sets the mark for [`ChannelEvent::BufferedAmountLow`], in bytes.
    pub async fn set_low_water(&self, bytes: u32) -> Result<(), RtcError> {
        self.inner.set_buffered_amount_low_threshold(bytes).await.map_err(channel_error)
    }

    /// The next event; `None` after [`ChannelEvent::Closed`] and when the connection ends.
    pub async fn next_event(&self) -> Option<ChannelEvent> {
        if self.told.open_is_due.swap(false, Relaxed) && !self.told.open.swap(true, Relaxed) {
            return Some(ChannelEvent::Open);
        }
        loop {
            return Some(match self.inner.poll().await? {
                DataChannelEvent::OnOpen if self.told.open.swap(true, Relaxed) => continue,
                DataChannelEvent::OnOpen => ChannelEvent::Open,
                DataChannelEvent::OnMessage(message) if message.is_string => {
                    // Text that is not UTF-8 breaks RFC 8831; what can be read of it is kept.
                    ChannelEvent::Message(Message::Text(String::from_utf8_lossy(&message.data).into_owned()))
                }
                DataChannelEvent::OnMessage(message) => {
                    ChannelEvent::Message(Message::Binary(message.data.freeze()))
                }
                // The protocol's own opening message counts as well, and may be acknowledged before it is answered.
                DataChannelEvent::OnBufferedAmountLow if !self.told.open.load(Relaxed) => continue,
                DataChannelEvent::OnBufferedAmountLow => ChannelEvent::BufferedAmountLow,
                DataChannelEvent::OnClose | DataChannelEvent::OnError => ChannelEvent::Closed,
                _ => continue,
            });
        }
    }

    /// Closes the channel; messages already given to `send` still go out.
    pub async fn close(&self) -> Result<(), RtcError> {
        self.inner.close().await.map_err(channel_error)
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("id", &self.inner.id())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn channel_error(error: webrtc::error::Error) -> RtcError {
    match error {
        webrtc::error::Error::ErrDataChannelClosed => RtcError::ChannelClosed,
        other => RtcError::Channel(other),
    }
}
