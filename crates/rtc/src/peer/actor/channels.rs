//! The data channels that this side opens.

use webrtc::data_channel::RTCDataChannelInit;

use super::Actor;
use crate::channels::{Channel, ChannelOptions, MAX_LABEL};
use crate::error::{LibraryError, RtcError};

/// Stream of a channel that only this side knows and nobody uses: the last one that browsers have, far from those which
/// are given out in turn.
const PLACEHOLDER_STREAM: u16 = 1023;

impl Actor {
    /// Sees to it that the first offer has a section for data channels. The library starts SCTP with the keys of the
    /// DTLS handshake or never: a channel that is first negotiated during the call would not open.
    pub(super) async fn offer_channels(&mut self) -> Result<(), LibraryError> {
        if self.placeholder.is_none() {
            let init = RTCDataChannelInit { negotiated: Some(PLACEHOLDER_STREAM), ..Default::default() };
            self.placeholder = Some(self.connection.create_data_channel("", Some(init)).await?);
        }
        Ok(())
    }

    pub(super) async fn open_channel(
        &mut self,
        label: String,
        options: ChannelOptions,
    ) -> Result<Channel, RtcError> {
        if label.len() > MAX_LABEL {
            return Err(RtcError::ChannelOptions("its name is longer than 256 bytes"));
        }
        let init = options.init()?;
        let made = self.connection.create_data_channel(&label, Some(init)).await;
        let inner = made.map_err(RtcError::Channel)?;
        self.own_channels.insert(inner.id());
        Ok(Channel::opened_here(inner, label, options, self.config.max_message_size as usize).await)
    }
}
