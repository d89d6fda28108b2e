//! What a call was worth.
