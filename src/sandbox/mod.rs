//! A made-up site on this machine: it answers like the real one, keeps an event log, and misbehaves when told to.
//!
//! In: calls of the official Python client (`POST /api3/json`), requests of REST (`/api/v1`), orders (`POST /_sandbox/ctl`). Out: answers, event rows, the truth.
//! Never: disk, another machine, the wall clock or chance inside the store (both are handed in by the server).

mod artists;
mod auth;
mod backlinks;
#[cfg(test)]
mod bad_input;
mod body;
mod cell;
mod check;
mod ctl;
mod demo;
mod dump;
mod fault;
mod file;
mod files;
mod filter;
mod fitting;
mod follow;
#[cfg(test)]
mod found_is_all;
mod ground;
mod grouping;
mod keys;
mod launcher;
mod links;
#[cfg(test)]
mod links_agree;
mod log;
mod method;
mod name;
mod navigate;
mod orders;
mod page;
mod path;
mod payload;
mod people;
mod preferences;
mod presets;
mod raw;
mod read;
mod relation;
mod rest;
mod rights;
mod row;
mod schedule;
mod schema;
mod schema_writes;
mod search;
mod server;
mod site;
mod social;
mod state;
mod store;
mod stream;
mod studio;
mod summarize;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod transaction;
mod trouble;
mod value;
mod view;
mod web;
mod webhook;
mod writes;

#[cfg(test)]
pub(crate) use ctl::check_order;
pub use ctl::{Lasting, Turn, verbs};
pub use dump::LoadError;
pub use ground::Ground;
pub use site::{Asked, Options, Sandbox};
pub use state::Scenario;
pub use trouble::Kind;
