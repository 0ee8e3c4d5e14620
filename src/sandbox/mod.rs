//! A made-up site on this machine: it answers like the real one, keeps an event log, and misbehaves when told to.
//!
//! In: calls of the official Python client (`POST /api3/json`), orders (`POST /_sandbox/ctl`). Out: answers, event rows, the truth.
//! Never: disk, another machine, the wall clock or chance inside the store (both are handed in by the server).

mod auth;
mod check;
mod ctl;
mod demo;
mod fault;
mod filter;
mod links;
mod log;
mod method;
mod raw;
mod read;
mod relation;
mod row;
mod schema;
mod server;
mod site;
mod state;
mod store;
mod summarize;
#[cfg(test)]
mod tests;
mod transaction;
mod trouble;
mod value;
mod view;

pub use site::{Asked, Options, Sandbox};
pub use state::Scenario;
