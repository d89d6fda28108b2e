//! What the other side of a file transfer says, and its chunks.
#![no_main]

use ahoy_transfer::{Chunk, Said};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(said) = Said::read(bytes)
        && said != Said::Unknown
    {
        // What was understood says the same when it is said again.
        let again = Said::read(said.write().as_bytes()).expect("what is written can be read");
        assert_eq!(again, said);
    }
    if let Ok(chunk) = Chunk::read(Bytes::copy_from_slice(bytes)) {
        assert_eq!(chunk.write(), bytes);
    }
});
