//! A loopback call over an emulated link.

use std::time::Duration;

use ahoy_client::ProblemCode;
use ahoy_client::VideoFormat;
use ahoy_client::loopback::{self, LoopbackConfig, LoopbackReport, Side, Signal, SignalPath};
use ahoy_media_types::{FrameRate, FrameSize};
use ahoy_testkit::{LinkConfig, LinkHandle, UdpRelay};
use tokio::sync::watch;

/// A small picture, so that the tests measure the call and not the machine.
pub(crate) fn small_call(seconds: f64) -> LoopbackConfig {
    let format =
        VideoFormat { size: FrameSize::new(320, 180).expect("a good size"), rate: FrameRate::FPS_30 };
    LoopbackConfig { duration: Some(Duration::from_secs_f64(seconds)), format, ..LoopbackConfig::default() }
}

/// Puts a relay between the two ends by rewriting their candidates.
pub(crate) struct Emulated {
    relay: UdpRelay,
}

impl Emulated {
    pub(crate) fn new(link: LinkConfig) -> Self {
        let relay = UdpRelay::start(link.clone(), link).expect("the relay starts");
        Self { relay }
    }

    pub(crate) fn handle(&self) -> LinkHandle {
        self.relay.handle()
    }
}

impl SignalPath for Emulated {
    fn carry(&mut self, from: Side, signal: Signal) -> Option<Signal> {
        let side = match from {
            Side::Caller => ahoy_testkit::Side::A,
            Side::Callee => ahoy_testkit::Side::B,
        };
        Some(match signal {
            Signal::Description { kind, sdp } => Signal::Description {
                kind,
                sdp: self.relay.rewrite_sdp(side, &sdp).expect("candidates are well formed"),
            },
            Signal::Candidate { candidate, sdp_mid, sdp_mline_index, ufrag } => {
                let rewritten =
                    self.relay.rewrite_candidate(side, &candidate).expect("candidates are well formed")?;
                Signal::Candidate { candidate: rewritten, sdp_mid, sdp_mline_index, ufrag }
            }
        })
    }
}

/// Makes a call over `path`; `during` is called ten times a second with the time since the ends connected.
pub(crate) fn call_over(
    config: &LoopbackConfig,
    path: &mut (dyn SignalPath + Send),
    mut during: impl FnMut(Duration),
) -> LoopbackReport {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (_keep, cancel) = watch::channel(false);
    let report = runtime.block_on(loopback::run_over(config, path, cancel, |progress| {
        if let loopback::Progress::Running { elapsed, .. } = progress {
            during(elapsed);
        }
    }));
    report.expect("there is a call")
}

/// Whether the report names this problem.
pub(crate) fn names(report: &LoopbackReport, code: ProblemCode) -> bool {
    report.problems.iter().any(|problem| problem.code == code)
}
