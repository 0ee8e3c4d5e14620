//! What a plugin is: discovery, manifest, life, file watch.

mod alarm;
mod diagnose;
pub mod discovery;
pub mod host;
pub mod life;
pub mod look;
pub mod report;
mod run;
pub mod setup;
pub mod spec;
mod stats;
mod tap;
pub mod task;
