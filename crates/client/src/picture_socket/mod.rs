//! How pictures reach the window: one WebSocket per stream, on this machine only.
//!
//! The window's page can't be handed a picture through the shell's command channel without paying four times the CPU, so
//! it connects to a WebSocket on 127.0.0.1 instead. Pictures go out as H.264 access units, which the page decodes with
//! WebCodecs, or as plain I420 where it can't. The page grants credit for each picture that it is ready for, so nothing
//! queues: a plain picture that waits is replaced by the next one; where encoded ones pile up, all are dropped and a key
//! frame is asked for. For each picture drawn the page says so, and those reports drive freezes, lip sync and latency. It also
//! says in which size it draws them, so that nobody sends larger ones.
//!
//! Any program on this machine, and any page in a browser, can reach the port. A connection therefore needs the window's
//! `Origin` and a token that the shell gave to the page: 256 random bits, good for one connection within ten seconds.
//!
//! The messages are described in docs/picture-socket.md.

mod access;
mod server;
mod stream;
mod wire;

pub use access::Access;
pub use server::{PictureSocket, SocketError};
pub use stream::{PageEvent, PageListener, PictureSender};
pub use wire::{Area, Picture, PictureFormat, StreamName};
