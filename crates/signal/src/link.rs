//! Connections between two contacts beside calls, over which files go.

use serde::{Deserialize, Serialize};

use crate::call::CallSignal;

/// What one end of such a connection says to the other, or to all that there may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LinkSaid {
    /// Is anybody there? Said to all of someone's programs.
    Knock {},
    /// Here is one, to whoever knocked. Who hears it first offers a connection to that one.
    Here {},
    /// About the connection.
    Signal {
        /// What.
        signal: CallSignal,
    },
    /// The connection is not wanted, or not any more.
    Close {},
}
