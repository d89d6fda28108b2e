//! What may be sent to the other side, what is, and what is made of it, for people to look at.

use ahoy_congestion::{Cause, Decision};
use ahoy_rtc::{NetworkEstimate, Reason};
use serde::Serialize;

/// What the path to the other side carries, as far as is known, and what is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SendingStats {
    /// What may be sent, with all headers.
    pub target_kbps: f64,
    /// What is sent, with all headers.
    pub sent_kbps: f64,
    /// What arrives.
    pub acknowledged_kbps: f64,
    /// For how long packets wait in queues on the way.
    pub queue_ms: f64,
    /// Packets that are lost.
    pub loss_percent: f64,
    /// There and back, with the time until the other side reports.
    pub round_trip_ms: f64,
    /// Why the target is what it is.
    pub reason: Reason,
    /// How pictures are made; null where none are.
    pub picture: Option<SentPicture>,
    /// What keeps pictures from being better; null where none were made yet.
    pub limited_by: Option<Cause>,
}

/// How pictures are made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SentPicture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// How many a second at most.
    pub fps: f64,
    /// What they may take.
    pub bitrate_kbps: f64,
}

impl SendingStats {
    pub(crate) fn new(network: &NetworkEstimate, decision: Option<Decision>) -> Self {
        let (picture, limited_by) = match decision {
            None => (None, None),
            Some(Decision::Pause(cause)) => (None, Some(cause)),
            Some(Decision::Encode(encoding)) => {
                let picture = SentPicture {
                    width: encoding.size.width(),
                    height: encoding.size.height(),
                    fps: encoding.fps,
                    bitrate_kbps: encoding.bitrate / 1e3,
                };
                (Some(picture), Some(encoding.cause))
            }
        };
        Self {
            target_kbps: network.target / 1e3,
            sent_kbps: network.sent / 1e3,
            acknowledged_kbps: network.acknowledged / 1e3,
            queue_ms: network.queue_ms,
            loss_percent: network.loss * 100.0,
            round_trip_ms: network.rtt_ms,
            reason: network.reason,
            picture,
            limited_by,
        }
    }
}
