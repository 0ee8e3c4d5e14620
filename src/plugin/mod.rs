//! What a plugin is: discovery, manifest, life, file watch.

mod alarm;
pub mod diagnose;
pub mod discovery;
mod file;
pub mod flight;
mod folders;
pub mod ghosts;
pub(crate) mod ground;
pub mod host;
pub mod life;
pub mod look;
mod names;
pub mod order;
pub mod report;
mod run;
pub mod scarce;
pub mod setup;
pub mod spec;
mod stats;
mod tap;
pub mod task;
pub mod told;
pub(crate) mod trace;
