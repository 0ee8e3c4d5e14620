//! Write sgeventd plugins in Rust: a handler for each kind of event, and calls to the site through the daemon.
//!
#![doc = include_str!("../README.md")]
//!
//! In: the daemon's messages on descriptor 0. Out: answers on descriptor 1.
//! Never: a print that breaks the pipe (descriptor 1 goes to the log), a key of the site, two handlers at once.

mod caller;
mod context;
mod error;
mod event;
mod outlet;
mod pipe;
mod plugin;
mod serve;
mod site;
mod state;
#[cfg(test)]
mod tests;

pub use caller::Called;
pub use context::Context;
pub use error::{CallError, ErrorKind};
pub use event::Event;
pub use plugin::{Handled, Outcome, Plugin};
pub use serde_json;
pub use site::Shotgun;
pub use state::State;
