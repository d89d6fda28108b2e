//! What we put between the library's media engine and its wire.
//!
//! An interceptor of the library is a queue in each direction plus four callbacks. [`Staged`] holds the queues, so that
//! a [`Stage`] says only what it does with a packet.

mod nack;
mod reports;
mod rtx;
mod tap;

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;

use crate::error::LibraryError;

pub(crate) use nack::NackStage;
pub(crate) use reports::SenderReportStage;
pub(crate) use rtx::RtxStage;
pub(crate) use tap::{LocalStream, LocalStreams, RemoteStream, RemoteStreams, StreamEvent, TapStage};

pub(crate) type MediaTap = Staged<TapStage>;
pub(crate) type NackGenerator = Staged<NackStage>;
pub(crate) type RtxUnwrap = Staged<RtxStage>;
pub(crate) type SenderReports = Staged<SenderReportStage>;

/// What one interceptor does. The default of everything is to pass packets on untouched.
pub(crate) trait Stage: Send + Sync {
    /// A packet on its way from the network; what is returned goes on towards the application.
    fn inbound(&mut self, packet: TaggedPacket, _own: &mut Outbox) -> Option<TaggedPacket> {
        Some(packet)
    }
    /// A packet on its way to the network; what is returned goes on.
    fn outbound(&mut self, packet: TaggedPacket) -> Option<TaggedPacket> {
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

/// RTCP that a stage makes itself.
#[derive(Default)]
pub(crate) struct Outbox(Vec<(Instant, Box<dyn rtc::rtcp::Packet>)>);

impl Outbox {
    pub(crate) fn send(&mut self, now: Instant, packet: Box<dyn rtc::rtcp::Packet>) {
        self.0.push((now, packet));
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

    fn post(&mut self, own: Outbox) {
        self.outbound.extend(own.0.into_iter().map(|(now, packet)| TaggedPacket {
            now,
            transport: TransportContext::default(),
            message: AttributedPacket::new(Packet::Rtcp(vec![packet])),
        }));
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
        self.post(own);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), LibraryError> {
        self.outbound.extend(self.stage.outbound(packet));
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), LibraryError> {
        if self.stage.wakeup().is_some_and(|at| at <= now) {
            let mut own = Outbox::default();
            self.stage.timeout(now, &mut own);
            self.post(own);
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
