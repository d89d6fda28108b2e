//! What the other side of a call says over its control channel.
#![no_main]

use ahoy_call::Control;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = Control::read(bytes) else { return };
    // What was understood says the same when it is said again.
    let again = Control::read(read.to_json().as_bytes()).expect("what is written can be read");
    assert_eq!(again, read);
});
