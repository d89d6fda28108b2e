//! The relay, over real sockets of this machine, and Debian's coturn where both have to do the same.

mod caller;
mod coturn;
mod peers;
mod relaying;
mod seeds;
mod streams;
mod support;
