//! Calls of plugins against a real server on loopback and a store in memory.

mod rules;
mod site;
pub(super) mod support;
