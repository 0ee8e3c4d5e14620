//! The journal: the truth on this side. Totally ordered by `seq`, durable before anything is delivered.
//!
//! ```text
//!  append, settle, set … ──► handle ──► writer thread ──► Engine::commit (one transaction for all that is queued)
//!                              │             │  after the commit: answers, then
//!                              │             ▼
//!       read, bodies, query ◄──┴── tail (newest events, shared) and reader threads (Engine::reader, a page at a time)
//! ```
//!
//! What is kept, and until when:
//! * An event's row under its `seq`, 1 and up without holes; (timeline, event id) is unique, the first reading counts.
//!   Its body goes first, by age and size; its narrow row when every plugin that still matters is past it.
//! * Ingest's state in the same transaction as the events that made it.
//! * For each plugin: position, open list, replays, counts, a lasting disable, its key-value state. A dead letter is made in the
//!   transaction that ends its open entry, and exists once.
//! * Children that must not outlive us, and the site that all this belongs to.
//!
//! An answer means: on disk. A full disk makes the writer wait and try again; any other failed write ends it for good.
//!
//! Never: the site, a plugin's process, a decision about gaps or retries. It keeps what it is told.

mod change;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crashes;
mod engine;
#[cfg(test)]
mod full_disk;
mod handle;
#[cfg(test)]
mod handle_tests;
mod lock;
mod model;
mod op;
mod pages;
mod readers;
pub mod retention;
mod sqlite;
mod tail;
#[cfg(test)]
pub(crate) mod testing;
mod writer;

pub use change::*;
pub use engine::*;
pub use handle::{Journal, Options, Ticket};
pub use lock::{DATABASE, LockInfo, StateDir, StateError};
pub use model::Model;
pub use op::*;
pub use sqlite::{OpenError, Sqlite};
pub use tail::{Tail, TailBounds, TailRead};
pub use writer::{Health, When};
