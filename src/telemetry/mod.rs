//! What the daemon says about itself: the log in its shapes, and the traffic log. Nothing here waits, and nothing here shows a key.
//!
//! ```text
//!   tracing events ──► collector ──┐                       ┌──► terminal, file, journald; a file per plugin
//!                                  ├─► bounded queue ─► one OS thread
//!   Traffic::record ───────────────┘   (drops, counts)     └──► traffic file, whoever follows
//! ```
//!
//! In: [`crate::config::Log`]. Out: lines.
//! Never: a caller that waits for a disk or a terminal, a line that was not cleaned by [`clean`].

mod collect;
mod format;
mod guard;
mod journald;
mod queue;
mod redact;
mod rotate;
#[cfg(test)]
mod tests;
mod traffic;
mod writer;

pub use format::{tame, utc};
pub use guard::{Dropped, Guard, LogError, init};
pub use redact::clean;
pub use traffic::{Detail, Direction, Traffic, TrafficRecord};
