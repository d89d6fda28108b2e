//! Pictures: sources.
