//! The journal: the truth on this side. Totally ordered by `seq`, durable before anything is delivered.
//!
//! Never: the site, a plugin's process, a decision about gaps or retries. It keeps what it is told.

mod change;

pub use change::*;
