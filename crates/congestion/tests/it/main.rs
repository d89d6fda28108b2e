//! The sending side on virtual time: the test cases of RFC 8867, with jitter as long as RFC 8868 section 4.5 has it but evenly
//! distributed, which is more, lossy paths, short queues, outages, and links whose rate never stays what it is. Each is run
//! with several seeds, and the worst of them counts unless a test says otherwise.

mod cases;
mod files;
mod rfc8867;
mod traces;
mod trouble;
mod world;
