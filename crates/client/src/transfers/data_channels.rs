//! Files over data channels: one for what is said, one for chunks.

use std::time::Duration;

use ahoy_rtc::{Channel, ChannelEvent, ChannelOptions, Message, Peer, RtcError};
use tokio::time::sleep;

use super::channels::{FromChannels, GREETING};

/// Streams, as both sides know them.
const SAID_STREAM: u16 = 1000;
const DATA_STREAM: u16 = 1001;
const SAID_LABEL: &str = "files";
const DATA_LABEL: &str = "file-data";
/// How often it is looked whether the other side has what was said last.
const FAREWELL_TICK: Duration = Duration::from_millis(10);

/// The channels of one connection.
#[derive(Debug)]
pub(super) struct DataChannels {
    said: Channel,
    data: Channel,
    stage: Stage,
    /// Whether the greeting is to be said next.
    to_greet: bool,
    /// Whether it was heard before both are open here.
    greeted_early: bool,
}

/// How far they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// One after the other; whether the second one is opening.
    Opening {
        is_data: bool,
    },
    /// It is not known yet whether the other side hears.
    Greeting,
    /// It does, and nobody was told.
    Greeted,
    Open,
}

impl DataChannels {
    /// Opens them; the other side has to do so as well, which needs no word between the two.
    ///
    /// # Errors
    /// [`RtcError`].
    pub(super) async fn open(peer: &Peer) -> Result<Self, RtcError> {
        let said = ChannelOptions::default().on_stream(SAID_STREAM);
        let data = ChannelOptions::unordered().on_stream(DATA_STREAM);
        Ok(Self {
            said: peer.open_channel(SAID_LABEL, said).await?,
            data: peer.open_channel(DATA_LABEL, data).await?,
            stage: Stage::Opening { is_data: false },
            to_greet: false,
            greeted_early: false,
        })
    }

    /// The next thing that happens; nothing more once one of them is closed. It can be given up and begun again at any time.
    pub(super) async fn next(&mut self) -> Option<FromChannels> {
        loop {
            if self.to_greet {
                self.said.send_text(GREETING).await.ok()?;
                self.to_greet = false;
            }
            match self.stage {
                Stage::Opening { is_data } => self.await_open(is_data).await?,
                Stage::Greeting => match self.said.next_event().await? {
                    ChannelEvent::Message(Message::Text(text)) if text == GREETING => self.hear(),
                    ChannelEvent::Closed => return None,
                    // Nothing else is said before.
                    _ => {}
                },
                Stage::Greeted => {
                    self.stage = Stage::Open;
                    return Some(FromChannels::Open);
                }
                Stage::Open => {
                    let (is_data, event) = tokio::select! {
                        event = self.said.next_event() => (false, event?),
                        event = self.data.next_event() => (true, event?),
                    };
                    match event {
                        ChannelEvent::Message(Message::Text(text)) if text == GREETING => {}
                        ChannelEvent::Message(message) => return Some(happened(is_data, message)),
                        ChannelEvent::BufferedAmountLow if is_data => return Some(FromChannels::Room),
                        ChannelEvent::BufferedAmountLow | ChannelEvent::Open => {}
                        ChannelEvent::Closed => return None,
                    }
                }
            }
        }
    }

    /// Waits until a channel is open.
    async fn await_open(&mut self, is_data: bool) -> Option<()> {
        let channel = if is_data { &self.data } else { &self.said };
        match channel.next_event().await? {
            ChannelEvent::Open if is_data => {
                (self.stage, self.to_greet) = (Stage::Greeting, true);
                if std::mem::take(&mut self.greeted_early) {
                    self.hear();
                }
            }
            ChannelEvent::Open => self.stage = Stage::Opening { is_data: true },
            // It may come before the news that there is a channel.
            ChannelEvent::Message(Message::Text(text)) if text == GREETING => self.greeted_early = true,
            ChannelEvent::Message(_) | ChannelEvent::BufferedAmountLow => {}
            ChannelEvent::Closed => return None,
        }
        Some(())
    }

    /// The other side hears. The library loses what comes before it has told of the connection, the first greeting too, so that
    /// it gets another one.
    fn hear(&mut self) {
        (self.stage, self.to_greet) = (Stage::Greeted, true);
    }

    pub(super) async fn say(&self, text: &str) -> Result<(), RtcError> {
        self.said.send_text(text).await
    }

    pub(super) async fn send(&self, chunk: &[u8]) -> Result<(), RtcError> {
        self.data.send(chunk).await
    }

    /// Bytes of chunks that the other side has not acknowledged.
    pub(super) async fn waiting(&self) -> Result<u64, RtcError> {
        Ok(self.data.buffered_amount().await? as u64)
    }

    /// Waits until the other side has all that was said.
    pub(super) async fn said_all(&self) {
        while self.said.buffered_amount().await.is_ok_and(|waiting| waiting > 0) {
            sleep(FAREWELL_TICK).await;
        }
    }

    /// Says [`FromChannels::Room`] when no more than this waits.
    pub(super) async fn tell_below(&self, bytes: u32) -> Result<(), RtcError> {
        self.data.set_low_water(bytes).await
    }
}

fn happened(is_data: bool, message: Message) -> FromChannels {
    let bytes = match message {
        Message::Text(text) => text.into(),
        Message::Binary(bytes) => bytes,
    };
    if is_data { FromChannels::Chunk(bytes) } else { FromChannels::Said(bytes) }
}
