//! Sound: sources, sinks, resampling.
