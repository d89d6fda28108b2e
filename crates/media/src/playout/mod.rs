//! Jitter buffers, lip sync, frame sinks.

mod frame_sink;

pub use frame_sink::{FrameSink, NullSink, Recorded, SinkError, Y4mSink};
