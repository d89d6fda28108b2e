//! Jitter buffers, lip sync, frame sinks.
