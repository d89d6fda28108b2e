//! Calls between two users, from the first ring to their end.

mod early;
mod freshness;
pub mod machine;
pub(crate) mod switchboard;
