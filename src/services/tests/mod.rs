//! Calls of plugins against a real server on loopback and a store in memory.

mod rules;
mod site;
mod support;
