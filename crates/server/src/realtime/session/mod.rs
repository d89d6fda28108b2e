//! Sessions: what is told and asked over a connection, in order and once, however often the connection is lost.

pub mod actor;
pub mod directory;
pub mod machine;
pub mod replay;
mod strikes;
mod talk;
