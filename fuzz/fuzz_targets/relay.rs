//! What clients of the relay send: a stream of STUN messages and channels, unsigned as it comes, and signed right, as only those
//! with credentials can.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    ahoy_turn::fuzzing::client_stream(bytes);
});
