//! Hands the journal's events to one plugin: filter, lanes, window, retries.
//!
//! [`machine`] decides, [`filter`] compiles subscriptions, [`open`] keeps the open list in its lanes. Never: processes, pipes, disks.

pub mod filter;
pub mod machine;
mod open;
pub mod policy;
#[cfg(test)]
mod tests;

pub use filter::{Filter, SelfIdentity, Verdict};
pub use machine::{Delivery, Machine, Refusal};
pub use policy::{Disposition, Policy};
