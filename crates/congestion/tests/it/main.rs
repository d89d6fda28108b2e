//! The sending side on virtual time: the test cases of RFC 8867, with jitter as long as RFC 8868 section 4.5 has it but evenly
//! distributed, which is more, lossy paths, short
//! queues and outages. Each is run with several seeds, and the worst of them counts unless a test says otherwise.

mod cases;
mod rfc8867;
mod trouble;
mod world;
