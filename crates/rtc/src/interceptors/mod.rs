//! What we put between the library's media engine and its wire.
//!
//! An interceptor of the library is a queue in each direction plus four callbacks. [`Staged`] holds the queues, so that
//! a [`Stage`] says only what it does with a packet.

mod congestion;
mod feedback;
mod nack;
mod repair;
mod reports;
mod rtx;
mod tap;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use ahoy_media_types::MediaClock;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;

use crate::config::Stages;
use crate::error::LibraryError;

use congestion::CongestionStage;
pub(crate) use congestion::SendControl;
use feedback::FeedbackStage;
pub(crate) use feedback::{HEADERS, TRANSPORT_CC_URI};
use nack::NackStage;
pub(crate) use repair::MIME_TYPE as REPAIR_MIME_TYPE;
use repair::{ProtectStage, RecoverStage};
use reports::SenderReportStage;
use rtx::RtxStage;
use tap::TapStage;
pub(crate) use tap::{LocalStream, LocalStreams, RemoteStream, RemoteStreams, StreamEvent};

pub(crate) type Congestion = Staged<CongestionStage>;
pub(crate) type Feedback = Staged<FeedbackStage>;
pub(crate) type MediaTap = Staged<TapStage>;
pub(crate) type NackGenerator = Staged<NackStage>;
pub(crate) type Protect = Staged<ProtectStage>;
pub(crate) type Recover = Staged<RecoverStage>;
pub(crate) type RtxUnwrap = Staged<RtxStage>;
pub(crate) type SenderReports = Staged<SenderReportStage>;

/// What lies between one peer and its network.
pub(crate) fn stages(
    clock: MediaClock,
    local: &Arc<LocalStreams>,
    remote: &Arc<RemoteStreams>,
    control: &Arc<SendControl>,
    announce: impl Fn(RemoteStream) + Send + Sync + 'static,
) -> Stages {
    let own_ssrc = rand::random();
    Stages {
        congestion: Staged::new(CongestionStage::new(clock, Arc::clone(local), Arc::clone(control))),
        feedback: Staged::new(FeedbackStage::new(clock, own_ssrc)),
        protect: Staged::new(ProtectStage::new(control)),
        nack: Staged::new(NackStage::new(own_ssrc)),
        reports: Staged::new(SenderReportStage::new(Arc::clone(local))),
        tap: Staged::new(TapStage::new(
            clock,
            Arc::clone(local),
            Arc::clone(remote),
            Arc::clone(control),
            announce,
        )),
    }
}

/// What one interceptor does. The default of everything is to pass packets on untouched.
pub(crate) trait Stage: Send + Sync {
    /// A packet on its way from the network; what is returned goes on towards the application.
    fn inbound(&mut self, packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        Some(packet)
    }
    /// A packet on its way to the network; what is returned goes on.
    fn outbound(&mut self, packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        Some(packet)
    }
    /// The time asked for by [`Self::wakeup`] has come.
    fn timeout(&mut self, _now: Instant, _own: &mut Outbox) {}
    /// When [`Self::timeout`] is to be called.
    fn wakeup(&self) -> Option<Instant> {
        None
    }
    fn bind_local(&mut self, _stream: &StreamInfo) {}
    fn unbind_local(&mut self, _stream: &StreamInfo) {}
    fn bind_remote(&mut self, _stream: &StreamInfo) {}
    fn unbind_remote(&mut self, _stream: &StreamInfo) {}
}

/// What a stage sends by itself: towards the network RTCP that it makes and packets that it held back, towards the application
/// packets that it made from others.
#[derive(Default)]
pub(crate) struct Outbox {
    network: Vec<TaggedPacket>,
    application: Vec<TaggedPacket>,
}

impl Outbox {
    pub(crate) fn send(&mut self, now: Instant, packet: Box<dyn rtc::rtcp::Packet>) {
        self.network.push(TaggedPacket {
            now,
            transport: TransportContext::default(),
            message: AttributedPacket::new(Packet::Rtcp(vec![packet])),
        });
    }

    pub(crate) fn forward(&mut self, packet: TaggedPacket) {
        self.network.push(packet);
    }

    pub(crate) fn deliver(&mut self, packet: TaggedPacket) {
        self.application.push(packet);
    }

    #[cfg(test)]
    fn into_network(self) -> Vec<TaggedPacket> {
        self.network
    }

    #[cfg(test)]
    fn into_application(self) -> Vec<TaggedPacket> {
        self.application
    }
}

/// A [`Stage`] with the queues that the library's chain expects.
#[derive(Default)]
pub(crate) struct Staged<S> {
    stage: S,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl<S> Staged<S> {
    pub(crate) fn new(stage: S) -> Self {
        Self { stage, inbound: VecDeque::new(), outbound: VecDeque::new() }
    }
}

impl<S: Stage> Protocol<TaggedPacket, TaggedPacket, ()> for Staged<S> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = LibraryError;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), LibraryError> {
        let mut own = Outbox::default();
        self.inbound.extend(self.stage.inbound(packet, &mut own));
        self.inbound.extend(own.application);
        self.outbound.extend(own.network);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), LibraryError> {
        let mut own = Outbox::default();
        let passed = self.stage.outbound(packet, &mut own);
        self.outbound.extend(passed);
        self.outbound.extend(own.network);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), LibraryError> {
        if self.stage.wakeup().is_some_and(|at| at <= now) {
            let mut own = Outbox::default();
            self.stage.timeout(now, &mut own);
            self.outbound.extend(own.network);
        }
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.stage.wakeup()
    }
}

impl<S: Stage> Interceptor for Staged<S> {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.stage.bind_local(info);
    }
    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.stage.unbind_local(info);
    }
    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.stage.bind_remote(info);
    }
    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.stage.unbind_remote(info);
    }
}
