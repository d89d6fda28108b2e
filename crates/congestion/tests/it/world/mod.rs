//! Calls that share a bottleneck, on virtual time: senders with the real controller and pacer, a source that behaves as an
//! encoder does, receivers that report, TCP connections beside them.

mod call;
mod files;
mod measure;
mod tcp;

use std::time::Duration;

use ahoy_media_types::MediaTime;
use ahoy_testkit::link::{Link, LinkConfig, PacketFate};

pub(crate) use self::call::{Call, CallConfig};
pub(crate) use self::measure::{Measured, jain};
pub(crate) use self::tcp::Tcp;

/// What crosses the bottleneck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel {
    /// Which of the world's flows it belongs to.
    pub(crate) flow: usize,
    pub(crate) bytes: usize,
    pub(crate) body: Body,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Media {
        sequence: u16,
        /// The frame that it is part of, and how many packets that has; `None` for sound and what only measures.
        frame: Option<(u64, u32)>,
        repeated: bool,
    },
    Segment(u64),
}

/// What goes back.
#[derive(Clone, Debug)]
pub(crate) enum Back {
    Report(Vec<ahoy_congestion::PacketStatus>),
    /// An acknowledgement of a segment, of TCP or of a file.
    Ack(u64),
}

pub(crate) enum Flow {
    Call(Box<Call>),
    Tcp(Box<Tcp>),
}

/// Behind the bottleneck each flow has a way of its own, and one back.
pub(crate) struct Path {
    pub(crate) flow: Flow,
    ahead: Link<Parcel>,
    back: Link<Back>,
}

pub(crate) struct World {
    pub(crate) now: MediaTime,
    pub(crate) bottleneck: Link<Parcel>,
    pub(crate) paths: Vec<Path>,
}

impl World {
    pub(crate) fn new(bottleneck: LinkConfig) -> Self {
        let now = MediaTime::from_millis(1);
        Self { now, bottleneck: Link::new(bottleneck, now), paths: Vec::new() }
    }

    pub(crate) fn add(&mut self, flow: Flow, ahead: LinkConfig, back: LinkConfig) {
        let (ahead, back) = (Link::new(ahead, self.now), Link::new(back, self.now));
        self.paths.push(Path { flow, ahead, back });
    }

    /// Adds a TCP connection over ways of `ms` milliseconds.
    pub(crate) fn add_tcp(&mut self, tcp: Tcp, ms: f64) {
        let way = || LinkConfig::builder().delay(Duration::from_secs_f64(ms / 1e3)).build().expect("a way");
        self.add(Flow::Tcp(Box::new(tcp)), way(), way());
    }

    /// Lets nothing into the bottleneck any more, or again.
    pub(crate) fn set_blocked(&mut self, blocked: bool) {
        self.bottleneck.set_blocked(blocked);
    }

    pub(crate) fn call(&self, index: usize) -> &Call {
        match &self.paths[index].flow {
            Flow::Call(call) => call,
            Flow::Tcp(_) => panic!("flow {index} is a TCP connection"),
        }
    }

    pub(crate) fn run_until(&mut self, end: Duration) {
        let end = MediaTime::ZERO + end;
        while self.now < end {
            self.step();
            let next = self.next().unwrap_or(end);
            self.now = next.max(self.now + Duration::from_micros(20)).min(end);
        }
    }

    fn next(&self) -> Option<MediaTime> {
        let paths = self.paths.iter().flat_map(|path| {
            let flow = match &path.flow {
                Flow::Call(call) => call.next_wakeup(),
                Flow::Tcp(tcp) => tcp.next_wakeup(),
            };
            [flow, path.ahead.next_wakeup(), path.back.next_wakeup()].into_iter().flatten()
        });
        self.bottleneck.next_wakeup().into_iter().chain(paths).min()
    }

    fn step(&mut self) {
        let now = self.now;
        for (index, path) in self.paths.iter_mut().enumerate() {
            while let Some(back) = path.back.poll(now) {
                match &mut path.flow {
                    Flow::Call(call) => call.on_back(back.packet, now),
                    Flow::Tcp(tcp) => tcp.on_back(back.packet, now),
                }
            }
            let mut leave =
                |bytes, body| self.bottleneck.handle(Parcel { flow: index, bytes, body }, bytes, now);
            match &mut path.flow {
                Flow::Call(call) => call.send(now, &mut leave),
                Flow::Tcp(tcp) => tcp.send(now, &mut leave),
            }
        }
        while let Some(through) = self.bottleneck.poll(now) {
            let parcel = through.packet;
            self.paths[parcel.flow].ahead.handle(parcel, parcel.bytes, through.at);
        }
        for path in &mut self.paths {
            while let Some(arrived) = path.ahead.poll(now) {
                let ack = match &mut path.flow {
                    Flow::Call(call) => call.on_arrival(arrived.packet, arrived.at),
                    Flow::Tcp(tcp) => tcp.on_arrival(arrived.packet),
                };
                if let Some(ack) = ack {
                    path.back.handle(ack, 60, now);
                }
            }
            if let Flow::Call(call) = &mut path.flow
                && let Some(report) = call.report(now)
            {
                path.back.handle(report, 80, now);
            }
        }
    }

    /// How long packets waited at the bottleneck, from `from` to `to`, in milliseconds.
    pub(crate) fn waits(&self, from: f64, to: f64) -> Vec<f64> {
        let records = self.bottleneck.log().records();
        let within = records.filter(|record| (from..to).contains(&record.arrived.as_secs_f64()));
        within
            .filter_map(|record| match record.fate {
                PacketFate::Delivered { queued, .. } => Some(queued.as_secs_f64() * 1e3),
                PacketFate::QueueDropped | PacketFate::Queued | PacketFate::Lost | PacketFate::Blocked => {
                    None
                }
            })
            .collect()
    }
}
