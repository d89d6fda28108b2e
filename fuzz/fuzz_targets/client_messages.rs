//! What a client says, as the server reads it: what was read is written and read again alike.
#![no_main]

use ahoy_signal::read_client_message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(envelope) = read_client_message(text) {
        let again = read_client_message(&envelope.to_json());
        // Escapes can make it longer than a message may be.
        if envelope.to_json().len() <= ahoy_signal::limits::MESSAGE_LONGEST {
            assert_eq!(again.as_ref(), Ok(&envelope));
        }
    }
});
