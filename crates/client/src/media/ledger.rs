//! When each frame passed each stage, joined by its RTP timestamp.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_measure::freeze::{FreezeDetector, Freezes};
use ahoy_measure::spread::Spread;
use ahoy_media_types::MediaTime;

use super::figures::StageStats;
use super::report::{SpreadReport, StageReport};
use crate::pipeline::{EncodeTiming, FrameTiming};

/// Frames between encoder and screen that are remembered. Four seconds at 30 fps: longer than any frame lives.
const KEPT: usize = 120;

/// Collects frame timings from the encoder's thread and the playout thread. Cloning shares the ledger.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    on_the_way: VecDeque<EncodeTiming>,
    totals: Totals,
    recent: Recent,
}

/// The same since it was last looked at.
#[derive(Default)]
struct Recent {
    wait: Spread,
    encode: Spread,
    transport: Spread,
    jitter_buffer: Spread,
    decode: Spread,
    present: Spread,
    latency: Spread,
}

/// What the ledger shows while the call lasts.
pub(crate) struct Glance {
    pub(crate) stages: StageStats,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) freezes: Freezes,
}

/// What the ledger adds up to.
#[derive(Default)]
pub(crate) struct Totals {
    wait: Spread,
    encode: Spread,
    transport: Spread,
    jitter_buffer: Spread,
    decode: Spread,
    present: Spread,
    arrived_to_shown: Spread,
    pub(crate) decoded_latency: Spread,
    pub(crate) freezes: FreezeDetector,
    pub(crate) first_decoded: Option<MediaTime>,
    pub(crate) first_rendered: Option<MediaTime>,
    pub(crate) last_rendered: Option<MediaTime>,
    pub(crate) rendered: u64,
}

impl Ledger {
    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn encoded(&self, timing: EncodeTiming) {
        let mut entries = self.lock();
        let wait = timing.started_at.millis_after(timing.captured_at);
        let encode = timing.ended_at.millis_after(timing.started_at);
        entries.totals.wait.record(wait);
        entries.totals.encode.record(encode);
        entries.recent.wait.record(wait);
        entries.recent.encode.record(encode);
        if entries.on_the_way.len() == KEPT {
            entries.on_the_way.pop_front();
        }
        entries.on_the_way.push_back(timing);
    }

    pub(crate) fn rendered(&self, timing: &FrameTiming) {
        let mut guard = self.lock();
        let Entries { on_the_way, totals, recent } = &mut *guard;
        totals.freezes.on_frame_rendered(timing.presented_at);
        totals.first_decoded.get_or_insert(timing.decoded_at);
        totals.first_rendered.get_or_insert(timing.presented_at);
        totals.last_rendered = Some(timing.presented_at);
        totals.rendered += 1;
        let jitter_buffer = timing.decode_started_at.millis_after(timing.last_packet_at);
        let decode = timing.decoded_at.millis_after(timing.decode_started_at);
        let present = timing.presented_at.millis_after(timing.decoded_at);
        totals.jitter_buffer.record(jitter_buffer);
        totals.decode.record(decode);
        totals.present.record(present);
        totals.arrived_to_shown.record(timing.presented_at.millis_after(timing.last_packet_at));
        recent.jitter_buffer.record(jitter_buffer);
        recent.decode.record(decode);
        recent.present.record(present);
        // Frames come out in the order they went in; what is older than this one was lost on the way.
        while let Some(sent) = on_the_way.pop_front() {
            if sent.rtp_timestamp == timing.rtp_timestamp {
                let transport = timing.last_packet_at.millis_after(sent.ended_at);
                totals.transport.record(transport);
                recent.transport.record(transport);
                recent.latency.record(timing.presented_at.millis_after(sent.captured_at));
                totals.decoded_latency.record(timing.decoded_at.millis_after(sent.captured_at));
                break;
            }
        }
    }

    pub(crate) fn rendered_frames(&self) -> u64 {
        self.lock().totals.rendered
    }

    /// What happened since the last look.
    pub(crate) fn look(&self) -> Glance {
        let mut entries = self.lock();
        let recent = std::mem::take(&mut entries.recent);
        let freezes = entries.totals.freezes.so_far();
        drop(entries);
        let median = |spread: &Spread| spread.quantile(0.5);
        let stages = StageStats {
            capture_to_encode: median(&recent.wait),
            encode: median(&recent.encode),
            network: median(&recent.transport),
            jitter_buffer: median(&recent.jitter_buffer),
            decode: median(&recent.decode),
            show: median(&recent.present),
        };
        Glance { stages, latency_ms: median(&recent.latency), freezes }
    }

    /// No pictures are to be expected for a while: what is missing until the next one is no freeze.
    pub(crate) fn paused(&self) {
        self.lock().totals.freezes.on_stream_paused();
    }

    /// Takes what was collected, leaving the ledger empty.
    pub(crate) fn take(&self) -> Totals {
        std::mem::take(&mut self.lock().totals)
    }
}

impl Totals {
    pub(crate) fn stages(&self) -> StageReport {
        StageReport {
            wait: self.wait.summary().into(),
            encode: self.encode.summary().into(),
            transport: self.transport.summary().into(),
            jitter_buffer: self.jitter_buffer.summary().into(),
            decode: self.decode.summary().into(),
            present: self.present.summary().into(),
        }
    }

    /// From the last packet's arrival to shown.
    pub(crate) fn arrived_to_shown(&self) -> SpreadReport {
        self.arrived_to_shown.summary().into()
    }

    /// Rendered frames per second between the first and the last.
    pub(crate) fn fps(&self) -> f64 {
        match (self.first_rendered, self.last_rendered) {
            (Some(first), Some(last)) if last > first => {
                (self.rendered - 1) as f64 / last.since(first).as_secs_f64()
            }
            (_, _) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(rtp_timestamp: u32, captured_ms: u64) -> EncodeTiming {
        let at = |ms| MediaTime::from_millis(captured_ms + ms);
        EncodeTiming { rtp_timestamp, captured_at: at(0), started_at: at(1), ended_at: at(5) }
    }

    fn show(rtp_timestamp: u32, captured_ms: u64) -> FrameTiming {
        let at = |ms| MediaTime::from_millis(captured_ms + ms);
        FrameTiming {
            rtp_timestamp,
            last_packet_at: at(7),
            decode_started_at: at(8),
            decoded_at: at(10),
            presented_at: at(12),
        }
    }

    #[test]
    fn stages_are_joined_by_timestamp_even_when_a_frame_is_lost() {
        let ledger = Ledger::default();
        for (ts, ms) in [(0, 0), (3000, 33), (6000, 66)] {
            ledger.encoded(encode(ts, ms));
        }
        ledger.rendered(&show(0, 0));
        ledger.rendered(&show(6000, 66));
        assert_eq!(ledger.rendered_frames(), 2);
        let totals = ledger.take();
        let stages = totals.stages();
        assert_eq!((stages.transport.count, stages.transport.p50), (2, Some(2.0)));
        assert_eq!(totals.decoded_latency.summary().unwrap().max, 10.0);
        assert_eq!(stages.wait.count, 3);
        assert!((totals.fps() - 1000.0 / 66.0).abs() < 1e-9);
    }
}
