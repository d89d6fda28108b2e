//! File transfers for the page for guests: [`ahoy_transfer::Link`] and what a worker of a browser needs around it, as a
//! WebAssembly module, so that pages and programs decide alike.
//!
//! Messages go in and come out as text (JSON), with bytes after it where there are some. `docs/file-transfer.md` is what two sides
//! say to each other; what a worker says to this module is [`Input`] and [`Output`], and
//! `ui/src/guest/files/module.ts` is the other half of it.

mod end;
// Elsewhere their names are somebody else's.
#[cfg(target_arch = "wasm32")]
pub mod exports;
mod messages;

pub use end::End;
pub use messages::{Input, NewEntry, Output};
