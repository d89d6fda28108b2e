//! People that one knows.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::text::{Handle, Name};

/// How one stands to a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ContactStanding {
    /// One has asked; they have not answered.
    Asked,
    /// They have asked; one has not answered.
    Asking,
    /// Both want it: they see each other's presence and can call.
    Contact,
    /// One does not want to hear of them. They are not told.
    Blocked,
}

/// Whether a contact can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// At least one of their devices is connected.
    Online,
    /// In a call.
    InCall,
    /// None is.
    Offline,
}

/// Someone that one knows, or who wants to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct Contact {
    /// Who it is.
    pub user: UserId,
    /// What they are found by.
    pub handle: Handle,
    /// What they are called.
    pub name: Name,
    /// How one stands to them.
    pub standing: ContactStanding,
    /// Known of contacts only; others are offline.
    pub presence: Presence,
}
