//! What ICE reads: candidates' lines and servers' addresses, and messages of the other side,
//! of STUN servers and of relays.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        ahoy_ice::fuzzing::lines(text);
    }
    ahoy_ice::fuzzing::stream(bytes);
    ahoy_ice::fuzzing::connection(bytes);
});
